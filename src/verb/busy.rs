//! Busy: which open run a deployment has to wait for.

use crate::{
    flow::{Stage, bind::bound::Present, open, refuse},
    ledger::state::State,
    model::{
        ids::{HostName, ModuleId},
        lock::LockKey,
        refusal::Code,
        status::OpenRun,
        text::shown,
    },
    port::{Answer, Ports},
    tree::{manifests, snapshot::Snapshot},
    verb::fetch::Fetched,
};

/// Refuses while a run of the same scope is open: who, what, since when.
pub(super) fn busy(ports: &Ports<'_>, fetched: &Fetched, module: &ModuleId, host: Option<&HostName>) -> Stage<()> {
    let Some(checked) = &fetched.checked else { return Ok(()) };
    let state = State::at(ports.source, checked.id)?;
    match state.open_runs()?.into_iter().find(|open| is_about(open, module, host)) {
        Some(open) => taken(ports, &open),
        None => Ok(()),
    }
}

/// Refuses while another module of the same compose project has an open run.
pub(super) fn shared(ports: &Ports<'_>, fetched: &Fetched, bound: &Present) -> Stage<()> {
    let Some(checked) = &fetched.checked else { return Ok(()) };
    let state = State::at(ports.source, checked.id)?;
    match open::holder(&state, &open::lock_key(&bound.deployment().host, bound.manifest()))? {
        Some(open) => taken(ports, &open),
        None => Ok(()),
    }
}

/// Whether an open run is about a module on a host; without a host, on any.
pub fn is_about(open: &OpenRun, module: &ModuleId, host: Option<&HostName>) -> bool {
    open.module == *module && host.is_none_or(|host| open.host == *host)
}

/// The open run that a deployment has to wait for; without a host, any of the module's.
///
/// # Errors
/// The record, or the module on the base, cannot be read.
pub fn holder(
    ports: &Ports<'_>,
    fetched: &Fetched,
    module: &ModuleId,
    host: Option<&HostName>,
) -> Answer<Option<OpenRun>> {
    let Some(checked) = &fetched.checked else { return Ok(None) };
    let snapshot = Snapshot::lazy(ports.source, ports.source.commit(fetched.p)?.tree);
    let manifest = manifests::manifest(&snapshot, module)?.and_then(Result::ok);
    let hosts = manifest.iter().flat_map(|manifest| manifest.hosts().iter().map(move |host| (host, manifest)));
    let asked = hosts.filter(|(one, _)| host.is_none_or(|host| host == *one));
    let keys: Vec<LockKey> = asked.map(|(host, manifest)| open::lock_key(host, manifest)).collect();
    let holds = |open: &OpenRun| is_about(open, module, host) || keys.contains(&open.scope);
    Ok(State::at(ports.source, checked.id)?.open_runs()?.into_iter().find(holds))
}

fn taken(ports: &Ports<'_>, open: &OpenRun) -> Stage<()> {
    refuse(
        Code::Busy,
        format!(
            "run {} of {} is open for {} since {} ({})",
            open.run,
            shown(&open.owner),
            open.module,
            open.opened,
            open.opened.age(ports.clock.now())
        ),
        format!("wait for it; if its machine is gone: platformctl resume {}", open.run),
    )
}
