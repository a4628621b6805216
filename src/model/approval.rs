//! What was approved: a merged pull request and the proof that its merge result is what its head and base give.

use serde::{Deserialize, Serialize};

use super::{
    forge::{CountedReview, ForgeWord},
    ids::Oid,
};

/// How a pull request's head became part of the base branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// A merge commit with the parents base and head.
    Merge,
    /// One commit on the base with the merged tree.
    Squash,
    /// The head's commits replayed on the base.
    Rebase,
    /// The head's commits replayed on the base, under a merge commit.
    RebaseMerge,
    /// The base moved to the head. Git alone cannot tell it from an intermediate commit: opt-in, and weak.
    FastForward,
}

impl Style {
    /// The style as the policy and the record spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Squash => "squash",
            Self::Rebase => "rebase",
            Self::RebaseMerge => "rebase-merge",
            Self::FastForward => "fast-forward",
        }
    }
}

/// The proven relation of one pull request, as it is recorded and can be proven again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Approval {
    /// The pull request's number.
    pub pr: u64,
    /// H, its frozen head.
    pub head: Oid,
    /// M, the merge result on the base branch.
    pub merge: Oid,
    /// tree(M): what is deployed.
    pub tree: Oid,
    /// How it was merged.
    pub style: Style,
    /// B, the base before the merge.
    pub base: Oid,
    /// Pull requests whose changes to the module this apply brings, in the order they were merged; `pr` is among them.
    pub covers: Vec<u64>,
    /// True where git alone cannot prove the relation fully (fast-forward).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub weak: bool,
    /// Commits since the last apply that no pull request proves and that `approval.adopt` of the policy accepts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adopted: Vec<Oid>,
    /// The effective digest of what stood before B, on a module's first apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<super::digest::Digest>,
    /// The reviews that counted, with `approval.source: forgejo`: of `pr`, and of the others that it covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviews: Vec<CountedReview>,
    /// What the forge was asked and answered of `pr`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<ForgeWord>,
    /// Whether the merge result has a signature of the policy's `server_key`: a witness that an official approval existed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub server_signed: bool,
}

impl Approval {
    /// Whose approvals of the pull request itself counted.
    pub fn reviewers(&self) -> impl Iterator<Item = &str> {
        self.reviews.iter().filter(|review| review.pr.is_none()).map(|review| review.user.as_str())
    }
}
