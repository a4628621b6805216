//! The forge's API: what it says of pull requests, and what people see there.

use std::rc::Rc;

use crate::{
    model::{
        forge::{Account, Comment, ForgeUrl, NewStatus, Pull, Repository, Review, Status},
        ids::Oid,
        policy::ApprovalPolicy,
    },
    port::Answer,
};

/// The API of the forge, for one repository, with one credential. A question that was not answered is an error, never a
/// no.
pub trait Forge {
    /// Where it is.
    fn url(&self) -> &ForgeUrl;
    /// Where the credential comes from, in words; `None` without one.
    fn credential(&self) -> Option<&str>;
    /// Its version, as it prints it (`15.0.0+gitea-1.22.0`).
    fn version(&self) -> Answer<String>;
    /// The repository. One that the credential cannot see is an error.
    fn repository(&self) -> Answer<Repository>;
    /// A pull request; `None` if the repository is there and has none of that number.
    fn pull(&self, pr: u64) -> Answer<Option<Pull>>;
    /// The pull request that a commit of the base is the merge result of.
    fn merged_as(&self, commit: Oid) -> Answer<Option<Pull>>;
    /// All reviews of a pull request.
    fn reviews(&self, pr: u64) -> Answer<Vec<Review>>;
    /// The newest status of every context on a commit.
    fn statuses(&self, commit: Oid) -> Answer<Vec<Status>>;
    /// The account that the credential belongs to; `None` where the forge does not tell (a token without `read:user`).
    fn account(&self) -> Answer<Option<Account>>;
    /// All comments under a pull request.
    fn comments(&self, pr: u64) -> Answer<Vec<Comment>>;
    /// Writes a comment.
    fn comment(&self, pr: u64, body: &str) -> Answer<Comment>;
    /// Replaces the text of a comment.
    fn edit_comment(&self, id: u64, body: &str) -> Answer<Comment>;
    /// Sets a status on a commit; the forge answers who set it.
    fn set_status(&self, commit: Oid, status: &NewStatus) -> Answer<Option<Account>>;
    /// Any answer below the repository, for a diagnosis: `branches/main` (its words as JSON); `None` for what is not
    /// there or may not be seen.
    fn look_up(&self, path: &str) -> Answer<Option<serde_json::Value>>;
}

/// Reaches the forge that the rules in force name, or else the one that the remote's URL names. Nothing is asked before
/// the first question.
pub type ReachForge<'a> = &'a dyn Fn(&ApprovalPolicy) -> Answer<Rc<dyn Forge>>;
