//! Approvals: every history that a forge makes is proven, and every one that nobody reviewed is refused by its own
//! name.

use std::cell::Cell;

use platformctl::{
    flow::{
        Stop,
        approve::{Approved, Candidates, approve, request::Request},
    },
    io::git::Git,
    model::{approval::Style, ids::Oid},
    port::{Answer, Pushed, Remote, RemoteRefs, Want},
};

use crate::support::repo::Repo;

const STYLES: &[Style] = &[Style::Merge, Style::Squash, Style::Rebase, Style::RebaseMerge];

/// A fresh look at the remote, as every command takes it.
fn look(repo: &Repo) -> (Git, RemoteRefs) {
    let remote = repo.remote();
    let refs = remote.refs(true).unwrap();
    remote.fetch(&[Want::Base]).unwrap();
    (repo.open(), refs)
}

fn ask_with(repo: &Repo, styles: &[Style], approved: Option<&str>, pr: Option<u64>) -> Result<Approved, String> {
    let (git, refs) = look(repo);
    let remote = repo.remote();
    let base = refs.base.unwrap();
    let candidates = Candidates {
        source: &git,
        remote: Some(&remote),
        refs: &refs,
        base,
        styles,
        adopt: &[],
        witness: None,
        glass: None,
    };
    match approve(&candidates, &Request { approved: approved.map(str::to_owned), pr }) {
        Ok(approved) => Ok(approved),
        Err(Stop::Refused(refusals)) => Err(refusals.iter().map(|r| r.code.slug()).collect::<Vec<_>>().join(" ")),
        Err(Stop::Failed(error)) => Err(format!("world: {error}")),
    }
}

fn ask(repo: &Repo, id: impl ToString) -> Result<(u64, Style), String> {
    ask_with(repo, STYLES, Some(&id.to_string()), None).map(|found| (found.pr(), found.relation().style))
}

fn ask_pr(repo: &Repo, pr: u64) -> Result<Style, String> {
    ask_with(repo, STYLES, None, Some(pr)).map(|found| found.relation().style)
}

fn refused<T>(code: &str) -> Result<T, String> {
    Err(code.to_owned())
}

#[test]
fn a_merge_commit_is_proven_by_its_head_and_by_itself() {
    let repo = Repo::new();
    let head = repo.pull(1, "a", "1\n");
    assert_eq!(ask(&repo, head), refused("head_not_merged"));
    assert_eq!(ask_pr(&repo, 1), refused("head_not_merged"));
    let merge = repo.merge(1, "pr1");
    for id in [head.to_string(), merge.to_string(), merge.to_string().to_uppercase()] {
        assert_eq!(ask(&repo, id), Ok((1, Style::Merge)));
    }
    assert_eq!(ask_pr(&repo, 1), Ok(Style::Merge));
    assert_eq!(ask_pr(&repo, 9), refused("unknown_id"));
    let found = ask_with(&repo, STYLES, None, Some(1)).unwrap();
    assert_eq!((found.relation().head, found.relation().merge), (head, merge));
    assert_eq!(found.relation().base, repo.id("main^1"));
    assert_eq!(found.relation().tree, repo.id("main^{tree}"));
}

#[test]
fn abbreviated_approval_ids_are_refused() {
    let repo = Repo::new();
    repo.pull(1, "a", "1\n");
    let merge = repo.merge(1, "pr1").to_string();
    assert_eq!(ask(&repo, &merge[..12]), refused("short_id"));
    assert_eq!(ask(&repo, "main"), refused("malformed_id"));
    assert_eq!(ask(&repo, "--upload-pack=x"), refused("malformed_id"));
    assert_eq!(ask(&repo, ""), refused("malformed_id"));
    assert_eq!(ask(&repo, "0".repeat(40)), refused("unknown_id"));
    assert_eq!(ask(&repo, repo.id("main^{tree}")), refused("unknown_id"));
}

#[test]
fn squash_rebase_and_rebase_merge_are_proven() {
    let repo = Repo::new();
    // The base moves on meanwhile, so that nothing is a fast-forward.
    repo.branch("pr1", "main");
    repo.write("a", "1\n");
    repo.commit("one");
    repo.write("a", "2\n");
    repo.commit("two");
    let head = repo.propose(1);
    repo.pull(2, "other", "x\n");
    repo.merge(2, "pr2");
    let base = repo.id("main");

    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--squash", "pr1"]);
    repo.git(&["commit", "-q", "-m", "An edited message (#1)"]);
    let squash = repo.publish();
    assert_eq!(ask(&repo, head), Ok((1, Style::Squash)));
    assert_eq!(ask(&repo, squash), Ok((1, Style::Squash)));

    repo.git(&["reset", "-q", "--hard", &base.to_string()]);
    repo.git(&["cherry-pick", "pr1~1", "pr1"]);
    repo.git(&["push", "-q", "-f", "origin", "main:main"]);
    assert_eq!(ask(&repo, head), Ok((1, Style::Rebase)));
    let found = ask_with(&repo, STYLES, Some(&repo.id("main").to_string()), Some(1)).unwrap();
    assert_eq!(found.relation().base, base, "the base is below both commits");

    repo.git(&["checkout", "-q", "--detach", "main"]);
    let top = repo.id("HEAD");
    repo.git(&["checkout", "-q", "-B", "main", &base.to_string()]);
    repo.git(&["merge", "-q", "--no-ff", "-m", "Merge (#1)", &top.to_string()]);
    repo.git(&["push", "-q", "-f", "origin", "main:main"]);
    assert_eq!(ask(&repo, head), Ok((1, Style::RebaseMerge)));
}

#[test]
fn fast_forward_is_opt_in_and_weak() {
    let repo = Repo::new();
    let head = repo.pull(1, "a", "1\n");
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--ff-only", "pr1"]);
    repo.publish();
    // A rejected pull request whose change was pushed directly looks exactly like this.
    assert_eq!(ask(&repo, head), refused("style_not_allowed"));
    let found = ask_with(&repo, &[Style::FastForward], Some(&head.to_string()), None).unwrap();
    assert!(found.relation().weak());
}

#[test]
fn unreviewed_commits_are_listed() {
    // An evil merge: one line more than base and head give.
    let repo = Repo::new();
    let head = repo.pull(1, "a", "1\n");
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "--no-commit", "pr1"]);
    repo.write("extra", "evil\n");
    repo.commit("Merge (#1)");
    let merge = repo.publish();
    assert_eq!(ask(&repo, head), refused("evil_merge"));
    assert_eq!(ask(&repo, merge), refused("evil_merge"));

    // -s ours: the parents are right and nothing of the head is in it.
    let repo = Repo::new();
    let head = repo.pull(1, "a", "1\n");
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "-s", "ours", "-m", "Merge (#1)", "pr1"]);
    repo.publish();
    assert_eq!(ask(&repo, head), refused("evil_merge"));

    // An octopus.
    let repo = Repo::new();
    let head = repo.pull(1, "a", "1\n");
    repo.pull(2, "b", "1\n");
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "-m", "Merge (#1) (#2)", "pr1", "pr2"]);
    let merge = repo.publish();
    assert_eq!(ask(&repo, head), refused("evil_merge"));
    assert!(ask(&repo, merge).unwrap_err().contains("evil_merge"));

    // A squash with something beside.
    let repo = Repo::new();
    let head = repo.pull(1, "a", "1\n");
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--squash", "pr1"]);
    repo.write("extra", "evil\n");
    repo.commit("change a (#1)");
    repo.publish();
    assert_eq!(ask(&repo, head), refused("evil_merge"));
}

#[test]
fn direct_pushes_and_intermediate_commits_are_refused() {
    let repo = Repo::new();
    repo.branch("pr1", "main");
    repo.write("a", "1\n");
    let part = repo.commit("part");
    repo.propose(7);
    repo.write("a", "2\n");
    repo.commit("whole");
    let head = repo.propose(1);
    repo.merge(1, "pr1");
    assert_eq!(ask(&repo, head), Ok((1, Style::Merge)));
    // The part has a pull ref of its own, and still it was never merged by itself.
    assert_eq!(ask(&repo, part), refused("intermediate_commit"));
    assert_eq!(ask_pr(&repo, 7), refused("intermediate_commit"));
    repo.git(&["push", "-q", "origin", ":refs/pull/7/head"]);
    assert_eq!(ask(&repo, part), refused("intermediate_commit"));

    repo.git(&["checkout", "-q", "main"]);
    repo.write("b", "direct\n");
    repo.commit("direct push, it says (#1) but is not");
    let direct = repo.publish();
    assert_eq!(ask(&repo, direct), refused("evil_merge"));
    repo.write("b", "direct again\n");
    repo.commit("direct push");
    let direct = repo.publish();
    assert_eq!(ask(&repo, direct), refused("no_pull_ref"));
    // The rejected pull request's change, applied and pushed by hand without a word of it.
    repo.branch("pr3", "main");
    repo.write("c", "3\n");
    repo.commit("three");
    let head = repo.propose(3);
    repo.git(&["checkout", "-q", "main"]);
    repo.write("c", "3\n");
    repo.commit("somebody's own commit");
    let pushed = repo.publish();
    assert_eq!(ask(&repo, head), refused("head_not_merged"));
    assert_eq!(ask(&repo, pushed), refused("no_pull_ref"));
}

#[test]
fn merge_into_another_branch_is_refused() {
    let repo = Repo::new();
    repo.branch("feature", "main");
    repo.write("f", "1\n");
    repo.commit("feature");
    repo.branch("pr1", "feature");
    repo.write("a", "1\n");
    repo.commit("one");
    let head = repo.propose(1);
    repo.git(&["checkout", "-q", "feature"]);
    repo.git(&["merge", "-q", "--no-ff", "-m", "Merge (#1) into feature", "pr1"]);
    let inner = repo.id("HEAD");
    repo.propose(2);
    repo.merge(2, "feature");
    assert_eq!(ask(&repo, head), refused("base_not_ours"));
    assert_eq!(ask_pr(&repo, 1), refused("base_not_ours"));
    assert_eq!(ask(&repo, inner), Ok((2, Style::Merge)), "it is the head of #2");
    // A commit that can be fetched by its id and was never merged.
    repo.branch("stray", "main");
    repo.write("s", "1\n");
    let stray = repo.commit("stray");
    repo.git(&["push", "-q", "origin", "stray"]);
    assert_eq!(ask(&repo, stray), refused("head_not_merged"));
    let other = repo.path("other");
    repo.git_in(".", &["clone", "-q", "remote.git", "other"]);
    assert!(other.exists());
}

#[test]
fn pull_request_and_commit_must_match() {
    let repo = Repo::new();
    let one = repo.pull(1, "a", "1\n");
    repo.merge(1, "pr1");
    let two = repo.pull(2, "b", "1\n");
    repo.merge(2, "pr2");
    let both = |id: Oid, pr| ask_with(&repo, STYLES, Some(&id.to_string()), Some(pr)).map(|found| found.pr());
    assert_eq!(both(one, 1), Ok(1));
    assert_eq!(both(two, 1), refused("head_of_other_pr"));
    assert_eq!(both(repo.id("main"), 1), refused("head_of_other_pr"));
}

#[test]
fn ordinary_histories_are_accepted() {
    // The base merged into the branch, with a conflict resolved there.
    let repo = Repo::new();
    repo.pull(1, "README", "one\n");
    repo.pull(2, "README", "two\n");
    repo.merge(2, "pr2");
    repo.git(&["checkout", "-q", "pr1"]);
    assert!(!repo.try_git(&["merge", "-q", "main"]).status.success());
    repo.write("README", "both\n");
    repo.commit("Merge main");
    let head = repo.propose(1);
    repo.merge(1, "pr1");
    assert_eq!(ask(&repo, head), Ok((1, Style::Merge)));
    // A rename on one side, a change on the other.
    repo.write("old", &"line\n".repeat(30));
    repo.commit("a file");
    repo.publish();
    repo.branch("pr3", "main");
    repo.git(&["mv", "old", "new"]);
    repo.commit("renamed");
    let head = repo.propose(3);
    repo.pull(4, "old", &("first\n".to_owned() + &"line\n".repeat(30)));
    repo.merge(4, "pr4");
    repo.merge(3, "pr3");
    assert_eq!(ask(&repo, head), Ok((3, Style::Merge)));
    // A revert is a pull request like any other.
    repo.branch("pr5", "main");
    repo.git(&["revert", "--no-edit", "-m", "1", "main"]);
    let head = repo.propose(5);
    repo.merge(5, "pr5");
    assert_eq!(ask(&repo, head), Ok((5, Style::Merge)));
    // Criss-cross: two branches that merged each other.
    repo.branch("x", "main");
    repo.write("x", "1\n");
    repo.commit("x1");
    repo.branch("y", "main");
    repo.write("y", "1\n");
    repo.commit("y1");
    repo.git(&["checkout", "-q", "x"]);
    let y1 = repo.id("y");
    repo.git(&["checkout", "-q", "y"]);
    repo.git(&["merge", "-q", "--no-ff", "-m", "x into y", "x"]);
    repo.git(&["checkout", "-q", "x"]);
    repo.git(&["merge", "-q", "--no-ff", "-m", "y into x", &y1.to_string()]);
    repo.write("x", "2\n");
    repo.commit("x2");
    repo.git(&["checkout", "-q", "y"]);
    repo.propose(6);
    repo.merge(6, "y");
    repo.git(&["checkout", "-q", "x"]);
    let head = repo.propose(8);
    repo.merge(8, "x");
    assert_eq!(ask(&repo, head), Ok((8, Style::Merge)));
}

#[test]
fn shared_head_is_resolved_by_the_merge_or_is_ambiguous() {
    let repo = Repo::new();
    let head = repo.pull(1, "a", "1\n");
    repo.git(&["push", "-q", "origin", &format!("{head}:refs/pull/2/head")]);
    let merge = repo.merge(2, "pr1");
    assert_eq!(ask(&repo, head), Ok((2, Style::Merge)), "the merge result names the one");
    assert_eq!(ask(&repo, merge), Ok((2, Style::Merge)));
    let repo = Repo::new();
    let head = repo.pull(1, "a", "1\n");
    repo.git(&["push", "-q", "origin", &format!("{head}:refs/pull/2/head")]);
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "-m", "merged", "pr1"]);
    repo.publish();
    assert_eq!(ask(&repo, head), refused("ambiguous_pr"));
    assert_eq!(ask_pr(&repo, 2), Ok(Style::Merge));
}

/// A remote that counts what it is asked.
struct Counted<'a> {
    real: &'a dyn Remote,
    asked: Cell<u32>,
    fetched: Cell<u32>,
}

impl Remote for Counted<'_> {
    fn name(&self) -> &str {
        self.real.name()
    }
    fn refs(&self, pulls: bool) -> Answer<RemoteRefs> {
        self.asked.set(self.asked.get() + 1);
        self.real.refs(pulls)
    }
    fn fetch(&self, wants: &[Want]) -> Answer<()> {
        self.fetched.set(self.fetched.get() + 1);
        self.real.fetch(wants)
    }
    fn push_state(&self, id: Oid) -> Answer<Pushed> {
        self.real.push_state(id)
    }
    fn try_push(&self, id: Oid) -> Answer<Pushed> {
        self.real.try_push(id)
    }
    fn try_rewrite(&self, newer: Oid, older: Oid, nonce: &str) -> Answer<bool> {
        self.real.try_rewrite(newer, older, nonce)
    }
}

#[test]
fn approval_among_2000_pull_requests_needs_one_ls_remote_and_one_fetch() {
    let repo = Repo::new();
    repo.pull(2001, "a", "1\n");
    let merge = repo.merge(2001, "pr2001");
    let main = repo.id("main");
    let refs: String = (1..=2000).map(|n| format!("create refs/pull/{n}/head {main}\n")).collect();
    let batch = repo.path("batch");
    std::fs::write(&batch, refs).unwrap();
    let status = std::process::Command::new("git")
        .args(["-C", &repo.path("remote.git").display().to_string(), "update-ref", "--stdin"])
        .stdin(std::fs::File::open(batch).unwrap())
        .status();
    assert!(status.unwrap().success());
    // Another clone, which has nothing of it yet.
    repo.git(&["update-ref", "-d", "refs/remotes/origin/main"]);
    let real = repo.remote();
    let remote = Counted { real: &real, asked: Cell::new(0), fetched: Cell::new(0) };
    let refs = remote.refs(true).unwrap();
    remote.fetch(&[Want::Base]).unwrap();
    let git = repo.open();
    let candidates = Candidates {
        source: &git,
        remote: Some(&remote),
        refs: &refs,
        base: refs.base.unwrap(),
        styles: STYLES,
        adopt: &[],
        witness: None,
        glass: None,
    };
    let request = Request { approved: Some(repo.id("pr2001").to_string()), pr: None };
    let found = approve(&candidates, &request).unwrap();
    assert_eq!((found.pr(), found.relation().merge), (2001, merge));
    assert_eq!((remote.asked.get(), remote.fetched.get()), (1, 1));
    assert_eq!(refs.pulls.len(), 2001);
}
