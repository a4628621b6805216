//! Diagnosis: what the doctor found on each host, as the command's result.

use serde::Serialize;

use super::{Base, Check, Standing, base, examine};
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
    /// The hosts.
    pub hosts: Vec<Examined>,
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
    /// The checks that an apply cannot do without and that failed, each with its host.
    pub fn fails(&self) -> Vec<(&Examined, &Check)> {
        let all = self.hosts.iter().flat_map(|one| one.checks.iter().map(move |check| (one, check)));
        all.filter(|(_, check)| check.result == Standing::Fail).collect()
    }
}

/// Examines a host, or every host of the policy.
///
/// # Errors
/// There is nothing to judge by, no such host, or no host at all.
pub fn doctor(ports: &Ports<'_>, host: Option<&HostName>) -> Stage<Diagnosis> {
    let base = base(ports)?;
    let hosts = &base.policy.policy.hosts;
    let names: Vec<HostName> = host.map_or_else(|| hosts.keys().cloned().collect(), |name| vec![name.clone()]);
    if names.is_empty() {
        let fact = "platform.yaml on the base names no host";
        return refuse(Code::UnknownHost, fact, "merge a pull request that adds one under hosts:");
    }
    let mut found = Vec::new();
    for host in names {
        (ports.tell)(Step::Looking(host.clone()));
        let checks = examine(ports, &base, &host)?;
        let destination = hosts.get(&host).and_then(|policy| policy.destination.as_deref()).map(str::to_owned);
        found.push(Examined { host, checks, destination });
    }
    let Base { p, seen, unasked, notes, broken, .. } = base;
    Ok(Diagnosis {
        hosts: found,
        base: BaseSeen { commit: p, seen },
        branch: ports.base.to_owned(),
        unasked: unasked.map(|error| error.to_string()),
        notes,
        broken,
        now: ports.clock.now(),
    })
}
