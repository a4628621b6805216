//! The policy is proven like everything else: what merely lies on the base decides nothing.

use std::fs;

use platformctl::{flow::Stop, model::ids::Oid};

use crate::support::site::{Site, ask, said};

/// A site whose policy is recorded, with module `site` applied by pull request 1.
fn recorded() -> Site {
    let site = Site::new();
    assert_eq!(site.says(&ask(1)), "ok, 1 files, covers [1], recorded: Some(true)");
    site
}

fn policy(site: &Site) -> String {
    fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap()
}

/// Pushes another policy straight to the base.
fn push(site: &Site, change: impl Fn(&str) -> String) -> Oid {
    site.repo.git(&["checkout", "-q", "main"]);
    let changed = change(&policy(site));
    site.repo.write("platform.yaml", &changed);
    site.repo.commit("a direct push");
    site.repo.publish()
}

/// Brings another policy by pull request `n`, merged with a merge commit.
fn merge(site: &Site, n: u64, change: impl Fn(&str) -> String) -> Oid {
    site.repo.branch(&format!("pr{n}"), "main");
    let changed = change(&policy(site));
    site.repo.write("platform.yaml", &changed);
    site.repo.commit(&format!("policy for {n}"));
    site.repo.propose(n);
    site.repo.merge(n, &format!("pr{n}"))
}

fn more(lines: &'static str) -> impl Fn(&str) -> String {
    move |policy| format!("{policy}{lines}\n")
}

/// Attack: a direct push to the base allows the engine's socket, enables fast-forward or moves the root of a host.
/// Defence: the recorded policy stays in force until every change to the policy files is proven under the policy before that change.
#[test]
fn directly_pushed_policy_has_no_effect() {
    for lines in [
        "sacred: {allow: [{module: site, path: /var/run/docker.sock, mode: rw, reason: x}]}",
        "approval: {styles: [fast-forward]}",
        "state: {genesis: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}",
        "signers: {evil@example.org: [genesis]}",
    ] {
        let site = recorded();
        push(&site, more(lines));
        site.change(2, "two\n");
        assert_eq!(site.says(&ask(2)), "unreviewed_policy", "{lines}");
        assert_eq!(site.live(), "hello\n");
    }
    let site = recorded();
    push(&site, |policy| policy.replace("mutations: enabled", "mutations: disabled"));
    assert_eq!(site.says(&ask(1)), "unreviewed_policy");
    let site = recorded();
    let elsewhere = site.repo.path("elsewhere").display().to_string();
    let root = site.repo.path("root").display().to_string();
    push(&site, |policy| policy.replace(&root, &elsewhere));
    site.change(2, "two\n");
    assert_eq!(site.says(&ask(2)), "unreviewed_policy");
    assert!(!site.repo.path("elsewhere").exists());
}

/// Attack: a direct push replaces allowed_signers.
/// Defence: changes to both policy files must be proven.
#[test]
fn directly_pushed_signers_have_no_effect() {
    let site = recorded();
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.write("allowed_signers", "evil@example.org ssh-ed25519 AAAA\n");
    site.repo.commit("signers");
    site.repo.publish();
    assert_eq!(site.says(&ask(1)), "unreviewed_policy");
}

/// Attack: a directly pushed commit is adopted by another direct push after it.
/// Defence: only a proven policy can adopt commits.
#[test]
fn directly_pushed_policy_cannot_adopt_commits() {
    let site = recorded();
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.write("modules/site/public/index.html", "evil\n");
    let evil = site.repo.commit("evil");
    site.repo.publish();
    push(&site, |policy| format!("{policy}approval: {{adopt: [{evil}]}}\n"));
    site.change(2, "two\n");
    let stop = site.apply(&ask(2)).unwrap_err();
    let Stop::Refused(refusals) = &stop else { panic!("{stop:?}") };
    assert_eq!(refusals[0].code.slug(), "unreviewed_policy");
    assert!(refusals[0].fact.contains(&format!("+approval: {{adopt: [{evil}]}}")), "{}", refusals[0].fact);
    assert_eq!(said(Err(stop)), "unreviewed_policy");
}

#[test]
fn policy_from_a_pull_request_is_recorded() {
    let site = recorded();
    merge(&site, 2, more("approval: {styles: [merge, fast-forward]}"));
    merge(&site, 3, |policy| policy.replace("[merge, fast-forward]", "[merge]"));
    site.change(4, "four\n");
    assert_eq!(site.says(&ask(4)), "ok, 1 files, covers [4], recorded: Some(true)");
    let log = site.repo.git_in("remote.git", &["log", "--format=%s%n%b", "refs/platform/state"]);
    let events: Vec<&str> = log.lines().filter(|line| line.starts_with("policy")).collect();
    assert_eq!(events.len(), 2, "{log}");
    assert!(log.contains("the baseline: no review of this policy is proven"), "{log}");
    let newest = &log[log.find("policy").unwrap()..];
    assert!(newest.contains("Platform-PR: 3"), "{newest}");
    let event = site.repo.git_in("remote.git", &["log", "--format=%H", "--grep=^policy", "-1", "refs/platform/state"]);
    let event = site.repo.git_in("remote.git", &["show", &format!("{event}:event.json")]);
    assert!(event.contains("\"covers\":[2,3]"), "{event}");
}

/// Attack: a pull request enables fast-forward, and a direct push that looks like a fast-forward follows.
/// Defence: each change is proven under the policy in force before it, not under the one that it introduces.
#[test]
fn policy_change_is_proven_under_the_previous_policy() {
    // A fast-forward that brings the permission for fast-forwards.
    let site = recorded();
    site.repo.branch("pr2", "main");
    let changed = more("approval: {styles: [merge, fast-forward]}")(&policy(&site));
    site.repo.write("platform.yaml", &changed);
    let moved = site.repo.commit("policy");
    site.repo.propose(2);
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.git(&["merge", "-q", "--ff-only", "pr2"]);
    site.repo.publish();
    assert_eq!(site.says(&ask(1)), "unreviewed_policy");
    // A pull request on top that is fine by itself does not make it so.
    merge(&site, 3, more("notify: {}"));
    assert_eq!(site.says(&ask(1)), "unreviewed_policy");
    // One that adopts it does.
    merge(&site, 4, |policy| policy.replace("approval: {", &format!("approval: {{adopt: [{moved}], ")));
    site.change(5, "five\n");
    assert_eq!(site.says(&ask(5)), "ok, 1 files, covers [5], recorded: Some(true)");
}

#[test]
fn direct_push_can_be_adopted_or_reverted() {
    let site = recorded();
    let pushed = push(&site, more("notify: {}"));
    site.change(2, "two\n");
    assert_eq!(site.says(&ask(2)), "unreviewed_policy");
    // What is printed as the cure works.
    let Err(Stop::Refused(refusals)) = site.apply(&ask(2)) else { panic!() };
    let line = refusals[0].fix.split(": ").last().unwrap().to_owned();
    assert_eq!(line, format!("[{pushed}]"));
    merge(&site, 3, |policy| format!("{policy}approval: {{adopt: {line}}}\n"));
    assert_eq!(site.says(&ask(2)), "ok, 1 files, covers [2], recorded: Some(true)");
    // Reverted: the content in force is there again, and nothing is to be proven.
    let site = recorded();
    let before = policy(&site);
    push(&site, more("approval: {styles: [fast-forward]}"));
    merge(&site, 2, |_| before.clone());
    site.change(3, "three\n");
    assert_eq!(site.says(&ask(3)), "ok, 1 files, covers [3], recorded: Some(true)");
}

#[test]
fn policy_is_accepted_from_every_merge_style() {
    // A squash, and a rebase whose last commit is about something else.
    let site = recorded();
    site.repo.branch("pr2", "main");
    let changed = more("notify: {}")(&policy(&site));
    site.repo.write("platform.yaml", &changed);
    site.repo.commit("policy");
    site.repo.write("README", "two\n");
    site.repo.commit("readme");
    site.repo.propose(2);
    site.repo.pull(3, "other", "x\n");
    site.repo.merge(3, "pr3");
    site.repo.git(&["cherry-pick", "pr2~1", "pr2"]);
    site.repo.publish();
    assert_eq!(site.says(&ask(1)), "noop, recorded: false");
    site.repo.branch("pr4", "main");
    let changed = more("signers: {}")(&policy(&site));
    site.repo.write("platform.yaml", &changed);
    site.repo.commit("policy");
    site.repo.propose(4);
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.git(&["merge", "-q", "--squash", "pr4"]);
    site.repo.git(&["commit", "-q", "-m", "policy (#4)"]);
    site.repo.publish();
    site.change(5, "five\n");
    assert_eq!(site.says(&ask(5)), "ok, 1 files, covers [5], recorded: Some(true)");
}

/// Attack: somebody pushes a policy to the base that is not YAML or that this version does not support.
/// Defence: commands that change hosts stop and print the location of the error; reading commands use the recorded policy.
#[test]
fn reads_use_the_recorded_policy() {
    let site = recorded();
    push(&site, |_| "schema: platform/1\nhosts: [".to_owned());
    assert_eq!(site.says(&ask(1)), "policy_invalid");
    let plan = site.run(1, "plan site --pr 1");
    assert!(plan.starts_with("exit 0\n"), "{plan}");
    assert!(plan.contains("the recorded policy is used here"), "{plan}");
    let site = recorded();
    push(&site, more("approval: {styles: [fast-forward]}"));
    let plan = site.run(1, "plan site --pr 1");
    assert!(plan.starts_with("exit 0\n"), "{plan}");
    assert!(plan.contains("the recorded policy is used here"), "{plan}");
    assert!(site.run(1, "apply site --pr 1").starts_with("exit 6\n"));
}

/// Attack: the record is replaced by a forged one with the attacker's policy, and a fresh clone fetches it.
/// Defence: a record whose policy was never on the base is refused before any host is contacted.
#[test]
fn fresh_clone_refuses_a_record_with_a_foreign_policy() {
    let site = recorded();
    let other = Site::new();
    other.repo.git(&["checkout", "-q", "main"]);
    other.repo.write(
        "platform.yaml",
        &policy(&other).replace("mutations: enabled", "mutations: enabled\n    networks: [evil]"),
    );
    other.repo.commit("the attacker's");
    other.repo.publish();
    other.says(&ask(1));
    let remote = other.repo.path("remote.git").display().to_string();
    site.repo.git_in("remote.git", &["fetch", "-q", &remote, "+refs/platform/state:refs/platform/state"]);
    let says = || site.says(&ask(1));
    assert!(says().starts_with("world: state_forked"), "this clone knows better: {}", says());
    fs::remove_dir_all(site.repo.work()).unwrap();
    site.repo.git_in(".", &["clone", "-q", "remote.git", "work"]);
    assert_eq!(says(), "state_forked");
}

/// Attack: a reviewed policy pins a different record than the one that contains it.
/// Defence: the pin is compared with the first record of the chain, and every command refuses a mismatch.
#[test]
fn wrong_genesis_pin_refuses_every_command() {
    let site = recorded();
    merge(&site, 2, more("state: {genesis: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}"));
    assert_eq!(site.says(&ask(1)), "state_forked");
    let site = recorded();
    let genesis = site.repo.git_in("remote.git", &["rev-list", "--max-parents=0", "refs/platform/state"]);
    merge(&site, 2, |policy| format!("{policy}state: {{genesis: '{genesis}'}}\n"));
    assert_eq!(site.says(&ask(1)), "noop, recorded: false");
}

#[test]
fn record_is_written_only_to_the_policys_remote() {
    let site = recorded();
    merge(&site, 2, more("state: {remote: backup}"));
    assert_eq!(site.says(&ask(1)), "policy_invalid");
    let site = recorded();
    merge(&site, 2, more("state: {remote: origin}"));
    assert_eq!(site.says(&ask(1)), "noop, recorded: false");
}

/// Attack: a typo makes the policy invalid, a direct push changes it in that state, and a pull request repairs the typo.
/// Defence: an invalid policy is compared by the raw blobs of its files, so every change to them must be proven.
#[test]
fn invalid_policy_hides_no_change() {
    let site = recorded();
    merge(&site, 2, |policy| policy.replace("hosts:", "hots:"));
    push(&site, |policy| format!("{policy}sacred: {{allow: [{{module: site, path: /etc, mode: rw, reason: x}}]}}\n"));
    merge(&site, 3, |policy| policy.replace("hots:", "hosts:"));
    assert_eq!(site.says(&ask(1)), "unreviewed_policy");
    // The typo alone, repaired, stops nothing.
    let site = recorded();
    merge(&site, 2, |policy| policy.replace("hosts:", "hots:"));
    assert_eq!(site.says(&ask(1)), "policy_invalid");
    merge(&site, 3, |policy| policy.replace("hots:", "hosts:") + "notify: {}\n");
    assert_eq!(site.says(&ask(1)), "noop, recorded: false");
}

#[test]
fn oversized_policy_in_history_stops_nothing() {
    let site = recorded();
    let large = format!("# {}\n", "x".repeat(2 << 20));
    merge(&site, 2, |policy| format!("{large}{policy}"));
    assert_eq!(site.says(&ask(1)), "policy_invalid");
    merge(&site, 3, |policy| policy.replace(&large, "# repaired\n"));
    assert_eq!(site.says(&ask(1)), "noop, recorded: false");
}
