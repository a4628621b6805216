//! What a module accesses on its host according to its source, compared with the policy.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    model::{
        doors::is_own,
        ids::HostName,
        policy::{HostPolicy, SacredPolicy},
        problem::Problem,
        sacred,
    },
    tree::module::{Module, PolicyAt},
};

/// What a compose module accesses on one of its hosts according to its source. The rendered model is judged again
/// before it runs.
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

/// The doors to the host that a module opens by its source, as people read them. Every bind that takes an `allow` entry
/// is one, and so is every command that driver `files` runs there.
fn opened(sacred: &SacredPolicy, host: &HostPolicy, module: &Module) -> BTreeSet<String> {
    let closed = SacredPolicy { allow: Vec::new(), ..sacred.clone() };
    let id = &module.manifest.id;
    let own = |name: &str| module.rendering.services.iter().any(|own| own.as_str() == name);
    let mut found = BTreeSet::new();
    for (_, service) in &module.services {
        for (path, writable, _) in &service.binds {
            if sacred::bind(id, path, *writable, &closed, host, &service.name).is_some() {
                found.insert(format!("{path} ({})", if *writable { "rw" } else { "ro" }));
            }
        }
        found.extend(service.doors.iter().map(|(door, _)| door).filter(|door| !is_own(door, own)).cloned());
    }
    found.extend(module.manifest.runtime.activate.iter().map(|argv| format!("runs {}", argv.join(" "))));
    found
}

/// What a module's volumes and networks are, as written: some doors are only known once they are rendered.
fn uses(module: &Module) -> BTreeMap<String, Value> {
    module.written().into_iter().map(|(name, written)| (name, written["uses"].clone())).collect()
}

/// The doors that a module opens on a host and its applied release (`before`) does not. `rendered`: those of the rendered
/// model; of those that no service names, each is new where a service uses other volumes or networks than before.
pub fn new(
    (module, before): (&Module, Option<&Module>),
    (sacred, host): (&SacredPolicy, &HostPolicy),
    rendered: &[String],
) -> BTreeSet<String> {
    let now = opened(sacred, host, module);
    let known = before.map(|before| opened(sacred, host, before)).unwrap_or_default();
    let same = before.is_some_and(|before| uses(before) == uses(module));
    let beside = rendered.iter().filter(|door| !now.contains(*door) && !same);
    now.difference(&known).chain(beside).cloned().collect()
}
