//! Validate: everything that can be checked with git alone, all of it at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    flow::Stage,
    model::{
        ids::{HostName, ModuleId},
        policy,
        problem::Problem,
        refusal::Code,
    },
    port::Answer,
    tree::{
        doors::reaches,
        leaks, manifests,
        module::{Module, PolicyAt},
        place,
        snapshot::Snapshot,
    },
};

/// What validate found.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Validated {
    /// The modules looked at.
    pub modules: Vec<ModuleId>,
    /// Everything that is wrong, sorted by place.
    pub problems: Vec<Problem>,
    /// Secrets in the repository, with the commands that move them.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// Validates the modules that a person named (all if none), each of which must exist.
///
/// # Errors
/// A module does not exist, or objects cannot be read.
pub fn named(snapshot: &Snapshot<'_>, only: &[ModuleId]) -> Stage<Validated> {
    let found = validate(snapshot, only)?;
    match only.iter().find(|id| !found.modules.contains(id)) {
        Some(missing) => {
            let fact = format!("there is no module `{missing}` (no modules/{missing}/module.yaml)");
            Err(manifests::unknown(snapshot, missing, fact, "the modules are the folders below modules/")?.into())
        }
        None => Ok(found),
    }
}

/// Validates the modules `only` (all if empty) and the policy.
///
/// # Errors
/// Objects that cannot be read.
pub fn validate(snapshot: &Snapshot<'_>, only: &[ModuleId]) -> Answer<Validated> {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let policy = match manifests::policy(snapshot)? {
        Ok(policy) => Some(policy),
        Err(found) => {
            problems.extend(found);
            None
        }
    };
    let (ids, found) = manifests::module_ids(snapshot)?;
    if only.is_empty() {
        problems.extend(found);
    }
    let chosen = |id: &ModuleId| only.is_empty() || only.contains(id);
    let mut modules: BTreeMap<ModuleId, Module> = BTreeMap::new();
    for id in ids.iter().filter(|id| chosen(id)) {
        match manifests::module(snapshot, id)? {
            Some(Ok(module)) => drop(modules.insert(id.clone(), module)),
            Some(Err(found)) => problems.extend(found),
            None => {}
        }
    }
    let known: BTreeSet<&ModuleId> = ids.iter().collect();
    for module in modules.values() {
        references(snapshot, module, policy.as_ref(), &known, &mut problems)?;
        let hosts = module.manifest.hosts();
        if let Some(policy) = &policy {
            problems.extend(hosts.iter().flat_map(|host| reaches(module, policy, host)));
        }
        let first = policy.as_ref().and_then(|policy| policy.policy.hosts.get(hosts.first()?));
        warnings.extend(leaks::warnings(snapshot, module, first.map_or("ROOT", |host| host.root.as_str()))?);
    }
    if only.is_empty() {
        cycles(snapshot, &modules, &mut problems)?;
        claims(snapshot, &modules, &mut problems)?;
    }
    problems.sort();
    problems.dedup();
    Ok(Validated { modules: ids.into_iter().filter(chosen).collect(), problems, warnings })
}

fn say(snapshot: &Snapshot<'_>, id: &ModuleId, path: &[&str], message: String, fix: &str) -> Answer<Problem> {
    let file = place::manifest_path(id)?;
    let (line, column) = place::place(snapshot, &file, path)?;
    Ok(Problem { file: file.to_string(), line, column, code: Code::ManifestInvalid, message, fix: fix.to_owned() })
}

fn references(
    snapshot: &Snapshot<'_>,
    module: &Module,
    policy: Option<&PolicyAt>,
    known: &BTreeSet<&ModuleId>,
    problems: &mut Vec<Problem>,
) -> Answer<()> {
    let manifest = &module.manifest;
    let unknown = |host: &HostName| policy.is_some_and(|policy| !policy.policy.hosts.contains_key(host));
    for (at, host) in manifest.hosts().iter().enumerate().filter(|(_, host)| unknown(host)) {
        let message = format!("the host `{host}` is not in {}", policy::PATH);
        let place = manifest.host_place(at);
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        problems.push(say(snapshot, &manifest.id, &place, message, "add it to `hosts:`, or name another")?);
    }
    for (at, after) in manifest.after.iter().enumerate() {
        if !known.contains(after) {
            let message = format!("there is no module `{after}` to come after");
            problems.push(say(
                snapshot,
                &manifest.id,
                &["after", &at.to_string()],
                message,
                "correct the name, or remove it",
            )?);
        }
    }
    Ok(())
}

fn cycles(snapshot: &Snapshot<'_>, modules: &BTreeMap<ModuleId, Module>, problems: &mut Vec<Problem>) -> Answer<()> {
    let mut done = BTreeSet::new();
    for start in modules.keys() {
        // Depth first, with an explicit path: a long chain is no deep recursion.
        let mut path: Vec<(&ModuleId, usize)> = vec![(start, 0)];
        while let Some((id, next)) = path.last_mut() {
            let id: &ModuleId = id;
            let after = modules.get(id).and_then(|module| module.manifest.after.get(*next));
            *next += 1;
            let Some(after) = after.filter(|_| !done.contains(id)) else {
                done.insert(id);
                path.pop();
                continue;
            };
            if let Some(at) = path.iter().position(|(each, _)| *each == after) {
                let ring: Vec<&str> =
                    path[at..].iter().map(|(each, _)| each.as_str()).chain([after.as_str()]).collect();
                let message = format!("a cycle: {}", ring.join(" after "));
                problems.push(say(snapshot, after, &["after"], message, "remove one of them")?);
                done.insert(after);
            } else if !done.contains(after) && modules.contains_key(after) {
                path.push((after, 0));
            }
        }
    }
    Ok(())
}

/// Two modules may not claim one service of one project, nor mix drivers under one live folder.
fn claims(snapshot: &Snapshot<'_>, modules: &BTreeMap<ModuleId, Module>, problems: &mut Vec<Problem>) -> Answer<()> {
    let mut claimed: BTreeMap<(String, String, String), &ModuleId> = BTreeMap::new();
    for (id, module) in modules {
        let manifest = &module.manifest;
        let Some(project) = manifest.runtime.project.as_ref().map(ToString::to_string) else { continue };
        let services = module.services.iter().map(|(_, service)| service);
        for (host, service) in manifest.hosts().iter().flat_map(|host| services.clone().map(move |one| (host, one))) {
            let key = (host.to_string(), project.clone(), service.name.to_string());
            if let Some(other) = claimed.insert(key, id).filter(|other| *other != id) {
                let message = format!("the service `{}` of project {project} is claimed by {other} too", service.name);
                problems.push(say(
                    snapshot,
                    id,
                    &["runtime", "services"],
                    message,
                    "list the services of each module",
                )?);
            }
        }
    }
    Ok(())
}
