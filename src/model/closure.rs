//! The closure: every tracked file that decides what runs, and the digests that name a release and what concerns a module.

use serde::{Deserialize, Serialize};

use super::{digest::Digest, ids::Oid, path::RepoPath};

/// One file of a closure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClosureFile {
    /// Where it lies in the repository.
    pub path: RepoPath,
    /// `100644` or `100755`.
    pub mode: String,
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
