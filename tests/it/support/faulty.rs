//! Ports that fail: one call, before or after its effect; or everything from one call on, as when the process is
//! killed.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use platformctl::{
    io::git::Git,
    model::{ids::Oid, path::RepoPath, refusal::Code, time::Timestamp, via::Via},
    port::{
        Answer, Checkout, Clock, Commit, Entry, Guard, Host, Input, Ledger, Merge, Merger, NewCommit, OnDisk,
        PortError, Pushed, Remote, RemoteRefs, Reply, Script, Source, TreeEdit, Want,
    },
};

/// How the chosen call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Once, without its effect.
    Before,
    /// Once, after its effect.
    After,
    /// Without its effect, and so does everything after it: the process is gone.
    Killed,
}

/// Counts calls, and fails one of them.
pub(crate) struct Fuse {
    at: usize,
    fault: Fault,
    calls: Cell<usize>,
    pub(crate) names: RefCell<Vec<&'static str>>,
    /// What somebody else does just before a call of this name.
    pub(crate) meanwhile: Meanwhile,
}

/// A call, and what happens before it.
pub(crate) type Meanwhile = Option<(&'static str, Box<dyn Fn()>)>;

impl Fuse {
    pub(crate) fn new(at: usize, fault: Fault) -> Self {
        Self { at, fault, calls: Cell::new(0), names: RefCell::default(), meanwhile: None }
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> usize {
        self.calls.get()
    }

    fn pass<T>(&self, name: &'static str, code: Code, call: impl FnOnce() -> Answer<T>) -> Answer<T> {
        self.pass_or(name, call, || Err(PortError::new(code, format!("planned fault in {name}"), "none")))
    }

    fn pass_or<T>(
        &self,
        name: &'static str,
        call: impl FnOnce() -> Answer<T>,
        fail: impl FnOnce() -> Answer<T>,
    ) -> Answer<T> {
        let n = self.calls.replace(self.calls.get() + 1);
        self.names.borrow_mut().push(name);
        if let Some((_, happens)) = self.meanwhile.as_ref().filter(|(call, _)| *call == name) {
            happens();
        }
        match self.fault {
            Fault::Before if n == self.at => fail(),
            Fault::After if n == self.at => {
                drop(call()?);
                fail()
            }
            Fault::Killed if n >= self.at => fail(),
            Fault::Before | Fault::After | Fault::Killed => call(),
        }
    }
}

/// A port behind a fuse.
pub(crate) struct Faulty<'a, P: ?Sized> {
    pub(crate) port: &'a P,
    pub(crate) fuse: &'a Fuse,
}

impl Remote for Faulty<'_, dyn Remote> {
    fn name(&self) -> &str {
        self.port.name()
    }
    fn refs(&self, pulls: bool) -> Answer<RemoteRefs> {
        self.fuse.pass("remote.refs", Code::RemoteUnreachable, || self.port.refs(pulls))
    }
    fn fetch(&self, wants: &[Want]) -> Answer<()> {
        self.fuse.pass("remote.fetch", Code::RemoteUnreachable, || self.port.fetch(wants))
    }
    fn push_state(&self, id: Oid) -> Answer<Pushed> {
        // A push without an answer is an answer of its own.
        let fail = || Ok(Pushed::Unknown("planned fault".to_owned()));
        self.fuse.pass_or("remote.push_state", || self.port.push_state(id), fail)
    }
    fn try_push(&self, id: Oid) -> Answer<Pushed> {
        let fail = || Ok(Pushed::Unknown("planned fault".to_owned()));
        self.fuse.pass_or("remote.try_push", || self.port.try_push(id), fail)
    }
    fn try_rewrite(&self, newer: Oid, older: Oid, nonce: &str) -> Answer<bool> {
        let ask = || self.port.try_rewrite(newer, older, nonce);
        self.fuse.pass("remote.try_rewrite", Code::RemoteUnreachable, ask)
    }
}

impl Ledger for Faulty<'_, Git> {
    fn tip(&self) -> Answer<Option<Oid>> {
        self.fuse.pass("ledger.tip", Code::Io, || self.port.tip())
    }
    fn fetched(&self) -> Answer<Option<Oid>> {
        self.fuse.pass("ledger.fetched", Code::Io, || self.port.fetched())
    }
    fn base(&self) -> Answer<Option<(Oid, Timestamp)>> {
        self.fuse.pass("ledger.base", Code::Io, || self.port.base())
    }
    fn tree_id(&self, tree: Option<Oid>, edits: &[TreeEdit]) -> Answer<Oid> {
        self.fuse.pass("ledger.tree_id", Code::Io, || self.port.tree_id(tree, edits))
    }
    fn write_tree(&self, tree: Option<Oid>, edits: &[TreeEdit]) -> Answer<Oid> {
        self.fuse.pass("ledger.write_tree", Code::Io, || self.port.write_tree(tree, edits))
    }
    fn write_commit(&self, commit: &NewCommit) -> Answer<Oid> {
        self.fuse.pass("ledger.write_commit", Code::Io, || self.port.write_commit(commit))
    }
    fn advance(&self, old: Option<Oid>, new: Oid) -> Answer<bool> {
        self.fuse.pass("ledger.advance", Code::Io, || self.port.advance(old, new))
    }
    fn keep(&self, id: Oid) -> Answer<()> {
        self.fuse.pass("ledger.keep", Code::Io, || self.port.keep(id))
    }
    fn note(&self, name: &str) -> Answer<Option<Vec<u8>>> {
        self.fuse.pass("ledger.note", Code::Io, || self.port.note(name))
    }
    fn notes(&self, folder: &str) -> Answer<Vec<String>> {
        self.fuse.pass("ledger.notes", Code::Io, || self.port.notes(folder))
    }
    fn set_note(&self, name: &str, bytes: Option<&[u8]>) -> Answer<()> {
        self.fuse.pass("ledger.set_note", Code::Io, || self.port.set_note(name, bytes))
    }
    fn lock(&self, name: &str, wait_ms: u64) -> Answer<Box<dyn Guard>> {
        self.fuse.pass("ledger.lock", Code::Io, || self.port.lock(name, wait_ms))
    }
    fn actor(&self) -> Answer<(String, String)> {
        self.fuse.pass("ledger.actor", Code::Io, || self.port.actor())
    }

    fn via(&self) -> Option<Via> {
        self.port.via()
    }
}

impl Checkout for Faulty<'_, Git> {
    fn head(&self) -> Answer<Option<Oid>> {
        self.fuse.pass("checkout.head", Code::Io, || self.port.head())
    }
    fn on_disk(&self, path: &RepoPath) -> Answer<OnDisk> {
        self.fuse.pass("checkout.on_disk", Code::Io, || self.port.on_disk(path))
    }
    fn files_below(&self, folder: &RepoPath) -> Answer<Vec<Vec<u8>>> {
        self.fuse.pass("checkout.files_below", Code::Io, || self.port.files_below(folder))
    }
}

/// A host behind a fuse. Lost before it was reached, or lost with the answer.
pub(crate) struct FaultyHost {
    pub(crate) host: Box<dyn Host>,
    pub(crate) fuse: Rc<Fuse>,
}

impl Host for FaultyHost {
    fn run(&self, script: &Script, args: &[String], input: Input<'_>) -> Answer<Reply> {
        self.fuse.pass(script.name, Code::LinkLost, || self.host.run(script, args, input))
    }
}

impl Source for Faulty<'_, Git> {
    fn commit(&self, id: Oid) -> Answer<Commit> {
        self.fuse.pass("source.commit", Code::Io, || self.port.commit(id))
    }
    fn signed_by(&self, commit: Oid, key: &str) -> Answer<bool> {
        self.fuse.pass("source.signed_by", Code::Io, || self.port.signed_by(commit, key))
    }
    fn has(&self, id: Oid) -> Answer<bool> {
        self.fuse.pass("source.has", Code::Io, || self.port.has(id))
    }
    fn entry(&self, tree: Oid, path: &RepoPath) -> Answer<Option<Entry>> {
        self.fuse.pass("source.entry", Code::Io, || self.port.entry(tree, path))
    }
    fn list(&self, tree: Oid, under: Option<&RepoPath>) -> Answer<Vec<(Vec<u8>, Entry)>> {
        self.fuse.pass("source.list", Code::Io, || self.port.list(tree, under))
    }
    fn names(&self, tree: Oid, under: Option<&RepoPath>) -> Answer<Vec<(Vec<u8>, Entry)>> {
        self.fuse.pass("source.names", Code::Io, || self.port.names(tree, under))
    }
    fn blob(&self, id: Oid, limit_bytes: u64) -> Answer<Vec<u8>> {
        self.fuse.pass("source.blob", Code::Io, || self.port.blob(id, limit_bytes))
    }
    fn delivered(&self, id: Oid) -> Answer<Vec<u8>> {
        self.fuse.pass("source.delivered", Code::Io, || self.port.delivered(id))
    }
    fn matching(&self, prefix: &str) -> Answer<Vec<Oid>> {
        self.fuse.pass("source.matching", Code::Io, || self.port.matching(prefix))
    }
    fn is_ancestor(&self, ancestor: Oid, of: Oid) -> Answer<bool> {
        self.fuse.pass("source.is_ancestor", Code::Io, || self.port.is_ancestor(ancestor, of))
    }
    fn first_parents(&self, tip: Oid, until: Option<Oid>) -> Answer<Vec<Oid>> {
        self.fuse.pass("source.first_parents", Code::Io, || self.port.first_parents(tip, until))
    }
    fn between(&self, base: Oid, head: Oid) -> Answer<Vec<Oid>> {
        self.fuse.pass("source.between", Code::Io, || self.port.between(base, head))
    }
    fn merge(&self, ours: Oid, theirs: Oid, by: Merger) -> Answer<Merge> {
        self.fuse.pass("source.merge", Code::Io, || self.port.merge(ours, theirs, by))
    }
    fn replay(&self, onto: Oid, pick: Oid, by: Merger) -> Answer<Merge> {
        self.fuse.pass("source.replay", Code::Io, || self.port.replay(onto, pick, by))
    }
    fn changed(&self, old: Option<Oid>, new: Oid) -> Answer<Vec<Vec<u8>>> {
        self.fuse.pass("source.changed", Code::Io, || self.port.changed(old, new))
    }
    fn filtered(&self, tree: Oid, paths: &[RepoPath]) -> Answer<Vec<RepoPath>> {
        self.fuse.pass("source.filtered", Code::Io, || self.port.filtered(tree, paths))
    }
    fn diff(&self, old: Oid, new: Oid, only: &[RepoPath], limit_lines: usize) -> Answer<String> {
        self.fuse.pass("source.diff", Code::Io, || self.port.diff(old, new, only, limit_lines))
    }
}

/// A clock that does not wait: sleeping moves its ticks alone.
pub(crate) struct FastClock<'a> {
    pub(crate) clock: &'a dyn Clock,
    pub(crate) ticks: Cell<u64>,
    /// After how many questions somebody asks to stop.
    pub(crate) stop_after: Cell<u64>,
}

impl Clock for FastClock<'_> {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
    fn heard(&self, unix_s: i64) -> Timestamp {
        self.clock.heard(unix_s)
    }
    fn ticks_ms(&self) -> u64 {
        self.ticks.set(self.ticks.get() + 1);
        self.ticks.get()
    }
    fn sleep_ms(&self, ms: u64) {
        self.ticks.set(self.ticks.get() + ms);
    }
    fn interrupted(&self) -> bool {
        let left = self.stop_after.get();
        self.stop_after.set(left.saturating_sub(1));
        left == 0
    }
    fn chance(&self) -> [u8; 16] {
        self.clock.chance()
    }
}
