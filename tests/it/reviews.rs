//! What reviews are held against: one pull request, one place; and nothing that was reviewed is refused for how it was
//! merged.

use platformctl::{
    flow::{
        Stop,
        approve::{Candidates, approve, request::Request},
    },
    io::{git::Git, remote::GitRemote},
    model::{approval::Style, ids::Oid},
    port::{Remote as _, Want},
};

use crate::support::{
    repo::Repo,
    site::{Site, ask},
};

const STYLES: &[Style] = &[Style::Merge, Style::Squash, Style::Rebase, Style::RebaseMerge];

/// Asks in a clone of its own, which has nothing of the pull requests yet.
fn fetched(repo: &Repo, approved: Option<Oid>, pr: Option<u64>, adopt: &[Oid]) -> Result<(u64, Style), String> {
    let dir = repo.path("fresh");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).unwrap();
    }
    repo.git_in(".", &["clone", "-q", "--single-branch", "--branch", "main", "remote.git", "fresh"]);
    let git = Git::open(&dir, "origin", &repo.env()).unwrap();
    let remote = GitRemote::new(dir.join(".git"), "origin", "main", &repo.env()).unwrap();
    let refs = remote.refs(true).unwrap();
    remote.fetch(&[Want::Base]).unwrap();
    let base = refs.base.unwrap();
    let candidates = Candidates {
        source: &git,
        remote: Some(&remote),
        refs: &refs,
        base,
        styles: STYLES,
        adopt,
        witness: None,
        glass: None,
    };
    match approve(&candidates, &Request { approved: approved.map(|id| id.to_string()), pr }) {
        Ok(approved) => Ok((approved.pr(), approved.relation().style)),
        Err(Stop::Refused(refusals)) => Err(refusals
            .iter()
            .map(|refusal| format!("{}: {}", refusal.code.slug(), refusal.fact))
            .collect::<Vec<_>>()
            .join("; ")),
        Err(Stop::Failed(error)) => Err(format!("world: {error}")),
    }
}

fn refused(found: Result<(u64, Style), String>) -> String {
    found.unwrap_err()
}

/// Rebases the commits between main and a branch onto main, as a forge does, without a word of the pull request.
fn rebase(repo: &Repo, branch: &str) -> Oid {
    repo.git(&["checkout", "-q", "-B", "rebased", branch]);
    repo.git(&["rebase", "-q", "main"]);
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--ff-only", "rebased"]);
    repo.publish()
}

#[test]
fn rebase_is_proven_in_a_fresh_clone() {
    let repo = Repo::new();
    let head = repo.pull(1, "a", "1\n");
    repo.pull(2, "b", "1\n");
    repo.merge(2, "pr2");
    let merge = rebase(&repo, "pr1");
    assert_ne!(head, merge, "replayed");
    assert_eq!(fetched(&repo, Some(merge), None, &[]), Ok((1, Style::Rebase)));
    assert_eq!(fetched(&repo, None, Some(1), &[]), Ok((1, Style::Rebase)));
    assert_eq!(fetched(&repo, Some(head), None, &[]), Ok((1, Style::Rebase)));
}

#[test]
fn rebase_with_a_dropped_duplicate_is_proven() {
    for last in [false, true] {
        let repo = Repo::new();
        repo.branch("pr1", "main");
        let (first, second) = if last { ("own", "same") } else { ("same", "own") };
        repo.write(first, "1\n");
        repo.commit(&format!("write {first}"));
        repo.write(second, "1\n");
        repo.commit(&format!("write {second}"));
        let head = repo.propose(1);
        // The base gets one of the two changes by another pull request.
        repo.pull(2, "same", "1\n");
        repo.merge(2, "pr2");
        let merge = rebase(&repo, "pr1");
        assert_eq!(repo.git(&["rev-list", "--count", "--first-parent", "main"]), "3", "one of two was left out");
        assert_eq!(fetched(&repo, Some(merge), None, &[]), Ok((1, Style::Rebase)), "{last}");
        assert_eq!(fetched(&repo, Some(head), None, &[]), Ok((1, Style::Rebase)), "{last}");
    }
}

/// Attack: somebody rebases two commits, omits one of them, and pushes the rest as if git had dropped a duplicate.
/// Defence: an omitted commit must change nothing at its position.
#[test]
fn rebase_that_omits_a_change_is_refused() {
    let repo = Repo::new();
    repo.branch("pr1", "main");
    repo.write("a", "1\n");
    repo.commit("write a");
    repo.write("b", "1\n");
    repo.commit("write b");
    repo.propose(1);
    repo.pull(2, "c", "1\n");
    repo.merge(2, "pr2");
    repo.git(&["cherry-pick", "pr1"]);
    let merge = repo.publish();
    let why = refused(fetched(&repo, Some(merge), None, &[]));
    assert!(why.starts_with("no_pull_ref") || why.starts_with("evil_merge"), "{why}");
}

#[test]
fn rebase_covers_modules_changed_by_earlier_commits() {
    let site = Site::new();
    site.says(&ask(1));
    let put = |n: u64, page: &str| {
        site.repo.branch(&format!("pr{n}"), "main");
        site.repo.write("modules/site/public/index.html", page);
        site.repo.commit(&format!("page of {n}"));
        site.repo.write(&format!("notes/{n}"), "x\n");
        site.repo.commit(&format!("notes of {n}"));
        site.repo.propose(n);
    };
    put(2, "two\n");
    site.repo.pull(3, "other", "x\n");
    site.repo.merge(3, "pr3");
    rebase(&site.repo, "pr2");
    site.change(4, "four\n");
    assert_eq!(site.says(&ask(4)), "ok, 1 files, covers [2, 4], recorded: Some(true)");
    put(5, "five\n");
    site.repo.pull(6, "other", "y\n");
    site.repo.merge(6, "pr6");
    rebase(&site.repo, "pr5");
    assert_eq!(site.says(&ask(5)), "ok, 1 files, covers [5], recorded: Some(true)");
    assert_eq!(site.live(), "five\n");
}

/// Attack: a squashed pull request is reverted by another one, and somebody pushes the squash commit again directly.
/// Defence: a pull request is proven at one position of the base, the first; the same content later is a direct push.
#[test]
fn reverted_squash_pushed_again_is_refused() {
    let site = Site::new();
    site.says(&ask(1));
    let squash = |n: u64, message: &str| {
        site.repo.git(&["checkout", "-q", "main"]);
        site.repo.git(&["merge", "-q", "--squash", &format!("pr{n}")]);
        site.repo.git(&["commit", "-q", "-m", message]);
        site.repo.publish()
    };
    site.repo.branch("pr2", "main");
    site.repo.write("modules/site/public/index.html", "bad\n");
    site.repo.commit("bad page");
    site.repo.propose(2);
    let first = squash(2, "bad page (#2)");
    assert_eq!(site.says(&ask(2)), "ok, 1 files, covers [2], recorded: Some(true)");
    site.repo.branch("pr3", "main");
    site.repo.git(&["revert", "--no-edit", "main"]);
    site.repo.propose(3);
    site.repo.merge(3, "pr3");
    assert_eq!(site.says(&ask(3)), "ok, 1 files, covers [3], recorded: Some(true)");
    // Pushed again: the very tree that pull request 2 gives on this base.
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.write("modules/site/public/index.html", "bad\n");
    site.repo.git(&["add", "-A"]);
    site.repo.git(&["commit", "-q", "-m", "bad page (#2)"]);
    let again = site.repo.publish();
    let why = refused(fetched(&site.repo, Some(again), None, &[]));
    assert!(why.contains("unreviewed_change") || why.contains("evil_merge"), "{why}");
    site.change(4, "four\n");
    assert_eq!(site.says(&ask(4)), "unreviewed_change");
    assert_eq!(fetched(&site.repo, None, Some(2), &[]), Ok((2, Style::Squash)));
    assert_eq!(fetched(&site.repo, Some(first), None, &[]), Ok((2, Style::Squash)));
}

#[test]
fn nothing_to_apply_has_its_own_message() {
    // An empty pull request.
    let repo = Repo::new();
    repo.branch("pr1", "main");
    repo.commit("nothing");
    let head = repo.propose(1);
    let merge = repo.merge(1, "pr1");
    for id in [head, merge] {
        let why = refused(fetched(&repo, Some(id), None, &[]));
        assert!(why.starts_with("never_changed_by_pr: ") && why.contains("changes no file"), "{why}");
    }
    // A head that is the tip of the base.
    repo.git(&["push", "-q", "origin", "main:refs/pull/2/head"]);
    let why = refused(fetched(&repo, None, Some(2), &[]));
    assert!(
        why.contains("head_not_merged") && why.contains("is the merge result of PR #1")
            || why.contains("had nothing to merge"),
        "{why}"
    );
    // A head that is another one's merge result: that one is meant.
    let repo = Repo::new();
    repo.pull(4, "a", "1\n");
    let merge = repo.merge(4, "pr4");
    repo.git(&["push", "-q", "origin", "main:refs/pull/5/head"]);
    assert_eq!(fetched(&repo, Some(merge), None, &[]), Ok((4, Style::Merge)));
    let why = refused(fetched(&repo, None, Some(5), &[]));
    assert!(why.starts_with("head_not_merged: PR #5 has no commit of its own") && why.contains("PR #4"), "{why}");
}

#[test]
fn unproven_fast_forward_can_be_adopted() {
    let site = Site::new();
    site.says(&ask(1));
    // An up-to-date branch, merged with "Rebase then fast-forward": the base moves to the head.
    site.repo.branch("pr2", "main");
    site.repo.write("modules/site/public/index.html", "two\n");
    let head = site.repo.commit("two");
    site.repo.propose(2);
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.git(&["merge", "-q", "--ff-only", "pr2"]);
    site.repo.publish();
    assert_eq!(site.says(&ask(2)), "style_not_allowed");
    let policy = std::fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    site.repo.pull(3, "platform.yaml", &format!("{policy}approval: {{adopt: [{head}]}}\n"));
    site.repo.merge(3, "pr3");
    assert_eq!(site.says(&ask(2)), "ok, 1 files, covers [2], recorded: Some(true)", "that very pull request");
    // And the next one covers it.
    let site = Site::new();
    site.says(&ask(1));
    site.repo.branch("pr2", "main");
    site.repo.write("modules/site/public/index.html", "two\n");
    let head = site.repo.commit("two");
    site.repo.propose(2);
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.git(&["merge", "-q", "--ff-only", "pr2"]);
    site.repo.publish();
    site.change(3, "three\n");
    assert_eq!(site.says(&ask(3)), "unreviewed_change");
    let policy = std::fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    site.repo.pull(4, "platform.yaml", &format!("{policy}approval: {{adopt: [{head}]}}\n"));
    site.repo.merge(4, "pr4");
    assert_eq!(site.says(&ask(3)), "ok, 1 files, covers [3], recorded: Some(true)");
}

/// Attack: one side of a merge renames a folder and the other adds a file to it, which git calls a conflict and someone resolves by hand.
/// Defence: a change that follows a renamed folder is accepted only if git itself merges it cleanly.
#[test]
fn directory_rename_conflict_is_refused() {
    let repo = Repo::new();
    for name in ["a", "b", "c"] {
        repo.write(&format!("old/{name}"), &format!("{name}\n").repeat(20));
    }
    repo.commit("a folder");
    repo.publish();
    repo.branch("pr1", "main");
    repo.write("old/new-file", "added\n");
    repo.commit("add a file");
    repo.propose(1);
    repo.branch("pr2", "main");
    repo.git(&["mv", "old", "renamed"]);
    repo.commit("rename the folder");
    repo.propose(2);
    repo.merge(2, "pr2");
    repo.git(&["checkout", "-q", "main"]);
    assert!(
        !repo.try_git(&["merge", "-q", "--no-ff", "-m", "Merge (#1)", "pr1"]).status.success(),
        "git calls it a conflict"
    );
    repo.git(&["add", "-A"]);
    repo.git(&["commit", "-q", "-m", "Merge (#1)"]);
    let merge = repo.publish();
    let why = refused(fetched(&repo, Some(merge), None, &[]));
    assert!(why.starts_with("evil_merge"), "{why}");
}

#[test]
fn pending_names_the_pull_request_for_every_merge_style() {
    let site = Site::new();
    site.run(0, "apply site --pr 1");
    let entry = |minutes| site.json(minutes, "pending")["pending"][0].clone();
    // A rebase leaves no word of its pull request.
    site.repo.branch("pr2", "main");
    site.repo.write("modules/site/public/index.html", "two\n");
    site.repo.commit("two");
    site.repo.propose(2);
    site.repo.pull(3, "other", "x\n");
    site.repo.merge(3, "pr3");
    rebase(&site.repo, "pr2");
    assert_eq!(entry(1)["pr"], 2);
    assert!(site.run(1, "pending").ends_with("next: platformctl plan site --pr 2\n"));
    site.run(2, "apply site --pr 2");
    // A direct push: the cure, and no command that would be refused.
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.write("modules/site/public/index.html", "direct\n");
    let direct = site.repo.commit("direct");
    site.repo.publish();
    assert_eq!((&entry(3)["pr"], &entry(3)["refusals"][0]["code"]), (&serde_json::Value::Null, &"no_pull_ref".into()));
    let said = site.run(3, "pending");
    assert!(said.contains("STOP: no_pull_ref") && said.contains(&"approval.adopt: [<40>]".to_owned()), "{said}");
    // Adopted: the pull request that adopts it brings it.
    let policy = std::fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    site.repo.pull(4, "platform.yaml", &format!("{policy}approval: {{adopt: [{direct}]}}\n"));
    site.repo.merge(4, "pr4");
    assert_eq!(entry(4)["pr"], 4);
    assert!(site.run(4, "apply site --pr 4").starts_with("exit 0\n"));
    assert_eq!(site.live(), "direct\n");
    assert!(site.run(5, "pending").contains("everything merged is applied"));
    assert!(site.run(5, "pending --offline").contains("everything merged is applied"));
}

#[test]
fn preview_lists_the_accepted_merge_styles() {
    let site = Site::new();
    site.run(0, "apply site --pr 1");
    site.repo.branch("pr2", "main");
    site.repo.write("modules/site/public/index.html", "two\n");
    site.repo.commit("two");
    site.repo.propose(2);
    let plan = site.json(1, "plan site --pr 2");
    assert_eq!(plan["styles"], serde_json::json!(["merge", "squash", "rebase", "rebase-merge"]));
    assert!(plan["warnings"].to_string().contains("git could not tell that from a direct push"), "{plan}");
    let said = site.run(1, "plan site --pr 2");
    assert!(
        said.ends_with("next: review PR #2 and merge it by one of: merge, squash, rebase, rebase-merge\n"),
        "{said}"
    );
    site.repo.pull(3, "other", "x\n");
    site.repo.merge(3, "pr3");
    let plan = site.json(1, "plan site --pr 2");
    assert!(!plan["warnings"].to_string().contains("direct push"), "a real rebase is proven: {plan}");
}

#[test]
fn pull_request_of_3000_files_is_applied() {
    let site = Site::new();
    site.repo.branch("pr2", "main");
    for n in 0..3_000 {
        site.repo.write(
            &format!("modules/site/public/a-folder-with-a-long-name/and-another-one-{}/{n}.html", n % 50),
            "x\n",
        );
    }
    site.repo.commit("many files");
    site.repo.propose(2);
    site.repo.merge(2, "pr2");
    assert_eq!(site.says(&ask(2)), "ok, 3001 files, covers [2], recorded: Some(true)");
    let event = site.repo.git_in("remote.git", &["show", "refs/platform/state:event.json"]);
    assert!(event.len() < 4_000 && event.contains("\"changed\":{\"count\":3001,"), "{event}");
    assert!(site.log()[0].contains("3001 changes"), "{:?}", site.log());
    let plan = site.run(0, "show site");
    assert!(plan.starts_with("exit 0\n"), "{plan}");
}
