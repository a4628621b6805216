//! The forms in which a compose file can write the same thing.

use std::collections::BTreeSet;

use super::Service;
use crate::model::{path::RepoPath, yaml::Node};

/// Where the files lie that never are in git.
const SECRETS: &str = "${PLATFORM_SECRETS}/";

/// What a service extends in its own file becomes its own, through any number of steps.
pub(super) fn inherit(services: &mut [Service]) {
    let all = services.to_vec();
    for service in services {
        let mut seen = BTreeSet::from([service.name.to_string()]);
        let mut next = service.extends.clone();
        while let Some(base) = next.filter(|name| seen.insert(name.clone())) {
            let Some(base) = all.iter().find(|each| each.name == base) else { break };
            service.refs.take(base.refs.clone());
            service.files.extend(base.files.iter().cloned());
            service.binds.extend(base.binds.iter().cloned());
            service.doors.extend(base.doors.iter().cloned());
            service.secrets.extend(base.secrets.iter().cloned());
            service.env_secrets.extend(base.env_secrets.iter().cloned());
            service.exposed.extend(base.exposed.iter().cloned());
            service.variables.extend(base.variables.iter().cloned());
            next = base.extends.clone();
        }
    }
}

pub(super) fn words(node: &Node) -> Option<String> {
    node.text().map(str::to_owned)
}

/// The file below `${PLATFORM_SECRETS}/` that is meant, without any other variable in its path.
pub(super) fn below_secrets(source: &str) -> Option<RepoPath> {
    source.strip_prefix(SECRETS).filter(|rest| !rest.contains('$'))?.parse().ok()
}

/// The items of a sequence, or the one value itself.
pub(super) fn one_or_many(node: &Node) -> Vec<&Node> {
    if node.items().is_empty() { vec![node] } else { node.items().iter().collect() }
}

/// Every text with a dollar sign, and its place.
pub(super) fn variables(node: &Node, found: &mut Vec<(String, (usize, usize))>) {
    if let Some(text) = node.text().filter(|text| text.contains('$')) {
        found.push((text.to_owned(), (node.line, node.column)));
    }
    node.items().iter().chain(node.entries().iter().map(|(_, value)| value)).for_each(|inner| variables(inner, found));
}

/// The source of a volume in short form and whether it is writable; `None` where it is no bind.
pub(super) fn short(text: &str) -> Option<(String, String, bool)> {
    let after_variable = text.rfind('}').map_or(0, |at| at + 1);
    let colon = text[after_variable..].find(':')? + after_variable;
    let (source, rest) = (&text[..colon], &text[colon + 1..]);
    let bind = source.starts_with(['/', '.', '~', '$']) || source.contains('/');
    let read_only = rest.split(':').skip(1).any(|options| options.split(',').any(|option| option == "ro"));
    let target = rest.split(':').next().unwrap_or_default();
    bind.then(|| (source.to_owned(), target.to_owned(), !read_only))
}
