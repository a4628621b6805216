//! Doctor: checks everything that an apply needs on a host. It changes nothing and records nothing; it reports what is
//! missing and what cures it.

mod check;
mod clone;
pub mod diagnosis;
mod engine;
pub mod forge;
mod machine;
mod runs;
mod secrets;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    flow::{
        Stage, Stop,
        approve::witness::Heard,
        gate::host::{self, Known, Which},
        observe::clocks::Clocks,
        refuse,
    },
    ledger::{fault::Checked, state::State},
    model::{
        ids::{HostName, ModuleId, Oid},
        module::Manifest,
        near::did_you_mean,
        policy::{HostPolicy, Mutations, Transport},
        refusal::{Code, Refusal},
        status::OpenRun,
        text::shown,
        time::Timestamp,
    },
    port::{Answer, Host, Input, Phase, PortError, Ports, RemoteRefs, Step, Want},
    runtime::{
        self,
        doctor::{self, Asked, Seen},
    },
    tree::{manifests, module::PolicyAt, snapshot::Snapshot},
    verb::fetch::{base_of, decided, known_policy, notes, policy_at, record},
};

pub use check::{Check, Fix, Place, Standing};

/// What is judged by: the base, as it is now or as it was fetched last.
pub struct Base {
    /// P.
    pub p: Oid,
    /// When the remote reported it.
    pub seen: Timestamp,
    /// Why it is not from now.
    pub unasked: Option<PortError>,
    /// The policy in force.
    pub policy: PolicyAt,
    /// Why it is not P's, if it is not.
    pub notes: Vec<String>,
    /// Valid modules, by host.
    pub modules: BTreeMap<HostName, Vec<Manifest>>,
    /// Modules that do not.
    pub broken: Vec<ModuleId>,
    /// Runs that are open, as this clone knows.
    pub open: Vec<OpenRun>,
    /// The record that the remote has.
    pub state: Option<Oid>,
    /// Whether the record here is the one that the remote has.
    pub current: bool,
    /// The record, verified, as the remote has it; `None` where the remote gave no answer.
    pub record: Option<Answer<Option<Checked>>>,
}

/// Asks the remote for the base and the record, which is verified; nothing is delivered, for a doctor records nothing.
/// Without an answer the base that was fetched last has to do.
///
/// # Errors
/// It was never fetched, or its policy is not valid.
pub fn base(ports: &Ports<'_>) -> Stage<Base> {
    let (p, seen, refs, unasked) = match asked(ports) {
        Ok((p, refs)) => (p, ports.clock.now(), Some(refs), None),
        Err(Stop::Failed(error)) => match ports.ledger.base()? {
            Some((p, seen)) => (p, seen, None, Some(error)),
            None => return Err(Stop::Failed(error)),
        },
        Err(stop) => return Err(stop),
    };
    let known = known_policy(ports)?;
    let newest = policy_at(ports, p);
    let (settings, newest) = match (&known, newest) {
        (Some(known), newest) => (known.policy.clone(), newest),
        (None, newest) => newest.map(|newest| (newest.policy.clone(), Ok(newest)))?,
    };
    let snapshot = Snapshot::lazy(ports.source, ports.source.commit(p)?.tree);
    let (ids, _) = manifests::module_ids(&snapshot)?;
    let (mut modules, mut broken) = (BTreeMap::<HostName, Vec<Manifest>>::new(), Vec::new());
    for id in ids {
        match manifests::manifest(&snapshot, &id)? {
            Some(Ok(manifest)) => {
                for host in manifest.hosts() {
                    modules.entry(host.clone()).or_default().push(manifest.clone());
                }
            }
            Some(Err(_)) => broken.push(id),
            None => {}
        }
    }
    let record = refs.as_ref().map(|refs| record(ports, &settings).sync(refs));
    // No host is contacted because of an unproven policy.
    let (policy, notes) = match (&refs, &record, known) {
        (Some(refs), Some(Ok(checked)), known) => {
            let (policy, in_force) =
                decided(ports, &Heard::default(), refs, (p, newest), checked.as_ref(), known.is_some())?;
            (policy, notes(&in_force))
        }
        (_, _, Some(known)) => (known, Vec::new()),
        (_, _, None) => (newest?, Vec::new()),
    };
    let tip = ports.ledger.tip()?;
    let state = refs.and_then(|refs| refs.state);
    let open = match tip {
        Some(tip) => State::at(ports.source, tip)?.open_runs()?,
        None => Vec::new(),
    };
    let current = unasked.is_none() && tip == state;
    Ok(Base { p, seen, state, current, record, unasked, policy, notes, modules, broken, open })
}

/// The base, and what else the remote has; base and record are fetched.
fn asked(ports: &Ports<'_>) -> Stage<(Oid, RemoteRefs)> {
    (ports.tell)(Step::Began(Phase::Fetch));
    let refs = ports.remote.refs(true)?;
    let p = base_of(ports, &refs)?;
    let wants: Vec<Want> = [Want::Base].into_iter().chain(refs.state.map(|_| Want::State)).collect();
    ports.remote.fetch(&wants)?;
    ports.ledger.set_note("fetched-at", Some(format!("{} {}", ports.clock.now(), ports.base).as_bytes()))?;
    Ok((p, refs))
}

/// What one host is judged by.
struct Case<'a> {
    name: &'a HostName,
    policy: &'a HostPolicy,
    modules: &'a [Manifest],
    base: &'a Base,
}

impl Case<'_> {
    /// Whether anything here runs in containers. A host without modules is one that will have some.
    fn needs_engine(&self) -> bool {
        let composes = self.modules.iter().any(|module| runtime::driver(module.runtime.driver).needs_engine());
        composes || self.modules.is_empty() || !self.policy.networks.is_empty()
    }

    /// What the host is asked for.
    fn asked(&self) -> Asked {
        let secrets = || self.modules.iter().flat_map(|module| &module.secrets);
        let keys =
            secrets().flat_map(|secret| secret.keys.iter().map(|key| (key.to_string(), secret.file.to_string())));
        Asked {
            root: self.policy.root.clone(),
            engine: runtime::engine::address(self.policy),
            files: secrets().map(|secret| secret.file.to_string()).collect(),
            keys: keys.collect(),
            networks: self.policy.networks.iter().map(ToString::to_string).collect::<BTreeSet<String>>(),
        }
    }
}

/// A look at one host, all of it: what is missing does not hide what else is.
///
/// # Errors
/// The host is not in the policy.
pub fn examine(ports: &Ports<'_>, base: &Base, name: &HostName) -> Stage<Vec<Check>> {
    let Some(policy) = base.policy.policy.hosts.get(name) else {
        return refuse(Code::UnknownHost, format!("platform.yaml on the base has no host `{name}`"), known(base, name));
    };
    let modules = base.modules.get(name).map_or(&[][..], Vec::as_slice);
    let case = Case { name, policy, modules, base };
    let mut checks = Vec::new();
    let host = match reach(ports, &case, &mut checks) {
        Ok(host) => Some(host),
        Err(error) => {
            checks.push(Check::lost("ssh", error));
            None
        }
    };
    checks.extend(mutations(&case));
    if let Some(host) = host {
        match look(ports, &case, host.as_ref()) {
            Ok((seen, clocks)) => {
                checks.extend(judged(&case, &seen, clocks.apart_s));
                checks.extend(record_checks(ports, &case, &seen)?);
            }
            Err(error) => checks.push(Check::lost("look", error)),
        }
    }
    Ok(checks)
}

fn known(base: &Base, wanted: &HostName) -> String {
    let names: Vec<&str> = base.policy.policy.hosts.keys().map(HostName::as_str).collect();
    match names.as_slice() {
        [] => "merge a pull request that adds it under hosts:".to_owned(),
        names => did_you_mean(wanted.as_str(), names, &format!("it has: {}", names.join(", "))),
    }
}

fn reach(ports: &Ports<'_>, case: &Case<'_>, checks: &mut Vec<Check>) -> Answer<Box<dyn Host>> {
    let host = (ports.host)(case.policy)?;
    let begun = ports.clock.ticks_ms();
    let reply = host.run(&doctor::HELLO, &[], Input::Nothing)?;
    let took_ms = ports.clock.ticks_ms().saturating_sub(begun);
    if reply.rc != 0 || reply.stdout.trim_ascii() != b"hello" {
        return Err(PortError::new(
            Code::HostUnreachable,
            "the host answers, and not what was asked",
            "look at the account's shell on the host",
        ));
    }
    checks.push(Check::pass(
        "ssh",
        match case.policy.transport {
            Transport::Ssh => format!("answers after {}.{} s", took_ms / 1000, took_ms % 1000 / 100),
            Transport::Local => "not needed: it is this machine".to_owned(),
        },
    ));
    Ok(host)
}

/// What the host shows, and its clock beside ours.
fn look(ports: &Ports<'_>, case: &Case<'_>, host: &dyn Host) -> Answer<(Seen, Clocks)> {
    let asked = case.asked();
    let (reply, when) = Clocks::around(ports.clock, || host.run(&doctor::LOOK, &asked.args(), Input::Nothing))?;
    let unfit = |why: String| {
        let what = format!("the host's answer cannot be parsed: {why}");
        PortError::new(Code::HostUnreachable, what, "inspect the host; nothing was changed")
    };
    if reply.rc != 0 {
        return Err(unfit(format!("the look ended with {}", reply.rc)));
    }
    let seen = doctor::parse(&reply.stdout, &asked).map_err(|error| unfit(error.to_string()))?;
    let clocks = when.compared(ports.clock, &seen.machine);
    Ok((seen, clocks))
}

/// Whether the record contains the one that the host has seen, and is valid.
fn record_checks(ports: &Ports<'_>, case: &Case<'_>, seen: &Seen) -> Answer<Vec<Check>> {
    let failed = |id, refusal: Refusal| Check::fail(id, refusal.code, refusal.fact, Fix::words(refusal.fix));
    let which = Which { name: case.name, policy: case.policy };
    let known = match &case.base.record {
        Some(Ok(checked)) => crate::verb::host::known(ports, checked.as_ref(), seen.machine.witness.as_ref())?,
        Some(Err(error)) => {
            let refusal = Refusal::new(error.code, error.what.clone(), error.fix.clone());
            return Ok(vec![failed("record", refusal)]);
        }
        // Nothing is reported about a record that was not fetched; an unreadable witness is reported in any case.
        None if !seen.machine.witness_is_garbage => return Ok(Vec::new()),
        None => Known::default(),
    };
    Ok(host::witness(which, &seen.machine, &known).map(|refusal| failed("witness", refusal)).into_iter().collect())
}

fn mutations(case: &Case<'_>) -> Option<Check> {
    (case.policy.mutations == Mutations::Disabled).then(|| {
        let fact = "platform.yaml does not let anything change here yet";
        Check::warn("mutations", fact, Fix::policy("mutations: enabled"))
    })
}

fn judged(case: &Case<'_>, seen: &Seen, skew_s: i64) -> Vec<Check> {
    let mut checks = machine::judge(case, seen, skew_s);
    checks.extend(engine::judge(case, seen));
    checks.extend(secrets::judge(case, seen));
    checks.extend(runs::judge(case, seen));
    checks
}

/// Text of the policy that is no plain name, for a message.
fn named(text: &str) -> String {
    format!("`{}`", shown(text))
}
