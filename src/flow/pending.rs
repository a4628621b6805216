//! Pending: what is merged but not applied. Reads git alone: the base as it was last fetched, and the record.

use crate::{
    flow::{content::Content, repository, request, scope::Standings},
    ledger::state::State,
    model::ids::{HostName, ModuleId, Oid},
    port::{Answer, Source},
};

/// A module whose content on the base is not what is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The module.
    pub module: ModuleId,
    /// Its host.
    pub host: HostName,
    /// The newest commit of the base that changed it.
    pub commit: Option<Oid>,
    /// The pull request that the commit names; a hint.
    pub pr: Option<u64>,
    /// The merge result applied last.
    pub last: Option<Oid>,
    /// Where a release failed on the host: whether it is this one.
    pub held: Option<bool>,
    /// Whether it can be read at all.
    pub valid: bool,
}

/// Most commits that are looked at for the newest change of a module.
const LOOKED_AT: usize = 200;

/// Compares every module of the base with the record.
///
/// # Errors
/// Objects that cannot be read.
pub fn pending(source: &dyn Source, state: Option<&State<'_>>, base: Oid) -> Answer<Vec<Pending>> {
    let content = Content::whole(source, source.commit(base)?.tree)?;
    let (ids, _) = repository::module_ids(&content)?;
    let mut found = Vec::new();
    for module in ids {
        let last = state.map(|state| state.module(&module)).transpose()?.flatten();
        let Some(read) = repository::module(&content, &module)? else { continue };
        let (effective, host) = match &read {
            Ok(read) => (Some(read.closure.effective), Some(read.manifest.host.clone())),
            Err(_) => (None, None),
        };
        let held = last.as_ref().and_then(|last| last.held.as_ref()).map(|held| Some(held.effective) == effective);
        // Where a release failed the host may stand at it, also after its revert was merged.
        if held.is_none() && effective.is_some() && last.as_ref().and_then(|last| last.effective) == effective {
            continue;
        }
        let Some(host) =
            host.or_else(|| last.as_ref().map(|last| last.host.clone())).or_else(|| "unknown".parse().ok())
        else {
            continue;
        };
        let last = last.and_then(|last| last.last_apply_sha);
        let commit = newest(source, &module, &host, base, last)?;
        let pr = match commit {
            Some(commit) => request::hints(&source.commit(commit)?.message).first().copied(),
            None => None,
        };
        found.push(Pending { module, host, commit, pr, last, held, valid: read.is_ok() });
    }
    Ok(found)
}

/// The newest commit of the base's first-parent chain, down to `last`, that changed what concerns a module: the one to apply it by.
///
/// # Errors
/// Objects that cannot be read.
pub fn newest(
    source: &dyn Source,
    module: &ModuleId,
    host: &HostName,
    base: Oid,
    last: Option<Oid>,
) -> Answer<Option<Oid>> {
    let standings = Standings::new(source, module, host);
    let mut at = base;
    for _ in 0..LOOKED_AT {
        if Some(at) == last {
            break;
        }
        let Some(parent) = source.commit(at)?.parents.first().copied() else {
            return Ok(standings.at(at)?.effective.map(|_| at));
        };
        if standings.at(at)?.near != standings.at(parent)?.near {
            return Ok(Some(at));
        }
        at = parent;
    }
    Ok(None)
}
