//! Bind: an approval meets one module. Snapshot is read from M, the policy from P, the parent state from the record; the checkout is
//! compared with M and never read for content.

pub mod bound;

use std::collections::BTreeSet;

use crate::{
    flow::{
        Stage, Stop,
        approve::{
            Approved, Candidates,
            coverage::{self, Coverage},
        },
        bind::bound::Bound,
        refuse, unless,
    },
    ledger::state::State,
    model::{
        approval::Approval,
        ids::{ModuleId, Oid},
        path::RepoPath,
        policy::CheckoutPolicy,
        problem::Problem,
        refusal::{Code, Refusal},
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
    /// What is waived.
    pub waivers: Waivers,
}

/// Binds an approval to a module.
///
/// # Errors
/// Every reason that bind finds, at once.
pub fn bind(ask: &Bind<'_>, approved: Approved) -> Stage<Bound> {
    let source = ask.candidates.source;
    let relation = approved.relation().clone();
    let snapshot = Snapshot::lazy(source, relation.tree);
    let module = module_at(&snapshot, ask.module, relation.merge)?;
    let host = &module.manifest.host;
    let Some(host_policy) = ask.policy.policy.hosts.get(host) else {
        return refuse(
            Code::UnknownHost,
            format!("platform.yaml on the base has no host `{host}`"),
            "merge a pull request that adds it",
        );
    };
    let last = ask.state.map(|state| state.module(ask.module)).transpose()?.flatten();
    let footprints = Footprints::new(source, ask.module);
    let mut refusals: Vec<Refusal> =
        doors::reaches(&module, ask.policy).into_iter().map(Problem::into_refusal).collect();
    let mut waived = Vec::new();
    let applied = last.as_ref().and_then(|last| last.last_apply_sha);
    let coverage = taken(coverage::coverage(&ask.candidates, &approved, &footprints, applied), &mut refusals)?;
    match coverage::superseded(&ask.candidates, &approved, &footprints)? {
        Some(_) if ask.waivers.older => waived.push("superseded".to_owned()),
        found => refusals.extend(found),
    }
    let checkout = if ask.checkout.head()?.is_none() {
        "none"
    } else if ask.waivers.checkout {
        waived.push("checkout".to_owned());
        "waived"
    } else {
        refusals.extend(checkout(ask, &approved, &module)?);
        "bound"
    };
    unless(refusals)?;
    let approval = proof(&approved, coverage.unwrap_or_default());
    Ok(Bound {
        approval,
        before: before(source, ask.module, applied)?,
        module,
        host: host_policy.clone(),
        sacred: ask.policy.policy.sacred.clone(),
        policy_blob: ask.policy.blob,
        last,
        checkout,
        waived,
    })
}

/// The module as it is applied, if it can be read: reasons are told against it.
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
    let Coverage { covers, adopted, baseline } = coverage;
    Approval { baseline, ..approved.relation().recorded(approved.pr(), covers, adopted) }
}

/// Reads a module at M.
fn module_at(snapshot: &Snapshot<'_>, id: &ModuleId, merge: Oid) -> Stage<Module> {
    match manifests::module(snapshot, id)? {
        Some(Ok(module)) => Ok(module),
        Some(Err(problems)) => Err(Stop::Refused(problems.into_iter().map(Problem::into_refusal).collect())),
        None => {
            let fix =
                "the modules are the folders below modules/; correct the name, or merge the pull request that adds it";
            Err(manifests::unknown(snapshot, id, format!("there is no module `{id}` in {merge}"), fix)?.into())
        }
    }
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
        let mode = if file.mode == "100755" { Mode::Executable } else { Mode::File };
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
            format!("what is checked out is not what was merged: {}", names(&differs)),
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
