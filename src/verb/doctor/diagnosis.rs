//! Diagnosis: what the doctor found on each host, as the command's result.

use serde::Serialize;

use super::{
    Base, Check, Standing, base, clone, examine,
    forge::{self, ForgeExamined},
};
use crate::{
    flow::{Stage, refuse},
    model::{
        ids::{HostName, ModuleId},
        refusal::Code,
        time::Timestamp,
    },
    port::{Ports, Step},
    verb::recorded::BaseSeen,
};

/// What was found on each host.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Diagnosis {
    /// This clone: `identity`, `history`, `push`. Empty if only the forge was asked.
    pub clone: Vec<Check>,
    /// The hosts.
    pub hosts: Vec<Examined>,
    /// The forge, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forge: Option<ForgeExamined>,
    /// The base that they were judged by.
    pub base: BaseSeen,
    /// The name of the base branch.
    #[serde(skip)]
    pub branch: String,
    /// Why the base is the one that was fetched last.
    #[serde(skip)]
    pub unasked: Option<String>,
    /// Why the policy is not the one of the base.
    #[serde(skip)]
    pub notes: Vec<String>,
    /// Modules that cannot be read, so that what they need is not known.
    #[serde(skip)]
    pub broken: Vec<ModuleId>,
    /// When this was found.
    #[serde(skip)]
    pub now: Timestamp,
}

/// One host, and what was found there.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Examined {
    /// The host.
    pub host: HostName,
    /// What was asked.
    pub checks: Vec<Check>,
    /// Where ssh goes; `None`: it is this machine.
    #[serde(skip)]
    pub destination: Option<String>,
}

impl Diagnosis {
    /// The checks that an apply cannot do without and that failed, each with the host's name, `clone` or `forge`.
    pub fn fails(&self) -> Vec<(&str, &Check)> {
        let hosts = self.hosts.iter().flat_map(|one| one.checks.iter().map(move |check| (one.host.as_str(), check)));
        let hosts = hosts.filter(|(_, check)| check.result == Standing::Fail);
        let forge = self.forge.iter().flat_map(ForgeExamined::fails).map(|check| (FORGE, check));
        let clone = self.clone.iter().filter(|check| check.result == Standing::Fail).map(|check| (CLONE, check));
        clone.chain(hosts).chain(forge).collect()
    }
}

/// What stands for a host's name where this clone is meant.
pub const CLONE: &str = "clone";
/// What stands for a host's name where the forge is meant.
pub const FORGE: &str = "forge";

/// What is examined.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Every host of the policy.
    Hosts,
    /// One host.
    Host(&'a HostName),
    /// The forge.
    Forge {
        /// Whether a scratch ref may be written there and rewritten.
        try_rewrite: bool,
    },
}

/// Examines a host, every host of the policy, or the forge.
///
/// # Errors
/// There is nothing to judge by, no such host, or no host at all.
pub fn doctor(ports: &Ports<'_>, which: Which<'_>) -> Stage<Diagnosis> {
    let base = base(ports)?;
    let hosts = &base.policy.policy.hosts;
    let names: Vec<HostName> = match which {
        Which::Hosts => hosts.keys().cloned().collect(),
        Which::Host(name) => vec![name.clone()],
        Which::Forge { .. } => Vec::new(),
    };
    let forge = match which {
        Which::Forge { try_rewrite } => Some(forge::examine(ports, &base, try_rewrite)),
        Which::Hosts | Which::Host(_) => None,
    };
    if names.is_empty() && forge.is_none() {
        let fact = "platform.yaml on the base names no host";
        return refuse(Code::UnknownHost, fact, "merge a pull request that adds one under hosts:");
    }
    let clone = if names.is_empty() { Vec::new() } else { clone::examine(ports, &base)? };
    let mut found = Vec::new();
    for host in names {
        (ports.tell)(Step::Looking(host.clone()));
        let checks = examine(ports, &base, &host)?;
        let destination = hosts.get(&host).and_then(|policy| policy.destination.as_deref()).map(str::to_owned);
        found.push(Examined { host, checks, destination });
    }
    let Base { p, seen, unasked, notes, broken, .. } = base;
    Ok(Diagnosis {
        clone,
        hosts: found,
        forge,
        base: BaseSeen { commit: p, seen },
        branch: ports.base.to_owned(),
        unasked: unasked.map(|error| error.to_string()),
        notes,
        broken,
        now: ports.clock.now(),
    })
}
