//! Explains why an id is not approved: what it is instead, and which id to give.

use std::collections::BTreeMap;

use crate::{
    flow::{
        Stage,
        approve::{candidates::Candidates, relation::Relation},
        refuse,
    },
    model::{
        ids::Oid,
        refusal::{Code, Refusal},
    },
    port::{Answer, Want},
};

impl Candidates<'_> {
    /// Why a head without a merge result is not approved.
    pub(super) fn unmerged(&self, pr: u64, head: Oid) -> Answer<Refusal> {
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
                        "PR #{pr} was merged into another branch ({id}), which was merged into the base later as {brought}"
                    ),
                    format!("approve what was merged into the base: --approved {brought}"),
                ));
            }
        }
        Ok(intermediate(head, brought))
    }

    pub(super) fn unknown<T>(&self, id: Oid) -> Stage<T> {
        let fetched = self.remote.map(|remote| remote.fetch(&[Want::Commit(id)]));
        match fetched {
            // That it can be fetched proves nothing: the base, just fetched, does not contain it.
            Some(Ok(())) if self.source.has(id)? => refuse(
                Code::HeadNotMerged,
                format!("{id} can be fetched but is not on the base ({})", self.base),
                "give the head of a merged pull request, or its merge result",
            ),
            Some(Err(error)) if error.code != Code::UnknownId => Err(error.into()),
            Some(_) | None => refuse(
                Code::UnknownId,
                format!("the remote has no commit {id}"),
                "check the id: it must be a commit of this repository",
            ),
        }
    }

    pub(super) fn not_of(&self, pr: u64, found: &Relation, given: Oid) -> Refusal {
        let others: BTreeMap<Oid, u64> = self.refs.pulls.iter().map(|(n, head)| (*head, *n)).collect();
        let theirs = others.get(&given).map_or_else(String::new, |other| format!(", it is the head of PR #{other}"));
        Refusal::new(
            Code::HeadOfOtherPr,
            format!("{given} does not belong to PR #{pr}{theirs}"),
            format!("PR #{pr} has the head {} and the merge result {}", found.head, found.merge),
        )
    }
}

pub(super) fn intermediate(id: Oid, brought: Oid) -> Refusal {
    Refusal::new(
        Code::IntermediateCommit,
        format!("{id} is only a part of what {brought} merged into the base"),
        format!("approve all of it: --approved {brought}"),
    )
}
