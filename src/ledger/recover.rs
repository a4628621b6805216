//! Recover: the one record with two parents. It continues from the last valid record and displaces what was pushed on
//! top of it, which stays reachable as evidence. A fast-forward for the server and for every clone alike.
//!
//! No valid record may be displaced: a recover record cannot be used to remove records from the chain.

use std::collections::BTreeSet;

use super::{
    event::{Event, Kind, VOIDS_MAX, Voided},
    fault::{Checked, Wrong, back},
    state::State,
};
use crate::{
    model::{digest::Digest, ids::Oid, refusal::Code},
    port::{Answer, Commit, Source},
};

/// What `displaced` brings beside the chain that ends in `good`, parents first, and whether it contains `good` at all.
///
/// # Errors
/// A commit cannot be read.
pub fn displaced(source: &dyn Source, good: Oid, displaced: Oid) -> Answer<(Vec<Oid>, bool)> {
    // What one push of junk looks like: commits with one parent each, on top of the good record.
    let mut line = Vec::new();
    let mut at = displaced;
    loop {
        if at == good {
            line.reverse();
            return Ok((line, true));
        }
        let commit = source.commit(at)?;
        let [parent] = commit.parents.as_slice() else { break };
        line.push(at);
        at = *parent;
    }
    // Something was merged: everything that is not an ancestor of the good record. Commits are read by our own reader
    // alone, because what was pushed may be of a form that others stop at.
    let ours = ancestors(source, good, &BTreeSet::new())?;
    let all = ancestors(source, displaced, &ours.iter().copied().collect())?;
    let contains = reaches(source, &all, good)?;
    Ok((all, contains))
}

fn reaches(source: &dyn Source, all: &[Oid], good: Oid) -> Answer<bool> {
    for id in all {
        if source.commit(*id)?.parents.contains(&good) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A commit and all its ancestors but those in `without`, parents before children.
fn ancestors(source: &dyn Source, tip: Oid, without: &BTreeSet<Oid>) -> Answer<Vec<Oid>> {
    let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
    let mut stack = vec![(tip, false)];
    while let Some((id, done)) = stack.pop() {
        if done {
            order.push(id);
        } else if !without.contains(&id) && seen.insert(id) {
            stack.push((id, true));
            stack.extend(source.commit(id)?.parents.iter().rev().map(|parent| (*parent, false)));
        }
    }
    Ok(order)
}

/// Whether the record at `tip` contains `known`. What was pushed once, and displaced, may be of a form that the usual
/// search stops at; our own reader is then asked, which no form of a commit stops.
///
/// # Errors
/// A commit cannot be read.
pub fn contains(source: &dyn Source, tip: Oid, known: Oid) -> Answer<bool> {
    match source.is_ancestor(known, tip) {
        Err(error) if error.code == Code::Io => {}
        answer => return answer,
    }
    // Along the chain first: there it is in all but one case in a lifetime.
    let mut beside = Vec::new();
    let mut at = Some(tip);
    while let Some(id) = at {
        if id == known {
            return Ok(true);
        }
        let parents = source.commit(id)?.parents;
        beside.extend(parents.iter().skip(1).copied());
        at = parents.first().copied();
    }
    for tip in beside {
        if ancestors(source, tip, &BTreeSet::new())?.contains(&known) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a recover record contains about everything that it voids.
pub fn names(voids: &[Oid]) -> (Vec<Oid>, Voided) {
    let text: String = voids.iter().map(|id| format!("{id}\n")).collect();
    let voided = Voided { count: voids.len() as u64, ids: Digest::of(text.as_bytes()) };
    (voids.iter().take(VOIDS_MAX).copied().collect(), voided)
}

/// Judges a record beside the chain, as the chain's own are judged.
pub(super) trait Rejudge {
    /// Where commits are read.
    fn source(&self) -> &dyn Source;
    /// Whether the record `id` is valid after `before` (`None`: as the first).
    fn is_valid(&mut self, before: Option<&Checked>, id: Oid) -> Answer<bool>;
}

/// Judges what a recover record displaces.
pub(super) fn judge(
    judge: &mut dyn Rejudge,
    before: &Checked,
    commit: &Commit,
    event: &Event,
) -> Answer<Option<Wrong>> {
    let [_, tip] = commit.parents.as_slice() else {
        let expected = format!("two parents, {} and the displaced tip", before.id);
        return Ok(Some(Wrong::new("parents", expected, format!("{} parents", commit.parents.len()))));
    };
    let (voids, contains) = displaced(judge.source(), before.id, *tip)?;
    if !contains || voids.is_empty() {
        return Ok(Some(Wrong::new(
            "recover",
            format!("a displaced tip that contains {}", before.id),
            tip.to_string(),
        )));
    }
    let (listed, all) = names(&voids);
    if event.voids != listed || event.voided.as_ref() != Some(&all) {
        let found = event.voided.as_ref().map_or("none".to_owned(), |voided| format!("{} of them", voided.count));
        return Ok(Some(Wrong::new("voids", format!("the {} commits that it displaces", all.count), found)));
    }
    Ok(held(judge, before, &voids)?.map(|id| {
        Wrong::new("recover", "no displaced commit that is a valid record", format!("{id} is a valid record"))
    }))
}

/// The first displaced commit that is a valid record, after a record of the chain or as the first of another chain.
fn held(judge: &mut dyn Rejudge, before: &Checked, voids: &[Oid]) -> Answer<Option<Oid>> {
    let among: BTreeSet<Oid> = voids.iter().copied().collect();
    for id in voids {
        let parent = judge.source().commit(*id)?.parents.first().copied();
        // What follows something that was displaced is displaced with it.
        if parent.is_some_and(|parent| among.contains(&parent)) {
            continue;
        }
        let after = match parent {
            None => None,
            Some(parent) if parent == before.id => Some(before.clone()),
            Some(parent) => match on_chain(judge.source(), before, parent)? {
                Some(record) => Some(record),
                None => continue,
            },
        };
        if judge.is_valid(after.as_ref(), *id)? {
            return Ok(Some(*id));
        }
    }
    Ok(None)
}

/// A commit as a record of the chain that ends in `tip`, if it is one.
fn on_chain(source: &dyn Source, tip: &Checked, id: Oid) -> Answer<Option<Checked>> {
    let state = State::at(source, id)?;
    let Ok(event) = state.event() else { return Ok(None) };
    if event.kind != Kind::Genesis && event.genesis != Some(tip.genesis) || event.seq > tip.event.seq {
        return Ok(None);
    }
    let there = back(source, tip.id, tip.event.seq - event.seq)?;
    Ok((there == Some(id)).then(|| Checked { id, tree: state.tree(), genesis: tip.genesis, event }))
}
