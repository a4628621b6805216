//! The closure: every tracked file that decides what runs, and the digests that name a release and what concerns a
//! module.

use serde::{Deserialize, Serialize};

use super::{digest::Digest, ids::Oid, path::RepoPath};

/// The mode of a tracked file that is delivered: links and submodules are refused before there is a closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FileMode {
    /// A plain file.
    #[serde(rename = "100644")]
    Plain,
    /// A file that can be run.
    #[serde(rename = "100755")]
    Executable,
}

impl FileMode {
    /// The permission bits as the host's `stat` prints them.
    pub const fn bits(self) -> &'static str {
        match self {
            Self::Plain => "644",
            Self::Executable => "755",
        }
    }
}

/// One file of a closure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClosureFile {
    /// Its path in the repository.
    pub path: RepoPath,
    /// Its mode, written as git writes it.
    pub mode: FileMode,
    /// Its blob.
    pub blob: Oid,
    /// The digest of its content.
    pub sha256: Digest,
    /// Its size.
    pub size_bytes: u64,
}

/// The files of a release, sorted by path, and both digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closure {
    /// The files, sorted by path.
    pub files: Vec<ClosureFile>,
    /// The digest over path, mode, blob and sha256 of all files: it names the release.
    pub digest: Digest,
    /// The digest of what concerns the module.
    pub effective: Digest,
}
