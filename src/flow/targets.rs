//! Targets: which modules a pull request changed, in the order in which they are applied.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    flow::{
        approve::{Forge, approve},
        content::Content,
        repository,
        request::Request,
        scope::Standings,
        stage::Stage,
    },
    model::ids::{ModuleId, Oid},
    port::{Answer, Source},
};

/// The modules that an approved pull request changed, those that others come after first.
///
/// # Errors
/// It is not approved, or objects cannot be read.
pub fn changed(forge: &Forge<'_>, request: &Request) -> Stage<Vec<ModuleId>> {
    let approved = approve(forge, request)?;
    let (base, merge) = (approved.relation().base, approved.relation().merge);
    let content = Content::whole(forge.source, approved.relation().tree)?;
    let (ids, _) = repository::module_ids(&content)?;
    let mut found = Vec::new();
    for id in ids {
        let Some(Ok(manifest)) = repository::manifest(&content, &id)? else {
            // One that cannot be read is reported by whoever applies it, if it changed at all.
            found.extend(differs(forge.source, &id, base, merge)?.then_some((id, Vec::new())));
            continue;
        };
        let standings = Standings::new(forge.source, &id);
        if standings.at(base)?.near != standings.at(merge)?.near {
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
    let content = Content::lazy(source, source.commit(commit)?.tree);
    let mut found = Vec::new();
    for id in modules {
        let after = match repository::manifest(&content, id)? {
            Some(Ok(manifest)) => manifest.after,
            Some(Err(_)) | None => Vec::new(),
        };
        found.push((id.clone(), after));
    }
    Ok(in_order(found))
}

fn differs(source: &dyn Source, id: &ModuleId, base: Oid, merge: Oid) -> Answer<bool> {
    let folder = repository::fixed(&format!("modules/{id}"))?;
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
    fn each_comes_after_what_it_names() {
        let id = |text: &str| text.parse::<ModuleId>().unwrap();
        let of = |list: &[(&str, &[&str])]| {
            let modules = list.iter().map(|(name, after)| (id(name), after.iter().map(|a| id(a)).collect())).collect();
            in_order(modules).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(&[("a", &["c"]), ("b", &[]), ("c", &["b", "elsewhere"])]), "b c a");
        assert_eq!(of(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]), "c a b");
    }
}
