//! A Forgejo of ours: a real HTTP server over a real bare repository, which answers as a Forgejo 15 answered, can
//! misbehave and lie, and remembers every request. Merges are made by git in the repository; heads are real refs.

mod api;
mod client;
mod fault;
mod git;
mod http;
mod json;
mod listen;
mod merge;
mod serve;
mod world;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::Value;

pub(crate) use client::Reply;
pub(crate) use fault::{Fault, Lie};
pub(crate) use http::Auth;
pub(crate) use json::{captured, time};
pub(crate) use listen::Elsewhere;
pub(crate) use world::{Account, Comment, Review, Role, Scope, Seen, Status, Style};

use listen::Listening;
use world::{Token, World};

/// The account of the automatic token of Actions.
pub(crate) const ACTIONS: &str = "forgejo-actions";

/// A server, which stops when it is dropped.
pub(crate) struct Forge {
    listening: Listening,
    world: Arc<Mutex<World>>,
    _hooks: tempfile::TempDir,
}

/// Somebody's account and the token with every scope that it has.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) login: String,
    pub(crate) token: String,
}

impl Forge {
    /// Serves a bare repository as `owner/name`, public, with `main` as its base and the owner as its only user.
    pub(crate) fn start(bare: &Path, owner: &str, name: &str) -> Self {
        let hooks = tempfile::tempdir().unwrap();
        git::hooks(hooks.path());
        let world = World {
            bare: bare.to_owned(),
            base: String::new(),
            owner: owner.to_owned(),
            name: name.to_owned(),
            former: vec![],
            id: 6,
            branch: "main".to_owned(),
            private: false,
            archived: false,
            version: "15.0.0+gitea-1.22.0".to_owned(),
            accounts: BTreeMap::new(),
            tokens: BTreeMap::new(),
            pulls: BTreeMap::new(),
            reviews: vec![],
            comments: vec![],
            statuses: vec![],
            rule: None,
            signing: None,
            faults: vec![],
            lies: vec![],
            seen: vec![],
            now: super::cli::CLOCK,
            zone: 0,
            last: 1,
            hooks: hooks.path().to_owned(),
        };
        let world = Arc::new(Mutex::new(world));
        let shared = world.clone();
        let listening = Listening::start(move |stream, stop| serve::serve(&shared, stream, stop));
        world.lock().unwrap().base = format!("http://{}", listening.address);
        let forge = Self { listening, world, _hooks: hooks };
        forge.account(owner, Role::Admin);
        forge
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.listening.address)
    }

    /// What a remote is configured with.
    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.base(), self.world().full_name())
    }

    /// The owner, with a token.
    pub(crate) fn owner(&self) -> User {
        let owner = self.world().owner.clone();
        self.account(&owner, Role::Admin)
    }

    /// A writer, with a token that has every scope. The same name again is the same person with one more token.
    pub(crate) fn user(&self, login: &str) -> User {
        self.account(login, Role::Writer)
    }

    /// The same, who may do this.
    pub(crate) fn account(&self, login: &str, role: Role) -> User {
        let mut world = self.world();
        let id = match world.accounts.get(login) {
            Some(account) => account.id,
            None => {
                if login == ACTIONS {
                    -2
                } else {
                    world.id()
                }
            }
        };
        world.accounts.insert(login.to_owned(), Account { id, login: login.to_owned(), role });
        drop(world);
        let all = [Scope::WriteRepository, Scope::WriteIssue, Scope::ReadUser];
        User { id, login: login.to_owned(), token: self.token(login, &all) }
    }

    /// One more token of somebody, with these scopes alone: 40 hex digits, as Forgejo makes them.
    pub(crate) fn token(&self, login: &str, scopes: &[Scope]) -> String {
        self.issue(login, Some(scopes.to_vec()))
    }

    fn issue(&self, login: &str, scopes: Option<Vec<Scope>>) -> String {
        let mut world = self.world();
        let number = world.id();
        let token = format!("{:08x}{number:04x}5ec2e7{:022x}", 0x70b1_a9c4_u32, 0xfeed_0000_u64 + number as u64);
        world.tokens.insert(token.clone(), Token { login: login.to_owned(), scopes });
        token
    }

    /// The automatic token of a run of Actions.
    pub(crate) fn actions(&self) -> String {
        self.account(ACTIONS, Role::Writer);
        self.issue(ACTIONS, None)
    }

    /// A JWT of an Authorized Integration (Forgejo 16), which is as long as they are.
    pub(crate) fn keyless(&self, login: &str) -> String {
        let token = ["eyJhbGciOiJSUzI1NiJ9", &"eyJzdWIi".repeat(400), &"c2ln".repeat(85)].join(".");
        self.world().tokens.insert(token.clone(), Token { login: login.to_owned(), scopes: None });
        token
    }

    /// Ends a token.
    pub(crate) fn revoke(&self, token: &str) {
        self.world().tokens.remove(token);
    }

    /// Opens a pull request for what `refs/pull/N/head` or the branch `prN` is.
    pub(crate) fn open(&self, pull: u64, author: &str, title: &str) {
        self.world().begin(pull, author, title, &format!("pr{pull}"));
    }

    /// A review of the present head, at the present time, with what follows from it on the server.
    pub(crate) fn review(&self, pull: u64, user: &str, state: &str) -> i64 {
        self.world().review(pull, user, state, None, None)
    }

    /// An approval of the present head.
    pub(crate) fn approve(&self, pull: u64, user: &str) -> i64 {
        self.review(pull, user, "APPROVED")
    }

    /// A review of this commit at this time, seconds since 1970.
    pub(crate) fn review_at(&self, pull: u64, user: &str, state: &str, commit: &str, at: i64) -> i64 {
        self.world().review(pull, user, state, Some(commit), Some(at))
    }

    /// Dismisses a review, as the owner does.
    pub(crate) fn dismiss(&self, review: i64) {
        self.edit_review(review, |review| review.dismissed = true);
    }

    /// Changes a review in any way.
    pub(crate) fn edit_review(&self, id: i64, change: impl FnOnce(&mut Review)) {
        change(self.world().reviews.iter_mut().find(|review| review.id == id).unwrap());
    }

    /// Merges and returns the merge result. The branch stays.
    pub(crate) fn merge(&self, pull: u64, style: &Style, by: &str) -> String {
        self.account_if_new(by);
        self.world().merge(pull, style, by)
    }

    /// Says of a pull request that it was merged as this commit by somebody, now. Nothing happens in the repository.
    pub(crate) fn merged_as(&self, pull: u64, commit: &str, by: &str) {
        self.account_if_new(by);
        let mut world = self.world();
        let at = world.tick();
        let base = world.rev(&format!("{commit}^1")).unwrap_or_else(|| commit.to_owned());
        let merged = world::Merged { by: by.to_owned(), commit: commit.to_owned(), base, at };
        world.pulls.get_mut(&pull).unwrap().merged = Some(merged);
    }

    fn account_if_new(&self, login: &str) {
        if !self.world().accounts.contains_key(login) {
            self.user(login);
        }
    }

    /// Closes a pull request without a merge.
    pub(crate) fn close(&self, pull: u64) {
        let mut world = self.world();
        let at = world.tick();
        world.pulls.get_mut(&pull).unwrap().closed = Some(at);
    }

    /// Lets only writers comment.
    pub(crate) fn lock(&self, pull: u64) {
        self.world().pulls.get_mut(&pull).unwrap().locked = true;
    }

    /// Moves the branch of a pull request to a commit of the bare repository, as a push does.
    pub(crate) fn push(&self, pull: u64, commit: &str) {
        let mut world = self.world();
        let branch = format!("refs/heads/{}", world.pulls[&pull].branch);
        world.git(&["update-ref", &branch, commit]).unwrap();
        world.follow();
    }

    /// A commit status.
    pub(crate) fn status(&self, commit: &str, context: &str, state: &str, by: &str) {
        self.account_if_new(by);
        let mut world = self.world();
        let (id, at) = (world.id(), world.tick());
        let [commit, context, state, by] = [commit, context, state, by].map(str::to_owned);
        world.statuses.push(Status {
            id,
            commit,
            context,
            state,
            description: String::new(),
            target: String::new(),
            by,
            at,
        });
    }

    /// All statuses that were set, oldest first.
    pub(crate) fn statuses(&self) -> Vec<Status> {
        self.world().statuses.clone()
    }

    /// A comment of somebody.
    pub(crate) fn comment(&self, pull: u64, poster: &str, body: &str) -> i64 {
        self.account_if_new(poster);
        self.world().comment(pull, poster, body)
    }

    /// The comments of a pull request, oldest first.
    pub(crate) fn comments(&self, pull: u64) -> Vec<Comment> {
        self.world().comments.iter().filter(|comment| comment.pull == pull).cloned().collect()
    }

    /// Makes the repository private: who has no account here does not see it.
    pub(crate) fn private(&self) {
        self.world().private = true;
    }

    pub(crate) fn archive(&self) {
        self.world().archived = true;
    }

    /// Gives the repository another name; the server redirects from the old one.
    pub(crate) fn rename(&self, name: &str) {
        let mut world = self.world();
        let former = std::mem::replace(&mut world.name, name.to_owned());
        world.former.push(former);
    }

    /// Protects the base, with these members changed in the rule that Forgejo makes: one approval, no direct push.
    pub(crate) fn protect(&self, members: Value) {
        let mut world = self.world();
        let mut rule = world.template("branch-protections-owner")[0].clone();
        for (name, value) in members.as_object().unwrap() {
            *rule.get_mut(name).unwrap() = value.clone();
        }
        world.rule = Some(rule);
    }

    /// Signs approved merges of a protected base with this ssh key (`[repository.signing] MERGES = approved`).
    pub(crate) fn sign_merges(&self, key: &Path) {
        self.world().signing = Some(key.to_owned());
    }

    /// What the server says its version is.
    pub(crate) fn version(&self, version: &str) {
        self.world().version = version.to_owned();
    }

    /// Writes times in a zone so many hours east of Greenwich.
    pub(crate) fn zone(&self, hours: i32) {
        self.world().zone = hours;
    }

    /// Sets the server's clock, seconds since 1970. Each thing that happens takes a second.
    pub(crate) fn clock(&self, now: i64) {
        self.world().now = now;
    }

    pub(crate) fn now(&self) -> i64 {
        self.world().now
    }

    /// From now on, requests whose path (with query) contains `part` meet this.
    pub(crate) fn fault(&self, part: &str, fault: Fault) {
        self.fault_times(part, fault, usize::MAX);
    }

    /// The same, so many times.
    pub(crate) fn fault_times(&self, part: &str, fault: Fault, times: usize) {
        self.world().faults.push((part.to_owned(), fault, times));
    }

    pub(crate) fn lie(&self, lie: Lie) {
        self.world().lies.push(lie);
    }

    /// Ends faults and lies.
    pub(crate) fn heal(&self) {
        let mut world = self.world();
        world.faults.clear();
        world.lies.clear();
    }

    /// What was asked since it was asked last.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        std::mem::take(&mut self.world().seen)
    }

    /// The requests of the API among them, as `GET /repos/…`, without `/api/v1`.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = self.requests().into_iter().filter_map(|seen| {
            let path = seen.path.strip_prefix("/api/v1")?;
            Some(format!("{} {path}", seen.method))
        });
        calls.collect()
    }
}
