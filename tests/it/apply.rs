//! The sentence, with driver `files` on this machine: what was merged becomes live, and nothing else does.

use std::fs;

use platformctl::{flow::bind::Waivers, verb::apply::Ask};

use crate::support::site::{Site, ask};

#[test]
fn a_merged_pull_request_becomes_live_and_is_recorded() {
    let site = Site::new();
    assert_eq!(site.says(&ask(1)), "ok, 1 files, covers [1], recorded: Some(true)");
    assert_eq!(site.live(), "hello\n");
    let log = site.log();
    assert_eq!(log.len(), 4, "{log:?}");
    assert!(log[0].starts_with("apply ok: site on box, PR #1"), "{log:?}");
    assert_eq!(site.says(&ask(1)), "noop, recorded: false");
    assert_eq!(site.log().len(), 4, "a no-op leaves nothing behind");
    site.change(2, "two\n");
    site.change(3, "three\n");
    assert_eq!(site.says(&ask(2)), "superseded checkout_differs");
    assert_eq!(site.says(&ask(3)), "ok, 1 files, covers [2, 3], recorded: Some(true)");
    assert_eq!(site.live(), "three\n");
    assert_eq!(site.says(&ask(2)), "replay superseded checkout_differs");
    let trailers = site
        .repo
        .git_in("remote.git", &["log", "-1", "--format=%(trailers:key=Platform-PR,valueonly)", "refs/platform/state"]);
    assert_eq!(trailers.trim(), "3");
}

#[test]
fn apply_again_restores_lost_files() {
    let site = Site::new();
    site.says(&ask(1));
    fs::remove_dir_all(site.repo.path("root")).unwrap();
    let again = Ask { again: true, request: Default::default(), ..ask(1) };
    assert_eq!(site.says(&again), "ok, 1 files, covers [1], recorded: Some(true)");
    assert_eq!(site.live(), "hello\n");
    // Somebody edits what is live: it is put right.
    let live = fs::canonicalize(site.live_path()).unwrap();
    fs::write(&live, "edited by hand\n").unwrap();
    assert_eq!(site.says(&again), "aborted: delivery_failed, covers [1], recorded: Some(true)");
    fs::remove_dir_all(live.parent().unwrap()).unwrap();
    assert_eq!(site.says(&again), "ok, 1 files, covers [1], recorded: Some(true)");
    assert_eq!(site.live(), "hello\n");
}

#[test]
fn checkout_must_match_the_merge() {
    let site = Site::new();
    let page = "modules/site/public/index.html";
    site.repo.write(page, "dirty\n");
    assert_eq!(site.says(&ask(1)), "checkout_dirty");
    site.repo.git(&["update-index", "--assume-unchanged", page]);
    assert_eq!(site.says(&ask(1)), "checkout_dirty", "index flags are not believed");
    site.repo.git(&["update-index", "--no-assume-unchanged", page]);
    site.repo.git(&["checkout", "-q", page]);
    site.repo.write("modules/site/public/untracked", "x");
    assert_eq!(site.says(&ask(1)), "checkout_dirty");
    fs::remove_file(site.repo.work().join("modules/site/public/untracked")).unwrap();
    site.repo.git(&["checkout", "-q", "-b", "local"]);
    site.repo.write(page, "local\n");
    site.repo.commit("local");
    assert_eq!(site.says(&ask(1)), "checkout_differs");
    assert!(!site.live_path().exists(), "nothing of it was live");
    let waived = Ask { waivers: Waivers { checkout: true, ..Waivers::default() }, ..ask(1) };
    assert_eq!(site.says(&waived), "ok, 1 files, covers [1], recorded: Some(true)");
    assert_eq!(site.live(), "hello\n", "what was merged, not what was checked out");
}

#[test]
fn unreviewed_commit_between_applies_is_refused() {
    let site = Site::new();
    site.says(&ask(1));
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.write("modules/site/public/index.html", "direct\n");
    let direct = site.repo.commit("direct push");
    site.repo.publish();
    site.repo.write("unrelated", "x\n");
    site.repo.commit("a direct push elsewhere");
    site.repo.publish();
    site.change(2, "two\n");
    assert_eq!(site.says(&ask(2)), "unreviewed_change");
    assert_eq!(site.live(), "hello\n");
    // Adopted by a reviewed policy.
    site.repo.branch("pr3", "main");
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    site.repo.write("platform.yaml", &format!("{policy}approval: {{adopt: [{direct}]}}\n"));
    site.repo.commit("adopt");
    site.repo.propose(3);
    site.repo.merge(3, "pr3");
    assert_eq!(site.says(&ask(2)), "ok, 1 files, covers [2], recorded: Some(true)");
    assert!(site.log()[0].contains("PR #2"));
    assert_eq!(site.log().iter().filter(|subject| subject.starts_with("policy")).count(), 2, "{:?}", site.log());
}

#[test]
fn pull_request_that_never_changed_the_module_is_refused() {
    let site = Site::new();
    site.repo.pull(2, "unrelated", "x\n");
    site.repo.merge(2, "pr2");
    assert_eq!(site.says(&ask(2)), "never_changed_by_pr");
    site.says(&ask(1));
    assert_eq!(site.says(&ask(2)), "noop, recorded: true", "the module advances, the host is not touched");
    assert_eq!(site.says(&ask(2)), "noop, recorded: false");
    assert_eq!(site.says(&Ask { module: "nothing".parse().unwrap(), ..ask(2) }), "unknown_module");
}

#[test]
fn gate_reports_all_refusals_at_once() {
    let site = Site::empty("    machine_id: \"00000000000000000000000000000000\"\n    activate: [[\"true\"]]\n");
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    site.repo.write("platform.yaml", &policy.replace("mutations: enabled", "mutations: disabled"));
    site.repo.commit("disabled");
    site.repo.publish();
    site.repo.branch("pr1", "main");
    site.manifest("");
    let text = fs::read_to_string(site.repo.work().join("modules/site/module.yaml")).unwrap();
    site.repo.write("modules/site/module.yaml", &text.replace("public}", "public, activate: [[rm, -rf, /]]}"));
    site.repo.write("modules/site/public/index.html", "x\n");
    site.repo.commit("module");
    site.repo.propose(1);
    site.repo.merge(1, "pr1");
    assert_eq!(site.says(&ask(1)), "mutations_disabled host_unreachable capability");
    assert!(!site.repo.path("root").exists());
}

#[test]
fn failed_release_is_held_until_the_module_changes() {
    let site = Site::empty("    activate: [[sh, -c, 'exit 7']]\n");
    let put = |n: u64, page: &str, activate: &str| {
        site.activating(n, page, activate);
        site.repo.merge(n, &format!("pr{n}"));
    };
    put(1, "one\n", ", activate: [[sh, -c, 'exit 7']]");
    assert_eq!(site.says(&ask(1)), "failed: host_failed, covers [1], recorded: Some(true)");
    assert_eq!(site.live(), "one\n", "left as it is");
    assert_eq!(site.says(&ask(1)), "held_release", "what lies there was never activated");
    let retry = Ask { retry: true, ..ask(1) };
    assert_eq!(site.says(&retry), "failed: host_failed, covers [1], recorded: Some(true)");
    put(2, "two\n", "");
    assert_eq!(site.says(&ask(2)), "ok, 1 files, covers [2], recorded: Some(true)");
    assert_eq!(site.live(), "two\n");
}
