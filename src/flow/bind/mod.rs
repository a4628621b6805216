//! Bind: an approval meets one module. Snapshot is read from M, the policy from P, the parent state from the record;
//! the checkout is compared with M and never read for content.

pub mod bound;

use std::collections::BTreeSet;

use crate::{
    flow::{
        Stage, Stop,
        approve::{
            Approved, Candidates,
            coverage::{self, Coverage, Past},
        },
        bind::bound::{Absence, Absent, Bound, Present},
        refuse, unless,
    },
    ledger::state::State,
    model::{
        approval::Approval,
        closure::FileMode,
        gate::Binding,
        ids::{Deployment, HostName, ModuleId, Oid},
        path::RepoPath,
        policy::CheckoutPolicy,
        problem::Problem,
        refusal::{Code, Refusal},
        status::{HostStatus, ModuleStatus},
        text,
    },
    port::{Answer, Checkout, Entry, Mode, OnDisk, Source},
    tree::{
        doors,
        footprint::Footprints,
        manifests,
        module::{Module, PolicyAt},
        snapshot::Snapshot,
    },
};

/// What a person waives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waivers {
    /// `--no-checkout-binding`.
    pub checkout: bool,
    /// `--allow-older`.
    pub older: bool,
}

/// What bind works on.
pub struct Bind<'a> {
    /// Objects and the remote.
    pub candidates: Candidates<'a>,
    /// The policy at P.
    pub policy: &'a PolicyAt,
    /// The record.
    pub state: Option<State<'a>>,
    /// The checkout.
    pub checkout: &'a dyn Checkout,
    /// The module.
    pub module: &'a ModuleId,
    /// Its host; `None`: the only one that it has.
    pub host: Option<&'a HostName>,
    /// What is waived.
    pub waivers: Waivers,
}

/// Binds an approval to a deployment.
///
/// # Errors
/// Every reason that bind finds, at once.
pub fn bind(ask: &Bind<'_>, approved: Approved) -> Stage<Bound> {
    let source = ask.candidates.source;
    let relation = approved.relation().clone();
    let snapshot = Snapshot::lazy(source, relation.tree);
    let status = ask.state.map(|state| state.module(ask.module)).transpose()?.flatten();
    let module = match wanted(ask, &snapshot, status.as_ref(), relation.merge)? {
        Wanted::Present(module) => *module,
        Wanted::Absent(gone) => return absent(ask, &approved, status.as_ref(), *gone),
    };
    let host = chosen(ask, &module, relation.merge)?;
    let Some(host_policy) = ask.policy.policy.hosts.get(&host) else {
        return refuse(
            Code::UnknownHost,
            format!("platform.yaml on the base has no host `{host}`"),
            "merge a pull request that adds it",
        );
    };
    let past = Past::of(status.as_ref(), &host);
    let footprints = Footprints::new(source, ask.module, Some(&host));
    let mut refusals: Vec<Refusal> =
        doors::reaches(&module, ask.policy, &host).into_iter().map(Problem::into_refusal).collect();
    let mut waived = Vec::new();
    let scope = taken(coverage::coverage(&ask.candidates, &approved, &footprints, &past), &mut refusals)?;
    match coverage::superseded(&ask.candidates, &approved, &footprints)? {
        Some(_) if ask.waivers.older => waived.push("superseded".to_owned()),
        found => refusals.extend(found),
    }
    let checkout = if ask.checkout.head()?.is_none() {
        Binding::None
    } else if ask.waivers.checkout {
        waived.push("checkout".to_owned());
        Binding::Waived
    } else {
        refusals.extend(checkout(ask, &approved, &module)?);
        Binding::Bound
    };
    unless(refusals)?;
    let approval = proof(&approved, scope.unwrap_or_default());
    let named = |host: &HostName| module.manifest.hosts().contains(host);
    let left = status.iter().flat_map(ModuleStatus::runs_on).map(|(host, _)| host).filter(|host| !named(host));
    let left = left.cloned().collect();
    let last = status.and_then(|mut status| status.hosts.remove(&host));
    let runs = last.as_ref().and_then(|last| last.running.as_ref()).map(|running| running.merge);
    Ok(Bound::Present(Box::new(Present {
        approval,
        deployment: Deployment::new(ask.module, &host),
        before: before(source, ask.module, runs)?,
        module,
        host: host_policy.clone(),
        sacred: ask.policy.policy.sacred.clone(),
        policy_blob: ask.policy.blob,
        last,
        left,
        checkout,
        waived,
    })))
}

/// What M wants of a deployment, before anything else is looked at.
enum Wanted {
    Present(Box<Module>),
    Absent(Box<(Deployment, Absence, HostStatus)>),
}

/// Reads what M wants. Where it wants nothing and the record knows of nothing either, that is a mistake of whoever
/// asks.
fn wanted(ask: &Bind<'_>, snapshot: &Snapshot<'_>, status: Option<&ModuleStatus>, merge: Oid) -> Stage<Wanted> {
    let found = manifests::module(snapshot, ask.module)?;
    let known = |host: &HostName| {
        let last = status?.hosts.get(host).filter(|last| last.running.is_some())?;
        Some((Deployment::new(ask.module, host), last.clone()))
    };
    match (found, ask.host) {
        (Some(Err(problems)), _) => Err(Stop::Refused(problems.into_iter().map(Problem::into_refusal).collect())),
        (Some(Ok(module)), Some(host)) if !module.manifest.hosts().contains(host) => match known(host) {
            Some((deployment, last)) => {
                Ok(Wanted::Absent(Box::new((deployment, Absence::Moved(module.manifest.hosts().to_vec()), last))))
            }
            None => {
                let hosts = list(module.manifest.hosts());
                let fact = format!("{} does not run on {host} in {merge}, but on {hosts}", ask.module);
                refuse(Code::UnknownHost, fact, "name one of its hosts, or merge a pull request that adds this one")
            }
        },
        (Some(Ok(module)), _) => Ok(Wanted::Present(Box::new(module))),
        (None, host) => {
            let mut runs = status.iter().flat_map(|status| status.runs_on()).map(|(host, _)| host);
            match host.or_else(|| runs.next()).and_then(known) {
                Some((deployment, last)) => Ok(Wanted::Absent(Box::new((deployment, Absence::Deleted, last)))),
                None => {
                    let fix = "the modules are the folders below modules/; correct the name, or merge the pull request \
                               that adds it";
                    let fact = format!("there is no module `{}` in {merge}", ask.module);
                    Err(manifests::unknown(snapshot, ask.module, fact, fix)?.into())
                }
            }
        }
    }
}

/// The host that is meant: the one that was named, or the only one.
fn chosen(ask: &Bind<'_>, module: &Module, merge: Oid) -> Stage<HostName> {
    match (ask.host, module.manifest.hosts()) {
        (Some(host), _) | (None, [host]) => Ok(host.clone()),
        (None, hosts) => {
            let fact = format!("{} runs on several hosts in {merge}: {}", ask.module, list(hosts));
            let fix = hosts.first().map_or_else(String::new, |first| format!("name one of them: --host {first}"));
            refuse(Code::UnknownHost, fact, fix)
        }
    }
}

fn list(hosts: &[HostName]) -> String {
    hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
}

/// Binds the approval of a removal.
fn absent(
    ask: &Bind<'_>,
    approved: &Approved,
    status: Option<&ModuleStatus>,
    (deployment, why, last): (Deployment, Absence, HostStatus),
) -> Stage<Bound> {
    let footprints = Footprints::new(ask.candidates.source, ask.module, Some(&deployment.host));
    let past = Past::of(status, &deployment.host);
    let mut refusals = Vec::new();
    let scope = taken(coverage::coverage(&ask.candidates, approved, &footprints, &past), &mut refusals)?;
    refusals.extend(coverage::superseded(&ask.candidates, approved, &footprints)?);
    if !refusals.is_empty() {
        refusals.insert(0, bound::gone(&deployment, &why, approved.relation().merge));
    }
    unless(refusals)?;
    let approval = proof(approved, scope.unwrap_or_default());
    Ok(Bound::Absent(Box::new(Absent { approval, deployment, why, last })))
}

/// The module as it is applied, if it can be read; a plan's reasons are differences from it.
fn before(source: &dyn Source, id: &ModuleId, applied: Option<Oid>) -> Answer<Option<Module>> {
    match applied {
        Some(merge) if source.has(merge)? => {
            let snapshot = Snapshot::lazy(source, source.commit(merge)?.tree);
            Ok(manifests::module(&snapshot, id)?.and_then(Result::ok))
        }
        Some(_) | None => Ok(None),
    }
}

/// The approval as it is recorded.
fn proof(approved: &Approved, coverage: Coverage) -> Approval {
    let Coverage { covers, adopted, baseline, reviews } = coverage;
    let mut approval = Approval { baseline, ..approved.recorded(covers, adopted) };
    approval.reviews.extend(reviews);
    approval
}

/// A stage's product, with its reasons collected instead of ending everything.
fn taken<T>(stage: Stage<T>, refusals: &mut Vec<Refusal>) -> Stage<Option<T>> {
    match stage {
        Ok(value) => Ok(Some(value)),
        Err(Stop::Refused(found)) => {
            refusals.extend(found);
            Ok(None)
        }
        Err(failed) => Err(failed),
    }
}

/// How many paths a refusal names.
const NAMED: usize = 10;

fn names(paths: &[String]) -> String {
    let more = paths.len().saturating_sub(NAMED);
    let mut text = paths.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}

/// Compares HEAD and the files on disk with M, for every path of the closure. The index is not asked.
fn checkout(ask: &Bind<'_>, approved: &Approved, module: &Module) -> Answer<Vec<Refusal>> {
    let source = ask.candidates.source;
    let relation = approved.relation();
    let Some(head) = ask.checkout.head()? else {
        return Ok(Vec::new());
    };
    let head_tree = source.commit(head)?.tree;
    let (mut differs, mut dirty) = (Vec::new(), Vec::new());
    for file in &module.closure.files {
        let mode = if file.mode == FileMode::Executable { Mode::Executable } else { Mode::File };
        let wanted = Entry { mode, id: file.blob };
        if source.entry(head_tree, &file.path)? != Some(wanted) {
            differs.push(file.path.to_string());
        } else if ask.checkout.on_disk(&file.path)? != OnDisk::File(wanted) {
            dirty.push(file.path.to_string());
        }
    }
    dirty.extend(untracked(ask.checkout, module)?);
    let mut refusals = Vec::new();
    if ask.policy.policy.approval.checkout == CheckoutPolicy::Strict && head != relation.head && head != relation.merge
    {
        refusals.push(Refusal::new(
            Code::CheckoutDiffers,
            format!("HEAD is {head}; approval.checkout is strict"),
            format!("git checkout {}", relation.merge),
        ));
    }
    if !differs.is_empty() {
        refusals.push(Refusal::new(
            Code::CheckoutDiffers,
            format!("the checked-out files differ from what was merged: {}", names(&differs)),
            format!("git checkout {}; or say --no-checkout-binding", relation.merge),
        ));
    }
    if !dirty.is_empty() {
        refusals.push(Refusal::new(
            Code::CheckoutDirty,
            format!("files on disk differ from what was merged: {}", names(&dirty)),
            "git status; commit them on a branch or put them away; or say --no-checkout-binding",
        ));
    }
    Ok(refusals)
}

/// Files on disk under the delivered folder that M does not have.
fn untracked(checkout: &dyn Checkout, module: &Module) -> Answer<Vec<String>> {
    let Some(folder) = &module.manifest.runtime.tree else {
        return Ok(Vec::new());
    };
    let known: BTreeSet<&RepoPath> = module.closure.files.iter().map(|file| &file.path).collect();
    let is_known = |raw: &[u8]| {
        let path = std::str::from_utf8(raw).ok().and_then(|raw| raw.parse::<RepoPath>().ok());
        path.is_some_and(|path| known.contains(&path))
    };
    let found = checkout.files_below(folder)?;
    Ok(found.iter().filter(|raw| !is_known(raw)).map(|raw| text::escaped_bytes(raw)).collect())
}
