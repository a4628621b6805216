//! In which order everything that is due is tried.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    model::{
        ids::{ModuleId, Oid},
        module::Manifest,
    },
    port::{Answer, Source},
    tree::{manifests, snapshot::Snapshot},
    verb::pending::Pending,
};

/// A deployment that is pending, and the modules that it comes after.
pub(super) type Listed = (Pending, Vec<ModuleId>);

/// In the order in which the base got them, those that others come after first; the hosts of a module in the order of
/// its manifest.
///
/// # Errors
/// The base cannot be read.
pub(super) fn ordered(source: &dyn Source, base: Oid, found: Vec<Pending>) -> Answer<Vec<Listed>> {
    let snapshot = Snapshot::lazy(source, source.commit(base)?.tree);
    let mut modules: BTreeMap<ModuleId, (Vec<ModuleId>, Vec<Pending>)> = BTreeMap::new();
    for one in found {
        if !modules.contains_key(&one.module) {
            let manifest = manifests::manifest(&snapshot, &one.module)?.and_then(Result::ok);
            let after = manifest.map_or_else(Vec::new, |manifest: Manifest| manifest.after);
            modules.insert(one.module.clone(), (after, Vec::new()));
        }
        if let Some((_, deployments)) = modules.get_mut(&one.module) {
            deployments.push(one);
        }
    }
    let commits: BTreeSet<Oid> =
        modules.values().flat_map(|(_, all)| all.iter().filter_map(|one| one.commit)).collect();
    let depths = depths(source, base, commits)?;
    let age = |all: &[Pending]| all.iter().find_map(|one| one.commit).and_then(|commit| depths.get(&commit)).copied();
    let ages: BTreeMap<ModuleId, _> =
        modules.iter().map(|(id, (_, all))| (id.clone(), Reverse(age(all).unwrap_or_default()))).collect();
    let mut listed = Vec::new();
    while !modules.is_empty() {
        let ready = |(_, (after, _)): &(&ModuleId, &(Vec<ModuleId>, Vec<Pending>))| {
            !after.iter().any(|before| modules.contains_key(before))
        };
        // On a cycle, which validate reports, the oldest goes first.
        let oldest = |(id, _): &(&ModuleId, &(Vec<ModuleId>, Vec<Pending>))| ages.get(*id).copied();
        let next = modules.iter().filter(ready).min_by_key(oldest).or_else(|| modules.iter().min_by_key(oldest));
        let Some(id) = next.map(|(id, _)| id.clone()) else { break };
        if let Some((after, deployments)) = modules.remove(&id) {
            listed.extend(deployments.into_iter().map(|one| (one, after.clone())));
        }
    }
    Ok(listed)
}

/// The places of some commits on the base's first-parent chain, the newest first.
fn depths(source: &dyn Source, base: Oid, mut commits: BTreeSet<Oid>) -> Answer<BTreeMap<Oid, usize>> {
    let mut found = BTreeMap::new();
    let mut next = Some(base);
    while let Some(at) = next.filter(|_| !commits.is_empty()) {
        if commits.remove(&at) {
            // Only the order counts.
            found.insert(at, found.len() + 1);
        }
        next = source.commit(at)?.parents.first().copied();
    }
    Ok(found)
}
