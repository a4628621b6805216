//! The two ports of the record: its local side, and the remote.

use super::{Logged, count, nothing};
use crate::{
    io::log::{self, Bytes, Name, Words},
    model::{ids::Oid, time::Timestamp, via::Via},
    port::{Answer, Guard, Ledger, NewCommit, Pushed, Remote, RemoteRefs, TreeEdit, Want},
};

impl<T: Remote> Remote for Logged<T> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn refs(&self, pulls: bool) -> Answer<RemoteRefs> {
        log::call(
            "remote.refs",
            |words| words.with("remote", &Name(self.0.name())).with("pulls", &pulls),
            || self.0.refs(pulls),
            |words, found| {
                words.with("base", &found.base).with("state", &found.state).with("pulls", &found.pulls.len())
            },
        )
    }

    fn fetch(&self, wants: &[Want]) -> Answer<()> {
        let wanted = |words: Words| {
            wants.iter().fold(words.with("remote", &Name(self.0.name())), |words, want| match want {
                Want::Base => words.with("want", &"base"),
                Want::State => words.with("want", &"state"),
                Want::Pull(n) => words.with("pull", n),
                Want::Commit(id) => words.with("commit", id),
            })
        };
        log::call("remote.fetch", wanted, || self.0.fetch(wants), nothing)
    }

    fn push_state(&self, id: Oid) -> Answer<Pushed> {
        let asked = |words: Words| words.with("remote", &Name(self.0.name())).with("id", &id);
        log::call("remote.push_state", asked, || self.0.push_state(id), pushed)
    }

    fn try_push(&self, id: Oid) -> Answer<Pushed> {
        let asked = |words: Words| words.with("remote", &Name(self.0.name())).with("id", &id);
        log::call("remote.try_push", asked, || self.0.try_push(id), pushed)
    }

    fn credential(&self) -> Option<&str> {
        self.0.credential()
    }

    fn try_rewrite(&self, newer: Oid, older: Oid, nonce: &str) -> Answer<bool> {
        let asked = |words: Words| words.with("newer", &newer).with("older", &older);
        log::call("remote.try_rewrite", asked, || self.0.try_rewrite(newer, older, nonce), super::answer)
    }
}

fn pushed(words: Words, found: &Pushed) -> Words {
    match found {
        Pushed::Accepted => words.with("push", &"accepted"),
        Pushed::Rejected(why) => words.with("push", &"rejected").with("why", &Name(why)),
        Pushed::Refused(error) => words.with("push", &"refused").with("why", &Name(&error.what)),
        Pushed::Unknown(why) => words.with("push", &"unknown").with("why", &Name(why)),
    }
}

impl<T: Ledger> Ledger for Logged<T> {
    fn tip(&self) -> Answer<Option<Oid>> {
        log::call("ledger.tip", |words| words, || self.0.tip(), |words, found| words.with("id", found))
    }

    fn fetched(&self) -> Answer<Option<Oid>> {
        log::call("ledger.fetched", |words| words, || self.0.fetched(), |words, found| words.with("id", found))
    }

    fn base(&self) -> Answer<Option<(Oid, Timestamp)>> {
        log::call(
            "ledger.base",
            |words| words,
            || self.0.base(),
            |words, found| words.with("id", &found.map(|(id, _)| id)).with("seen", &found.map(|(_, at)| at)),
        )
    }

    fn tree_id(&self, tree: Option<Oid>, edits: &[TreeEdit]) -> Answer<Oid> {
        log::call(
            "ledger.tree_id",
            |words| words.with("tree", &tree).with("edits", &edits.len()),
            || self.0.tree_id(tree, edits),
            |words, found| words.with("id", found),
        )
    }

    fn write_tree(&self, tree: Option<Oid>, edits: &[TreeEdit]) -> Answer<Oid> {
        log::call(
            "ledger.write_tree",
            |words| words.with("tree", &tree).with("edits", &edits.len()),
            || self.0.write_tree(tree, edits),
            |words, found| words.with("id", found),
        )
    }

    fn write_commit(&self, commit: &NewCommit) -> Answer<Oid> {
        log::call(
            "ledger.write_commit",
            |words| words.with("tree", &commit.tree).with("parent", &commit.parents.first().copied()),
            || self.0.write_commit(commit),
            |words, found| words.with("id", found),
        )
    }

    fn advance(&self, old: Option<Oid>, new: Oid) -> Answer<bool> {
        log::call(
            "ledger.advance",
            |words| words.with("old", &old).with("new", &new),
            || self.0.advance(old, new),
            |words, found| words.with("moved", found),
        )
    }

    fn keep(&self, id: Oid) -> Answer<()> {
        log::call("ledger.keep", |words| words.with("id", &id), || self.0.keep(id), nothing)
    }

    fn note(&self, name: &str) -> Answer<Option<Vec<u8>>> {
        log::call(
            "ledger.note",
            |words| words.with("name", &Name(name)),
            || self.0.note(name),
            |words, found| words.with("bytes", &found.as_ref().map(|found| Bytes(found.len()))),
        )
    }

    fn notes(&self, folder: &str) -> Answer<Vec<String>> {
        log::call("ledger.notes", |words| words.with("folder", &Name(folder)), || self.0.notes(folder), count)
    }

    fn set_note(&self, name: &str, bytes: Option<&[u8]>) -> Answer<()> {
        log::call(
            "ledger.set_note",
            |words| words.with("name", &Name(name)).with("bytes", &bytes.map(|bytes| Bytes(bytes.len()))),
            || self.0.set_note(name, bytes),
            nothing,
        )
    }

    fn lock(&self, name: &str, wait_ms: u64) -> Answer<Box<dyn Guard>> {
        log::call(
            "ledger.lock",
            |words| words.with("name", &Name(name)).with("wait_ms", &wait_ms),
            || self.0.lock(name, wait_ms),
            nothing,
        )
    }

    fn actor(&self) -> Answer<(String, String)> {
        log::call("ledger.actor", |words| words, || self.0.actor(), nothing)
    }

    fn via(&self) -> Option<Via> {
        self.0.via()
    }
}
