//! A branch with the files to begin with.

use crate::model::ids::Oid;

/// A file to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Its path.
    pub path: &'static str,
    /// Its text.
    pub text: String,
    /// Whether it can be run.
    pub executable: bool,
}

/// A branch that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBranch {
    /// Its commit.
    pub commit: Oid,
    /// What it adds.
    pub added: Vec<&'static str>,
    /// What was there already, and is as it was.
    pub kept: Vec<&'static str>,
}
