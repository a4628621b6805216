//! Ports: everything that stages and verbs may ask of git, hosts, the clock and the terminal. Small, synchronous, and
//! the only way out.
//!
//! Reads never write. Every write names what it replaces. An answer that did not come is never taken for a no.

mod branch;
mod ended;
mod forge;
mod host;
mod notify;
mod ports;
mod scratch;

use std::fmt;

use crate::model::{
    ids::Oid,
    path::RepoPath,
    refusal::{Code, Refusal},
    time::Timestamp,
    via::Via,
};

pub use branch::{NewBranch, NewFile};
pub use ended::{Ended, NotDone, ending};
pub use forge::{Forge, ReachForge};
pub use host::{Host, Input, Member, Reply, Script};
pub use notify::Notify;
pub use ports::{Phase, Ports, Step, Tell};
pub use scratch::Scratch;

/// A failure of git, a host or this machine: one level of text, its stable code, what helps, and the cause.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct PortError {
    /// What could not be done, as a lower-case fragment; foreign text in it is escaped.
    pub what: String,
    /// The stable code; it decides the exit class.
    pub code: Code,
    /// What helps.
    pub fix: String,
    /// Whether it is certain that nothing of what was asked for was or will be done.
    pub certain: bool,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl PortError {
    /// Makes an error without a cause.
    pub fn new(code: Code, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), code, fix: fix.into(), certain: false, source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same, if nothing of what was asked for was or will be done.
    #[must_use]
    pub fn certain(self) -> Self {
        Self { certain: true, ..self }
    }

    /// The same for something that changes nothing that runs: a link that is lost then leaves the host untouched.
    #[must_use]
    pub fn harmless(self) -> Self {
        let code = if self.code == Code::LinkLost { Code::HostUnreachable } else { self.code };
        Self { code, ..self }
    }

    /// The same as a refusal, while the error stays.
    pub fn refusal(&self) -> Refusal {
        Refusal::new(self.code, self.what.clone(), self.fix.clone())
    }

    /// The same as a refusal, for stages that collect reasons.
    pub fn into_refusal(self) -> Refusal {
        Refusal::new(self.code, self.what, self.fix)
    }
}

/// The answer of a port.
pub type Answer<T> = Result<T, PortError>;

/// A commit, read from the object database and re-hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: Oid,
    /// Its tree.
    pub tree: Oid,
    /// Its parents, in order.
    pub parents: Vec<Oid>,
    /// Its message as stored.
    pub message: Vec<u8>,
    /// The author's name and e-mail as stored.
    pub author: (String, String),
    /// The committer's time, seconds since 1970.
    pub committed_unix_s: i64,
    /// The ssh or pgp signature, if it has one.
    pub signature: Option<Vec<u8>>,
    /// The raw object, for re-checks of every byte.
    pub raw: Vec<u8>,
}

/// The mode of a tree entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// A plain file, 100644.
    File,
    /// An executable file, 100755.
    Executable,
    /// A symbolic link, 120000.
    Link,
    /// A folder, 040000.
    Tree,
    /// A submodule, 160000.
    Submodule,
}

impl Mode {
    /// The mode as git prints it.
    pub const fn octal(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Link => "120000",
            Self::Tree => "040000",
            Self::Submodule => "160000",
        }
    }
}

/// What a tree holds at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its mode.
    pub mode: Mode,
    /// Its object.
    pub id: Oid,
}

/// How a three-way merge ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// Without conflict, in this tree.
    Clean(Oid),
    /// With conflicts in these paths (escaped).
    Conflict(Vec<String>),
}

/// Who computes a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merger {
    /// gix, in process.
    Gix,
    /// `git merge-tree --write-tree`, as a second opinion.
    Git,
}

/// The object database: decisions depend on it and on nothing in the working tree. Replace refs are ignored and every
/// object is re-hashed when it is read.
pub trait Source {
    /// Reads a commit; a tag or a tree under that id is an error.
    fn commit(&self, id: Oid) -> Answer<Commit>;
    /// Whether an ssh key (`type base64`) signed a commit.
    fn signed_by(&self, commit: Oid, key: &str) -> Answer<bool>;
    /// Whether the object database has a commit of that id.
    fn has(&self, id: Oid) -> Answer<bool>;
    /// What `tree` holds at `path`.
    fn entry(&self, tree: Oid, path: &RepoPath) -> Answer<Option<Entry>>;
    /// All entries below the folder `under` (`None`: the root) but folders themselves, recursively, as raw paths from
    /// the root, sorted.
    fn list(&self, tree: Oid, under: Option<&RepoPath>) -> Answer<Vec<(Vec<u8>, Entry)>>;
    /// The names directly in the folder `under`, sorted, as raw bytes.
    fn names(&self, tree: Oid, under: Option<&RepoPath>) -> Answer<Vec<(Vec<u8>, Entry)>>;
    /// Reads a blob of at most `limit_bytes`; a larger one is an error.
    fn blob(&self, id: Oid, limit_bytes: u64) -> Answer<Vec<u8>>;
    /// The bytes of a blob for a delivery, whose receiver compares their digest with the one of the closure: not hashed
    /// once more here.
    fn delivered(&self, id: Oid) -> Answer<Vec<u8>>;
    /// The full ids of up to ten commits that begin with `prefix` (4 to 39 hexadecimal digits).
    fn matching(&self, prefix: &str) -> Answer<Vec<Oid>>;
    /// Whether `ancestor` is `of` or reachable from it.
    fn is_ancestor(&self, ancestor: Oid, of: Oid) -> Answer<bool>;
    /// The first-parent chain from `tip` down to and without `until` (`None`, or not on the chain: to the root), newest
    /// first.
    fn first_parents(&self, tip: Oid, until: Option<Oid>) -> Answer<Vec<Oid>>;
    /// The commits reachable from `head` and not from `base`, parents before children (git rev-list --topo-order
    /// --reverse base..head).
    fn between(&self, base: Oid, head: Oid) -> Answer<Vec<Oid>>;
    /// The clean three-way merge of two commits over their (virtual) merge base; isolated configuration, attributes of
    /// `ours` alone.
    fn merge(&self, ours: Oid, theirs: Oid, by: Merger) -> Answer<Merge>;
    /// The tree that picking the commit `pick` (over its first parent) onto the tree of the commit `onto` gives.
    fn replay(&self, onto: Oid, pick: Oid, by: Merger) -> Answer<Merge>;
    /// The raw paths in which two trees differ, sorted; `None` is the empty tree.
    fn changed(&self, old: Option<Oid>, new: Oid) -> Answer<Vec<Vec<u8>>>;
    /// Which of `paths` have a `filter` attribute by the .gitattributes in `tree`.
    fn filtered(&self, tree: Oid, paths: &[RepoPath]) -> Answer<Vec<RepoPath>>;
    /// A unified diff for a person, escaped, at most `limit_lines` lines; of the files and folders `only` (none: of
    /// everything).
    fn diff(&self, old: Oid, new: Oid, only: &[RepoPath], limit_lines: usize) -> Answer<String>;
}

/// What a checkout has at a path. The index is never asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisk {
    /// Nothing.
    Absent,
    /// A regular file with this blob id and executable bit.
    File(Entry),
    /// A link, a folder, a device.
    Other,
}

/// The working tree, which is bound to what was merged but never read for content.
pub trait Checkout {
    /// The commit checked out; `None` in a bare repository.
    fn head(&self) -> Answer<Option<Oid>>;
    /// What is on disk at `path`.
    fn on_disk(&self, path: &RepoPath) -> Answer<OnDisk>;
    /// Every file on disk below `folder`, as raw paths from the root, ignored ones too, sorted.
    fn files_below(&self, folder: &RepoPath) -> Answer<Vec<Vec<u8>>>;
}

/// The refs of the remote, from one `ls-remote`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemoteRefs {
    /// The tip of the base branch.
    pub base: Option<Oid>,
    /// The state ref.
    pub state: Option<Oid>,
    /// Pull requests' frozen heads, `refs/pull/<N>/head`, by number.
    pub pulls: Vec<(u64, Oid)>,
}

/// One thing to fetch into its private ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// The base branch into `refs/platformctl/<remote>/base`.
    Base,
    /// The state ref into `refs/platformctl/<remote>/state`.
    State,
    /// A pull request's head into `refs/platformctl/<remote>/pull/<N>`.
    Pull(u64),
    /// A commit by id, into the object database only.
    Commit(Oid),
}

/// What the remote answered to a push.
#[derive(Debug)]
pub enum Pushed {
    /// The ref is now at the pushed commit.
    Accepted,
    /// The remote rejected the push; its message, escaped. Fetch and compare before you believe anything.
    Rejected(String),
    /// Refused before anything was received (credentials, an archived repository, none at all): it cannot land.
    Refused(PortError),
    /// No answer for the ref: it may have landed or may still land. Its words, escaped.
    Unknown(String),
}

/// The git remote, by the git program.
pub trait Remote {
    /// Its name, for messages and private refs.
    fn name(&self) -> &str;
    /// One `ls-remote` for the base branch, the state ref and (if `pulls`) the pull refs.
    fn refs(&self, pulls: bool) -> Answer<RemoteRefs>;
    /// One `fetch` of all `wants`, with explicit refspecs and no tags. A ref the remote does not have is `unknown_id`.
    fn fetch(&self, wants: &[Want]) -> Answer<()>;
    /// `git push <id>:refs/platform/state`: plain, never forced, never with a lease.
    fn push_state(&self, id: Oid) -> Answer<Pushed>;
    /// The same without pushing: whether the remote lets us in, and the record could be pushed as it is there.
    fn try_push(&self, id: Oid) -> Answer<Pushed>;
    /// Where the credential comes from that git was handed, in words; `None` where it used its own or none.
    fn credential(&self) -> Option<&str> {
        None
    }
    /// Whether the remote lets a ref outside of branches and tags go back from `newer` to `older`, which both are there:
    /// tried on `refs/platformctl-probe/<nonce>`, which is removed again. For a diagnosis that a person consented to.
    fn try_rewrite(&self, newer: Oid, older: Oid, nonce: &str) -> Answer<bool>;
}

/// A change of the state tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeEdit {
    /// A file with these bytes.
    Put(String, Vec<u8>),
    /// A file that is an existing blob.
    Place(String, Oid),
    /// No file.
    Remove(String),
}

/// A commit to be written to the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// Its tree.
    pub tree: Oid,
    /// Its parents.
    pub parents: Vec<Oid>,
    /// Who asked for it: name and e-mail.
    pub author: (String, String),
    /// Its time, for author and committer.
    pub time: Timestamp,
    /// Its message.
    pub message: String,
    /// Whether it must be signed (an error if git is not set up to), may be, or is not.
    pub sign: Sign,
}

/// Whether a record is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Signed if git is set up to sign with ssh.
    IfConfigured,
    /// Signed or not written.
    Required,
}

/// The local side of the record: objects, refs and small files, all durable before the call returns.
pub trait Ledger {
    /// `refs/platform/state`.
    fn tip(&self) -> Answer<Option<Oid>>;
    /// `refs/platformctl/<remote>/state`, as last fetched.
    fn fetched(&self) -> Answer<Option<Oid>>;
    /// `refs/platformctl/<remote>/base`, as last fetched, and when.
    fn base(&self) -> Answer<Option<(Oid, Timestamp)>>;
    /// The id of the tree that `edits` make of `tree` (`None`: empty), held in memory: nothing is written.
    fn tree_id(&self, tree: Option<Oid>, edits: &[TreeEdit]) -> Answer<Oid>;
    /// Writes the objects of `edits` on `tree` and the tree itself, and returns its id. Durable with the commit that
    /// follows.
    fn write_tree(&self, tree: Option<Oid>, edits: &[TreeEdit]) -> Answer<Oid>;
    /// Writes a commit, signed as it asks, and makes it and everything written before durable (fsync of objects and
    /// folders).
    fn write_commit(&self, commit: &NewCommit) -> Answer<Oid>;
    /// Moves `refs/platform/state` from `old` to `new`, compare-and-swap, fsynced, with a reflog line. An `old` that is
    /// not there is `Ok(false)`.
    fn advance(&self, old: Option<Oid>, new: Oid) -> Answer<bool>;
    /// Keeps an object reachable: `refs/platformctl/keep/<oid>`.
    fn keep(&self, id: Oid) -> Answer<()>;
    /// Reads the note `name` (`[a-z0-9.-]+`, one level of `/` allowed) in `<git dir>/platformctl/`.
    fn note(&self, name: &str) -> Answer<Option<Vec<u8>>>;
    /// Names of the notes in `<git dir>/platformctl/<folder>/`, sorted.
    fn notes(&self, folder: &str) -> Answer<Vec<String>>;
    /// Writes a note, atomically and fsynced; `None` removes it.
    fn set_note(&self, name: &str, bytes: Option<&[u8]>) -> Answer<()>;
    /// Takes the lock `name` (as a note's, one level) among the processes of this clone, held until the guard is
    /// dropped or the process ends; waits at most `wait_ms`, then it is `busy`.
    fn lock(&self, name: &str, wait_ms: u64) -> Answer<Box<dyn Guard>>;
    /// The person git knows, or who started the run of Actions that this is: name and e-mail.
    fn actor(&self) -> Answer<(String, String)>;
    /// The run of Actions that this is a step of, by the runner's word.
    fn via(&self) -> Option<Via>;
}

/// A lock that is held until it is dropped.
pub trait Guard: fmt::Debug {}

/// Time and chance.
pub trait Clock {
    /// Now.
    fn now(&self) -> Timestamp;
    /// The time of another machine's clock, seconds since 1970, as a time that can be compared with [`Clock::now`].
    fn heard(&self, unix_s: i64) -> Timestamp;
    /// Milliseconds of a clock that only goes forwards.
    fn ticks_ms(&self) -> u64;
    /// Waits.
    fn sleep_ms(&self, ms: u64);
    /// Whether a person or the system asked this process to stop.
    fn interrupted(&self) -> bool;
    /// Sixteen random bytes.
    fn chance(&self) -> [u8; 16];
}
