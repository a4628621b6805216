//! What has to change so that what runs becomes what was rendered, and what that does to data.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

use serde_json::{Map, Value};

use super::{container::Container, look::Looked, overlay::Overlay};
use crate::model::{
    cause::Cause,
    ids::ModuleId,
    module::DataAction,
    names::ComposeName,
    path::HostPath,
    plan::{Action, Change, Data, Downtime},
    projection::{Follow, Network, Service},
};

/// Data that a change would drop or replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Risk {
    /// The volume, path, or service (for an upgrade) as an `acknowledge` entry names it.
    pub data: String,
    /// What would happen to it.
    pub action: DataAction,
    /// The service.
    pub service: String,
}

/// What is compared with what runs.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The module.
    pub module: &'a ModuleId,
    /// Its project.
    pub project: &'a str,
    /// The root on its host.
    pub root: &'a HostPath,
    /// Its services in the final model.
    pub services: &'a BTreeMap<String, Service>,
    /// Services that end with exit 0.
    pub jobs: &'a [ComposeName],
    /// The override.
    pub overlay: &'a Overlay,
    /// Image ids by name.
    pub images: &'a BTreeMap<String, Option<String>>,
    /// Names of the images as rendered, by service.
    pub named: &'a BTreeMap<String, String>,
    /// Volumes' names on the host, by their keys in the model.
    pub volumes: &'a BTreeMap<String, String>,
    /// The model's networks, by key.
    pub networks: &'a BTreeMap<String, Network>,
    /// The services as they are written now, and as they were written in what is applied.
    pub written: (&'a BTreeMap<String, Value>, &'a BTreeMap<String, Value>),
    /// Jobs are run again, and everything else as it needs.
    pub again: bool,
}

/// What changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// In the order of services' names; those that go away last.
    pub changes: Vec<Change>,
    /// What that does to data.
    pub risks: Vec<Risk>,
    /// Ids of the containers that go away.
    pub remove: Vec<String>,
    /// Keys of the networks that are recreated, with everything on them.
    pub networks: BTreeSet<String>,
    /// Services that Compose would start as they are, but that can start only if they are recreated.
    pub anew: Vec<String>,
}

/// Compares.
pub fn changes(wanted: &Wanted<'_>, seen: &Looked) -> Changes {
    let mut out = Changes { networks: wanted.networks_anew(seen), ..Changes::default() };
    for (name, service) in wanted.services {
        let there: Vec<&Container> =
            seen.containers.iter().filter(|container| container.is_of(wanted.project, name)).collect();
        let risks = wanted.risks(name, service, &there);
        if let Some((action, reasons)) = wanted.action(name, service, &there, seen, &out.networks) {
            let downtime = match action {
                // It is stopped while its network is recreated.
                Action::Start if reasons.iter().any(|reason| matches!(reason, Cause::Network(_))) => Downtime::Restart,
                Action::Create | Action::None | Action::Start => Downtime::None,
                Action::Adopt | Action::Recreate | Action::Remove => Downtime::Restart,
            };
            let data = if risks.is_empty() { Data::None } else { Data::AtRisk };
            if action == Action::Recreate && !wanted.left(service, &there, seen).is_empty() {
                out.anew.push(name.clone());
            }
            out.changes.push(Change { service: name.clone(), action, reasons, downtime, data });
            out.risks.extend(risks);
        }
    }
    wanted.followers(&mut out.changes);
    let ours = |container: &&Container| {
        container.project == wanted.project
            && container.module == wanted.module.as_str()
            && container.root == wanted.root.as_str()
            && !wanted.services.contains_key(&container.service)
    };
    let gone: Vec<&Container> = seen.containers.iter().filter(ours).collect();
    out.remove = gone.iter().map(|container| container.id.clone()).collect();
    for service in gone.iter().map(|container| &container.service).collect::<BTreeSet<_>>() {
        out.changes.push(Change {
            service: service.clone(),
            action: Action::Remove,
            reasons: vec![Cause::Gone],
            downtime: Downtime::StopFirst,
            data: Data::None,
        });
    }
    out
}

impl Wanted<'_> {
    /// Networks of the project that are not as described any more. Compose removes such a network and makes it anew,
    /// which it can only do with everything on it stopped: all services on it go along.
    fn networks_anew(&self, seen: &Looked) -> BTreeSet<String> {
        let written = |written: &BTreeMap<String, Value>, key: &str| {
            let of = |service: &Value| service.get("uses")?.get(format!("networks/{key}")).cloned();
            written.values().find_map(of)
        };
        let own = self.networks.iter().filter(|(_, network)| !network.external);
        let there = own.filter_map(|(key, network)| Some((key, network, seen.network(&network.name)?)));
        let anew = there.filter(|(key, network, there)| {
            // What is no longer described shows in what was described before.
            let (now, before) = (written(self.written.0, key), written(self.written.1, key));
            there.project() == self.project && (there.differs(network) || (!self.written.1.is_empty() && now != before))
        });
        anew.map(|(key, _, _)| key.clone()).collect()
    }

    /// Services that are recreated or restarted with another one.
    fn followers(&self, changes: &mut Vec<Change>) {
        loop {
            let anew: BTreeSet<String> = changes
                .iter()
                .filter(|change| matches!(change.action, Action::Adopt | Action::Recreate))
                .map(|change| change.service.clone())
                .collect();
            let known = changes.len();
            let mut grown = false;
            for (name, service) in self.services {
                let mut follows = service.follows.iter().filter(|(of, _)| anew.contains(*of));
                // A job that ended is not run again because of others.
                let ended = self.jobs.iter().any(|job| job == name);
                let Some((of, follow)) = follows.find(|(_, follow)| !(ended && **follow == Follow::Restart)) else {
                    continue;
                };
                let at = changes.iter().position(|change| change.service == *name);
                let (action, reason) = match follow {
                    Follow::Namespace => (Action::Recreate, Cause::Service(of.clone())),
                    Follow::Restart => (Action::Start, Cause::DependsOn(of.clone())),
                };
                let change = Change {
                    service: name.clone(),
                    action,
                    reasons: vec![reason],
                    downtime: Downtime::Restart,
                    data: Data::None,
                };
                match at {
                    None => changes.push(change),
                    // One that would only be started must be recreated.
                    Some(at) if action == Action::Recreate && changes[at].action == Action::Start => {
                        changes[at] = change;
                        grown = true;
                    }
                    Some(_) => {}
                }
            }
            if changes.len() == known && !grown {
                break;
            }
        }
        changes.sort_by(|a, b| a.service.cmp(&b.service));
    }

    fn action(
        &self,
        name: &str,
        service: &Service,
        there: &[&Container],
        seen: &Looked,
        anew: &BTreeSet<String>,
    ) -> Option<(Action, Vec<Cause>)> {
        let job = self.jobs.iter().any(|job| job.as_str() == name);
        let Some(first) = there.first() else {
            return (service.replicas > 0).then(|| (Action::Create, vec![Cause::New]));
        };
        let named = self.named.get(name);
        let image = named.and_then(|named| self.images.get(named)).cloned().flatten();
        let hash = seen.hashes.get(name);
        let other_image = there.iter().any(|container| image.as_ref() != Some(&container.image));
        let other_hash = there.iter().any(|container| hash != Some(&container.hash));
        let networks: Vec<Cause> = service.networks.intersection(anew).cloned().map(Cause::Network).collect();
        if other_image || other_hash {
            let mut reasons = networks;
            if other_image {
                reasons.push(Cause::Image);
            }
            reasons.extend(self.contents(name, first));
            if other_hash && first.module == self.module.as_str() {
                let differing = definition(self.written.0.get(name), self.written.1.get(name));
                reasons.extend(differing.into_iter().filter(|reason| *reason != Cause::Image || !other_image));
            }
            if reasons.is_empty() {
                reasons.push(Cause::Configuration);
            }
            let action = if there.iter().any(|container| container.module.is_empty()) {
                Action::Adopt
            } else {
                Action::Recreate
            };
            return Some((action, reasons));
        }
        let left = self.left(service, there, seen);
        if !left.is_empty() {
            return Some((Action::Recreate, left));
        }
        if !networks.is_empty() {
            return Some((Action::Start, networks));
        }
        if there.len() as u64 != service.replicas {
            return Some((Action::Start, vec![Cause::Replicas(service.replicas)]));
        }
        if job && self.again {
            return Some((Action::Start, vec![Cause::Again]));
        }
        let stands = |container: &&&Container| match container.status.as_str() {
            "running" => true,
            "exited" => job && container.exit == 0,
            // The engine is restarting it: the verification finds out whether it succeeds.
            "restarting" => !job,
            _ => false,
        };
        let fallen = there.iter().find(|container| !stands(container))?;
        Some((Action::Start, vec![Cause::State(fallen.status.clone())]))
    }

    /// Networks that were recreated or removed although containers were made for them: those containers can no longer
    /// be started.
    fn left(&self, service: &Service, there: &[&Container], seen: &Looked) -> Vec<Cause> {
        let gone = |key: &&String| {
            let Some(network) = self.networks.get(*key) else { return false };
            let id = seen.network(&network.name).map(|there| there.id.as_str());
            there.iter().any(|container| container.misses(id))
        };
        service.networks.iter().filter(gone).cloned().map(Cause::Network).collect()
    }

    /// The contents that differ from what is mounted now, by their path in the repository.
    fn contents(&self, name: &str, container: &Container) -> Vec<Cause> {
        let mounts = self.overlay.by_service.get(name).into_iter().flatten();
        let differs = |(target, content): &(&String, &super::content::MountedContent)| {
            let now = container.mounted().iter().find(|mount| mount.destination == **target);
            // Configs and secrets are mounted under names of Compose's making: their place tells.
            let anywhere = container.mounted().iter().any(|mount| mount.source == content.place(self.root));
            if target.starts_with('/') {
                now.is_some_and(|mount| mount.source != content.place(self.root))
            } else {
                !anywhere && container.module == self.module.as_str()
            }
        };
        mounts.filter(differs).map(|(_, content)| Cause::Config(content.path.to_string())).collect()
    }

    /// Writable mounts whose place gets other data or none, and a stateful image of another major version.
    fn risks(&self, name: &str, service: &Service, there: &[&Container]) -> Vec<Risk> {
        let mut risks = Vec::new();
        let Some(first) = there.first() else { return risks };
        let risk = |data: &str, action| Risk { data: data.to_owned(), action, service: name.to_owned() };
        for mount in
            first.mounted().iter().filter(|mount| mount.writable && matches!(mount.kind.as_str(), "bind" | "volume"))
        {
            let data = if mount.kind == "volume" { &mount.name } else { &mount.source };
            let bound =
                service.binds.iter().find(|bind| bind.target == mount.destination).map(|bind| bind.source.clone());
            let in_volume = service.volumes.iter().find(|volume| volume.target == mount.destination);
            let volume = in_volume.map(|mounted| self.volumes.get(&mounted.volume).cloned().unwrap_or_default());
            match bound.or(volume) {
                Some(then) if then == *data => {}
                // Compose keeps an anonymous volume when it recreates the container.
                Some(then) if then.is_empty() => {}
                Some(_) => risks.push(risk(data, DataAction::Replace)),
                None if mount.kind == "volume" && anonymous(data) => {}
                None => risks.push(risk(data, DataAction::Drop)),
            }
        }
        let stateful = service.binds.iter().any(|bind| bind.writable) || !service.volumes.is_empty();
        let before = if first.named.is_empty() { &first.image_name } else { &first.named };
        let named = self.named.get(name).map(String::as_str).unwrap_or_default();
        let majors = (major(before), major(named));
        if let ((Some(repository), Some(old)), (Some(same), Some(new))) = majors
            && stateful
            && repository == same
            && old != new
        {
            risks.push(risk(name, DataAction::Upgrade));
        }
        risks
    }
}

/// The name of an anonymous volume is 64 hexadecimal digits.
fn anonymous(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The repository of an image name and the first number of its tag.
fn major(image: &str) -> (Option<&str>, Option<u64>) {
    let name = image.split('@').next().unwrap_or(image);
    let Some((repository, tag)) = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) else {
        return (None, None);
    };
    let repository = repository.strip_prefix("docker.io/").unwrap_or(repository);
    let repository = repository.strip_prefix("library/").unwrap_or(repository);
    // `7.2`, `v8-alpine`, `pg16`; not the digits of a commit.
    let number = tag.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let digits = number.len() - number.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let ends = number[digits..].chars().next().is_none_or(|c| matches!(c, '.' | '-' | '_' | '+'));
    (Some(repository), number[..digits].parse().ok().filter(|_| ends))
}

/// In what a definition differs from the one that is applied: names of variables, else keys.
fn definition(now: Option<&Value>, before: Option<&Value>) -> Vec<Cause> {
    let (Some(now), Some(before)) = (now, before) else { return Vec::new() };
    let of = |value: &Value| value.get("service").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut reasons: BTreeSet<String> = BTreeSet::new();
    for key in differing(&of(now), &of(before)) {
        if key == "environment" {
            let names = differing(&variables(now), &variables(before));
            reasons.extend(names.into_iter().map(|variable| Cause::Env(variable).to_string()));
        } else {
            reasons.insert(key);
        }
    }
    if now.get("uses") != before.get("uses") {
        reasons.insert(Cause::Uses.to_string());
    }
    // In the order of the words.
    reasons.iter().map(|word| word.parse().unwrap_or_else(|never: Infallible| match never {})).collect()
}

fn differing(a: &Map<String, Value>, b: &Map<String, Value>) -> Vec<String> {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    keys.into_iter().filter(|key| a.get(*key) != b.get(*key)).cloned().collect()
}

/// The variables of a definition in either form.
fn variables(written: &Value) -> Map<String, Value> {
    match written.pointer("/service/environment") {
        Some(Value::Object(map)) => map.clone(),
        Some(Value::Array(items)) => {
            let pair = |item: &Value| {
                let (name, value) = item.as_str()?.split_once('=').unwrap_or((item.as_str()?, ""));
                Some((name.to_owned(), Value::String(value.to_owned())))
            };
            items.iter().filter_map(pair).collect()
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn major_version_is_the_first_number_of_the_tag() {
        assert_eq!(major("redis:7.2"), (Some("redis"), Some(7)));
        assert_eq!(major("host:5000/redis"), (None, None));
        assert_eq!(major("host:5000/redis:v8-alpine@sha256:x"), (Some("host:5000/redis"), Some(8)));
        assert_eq!(major("redis:latest"), (Some("redis"), None));
        assert_eq!(major("pgvector/pgvector:pg16"), (Some("pgvector/pgvector"), Some(16)));
        assert_eq!(major("docker.io/library/postgres:15-bookworm"), (Some("postgres"), Some(15)));
        assert_eq!(major("site:4f0a1b2"), (Some("site"), None));
        assert_eq!(major("site:sha-4f0a1b2"), (Some("site"), None));
    }

    #[test]
    fn change_reasons_contain_no_values() {
        let written = |environment: Value, command: &str| json!({"service": {"image": "x", "environment": environment, "command": command}, "uses": {}});
        let now = written(json!(["A=secret", "B=1", "C=1"]), "run");
        let before = written(json!({"A": "other", "B": "1"}), "walk");
        let reasons = definition(Some(&now), Some(&before));
        let words: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        assert_eq!(words, ["command", "env:A", "env:C"]);
        assert_eq!(definition(Some(&now), None), []);
    }
}
