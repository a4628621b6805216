//! Break-glass: past a gate that allows it, with a reason that is recorded before anything is touched.

use std::fs;

use serde_json::Value;
use snapbox::{assert_data_eq, str};

use crate::support::{
    forge::{Fault, Forge, Style},
    repo::Repo,
    site::Site,
    stack::Stack,
};

/// A site whose pull request 2 brings a direct push with it, which no review covers.
fn pushed() -> (Site, String) {
    let site = Site::new();
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.write("modules/site/public/index.html", "direct\n");
    let direct = site.repo.commit("direct push").to_string();
    site.repo.publish();
    site.change(2, "two\n");
    (site, direct)
}

const REASON: &str = "the shop is down";

/// `apply` with break-glass and more arguments, as the object that it prints.
fn broke(site: &Site, minutes: i64, args: &str) -> Value {
    with(site, minutes, args, &[])
}

fn with(site: &Site, minutes: i64, args: &str, vars: &[(&str, &str)]) -> Value {
    let all = args.split(' ').chain(["--break-glass", "--reason", REASON, "--json"]).collect::<Vec<_>>();
    let output = site.binary(&site.repo.work(), minutes, &all).envs(vars.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text} {}", String::from_utf8_lossy(&output.stderr)))
}

fn codes(result: &Value) -> Vec<&str> {
    result["refusals"].as_array().unwrap().iter().map(|refusal| refusal["code"].as_str().unwrap()).collect()
}

fn waived(result: &Value) -> Vec<&str> {
    let list = result["gate"].as_array().unwrap().iter();
    list.filter(|check| check["result"] == "waived").map(|check| check["id"].as_str().unwrap()).collect()
}

/// Attack: somebody passes a review in an emergency, and afterwards nobody knows what was passed, by whom and why.
/// Defence: the reason and the gates are a record of their own, which is on the remote before the host is asked to change;
/// `status` shows it until a merged pull request that passes every gate contains what was applied.
#[test]
fn reason_and_gates_are_recorded_first() {
    let (site, direct) = pushed();
    assert!(site.run(1, "apply site --pr 2").starts_with("exit 6\nREFUSED unreviewed_change (6)"));
    let said = site.run(2, "apply site --pr 2 --break-glass");
    assert!(said.starts_with("exit 2\n"), "never without a reason: {said}");
    let args = ["apply", "site", "--pr", "2", "--break-glass", "--reason", REASON];
    let said = site.told(&site.binary(&site.repo.work(), 3, &args).output().unwrap());
    assert!(said.starts_with("exit 0\n") && said.contains("\ndone <s>\n! passed reviews with break-glass"), "{said}");
    assert!(said.contains("✓ GLASS     seq 4 passes reviews\n✓ intent    seq 5 recorded\n"), "{said}");
    assert_eq!(site.live(), "two\n");
    assert_eq!(
        site.log()[..3],
        [
            "apply ok: site on box, PR #2 (1 change)",
            "apply intent: site on box, PR #2 (1 change)",
            "break glass: site on box, PR #2, passes reviews",
        ]
    );
    let glass = &site.json(4, "show 4")["records"][0]["event"];
    for (field, value) in [
        ("reason", REASON),
        ("module", "site"),
        ("host", "box"),
        ("until", "2026-09-21T15:16:20Z"),
        ("time", "2026-09-21T14:16:20Z"),
    ] {
        assert_eq!(glass[field], value, "{glass}");
    }
    assert_eq!((&glass["waived"], &glass["approved"]["pr"]), (&serde_json::json!(["reviews"]), &2.into()));
    let intent = &site.json(4, "show 5")["records"][0]["event"];
    assert_eq!(
        (&intent["run"], &intent["reason"], &intent["waived"]),
        (&glass["run"], &glass["reason"], &glass["waived"])
    );
    assert_eq!(intent["glass"], site.json(4, "show 4")["records"][0]["commit"]);
    assert!(site.run(4, "verify").starts_with("exit 0\n✓ 7 records are valid"));
    assert_data_eq!(
        site.run(5, "status"),
        str![[r#"
exit 0
box · seen 1 min ago · 1 module
! site  #2 BREAK-GLASS, 2 min ago
pending 1 · held 0 · break-glass 1 · open runs 0
warning: the record is not pinned; in platform.yaml set
state.genesis: <40>
next: platformctl show site

"#]]
    );
    assert_data_eq!(
        site.run(70, "status site"),
        str![[r#"
exit 0
! site on box  #2 BREAK-GLASS, 1 h ago, OVERDUE
  seq 5 passed reviews: the shop is down
  a merged pull request should contain it by
  2026-09-21T15:16:20Z
  merged as <40>
  release   <64>
  the remote was last asked 1 h ago
next: platformctl show site

"#]]
    );
    let said = site.run(6, "pending");
    assert!(said.contains("#2  site  box  BREAK-GLASS, not proven: unreviewed_change"), "{said}");
    // A normal apply of the deployment waits for it, and says what for.
    site.change(3, "three\n");
    let said = site.json(7, "apply site --pr 3");
    assert_eq!((codes(&said), &said["exit"]), (vec!["break_glass_open", "unreviewed_change"], &8.into()), "{said}");
    assert!(said["refusals"][1]["fact"].as_str().unwrap().contains(&direct), "what was passed is asked again");
    assert_eq!(site.live(), "two\n");
    // A merged pull request accepts it; the next apply that passes every gate confirms it.
    site.repo.branch("pr4", "main");
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    site.repo.write("platform.yaml", &format!("{policy}approval: {{adopt: [{direct}]}}\n"));
    site.repo.commit("adopt");
    site.repo.propose(4);
    site.repo.merge(4, "pr4");
    let said = site.json(8, "apply site --pr 3");
    assert_eq!((&said["exit"], &said["approved"]["covers"]), (&0.into(), &serde_json::json!([2, 3])), "{said}");
    let status = site.run(9, "status");
    assert!(status.contains("✓ site  #3 ok") && !status.to_lowercase().contains("glass"), "{status}");
    assert!(site.run(9, "verify").starts_with("exit 0\n"));
}

/// Where what was applied is contained in the base and proven there, a no-op confirms it.
#[test]
fn merged_content_is_confirmed_by_a_noop() {
    let (site, direct) = pushed();
    assert_eq!(broke(&site, 1, "apply site --pr 2")["exit"], 0);
    site.repo.branch("pr3", "main");
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    site.repo.write("platform.yaml", &format!("{policy}approval: {{adopt: [{direct}]}}\n"));
    site.repo.commit("adopt");
    site.repo.propose(3);
    site.repo.merge(3, "pr3");
    let result = site.json(2, "apply --pending");
    assert_eq!((&result["exit"], &result["targets"][0]["outcome"]), (&0.into(), &"noop".into()), "{result}");
    assert!(!site.run(3, "status").to_lowercase().contains("glass"));
    assert!(site.log()[0].starts_with("apply noop: site on box, PR #2"));
    assert_eq!(site.json(4, "apply --pending")["outcome"], "noop");
    assert_eq!(site.json(4, "apply --pending")["targets"], serde_json::json!([]));
}

/// Attack: a release that was applied with break-glass is taken for a reviewed one by the next review, or on another host.
/// Defence: what a review has to cover begins at the last release that passed every gate, wherever the module runs.
#[test]
fn next_review_begins_before_break_glass() {
    let (site, _) = pushed();
    assert_eq!(broke(&site, 1, "apply site --pr 2")["exit"], 0);
    // Broken again: it still begins at the same release.
    site.change(3, "three\n");
    let result = broke(&site, 2, "apply site --pr 3");
    assert_eq!((&result["exit"], waived(&result)), (&0.into(), vec!["reviews"]), "{result}");
    site.repo.branch("pr4", "main");
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    let root = site.repo.path("two").display().to_string();
    let second = format!("  two:\n    transport: local\n    root: {root}\n    mutations: enabled\n");
    site.repo.write("platform.yaml", &format!("{policy}{second}"));
    let manifest = fs::read_to_string(site.repo.work().join("modules/site/module.yaml")).unwrap();
    site.repo.write("modules/site/module.yaml", &manifest.replace("host: box", "hosts: [box, two]"));
    site.repo.commit("a second host");
    site.repo.propose(4);
    site.repo.merge(4, "pr4");
    let result = site.json(3, "apply site --host two --pr 4");
    assert_eq!((codes(&result), &result["exit"]), (vec!["unreviewed_change"], &6.into()), "{result}");
    assert!(!site.repo.path("two/live/site").exists());
}

/// Attack: break-glass is used to pass more than reviews: a changed checkout, an unmerged branch, a host that must not be
/// changed, a lock.
/// Defence: everything but the listed gates still refuses, and the message says why break-glass does not pass it.
#[test]
fn what_break_glass_does_not_pass_says_so() {
    let (site, _) = pushed();
    let page = "modules/site/public/index.html";
    site.repo.write(page, "dirty\n");
    let result = broke(&site, 1, "apply site --pr 2");
    assert_eq!((codes(&result), &result["exit"]), (vec!["checkout_dirty"], &7.into()));
    let fact = result["refusals"][0]["fact"].as_str().unwrap();
    assert!(
        fact.ends_with("\nbreak-glass still applies a commit that is proven to be merged, and nothing else"),
        "{fact}"
    );
    site.repo.git(&["checkout", "-q", page]);
    site.repo.pull(3, page, "not merged\n");
    site.repo.git(&["checkout", "-q", "main"]);
    assert_eq!(codes(&broke(&site, 2, "apply site --pr 3")), ["head_not_merged"]);
    // What the policy does not allow, nobody passes.
    site.repo.branch("pr4", "main");
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    site.repo.write("platform.yaml", &policy.replace("mutations: enabled", "mutations: disabled"));
    site.repo.commit("disabled");
    site.repo.propose(4);
    site.repo.merge(4, "pr4");
    let result = broke(&site, 3, "apply site --pr 2");
    assert_eq!((codes(&result), &result["exit"]), (vec!["mutations_disabled"], &5.into()));
    assert!(result["refusals"][0]["fact"].as_str().unwrap().ends_with("\nbreak-glass does not pass this"), "{result}");
    assert!(site.log().iter().all(|subject| !subject.starts_with("break glass")), "nothing was declared");
    assert_eq!(site.live(), "hello\n");
}

/// An alarm that nothing needed is none.
#[test]
fn break_glass_is_refused_where_nothing_refuses() {
    let site = Site::new();
    let result = broke(&site, 0, "apply site --pr 1");
    assert_eq!((codes(&result), &result["exit"]), (vec!["break_glass_not_allowed"], &5.into()), "{result}");
    assert!(site.run(1, "apply site --pr 1").starts_with("exit 0\n"));
    assert_eq!(codes(&broke(&site, 2, "apply site --pr 1")), ["break_glass_not_allowed"], "nothing would change");
    assert!(site.run(3, "apply --pr 1 --break-glass --reason x").starts_with("exit 2\n"), "which module is said");
    assert!(site.run(3, "apply --pending --break-glass --reason x").starts_with("exit 2\n"));
}

/// Attack: whoever can start a workflow passes every review by starting it with break-glass.
/// Defence: break-glass is refused in CI unless the policy allows runners, and everywhere where the policy allows nobody.
#[test]
fn policy_says_who_may_break_the_glass() {
    let (site, _) = pushed();
    let runner = [("CI", "true")];
    let result = with(&site, 1, "apply site --pr 2", &runner);
    assert_eq!((codes(&result), &result["exit"]), (vec!["break_glass_not_allowed"], &5.into()), "{result}");
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    for (n, by) in [(4, "nobody"), (5, "runners")] {
        site.repo.branch(&format!("pr{n}"), "main");
        site.repo.write("platform.yaml", &format!("{policy}break_glass: {{by: {by}, max_minutes: 5}}\n"));
        site.repo.commit("policy");
        site.repo.propose(n);
        site.repo.merge(n, &format!("pr{n}"));
        for vars in [&runner[..], &[]] {
            let result = with(&site, 2, "apply site --pr 2", vars);
            if by == "nobody" {
                assert_eq!(codes(&result), ["break_glass_not_allowed"], "{result}");
            } else if vars.is_empty() {
                assert_eq!(codes(&result), ["break_glass_not_allowed"], "it is applied already: {result}");
            } else {
                assert_eq!(result["exit"], 0, "{result}");
            }
        }
    }
    let until = &site.json(3, "status site")["status"]["hosts"]["box"]["glass"][0]["until"];
    assert_eq!(until, "2026-09-21T14:20:20Z", "five minutes after it was recorded");
}

#[test]
fn scope_superseded_freeze_and_data_are_passed() {
    let site = Site::new();
    site.repo.pull(2, "unrelated", "x\n");
    site.repo.merge(2, "pr2");
    let result = broke(&site, 0, "apply site --pr 2");
    assert_eq!((&result["exit"], waived(&result)), (&0.into(), vec!["scope"]), "{result}");
    assert_eq!(site.live(), "hello\n");
    // A normal one of a pull request that changes the module confirms it.
    site.change(3, "three\n");
    let said = site.json(1, "apply site --pr 3");
    assert_eq!(said["exit"], 0, "{said}");
    assert!(!site.run(1, "status").to_lowercase().contains("glass"));

    site.change(4, "four\n");
    site.repo.branch("pr5", "main");
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    let freeze = "freeze: [{from: 2026-09-21T14:00:00Z, until: 2026-09-21T15:00:00Z, reason: closed}]\n";
    site.repo.write("platform.yaml", &format!("{policy}{freeze}"));
    site.repo.commit("a freeze");
    site.repo.propose(5);
    site.repo.merge(5, "pr5");
    let four = site.repo.id("main~1").to_string();
    site.change(6, "six\n");
    site.repo.git(&["checkout", "-q", "--detach", &four]);
    let result = broke(&site, 2, "apply site --pr 4");
    assert_eq!((&result["exit"], waived(&result)), (&0.into(), vec!["superseded", "freeze"]), "{result}");
    let evidence = result["gate"].as_array().unwrap().iter().find(|check| check["id"] == "freeze").unwrap();
    assert_eq!(evidence["evidence"]["refused"][0]["code"], "frozen", "{evidence}");
    assert_eq!(site.live(), "four\n");
    assert!(site.log()[2].ends_with("passes freeze superseded"), "{:?}", site.log());

    // The module leaves its host, with its data.
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.branch("pr7", "main");
    let root = site.repo.path("two").display().to_string();
    let second = format!("  two:\n    transport: local\n    root: {root}\n    mutations: enabled\n");
    site.repo.write("platform.yaml", &policy.replace("hosts:\n", &format!("hosts:\n{second}")));
    let manifest = fs::read_to_string(site.repo.work().join("modules/site/module.yaml")).unwrap();
    site.repo.write("modules/site/module.yaml", &manifest.replace("host: box", "host: two"));
    site.repo.commit("another host");
    site.repo.propose(7);
    site.repo.merge(7, "pr7");
    assert_eq!(codes(&site.json(3, "apply site --pr 7")), ["data_at_risk"]);
    let result = broke(&site, 3, "apply site --pr 7");
    assert_eq!((&result["exit"], waived(&result)), (&0.into(), vec!["host"]), "{result}");
    assert!(site.log()[2].ends_with("passes data"), "{:?}", site.log());
    assert!(site.run(4, "verify").starts_with("exit 0\n"));
}

/// A site whose policy wants one approval and the status `ci`, with pull request 1 merged without either.
fn hosted() -> (Site, Forge, String) {
    let repo = Repo::new();
    let forge = Forge::start(&repo.path("remote.git"), "ops", "platform");
    for user in ["alice", "bob", "ci-bot"] {
        forge.user(user);
    }
    let token = forge.user("robot").token;
    let root = repo.path("root").display().to_string();
    let rules = format!(
        "schema: platform/1\napproval:\n  source: forgejo\n  forge: {}\n  required_approvals: 1\n  \
         required_statuses: [{{context: ci, by: [ci-bot]}}]\nhosts:\n  box:\n    transport: local\n    root: {root}\n    mutations: enabled\n",
        forge.url()
    );
    repo.write("platform.yaml", &rules);
    repo.commit("policy");
    repo.publish();
    let site = Site::of(repo);
    site.repo.branch("pr1", "main");
    site.manifest("");
    site.repo.write("modules/site/public/index.html", "one\n");
    site.repo.commit("page");
    site.repo.propose(1);
    forge.open(1, "alice", "Page");
    forge.merge(1, &Style::Merge, "alice");
    site.repo.git(&["fetch", "-q", "origin", "main"]);
    site.repo.git(&["checkout", "-q", "--detach", "FETCH_HEAD"]);
    (site, forge, token)
}

/// A review and a status that are missing, and a forge that is down, are passed; a forge that says otherwise is not.
#[test]
fn reviews_statuses_and_a_dead_forge_are_passed() {
    let (site, forge, token) = hosted();
    let vars = [("PLATFORMCTL_FORGEJO_TOKEN", token.as_str())];
    let output =
        site.binary(&site.repo.work(), 0, &["apply", "site", "--pr", "1", "--json"]).envs(vars).output().unwrap();
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(codes(&result), ["not_reviewed", "status_missing"]);
    let result = with(&site, 0, "apply site --pr 1", &vars);
    assert_eq!((&result["exit"], waived(&result)), (&0.into(), vec!["reviews", "statuses"]), "{result}");
    let refused: Vec<&Value> =
        result["gate"].as_array().unwrap().iter().take(2).map(|one| &one["evidence"]["refused"][0]["code"]).collect();
    assert_eq!(refused, [&Value::from("not_reviewed"), &Value::from("status_missing")]);
    assert!(site.log()[2].ends_with("PR #1, passes reviews statuses"), "{:?}", site.log());

    let (site, forge_two, token) = hosted();
    drop(forge);
    let vars = [("PLATFORMCTL_FORGEJO_TOKEN", token.as_str())];
    forge_two.fault("", Fault::Status(503));
    let result = with(&site, 0, "apply site --pr 1", &vars);
    assert_eq!((&result["exit"], waived(&result)), (&0.into(), vec!["forge"]), "{result}");
    assert!(site.log()[2].ends_with("PR #1, passes forge"), "{:?}", site.log());
    assert_eq!(site.live(), "one\n");

    let (site, forge, token) = hosted();
    let vars = [("PLATFORMCTL_FORGEJO_TOKEN", token.as_str())];
    forge.lie(crate::support::forge::Lie::NotMerged);
    let result = with(&site, 0, "apply site --pr 1", &vars);
    assert_eq!(codes(&result), ["head_not_merged"], "{result}");
    assert_eq!(site.live(), "entity not found");
}

/// On a real engine: data that nobody acknowledged is passed, and a door is not, in the same apply or alone.
#[test]
fn compose_data_is_passed_and_doors_are_not() {
    let stack = Stack::new();
    fs::create_dir_all(stack.root().join("data/app")).unwrap();
    stack.change(1, |stack| {
        stack.compose(&[("app", "command: [sleep, '600']\nvolumes: ['${PLATFORM_DATA}/app:/data']")]);
        stack.manifest("");
    });
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    stack.change(2, |stack| stack.compose(&[("app", "command: [sleep, '601']\nprivileged: true")]));
    let result = broke(&stack.site, 1, "apply app --pr 2");
    assert_eq!((codes(&result), &result["exit"]), (vec!["capability"], &5.into()), "{result}");
    let fact = result["refusals"][0]["fact"].as_str().unwrap();
    assert!(fact.ends_with("\nbreak-glass passes no sacred path and no door: they need a reviewed entry"), "{fact}");
    stack.change(3, |stack| {
        stack.compose(&[("app", "command: [sleep, '602']\nvolumes: ['/etc/shadow:/shadow:ro']")]);
    });
    assert_eq!(codes(&broke(&stack.site, 2, "apply app --pr 3")), ["sacred_path"]);
    assert_eq!(stack.inspect("app", "{{.Config.Cmd}}"), "[sleep 600]");
    stack.change(4, |stack| stack.compose(&[("app", "command: [sleep, '603']")]));
    assert_eq!(codes(&stack.json(3, "apply app --pr 4")), ["data_at_risk"]);
    let result = broke(&stack.site, 3, "apply app --pr 4");
    assert_eq!((&result["exit"], waived(&result)), (&0.into(), vec!["data"]), "{result}");
    let check = result["gate"].as_array().unwrap().iter().find(|check| check["id"] == "data").unwrap();
    assert_eq!(
        (&check["evidence"]["risks"], &check["evidence"]["refused"][0]["code"]),
        (&1.into(), &"data_at_risk".into())
    );
    assert_eq!(stack.inspect("app", "{{.Config.Cmd}}"), "[sleep 603]");
    assert!(stack.root().join("data/app").is_dir(), "what is on the host stays there");
    assert!(stack.site.log()[2].ends_with("PR #4, passes data"), "{:?}", stack.site.log());
    assert_eq!(stack.exit(4, "verify"), "exit 0");
}
