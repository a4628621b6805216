//! When a chain of records is valid: the same checks run before a record is written, when one is fetched, and in
//! `verify`.
//!
//! The verdict on a record is a function of the record and of what it follows: it never depends on the reader's clock,
//! on how far the reader has read before, or on which other objects the reader has. So it is the same in every clone.

use std::collections::BTreeMap;

use super::{
    event::{self, Event, Kind},
    fault::{Checked, Fault, Wrong},
    fold::{self, Files},
    form, meaning, message,
    recover::{self, Rejudge},
    shape::shape,
    state::State,
    tree,
};
use crate::{
    model::{digest::Digest, ids::Oid, refusal::Code},
    port::{Answer, Commit, Ledger, PortError, Source},
};

/// How deeply recover records may be nested in what other recover records displace.
const DEPTH_MAX: usize = 64;

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
) -> Answer<Result<Checked, Fault>> {
    Judge { source, ledger, known: BTreeMap::new(), depth: 0 }.check(before, id)
}

/// A check, and what it found out about records beside the chain.
struct Judge<'a> {
    source: &'a dyn Source,
    ledger: &'a dyn Ledger,
    /// Whether a record is valid after its own first parent.
    known: BTreeMap<Oid, bool>,
    depth: usize,
}

impl Rejudge for Judge<'_> {
    fn source(&self) -> &dyn Source {
        self.source
    }

    fn is_valid(&mut self, before: Option<&Checked>, id: Oid) -> Answer<bool> {
        if let Some(known) = self.known.get(&id) {
            return Ok(*known);
        }
        self.depth += 1;
        let valid = self.check(before, id)?.is_ok();
        self.depth -= 1;
        self.known.insert(id, valid);
        Ok(valid)
    }
}

impl Judge<'_> {
    fn check(&mut self, before: Option<&Checked>, id: Oid) -> Answer<Result<Checked, Fault>> {
        if self.depth > DEPTH_MAX {
            return Err(PortError::new(
                Code::StateInvalid,
                format!("the record {id} displaces recover records that displace others, more than {DEPTH_MAX} deep"),
                "this was done on purpose; `platformctl help recovery` explains what to do",
            ));
        }
        let commit = self.source.commit(id)?;
        let judged = self.judge(before, &commit)?;
        Ok(judged.map_err(|wrong| {
            let Wrong { rule, expected, found } = wrong;
            Fault { commit: id, rule, expected, found }
        }))
    }

    fn judge(&mut self, before: Option<&Checked>, commit: &Commit) -> Answer<Result<Checked, Wrong>> {
        let state = State::at(self.source, commit.id)?;
        let bytes = match state.bytes(tree::EVENT) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Err(Wrong::new("event", "a file event.json", "none"))),
            Err(error) if error.code == Code::StateInvalid => {
                return Ok(Err(Wrong::new("event", "a plain file event.json of at most 256 KiB", "something else")));
            }
            Err(error) => return Err(error),
        };
        let event = match form::event(&bytes) {
            Ok(event) => event,
            Err(wrong) => return Ok(Err(wrong)),
        };
        if let Some(wrong) = place(before, commit, &event) {
            return Ok(Err(wrong));
        }
        let canonical = tree::file(&event).ok();
        if canonical.as_deref() != Some(bytes.as_slice()) {
            let digest = |bytes: Option<&[u8]>| bytes.map_or("none".to_owned(), |bytes| Digest::of(bytes).to_string());
            let (expected, found) = (digest(canonical.as_deref()), digest(Some(&bytes)));
            return Ok(Err(Wrong::new("canonical", format!("event.json in canonical form, {expected}"), found)));
        }
        if let Some(wrong) = form::message(&event, &bytes, commit, |event, digest| message::render(event, digest).ok())
            .or_else(|| form::headers(&event, commit))
            .or_else(|| shape(event.kind).judge(&event))
        {
            return Ok(Err(wrong));
        }
        if let Some(before) = before {
            if let Some(wrong) = meaning::judge(self.source, before, &event)? {
                return Ok(Err(wrong));
            }
            if event.kind == Kind::Recover
                && let Some(wrong) = recover::judge(self, before, commit, &event)?
            {
                return Ok(Err(wrong));
            }
        }
        let files = match before {
            Some(before) => State::at(self.source, before.id)?.files(&event)?,
            None => Files::new(),
        };
        let edits = match fold::fold(&event, &files) {
            Ok(edits) => edits,
            Err(error) => return Ok(Err(Wrong::new("fields", "what its kind needs", error.to_string()))),
        };
        let wanted = self.ledger.tree_id(before.map(|before| before.tree), &edits)?;
        if wanted != commit.tree {
            return Ok(Err(Wrong::new("tree", format!("the tree {wanted}"), commit.tree.to_string())));
        }
        let genesis = event.genesis.unwrap_or(commit.id);
        Ok(Ok(Checked { id: commit.id, tree: commit.tree, event, genesis }))
    }
}

/// Schema, parents, seq, genesis and time.
fn place(before: Option<&Checked>, commit: &Commit, event: &Event) -> Option<Wrong> {
    let ids = |ids: &[Oid]| match ids {
        [] => "none".to_owned(),
        ids => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    };
    let mut wrong = Vec::new();
    let mut equal = |rule, expected: String, found: String| {
        if expected != found {
            wrong.push(Wrong::new(rule, expected, found));
        }
    };
    let or_none = |id: Option<Oid>| id.map_or("none".to_owned(), |id| id.to_string());
    equal("schema", event::SCHEMA.to_owned(), crate::model::text::shown(&event.schema));
    match before {
        None => {
            equal("first", Kind::Genesis.as_str().to_owned(), event.kind.as_str().to_owned());
            equal("parents", ids(&[]), ids(&commit.parents));
            equal("seq", "0".to_owned(), event.seq.to_string());
            equal("genesis", "none".to_owned(), or_none(event.genesis));
        }
        Some(before) => {
            let mut parents = vec![before.id];
            // What a recover record displaces is judged by its own rule.
            if event.kind == Kind::Recover {
                parents.extend(commit.parents.get(1).copied());
            }
            equal("parents", ids(&parents), ids(&commit.parents));
            if event.kind == Kind::Genesis {
                equal("first", "no second genesis".to_owned(), "a second genesis".to_owned());
            }
            equal("seq", before.event.seq.saturating_add(1).to_string(), event.seq.to_string());
            equal("genesis", before.genesis.to_string(), or_none(event.genesis));
            if event.time < before.event.time {
                let parent = before.event.time;
                equal("time", format!("a time at or after {parent}, its parent's"), event.time.to_string());
            }
        }
    }
    equal("time", event.time.unix_s().to_string(), commit.committed_unix_s.to_string());
    wrong.into_iter().next()
}
