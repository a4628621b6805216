//! What messages are about.

use crate::model::{
    alarm::Condition,
    digest::Digest,
    ending::Ending,
    ids::{Deployment, RunId},
    message::News,
    time::Timestamp,
};

/// A change that ended well and is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The deployment.
    pub deployment: Deployment,
    /// The pull request.
    pub pr: u64,
    /// The run.
    pub run: RunId,
    /// How many things changed.
    pub changes: u64,
    /// Its place in the record.
    pub seq: u64,
}

/// A change whose record is not on the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrecorded {
    /// The deployment.
    pub deployment: Deployment,
    /// The pull request.
    pub pr: u64,
    /// The run.
    pub run: RunId,
    /// How it ended.
    pub ending: Ending,
    /// Whether the outcome waits in this clone; else only the host has it.
    pub waits_here: bool,
}

/// How a run of this command ended, where people may be told of that beside what the record shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// It ended well and is recorded.
    Done(Done),
    /// Its record is not on the remote.
    Unrecorded(Unrecorded),
}

/// What a message is about.
pub(super) struct What<'a> {
    pub news: News,
    pub condition: Option<Condition>,
    pub deployment: Option<&'a Deployment>,
    pub pr: Option<u64>,
    pub which: Digest,
    pub since: Timestamp,
}
