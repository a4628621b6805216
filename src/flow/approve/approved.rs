//! The product of approve: a pull request that is proven, with the forge's word where the policy wants it.

use crate::{
    flow::approve::{relation::Relation, witness::Word},
    model::{approval::Approval, glass::Waived, ids::Oid},
};

/// A pull request that is proven to be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Approved {
    pub(super) pr: u64,
    pub(super) relation: Relation,
    pub(super) word: Option<Word>,
    pub(super) waived: Vec<Waived>,
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

    /// The forge's word on it, where the policy wants one; an adopted merge result needs none.
    pub(crate) fn word(&self) -> Option<&Word> {
        self.word.as_ref()
    }

    /// What break-glass passed.
    pub fn waived(&self) -> &[Waived] {
        &self.waived
    }

    /// The same with a relation that the forge confirmed, and its word.
    pub(super) fn with(self, relation: Relation, word: Word) -> Self {
        Self { relation, word: Some(word), ..self }
    }

    /// The approval as it is recorded, of a pull request that covers others and adopted commits.
    pub(crate) fn recorded(&self, covers: Vec<u64>, adopted: Vec<Oid>) -> Approval {
        let approval = self.relation.recorded(self.pr, covers, adopted);
        match &self.word {
            Some(word) => Approval {
                reviews: word.reviews().to_vec(),
                forge: word.forge().cloned(),
                server_signed: word.is_signed(),
                ..approval
            },
            None => approval,
        }
    }
}
