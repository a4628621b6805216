//! Targets: which modules a pull request changed, in the order in which they are applied.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    flow::{
        Stage,
        approve::{Candidates, approve, request::Request},
    },
    model::ids::{ModuleId, Oid},
    port::{Answer, Source},
    tree::{footprint::Footprints, manifests, place, snapshot::Snapshot},
};

/// The modules that an approved pull request changed, those that others come after first.
///
/// # Errors
/// It is not approved, or objects cannot be read.
pub fn changed(candidates: &Candidates<'_>, request: &Request) -> Stage<Vec<ModuleId>> {
    let approved = approve(candidates, request)?;
    let (base, merge) = (approved.relation().base, approved.relation().merge);
    let snapshot = Snapshot::whole(candidates.source, approved.relation().tree)?;
    let (ids, _) = manifests::module_ids(&snapshot)?;
    let mut found = Vec::new();
    for id in ids {
        let Some(Ok(manifest)) = manifests::manifest(&snapshot, &id)? else {
            // One that cannot be read is reported by whoever applies it, if it changed at all.
            found.extend(differs(candidates.source, &id, base, merge)?.then_some((id, Vec::new())));
            continue;
        };
        let footprints = Footprints::new(candidates.source, &id);
        if footprints.at(base)?.near != footprints.at(merge)?.near {
            found.push((id, manifest.after));
        }
    }
    Ok(in_order(found))
}

/// Modules that were named, those that others come after first, by the manifests of a commit.
///
/// # Errors
/// Objects cannot be read.
pub fn named(source: &dyn Source, commit: Oid, modules: &[ModuleId]) -> Answer<Vec<ModuleId>> {
    let snapshot = Snapshot::lazy(source, source.commit(commit)?.tree);
    let mut found = Vec::new();
    for id in modules {
        let after = match manifests::manifest(&snapshot, id)? {
            Some(Ok(manifest)) => manifest.after,
            Some(Err(_)) | None => Vec::new(),
        };
        found.push((id.clone(), after));
    }
    Ok(in_order(found))
}

fn differs(source: &dyn Source, id: &ModuleId, base: Oid, merge: Oid) -> Answer<bool> {
    let folder = place::fixed(&format!("modules/{id}"))?;
    let at = |commit| -> Answer<_> { source.entry(source.commit(commit)?.tree, &folder) };
    Ok(at(base)? != at(merge)?)
}

/// Sorts modules so that each comes after those that it names; otherwise by name. What lies on a cycle comes last.
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
