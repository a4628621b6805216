//! What a whole pull request does: to every module that it concerns, to those that it removes, and to the policy.
//!
//! Of one that is not merged this is known from git and the record alone: nothing of it reaches a host.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::{
    flow::{
        Stage, Stop,
        approve::{approve, request::Request},
        refuse,
    },
    ledger::state::State,
    model::{
        ids::{HostName, ModuleId, Oid},
        plan::Action,
        policy::ApprovalPolicy,
        policy_change::{self, PolicyChange},
        problem::Problem,
        refusal::{Code, Refusal},
    },
    port::{Answer, Phase, Ports, Source},
    tree::{footprint::Footprints, manifests, module::Module, snapshot::Snapshot},
    verb::{
        apply::{self, Ask},
        asked::Asked,
        fetch::{Fetched, refresh},
        notices::{self, Notice},
        plan::{Which, merged, propose},
        planned::Planned,
        targets,
        timings::Timings,
        validate::validate,
    },
};

/// What a pull request does.
#[derive(Debug)]
pub struct Proposed {
    /// The pull request.
    pub pr: u64,
    /// Its head, its merge result, and the trees before and after; or why they are not known.
    pub version: Stage<Version>,
    /// Each module that it concerns, on each of its hosts.
    pub targets: Vec<Concerned>,
    /// Deployments that the base no longer wants after it.
    pub removed: Vec<Removed>,
    /// What it changes in platform.yaml.
    pub policy: Vec<PolicyChange>,
    /// Why it could not be applied, beside what its modules say.
    pub refusals: Vec<Refusal>,
    /// What an operator should know.
    pub notices: Vec<Notice>,
    /// The rules in force, by which the forge is reached.
    pub rules: ApprovalPolicy,
    /// Where the time went: milliseconds by phase.
    pub durations_ms: Vec<(Phase, u64)>,
}

/// Which trees are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// H.
    pub head: Oid,
    /// M, if it is merged.
    pub merge: Option<Oid>,
    /// The tree of the base before it.
    pub before: Oid,
    /// The tree after it.
    pub after: Oid,
}

/// One module on one host.
#[derive(Debug)]
pub struct Concerned {
    /// What would be done.
    pub planned: Planned,
    /// What differs in each service, from what is applied (or else from the base) to this.
    pub differences: BTreeMap<String, Vec<Difference>>,
    /// Other modules of the same Compose project.
    pub beside: Vec<ModuleId>,
}

/// One key of a service that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Difference {
    /// The key: `image`, `ports`; of an environment also the variable: `environment.TAG`.
    pub key: String,
    /// What it was; null where there was nothing, or where a value is not shown.
    pub from: Option<String>,
    /// What it becomes; likewise.
    pub to: Option<String>,
}

/// A deployment that is no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Removed {
    /// The module.
    pub module: ModuleId,
    /// Its host.
    pub host: HostName,
    /// Whether it runs there, according to the record.
    pub running: bool,
}

/// Plans everything that a pull request concerns, each module as it is `asked` for.
pub fn proposed(ports: &Ports<'_>, pr: u64, asked: &Asked) -> Proposed {
    let mut proposed = Proposed {
        pr,
        version: refuse(Code::UnknownId, format!("pull request {pr} was not looked at"), "try again"),
        targets: Vec::new(),
        removed: Vec::new(),
        policy: Vec::new(),
        refusals: Vec::new(),
        notices: Vec::new(),
        rules: ApprovalPolicy::default(),
        durations_ms: Vec::new(),
    };
    let timings = Timings::new(ports.clock);
    let looked = timings.measured(ports, |ports| look(ports, asked, &mut proposed));
    proposed.version = looked;
    proposed.durations_ms = timings.take();
    proposed
}

fn look(ports: &Ports<'_>, asked: &Asked, into: &mut Proposed) -> Stage<Version> {
    let request = Request { approved: None, pr: Some(into.pr) };
    let fetched = refresh(ports, &request)?;
    into.notices = notices::all(ports, &fetched);
    into.rules.clone_from(&fetched.policy.policy.approval);
    let (version, found) = match approve(&apply::candidates(ports, &fetched), &request) {
        Ok(approved) => {
            let relation = approved.relation();
            let (head, merge) = (relation.head, Some(relation.merge));
            let before = ports.source.commit(relation.base)?.tree;
            let version = Version { head, merge, before, after: relation.tree };
            (version, targets::changed(&apply::candidates(ports, &fetched), &request, asked.host.as_ref())?)
        }
        Err(Stop::Refused(refusals)) if refusals.iter().all(|one| one.code == Code::HeadNotMerged) => {
            let version = merged_now(ports, &fetched, into.pr)?;
            let found = concerned(ports.source, &version)?;
            (version, found)
        }
        Err(stop) => return Err(stop),
    };
    let state = fetched.checked.as_ref().map(|checked| State::at(ports.source, checked.id)).transpose()?;
    into.policy = policy(ports.source, &version)?;
    into.removed = removed(ports.source, state.as_ref(), &version)?;
    if version.merge.is_none() {
        into.refusals = newly_invalid(ports.source, &version)?;
    }
    let which = Which::Request(request.clone());
    for (module, hosts) in found {
        let wanted = |host: &Option<HostName>| asked.host.is_none() || host.is_none() || *host == asked.host;
        for host in hosts.into_iter().filter(wanted) {
            let ask = Ask { request: request.clone(), ..asked.on(module.clone(), host) };
            let proposal = propose(ports, &fetched, &ask, &which);
            into.targets.push(one(ports, &version, &ask, proposal)?);
        }
    }
    // What a module says itself is not said twice.
    let own: BTreeSet<Refusal> = into.targets.iter().flat_map(|one| refusals_of(&one.planned)).collect();
    into.refusals.retain(|refusal| !own.contains(refusal));
    Ok(version)
}

fn refusals_of(planned: &Planned) -> Vec<Refusal> {
    match &planned.proposal {
        Ok(proposal) => proposal.refusals.clone(),
        Err(Stop::Refused(refusals)) => refusals.clone(),
        Err(Stop::Failed(error)) => vec![error.refusal()],
    }
}

impl Proposed {
    /// Every reason why it could not be applied.
    pub fn all_refusals(&self) -> Vec<Refusal> {
        let whole = match &self.version {
            Ok(_) => Vec::new(),
            Err(Stop::Refused(refusals)) => refusals.clone(),
            Err(Stop::Failed(error)) => vec![error.refusal()],
        };
        let own = self.targets.iter().flat_map(|one| refusals_of(&one.planned));
        whole.into_iter().chain(self.refusals.iter().cloned()).chain(own).collect()
    }

    /// Whether anything changes at all.
    pub fn changes(&self) -> bool {
        let differs = |one: &Concerned| one.planned.proposal.as_ref().map_or(true, |proposal| !proposal.done);
        !self.policy.is_empty() || !self.removed.is_empty() || self.targets.iter().any(differs)
    }
}

/// What merging a pull request into the base now would give.
fn merged_now(ports: &Ports<'_>, fetched: &Fetched, pr: u64) -> Stage<Version> {
    let version = merged(ports, fetched, pr)?;
    let Some(head) = version.head else {
        return refuse(Code::UnknownId, format!("pull request {pr} has no head"), "check the number");
    };
    Ok(Version { head, merge: None, before: ports.source.commit(fetched.p)?.tree, after: version.tree })
}

fn modules(source: &dyn Source, tree: Oid) -> Answer<Vec<ModuleId>> {
    Ok(manifests::module_ids(&Snapshot::lazy(source, tree))?.0)
}

fn hosts_at(source: &dyn Source, tree: Oid, id: &ModuleId) -> Answer<Vec<HostName>> {
    let manifest = manifests::manifest(&Snapshot::lazy(source, tree), id)?;
    Ok(manifest.and_then(Result::ok).map(|manifest| manifest.hosts().to_vec()).unwrap_or_default())
}

/// Modules of the tree after it that differ from those before it, each with the hosts on which they do.
fn concerned(source: &dyn Source, version: &Version) -> Answer<Vec<targets::Target>> {
    let snapshot = Snapshot::lazy(source, version.after);
    let (mut found, mut hosts) = (Vec::new(), BTreeMap::new());
    for id in modules(source, version.after)? {
        let manifest = manifests::manifest(&snapshot, &id)?.and_then(Result::ok);
        let names = manifest.as_ref().map(|manifest| manifest.hosts().to_vec()).unwrap_or_default();
        let mut here = Vec::new();
        // Of one that cannot be read the host is open.
        for host in names.iter().map(Some).chain(names.is_empty().then_some(None)) {
            let footprints = Footprints::new(source, &id, host);
            if footprints.of_tree(version.before)?.near != footprints.of_tree(version.after)?.near {
                here.push(host.cloned());
            }
        }
        if !here.is_empty() {
            hosts.insert(id.clone(), here);
            found.push((id, manifest.map(|manifest| manifest.after).unwrap_or_default()));
        }
    }
    let order = targets::in_order(found).into_iter();
    Ok(order.filter_map(|id| hosts.remove_entry(&id)).collect())
}

fn removed(source: &dyn Source, state: Option<&State<'_>>, version: &Version) -> Answer<Vec<Removed>> {
    let mut found = Vec::new();
    for module in modules(source, version.before)? {
        let after = hosts_at(source, version.after, &module)?;
        for host in hosts_at(source, version.before, &module)?.into_iter().filter(|host| !after.contains(host)) {
            let status = state.map(|state| state.module(&module)).transpose()?.flatten();
            let running = status.is_some_and(|status| status.runs_on().any(|(on, _)| *on == host));
            found.push(Removed { module: module.clone(), host, running });
        }
    }
    Ok(found)
}

fn policy(source: &dyn Source, version: &Version) -> Stage<Vec<PolicyChange>> {
    let read = |tree| manifests::policy(&Snapshot::lazy(source, tree));
    Ok(match (read(version.before)?, read(version.after)?) {
        (Ok(before), Ok(after)) => policy_change::changes(&before.policy, &after.policy),
        (Ok(_) | Err(_), _) => Vec::new(),
    })
}

/// What is not valid in the tree after it and was before it, or was not there.
fn newly_invalid(source: &dyn Source, version: &Version) -> Answer<Vec<Refusal>> {
    let problems = |tree| -> Answer<Vec<Problem>> { Ok(validate(&Snapshot::whole(source, tree)?, &[])?.problems) };
    let old: BTreeSet<(String, String)> =
        problems(version.before)?.into_iter().map(|problem| (problem.file, problem.message)).collect();
    let new = problems(version.after)?.into_iter();
    Ok(new.filter(|one| !old.contains(&(one.file.clone(), one.message.clone()))).map(Problem::into_refusal).collect())
}

fn one(
    ports: &Ports<'_>,
    version: &Version,
    ask: &Ask,
    proposal: Stage<crate::verb::plan::Proposal>,
) -> Answer<Concerned> {
    let source = ports.source;
    let read = |tree| -> Answer<Option<Module>> {
        Ok(manifests::module(&Snapshot::lazy(source, tree), &ask.module)?.and_then(Result::ok))
    };
    let after = read(version.after)?;
    let applied = proposal.as_ref().ok().and_then(|proposal| proposal.intention.last_applied);
    let before = match applied {
        Some(merge) if source.has(merge)? => read(source.commit(merge)?.tree)?,
        Some(_) | None => read(version.before)?,
    };
    let mut differences = BTreeMap::new();
    if let (Some(before), Some(after), Ok(proposal)) = (&before, &after, &proposal) {
        let (before, after) = (before.written(), after.written());
        for change in proposal.intention.changes.iter().filter(|change| change.action != Action::None) {
            let service = |all: &BTreeMap<String, Value>| all.get(&change.service).cloned().unwrap_or_default();
            let found = different(&service(&before), &service(&after));
            if !found.is_empty() {
                differences.insert(change.service.clone(), found);
            }
        }
    }
    let mut beside = Vec::new();
    if let Some(project) = after.as_ref().and_then(|module| module.manifest.runtime.project.clone()) {
        let snapshot = Snapshot::lazy(source, version.after);
        for id in modules(source, version.after)?.into_iter().filter(|id| *id != ask.module) {
            let manifest = manifests::manifest(&snapshot, &id)?.and_then(Result::ok);
            if manifest.is_some_and(|manifest| manifest.runtime.project.as_ref() == Some(&project)) {
                beside.push(id);
            }
        }
    }
    let (module, host, at) = (ask.module.clone(), ask.host.clone(), ports.clock.now());
    let planned = Planned { module, host, proposal, notices: Vec::new(), at };
    Ok(Concerned { planned, differences, beside })
}

/// The keys of a service that differ. Values of an environment are never shown: they may be secrets.
fn different(before: &Value, after: &Value) -> Vec<Difference> {
    let (old, new) = (before.get("service").unwrap_or(before), after.get("service").unwrap_or(after));
    let keys: BTreeSet<&String> =
        [old, new].iter().filter_map(|value| value.as_object()).flat_map(serde_json::Map::keys).collect();
    let mut found = Vec::new();
    for key in keys {
        let (was, is) = (old.get(key), new.get(key));
        if was == is {
            continue;
        }
        if key == "environment" {
            found.extend(variables(was, is));
            continue;
        }
        // A key that may hold a secret is named and not shown.
        let open = matches!(key.as_str(), "image" | "ports" | "restart" | "networks" | "depends_on" | "volumes");
        let text = |value: Option<&Value>| value.filter(|_| open).map(plain);
        found.push(Difference { key: key.clone(), from: text(was), to: text(is) });
    }
    found
}

fn variables(was: Option<&Value>, is: Option<&Value>) -> Vec<Difference> {
    let named = |value: Option<&Value>| -> BTreeMap<String, Value> {
        match value {
            Some(Value::Object(all)) => all.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            Some(Value::Array(all)) => all
                .iter()
                .filter_map(Value::as_str)
                .map(|line| line.split_once('=').unwrap_or((line, "")))
                .map(|(name, value)| (name.to_owned(), Value::from(value)))
                .collect(),
            Some(_) | None => BTreeMap::new(),
        }
    };
    let (was, is) = (named(was), named(is));
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let differing = names.into_iter().filter(|name| was.get(*name) != is.get(*name));
    differing.map(|name| Difference { key: format!("environment.{name}"), from: None, to: None }).collect()
}

/// A value in one line, at most 80 characters.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(all) => all.keys().cloned().collect::<Vec<_>>().join(", "),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other.to_string(),
    };
    let short: String = text.chars().take(80).collect();
    if short == text { short } else { format!("{short}…") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_show_images_and_no_values_of_variables() {
        let before =
            json!({"service": {"image": "a:1", "environment": {"PW": "canary1", "X": "1"}, "labels": ["canary2"]}});
        let after = json!({"service": {"image": "a:2", "environment": ["PW=canary3", "X=1", "NEW=y"], "labels": []}});
        let found = different(&before, &after);
        let keys: Vec<&str> = found.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["environment.NEW", "environment.PW", "image", "labels"]);
        assert_eq!((found[2].from.as_deref(), found[2].to.as_deref()), (Some("a:1"), Some("a:2")));
        assert!(!format!("{found:?}").contains("canary"), "{found:?}");
    }
}
