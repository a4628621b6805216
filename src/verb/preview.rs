//! Preview: a plan from git and the record alone. Unmerged content never reaches a host, and compose is not rendered anywhere.

use std::collections::BTreeMap;

use crate::{
    flow::{Stage, Stop, bind::bound},
    ledger::state::State,
    model::{
        digest::Digest,
        ids::{ModuleId, Oid},
        json,
        module::Driver,
        plan::{Action, Change, Data, Downtime, Intention},
        problem::Problem,
        refusal::{Code, Refusal},
    },
    port::{PortError, Source},
    runtime::files::{self, Live},
    tree::{
        doors, leaks, manifests,
        module::{Module, PolicyAt},
        snapshot::Snapshot,
    },
};

/// What is previewed.
#[derive(Debug, Clone, Copy)]
pub struct Version {
    /// The tree.
    pub tree: Oid,
    /// The pull request, if it is one.
    pub pr: Option<u64>,
    /// Its head.
    pub head: Option<Oid>,
    /// Its merge result, if it is merged.
    pub merge: Option<Oid>,
}

/// Plans a module of a tree against what the record says is applied; with the reasons why it could not be applied after a merge, and
/// with what is said of secrets in it.
///
/// # Errors
/// The module does not hold, or objects cannot be read.
pub fn preview(
    source: &dyn Source,
    state: Option<&State<'_>>,
    policy: &PolicyAt,
    version: &Version,
    id: &ModuleId,
) -> Stage<(Intention, Vec<Refusal>, Vec<String>)> {
    let snapshot = Snapshot::lazy(source, version.tree);
    let module = match manifests::module(&snapshot, id)? {
        Some(Ok(module)) => module,
        Some(Err(problems)) => return Err(Stop::Refused(problems.into_iter().map(Problem::into_refusal).collect())),
        None => {
            let fix = format!("the modules are the folders below modules/; if {id} is in a pull request: --pr N");
            return Err(manifests::unknown(&snapshot, id, format!("there is no module `{id}` in it"), &fix)?.into());
        }
    };
    let last = state.map(|state| state.module(id)).transpose()?.flatten();
    let applied = match last.as_ref().and_then(|last| last.last_apply_sha) {
        Some(merge) if source.has(merge)? => {
            let snapshot = Snapshot::lazy(source, source.commit(merge)?.tree);
            manifests::module(&snapshot, id)?.and_then(Result::ok)
        }
        Some(_) | None => None,
    };
    let changes = match module.manifest.runtime.driver {
        Driver::Files => of_files(&module, applied.as_ref()),
        Driver::Compose => of_services(&module, applied.as_ref())?,
    };
    let refusals = doors::reaches(&module, policy).into_iter().map(Problem::into_refusal).collect();
    let intention = Intention {
        module: id.clone(),
        host: module.manifest.host.clone(),
        pr: version.pr,
        head: version.head,
        merge: version.merge,
        policy: policy.blob,
        closure: module.closure.digest,
        effective: module.closure.effective,
        override_: None,
        model: None,
        last_applied: last.and_then(|last| last.last_apply_sha),
        changes,
        exceptions: Vec::new(),
    };
    let root = policy.policy.hosts.get(&module.manifest.host).map_or("ROOT", |host| host.root.as_str());
    let warnings = leaks::warnings(&snapshot, &module, root)?;
    Ok((intention, refusals, warnings))
}

fn of_files(module: &Module, applied: Option<&Module>) -> Vec<Change> {
    let wanted = bound::release_listing(&module.manifest, &module.closure);
    let live = applied.map_or(Live::None, |applied| Live::Release {
        name: applied.closure.digest.hex(),
        files: bound::release_listing(&applied.manifest, &applied.closure),
        odd: 0,
    });
    files::changes(&wanted, &live)
}

/// By service: the digest of its definition, and those of its files by path.
type Services = BTreeMap<String, (Digest, BTreeMap<String, Digest>)>;

fn services(module: &Module) -> Stage<Services> {
    let unfit = |error: json::CanonicalError| {
        PortError::new(Code::Bug, "a service has no canonical form", "please report this").because(error)
    };
    let mut found = BTreeMap::new();
    for (name, own) in &module.owned {
        let concerned =
            |file: &&crate::model::closure::ClosureFile| own.files.iter().any(|path| file.path.is_within(path));
        let files = module.closure.files.iter().filter(concerned).map(|file| (file.path.to_string(), file.sha256));
        found.insert(name.to_string(), (json::digest(&own.written).map_err(unfit)?, files.collect()));
    }
    Ok(found)
}

fn of_services(module: &Module, applied: Option<&Module>) -> Stage<Vec<Change>> {
    let wanted = services(module)?;
    let now = applied.map(services).transpose()?.unwrap_or_default();
    let change = |service: &str, action, reasons: Vec<String>, downtime| Change {
        service: service.to_owned(),
        action,
        reasons,
        downtime,
        data: Data::None,
    };
    let mut changes = Vec::new();
    for (name, (definition, files)) in &wanted {
        let Some((old, old_files)) = now.get(name) else {
            changes.push(change(name, Action::Create, vec!["new".to_owned()], Downtime::None));
            continue;
        };
        let mut reasons = Vec::new();
        if old != definition {
            reasons.push("definition".to_owned());
        }
        let differing = files.iter().filter(|(path, sha256)| old_files.get(*path) != Some(*sha256));
        reasons.extend(differing.map(|(path, _)| format!("config:{path}")));
        reasons.extend(old_files.keys().filter(|path| !files.contains_key(*path)).map(|path| format!("config:{path}")));
        if !reasons.is_empty() {
            changes.push(change(name, Action::Recreate, reasons, Downtime::Restart));
        }
    }
    for name in now.keys().filter(|name| !wanted.contains_key(*name)) {
        changes.push(change(name, Action::Remove, vec!["gone".to_owned()], Downtime::StopFirst));
    }
    Ok(changes)
}
