//! The relation proof: that a merge result M is exactly what its base B and a pull request's head H give.
//!
//! No message, branch or author is believed: trees are compared. If gix computes another tree than M's, git computes
//! the merge a second time, and its result is accepted if it is clean and equal.

use std::collections::BTreeSet;

use crate::{
    model::{
        approval::{Approval, Style},
        ids::Oid,
        refusal::{Code, Refusal},
    },
    port::{Answer, Commit, Merge, Merger, Source},
};

/// A proven relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// H.
    pub head: Oid,
    /// M.
    pub merge: Oid,
    /// tree(M).
    pub tree: Oid,
    /// B.
    pub base: Oid,
    /// How it was merged.
    pub style: Style,
    /// Whether the forge confirmed what git alone cannot prove.
    pub confirmed: bool,
}

impl Relation {
    /// Whether git alone cannot prove the relation completely.
    pub fn weak(&self) -> bool {
        self.style == Style::FastForward && !self.confirmed
    }

    /// The proof as it is recorded, of a pull request that covers others and adopted commits.
    pub(crate) fn recorded(&self, pr: u64, covers: Vec<u64>, adopted: Vec<Oid>) -> Approval {
        let Self { head, merge, tree, base, style, .. } = *self;
        let (weak, reviews) = (self.weak(), Vec::new());
        Approval {
            pr,
            head,
            merge,
            tree,
            style,
            base,
            covers,
            weak,
            adopted,
            baseline: None,
            reviews,
            forge: None,
            server_signed: false,
        }
    }
}

/// Proves that `merge` is the result of merging `head`. `Err` tells how it differs.
///
/// # Errors
/// Objects that cannot be read.
pub fn prove(source: &dyn Source, head: Oid, merge: Oid) -> Answer<Result<Relation, Refusal>> {
    let m = source.commit(merge)?;
    match m.parents.as_slice() {
        [] => Ok(Err(evil(merge, "it has no parent, so nothing was merged", None))),
        // This includes a branch whose last commit merged the base into it: the policy decides whether a fast-forward
        // counts.
        [base] | [base, _] if merge == head => Ok(Ok(relation(&m, head, *base, Style::FastForward))),
        [base] => linear(source, head, &m, *base),
        [base, second] if *second == head => merged(source, head, &m, *base),
        [base, second] => rebase_merged(source, head, &m, *base, *second),
        more => Ok(Err(evil(
            merge,
            &format!("it has {} parents (an octopus merge), which no pull request creates", more.len()),
            None,
        ))),
    }
}

fn relation(m: &Commit, head: Oid, base: Oid, style: Style) -> Relation {
    Relation { head, merge: m.id, tree: m.tree, base, style, confirmed: false }
}

fn evil(merge: Oid, why: &str, diff: Option<String>) -> Refusal {
    let diff = diff.map_or_else(String::new, |diff| format!("\n{diff}"));
    Refusal::new(
        Code::EvilMerge,
        format!("{merge} is not the result of merging its pull request: {why}{diff}"),
        "merge the base into the branch, then merge the pull request; a repair is a new pull request",
    )
}

/// The merge is correct, but it changes nothing.
fn empty(merge: Oid) -> Refusal {
    Refusal::new(
        Code::NeverChangedByPr,
        format!("{merge} changes no file: its pull request was empty, or the base already had its changes"),
        "there is nothing to apply; platformctl pending lists pull requests with changes",
    )
}

fn merged(source: &dyn Source, head: Oid, m: &Commit, base: Oid) -> Answer<Result<Relation, Refusal>> {
    let unchanged = source.commit(base)?.tree == m.tree;
    let why = match tree_of(source, base, head, m.tree)? {
        Computed::Same if unchanged => empty(m.id),
        Computed::Same => return Ok(Ok(relation(m, head, base, Style::Merge))),
        Computed::Conflict(_) | Computed::Other(_) if unchanged => {
            evil(m.id, "its tree is that of its base: the head's changes were dropped", None)
        }
        Computed::Conflict(paths) => evil(
            m.id,
            &format!("base and head conflict in {paths}, and somebody resolved them in the merge commit"),
            None,
        ),
        Computed::Other(tree) => evil(
            m.id,
            "these files differ from a clean merge of base and head:",
            Some(source.diff(tree, m.tree, &[], 20)?),
        ),
    };
    Ok(Err(why))
}

enum Computed {
    Same,
    Other(Oid),
    Conflict(String),
}

fn judge(merge: Merge, wanted: Oid) -> Computed {
    match merge {
        Merge::Clean(tree) if tree == wanted => Computed::Same,
        Merge::Clean(tree) => Computed::Other(tree),
        Merge::Conflict(paths) => Computed::Conflict(paths.join(", ")),
    }
}

/// The clean merge of base and head, compared with `wanted`: computed by gix first, and by git if that differs.
fn tree_of(source: &dyn Source, base: Oid, head: Oid, wanted: Oid) -> Answer<Computed> {
    match judge(source.merge(base, head, Merger::Gix)?, wanted) {
        Computed::Same => Ok(Computed::Same),
        Computed::Other(_) | Computed::Conflict(_) => Ok(judge(source.merge(base, head, Merger::Git)?, wanted)),
    }
}

/// The merge of `head` into `base`: computed by gix, and by git if gix finds conflicts.
///
/// # Errors
/// Objects that cannot be read.
pub fn merged_now(source: &dyn Source, base: Oid, head: Oid) -> Answer<Merge> {
    match source.merge(base, head, Merger::Gix)? {
        Merge::Clean(tree) => Ok(Merge::Clean(tree)),
        Merge::Conflict(_) => source.merge(base, head, Merger::Git),
    }
}

fn replayed(source: &dyn Source, onto: Oid, pick: Oid, wanted: Oid) -> Answer<bool> {
    for by in [Merger::Gix, Merger::Git] {
        if matches!(judge(source.replay(onto, pick, by)?, wanted), Computed::Same) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One parent and not the head itself: a rebase of several commits, or a squash.
fn linear(source: &dyn Source, head: Oid, m: &Commit, parent: Oid) -> Answer<Result<Relation, Refusal>> {
    // A rebase is tried first: merging the head on top of its own replay changes nothing, and would look like a squash.
    if let Some(base) = replay(source, head, m.id, parent)? {
        let same_words = |pick: &Commit| pick.message == m.message && pick.author == m.author;
        let rebased = base != parent || picks(source, base, head)?.iter().any(same_words);
        let style = if rebased { Style::Rebase } else { Style::Squash };
        if source.commit(base)?.tree != m.tree {
            return Ok(Ok(relation(m, head, base, style)));
        }
    }
    if source.commit(parent)?.tree == m.tree {
        return Ok(Err(empty(m.id)));
    }
    let why = match tree_of(source, parent, head, m.tree)? {
        Computed::Same => return Ok(Ok(relation(m, head, parent, Style::Squash))),
        Computed::Conflict(paths) => evil(m.id, &format!("base and head conflict in {paths}"), None),
        Computed::Other(tree) => {
            evil(m.id, "these files differ from a clean squash of the head:", Some(source.diff(tree, m.tree, &[], 20)?))
        }
    };
    Ok(Err(why))
}

/// The commits of the head that a rebase replays: those not in `base`, without merges, parents first.
pub(crate) fn picks(source: &dyn Source, base: Oid, head: Oid) -> Answer<Vec<Commit>> {
    let mut picks = Vec::new();
    for id in source.between(base, head)? {
        let commit = source.commit(id)?;
        if commit.parents.len() == 1 {
            picks.push(commit);
        }
    }
    Ok(picks)
}

/// B, if `tip` and the commits below it are the head's own commits replayed on B, step by step. `near` is `tip`'s
/// parent.
fn replay(source: &dyn Source, head: Oid, tip: Oid, near: Oid) -> Answer<Option<Oid>> {
    let own = picks(source, near, head)?;
    if let Some(base) = replay_of(source, head, tip, own.len())? {
        return Ok(Some(base));
    }
    // git drops a commit whose change the base already has. A rebase keeps authors and messages, so these tell how many
    // commits are left; the proof is the replay.
    let kept = kept(source, tip, &own)?;
    if (1..own.len()).contains(&kept) { replay_of(source, head, tip, kept) } else { Ok(None) }
}

/// How many commits from `tip` downwards have the author and message of one of `picks`.
fn kept(source: &dyn Source, tip: Oid, picks: &[Commit]) -> Answer<usize> {
    let mut at = source.commit(tip)?;
    for kept in 0..picks.len() {
        let same = picks.iter().any(|pick| pick.author == at.author && pick.message == at.message);
        let ([parent], true) = (at.parents.as_slice(), same) else {
            return Ok(kept);
        };
        at = source.commit(*parent)?;
    }
    Ok(picks.len())
}

/// B, if the `length` commits from `tip` downwards are the head's own, replayed on B step by step. Where there are
/// fewer of them than the head has, each of those that are missing must change nothing at its place.
fn replay_of(source: &dyn Source, head: Oid, tip: Oid, length: usize) -> Answer<Option<Oid>> {
    let mut chain = Vec::new();
    let mut base = tip;
    for _ in 0..length {
        let commit = source.commit(base)?;
        let [parent] = commit.parents.as_slice() else {
            return Ok(None);
        };
        base = *parent;
        chain.push(commit);
    }
    chain.reverse();
    let picks = picks(source, base, head)?;
    let Some(mut spare) = picks.len().checked_sub(chain.len()).filter(|_| length > 0) else {
        return Ok(None);
    };
    let own: BTreeSet<Oid> = picks.iter().map(|pick| pick.id).collect();
    // A step that is the pick itself was not replayed: that is a fast-forward, which has its own rule.
    if chain.iter().any(|step| own.contains(&step.id)) {
        return Ok(None);
    }
    let mut onto = source.commit(base)?;
    let mut steps = chain.into_iter().peekable();
    for pick in &picks {
        let fits = match steps.peek() {
            Some(step) => replayed(source, onto.id, pick.id, step.tree)?,
            None => false,
        };
        if fits {
            onto = steps.next().unwrap_or(onto);
        } else if spare > 0 && replayed(source, onto.id, pick.id, onto.tree)? {
            spare -= 1;
        } else {
            return Ok(None);
        }
    }
    Ok(steps.next().is_none().then_some(base))
}

fn rebase_merged(
    source: &dyn Source,
    head: Oid,
    m: &Commit,
    base: Oid,
    second: Oid,
) -> Answer<Result<Relation, Refusal>> {
    let top = source.commit(second)?;
    if top.tree == m.tree
        && let [near] = top.parents.as_slice()
        && replay(source, head, second, *near)? == Some(base)
    {
        let unchanged = source.commit(base)?.tree == m.tree;
        return Ok(if unchanged { Err(empty(m.id)) } else { Ok(relation(m, head, base, Style::RebaseMerge)) });
    }
    let why = format!("its second parent {second} is neither the head {head} nor a replay of it");
    Ok(Err(evil(m.id, &why, None)))
}
