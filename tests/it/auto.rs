//! Applied by itself, when the policy says so: `apply --pending`, with and without `--auto`, and freezes.

use std::{fs, process::Child, thread::sleep, time::Duration};

use serde_json::Value;

use crate::support::{
    cli::CLOCK,
    repo::Repo,
    site::Site,
    stack::{Stack, until},
};

/// What the modules of a fleet may run on its hosts: it fails until `<dir>/ok-<name>` is there.
fn command(repo: &Repo, name: &str) -> String {
    format!("[test, -e, {}]", repo.path(&format!("ok-{name}")).display())
}

/// The hosts `a` and `b`, both this machine, under a policy with these lines.
fn fleet(policy: &str) -> Site {
    let repo = Repo::new();
    let site = Site::of(repo);
    site.repo.write("platform.yaml", &rules(&site, policy));
    site.repo.commit("policy");
    site.repo.publish();
    site
}

fn rules(site: &Site, policy: &str) -> String {
    let commands = ["web", "db", "api"].map(|name| command(&site.repo, name)).join(", ");
    let host = |name: &str| {
        let root = site.repo.path(name);
        format!(
            "  {name}:\n    transport: local\n    root: {}\n    mutations: enabled\n    activate: [{commands}]\n",
            root.display()
        )
    };
    format!("schema: platform/1\nhosts:\n{}{}{policy}", host("a"), host("b"))
}

/// The policy that lets runners apply what says so.
const ON_MERGE: &str = "apply: {ceiling: on_merge}\n";

/// Writes a module of driver `files` on host `a`. `more`: lines of its manifest.
fn module(site: &Site, id: &str, page: &str, more: &str) {
    let (host, more) = if more.contains("host") { ("", more.to_owned()) } else { ("host: a\n", more.to_owned()) };
    let activate = match more.contains("activate") {
        true => format!(", activate: [{}]", command(&site.repo, id)),
        false => String::new(),
    };
    let more = more.replace("activate\n", "");
    site.repo.write(&format!("modules/{id}/public/index.html"), page);
    site.repo.write(
        &format!("modules/{id}/module.yaml"),
        &format!(
            "schema: module/2\nid: {id}\ntitle: X\nowner: ola\n{host}runtime: {{driver: files, tree: modules/{id}/public{activate}}}\n{more}"
        ),
    );
}

/// Pull request `n` makes a change and is merged.
fn merged(site: &Site, n: u64, change: impl FnOnce()) {
    site.repo.branch(&format!("pr{n}"), "main");
    change();
    site.repo.commit(&format!("change {n}"));
    site.repo.propose(n);
    site.repo.merge(n, &format!("pr{n}"));
}

const AUTO: &str = "apply: on_merge\n";

/// A fleet whose module `web` was applied by a person from pull request 1, and follows the base from then on.
fn following(policy: &str) -> Site {
    let site = fleet(policy);
    merged(&site, 1, || module(&site, "web", "one\n", AUTO));
    let said = site.run(0, "apply web --pr 1");
    assert!(said.starts_with("exit 0\n"), "{said}");
    site
}

fn live(site: &Site, host: &str, id: &str) -> String {
    fs::read_to_string(site.repo.path(&format!("{host}/live/{id}/index.html"))).unwrap_or_default()
}

/// `module outcome code`, one for each target.
fn targets(result: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let each = result["targets"].as_array().unwrap().iter();
    each.map(|one| format!("{} {} {}", word(&one["module"]), word(&one["outcome"]), word(&one["code"]))).collect()
}

fn auto(site: &Site, minutes: i64) -> Value {
    site.json(minutes, "apply --pending --auto")
}

/// The module asks for it and the policy allows it, both; either alone is not enough.
#[test]
fn only_modules_on_merge_under_the_ceiling_are_applied() {
    for (policy, mode, applied) in
        [("", AUTO, false), (ON_MERGE, "", false), ("apply: {ceiling: manual}\n", AUTO, false), (ON_MERGE, AUTO, true)]
    {
        let site = fleet(policy);
        merged(&site, 1, || module(&site, "web", "one\n", mode));
        assert!(site.run(0, "apply web --pr 1").starts_with("exit 0\n"));
        merged(&site, 2, || module(&site, "web", "two\n", mode));
        let result = auto(&site, 1);
        assert_eq!(result["exit"], 0, "{result}");
        let (expected, page) = if applied { ("web applied -", "two\n") } else { ("web waits apply_manual", "one\n") };
        assert_eq!(targets(&result), [expected], "{policy} {mode}");
        assert_eq!(result["outcome"], if applied { "applied" } else { "waits" });
        assert_eq!(live(&site, "a", "web"), page, "{policy} {mode}");
        if !applied {
            let refusal = &result["targets"][0]["refusals"][0];
            assert_eq!(refusal["fix"], "platformctl apply web --pr 2");
            // A person is not asked to say it in a file.
            let result = site.json(2, "apply --pending");
            assert_eq!((targets(&result), &result["exit"]), (vec!["web applied -".to_owned()], &Value::from(0)));
        }
        let result = auto(&site, 3);
        assert_eq!((&result["outcome"], targets(&result)), (&Value::from("noop"), Vec::new()), "level-triggered");
    }
}

/// Attack: somebody with write access pushes `apply: on_merge` to the base without a pull request, so that a runner
/// applies what a person was meant to look at.
/// Defence: since the last apply, a change of that key needs a proven pull request as every other change does.
#[test]
fn unreviewed_on_merge_is_refused() {
    let site = fleet(ON_MERGE);
    merged(&site, 1, || module(&site, "web", "one\n", ""));
    site.run(0, "apply web --pr 1");
    module(&site, "web", "one\n", AUTO);
    site.repo.commit("a direct push");
    site.repo.publish();
    assert_eq!(targets(&auto(&site, 1)), Vec::<String>::new(), "it alone changes nothing that runs");
    merged(&site, 2, || module(&site, "web", "two\n", AUTO));
    let result = auto(&site, 2);
    assert_eq!(targets(&result), ["web refused unreviewed_change"]);
    assert_eq!(result["exit"], 6);
    assert_eq!(live(&site, "a", "web"), "one\n");
}

/// Attack: a module exists on the base by a direct push, and the first pull request that touches it lets a runner apply
/// all of it for the first time.
/// Defence: a first apply with a baseline that nothing proves waits for a person.
#[test]
fn first_apply_with_an_unproven_baseline_waits() {
    let site = following(ON_MERGE);
    module(&site, "db", "pushed\n", AUTO);
    site.repo.commit("a direct push");
    site.repo.publish();
    merged(&site, 2, || module(&site, "db", "two\n", AUTO));
    assert_eq!(targets(&auto(&site, 1)), ["db waits apply_manual"]);
    assert_eq!(live(&site, "a", "db"), "");
    // One that a pull request adds is applied.
    merged(&site, 3, || module(&site, "api", "three\n", AUTO));
    assert_eq!(targets(&auto(&site, 2)), ["db waits apply_manual", "api applied -"]);
}

/// A runner has the commit that started it, and the base may have moved on since.
#[test]
fn older_checkout_of_the_base_is_no_obstacle() {
    let site = following(ON_MERGE);
    let work = site.repo.work();
    merged(&site, 2, || module(&site, "web", "two\n", AUTO));
    let old = site.repo.id("main~1").to_string();
    site.repo.git(&["checkout", "-q", "--detach", &old]);
    let person = site.run(1, "apply web --pr 2");
    assert!(person.starts_with("exit 7\nREFUSED checkout_differs (7)"), "a person is: {person}");
    let result = auto(&site, 1);
    assert_eq!(targets(&result), ["web applied -"], "{result}");
    assert_eq!(result["targets"][0]["checkout"], "base");
    assert_eq!(live(&site, "a", "web"), "two\n");
    assert_eq!(site.json(1, "show")["records"][0]["event"]["checkout"], "base", "and the record says so");
    assert!(site.run(1, "verify").starts_with("exit 0\n"));
    // As it was checked out, and nothing else.
    merged(&site, 3, || module(&site, "web", "three\n", AUTO));
    site.repo.git(&["checkout", "-q", "--detach", &old]);
    fs::write(work.join("modules/web/public/index.html"), "changed by a step of the workflow\n").unwrap();
    assert_eq!(targets(&auto(&site, 2)), ["web refused checkout_dirty"]);
    site.repo.git(&["checkout", "-q", "modules/web"]);
    fs::write(work.join("modules/web/public/new.html"), "built by a step of the workflow\n").unwrap();
    assert_eq!(targets(&auto(&site, 3)), ["web refused checkout_dirty"]);
    fs::remove_file(work.join("modules/web/public/new.html")).unwrap();
    // What is at the tip of the base is bound as a person's checkout is.
    site.repo.git(&["checkout", "-q", "main"]);
    assert_eq!(auto(&site, 4)["targets"][0]["checkout"], "bound");
    assert_eq!(live(&site, "a", "web"), "three\n");
}

/// Attack: somebody dispatches the workflow that applies from a branch of theirs, with other files in the checkout.
/// Defence: a runner's checkout that does not have the merged files must be a commit of the base.
#[test]
fn checkout_of_another_branch_is_refused() {
    let site = following(ON_MERGE);
    merged(&site, 2, || module(&site, "web", "two\n", AUTO));
    site.repo.git(&["checkout", "-q", "-b", "theirs", "main~1"]);
    module(&site, "web", "theirs\n", AUTO);
    site.repo.commit("theirs");
    let result = auto(&site, 1);
    assert_eq!(targets(&result), ["web refused checkout_differs"]);
    assert!(result["refusals"][0]["fact"].as_str().unwrap().contains("no commit of the base"), "{result}");
    assert_eq!(live(&site, "a", "web"), "one\n");
    // A policy that asks for the commit itself asks a runner too.
    site.repo.git(&["checkout", "-q", "main"]);
    merged(&site, 3, || {
        site.repo.write("platform.yaml", &rules(&site, &format!("{ON_MERGE}approval: {{checkout: strict}}\n")));
    });
    assert_eq!(targets(&site.json(2, "apply --pending")), ["web refused checkout_differs"]);
    let merge = site.repo.id("main~1").to_string();
    site.repo.git(&["checkout", "-q", "--detach", &merge]);
    assert_eq!(targets(&site.json(2, "apply --pending")), ["web applied -"]);
    merged(&site, 4, || module(&site, "web", "four\n", AUTO));
    site.repo.git(&["checkout", "-q", "--detach", &merge]);
    assert_eq!(targets(&auto(&site, 3)), ["web refused checkout_differs"]);
}

/// The record's first policy, and every later one, is a person's.
#[test]
fn policy_changes_wait_for_a_person() {
    let site = fleet(ON_MERGE);
    merged(&site, 1, || module(&site, "web", "one\n", AUTO));
    let result = auto(&site, 0);
    assert_eq!((targets(&result), &result["exit"]), (vec!["web waits policy_waits".to_owned()], &Value::from(0)));
    assert_eq!(site.log(), Vec::<String>::new(), "nothing is recorded");
    assert_eq!(targets(&site.json(1, "apply --pending")), ["web applied -"]);
    merged(&site, 2, || {
        site.repo.write("platform.yaml", &rules(&site, &format!("{ON_MERGE}sacred: {{paths: [/srv/x]}}\n")));
        module(&site, "web", "two\n", AUTO);
    });
    assert_eq!(targets(&auto(&site, 2)), ["web waits policy_waits"]);
    assert_eq!(live(&site, "a", "web"), "one\n");
    assert_eq!(targets(&site.json(3, "apply --pending")), ["web applied -"]);
    merged(&site, 3, || module(&site, "web", "three\n", AUTO));
    assert_eq!(targets(&auto(&site, 4)), ["web applied -"]);
    // One that nothing proves is no change that waits: it is refused.
    site.repo.write("platform.yaml", &rules(&site, ON_MERGE));
    site.repo.commit("a direct push");
    site.repo.publish();
    merged(&site, 4, || module(&site, "web", "four\n", AUTO));
    let result = auto(&site, 5);
    assert_eq!(
        (targets(&result), &result["exit"]),
        (vec!["web refused unreviewed_policy".to_owned()], &Value::from(6))
    );
}

/// What failed waits for a person; nobody tries it again and again. What was never tried goes on.
#[test]
fn held_releases_wait() {
    let site = following(ON_MERGE);
    let activate = format!("{AUTO}activate\n");
    fs::write(site.repo.path("ok-web"), "").unwrap();
    merged(&site, 2, || module(&site, "web", "two\n", &activate));
    assert_eq!(targets(&site.json(1, "apply --pending")), ["web applied -"], "a new command takes a person");
    fs::remove_file(site.repo.path("ok-web")).unwrap();
    merged(&site, 3, || module(&site, "web", "three\n", &activate));
    merged(&site, 4, || module(&site, "api", "four\n", AUTO));
    let result = auto(&site, 2);
    assert_eq!(targets(&result), ["web held host_failed", "api applied -"]);
    assert_eq!((&result["exit"], &result["outcome"]), (&Value::from(11), &Value::from("held")));
    fs::write(site.repo.path("ok-web"), "").unwrap();
    let before = site.log().len();
    let result = auto(&site, 3);
    assert_eq!((targets(&result), &result["exit"]), (vec!["web waits held_release".to_owned()], &Value::from(0)));
    let result = site.json(3, "apply --pending");
    assert_eq!((targets(&result), &result["exit"]), (vec!["web waits held_release".to_owned()], &Value::from(0)));
    assert_eq!(site.log().len(), before, "neither tried it");
    // A fix: a person looks at what failed first.
    merged(&site, 5, || module(&site, "web", "five\n", &activate));
    assert_eq!(targets(&auto(&site, 4)), ["web waits held_release"]);
    assert_eq!(targets(&site.json(5, "apply --pending")), ["web applied -"]);
    assert_eq!(live(&site, "a", "web"), "five\n");
}

/// A reviewed change may open a door that the policy allows: a person applies that one.
#[test]
fn new_doors_wait_for_a_person() {
    let site = following(ON_MERGE);
    fs::write(site.repo.path("ok-web"), "").unwrap();
    let activate = format!("{AUTO}activate\n");
    merged(&site, 2, || module(&site, "web", "two\n", &activate));
    let result = auto(&site, 1);
    assert_eq!((targets(&result), &result["exit"]), (vec!["web waits new_door".to_owned()], &Value::from(0)));
    assert!(result["targets"][0]["refusals"][0]["fact"].as_str().unwrap().contains("runs test -e "), "{result}");
    assert_eq!(live(&site, "a", "web"), "one\n");
    assert!(site.run(2, "apply web --pr 2").starts_with("exit 0\n"));
    // The same door is no new one.
    merged(&site, 3, || module(&site, "web", "three\n", &activate));
    assert_eq!(targets(&auto(&site, 3)), ["web applied -"]);
}

#[test]
fn data_at_risk_waits_for_a_person() {
    let site = following(ON_MERGE);
    merged(&site, 2, || module(&site, "web", "two\n", &format!("host: b\n{AUTO}")));
    let result = auto(&site, 1);
    assert_eq!((targets(&result), &result["exit"]), (vec!["web waits data_at_risk".to_owned()], &Value::from(0)));
    assert_eq!(live(&site, "b", "web"), "");
    let result = site.json(2, "apply --pending");
    assert_eq!((targets(&result), &result["exit"]), (vec!["web refused data_at_risk".to_owned()], &Value::from(5)));
}

/// In the order in which the base got them, what others come after first; a failure stops what comes after it, and
/// nothing else.
#[test]
fn order_is_that_of_the_base_and_of_after() {
    let site = following(ON_MERGE);
    // Merged first, and after `db`, which is merged last.
    merged(&site, 2, || module(&site, "api", "api\n", &format!("{AUTO}after: [db]\n")));
    merged(&site, 3, || module(&site, "web", "three\n", AUTO));
    merged(&site, 4, || module(&site, "db", "db\n", AUTO));
    let applied = |site: &Site| -> Vec<String> {
        let mut subjects: Vec<String> =
            site.log().into_iter().filter(|subject| subject.starts_with("apply ok")).collect();
        subjects.reverse();
        subjects
    };
    let result = auto(&site, 1);
    assert_eq!(targets(&result), ["web applied -", "db applied -", "api applied -"]);
    assert_eq!(
        applied(&site)[1..],
        [
            "apply ok: web on a, PR #3 (1 change)",
            "apply ok: db on a, PR #4 (1 change)",
            "apply ok: api on a, PR #2 (1 change)"
        ]
    );
    // What `db` cannot do stops `api`, and not `web`.
    merged(&site, 5, || module(&site, "db", "db two\n", ""));
    merged(&site, 6, || module(&site, "api", "api two\n", &format!("{AUTO}after: [db]\n")));
    merged(&site, 7, || module(&site, "web", "seven\n", AUTO));
    let result = auto(&site, 2);
    assert_eq!(
        targets(&result),
        ["db waits apply_manual", "api not-tried after_not_applied", "web applied -"],
        "{result}"
    );
    assert_eq!(result["exit"], 0, "what waits is only listed");
    let said = site.run(3, "apply --pending --auto");
    assert!(said.contains("! db #5 waits: apply_manual\n") && said.contains("! api #6 not tried\n"), "{said}");
    assert!(said.contains("applied 0 · waits 1 · failed 0 · not tried 1\n"), "{said}");
}

/// Each host of a module in the order of its manifest; one that fails stops the next.
#[test]
fn hosts_are_applied_in_order_until_one_fails() {
    let site = fleet(ON_MERGE);
    let both = format!("hosts: [b, a]\n{AUTO}");
    merged(&site, 1, || module(&site, "web", "one\n", &both));
    assert!(site.run(0, "apply --pr 1").starts_with("exit 0\n"));
    merged(&site, 2, || module(&site, "web", "two\n", &both));
    // What is live on the first is no longer ours.
    let live_b = site.repo.path("b/live/web");
    fs::remove_file(&live_b).unwrap();
    fs::create_dir(&live_b).unwrap();
    let result = auto(&site, 1);
    let each: Vec<String> =
        result["targets"].as_array().unwrap().iter().map(|one| format!("{} {}", one["host"], one["outcome"])).collect();
    assert_eq!(each, ["\"b\" \"refused\"", "\"a\" \"not-tried\""]);
    assert_eq!(result["exit"], 5);
    assert_eq!(live(&site, "a", "web"), "one\n");
    fs::remove_dir(&live_b).unwrap();
    assert_eq!(auto(&site, 2)["exit"], 0);
    assert_eq!((live(&site, "a", "web"), live(&site, "b", "web")), ("two\n".to_owned(), "two\n".to_owned()));
    let result = site.json(3, "apply --pending --host a");
    assert_eq!(result["outcome"], "noop");
}

/// Failures of one class keep it; several classes are 13.
#[test]
fn several_different_failures_are_partial() {
    let site = following(ON_MERGE);
    module(&site, "api", "pushed\n", AUTO);
    site.repo.commit("a direct push");
    site.repo.publish();
    let result = auto(&site, 1);
    assert_eq!((targets(&result), &result["exit"]), (vec!["api refused no_pull_ref".to_owned()], &Value::from(6)));
    merged(&site, 2, || module(&site, "web", "two\n", AUTO));
    fs::remove_file(site.repo.path("a/live/web")).unwrap();
    fs::create_dir(site.repo.path("a/live/web")).unwrap();
    let result = auto(&site, 2);
    assert_eq!(targets(&result), ["api refused no_pull_ref", "web refused already_running_elsewhere"]);
    assert_eq!((&result["exit"], &result["outcome"]), (&Value::from(13), &Value::from("error")));
    assert_eq!(result["refusals"].as_array().unwrap().len(), 2);
}

/// A site whose module waits on its host until `<dir>/go` is there.
fn slow() -> Site {
    let repo = Repo::new();
    let dir = repo.path("").display().to_string();
    let dir = dir.trim_end_matches('/').to_owned();
    let wait = format!("[sh, -c, \"echo x >> {dir}/count; while [ ! -e {dir}/go ]; do sleep 0.05; done\"]");
    let root = repo.path("root").display().to_string();
    repo.write(
        "platform.yaml",
        &format!("schema: platform/1\nhosts:\n  box:\n    transport: local\n    root: {root}\n    mutations: enabled\n    activate: [{wait}]\n{ON_MERGE}"),
    );
    repo.commit("policy");
    repo.publish();
    let site = Site::of(repo);
    site.activates(&format!("[{wait}]"));
    merged(&site, 1, || {
        site.manifest(AUTO);
        site.repo.write("modules/site/public/index.html", "one\n");
    });
    fs::write(site.repo.path("go"), "").unwrap();
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    fs::remove_file(site.repo.path("go")).unwrap();
    merged(&site, 2, || {
        site.manifest(AUTO);
        site.repo.write("modules/site/public/index.html", "two\n");
    });
    site
}

fn begun(site: &Site, args: &[&str]) -> Child {
    let child = site.binary(&site.repo.work(), 0, args).spawn().unwrap();
    until("the activation", || fs::read_to_string(site.repo.path("count")).is_ok_and(|text| text.lines().count() == 2));
    child
}

/// A runner that was killed, as a cancelled workflow is: the next one asks the host, records the end, and goes on.
#[test]
fn what_a_dead_run_left_is_ended_first() {
    let site = slow();
    let mut dead = begun(&site, &["apply", "--pending", "--auto", "--json"]);
    dead.kill().unwrap();
    dead.wait().unwrap();
    merged(&site, 3, || {
        site.manifest(AUTO);
        site.repo.write("modules/site/public/index.html", "three\n");
    });
    // It still runs on its host: the bound of the wait is 0.
    let result = auto(&site, 1);
    assert_eq!(
        (&result["exit"], &result["resumed"][0]["outcome"]),
        (&Value::from(8), &Value::from("open")),
        "{result}"
    );
    assert_eq!(targets(&result), ["site refused busy"]);
    fs::write(site.repo.path("go"), "").unwrap();
    let result = site.json(2, "apply --pending --auto --wait 30");
    assert_eq!(
        (&result["exit"], &result["resumed"][0]["outcome"]),
        (&Value::from(0), &Value::from("applied")),
        "{result}"
    );
    assert_eq!(targets(&result), ["site applied -"]);
    assert_eq!(site.live(), "three\n");
    let log = site.log();
    assert_eq!(log.iter().filter(|subject| subject.starts_with("apply ok: site on box, PR #2")).count(), 1, "{log:?}");
    assert_eq!(fs::read_to_string(site.repo.path("count")).unwrap().lines().count(), 3, "nothing ran twice");
}

/// A run that is alive is waited for, and what it did is not done again.
#[test]
fn live_run_is_waited_for() {
    let site = slow();
    let mut first = begun(&site, &["apply", "site", "--pr", "2", "--json"]);
    let second = site
        .binary(&site.repo.work(), 0, &["apply", "--pending", "--auto", "--wait", "60", "--json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    sleep(Duration::from_millis(700));
    fs::write(site.repo.path("go"), "").unwrap();
    let second = second.wait_with_output().unwrap();
    assert!(first.wait().unwrap().success());
    let result: Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!((&result["exit"], &result["outcome"]), (&Value::from(0), &Value::from("noop")), "{result}");
    assert_eq!(fs::read_to_string(site.repo.path("count")).unwrap().lines().count(), 2);
}

/// A time of the policy, in minutes after the clock of the test began.
fn at(minutes: i64) -> String {
    platformctl::model::time::Timestamp::from_unix_s(CLOCK + minutes * 60).to_string()
}

fn freeze(from: i64, until: i64, more: &str) -> String {
    format!("freeze: [{{from: {}, until: {}, reason: \"the holidays\"{more}}}]\n", at(from), at(until))
}

/// A freeze stops runs from beginning; a person goes on with a reason, which is recorded.
#[test]
fn freeze_stops_applies_until_it_is_over() {
    let site = following(&format!("{ON_MERGE}{}", freeze(10, 60, "")));
    merged(&site, 2, || module(&site, "web", "two\n", AUTO));
    let result = auto(&site, 10);
    assert_eq!((targets(&result), &result["exit"]), (vec!["web waits frozen".to_owned()], &Value::from(0)));
    let said = site.run(11, "apply web --pr 2");
    assert!(said.starts_with("exit 8\n") && said.contains("REFUSED frozen (8). Nothing was changed.\n"), "{said}");
    let said = said.replace('\n', " ");
    assert!(said.contains("web on a is frozen until 2026-09-21T15:13:20Z: the holidays"), "{said}");
    assert!(said.contains("say --during-freeze --reason"), "{said}");
    assert_eq!(targets(&site.json(12, "apply --pending")), ["web refused frozen"]);
    assert!(site.run(12, "apply web --pr 2 --during-freeze").starts_with("exit 2\n"), "a reason is part of it");
    assert!(site.run(12, "apply web --pr 2 --reason why").starts_with("exit 2\n"), "a reason for nothing");
    assert_eq!(live(&site, "a", "web"), "one\n");
    let output = site
        .binary(
            &site.repo.work(),
            13,
            &["apply", "web", "--pr", "2", "--during-freeze", "--reason", "the shop is down", "--json"],
        )
        .output()
        .unwrap();
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["exit"], 0, "{result}");
    let check = result["gate"].as_array().unwrap().iter().find(|check| check["id"] == "freeze").unwrap();
    assert_eq!((&check["result"], &check["evidence"]["reason"]), (&"waived".into(), &"the holidays".into()));
    assert_eq!(live(&site, "a", "web"), "two\n");
    let run = result["run"].as_str().unwrap();
    let intent = &site.json(14, &format!("show {run}"))["records"][0]["event"];
    assert_eq!((&intent["reason"], &intent["waived"][0]), (&"the shop is down".into(), &"freeze".into()));
    assert!(site.run(14, "verify").starts_with("exit 0\n"));
    // What nothing stops is not waived.
    merged(&site, 3, || module(&site, "web", "three\n", AUTO));
    assert_eq!(targets(&auto(&site, 59)), ["web waits frozen"]);
    assert_eq!(targets(&auto(&site, 60)), ["web applied -"]);
}

#[test]
fn freeze_may_concern_hosts_and_modules() {
    let site = following(&format!("{ON_MERGE}{}", freeze(10, 60, ", modules: [web], hosts: [a]")));
    merged(&site, 2, || {
        module(&site, "web", "two\n", AUTO);
        module(&site, "api", "two\n", AUTO);
    });
    let mut each = targets(&auto(&site, 10));
    each.sort();
    assert_eq!(each, ["api applied -", "web waits frozen"]);
}

/// A run that began before a freeze and overruns its beginning ends as it would without one.
#[test]
fn run_that_overruns_the_beginning_of_a_freeze_ends() {
    let site = slow();
    merged(&site, 3, || {
        let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
        site.repo.write("platform.yaml", &format!("{policy}{}", freeze(1, 60, "")));
    });
    let mut dead = begun(&site, &["apply", "site", "--pr", "2", "--json"]);
    dead.kill().unwrap();
    dead.wait().unwrap();
    fs::write(site.repo.path("go"), "").unwrap();
    let result = site.json(5, "apply --pending --auto --wait 30");
    assert_eq!(
        (&result["exit"], &result["resumed"][0]["outcome"]),
        (&Value::from(0), &Value::from("applied")),
        "{result}"
    );
    assert_eq!(site.live(), "two\n");
    assert!(site.log()[0].starts_with("apply ok: site on box, PR #2"));
}

/// The remote is gone in the middle: nothing else is tried.
#[test]
fn nothing_else_is_tried_without_the_remote() {
    let site = following(ON_MERGE);
    let result = {
        let gone = site.repo.path("gone.git");
        fs::rename(site.repo.path("remote.git"), &gone).unwrap();
        let result = auto(&site, 1);
        fs::rename(gone, site.repo.path("remote.git")).unwrap();
        result
    };
    assert_eq!((&result["exit"], &result["code"]), (&Value::from(9), &Value::from("remote_unreachable")), "{result}");
}

const KEEPS: &str = "stop_grace_period: 1s\nvolumes: ['${PLATFORM_DATA}/app:/data']";

/// On a real engine: a new image is applied; data that goes, also where a review accepts that, and a capability that
/// the policy allows wait for a person.
#[test]
fn compose_changes_wait_where_a_person_should_look() {
    let policy =
        format!("{ON_MERGE}sacred: {{allow: [{{module: app, capability: \"cap_add:NET_ADMIN\", reason: vpn}}]}}\n");
    let stack = Stack::on("    transport: ssh\n    destination: lab\n", &policy);
    fs::create_dir_all(stack.root().join("data/app")).unwrap();
    stack.change(1, |stack| {
        stack.compose(&[("app", &format!("command: [sleep, '600']\n{KEEPS}"))]);
        stack.manifest(AUTO);
    });
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    stack.change(2, |stack| stack.compose(&[("app", &format!("command: [sleep, '601']\n{KEEPS}"))]));
    assert_eq!(targets(&auto(&stack.site, 1)), ["app applied -"]);
    assert_eq!(stack.inspect("app", "{{.Config.Cmd}}"), "[sleep 601]");
    stack.change(3, |stack| {
        stack.compose(&[("app", &format!("command: [sleep, '602']\ncap_add: [NET_ADMIN]\n{KEEPS}"))]);
    });
    let result = auto(&stack.site, 2);
    assert_eq!(
        (targets(&result), &result["exit"]),
        (vec!["app waits new_door".to_owned()], &Value::from(0)),
        "{result}"
    );
    assert!(result["targets"][0]["refusals"][0]["fact"].as_str().unwrap().contains("cap_add:NET_ADMIN"), "{result}");
    assert_eq!(stack.exit(3, "apply app --pr 3"), "exit 0");
    // Open already.
    stack.change(4, |stack| {
        stack.compose(&[("app", &format!("command: [sleep, '603']\ncap_add: [NET_ADMIN]\n{KEEPS}"))]);
    });
    assert_eq!(targets(&auto(&stack.site, 4)), ["app applied -"]);
    let data = stack.root().join("data/app").display().to_string();
    stack.change(5, |stack| {
        stack.compose(&[("app", "command: [sleep, '604']\ncap_add: [NET_ADMIN]")]);
        stack.manifest(&format!("{AUTO}acknowledge: [{{data: {data}, action: drop, reason: done}}]\n"));
    });
    let result = auto(&stack.site, 5);
    assert_eq!(
        (targets(&result), &result["exit"]),
        (vec!["app waits data_at_risk".to_owned()], &Value::from(0)),
        "{result}"
    );
    assert_eq!(stack.inspect("app", "{{.Config.Cmd}}"), "[sleep 603]");
    assert_eq!(stack.exit(6, "apply app --pr 5"), "exit 0");
}
