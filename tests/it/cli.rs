//! What a person sees: whole outputs, with the exit code inside.

use std::fs;

use snapbox::{assert_data_eq, str};

use crate::support::site::Site;

#[test]
fn merged_change_goes_live() {
    let site = Site::new();
    assert_data_eq!(
        site.run(0, "status"),
        str![[r#"
exit 9
STOPPED no_state (9). Nothing was changed.
this clone has not fetched the record yet
fix: platformctl state fetch

"#]]
    );
    assert_data_eq!(
        site.run(0, "state fetch"),
        str![[r#"
exit 0
✓ there is no record yet
next: platformctl status

"#]]
    );
    assert_data_eq!(
        site.run(0, "pending"),
        str![[r#"
exit 0
1 module merged, not applied (main as of 0 s ago)
 #1  site  box  never applied
next: platformctl plan site --pr 1

"#]]
    );
    assert_data_eq!(
        site.run(0, "validate modules/site --strict-v2"),
        str![[r#"
exit 0
✓ platform.yaml and 1 module are valid
next: platformctl plan site

"#]]
    );
    assert_data_eq!(
        site.run(1, "plan site"),
        str![[r#"
exit 0
plan for site on box, PR #1
  merged as <40>
  create  index.html  new
1 change
next: platformctl apply site --approved <40> --pr 1

"#]]
    );
    assert_data_eq!(
        site.run(2, "apply site --pr 1"),
        str![[r#"
exit 0
✓ approved  PR #1, merge
✓ intent    seq 2 recorded
✓ shipped   1 file, verified there
✓ changed   switched
✓ healthy   there as planned; no probes
✓ recorded  seq 3
done <s>
warning: this policy was recorded as the first one, the
baseline: no review of it is proven
warning: the record is not pinned; in platform.yaml set
state.genesis: <40>
next: platformctl status site

"#]]
    );
    assert_eq!(site.live(), "hello\n");
    assert_data_eq!(
        site.run(3, "apply site --pr 1"),
        str![[r#"
exit 0
✓ approved  PR #1, merge
✓ site: nothing to change since 2026-09-21T14:15:20Z, PR #1
next: platformctl show site

"#]]
    );
    assert_data_eq!(
        site.run(4, "status"),
        str![[r#"
exit 0
box · seen 1 min ago · 1 module
✓ site  #1 ok, 2 min ago
pending 0 · held 0 · open runs 0
warning: the record is not pinned; in platform.yaml set
state.genesis: <40>
next: platformctl log

"#]]
    );
    assert_data_eq!(
        site.run(4, "status site"),
        str![[r#"
exit 0
✓ site on box  #1 ok, 2 min ago
  merged as <40>
  release   <64>
  the remote was last asked 1 min ago
next: platformctl pending

"#]]
    );
    assert_data_eq!(
        site.run(5, "log"),
        str![[r#"
exit 0
   3  3 min ago  apply ok: site on box, PR #1 (1 change)
   2  3 min ago  apply intent: site on box, PR #1 (1 change)
   1  3 min ago  policy: platform.yaml as merged is in force
   0  3 min ago  genesis: the record begins
next: platformctl show 3

"#]]
    );
    assert_data_eq!(
        site.run(5, "show site"),
        str![[r#"
exit 0
seq 3  apply.outcome
  record     <40>
  time       2026-09-21T14:15:20Z
  by         Ola <ola@example.org>
  module     site
  host       box
  run        20260921T141520Z-00000001
  result     ok
  approved   PR #1, merge, covers #1
  head       <40>
  merged as  <40>
  release    sha256:<64>
  plan       sha256:<64>
  checkout   bound
  files      1
  probes     0
  create  index.html  new
next: platformctl log

"#]]
    );
    assert_data_eq!(
        site.run(5, "verify"),
        str![[r#"
exit 0
✓ 4 records are valid, each by its own bytes
  first   <40>
  newest  <40>
✓ origin has the same
warning: the record is not pinned; in platform.yaml set
state.genesis: <40>
next: platformctl log

"#]]
    );
    assert_data_eq!(
        site.run(5, "pending"),
        str![[r#"
exit 0
✓ everything merged is applied (main as of 0 s ago)
next: platformctl status

"#]]
    );
    assert_data_eq!(
        site.run(5, "plan site --exit-code"),
        str![[r#"
exit 0
plan for site on box, PR #1
  merged as <40>
nothing to change
next: platformctl status site

"#]]
    );
    assert_data_eq!(
        site.run(5, "resume"),
        str![[r#"
exit 0
✓ no run is open
next: platformctl status

"#]]
    );
}

#[test]
fn refusals_print_a_fix() {
    let site = Site::new();
    assert_data_eq!(
        site.run(0, "apply"),
        str![[r#"
exit 2
USAGE usage (2). Nothing was changed.
which approval? neither --pr, --approved nor --again is
given
fix: platformctl pending names the pull requests to apply

"#]]
    );
    assert_data_eq!(
        site.run(0, "apply site --approved abc"),
        str![[r#"
exit 6
REFUSED short_id (6). Nothing was changed.
`abc` is only a part of an id
fix: give the full id, 40 hexadecimal digits

"#]]
    );
    assert_data_eq!(
        site.run(0, "apply site --approved 0000000000000000000000000000000000000000"),
        str![[r#"
exit 6
REFUSED unknown_id (6). Nothing was changed.
the remote has no commit
<40>
fix: check the id: it must be a commit of this repository

"#]]
    );
    assert_data_eq!(
        site.run(0, "plan nothing"),
        str![[r#"
exit 2
USAGE unknown_module (2). Nothing was changed.
there is no module `nothing` on the base
(<40>)
fix: the modules are the folders below modules/; for one that is not merged say --pr N

"#]]
    );
    assert_data_eq!(
        site.run(0, "apply site --pr 9"),
        str![[r#"
exit 6
REFUSED unknown_id (6). Nothing was changed.
the remote has no pull request 9 (no refs/pull/9/head)
fix: check the number

"#]]
    );
    assert_data_eq!(
        site.run(0, "abandon 20261122T101530Z-1a2b3c4d --reason x"),
        str![[r#"
exit 2
USAGE unknown_run (2). Nothing was changed.
no open run 20261122T101530Z-1a2b3c4d
fix: platformctl status lists the open runs

"#]]
    );
    assert_data_eq!(
        site.run(0, "apply Site --pr 1"),
        str![[r#"
exit 2
USAGE usage (2). Nothing was changed.
`Site` is not a module
fix: give a module's id, or a plan file

"#]]
    );
    assert_data_eq!(
        site.run(0, "-C /nowhere status"),
        str![[r#"
exit 2
USAGE usage (2). Nothing was changed.
no git repository here or in a folder above
  because: Failed to access a directory, or path is not a
  directory: "/nowhere"
  because: No such file or directory (os error 2)
fix: change into the repository that holds platform.yaml

"#]]
    );
    site.repo.write("modules/site/module.yaml", "schema: module/2\nid: site\ntitle: Site\nowner: ola\nhots: box\n");
    assert_data_eq!(
        site.run(0, "validate"),
        str![[r#"
exit 3
INVALID (3): 1 problem. Nothing was changed.
✗ modules/site/module.yaml:5:1  manifest_invalid
  unknown field `hots`, expected one of schema, id, title,
  owner, host, hosts, after, runtime, inputs, secrets,
  health, jobs, acknowledge, apply, on_failure
fix: correct the file; platformctl schema prints its JSON Schema

"#]]
    );
    fs::remove_dir_all(site.repo.path("remote.git")).unwrap();
    // Lines break where the folder's name makes them.
    let said = site.run(0, "apply site --pr 1").replace('\n', " ");
    let expected = "exit 9 UNREACHABLE remote_unreachable (9). Nothing was changed. the remote `origin` has no such repository, or \
                    does not show it to you: fatal: '<dir>/remote.git' does not appear to be a git repository fix: see that the \
                    URL is right and that you may read it: git remote get-url origin ";
    assert_eq!(said, expected);
}

#[test]
fn an_unmerged_pull_request_is_previewed_and_never_applied() {
    let site = Site::new();
    site.run(0, "apply site --pr 1");
    site.repo.pull(2, "modules/site/public/more.html", "more\n");
    assert_data_eq!(
        site.run(1, "plan site --pr 2"),
        str![[r#"
exit 0
plan for site on box, PR #2
  not merged, head <40>
  create  more.html  new
1 change
warning: PR #2 is not merged: this is what merging it now
would change
warning: do not merge it with "rebase then fast-forward":
its branch is up to date, so git could not tell that from a
direct push
next: review PR #2 and merge it by one of: merge, squash, rebase, rebase-merge

"#]]
    );
    assert_data_eq!(
        site.run(1, "apply site --pr 2"),
        str![[r#"
exit 6
REFUSED head_not_merged (6). Nothing was changed.
PR #2 with the head <40>
is not merged into the base
(<40>)
fix: merge PR #2, then run the same command again

"#]]
    );
    assert_data_eq!(
        site.run(1, "plan site --at HEAD --exit-code"),
        str![[r#"
exit 4
plan for site on box
  at <40>
  create  more.html  new
1 change
warning: a preview of
<40>: only what is
merged can be applied
next: open a pull request with this commit; `platformctl plan site --pr N` plans it as N

"#]]
    );
    let plan = site.repo.path("plan.json");
    let made = site.run(1, &format!("plan site --pr 2 -o {}", plan.display()));
    assert!(made.starts_with("exit 0"), "{made}");
    let schema = serde_json::from_str(include_str!("../../schema/plan.json")).unwrap();
    let written = serde_json::from_slice(&fs::read(&plan).unwrap()).unwrap();
    jsonschema::validate(&schema, &written).unwrap();
    assert_data_eq!(
        site.run(1, &format!("apply {} --pr 2", plan.display())),
        str![[r#"
exit 7
REFUSED plan_errored (7). Nothing was changed.
the plan file is a preview of site and was never merged
fix: plan again when it is merged

"#]]
    );
}

#[test]
fn plan_file_is_recomputed_before_apply() {
    let site = Site::new();
    let plan = site.repo.path("plan.json");
    let path = plan.display();
    site.run(0, &format!("plan site --pr 1 -o {path}"));
    let text = fs::read_to_string(&plan).unwrap();
    fs::write(&plan, text.replace("index.html", "other.html")).unwrap();
    assert_data_eq!(
        site.run(0, &format!("apply {path} --pr 1")),
        str![[r#"
exit 7
REFUSED plan_edited (7). Nothing was changed.
the plan file was changed: its digest does not match its
intent
fix: plan again: platformctl plan <module> -o FILE

"#]]
    );
    fs::write(&plan, &text).unwrap();
    assert_data_eq!(
        site.run(0, &format!("apply {path}")),
        str![[r#"
exit 2
USAGE usage (2). Nothing was changed.
which approval? neither --pr, --approved nor --again is
given
fix: platformctl pending names the pull requests to apply

"#]]
    );
    assert!(site.run(0, &format!("apply {path} --pr 1")).starts_with("exit 0"));
    site.change(2, "two\n");
    assert_data_eq!(
        site.run(1, &format!("apply {path} --pr 2")),
        str![[r#"
exit 7
✓ approved  PR #2, merge
REFUSED plan_stale (7). Nothing was changed.
the plan file differs from the current plan; changes:
planned create index.html, now recreate index.html; closure:
planned
sha256:<64>,
now
sha256:<64>;
effective: planned
sha256:<64>,
now
sha256:<64>;
head: planned <40>, now
<40>; last_applied:
planned none, now <40>;
merge: planned <40>, now
<40>; pr: planned 1, now
2
fix: review the difference and plan again: platformctl plan site -o FILE

"#]]
    );
    assert_data_eq!(
        site.run(60 * 48, &format!("apply {path} --pr 2")),
        str![[r#"
exit 7
REFUSED plan_stale (7). Nothing was changed.
the plan file expired at 2026-09-22T14:13:20Z
fix: plan again: platformctl plan <module> -o FILE

"#]]
    );
    // A refused plan is written all the same, and can never be applied.
    site.repo.write("modules/site/public/index.html", "dirty\n");
    assert_data_eq!(
        site.run(2, &format!("plan site --pr 2 -o {path}")),
        str![[r#"
exit 7
REFUSED checkout_dirty (7). Nothing was changed.
files on disk differ from what was merged:
modules/site/public/index.html
fix: git status; commit them on a branch or put them away; or say --no-checkout-binding

"#]]
    );
    site.repo.git(&["checkout", "-q", "."]);
    assert_data_eq!(
        site.run(2, &format!("apply {path} --pr 2")),
        str![[r#"
exit 7
REFUSED plan_errored (7). Nothing was changed.
the plan file records a plan that ended as `refused`
fix: resolve its refusals, then plan again

"#]]
    );
}

#[test]
fn json_output_is_one_object() {
    let site = Site::new();
    let applied = site.json(0, "apply --approved-pr 1 site");
    let field = |value: &serde_json::Value, name: &str| value[name].to_string();
    assert_eq!(field(&applied, "outcome"), r#""applied""#);
    assert_eq!(applied["record"]["on_remote"], true);
    assert_eq!(applied["approved"]["covers"], serde_json::json!([1]));
    assert_eq!(applied["gate"].as_array().unwrap().iter().filter(|check| check["result"] == "pass").count(), 12);
    for name in ["checkout", "changes", "host", "module", "run", "durations_ms", "warnings", "refusals", "code"] {
        assert!(applied.get(name).is_some(), "{name}");
    }
    let again = site.json(1, "apply site --pr 1");
    assert_eq!(again["outcome"], "noop");
    assert_eq!(again["since"]["pr"], 1);
    let refused = site.json(1, "apply site --pr 7");
    assert_eq!((refused["outcome"].as_str(), refused["code"].as_str()), (Some("refused"), Some("unknown_id")));
    assert_eq!(site.json(1, "plan site")["outcome"], "noop");
    assert_eq!(site.json(1, "status site")["status"]["last_apply_pr"], 1);
    assert_eq!(site.json(1, "status")["open_runs"], serde_json::json!([]));
    assert_eq!(site.json(1, "log")["events"].as_array().unwrap().len(), 4);
    assert_eq!(site.json(1, "show 3")["records"][0]["event"]["kind"], "apply.outcome");
    assert_eq!(site.json(1, "verify")["records"], 4);
    assert_eq!(site.json(1, "pending")["pending"], serde_json::json!([]));
    assert_eq!(site.json(1, "validate")["modules"], serde_json::json!(["site"]));
    assert_eq!(site.json(1, "resume")["runs"], serde_json::json!([]));
    assert_eq!(site.json(1, "schema module")["json_schema"]["title"], "module.yaml");
    assert_eq!(site.json(1, "status nothing")["code"], "unknown_module");
    assert_eq!(site.json(1, "pending --base other")["code"], "unknown_id");
    let offline = site.json(1, "pending --offline --base other");
    assert_eq!(offline["code"], "no_state", "what was fetched is of another branch");
}

#[test]
fn record_is_readable_with_git_log() {
    let site = Site::new();
    site.run(0, "apply site --pr 1");
    let log = site.repo.git(&["log", "-1", "--format=%B%an <%ae> %cn", "refs/platform/state"]);
    let same: String =
        log.lines().map(|line| line.split_once(": ").map_or(line, |(name, _)| name).to_owned() + "\n").collect();
    assert_data_eq!(
        same,
        str![[r#"
apply ok

Platform-Format
Platform-Seq
Platform-Genesis
Platform-Run
Platform-Kind
Platform-Module
Platform-Host
Platform-Result
Platform-Intent
Platform-PR
Platform-Approved
Platform-Plan
Platform-Policy
Platform-Event
Platform-Actor
Ola <ola@example.org> platformctl

"#]]
    );
    let status = site.repo.git(&["show", "refs/platform/state:modules/site.status.json"]);
    assert!(status.contains(r#""last_apply_pr":1"#), "{status}");
}

#[test]
fn evil_merge_is_shown_with_its_extra_changes() {
    let site = Site::new();
    site.repo.branch("pr2", "main");
    site.repo.write("modules/site/public/index.html", "two\n");
    site.repo.commit("two");
    site.repo.propose(2);
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.git(&["merge", "-q", "--no-ff", "--no-commit", "pr2"]);
    site.repo.write("modules/site/public/index.html", "two\nand a line\u{1b}[2J that nobody reviewed\n");
    site.repo.git(&["add", "-A"]);
    site.repo.git(&["commit", "-q", "-m", "Merge pull request 'two' (#2) from x into main"]);
    site.repo.publish();
    assert_data_eq!(
        site.run(0, "apply site --pr 2"),
        str![[r#"
exit 6
REFUSED evil_merge (6). Nothing was changed.
<40> is not the result
of merging its pull request: these files differ from a clean
merge of base and head:
  modules/site/public/index.html
  @@ -1 +1 @@
   two
  +and a line/u{1b}[2J that nobody reviewed
fix: merge the base into the branch, then merge the pull request; a repair is a new pull request

"#]]
    );
}

/// One pull request, several modules: those that others come after first, and a stop at the first failure.
#[test]
fn pull_request_can_change_several_modules() {
    let site = Site::empty("    activate: [[\"false\"]]\n");
    let module = |id: &str, more: &str, activate: &str| {
        let text = format!(
            "schema: module/2\nid: {id}\ntitle: T\nowner: ola\nhost: box\n{more}\
             runtime: {{driver: files, tree: modules/{id}/public{activate}}}\n"
        );
        site.repo.write(&format!("modules/{id}/module.yaml"), &text);
        site.repo.write(&format!("modules/{id}/public/page"), "x\n");
    };
    site.repo.branch("pr1", "main");
    module("alpha", "after: [beta]\n", "");
    module("beta", "", "");
    site.repo.commit("two");
    site.repo.propose(1);
    site.repo.merge(1, "pr1");
    assert_data_eq!(
        site.run(0, "apply --pr 1"),
        str![[r#"
exit 0
beta (1 of 2)
✓ approved  PR #1, merge
✓ intent    seq 2 recorded
✓ shipped   1 file, verified there
✓ changed   switched
✓ healthy   there as planned; no probes
✓ recorded  seq 3
alpha (2 of 2)
✓ approved  PR #1, merge
✓ intent    seq 4 recorded
✓ shipped   1 file, verified there
✓ changed   switched
✓ healthy   there as planned; no probes
✓ recorded  seq 5
✓ beta
✓ alpha
next: platformctl status

"#]]
    );
    assert_data_eq!(
        site.run(1, "apply alpha beta --again"),
        str![[r#"
exit 0
beta (1 of 2)
✓ approved  PR #1, merge
✓ intent    seq 6 recorded
✓ shipped   1 file, verified there
✓ changed   switched
✓ healthy   there as planned; no probes
✓ recorded  seq 7
alpha (2 of 2)
✓ approved  PR #1, merge
✓ intent    seq 8 recorded
✓ shipped   1 file, verified there
✓ changed   switched
✓ healthy   there as planned; no probes
✓ recorded  seq 9
✓ beta
✓ alpha
next: platformctl status

"#]]
    );
    site.repo.branch("pr2", "main");
    module("alpha", "after: [broken]\n", "");
    module("broken", "after: [first]\n", ", activate: [[\"false\"]]");
    module("first", "", "");
    site.repo.commit("three");
    site.repo.propose(2);
    site.repo.merge(2, "pr2");
    assert_data_eq!(
        site.run(2, "apply --pr 2"),
        str![[r#"
exit 13
first (1 of 2)
✓ approved  PR #2, merge
✓ intent    seq 10 recorded
✓ shipped   1 file, verified there
✓ changed   switched
✓ healthy   there as planned; no probes
✓ recorded  seq 11
broken (2 of 2)
✓ approved  PR #2, merge
✓ intent    seq 12 recorded
✓ shipped   1 file, verified there
✓ recorded  seq 13
HELD host_failed (11). Failed, left as it is.
the release is live, but an activation command failed
✓ first
✗ broken (exit 11)
fix: look at <dir>/root/runs/20260921T141520Z-00000003/log on the host, then merge a fix

"#]]
    );
    let partial = site.json(3, "apply --pr 2");
    assert_eq!((partial["exit"].as_i64(), partial["code"].as_str()), (Some(13), Some("held_release")));
    assert_eq!(partial["targets"][0]["outcome"], "noop");
    assert_eq!(partial["targets"].as_array().unwrap().len(), 2);
    assert_data_eq!(
        site.run(4, "status"),
        str![[r#"
exit 0
box · seen 1 min ago · 4 modules
✗ broken  #2 HELD, failed here 2 min ago
✓ alpha   #1 ok, 3 min ago
✓ beta    #1 ok, 3 min ago
✓ first   #2 ok, 2 min ago
pending 1 · held 1 · open runs 0
warning: the record is not pinned; in platform.yaml set
state.genesis: <40>
next: platformctl show broken

"#]]
    );
    assert_data_eq!(
        site.run(4, "apply alpha alpha --pr 2"),
        str![[r#"
exit 2
USAGE usage (2). Nothing was changed.
alpha is named twice
fix: name it once

"#]]
    );
}

#[test]
fn failed_release_stays_pending_until_another_is_applied() {
    let site = Site::empty("    activate: [[\"false\"]]\n");
    let put = |n: u64, page: &str, activate: &str| {
        site.activating(n, page, activate);
    };
    put(1, "one\n", "");
    site.repo.merge(1, "pr1");
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    put(2, "two\n", ", activate: [[\"false\"]]");
    site.repo.merge(2, "pr2");
    assert!(site.run(1, "apply site --pr 2").starts_with("exit 11\n"));
    assert_eq!(site.live(), "two\n", "what failed is what is there");
    assert_data_eq!(
        site.run(2, "pending"),
        str![[r#"
exit 0
1 module merged, not applied (main as of 0 s ago)
 #2  site  box  HELD: it failed there; merge a fix, or apply --retry
next: platformctl show site

"#]]
    );
    assert_data_eq!(
        site.run(2, "status site"),
        str![[r#"
exit 0
✗ site on box  #2 HELD, failed here 1 min ago
  the last that went well is #1; what failed may be what runs
  last good merged as <40>
  last good release   <64>
  the remote was last asked 0 s ago
next: platformctl show site

"#]]
    );
    // The revert: what was applied before, and not what is there.
    put(3, "one\n", "");
    assert_data_eq!(
        site.run(3, "plan site --pr 3"),
        str![[r#"
exit 0
plan for site on box, PR #3
  not merged, head <40>
0 changes
warning: PR #3 is not merged: this is what merging it now
would change
warning: PR #2 failed on the host and may be what runs
there: this compares with the last release that went well
warning: do not merge it with "rebase then fast-forward":
its branch is up to date, so git could not tell that from a
direct push
next: review PR #3 and merge it by one of: merge, squash, rebase, rebase-merge

"#]]
    );
    site.repo.merge(3, "pr3");
    site.run(4, "plan site");
    assert_data_eq!(
        site.run(4, "pending"),
        str![[r#"
exit 0
1 module merged, not applied (main as of 0 s ago)
 #3  site  box  not what failed there: HELD until it is applied
next: platformctl plan site --pr 3

"#]]
    );
    assert!(site.run(5, "apply site --pr 3").starts_with("exit 0\n"));
    assert_eq!(site.live(), "one\n");
    assert!(site.run(6, "pending").contains("everything merged is applied"));
}

/// Compose modules before they are merged: read, judged and planned from git alone.
#[test]
fn a_compose_module_is_planned_from_git_before_it_is_merged() {
    let site = Site::empty("");
    let compose = |image: &str| {
        site.repo.write(
            "compose/apps/compose.yaml",
            &format!(
                "services:\n  web:\n    image: {image}\n    volumes: [\"./web.conf:/etc/web.conf:ro\"]\n  other:\n    image: alpine:3.20\n"
            ),
        );
    };
    site.repo.branch("pr1", "main");
    site.repo.write(
        "modules/web/module.yaml",
        "schema: module/2\nid: web\ntitle: Web\nowner: ola\nhost: box\nruntime:\n  driver: compose\n  project: apps\n  \
         compose_files: [compose/apps/compose.yaml]\n  services: [web]\n",
    );
    site.repo.write("compose/apps/web.conf", "a\n");
    compose("nginx:1");
    site.repo.commit("web");
    site.repo.propose(1);
    assert_data_eq!(
        site.run(0, "plan web --pr 1"),
        str![[r#"
exit 0
plan for web on box, PR #1
  not merged, head <40>
  create  web  new
1 change
warning: PR #1 is not merged: this is what merging it now
would change
warning: do not merge it with "rebase then fast-forward":
its branch is up to date, so git could not tell that from a
direct push
next: review PR #1 and merge it by one of: merge, squash, rebase, rebase-merge

"#]]
    );
    site.repo.merge(1, "pr1");
    site.repo.branch("pr2", "main");
    compose("nginx:2\n    privileged: true");
    site.repo.commit("privileged");
    site.repo.propose(2);
    assert_data_eq!(
        site.run(0, "plan web --pr 2"),
        str![[r#"
exit 5
REFUSED capability (5). Nothing was changed.
compose/apps/compose.yaml:4:17: web: web opens the door
privileged:true to the host
plan for web on box, PR #2
  not merged, head <40>
  create  web  new
1 change
warning: PR #2 is not merged: this is what merging it now
would change
warning: do not merge it with "rebase then fast-forward":
its branch is up to date, so git could not tell that from a
direct push
fix: allow it in platform.yaml by a reviewed change, under sacred: allow:
  - {module: web, capability: "privileged:true", reason: "…"}

"#]]
    );
}
