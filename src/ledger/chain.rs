//! When a chain of records holds: the same checks before a record is written, when one is fetched, and in `verify`.

use super::{
    event::{self, Event, Kind},
    message,
    state::State,
    transition::{self, RunState},
    tree,
};
use crate::{
    model::{digest::Digest, ids::Oid, refusal::Code, time::Timestamp},
    port::{Answer, Commit, Ledger, Source},
};

/// How far ahead of now a record may be, in seconds.
pub const AHEAD_MAX_S: i64 = 600;

/// A record that was checked, with what the next one is checked against.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The record.
    pub id: Oid,
    /// Its tree.
    pub tree: Oid,
    /// Its event.
    pub event: Event,
    /// The first record of its chain.
    pub genesis: Oid,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The record.
    pub commit: Oid,
    /// What is wrong, in words; nothing of the record itself is repeated.
    pub why: String,
}

/// Takes a record for checked without looking: for a tip that this clone itself remembers as verified.
///
/// # Errors
/// It cannot be read.
pub fn trusted(source: &dyn Source, id: Oid) -> Answer<Checked> {
    let state = State::at(source, id)?;
    let event = state.event()?;
    Ok(Checked { id, tree: state.tree(), genesis: event.genesis.unwrap_or(id), event })
}

/// Checks the record `id` against the one before it (`None`: it must be the first).
///
/// # Errors
/// Objects that cannot be read. What is wrong with the record is data.
pub fn check(
    source: &dyn Source,
    ledger: &dyn Ledger,
    before: Option<&Checked>,
    id: Oid,
    now: Timestamp,
) -> Answer<Result<Checked, Fault>> {
    let commit = source.commit(id)?;
    let state = State::at(source, id)?;
    let fault = |why: &str| Ok(Err(Fault { commit: id, why: why.to_owned() }));
    let bytes = match state.bytes(tree::EVENT) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return fault("it has no event.json"),
        Err(error) if error.code == Code::StateInvalid => return fault("its event.json is no file of a record"),
        Err(error) => return Err(error),
    };
    let Ok(event) = serde_json::from_slice::<Event>(&bytes) else {
        return fault("its event.json cannot be read");
    };
    if let Some(why) = place(before, &commit, &event, now) {
        return fault(&why);
    }
    if tree::file(&event).ok().as_deref() != Some(bytes.as_slice()) {
        return fault("its event.json is not in canonical form");
    }
    let message = message::render(&event, Digest::of(&bytes));
    if message.ok().as_deref().map(str::as_bytes) != Some(commit.message.as_slice()) {
        return fault("its message is not what its event gives");
    }
    if (&commit.author.0, &commit.author.1) != (&event.actor.name, &event.actor.email) {
        return fault("its author is not the actor of its event");
    }
    if let Some(why) = run(source, before, &event)? {
        return fault(&why);
    }
    let old = match (&event.module, before) {
        (Some(module), Some(before)) => State::at(source, before.id)?.bytes(&tree::status_path(module))?,
        (Some(_) | None, _) => None,
    };
    let Ok(edits) = tree::fold(&event, old.as_deref()) else {
        return fault("its event lacks what its kind needs");
    };
    if ledger.tree_id(before.map(|before| before.tree), &edits)? != commit.tree {
        return fault("its tree is not what its event makes of the tree before");
    }
    let genesis = event.genesis.unwrap_or(id);
    Ok(Ok(Checked { id, tree: commit.tree, event, genesis }))
}

/// Parents, seq, genesis and time.
fn place(before: Option<&Checked>, commit: &Commit, event: &Event, now: Timestamp) -> Option<String> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, why: &str| {
        if !holds {
            wrong.push(why.to_owned());
        }
    };
    must(event.schema == event::SCHEMA, "its event has another schema");
    must(commit.committed_unix_s == event.time.unix_s(), "its time is not that of its event");
    must(event.time <= now.plus_s(AHEAD_MAX_S), "it is more than 10 minutes ahead of now");
    match before {
        None => {
            must(event.kind == Kind::Genesis, "the first record is not a genesis");
            must(event.seq == 0 && event.genesis.is_none(), "the first record does not begin the count");
            must(commit.parents.is_empty(), "the first record has a parent");
        }
        Some(before) => {
            must(event.kind != Kind::Genesis, "a second genesis");
            must(commit.parents == [before.id], "its parents are not the one record before it");
            must(before.event.seq.checked_add(1) == Some(event.seq), "its seq does not follow");
            must(event.genesis == Some(before.genesis), "it names another genesis");
            must(event.time >= before.event.time, "it is older than the record before it");
        }
    }
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

/// Each outcome has one open intent and is of the same run, module and host.
fn run(source: &dyn Source, before: Option<&Checked>, event: &Event) -> Answer<Option<String>> {
    let Some(run) = &event.run else {
        return Ok(None);
    };
    let open = match before {
        Some(before) => State::at(source, before.id)?.open_run(run)?,
        None => None,
    };
    let state = if open.is_some() { RunState::Open } else { RunState::Absent };
    if let Err(illegal) = transition::next(state, event.kind) {
        return Ok(Some(illegal.to_string()));
    }
    let (Some(open), Kind::ApplyOutcome | Kind::Takeover) = (open, event.kind) else {
        return Ok(None);
    };
    if Some(&open.module) != event.module.as_ref() || Some(&open.host) != event.host.as_ref() {
        return Ok(Some("its module or host is not that of its run".to_owned()));
    }
    let Some(intent) = event.intent else {
        return Ok(Some("it names no intent".to_owned()));
    };
    let opened = State::at(source, intent)?.event()?;
    let same = opened.run.as_ref() == Some(run) && opened.kind == Kind::ApplyIntent && opened.seq == open.fence;
    Ok((!same).then(|| "the intent it names did not open its run".to_owned()))
}
