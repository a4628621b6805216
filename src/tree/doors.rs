//! What a module accesses on its host according to its source, compared with the policy.

use crate::{
    model::{doors::is_own, ids::HostName, problem::Problem, sacred},
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
