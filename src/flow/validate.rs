//! Validate: everything that git alone can say about the repository's description, all of it at once.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    flow::{
        content::Content,
        leaks,
        repository::{self, Module, PolicyAt},
    },
    model::{
        doors::is_own,
        ids::{HostName, ModuleId},
        module::Driver,
        policy,
        problem::Problem,
        refusal::Code,
        sacred,
    },
    port::Answer,
};

/// What validate found.
#[derive(Debug, Default)]
pub struct Report {
    /// The modules looked at.
    pub modules: Vec<ModuleId>,
    /// Everything that is wrong, sorted by place.
    pub problems: Vec<Problem>,
    /// Secrets that stand in the repository, with the lines that move them.
    pub warnings: Vec<String>,
}

/// Validates the modules `only` (all if empty) and the policy.
///
/// # Errors
/// Objects that cannot be read.
pub fn validate(content: &Content<'_>, only: &[ModuleId]) -> Answer<Report> {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let policy = match repository::policy(content)? {
        Ok(policy) => Some(policy),
        Err(found) => {
            problems.extend(found);
            None
        }
    };
    let (ids, found) = repository::module_ids(content)?;
    if only.is_empty() {
        problems.extend(found);
    }
    let chosen = |id: &ModuleId| only.is_empty() || only.contains(id);
    let mut modules: BTreeMap<ModuleId, Module> = BTreeMap::new();
    for id in ids.iter().filter(|id| chosen(id)) {
        match repository::module(content, id)? {
            Some(Ok(module)) => drop(modules.insert(id.clone(), module)),
            Some(Err(found)) => problems.extend(found),
            None => {}
        }
    }
    let known: BTreeSet<&ModuleId> = ids.iter().collect();
    for module in modules.values() {
        references(content, module, policy.as_ref(), &known, &mut problems)?;
        let hosts = module.manifest.hosts();
        if let Some(policy) = &policy {
            problems.extend(hosts.iter().flat_map(|host| reaches(module, policy, host)));
        }
        let first = policy.as_ref().and_then(|policy| policy.policy.hosts.get(hosts.first()?));
        warnings.extend(leaks::warnings(content, module, first.map_or("ROOT", |host| host.root.as_str()))?);
    }
    if only.is_empty() {
        cycles(content, &modules, &mut problems)?;
        claims(content, &modules, &mut problems)?;
    }
    problems.sort();
    problems.dedup();
    Ok(Report { modules: ids.into_iter().filter(chosen).collect(), problems, warnings })
}

fn say(content: &Content<'_>, id: &ModuleId, path: &[&str], message: String, fix: &str) -> Answer<Problem> {
    let file = repository::manifest_path(id)?;
    let (line, column) = repository::place(content, &file, path)?;
    Ok(Problem { file: file.to_string(), line, column, code: Code::ManifestInvalid, message, fix: fix.to_owned() })
}

fn references(
    content: &Content<'_>,
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
        problems.push(say(content, &manifest.id, &place, message, "add it to `hosts:`, or name another")?);
    }
    for (at, after) in manifest.after.iter().enumerate() {
        if !known.contains(after) {
            let message = format!("there is no module `{after}` to come after");
            problems.push(say(
                content,
                &manifest.id,
                &["after", &at.to_string()],
                message,
                "correct the name, or remove it",
            )?);
        }
    }
    Ok(())
}

/// What a compose module reaches on one of its hosts, as far as the source says it. The rendered model is judged again before it runs.
pub fn reaches(module: &Module, policy: &PolicyAt, host: &HostName) -> Vec<Problem> {
    let id = &module.manifest.id;
    let Some(host) = policy.policy.hosts.get(host) else {
        return Vec::new();
    };
    let sacred_policy = &policy.policy.sacred;
    let mut found = Vec::new();
    for (file, service) in &module.services {
        let mut note = |refusal: Option<crate::model::refusal::Refusal>, at: (usize, usize)| {
            found.extend(refusal.map(|refusal| Problem {
                file: file.to_string(),
                line: at.0,
                column: at.1,
                code: refusal.code,
                message: refusal.fact,
                fix: refusal.fix,
            }));
        };
        for (path, writable, at) in &service.binds {
            note(sacred::bind(id, path, *writable, sacred_policy, host, &service.name), *at);
        }
        let own = |name: &str| module.rendering.services.iter().any(|own| own.as_str() == name);
        for (door, at) in service.doors.iter().filter(|(door, _)| !is_own(door, own)) {
            note(sacred::door(id, door, sacred_policy, &service.name), *at);
        }
    }
    found
}

fn cycles(content: &Content<'_>, modules: &BTreeMap<ModuleId, Module>, problems: &mut Vec<Problem>) -> Answer<()> {
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
                problems.push(say(content, after, &["after"], message, "remove one of them")?);
                done.insert(after);
            } else if !done.contains(after) && modules.contains_key(after) {
                path.push((after, 0));
            }
        }
    }
    Ok(())
}

/// Two modules may not claim one service of one project, nor mix drivers under one live folder.
fn claims(content: &Content<'_>, modules: &BTreeMap<ModuleId, Module>, problems: &mut Vec<Problem>) -> Answer<()> {
    let mut claimed: BTreeMap<(String, String, String), &ModuleId> = BTreeMap::new();
    for (id, module) in modules {
        let manifest = &module.manifest;
        if manifest.runtime.driver != Driver::Compose {
            continue;
        }
        let project = manifest.runtime.project.as_ref().map(ToString::to_string).unwrap_or_default();
        let services = module.services.iter().map(|(_, service)| service);
        for (host, service) in manifest.hosts().iter().flat_map(|host| services.clone().map(move |one| (host, one))) {
            let key = (host.to_string(), project.clone(), service.name.to_string());
            if let Some(other) = claimed.insert(key, id).filter(|other| *other != id) {
                let message = format!("the service `{}` of project {project} is claimed by {other} too", service.name);
                problems.push(say(content, id, &["runtime", "services"], message, "list the services of each module")?);
            }
        }
    }
    Ok(())
}
