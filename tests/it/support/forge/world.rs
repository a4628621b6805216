//! What the server knows: people and their tokens, pull requests, reviews, comments, statuses, and how it misbehaves.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value;

use super::{
    fault::{Fault, Lie},
    http::Auth,
};

/// What somebody may do in the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Sees it.
    Reader,
    /// Pushes, merges, sets statuses.
    Writer,
    /// Reads and changes the rules.
    Admin,
}

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    ReadRepository,
    WriteRepository,
    ReadIssue,
    WriteIssue,
    ReadUser,
}

impl Scope {
    /// As Forgejo writes it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ReadRepository => "read:repository",
            Self::WriteRepository => "write:repository",
            Self::ReadIssue => "read:issue",
            Self::WriteIssue => "write:issue",
            Self::ReadUser => "read:user",
        }
    }

    /// Whether this one gives `needed` as well.
    pub(super) fn gives(self, needed: Self) -> bool {
        self == needed
            || matches!(
                (self, needed),
                (Self::WriteRepository, Self::ReadRepository) | (Self::WriteIssue, Self::ReadIssue)
            )
    }
}

/// Somebody with an account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) login: String,
    pub(crate) role: Role,
}

/// What a token opens.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) login: String,
    /// None is a token without limits, as the automatic one of Actions is.
    pub(super) scopes: Option<Vec<Scope>>,
}

/// How a pull request is merged.
#[derive(Clone, Debug)]
pub(crate) enum Style {
    Merge,
    Squash,
    /// Rebase, then fast-forward.
    Rebase,
    /// Rebase, then a merge commit.
    RebaseMerge,
    FastForwardOnly,
    /// *Manually merged*: the server believes the person, who names any commit of the base.
    Manual(String),
}

#[derive(Clone, Debug)]
pub(super) struct Merged {
    pub(super) by: String,
    pub(super) commit: String,
    pub(super) base: String,
    pub(super) at: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Pull {
    pub(super) author: String,
    pub(super) title: String,
    pub(super) branch: String,
    /// `refs/pull/N/head` and the branch, as they were when they agreed last.
    pub(super) head: String,
    pub(super) opened: i64,
    pub(super) merged: Option<Merged>,
    pub(super) closed: Option<i64>,
    pub(super) locked: bool,
}

/// A review as its answer has it.
#[derive(Clone, Debug)]
pub(crate) struct Review {
    pub(crate) id: i64,
    pub(crate) pull: u64,
    pub(crate) user: String,
    pub(crate) state: String,
    pub(crate) commit: String,
    pub(crate) stale: bool,
    pub(crate) official: bool,
    pub(crate) dismissed: bool,
    /// Seconds since 1970.
    pub(crate) at: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Comment {
    pub(crate) id: i64,
    pub(crate) pull: u64,
    pub(crate) poster: String,
    pub(crate) body: String,
    pub(crate) created: i64,
    pub(crate) updated: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) id: i64,
    pub(crate) commit: String,
    pub(crate) context: String,
    pub(crate) state: String,
    pub(crate) description: String,
    pub(crate) target: String,
    pub(crate) by: String,
    pub(crate) at: i64,
}

/// A request that the server got.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) auth: Auth,
    pub(crate) body: String,
    /// The status of the answer, 0 when there was none.
    pub(crate) status: u16,
}

pub(super) struct World {
    pub(super) bare: PathBuf,
    /// `http://127.0.0.1:PORT`, or what the server says its address is.
    pub(super) base: String,
    pub(super) owner: String,
    pub(super) name: String,
    /// Names that it had before.
    pub(super) former: Vec<String>,
    pub(super) id: i64,
    pub(super) branch: String,
    pub(super) private: bool,
    pub(super) archived: bool,
    pub(super) version: String,
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) pulls: BTreeMap<u64, Pull>,
    pub(super) reviews: Vec<Review>,
    pub(super) comments: Vec<Comment>,
    pub(super) statuses: Vec<Status>,
    /// The rule of the base branch, as its answer has it.
    pub(super) rule: Option<Value>,
    pub(super) signing: Option<PathBuf>,
    pub(super) faults: Vec<(String, Fault, usize)>,
    pub(super) lies: Vec<Lie>,
    pub(super) seen: Vec<Seen>,
    pub(super) now: i64,
    pub(super) zone: i32,
    pub(super) last: i64,
    pub(super) hooks: PathBuf,
}

impl World {
    /// The next id of anything.
    pub(super) fn id(&mut self) -> i64 {
        self.last += 1;
        self.last
    }

    /// The time of what happens now; the next thing happens a second later.
    pub(super) fn tick(&mut self) -> i64 {
        self.now += 1;
        self.now
    }

    pub(super) fn account(&self, login: &str) -> &Account {
        self.accounts.get(login).unwrap_or_else(|| panic!("forge.user({login:?}) was not called"))
    }

    /// The fault that this request meets, used up once.
    pub(super) fn fault_for(&mut self, path: &str) -> Option<Fault> {
        let (_, fault, left) =
            self.faults.iter_mut().find(|(part, _, left)| *left > 0 && path.contains(part.as_str()))?;
        *left -= 1;
        Some(fault.clone())
    }
}
