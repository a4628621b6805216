//! Targets: which modules a pull request changed, in the order in which they are applied.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    flow::{
        Stage,
        approve::{Candidates, approve, request::Request},
    },
    model::ids::{HostName, ModuleId, Oid},
    port::{Answer, Source},
    tree::{footprint::Footprints, manifests, place, snapshot::Snapshot},
    verb::apply::Ask,
};

/// A module and its hosts in the order of its manifest; of a module that has one host, or whose hosts are not known,
/// the host is open.
pub type Target = (ModuleId, Vec<Option<HostName>>);

/// What an approved pull request changed, those modules that others come after first; of each the hosts on which it
/// changed. With `only` no other host counts.
///
/// # Errors
/// It is not approved, or objects cannot be read.
pub fn changed(candidates: &Candidates<'_>, request: &Request, only: Option<&HostName>) -> Stage<Vec<Target>> {
    let approved = approve(candidates, request)?;
    let (base, merge) = (approved.relation().base, approved.relation().merge);
    let snapshot = Snapshot::whole(candidates.source, approved.relation().tree)?;
    let (ids, _) = manifests::module_ids(&snapshot)?;
    let (mut found, mut targets) = (Vec::new(), BTreeMap::new());
    for id in ids {
        let Some(Ok(manifest)) = manifests::manifest(&snapshot, &id)? else {
            // One that cannot be read is reported when it is applied, if it changed at all.
            found.extend(differs(candidates.source, &id, base, merge)?.then_some((id, Vec::new())));
            continue;
        };
        let mut hosts = Vec::new();
        for host in manifest.hosts().iter().filter(|host| only.is_none_or(|only| only == *host)) {
            let footprints = Footprints::new(candidates.source, &id, Some(host));
            if footprints.at(base)?.near != footprints.at(merge)?.near {
                hosts.push(Some(host.clone()).filter(|_| manifest.hosts().len() > 1));
            }
        }
        if !hosts.is_empty() {
            targets.insert(id.clone(), hosts);
            found.push((id, manifest.after));
        }
    }
    Ok(ordered(found, targets))
}

/// Modules that were named, those that others come after first, by the manifests of a commit.
///
/// # Errors
/// Objects cannot be read.
pub fn named(source: &dyn Source, commit: Oid, modules: &[ModuleId]) -> Answer<Vec<Target>> {
    let snapshot = Snapshot::lazy(source, source.commit(commit)?.tree);
    let (mut found, mut targets) = (Vec::new(), BTreeMap::new());
    for id in modules {
        let mut after = Vec::new();
        if let Some(Ok(manifest)) = manifests::manifest(&snapshot, id)? {
            if let hosts @ [_, _, ..] = manifest.hosts() {
                targets.insert(id.clone(), hosts.iter().cloned().map(Some).collect());
            }
            after = manifest.after;
        }
        found.push((id.clone(), after));
    }
    Ok(ordered(found, targets))
}

fn ordered(found: Vec<(ModuleId, Vec<ModuleId>)>, mut hosts: BTreeMap<ModuleId, Vec<Option<HostName>>>) -> Vec<Target> {
    let order = in_order(found).into_iter();
    order.map(|id| hosts.remove_entry(&id).unwrap_or_else(|| (id, vec![None]))).collect()
}

/// What is asked, once for each host of each module, those modules that others come after first.
///
/// # Errors
/// Objects cannot be read.
pub fn spread(source: &dyn Source, commit: Oid, asks: &[Ask]) -> Answer<Vec<Ask>> {
    let modules: BTreeSet<ModuleId> = asks.iter().map(|ask| ask.module.clone()).collect();
    let mut all = Vec::new();
    for (module, hosts) in named(source, commit, &modules.into_iter().collect::<Vec<_>>())? {
        for ask in asks.iter().filter(|ask| ask.module == module) {
            match ask.host {
                Some(_) => all.push(ask.clone()),
                None => all.extend(hosts.iter().map(|host| Ask { host: host.clone(), ..ask.clone() })),
            }
        }
    }
    Ok(all)
}

fn differs(source: &dyn Source, id: &ModuleId, base: Oid, merge: Oid) -> Answer<bool> {
    let folder = place::fixed(&format!("modules/{id}"))?;
    let at = |commit| -> Answer<_> { source.entry(source.commit(commit)?.tree, &folder) };
    Ok(at(base)? != at(merge)?)
}

/// Sorts modules so that each comes after those that it names; otherwise by name. Modules on a cycle come last.
pub fn in_order(modules: Vec<(ModuleId, Vec<ModuleId>)>) -> Vec<ModuleId> {
    let mut left: BTreeMap<ModuleId, Vec<ModuleId>> = modules.into_iter().collect();
    let mut done = Vec::new();
    while !left.is_empty() {
        let waiting: BTreeSet<ModuleId> = left.keys().cloned().collect();
        let ready: Vec<ModuleId> = left
            .iter()
            .filter(|(_, after)| after.iter().all(|after| !waiting.contains(after)))
            .map(|(id, _)| id.clone())
            .collect();
        let next = if ready.is_empty() { waiting.into_iter().collect() } else { ready };
        for id in next {
            left.remove(&id);
            done.push(id);
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_sorted_after_their_dependencies() {
        let id = |text: &str| text.parse::<ModuleId>().unwrap();
        let of = |list: &[(&str, &[&str])]| {
            let modules = list.iter().map(|(name, after)| (id(name), after.iter().map(|a| id(a)).collect())).collect();
            in_order(modules).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(&[("a", &["c"]), ("b", &[]), ("c", &["b", "elsewhere"])]), "b c a");
        assert_eq!(of(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]), "c a b");
    }
}
