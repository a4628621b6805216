//! What a merge would change, by the compose files alone.

use std::collections::BTreeMap;

use crate::{
    model::{
        cause::Cause,
        closure::ClosureFile,
        digest::Digest,
        json::{self, CanonicalError},
        plan::{Action, Change, Data, Downtime},
    },
    tree::module::Module,
};

/// By service: the digest of its definition, and those of its files by path.
type Services = BTreeMap<String, (Digest, BTreeMap<String, Digest>)>;

fn services(module: &Module) -> Result<Services, CanonicalError> {
    let mut found = BTreeMap::new();
    for (name, own) in &module.owned {
        let concerned = |file: &&ClosureFile| own.files.iter().any(|path| file.path.is_within(path));
        let files = module.closure.files.iter().filter(concerned).map(|file| (file.path.to_string(), file.sha256));
        found.insert(name.to_string(), (json::digest(&own.written)?, files.collect()));
    }
    Ok(found)
}

/// What merging a module would change, service by service.
pub(super) fn preview(module: &Module, applied: Option<&Module>) -> Result<Vec<Change>, CanonicalError> {
    let wanted = services(module)?;
    let now = applied.map(services).transpose()?.unwrap_or_default();
    let change = |service: &str, action, reasons: Vec<Cause>, downtime| Change {
        service: service.to_owned(),
        action,
        reasons,
        downtime,
        data: Data::None,
    };
    let mut changes = Vec::new();
    for (name, (definition, files)) in &wanted {
        let Some((old, old_files)) = now.get(name) else {
            changes.push(change(name, Action::Create, vec![Cause::New], Downtime::None));
            continue;
        };
        let mut reasons = Vec::new();
        if old != definition {
            reasons.push(Cause::Definition);
        }
        let differing = files.iter().filter(|(path, sha256)| old_files.get(*path) != Some(*sha256));
        reasons.extend(differing.map(|(path, _)| Cause::Config(path.clone())));
        reasons.extend(old_files.keys().filter(|path| !files.contains_key(*path)).cloned().map(Cause::Config));
        if !reasons.is_empty() {
            changes.push(change(name, Action::Recreate, reasons, Downtime::Restart));
        }
    }
    for name in now.keys().filter(|name| !wanted.contains_key(*name)) {
        changes.push(change(name, Action::Remove, vec![Cause::Gone], Downtime::StopFirst));
    }
    Ok(changes)
}
