//! Candidates: the pull requests that a commit of the base may come from. Each must still be proven.

use std::collections::BTreeSet;

use crate::{
    flow::{
        Stage,
        approve::{relation::picks, request::hints, witness::Witness},
        refuse,
    },
    model::{approval::Style, glass::Glass, ids::Oid, refusal::Code},
    port::{Answer, Commit, Remote, RemoteRefs, Source, Want},
};

/// How many missing heads are fetched at once, the newest first; older ones must be named.
const FETCHED_MAX: usize = 2_000;
/// For how many pull requests, the newest first, every commit is compared with those of a rebase; for the others only
/// the head is.
const WALKED_MAX: usize = 200;

/// What approve works on: objects, and what the remote answered in this run.
#[derive(Clone, Copy)]
pub struct Candidates<'a> {
    /// Objects.
    pub source: &'a dyn Source,
    /// Where candidates are fetched from; `None` if nothing may be fetched.
    pub remote: Option<&'a dyn Remote>,
    /// The refs of the remote.
    pub refs: &'a RemoteRefs,
    /// The tip of the base branch, fetched.
    pub base: Oid,
    /// The ways of merging that the policy allows.
    pub styles: &'a [Style],
    /// Commits of the base that the policy accepts although no pull request proves them.
    pub adopt: &'a [Oid],
    /// The forge, if the policy wants its word as well.
    pub witness: Option<Witness<'a>>,
    /// That a person breaks the glass.
    pub glass: Option<&'a Glass>,
}

/// The author and message of a commit, which a rebase keeps.
type Words = ((String, String), Vec<u8>);

fn words(commit: &Commit) -> Words {
    (commit.author.clone(), commit.message.clone())
}

/// Traces that a pull request leaves on the base, apart from its content.
pub(crate) struct Traces {
    pr: u64,
    head: Oid,
    words: BTreeSet<Words>,
}

impl Traces {
    /// Whether a commit of the base may be the pull request's merge result.
    pub(crate) fn are_on(&self, commit: &Commit) -> bool {
        self.strong(commit) || self.words.contains(&words(commit))
    }

    /// Whether a commit names the pull request, as its parent or in its message. An equal author and message may be a
    /// coincidence.
    pub(crate) fn strong(&self, commit: &Commit) -> bool {
        commit.id == self.head || commit.parents.get(1) == Some(&self.head) || hints(&commit.message).contains(&self.pr)
    }
}

impl Candidates<'_> {
    /// The frozen head of a pull request, fetched.
    pub(crate) fn head_of(&self, pr: u64) -> Stage<Oid> {
        let found = self.refs.pulls.binary_search_by_key(&pr, |(n, _)| *n);
        match found.ok().and_then(|at| self.refs.pulls.get(at)) {
            Some((_, head)) => {
                self.bring(pr, *head)?;
                Ok(*head)
            }
            None => refuse(
                Code::UnknownId,
                format!("the remote has no pull request {pr} (no refs/pull/{pr}/head)"),
                "check the number",
            ),
        }
    }

    /// Fetches a head that is missing here.
    pub(crate) fn bring(&self, pr: u64, head: Oid) -> Answer<()> {
        match self.remote {
            Some(remote) if !self.source.has(head)? => remote.fetch(&[Want::Pull(pr)]),
            Some(_) | None => Ok(()),
        }
    }

    /// Fetches all missing heads in one fetch.
    fn bring_all(&self) -> Answer<()> {
        let mut wants = Vec::new();
        for (pr, head) in self.refs.pulls.iter().rev() {
            if wants.len() < FETCHED_MAX && !self.source.has(*head)? {
                wants.push(Want::Pull(*pr));
            }
        }
        match self.remote {
            Some(remote) if !wants.is_empty() => remote.fetch(&wants),
            Some(_) | None => Ok(()),
        }
    }

    /// The traces that a pull request leaves on the base: the author and message of its commits, which a rebase keeps.
    pub(crate) fn traces(&self, pr: u64, head: Oid) -> Answer<Traces> {
        // A head that the base contains was merged or fast-forwarded: the base has its commits themselves.
        let own = picks(self.source, self.base, head)?;
        let mut words: BTreeSet<Words> = own.iter().map(words).collect();
        words.insert(self::words(&self.source.commit(head)?));
        Ok(Traces { pr, head, words })
    }

    /// The first-parent chain of the base, newest first, down to the first commit that `head` contains (which is the
    /// last item).
    pub(crate) fn since(&self, head: Oid) -> Answer<Vec<Commit>> {
        let newer: BTreeSet<Oid> = self.source.between(head, self.base)?.into_iter().collect();
        let mut chain = Vec::new();
        let mut next = Some(self.base);
        while let Some(id) = next {
            let commit = self.source.commit(id)?;
            next = commit.parents.first().copied().filter(|_| newer.contains(&id));
            chain.push(commit);
        }
        Ok(chain)
    }

    /// Pull requests that a commit of the base names: as its parent, as itself, or in its message.
    pub(crate) fn named_by(&self, commit: &Commit) -> BTreeSet<u64> {
        let hinted = hints(&commit.message);
        let ends = [commit.parents.get(1).copied(), Some(commit.id)];
        let pulls = self.refs.pulls.iter();
        pulls.filter(|(pr, head)| ends.contains(&Some(*head)) || hinted.contains(pr)).map(|(pr, _)| *pr).collect()
    }

    /// Pull requests whose rebase may have made a commit, by author and message: a rebase leaves no other trace.
    /// Missing heads are fetched, because a new clone has none.
    pub(crate) fn replayed_in(&self, commit: &Commit) -> Answer<BTreeSet<u64>> {
        self.bring_all()?;
        let top = match commit.parents.get(1) {
            Some(second) => self.source.commit(*second)?,
            None => commit.clone(),
        };
        let wanted = words(&top);
        let mut found = BTreeSet::new();
        for (at, (pr, head)) in self.refs.pulls.iter().rev().enumerate() {
            if !self.source.has(*head)? {
                continue;
            }
            let last = words(&self.source.commit(*head)?) == wanted;
            if last || (at < WALKED_MAX && self.traces(*pr, *head)?.words.contains(&wanted)) {
                found.insert(*pr);
            }
        }
        Ok(found)
    }
}
