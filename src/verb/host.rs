//! What is known of the record before a host is asked, and a look at a host before something about one of its runs is
//! recorded.

use crate::{
    flow::{
        gate::host::{self, Known, Which, clock, witness},
        observe::clocks::Clocks,
    },
    ledger::{fault::Checked, recover},
    model::{
        ids::{HostName, ModuleId},
        policy::HostPolicy,
        refusal::{Code, Refusal},
    },
    port::{Answer, Host, Input, PortError, Ports},
    runtime::machine::{self, Witness},
    tree::{manifests, snapshot::Snapshot},
};

/// What is known of the record for a look at a host.
///
/// # Errors
/// The record cannot be read.
pub fn known(ports: &Ports<'_>, checked: Option<&Checked>, witness: Option<&Witness>) -> Answer<Known> {
    let at_witness = match (witness, checked) {
        (Some(witness), Some(checked)) => {
            let seen = witness.commit;
            let contained = ports.source.has(seen)? && recover::contains(ports.source, checked.id, seen)?;
            // Contained in the record: it is the one at its seq. Else the record has another there, or none.
            contained.then_some(seen).or((checked.event.seq >= witness.seq).then_some(checked.id))
        }
        (Some(_) | None, _) => None,
    };
    Ok(Known {
        genesis: checked.map(|checked| checked.genesis),
        seq: checked.map(|checked| checked.event.seq),
        newest: checked.map(|checked| checked.event.time),
        at_witness,
    })
}

/// A look at a host before something about one of its runs is recorded.
///
/// # Errors
/// The host gave no answer. Reasons not to record are data.
pub fn look(ports: &Ports<'_>, checked: Option<&Checked>, which: Which<'_>, host: &dyn Host) -> Answer<Vec<Refusal>> {
    let args = [which.policy.root.to_string()];
    let (reply, asked) =
        Clocks::around(ports.clock, || host.run(&machine::LOOK, &args, Input::Nothing)).map_err(PortError::harmless)?;
    let seen = machine::parse(&reply.stdout).map_err(|error| {
        let what = "the host's answer about its machine cannot be parsed";
        PortError::new(Code::HostUnreachable, what, "inspect the host; nothing was changed").because(error)
    })?;
    let known = known(ports, checked, seen.witness.as_ref())?;
    let clocks = asked.compared(ports.clock, &seen);
    let found = [host::machine(which, &seen), witness(which, &seen, &known), clock(which.name, &clocks, &known)];
    Ok(found.into_iter().flatten().collect())
}

/// The entry of a host, or without one of the first that a module had, when the base was fetched last.
///
/// # Errors
/// The base cannot be read.
pub fn last_known(ports: &Ports<'_>, module: &ModuleId, host: Option<&HostName>) -> Answer<Option<HostPolicy>> {
    let Some((base, _)) = ports.ledger.base()? else { return Ok(None) };
    let snapshot = Snapshot::lazy(ports.source, ports.source.commit(base)?.tree);
    let manifest = manifests::manifest(&snapshot, module)?.and_then(Result::ok);
    let host = host.cloned().or_else(|| manifest?.hosts().first().cloned());
    let policy = manifests::policy(&snapshot)?.ok();
    Ok(host.zip(policy).and_then(|(host, at)| at.policy.hosts.get(&host).cloned()))
}
