//! Pending: what is merged but not applied. Reads git alone: the base as it was last fetched, and the record.

use crate::{
    flow::{
        Stage, Stop,
        approve::{
            Approved, Candidates,
            coverage::{self, Past},
            request,
        },
    },
    ledger::state::State,
    model::{
        ids::{HostName, ModuleId, Oid},
        policy::Mutations,
        problem::Problem,
        refusal::{Code, Refusal},
        status::OpenRun,
    },
    port::{Answer, Ports, Source},
    tree::{doors, footprint::Footprints, manifests, snapshot::Snapshot},
    verb::{apply, busy, fetch::Fetched, resume},
};

/// A deployment whose content on the base is not what is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The module.
    pub module: ModuleId,
    /// Its host.
    pub host: HostName,
    /// Whether the module has other hosts too.
    pub several: bool,
    /// The newest commit of the base that changed it.
    pub commit: Option<Oid>,
    /// The pull request that the commit names; a hint.
    pub pr: Option<u64>,
    /// The merge result applied last.
    pub last: Option<Oid>,
    /// Whether this release failed on the host; false: another one did, and may be what runs there. `None`: neither.
    pub held: Option<bool>,
    /// Whether what runs was applied with break-glass, and no merged pull request that passes every gate contains it yet.
    pub glass: bool,
    /// Whether it can be read at all.
    pub valid: bool,
    /// Its entry in the record.
    past: Past,
}

impl Pending {
    /// The deployment as arguments of a command: the host is named where it has to be.
    pub fn args(&self) -> String {
        if self.several { format!("{} --host {}", self.module, self.host) } else { self.module.to_string() }
    }
}

/// Most commits that are looked at for the newest change of a module.
const LOOKED_AT: usize = 200;

/// Compares every module of the base with the record, on each of its hosts.
///
/// # Errors
/// Objects that cannot be read.
pub fn pending(source: &dyn Source, state: Option<&State<'_>>, base: Oid) -> Answer<Vec<Pending>> {
    let snapshot = Snapshot::whole(source, source.commit(base)?.tree)?;
    let (ids, _) = manifests::module_ids(&snapshot)?;
    let mut found = Vec::new();
    for module in ids {
        let Some(read) = manifests::module(&snapshot, &module)? else { continue };
        let status = state.map(|state| state.module(&module)).transpose()?.flatten();
        let effective = read.as_ref().ok().map(|read| read.closure.effective);
        let hosts = match &read {
            Ok(read) => read.manifest.hosts().to_vec(),
            // Where it should run cannot be known: where it runs, then.
            Err(_) => status.iter().flat_map(|status| status.hosts.keys().cloned()).collect(),
        };
        let hosts = if hosts.is_empty() { "unknown".parse().into_iter().collect() } else { hosts };
        for host in &hosts {
            let here = status.as_ref().and_then(|status| status.hosts.get(host));
            let held = match (here, effective) {
                (Some(here), Some(effective)) if here.failure_of(effective).is_some() => Some(true),
                (Some(here), _) => here.unsettled().map(|_| false),
                (None, _) => None,
            };
            let running = here.and_then(|here| here.running.as_ref()).map(|running| running.effective);
            // If a release failed, the host may still have it, even after its revert was merged.
            let glass = here.is_some_and(|here| !here.glass.is_empty());
            if held.is_none() && !glass && effective.is_some() && running == effective {
                continue;
            }
            let past = Past::of(status.as_ref(), host);
            let commit = newest(source, &module, Some(host), base, past.applied)?;
            let last = here.and_then(|here| here.running.as_ref()).map(|running| running.merge).or(past.applied);
            let (valid, several) = (read.is_ok(), hosts.len() > 1);
            let pr = match commit {
                Some(commit) => request::hints(&source.commit(commit)?.message).first().copied(),
                None => None,
            };
            let (module, host) = (module.clone(), host.clone());
            found.push(Pending { module, host, several, commit, pr, last, held, glass, valid, past });
        }
    }
    Ok(found)
}

/// The newest commit of the base's first-parent chain, down to `last`, that changed what concerns a deployment, or
/// without a host the module wherever it runs: the one to apply it by.
///
/// # Errors
/// Objects that cannot be read.
pub fn newest(
    source: &dyn Source,
    module: &ModuleId,
    host: Option<&HostName>,
    base: Oid,
    last: Option<Oid>,
) -> Answer<Option<Oid>> {
    let footprints = Footprints::new(source, module, host);
    let mut at = base;
    for _ in 0..LOOKED_AT {
        if Some(at) == last {
            break;
        }
        let Some(parent) = source.commit(at)?.parents.first().copied() else {
            return Ok(footprints.at(at)?.effective.map(|_| at));
        };
        if footprints.at(at)?.near != footprints.at(parent)?.near {
            return Ok(Some(at));
        }
        at = parent;
    }
    Ok(None)
}

/// How a pending module comes to be applied.
#[derive(Debug)]
pub enum Way {
    /// By this pull request, which is proven; as far as git alone knows, nothing prevents it.
    Apply {
        /// The pull request.
        pr: u64,
        /// Its merge result.
        merge: Oid,
    },
    /// Not yet: a run of the module is open.
    Open(Box<OpenRun>),
    /// Not before each of these is cured.
    Refused(Vec<Refusal>),
}

/// Finds how a pending module can be applied, as far as that is known without asking its host.
///
/// # Errors
/// Objects that cannot be read, or a remote that gave no answer.
pub fn way(ports: &Ports<'_>, fetched: &Fetched, one: &Pending) -> Stage<Way> {
    if let Some(open) =
        resume::open_runs(ports, fetched)?.into_iter().find(|open| busy::is_about(open, &one.module, Some(&one.host)))
    {
        return Ok(Way::Open(Box::new(open)));
    }
    match checked(ports, fetched, one) {
        Ok(approved) => Ok(Way::Apply { pr: approved.pr(), merge: approved.relation().merge }),
        Err(Stop::Refused(refusals)) => Ok(Way::Refused(refusals)),
        Err(failed) => Err(failed),
    }
}

fn checked(ports: &Ports<'_>, fetched: &Fetched, one: &Pending) -> Stage<Approved> {
    fetched.acting()?;
    let candidates = apply::candidates(ports, fetched);
    let approved = approval(&candidates, one)?;
    let mut refusals = Vec::new();
    let snapshot = Snapshot::lazy(ports.source, approved.relation().tree);
    if let Some(Ok(module)) = manifests::module(&snapshot, &one.module)? {
        refusals.extend(doors::reaches(&module, &fetched.policy, &one.host).into_iter().map(Problem::into_refusal));
    }
    match fetched.policy.policy.hosts.get(&one.host) {
        Some(host) if host.mutations == Mutations::Enabled => {}
        Some(_) => refusals.push(Refusal::new(
            Code::MutationsDisabled,
            format!("host {} has `mutations: disabled` in platform.yaml", one.host),
            format!("merge a pull request that sets `mutations: enabled` for {}", one.host),
        )),
        None => refusals.push(Refusal::new(
            Code::UnknownHost,
            format!("platform.yaml has no host `{}`", one.host),
            "merge a pull request that adds it",
        )),
    }
    match coverage::coverage(
        &candidates,
        &approved,
        &Footprints::new(ports.source, &one.module, Some(&one.host)),
        &one.past,
    ) {
        Err(Stop::Refused(found)) => refusals.extend(found),
        Err(failed) => return Err(failed),
        Ok(_) => {}
    }
    if refusals.is_empty() { Ok(approved) } else { Err(Stop::Refused(refusals)) }
}

/// The pull request that brings a module's newest change.
fn approval(candidates: &Candidates<'_>, one: &Pending) -> Stage<Approved> {
    let Some(commit) = one.commit else {
        return Err(Refusal::new(
            Code::NoPullRef,
            format!("the newest change of {} is too old to be searched for", one.module),
            format!("name its pull request: platformctl plan {} --pr N", one.module),
        )
        .into());
    };
    let refusals = match candidates.brought_by(commit, candidates.base) {
        Err(Stop::Refused(refusals)) => refusals,
        found => return found,
    };
    if candidates.adopt.contains(&commit) {
        // What is adopted has no pull request of its own: the next one above it brings it.
        for above in candidates.source.first_parents(candidates.base, Some(commit))?.into_iter().rev() {
            match candidates.brought_by(above, candidates.base) {
                Err(Stop::Refused(_)) => {}
                found => return found,
            }
        }
    }
    Err(Stop::Refused(refusals))
}
