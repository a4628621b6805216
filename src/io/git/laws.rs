//! Laws about the messages of git and of a server (`src/laws.rs`).

use super::{commit, entries, person};
use crate::{
    io::git_messages::{self, Line},
    io::process::Done,
    io::secrets::{self, Secrets},
    model::{ids::Oid, text},
};

const ID: Oid = Oid::from_bytes([7; 20]);

/// A tree: what is read has plain names, each once, in git's order.
pub fn git_tree(bytes: &[u8]) {
    let Ok(found) = entries::read(ID, bytes) else { return };
    let mut names: Vec<&[u8]> = found.iter().map(|(name, _)| name.as_slice()).collect();
    assert!(names.iter().all(|name| !name.is_empty() && !name.contains(&b'/') && *name != b".." && *name != b".git"));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), found.len(), "each name once");
}

/// A commit: its raw bytes are kept, and its message is the end of them.
pub fn git_commit(bytes: &[u8]) {
    let Some(commit) = commit::parse(ID, bytes.to_vec()) else { return };
    assert_eq!(commit.raw, bytes);
    assert!(commit.raw.ends_with(&commit.message));
    assert!(bytes.starts_with(b"tree ") || bytes.windows(6).any(|part| part == b"\ntree "));
}

/// A person's name is cleaned once and for all.
pub fn git_person(bytes: &[u8]) {
    let once = person::clean(&String::from_utf8_lossy(bytes));
    assert_eq!(person::clean(&once), once);
    assert!(!once.contains(['<', '>', '\n']) && once.trim() == once, "{once:?}");
}

/// What git says of a transfer is shown without control characters and without who logs in; a push that git does not
/// call done is not done.
pub fn git_answer(bytes: &[u8]) {
    let secrets = Secrets::default();
    let said = git_messages::said(bytes, &secrets);
    let error = git_messages::ended("origin", bytes, &secrets).error();
    for shown in [&said, &error.what, &error.fix] {
        assert!(!shown.chars().any(|c| c != '\n' && text::is_harmful(c)), "{shown:?}");
        assert_eq!(secrets::urls(shown), **shown, "nobody who logs in is left");
    }
    let done = Done { rc: Some(1), stdout: bytes.to_vec(), stderr: bytes.to_vec() };
    assert!(!matches!(git_messages::line(&done, &secrets), Line::Accepted));
}
