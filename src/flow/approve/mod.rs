//! Approve: finds the pull request that is meant, and proves that it was merged into our base unchanged.
//!
//! An id that exists, or that can be fetched, proves nothing. Messages only suggest candidates.

pub mod approved;
pub mod candidates;
pub mod coverage;
mod explain;
pub mod policy;
pub mod relation;
pub mod request;
pub mod reviews;
pub mod witness;

use std::collections::BTreeSet;

use crate::{
    flow::{
        Stage, Stop,
        approve::{
            explain::intermediate,
            relation::Relation,
            request::{Request, full_id, hints},
        },
        refuse,
    },
    model::{
        approval::Style,
        glass::{Gate, sorted},
        ids::Oid,
        refusal::{Code, Refusal},
    },
    port::{Answer, Commit},
};

pub use crate::flow::approve::{approved::Approved, candidates::Candidates};

/// Proves a request, and asks the forge for its word where the policy wants it.
///
/// # Errors
/// The reasons why it is not approved, or a port failed.
pub fn approve(candidates: &Candidates<'_>, request: &Request) -> Stage<Approved> {
    let found = found(candidates, request)?;
    candidates.reviewed(found, true)
}

fn found(candidates: &Candidates<'_>, request: &Request) -> Stage<Approved> {
    let given = request.approved.as_deref().map(|text| full_id(candidates.source, text)).transpose()?;
    if let Some(pr) = request.pr {
        let head = candidates.head_of(pr)?;
        let found = candidates.by_head(pr, head)?;
        return match given {
            Some(id) if id != found.relation.head && id != found.relation.merge => {
                Err(candidates.not_of(pr, &found.relation, id).into())
            }
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
    let heads: Vec<u64> = candidates.refs.pulls.iter().filter(|(_, head)| *head == id).map(|(pr, _)| *pr).collect();
    if heads.is_empty() {
        return candidates.by_merge(id);
    }
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    // A branch may start at the merge result of another pull request: then the id means that other one.
    if candidates.source.has(id)? && candidates.source.is_ancestor(id, candidates.base)? && candidates.on_chain(id)? {
        match candidates.by_merge(id) {
            Ok(approved) => return Ok(approved),
            Err(Stop::Refused(refusals)) => refused.extend(refusals),
            Err(failed) => return Err(failed),
        }
    }
    for pr in heads {
        match candidates.by_head(pr, id) {
            Ok(approved) => found.push(approved),
            Err(Stop::Refused(refusals)) => refused.extend(refusals),
            Err(failed) => return Err(failed),
        }
    }
    refused.sort();
    refused.dedup();
    candidates.one_of(found, refused)
}

impl Candidates<'_> {
    /// A pull request that git proves, with the forge's word where the policy wants it; with `statuses` also on the
    /// required ones. A merge result that a reviewed policy adopts needs no other review, and break-glass passes what is
    /// missing.
    pub(crate) fn reviewed(&self, found: Approved, statuses: bool) -> Stage<Approved> {
        match self.witness {
            Some(witness) if !self.adopt.contains(&found.relation.merge) => {
                let refusals = match witness.word(self.source, found.pr, &found.relation, statuses) {
                    Ok(Ok(word)) => return Ok(Approved { word: Some(word), ..found }),
                    Ok(Err(refusals)) => refusals,
                    // A forge that is down is a reason like others where somebody breaks the glass.
                    Err(error) if self.glass.is_some() && Gate::of(error.code).is_some() => vec![error.refusal()],
                    Err(error) => return Err(error.into()),
                };
                match sorted(self.glass, refusals) {
                    (waived, firm) if firm.is_empty() => Ok(Approved { waived, ..found }),
                    (_, firm) => Err(Stop::Refused(firm)),
                }
            }
            Some(_) | None => Ok(found),
        }
    }

    /// Finds the merge result of a pull request's head. A forge merges a pull request once: if the same content was
    /// added to the base twice, the first commit is the merge result and the others are copies.
    fn by_head(&self, pr: u64, head: Oid) -> Stage<Approved> {
        self.bring(pr, head)?;
        let traces = self.traces(pr, head)?;
        let mut refused = Vec::new();
        for commit in self.since(head)?.iter().rev().filter(|commit| traces.are_on(commit)) {
            match self.proven(pr, head, commit)? {
                Ok(approved) => return Ok(approved),
                // A commit that only shares author and message with the pull request is not reported as an evil merge.
                Err(refusal) if traces.strong(commit) || refusal.code == Code::StyleNotAllowed => {
                    refused.push(refusal);
                }
                Err(_) => {}
            }
        }
        if refused.is_empty() {
            refused.push(self.unmerged(pr, head)?);
        }
        Err(Stop::Refused(refused))
    }

    fn proven(&self, pr: u64, head: Oid, merge: &Commit) -> Answer<Result<Approved, Refusal>> {
        let relation = match relation::prove(self.source, head, merge.id)? {
            Ok(relation) => relation,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let moved = relation.style == Style::FastForward;
        if moved && let Some(other) = self.merged_as(merge, pr)? {
            return Ok(Err(Refusal::new(
                Code::HeadNotMerged,
                format!("PR #{pr} has no commit of its own: its head {head} is the merge result of PR #{other}"),
                format!("approve that one: --pr {other}"),
            )));
        }
        let adopted = self.adopt.contains(&relation.merge);
        if let (Some(witness), true, false) = (self.witness, moved, adopted) {
            let confirmed = witness.fast_forward(self.source, pr, &relation)?;
            return Ok(confirmed.map(|relation| Approved { pr, relation, word: None, waived: Vec::new() }));
        }
        // After a fast-forward to a merge commit the first parent is not the base, so git cannot tell what was
        // reviewed.
        let listed = self.styles.contains(&relation.style) && !(moved && merge.parents.len() > 1);
        if listed || adopted {
            return Ok(Ok(Approved { pr, relation, word: None, waived: Vec::new() }));
        }
        let merge = merge.id;
        Ok(Err(if moved {
            Refusal::new(
                Code::StyleNotAllowed,
                format!(
                    "PR #{pr} has the head {head}, which is itself a commit of the base: the base was fast-forwarded to it, or the \
                     pull request had nothing to merge; git cannot tell which, and approval.styles does not list fast-forward"
                ),
                format!(
                    "merge in another way next time; for this one, list it in platform.yaml by a pull request: approval.adopt: [{merge}]"
                ),
            )
        } else {
            Refusal::new(
                Code::StyleNotAllowed,
                format!(
                    "PR #{pr} came to the base by {} ({merge}), which approval.styles does not list",
                    relation.style.as_str()
                ),
                format!(
                    "merge in another way next time; for this one, list it in platform.yaml by a pull request: approval.adopt: [{merge}]"
                ),
            )
        }))
    }

    /// Another pull request that this commit is the merge result of.
    fn merged_as(&self, commit: &Commit, but: u64) -> Answer<Option<u64>> {
        for pr in self.named_by(commit).into_iter().filter(|pr| *pr != but) {
            let head = self.refs.pulls.iter().find(|(n, _)| *n == pr).map(|(_, head)| *head);
            let Some(head) = head.filter(|head| *head != commit.id) else { continue };
            self.bring(pr, head)?;
            if relation::prove(self.source, head, commit.id)?.is_ok() {
                return Ok(Some(pr));
            }
        }
        Ok(None)
    }

    /// The only candidate that was proven, or the reasons why there is not exactly one.
    fn one_of(&self, mut found: Vec<Approved>, refused: Vec<Refusal>) -> Stage<Approved> {
        if found.len() > 1 {
            // Two pull requests may share a head, or a message may quote another number: the hint in the merge result
            // decides.
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
                    "name one: --pr N, or --approved with the id of the merge result",
                )
            }
        }
    }

    /// The commit of the first-parent chain that added `id` to the base, and everything that it added.
    fn brought(&self, id: Oid) -> Answer<Option<(Oid, Vec<Oid>)>> {
        let newer: BTreeSet<Oid> = self.source.between(id, self.base)?.into_iter().collect();
        let mut next = Some(self.base);
        while let Some(at) = next {
            let parents = self.source.commit(at)?.parents;
            let first = parents.first().copied();
            // It is the first commit whose first parent does not contain `id`.
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

    /// For an id that is not a head: it must be a merge result on the first-parent chain.
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
        let commit = self.source.commit(id)?;
        let mut named = self.named_by(&commit);
        let (mut found, mut refused) = self.tried(&commit, &named)?;
        if let (true, Some(witness)) = (found.is_empty(), self.witness)
            && let Some(pr) = witness.merged_as(id)?
            && !named.contains(&pr)
        {
            let (likely, reasons) = self.tried(&commit, &BTreeSet::from([pr]))?;
            named.insert(pr);
            found = likely;
            refused.extend(reasons);
        }
        if found.is_empty() {
            let more: BTreeSet<u64> = self.replayed_in(&commit)?.difference(&named).copied().collect();
            let (likely, reasons) = self.tried(&commit, &more)?;
            found = likely;
            refused.extend(reasons.into_iter().filter(|reason| reason.code == Code::UnreviewedChange));
        }
        if found.is_empty() && refused.is_empty() {
            let fact = format!("no pull request's frozen head leads to {id}: it may be a direct push");
            refused.push(Refusal::new(
                Code::NoPullRef,
                fact,
                format!(
                    "name the pull request: --pr N; a direct push needs, in platform.yaml by a pull request: approval.adopt: [{id}]"
                ),
            ));
        }
        self.one_of(found, refused)
    }

    /// Tries to prove that a commit is the merge result of one of these pull requests.
    fn tried(&self, commit: &Commit, pulls: &BTreeSet<u64>) -> Stage<(Vec<Approved>, Vec<Refusal>)> {
        let (mut found, mut refused) = (Vec::new(), Vec::new());
        for pr in pulls {
            let head = self.head_of(*pr)?;
            match self.proven(*pr, head, commit)? {
                Ok(approved) => match self.before(*pr, head, commit)? {
                    None => found.push(approved),
                    Some(first) => refused.push(Refusal::new(
                        Code::UnreviewedChange,
                        format!(
                            "{} adds the content of PR #{pr} a second time: the pull request was merged as {first}, and no review \
                             covers adding it again",
                            commit.id
                        ),
                        format!("review it, then list it in platform.yaml by a pull request: approval.adopt: [{}]", commit.id),
                    )),
                },
                Err(refusal) => refused.push(refusal),
            }
        }
        Ok((found, refused))
    }

    /// An older commit of the base that is proven to be the merge result of the pull request.
    fn before(&self, pr: u64, head: Oid, commit: &Commit) -> Answer<Option<Oid>> {
        let traces = self.traces(pr, head)?;
        let chain = self.since(head)?;
        let older = chain.iter().skip_while(|each| each.id != commit.id).skip(1);
        for each in older.filter(|each| each.id != head && traces.are_on(each)) {
            if relation::prove(self.source, head, each.id)?.is_ok() {
                return Ok(Some(each.id));
            }
        }
        Ok(None)
    }

    /// The pull request that added a commit to the base, if exactly one is proven: the commit is its merge result, or
    /// one of the commits that its rebase added. Commits newer than `top` prove nothing.
    pub(crate) fn brought_by(&self, at: Oid, top: Oid) -> Stage<Approved> {
        let refused = match self.by_merge(at) {
            Err(Stop::Refused(refusals)) => refusals,
            found => return found,
        };
        let commit = self.source.commit(at)?;
        let pulls = if commit.parents.len() == 1 { self.replayed_in(&commit)? } else { BTreeSet::new() };
        for pr in pulls {
            let head = self.head_of(pr)?;
            let found = match self.by_head(pr, head) {
                Ok(found) => found,
                Err(Stop::Refused(_)) => continue,
                Err(failed) => return Err(failed),
            };
            let Relation { base, merge, .. } = found.relation;
            let inside = self.source.is_ancestor(merge, top)?
                && self.source.is_ancestor(at, merge)?
                && self.source.first_parents(merge, Some(base))?.contains(&at);
            if inside {
                return Ok(found);
            }
        }
        Err(Stop::Refused(refused))
    }

    pub(super) fn on_chain(&self, id: Oid) -> Answer<bool> {
        Ok(self.since(id)?.last().is_some_and(|last| last.id == id))
    }
}
