//! Approve: which pull request is meant, and the proof that it was merged into our base as it is.
//!
//! That an id exists or can be fetched proves nothing. Messages are hints to candidates and never proofs.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    flow::{
        relation::{self, Relation},
        request::{Request, full_id, hints},
        stage::{Stage, Stop, refuse},
    },
    model::{
        approval::Style,
        ids::Oid,
        refusal::{Code, Refusal},
    },
    port::{Answer, Commit, Remote, RemoteRefs, Source, Want},
};

/// What approve works on: objects, and the remote as it answered in this very run.
#[derive(Clone, Copy)]
pub struct Forge<'a> {
    /// Objects.
    pub source: &'a dyn Source,
    /// To fetch candidates; `None` where the local base branch approves on purpose.
    pub remote: Option<&'a dyn Remote>,
    /// What it has.
    pub refs: &'a RemoteRefs,
    /// The tip of the base branch, fetched.
    pub base: Oid,
    /// The ways of merging that the policy allows.
    pub styles: &'a [Style],
}

/// A pull request that is proven to be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Approved {
    pub(super) pr: u64,
    pub(super) relation: Relation,
}

impl Approved {
    /// The pull request.
    pub fn pr(&self) -> u64 {
        self.pr
    }

    /// Its proven relation to the base.
    pub fn relation(&self) -> &Relation {
        &self.relation
    }
}

/// Proves a request.
///
/// # Errors
/// Why it is not approved, or a world that gave no answer.
pub fn approve(forge: &Forge<'_>, request: &Request) -> Stage<Approved> {
    let given = request.approved.as_deref().map(|text| full_id(forge.source, text)).transpose()?;
    if let Some(pr) = request.pr {
        let head = forge.head_of(pr)?;
        let found = forge.by_head(pr, head)?;
        return match given {
            Some(id) if id != found.relation.head && id != found.relation.merge => forge.not_of(pr, &found, id),
            Some(_) | None => Ok(found),
        };
    }
    let Some(id) = given else {
        return refuse(
            Code::Usage,
            "neither --approved nor --pr is given",
            "platformctl pending names the pull requests to apply",
        );
    };
    let heads: Vec<u64> = forge.refs.pulls.iter().filter(|(_, head)| *head == id).map(|(pr, _)| *pr).collect();
    if heads.is_empty() {
        return forge.by_merge(id);
    }
    let mut found = Vec::new();
    let mut refused = Vec::new();
    for pr in heads {
        match forge.by_head(pr, id) {
            Ok(approved) => found.push(approved),
            Err(Stop::Refused(refusals)) => refused.extend(refusals),
            Err(world) => return Err(world),
        }
    }
    forge.one_of(found, refused)
}

impl Forge<'_> {
    fn head_of(&self, pr: u64) -> Stage<Oid> {
        let found = self.refs.pulls.binary_search_by_key(&pr, |(n, _)| *n);
        match found.ok().and_then(|at| self.refs.pulls.get(at)) {
            Some((_, head)) => {
                self.bring(pr, *head)?;
                Ok(*head)
            }
            None => refuse(
                Code::UnknownId,
                format!("the remote has no pull request {pr} (no refs/pull/{pr}/head)"),
                "see that the number is right",
            ),
        }
    }

    /// Fetches a head that is not here yet.
    fn bring(&self, pr: u64, head: Oid) -> Answer<()> {
        match self.remote {
            Some(remote) if !self.source.has(head)? => remote.fetch(&[Want::Pull(pr)]),
            Some(_) | None => Ok(()),
        }
    }

    /// The first-parent chain of the base, newest first, down to the first commit that `head` contains (which is the last item).
    fn since(&self, head: Oid) -> Answer<Vec<Commit>> {
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

    /// Finds M for a pull request's head.
    fn by_head(&self, pr: u64, head: Oid) -> Stage<Approved> {
        self.bring(pr, head)?;
        let original = self.source.commit(head)?;
        let mut found = Vec::new();
        let mut refused = Vec::new();
        for commit in self.since(head)? {
            let second = commit.parents.get(1) == Some(&head);
            let hinted = hints(&commit.message).contains(&pr);
            let same_words = commit.author == original.author && commit.message == original.message;
            if !(second || hinted || same_words || commit.id == head) {
                continue;
            }
            match self.proven(pr, head, commit.id)? {
                Ok(approved) => found.push(approved),
                // A mere mention in a message that proves nothing is no evil merge.
                Err(refusal) if second || hinted || refusal.code == Code::StyleNotAllowed => {
                    refused.push(refusal);
                }
                Err(_) => {}
            }
        }
        if found.is_empty() && refused.is_empty() {
            refused.push(self.unmerged(pr, head)?);
        }
        self.one_of(found, refused)
    }

    fn proven(&self, pr: u64, head: Oid, merge: Oid) -> Answer<Result<Approved, Refusal>> {
        Ok(match relation::prove(self.source, head, merge)? {
            Ok(relation) if self.styles.contains(&relation.style) => Ok(Approved { pr, relation }),
            Ok(relation) => Err(Refusal::new(
                Code::StyleNotAllowed,
                format!(
                    "PR #{pr} came to the base by {} ({merge}), which approval.styles does not list",
                    relation.style.as_str()
                ),
                if relation.weak() {
                    "git alone cannot tell this from a direct push: merge with a merge commit next time, or list fast-forward in a reviewed policy"
                } else {
                    "merge in another way next time, or list it in a reviewed policy"
                },
            )),
            Err(refusal) => Err(refusal),
        })
    }

    /// Exactly one, or why not.
    fn one_of(&self, mut found: Vec<Approved>, refused: Vec<Refusal>) -> Stage<Approved> {
        if found.len() > 1 {
            // Two pull requests with one head, or a message that quotes another: the merge result's own hint decides.
            let hinted: Vec<_> = found
                .iter()
                .filter_map(|one| {
                    let commit = self.source.commit(one.relation.merge).ok()?;
                    hints(&commit.message).contains(&one.pr).then(|| one.clone())
                })
                .collect();
            if hinted.len() == 1 {
                found = hinted;
            }
        }
        match (found.len(), found.pop()) {
            (1, Some(only)) => Ok(only),
            (0, _) | (_, None) => Err(Stop::Refused(refused)),
            (_, Some(last)) => {
                found.push(last);
                let list: Vec<_> = found.iter().map(|one| format!("#{} as {}", one.pr, one.relation.merge)).collect();
                refuse(
                    Code::AmbiguousPr,
                    format!("several pull requests fit: {}", list.join(", ")),
                    "say which: --pr N, or --approved with the id of the merge result",
                )
            }
        }
    }

    /// Why a head without a merge result is not approved.
    fn unmerged(&self, pr: u64, head: Oid) -> Answer<Refusal> {
        if !self.source.is_ancestor(head, self.base)? {
            return Ok(Refusal::new(
                Code::HeadNotMerged,
                format!("PR #{pr} with the head {head} is not merged into the base ({})", self.base),
                format!("merge PR #{pr}, then run the same command again"),
            ));
        }
        let Some((brought, inside)) = self.brought(head)? else {
            return Ok(Refusal::new(
                Code::HeadNotMerged,
                format!("no merge of {head} is found on the base"),
                "name the merge result: --approved <id>",
            ));
        };
        for id in inside {
            if id != brought && self.source.commit(id)?.parents.get(1) == Some(&head) {
                return Ok(Refusal::new(
                    Code::BaseNotOurs,
                    format!(
                        "PR #{pr} was merged into another branch ({id}), which came to the base later with {brought}"
                    ),
                    format!("approve what was merged into the base: --approved {brought}"),
                ));
            }
        }
        Ok(intermediate(head, brought))
    }

    /// The commit of the first-parent chain that brought `id` to the base, and all that it brought.
    fn brought(&self, id: Oid) -> Answer<Option<(Oid, Vec<Oid>)>> {
        let newer: BTreeSet<Oid> = self.source.between(id, self.base)?.into_iter().collect();
        let mut next = Some(self.base);
        while let Some(at) = next {
            let parents = self.source.commit(at)?.parents;
            let first = parents.first().copied();
            // The first commit whose first parent does not contain `id` any more is the one that brought it.
            let still = match first {
                Some(first) if newer.contains(&first) => self.source.is_ancestor(id, first)?,
                Some(_) | None => false,
            };
            if !still {
                let inside = match first {
                    Some(first) => self.source.between(first, at)?,
                    None => Vec::new(),
                };
                return Ok(Some((at, inside)));
            }
            next = first;
        }
        Ok(None)
    }

    /// The given id is no head: it must be a merge result on the first-parent chain.
    fn by_merge(&self, id: Oid) -> Stage<Approved> {
        if !self.source.has(id)? {
            return self.unknown(id);
        }
        if !self.source.is_ancestor(id, self.base)? {
            return refuse(
                Code::HeadNotMerged,
                format!("{id} is not on the base ({}) and no pull request has it as its head", self.base),
                "give the head of a merged pull request, or its merge result",
            );
        }
        if !self.on_chain(id)? {
            return match self.brought(id)? {
                Some((brought, _)) => Err(intermediate(id, brought).into()),
                None => refuse(
                    Code::BaseNotOurs,
                    format!("{id} is not on the first-parent chain of the base"),
                    "give a merge result of the base",
                ),
            };
        }
        let mut found = Vec::new();
        let mut refused = Vec::new();
        for pr in self.candidates(id)? {
            let head = self.head_of(pr)?;
            match self.proven(pr, head, id)? {
                Ok(approved) => found.push(approved),
                Err(refusal) => refused.push(refusal),
            }
        }
        if found.is_empty() && refused.is_empty() {
            let fact = format!("no pull request's frozen head leads to {id}: it may be a direct push");
            refused.push(Refusal::new(
                Code::NoPullRef,
                fact,
                "name the pull request: --pr N; a direct push needs `approval.adopt` in a reviewed policy",
            ));
        }
        self.one_of(found, refused)
    }

    fn unknown(&self, id: Oid) -> Stage<Approved> {
        let fetched = self.remote.map(|remote| remote.fetch(&[Want::Commit(id)]));
        match fetched {
            // It can be fetched, which proves nothing: the base, just fetched, does not contain it.
            Some(Ok(())) if self.source.has(id)? => refuse(
                Code::HeadNotMerged,
                format!("{id} can be fetched but is not on the base ({})", self.base),
                "give the head of a merged pull request, or its merge result",
            ),
            Some(Err(error)) if error.code != Code::UnknownId => Err(error.into()),
            Some(_) | None => refuse(
                Code::UnknownId,
                format!("the remote has no commit {id}"),
                "see that the id is right and of this repository",
            ),
        }
    }

    fn on_chain(&self, id: Oid) -> Answer<bool> {
        Ok(self.since(id)?.last().is_some_and(|last| last.id == id))
    }

    /// Pull requests that a commit of the base may be the merge result of.
    pub(super) fn candidates(&self, merge: Oid) -> Answer<BTreeSet<u64>> {
        let commit = self.source.commit(merge)?;
        let hinted = hints(&commit.message);
        let ends: Vec<Oid> = commit.parents.get(1).copied().into_iter().chain([merge]).collect();
        let pulls = self.refs.pulls.iter();
        let mut found: BTreeSet<u64> =
            pulls.clone().filter(|(pr, head)| ends.contains(head) || hinted.contains(pr)).map(|(pr, _)| *pr).collect();
        if found.is_empty() {
            // A rebase leaves no trace but the head's own words; only heads that are here already are looked at.
            let last = commit.parents.get(1).map_or(Ok(None), |second| self.source.commit(*second).map(Some))?;
            let words = last.as_ref().unwrap_or(&commit);
            for (pr, head) in pulls {
                if self.source.has(*head)? {
                    let original = self.source.commit(*head)?;
                    if original.author == words.author && original.message == words.message {
                        found.insert(*pr);
                    }
                }
            }
        }
        Ok(found)
    }

    /// The pull request that a commit of the base is the merge result of, if exactly one is proven.
    pub(super) fn proof_of(&self, merge: Oid) -> Stage<Approved> {
        self.by_merge(merge)
    }

    fn not_of(&self, pr: u64, found: &Approved, given: Oid) -> Stage<Approved> {
        let others: BTreeMap<Oid, u64> = self.refs.pulls.iter().map(|(n, head)| (*head, *n)).collect();
        let theirs = others.get(&given).map_or_else(String::new, |other| format!(", it is the head of PR #{other}"));
        refuse(
            Code::HeadOfOtherPr,
            format!("{given} does not belong to PR #{pr}{theirs}"),
            format!("PR #{pr} has the head {} and the merge result {}", found.relation.head, found.relation.merge),
        )
    }
}

fn intermediate(id: Oid, brought: Oid) -> Refusal {
    Refusal::new(
        Code::IntermediateCommit,
        format!("{id} is only a part of what {brought} brought to the base"),
        format!("approve the whole: --approved {brought}"),
    )
}
