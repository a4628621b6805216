//! Runs that were cut off, and records that somebody rewrote: as an operator meets them.

use std::{fs, process::Command, thread::sleep, time::Duration};

use snapbox::{assert_data_eq, str};

use crate::support::site::Site;

/// A site whose activation waits until a file is there.
fn slow() -> Site {
    let site = Site::empty(
        "    activate: [[sh, -c, \"echo x >> @DIR@/count; while [ ! -e @DIR@/go ]; do sleep 0.05; done\"]]\n",
    );
    let dir = site.repo.path("").display().to_string();
    let dir = dir.trim_end_matches('/');
    site.repo.git(&["checkout", "-q", "main"]);
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap().replace("@DIR@", dir);
    site.repo.write("platform.yaml", &policy);
    site.repo.commit("policy");
    site.repo.publish();
    site.activates(&format!("[[sh, -c, \"echo x >> {dir}/count; while [ ! -e {dir}/go ]; do sleep 0.05; done\"]]"));
    site.change(1, "one\n");
    site
}

fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..400 {
        if so() {
            return;
        }
        sleep(Duration::from_millis(25));
    }
    panic!("{what} did not happen");
}

#[test]
fn a_killed_apply_is_resumed() {
    let site = slow();
    let mut child = site.binary(&site.repo.work(), 0, &["apply", "site", "--pr", "1", "--json"]).spawn().unwrap();
    until("the activation", || site.repo.path("count").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_data_eq!(
        site.run(1, "apply site --pr 1"),
        str![[r#"
exit 8
REFUSED busy (8). Nothing was changed.
run 20260921T141320Z-00000001 of Ola <ola@example.org> is
open for site since 2026-09-21T14:13:20Z (1 min ago)
fix: wait for it; if its machine is gone: platformctl resume 20260921T141320Z-00000001

"#]]
    );
    assert_data_eq!(
        site.run(1, "status"),
        str![[r#"
exit 0
box · seen 0 s ago · 1 module
! site  never applied; the last try ended: not yet
! site@box  run open since 1 min ago
  20260921T141320Z-00000001 by Ola <ola@example.org>
pending 1 · held 0 · open runs 1
warning: the record is not pinned; in platform.yaml set
state.genesis: <40>
next: platformctl resume 20260921T141320Z-00000001

"#]]
    );
    assert_data_eq!(
        site.run(1, "resume"),
        str![[r#"
exit 8
✗ site  run 20260921T141320Z-00000001 is still running
1 run checked
fix: wait, then resume again

"#]]
    );
    fs::write(site.repo.path("go"), "").unwrap();
    let mut said = String::new();
    until("the end of the run", || !site.run(1, "resume").contains("still running"));
    said.push_str(&site.run(2, "status site"));
    assert!(said.starts_with("exit 0\n✓ site on box  #1 ok"), "{said}");
    assert_eq!(site.live(), "one\n");
    assert_eq!(fs::read_to_string(site.repo.path("count")).unwrap(), "x\n", "activated once");
    assert!(site.run(3, "apply site --pr 1").contains("nothing to change"));
}

#[test]
fn interrupt_during_a_change_waits_for_its_end() {
    let site = slow();
    let mut child = site.binary(&site.repo.work(), 0, &["apply", "site", "--pr", "1", "--json"]).spawn().unwrap();
    until("the activation", || site.repo.path("count").exists());
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it goes on to where it can end");
    fs::write(site.repo.path("go"), "").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(site.log()[0].starts_with("apply ok"));
}

#[test]
fn concurrent_applies_are_busy_or_wait() {
    let site = slow();
    let mut first = site.binary(&site.repo.work(), 0, &["apply", "site", "--pr", "1", "--json"]).spawn().unwrap();
    until("the activation", || site.repo.path("count").exists());
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 8\n"));
    let second =
        site.binary(&site.repo.work(), 0, &["apply", "site", "--pr", "1", "--wait", "30", "--json"]).spawn().unwrap();
    sleep(Duration::from_millis(300));
    fs::write(site.repo.path("go"), "").unwrap();
    assert!(first.wait().unwrap().success());
    assert!(second.wait_with_output().unwrap().status.success());
    assert_eq!(fs::read_to_string(site.repo.path("count")).unwrap(), "x\n", "activated once");
}

#[test]
fn a_killed_run_on_a_dead_host_is_abandoned() {
    let site = slow();
    let mut child = site.binary(&site.repo.work(), 0, &["apply", "site", "--pr", "1", "--json"]).spawn().unwrap();
    until("the activation", || site.repo.path("count").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    // The machine goes down: its processes are gone, its files are there.
    let dir = site.repo.path("").display().to_string();
    let dir = dir.trim_end_matches('/').to_owned();
    let killed = Command::new("pkill").args(["-9", "-f", &dir]).status().unwrap();
    assert!(killed.success());
    sleep(Duration::from_millis(200));
    assert_data_eq!(
        site.run(1, "resume"),
        str![[r#"
exit 8
✗ site  the host reports that run 20260921T141320Z-00000001
began and was killed: only a person can end it
1 run checked
fix: platformctl abandon 20260921T141320Z-00000001 --reason "…"

"#]]
    );
    let open = site.json(1, "status")["open_runs"][0]["run"].as_str().unwrap().to_owned();
    let abandoned =
        site.binary(&site.repo.work(), 1, &["abandon", &open, "--reason", "the machine went down"]).output().unwrap();
    assert_data_eq!(
        site.told(&abandoned),
        str![[r#"
exit 0
✓ run 20260921T141320Z-00000001 of site is ended
next: platformctl status site

"#]]
    );
    fs::write(site.repo.path("go"), "").unwrap();
    assert!(site.run(2, "apply site --pr 1").starts_with("exit 0\n"));
    assert_data_eq!(
        site.run(3, "log -n 3"),
        str![[r#"
exit 0
   5  1 min ago  apply ok: site on box, PR #1
   4  1 min ago  apply intent: site on box, PR #1
   3  2 min ago  takeover: site on box
next: platformctl show 5

"#]]
    );
    assert!(site.run(3, "verify").starts_with("exit 0\n"));
}

#[test]
fn rewritten_record_stops_every_command() {
    let site = Site::new();
    site.run(0, "apply site --pr 1");
    let tip = site.repo.git(&["rev-parse", "refs/platform/state"]);
    let older = site.repo.git(&["rev-parse", "refs/platform/state~1"]);
    let put = |id: &str| site.repo.git_in("remote.git", &["update-ref", "refs/platform/state", id]);
    site.change(2, "two\n");
    let frozen = |expected: &str| {
        for command in [
            "apply site --pr 2",
            "verify",
            "resume",
            "plan site",
            "state fetch",
            "abandon 20261122T101530Z-1a2b3c4d --reason x",
        ] {
            let said = site.run(1, command);
            assert!(said.starts_with("exit 20\n") && said.contains(expected), "{command}: {said}");
        }
        assert_eq!(site.live(), "hello\n");
        assert_eq!(site.repo.git(&["rev-parse", "refs/platform/state"]), tip, "this clone keeps the true one");
    };
    put(&older);
    frozen("state_rewound");
    // Put back by a plain push, after checking all of it.
    assert_data_eq!(
        site.run(1, "state push"),
        str![[r#"
exit 0
✓ pushed, newest is seq 3
next: platformctl status

"#]]
    );
    site.repo.git_in("remote.git", &["update-ref", "-d", "refs/platform/state"]);
    frozen("state_missing");
    assert!(site.run(1, "state push").starts_with("exit 0\n"));
    // Another commit in the place of the newest: same tree, another message.
    let forged = site.repo.git(&["commit-tree", "-p", &older, "-m", "forged", &format!("{tip}^{{tree}}")]);
    site.repo.git(&["push", "-q", "--force", "origin", &format!("{forged}:refs/platform/state")]);
    frozen("state_forked");
    assert!(site.run(1, "state push").starts_with("exit 20\n"), "a fork is never pushed over");
    // One that goes on from the true one and is no record.
    let junk = site.repo.git(&["commit-tree", "-p", &tip, "-m", "junk", &format!("{tip}^{{tree}}")]);
    put(&tip);
    site.repo.git(&["push", "-q", "origin", &format!("{junk}:refs/platform/state")]);
    frozen("state_invalid");
    put(&tip);
    assert!(site.run(2, "apply site --pr 2").starts_with("exit 0\n"));
}

/// A clone that never saw the record, against the pin in the policy.
#[test]
fn a_pinned_record_cannot_be_replaced() {
    let site = Site::new();
    site.run(0, "apply site --pr 1");
    let genesis = site.repo.git(&["rev-list", "--max-parents=0", "refs/platform/state"]);
    site.repo.branch("pr2", "main");
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    site.repo.write("platform.yaml", &format!("{policy}state: {{genesis: {genesis}}}\n"));
    site.repo.commit("pin");
    site.repo.propose(2);
    site.repo.merge(2, "pr2");
    let said = site.run(1, "apply site --pr 1");
    assert!(said.starts_with("exit 0\n") && !said.contains("not pinned"), "{said}");
    // Somebody removes the record; a new clone would begin another.
    site.repo.git_in("remote.git", &["update-ref", "-d", "refs/platform/state"]);
    site.repo.git_in(".", &["clone", "-q", "remote.git", "second"]);
    let output = site.binary(&site.repo.path("second"), 2, &["apply", "site", "--pr", "1"]).output().unwrap();
    assert_data_eq!(
        site.told(&output),
        str![[r#"
exit 20
TAMPERED state_missing (20). Nothing was changed.
the remote has no refs/platform/state;
<40> was there before
fix: change nothing until you know who removed it; `platformctl help recovery` explains what to do

"#]]
    );
}

#[test]
fn policy_fixes_remote_and_base() {
    let site = Site::empty("approval: {remote: forge, base: trunk}\n");
    site.change(1, "one\n");
    assert_data_eq!(
        site.run(0, "apply site --pr 1"),
        str![[r#"
exit 3
INVALID for 2 reasons (3). Nothing was changed.
✗ policy_invalid
  platform.yaml has approval.remote: forge, but origin is in
  use
  → use --remote forge, or correct platform.yaml in a pull
  request
✗ policy_invalid
  platform.yaml has approval.base: trunk, but main is in use
  → use --base trunk, or correct platform.yaml in a pull
  request
fix: fix each, then run the same command again

"#]]
    );
    assert_data_eq!(
        site.run(0, "apply site --pr 1 --remote nowhere"),
        str![[r#"
exit 9
UNREACHABLE remote_unreachable (9). Nothing was changed.
there is no remote `nowhere`
fix: git remote add nowhere URL, or name another: --remote NAME

"#]]
    );
    assert_data_eq!(
        site.run(0, "apply site --pr 1 --base other"),
        str![[r#"
exit 6
REFUSED unknown_id (6). Nothing was changed.
the remote `origin` has no branch `other`
fix: name the base branch: --base, or git config platformctl.base

"#]]
    );
    assert_data_eq!(
        site.run(0, "apply site --pr 1 --remote --upload-pack=x"),
        str![[r#"
exit 2
error: unexpected argument '--upload-pack' found

  tip: to pass '--upload-pack' as a value, use '-- --upload-pack'

Usage: platformctl apply --pr <N> <MODULE|PLAN>...

For more information, try '--help'.

"#]]
    );
}

/// The record of one machine: never where it would be thrown away, never beside another one.
#[test]
fn record_without_a_remote_is_local_only() {
    let site = Site::empty("state: {remote: none}\n");
    site.change(1, "one\n");
    let mut ci = site.binary(&site.repo.work(), 0, &["apply", "site", "--pr", "1"]);
    assert_data_eq!(
        site.told(&ci.env("CI", "true").output().unwrap()),
        str![[r#"
exit 3
INVALID policy_invalid (3). Nothing was changed.
platform.yaml has state.remote: none, and this is CI: the
record would be lost with the machine
fix: keep the record on the remote: remove state.remote

"#]]
    );
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    assert_eq!(site.log(), Vec::<String>::new(), "nothing of it is on the remote");
    assert!(site.run(1, "verify").contains("kept on this machine alone"));
    assert_eq!(site.live(), "one\n");
}

/// Records are signed in git's own way, and git itself says that they are good.
#[test]
fn records_are_signed_when_git_is_configured_to_sign() {
    let site = Site::new();
    let key = site.repo.path("key").display().to_string();
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]).status().unwrap();
    assert!(made.success());
    let public = fs::read_to_string(format!("{key}.pub")).unwrap();
    fs::write(site.repo.path("signers"), format!("ola@example.org namespaces=\"git\" {public}")).unwrap();
    for (name, value) in [("gpg.format", "ssh"), ("user.signingKey", &key), ("commit.gpgSign", "true")] {
        site.repo.git(&["config", name, value]);
    }
    let signers = site.repo.path("signers").display().to_string();
    site.repo.git(&["config", "gpg.ssh.allowedSignersFile", &signers]);
    let said = site.run(0, "apply site --pr 1");
    assert!(said.starts_with("exit 0\n"), "{said}");
    for record in ["refs/platform/state", "refs/platform/state~3"] {
        site.repo.git(&["verify-commit", record]);
    }
    assert!(site.run(1, "verify").starts_with("exit 0\n"));
}

#[test]
fn required_signature_prevents_unsigned_records() {
    let site = Site::empty("state: {sign: required}\n");
    site.change(1, "one\n");
    assert_data_eq!(
        site.run(0, "apply site --pr 1"),
        str![[r#"
exit 9
✓ approved  PR #1, merge
STOPPED signing_key_missing (9). Nothing was changed.
records must be signed and git is not set up to sign with
ssh
fix: git config gpg.format ssh && git config user.signingKey ~/.ssh/id_ed25519.pub

"#]]
    );
    assert_eq!(site.live(), "entity not found");
    assert_eq!(site.log(), Vec::<String>::new());
}

/// Whatever stands in the record: it is said, and nothing panics.
#[test]
fn hostile_record_is_refused_by_every_command() {
    let site = Site::new();
    site.run(0, "apply site --pr 1");
    let tip = site.repo.git(&["rev-parse", "refs/platform/state"]);
    let event = site.repo.git(&["show", "refs/platform/state:event.json"]);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let huge = format!("{{\"schema\":\"{}\"}}", "x".repeat(300_000));
    let hostile: &[(&str, &str)] = &[
        ("event.json", "{"),
        ("event.json", "null"),
        ("event.json", &deep),
        ("event.json", &huge),
        ("event.json", "\u{1b}[2J"),
        ("event.json", &event.replace("\"seq\":3", "\"seq\":18446744073709551615")),
        ("event.json", &event.replace("\"seq\":3", "\"seq\":-1")),
        ("modules/site.status.json", "{}"),
        ("modules/..status.json", "{}"),
        ("runs/open/x.json", "{}"),
        ("runs/open/20261122T101530Z-1a2b3c4d.json", "[]"),
    ];
    for (path, text) in hostile {
        site.repo.write("hostile", text);
        let blob = site.repo.git(&["hash-object", "-w", "hostile"]);
        let index = site.repo.path("index").display().to_string();
        let script = format!(
            "export GIT_INDEX_FILE={index}; rm -f {index}; git read-tree {tip} && \
             git update-index --add --cacheinfo 100644,{blob},{path} && \
             git update-ref refs/platform/state $(git commit-tree -p {tip} -m x $(git write-tree))"
        );
        let made =
            Command::new("sh").args(["-ec", &script]).current_dir(site.repo.work()).envs(IDENTITY).status().unwrap();
        assert!(made.success(), "{path}");
        for command in ["status", "status site", "log", "show", "show site", "pending --offline", "verify --offline"] {
            let said = site.run(1, command);
            let code = said.lines().next().unwrap();
            assert!(["exit 0", "exit 20"].contains(&code), "{path} {command}: {said}");
            assert!(!said.contains('\u{1b}'), "{said}");
        }
        let said = site.run(1, "verify --offline");
        assert!(said.starts_with("exit 20\n"), "{path}: {said}");
        // The remote never had it: what is asked of the remote goes on from what it has.
        assert!(site.run(1, "apply site --pr 1").starts_with("exit 0\n"), "{path}");
        assert!(site.run(1, "verify --offline").starts_with("exit 0\n"), "{path}");
    }
}

const IDENTITY: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "Eve"),
    ("GIT_AUTHOR_EMAIL", "eve@example.org"),
    ("GIT_COMMITTER_NAME", "Eve"),
    ("GIT_COMMITTER_EMAIL", "eve@example.org"),
];
