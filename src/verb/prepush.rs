//! Pre-push: what git is about to push, judged by the same rules as everything else.

use std::fmt;

use serde::Serialize;

use crate::{
    flow::{Stage, Stop},
    ledger::recover,
    model::{
        ids::{ModuleId, Oid},
        policy,
        problem::Problem,
        refusal::{Code, Refusal},
        text::shown,
    },
    port::{Answer, Source},
    record::Record,
    tree::{manifests, place, snapshot::Snapshot},
    verb::validate,
};

/// The hook, as it is installed and as `init` adds it.
pub const HOOK: &str = include_str!("../../hooks/pre-push");

/// The hook was installed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Installed {
    /// Where.
    pub path: String,
}

/// A push may go on.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MayPush {
    /// What was looked at.
    pub checked: Vec<Looked>,
    /// Where git pushes to, as it may be shown.
    #[serde(skip)]
    pub to: String,
}

/// What was looked at of one ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// The record, which is valid up to this seq.
    Record(u64),
    /// A branch, on which so many modules changed, all of them valid.
    Branch(String, usize),
}

impl fmt::Display for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(seq) => write!(f, "refs/platform/state: valid up to seq {seq}"),
            Self::Branch(name, 1) => write!(f, "{}: 1 changed module is valid", shown(name)),
            Self::Branch(name, count) => write!(f, "{}: {count} changed modules are valid", shown(name)),
        }
    }
}

impl Serialize for Looked {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Looked {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Looked".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "description": "What was looked at of one ref, in words."})
    }
}

/// One line of a pre-push hook's standard input (githooks(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// What is pushed; `None` is a deletion.
    pub local: Option<Oid>,
    /// Where to.
    pub remote_ref: String,
    /// What the ref is now, as git passed it; `None` if it does not exist.
    pub remote: Option<Oid>,
}

/// A line that is not of the form `<local ref> <local id> <remote ref> <remote id>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("standard input is not what git gives a pre-push hook (line {0})")]
pub struct NotUpdates(usize);

/// Reads what git gives a pre-push hook.
///
/// # Errors
/// The first line that is not one.
pub fn updates(text: &str) -> Result<Vec<Update>, NotUpdates> {
    let line = |(at, line): (usize, &str)| {
        let wrong = || NotUpdates(at + 1);
        let mut words = line.split(' ');
        let [Some(_), Some(local), Some(remote_ref), Some(remote), None] =
            [words.next(), words.next(), words.next(), words.next(), words.next()]
        else {
            return Err(wrong());
        };
        let id = |text: &str| -> Result<Option<Oid>, NotUpdates> {
            let id = text.parse::<Oid>().map_err(|_| wrong())?;
            Ok((id != Oid::from_bytes([0; 20])).then_some(id))
        };
        Ok(Update { local: id(local)?, remote_ref: remote_ref.to_owned(), remote: id(remote)? })
    };
    text.lines().enumerate().map(line).collect()
}

/// Judges what git is about to push.
///
/// # Errors
/// Every reason not to push, at once.
pub fn judge(record: &Record<'_>, base: Option<Oid>, updates: &[Update]) -> Stage<Vec<Looked>> {
    let (mut said, mut refusals) = (Vec::new(), Vec::new());
    for update in updates {
        if update.remote_ref == "refs/platform/state" {
            match state(record, update)? {
                Ok(seq) => said.push(Looked::Record(seq)),
                Err(refusal) => refusals.push(refusal),
            }
        } else if update.remote_ref.starts_with("refs/platform/") {
            refusals.push(Refusal::new(
                Code::StateInvalid,
                format!("{} is no ref of the record", shown(&update.remote_ref)),
                "push refs/platform/state alone",
            ));
        } else if let (Some(local), true) = (update.local, update.remote_ref.starts_with("refs/heads/")) {
            let (count, found) = branch(record.source, update.remote.or(base), local)?;
            said.push(Looked::Branch(update.remote_ref.clone(), count));
            refusals.extend(found);
        }
    }
    if refusals.is_empty() { Ok(said) } else { Err(Stop::Refused(refusals)) }
}

/// The record may only grow, by valid records.
fn state(record: &Record<'_>, update: &Update) -> Answer<Result<u64, Refusal>> {
    let fix = "never rewrite the record; `platformctl help recovery` explains what to do";
    let Some(local) = update.local else {
        let fact = "this push deletes refs/platform/state, the record of everything that was done";
        return Ok(Err(Refusal::new(Code::StateMissing, fact, fix)));
    };
    if let Some(remote) = update.remote
        && !(record.source.has(remote)? && recover::contains(record.source, local, remote)?)
    {
        let fact = format!("this push replaces the record {remote} by {local}, which does not contain it");
        return Ok(Err(Refusal::new(Code::StateForked, fact, fix)));
    }
    match record.verify_new(local) {
        Ok(checked) => Ok(Ok(checked.event.seq)),
        Err(error) if error.code == Code::StateInvalid => Ok(Err(error.into_refusal())),
        Err(error) => Err(error),
    }
}

/// The modules that differ from what is there, and what is wrong with them.
fn branch(source: &dyn Source, old: Option<Oid>, new: Oid) -> Answer<(usize, Vec<Refusal>)> {
    let tree = source.commit(new)?.tree;
    let snapshot = Snapshot::whole(source, tree)?;
    let (ids, _) = manifests::module_ids(&snapshot)?;
    if ids.is_empty() && snapshot.entry(&place::fixed(policy::PATH)?)?.is_none() {
        return Ok((0, Vec::new()));
    }
    let before = match old {
        Some(old) if source.has(old)? => Some(Snapshot::whole(source, source.commit(old)?.tree)?),
        Some(_) | None => None,
    };
    let policy = place::fixed(policy::PATH)?;
    let same_policy = match &before {
        Some(before) => before.entry(&policy)? == snapshot.entry(&policy)?,
        None => false,
    };
    let mut changed: Vec<ModuleId> = Vec::new();
    for id in ids {
        let now = manifests::module(&snapshot, &id)?.map(|module| module.map(|module| module.closure.digest));
        let then = match &before {
            Some(before) => manifests::module(before, &id)?.map(|module| module.map(|module| module.closure.digest)),
            None => None,
        };
        if !same_policy || now != then {
            changed.push(id);
        }
    }
    if changed.is_empty() && same_policy {
        return Ok((0, Vec::new()));
    }
    let report = validate::validate(&snapshot, &changed)?;
    Ok((changed.len(), report.problems.into_iter().map(Problem::into_refusal).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pre_push_input_is_parsed() {
        let id = "1".repeat(40);
        let zero = "0".repeat(40);
        let text = format!("refs/heads/a {id} refs/heads/b {zero}\n(delete) {zero} refs/heads/c {id}\n");
        let updates = updates(&text).unwrap();
        assert_eq!((updates[0].local.is_some(), updates[0].remote), (true, None));
        assert_eq!((updates[1].local, updates[1].remote.is_some()), (None, true));
        assert!(super::updates("a b c").is_err() && super::updates("").unwrap().is_empty());
        assert!(super::updates(&format!("a {id} b {id} c")).is_err());
    }
}
