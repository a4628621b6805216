//! Where a result was recorded.

use serde::Serialize;

use crate::{ledger::fault::Checked, model::ids::Oid, record::Appended};

/// A record, as results name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Recorded {
    /// Its commit; null while it waits to be delivered.
    pub commit: Option<Oid>,
    /// Its place in the record; null while it waits to be delivered.
    pub seq: Option<u64>,
    /// Whether the remote has it.
    pub on_remote: bool,
}

impl Recorded {
    /// A record that was appended, also while it waits.
    pub fn of(done: &Appended) -> Self {
        Self { commit: Some(done.commit), seq: Some(done.seq), on_remote: done.on_remote }
    }

    /// A record whose place is final only when it was delivered.
    pub fn delivered(done: &Appended) -> Self {
        let on_remote = done.on_remote;
        Self { commit: on_remote.then_some(done.commit), seq: on_remote.then_some(done.seq), on_remote }
    }

    /// A record that was checked.
    pub fn checked(checked: &Checked, on_remote: bool) -> Self {
        Self { commit: Some(checked.id), seq: Some(checked.event.seq), on_remote }
    }
}

/// A commit of the record, as results name it where it was only read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tip {
    /// The commit.
    pub commit: Oid,
}

/// The base branch, as results name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BaseSeen {
    /// Its newest commit.
    pub commit: Oid,
    /// When the remote reported it.
    pub seen: crate::model::time::Timestamp,
}
