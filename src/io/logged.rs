//! Ports that log every call: put around the real ones where a session is made, and nowhere else.
//!
//! A clock's ticks, chance and the question whether to stop are not logged: they take no time and are asked in loops.

mod host;
mod record;

use std::ops::Deref;

use crate::{
    io::log::{self, Bytes, Name, Words},
    model::{ids::Oid, path::RepoPath},
    port::{Answer, Checkout, Commit, Entry, Merge, Merger, OnDisk, Source},
};

pub use host::LoggedHost;

/// A port that logs its calls. What else the inner value can do is reached as before, and not logged.
#[derive(Debug)]
pub struct Logged<T>(pub T);

impl<T> Deref for Logged<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

fn nothing<T>(words: Words, _: &T) -> Words {
    words
}

#[expect(clippy::ptr_arg, reason = "the shape of an answer")]
fn count<T>(words: Words, found: &Vec<T>) -> Words {
    words.with("count", &found.len())
}

#[expect(clippy::ptr_arg, reason = "the shape of an answer")]
fn bytes(words: Words, found: &Vec<u8>) -> Words {
    words.with("bytes", &Bytes(found.len()))
}

fn answer(words: Words, found: &bool) -> Words {
    words.with("is", found)
}

fn merged(words: Words, found: &Merge) -> Words {
    match found {
        Merge::Clean(tree) => words.with("tree", tree),
        Merge::Conflict(paths) => words.with("conflicts", &paths.len()),
    }
}

fn merger(by: Merger) -> &'static str {
    match by {
        Merger::Gix => "gix",
        Merger::Git => "git",
    }
}

impl<T: Source> Source for Logged<T> {
    fn commit(&self, id: Oid) -> Answer<Commit> {
        log::call("source.commit", |words| words.with("id", &id), || self.0.commit(id), nothing)
    }

    fn signed_by(&self, commit: Oid, key: &str) -> Answer<bool> {
        log::call("source.signed_by", |words| words.with("commit", &commit), || self.0.signed_by(commit, key), answer)
    }

    fn has(&self, id: Oid) -> Answer<bool> {
        log::call("source.has", |words| words.with("id", &id), || self.0.has(id), answer)
    }

    fn entry(&self, tree: Oid, path: &RepoPath) -> Answer<Option<Entry>> {
        log::call(
            "source.entry",
            |words| words.with("tree", &tree).with("path", path),
            || self.0.entry(tree, path),
            |words, found| words.with("entry", &found.map(|entry| entry.id)),
        )
    }

    fn list(&self, tree: Oid, under: Option<&RepoPath>) -> Answer<Vec<(Vec<u8>, Entry)>> {
        log::call(
            "source.list",
            |words| words.with("tree", &tree).with("under", &under.cloned()),
            || self.0.list(tree, under),
            count,
        )
    }

    fn names(&self, tree: Oid, under: Option<&RepoPath>) -> Answer<Vec<(Vec<u8>, Entry)>> {
        log::call(
            "source.names",
            |words| words.with("tree", &tree).with("under", &under.cloned()),
            || self.0.names(tree, under),
            count,
        )
    }

    fn blob(&self, id: Oid, limit_bytes: u64) -> Answer<Vec<u8>> {
        log::call("source.blob", |words| words.with("id", &id), || self.0.blob(id, limit_bytes), bytes)
    }

    fn delivered(&self, id: Oid) -> Answer<Vec<u8>> {
        log::call("source.delivered", |words| words.with("id", &id), || self.0.delivered(id), bytes)
    }

    fn matching(&self, prefix: &str) -> Answer<Vec<Oid>> {
        log::call("source.matching", |words| words.with("prefix", &Name(prefix)), || self.0.matching(prefix), count)
    }

    fn is_ancestor(&self, ancestor: Oid, of: Oid) -> Answer<bool> {
        log::call(
            "source.is_ancestor",
            |words| words.with("ancestor", &ancestor).with("of", &of),
            || self.0.is_ancestor(ancestor, of),
            answer,
        )
    }

    fn first_parents(&self, tip: Oid, until: Option<Oid>) -> Answer<Vec<Oid>> {
        log::call(
            "source.first_parents",
            |words| words.with("tip", &tip).with("until", &until),
            || self.0.first_parents(tip, until),
            count,
        )
    }

    fn between(&self, base: Oid, head: Oid) -> Answer<Vec<Oid>> {
        log::call(
            "source.between",
            |words| words.with("base", &base).with("head", &head),
            || self.0.between(base, head),
            count,
        )
    }

    fn merge(&self, ours: Oid, theirs: Oid, by: Merger) -> Answer<Merge> {
        log::call(
            "source.merge",
            |words| words.with("ours", &ours).with("theirs", &theirs).with("by", &merger(by)),
            || self.0.merge(ours, theirs, by),
            merged,
        )
    }

    fn replay(&self, onto: Oid, pick: Oid, by: Merger) -> Answer<Merge> {
        log::call(
            "source.replay",
            |words| words.with("onto", &onto).with("pick", &pick).with("by", &merger(by)),
            || self.0.replay(onto, pick, by),
            merged,
        )
    }

    fn changed(&self, old: Option<Oid>, new: Oid) -> Answer<Vec<Vec<u8>>> {
        log::call(
            "source.changed",
            |words| words.with("old", &old).with("new", &new),
            || self.0.changed(old, new),
            count,
        )
    }

    fn filtered(&self, tree: Oid, paths: &[RepoPath]) -> Answer<Vec<RepoPath>> {
        log::call(
            "source.filtered",
            |words| words.with("tree", &tree).with("paths", &paths.len()),
            || self.0.filtered(tree, paths),
            count,
        )
    }

    fn diff(&self, old: Oid, new: Oid, only: &[RepoPath], limit_lines: usize) -> Answer<String> {
        log::call(
            "source.diff",
            |words| words.with("old", &old).with("new", &new).with("paths", &only.len()),
            || self.0.diff(old, new, only, limit_lines),
            |words, found| words.with("bytes", &Bytes(found.len())),
        )
    }
}

impl<T: Checkout> Checkout for Logged<T> {
    fn head(&self) -> Answer<Option<Oid>> {
        log::call("checkout.head", |words| words, || self.0.head(), |words, found| words.with("id", found))
    }

    fn on_disk(&self, path: &RepoPath) -> Answer<OnDisk> {
        log::call(
            "checkout.on_disk",
            |words| words.with("path", path),
            || self.0.on_disk(path),
            |words, found| match found {
                OnDisk::Absent => words.with("found", &"nothing"),
                OnDisk::File(entry) => words.with("blob", &entry.id),
                OnDisk::Other => words.with("found", &"no regular file"),
            },
        )
    }

    fn files_below(&self, folder: &RepoPath) -> Answer<Vec<Vec<u8>>> {
        log::call("checkout.files_below", |words| words.with("folder", folder), || self.0.files_below(folder), count)
    }
}
