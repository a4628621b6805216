//! A module on several hosts: each deployment has a record of its own.

use std::fs;

use platformctl::{
    io::clock::SystemClock,
    ledger::{
        event::{Event, Kind, Lock},
        state::State,
    },
    model::{
        ending::Ending,
        evidence::Evidence,
        ids::{Oid, RunId},
        status::HostStatus,
    },
    port::{Ledger as _, Sign},
    record::{Record, append::Append},
};

use crate::support::{repo::Repo, site::Site};

/// The hosts `a` and `b`, both this machine; what modules may run on them is one command that fails until `<dir>/ok`
/// exists.
fn fleet() -> Site {
    let repo = Repo::new();
    let host = |name: &str| {
        let root = repo.path(name);
        format!(
            "  {name}:\n    transport: local\n    root: {}\n    mutations: enabled\n    activate: [[test, -e, {}]]\n",
            root.display(),
            repo.path("ok").display()
        )
    };
    repo.write("platform.yaml", &format!("schema: platform/1\nhosts:\n{}{}", host("a"), host("b")));
    repo.commit("policy");
    repo.publish();
    Site::of(repo)
}

/// Writes the module `web`.
fn web(site: &Site, hosts: &str, page: &str, more: &str) {
    site.repo.write("modules/web/public/index.html", page);
    let text = format!(
        "schema: module/2\nid: web\ntitle: Web\nowner: ola\n{hosts}\n\
         runtime: {{driver: files, tree: modules/web/public{more}}}\n"
    );
    site.repo.write("modules/web/module.yaml", &text);
}

/// Pull request `n` writes the module and is merged.
fn change(site: &Site, n: u64, hosts: &str, page: &str, more: &str) -> Oid {
    site.repo.branch(&format!("pr{n}"), "main");
    web(site, hosts, page, more);
    site.repo.commit(&format!("page {n}"));
    site.repo.propose(n);
    site.repo.merge(n, &format!("pr{n}"))
}

fn live(site: &Site, host: &str) -> String {
    fs::read_to_string(site.repo.path(&format!("{host}/live/web/index.html"))).unwrap_or_default()
}

fn entry(site: &Site, deployment: &str) -> Option<HostStatus> {
    let git = site.repo.open();
    let state = State::at(&git, git.tip().unwrap()?).unwrap();
    state.deployment(&deployment.parse().unwrap()).unwrap()
}

fn activated(site: &Site) -> String {
    format!(", activate: [[test, -e, {}]]", site.repo.path("ok").display())
}

const BOTH: &str = "hosts: [b, a]";

/// Each host is a run of its own, in the order of the manifest, with its own entry, and the next one goes on from what
/// that host has.
#[test]
fn a_module_is_applied_on_each_of_its_hosts() {
    let site = fleet();
    let first = change(&site, 1, BOTH, "one\n", "");
    let said = site.run(0, "pending");
    assert!(said.contains("2 modules merged, not applied"), "{said}");
    assert!(said.contains("next: platformctl plan web --host b --pr 1"), "{said}");
    let said = site.run(1, "plan web");
    assert!(said.contains("plan for web on b, PR #1") && said.contains("plan for web on a, PR #1"), "{said}");
    let said = site.run(1, "apply --pr 1");
    assert!(said.starts_with("exit 0\n") && said.contains("✓ web@b\n✓ web@a\n"), "{said}");
    assert_eq!((live(&site, "a"), live(&site, "b")), ("one\n".to_owned(), "one\n".to_owned()));
    let subjects: Vec<String> = site.log().into_iter().filter(|subject| subject.starts_with("apply")).collect();
    assert_eq!(
        subjects,
        [
            "apply ok: web on a, PR #1 (1 change)",
            "apply intent: web on a, PR #1 (1 change)",
            "apply ok: web on b, PR #1 (1 change)",
            "apply intent: web on b, PR #1 (1 change)",
        ]
    );
    // One host alone: the other one is pending, and what each is held against is its own.
    let second = change(&site, 2, BOTH, "two\n", "");
    let said = site.run(2, "apply web --host a --pr 2");
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert_eq!((live(&site, "a"), live(&site, "b")), ("two\n".to_owned(), "one\n".to_owned()));
    let merges = |deployment| {
        let entry = entry(&site, deployment).unwrap();
        (entry.running.unwrap().merge, entry.newest.unwrap().merge)
    };
    assert_eq!((merges("web@a"), merges("web@b")), ((second, second), (first, first)));
    let said = site.run(3, "pending");
    assert!(said.contains("1 module merged") && said.contains("#2  web  b  its content changed"), "{said}");
    let third = change(&site, 3, BOTH, "three\n", "");
    let said = site.json(4, "apply web --pr 3");
    assert_eq!(said["targets"][0]["approved"]["covers"], serde_json::json!([2, 3]), "b: since what b has");
    assert_eq!(said["targets"][1]["approved"]["covers"], serde_json::json!([3]), "a: since what a has");
    assert_eq!((merges("web@a"), merges("web@b")), ((third, third), (third, third)));
    let status = site.json(5, "status web");
    assert_eq!(status["status"]["last_apply_host"], "a", "the newest good apply anywhere");
    // Again, where a host was lost.
    let said = site.run(6, "apply web --again --host b");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let said = site.run(7, "apply web --pr 3 --host c");
    assert!(said.contains("web does not run on c in") && said.contains("unknown_host"), "{said}");
    let said = site.run(8, "plan web -o p.json");
    assert!(said.starts_with("exit 2\n") && said.contains("fix: platformctl plan web --host b -o p.json"), "{said}");
    assert!(site.run(9, "plan web --host a --pr 3 -o p.json").starts_with("exit 0\n"));
    let said = site.run(9, "apply ./p.json --host b --pr 3");
    assert!(said.contains("plan_foreign"), "{said}");
    assert!(site.run(9, "verify").starts_with("exit 0\n"));
}

/// The first host is the canary: where it fails no other is tried.
#[test]
fn the_first_host_is_the_canary() {
    let site = fleet();
    change(&site, 1, BOTH, "one\n", &activated(&site));
    let said = site.run(0, "apply --pr 1");
    assert!(said.starts_with("exit 11\n") && said.contains("! web@a not tried"), "{said}");
    assert_eq!(live(&site, "a"), "", "a was not touched");
    assert!(entry(&site, "web@a").is_none());
    assert_eq!(entry(&site, "web@b").unwrap().failed.len(), 1);
    // What failed on one host did not fail on the other.
    fs::write(site.repo.path("ok"), "").unwrap();
    assert!(site.run(1, "apply web --host a --pr 1").starts_with("exit 0\n"));
    let said = site.run(2, "apply web --host b --pr 1");
    assert!(said.contains("held_release"), "{said}");
    let said = site.run(3, "status");
    assert!(said.contains("a · seen") && said.contains("b · seen") && said.contains("held 1"), "{said}");
}

/// Attack: a release that is known to crash is merged again after another one was applied, and an operator or a runner applies it.
/// Defence: a failed release stays known on its host until a retry of it ends well; it is refused without --retry, and not recommended.
#[test]
fn a_release_that_failed_is_not_forgotten_when_another_is_applied() {
    let site = fleet();
    let failing = activated(&site);
    change(&site, 1, "host: a", "one\n", "");
    assert!(site.run(0, "apply web --pr 1").starts_with("exit 0\n"));
    change(&site, 2, "host: a", "two\n", &failing);
    assert!(site.run(1, "apply web --pr 2").starts_with("exit 11\n"));
    change(&site, 3, "host: a", "three\n", "");
    assert!(site.run(2, "apply web --pr 3").starts_with("exit 0\n"));
    assert!(site.run(3, "status").contains("held 0"), "what runs ended well");
    let failed: Vec<u64> = entry(&site, "web@a").unwrap().failed.iter().map(|failed| failed.pr).collect();
    assert_eq!(failed, [2]);
    // The very release that failed comes back.
    change(&site, 4, "host: a", "two\n", &failing);
    let said = site.run(4, "pending");
    assert!(said.contains("HELD: it failed there") && !said.contains("next: platformctl plan"), "{said}");
    let said = site.run(5, "apply web --pr 4");
    assert!(said.contains("REFUSED held_release (5)") && said.contains("(PR #2, seq"), "{said}");
    assert_eq!(live(&site, "a"), "three\n");
    // A retry that fails forgets nothing; one that ends well does.
    assert!(site.run(6, "apply web --pr 4 --retry").starts_with("exit 11\n"));
    assert_eq!(entry(&site, "web@a").unwrap().failed.len(), 1);
    fs::write(site.repo.path("ok"), "").unwrap();
    assert!(site.run(7, "apply web --pr 4").contains("held_release"), "the record knows nothing of the cure");
    let said = site.run(8, "apply web --pr 4 --retry");
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert_eq!(entry(&site, "web@a").unwrap().failed, []);
    let event = site.json(9, "show");
    assert_eq!(event["records"][0]["event"]["retry"], true);
    assert!(site.run(10, "verify").starts_with("exit 0\n"));
}

/// Attack: a change that nobody reviewed is pushed while a module runs on one host, and a pull request then adds another host.
/// Defence: review of a host that the module is new on begins at the module's newest apply on any host.
#[test]
fn adding_a_host_reviews_no_direct_push() {
    let site = fleet();
    change(&site, 1, "host: a", "one\n", "");
    assert!(site.run(0, "apply web --pr 1").starts_with("exit 0\n"));
    web(&site, "host: a", "smuggled\n", "");
    site.repo.commit("direct");
    site.repo.git(&["push", "-q", "origin", "main"]);
    change(&site, 2, BOTH, "smuggled\n", "");
    for host in ["a", "b"] {
        let said = site.run(1, &format!("apply web --host {host} --pr 2"));
        assert!(said.contains("unreviewed_change"), "{host}: {said}");
    }
    assert_eq!(live(&site, "b"), "");
    // What was reviewed is applied there at once.
    let site = fleet();
    change(&site, 1, "host: a", "one\n", "");
    assert!(site.run(0, "apply web --pr 1").starts_with("exit 0\n"));
    change(&site, 2, BOTH, "one\n", "");
    let said = site.run(1, "apply --pr 2");
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert_eq!(live(&site, "b"), "one\n");
    assert_eq!(entry(&site, "web@a").unwrap().running.unwrap().pr, 1, "nothing changed for a");
}

/// What is a replay on one host may be new on another.
#[test]
fn a_replay_is_judged_by_what_was_newest_on_that_host() {
    let site = fleet();
    change(&site, 1, BOTH, "one\n", "");
    assert!(site.run(0, "apply --pr 1").starts_with("exit 0\n"));
    change(&site, 2, BOTH, "two\n", "");
    assert!(site.run(1, "apply web --host a --pr 2").starts_with("exit 0\n"));
    let said = site.run(2, "apply web --host a --pr 1 --allow-older --no-checkout-binding");
    assert!(said.contains("replay"), "{said}");
    // The other host never had the newer one.
    let said = site.run(3, "apply web --host b --pr 1 --allow-older --no-checkout-binding");
    assert!(said.starts_with("exit 0\n") && said.contains("nothing to change"), "{said}");
}

/// Records a run as if another program had carried it out: of the kind and about what the newest good apply on the host
/// was about.
fn recorded(site: &Site, kind: Kind, of: &Event, returns_to: Option<Oid>, end: bool) -> Oid {
    let (git, remote, clock) = (site.repo.open(), site.repo.remote(), SystemClock::new(&site.repo.env()));
    let sign = Sign::IfConfigured;
    let record = Record { source: &git, ledger: &git, remote: Some(&remote), clock: &clock, pinned: None, sign };
    let draft = record.draft(kind).unwrap();
    let newest = entry(site, &of.deployment().unwrap().to_string()).unwrap().newest_run;
    let run = RunId::newer(draft.time, [9; 4], newest.as_ref());
    let (host, module) = (of.host.clone().unwrap(), of.module.clone().unwrap());
    let lock = Lock {
        project: None,
        scope: crate::support::lock_key(&format!("{host}/{module}")),
        expires: draft.time.plus_s(60),
        nonce: "n".into(),
    };
    let mut opening = Event { run: Some(run), lock: Some(lock), returns_to, ..of.clone() };
    opening =
        Event { kind, time: draft.time, actor: draft.actor, result: None, evidence: None, intent: None, ..opening };
    (opening.changes, opening.retry) = (Vec::new(), false);
    if kind != Kind::ApplyIntent {
        opening.checkout = None;
    }
    if kind == Kind::RemoveIntent {
        (opening.closure, opening.effective) = (None, None);
    }
    let done = |append| match append {
        Append::Done(done) => done.commit,
        Append::Moved(why) => panic!("{why}"),
    };
    let intent = done(record.append(&opening, None).unwrap());
    if end {
        let draft = record.draft(kind.outcome().unwrap()).unwrap();
        let outcome = draft.answering(intent, &opening, Ending::Ok, Evidence::default());
        done(record.append(&outcome, None).unwrap());
    }
    intent
}

/// The record of the newest apply that ended well on a host, and its event.
fn applied(site: &Site, deployment: &str) -> (Oid, Event) {
    let seq = entry(site, deployment).unwrap().running.unwrap().seq;
    let shown = site.json(0, &format!("show {seq}"));
    let record = &shown["records"][0];
    let event: Event = serde_json::from_value(record["event"].clone()).unwrap();
    (record["commit"].as_str().unwrap().parse().unwrap(), event)
}

/// Attack: after a rollback, or after the module was removed from a host, an older merge result is applied there as if it were new.
/// Defence: what was newest, and the merge result that removed it, stay the bound; what runs decides what has to be reviewed.
#[test]
fn a_rollback_or_a_removal_opens_no_way_back() {
    let site = fleet();
    change(&site, 1, "host: a", "one\n", "");
    assert!(site.run(0, "apply web --pr 1").starts_with("exit 0\n"));
    let first = applied(&site, "web@a");
    change(&site, 2, "host: a", "two\n", "");
    assert!(site.run(1, "apply web --pr 2").starts_with("exit 0\n"));
    recorded(&site, Kind::RollbackIntent, &first.1, Some(first.0), true);
    let rolled = entry(&site, "web@a").unwrap();
    assert_eq!((rolled.running.unwrap().pr, rolled.newest.unwrap().pr, rolled.failed[0].pr), (1, 2, 2));
    let said = site.run(2, "apply web --pr 1 --allow-older --no-checkout-binding");
    assert!(said.contains("replay"), "older than what was newest, though it runs: {said}");
    let said = site.run(3, "pending");
    assert!(said.contains("HELD: it failed there") && !said.contains("next: platformctl plan"), "{said}");
    assert!(site.run(4, "apply web --pr 2").contains("held_release"), "what was rolled back stays so");
    change(&site, 3, "host: a", "three\n", "");
    let said = site.json(5, "apply web --pr 3");
    assert_eq!(said["approved"]["covers"], serde_json::json!([2, 3]), "everything since what runs: {said}");
    // Removed by a later merge result, whose content has no such module.
    let third = applied(&site, "web@a").1;
    let merge = change(&site, 4, "host: b", "three\n", "");
    let mut gone = third.clone();
    let approved = gone.approved.as_mut().unwrap();
    (approved.pr, approved.merge) = (4, merge);
    recorded(&site, Kind::RemoveIntent, &gone, None, true);
    assert!(entry(&site, "web@a").unwrap().running.is_none());
    let said = site.run(6, "apply web --host a --pr 3 --allow-older --no-checkout-binding");
    assert!(said.contains("replay"), "older than its removal: {said}");
    assert!(site.run(7, "status web").contains("#4 removed it"));
    assert!(site.run(8, "verify").starts_with("exit 0\n"));
}

/// An open run on one host stops nobody on another one.
#[test]
fn an_open_run_is_in_the_way_on_its_own_host_only() {
    let site = fleet();
    change(&site, 1, BOTH, "one\n", "");
    assert!(site.run(0, "apply --pr 1").starts_with("exit 0\n"));
    recorded(&site, Kind::ApplyIntent, &applied(&site, "web@b").1, None, false);
    change(&site, 2, BOTH, "two\n", "");
    let said = site.run(1, "apply web --host a --pr 2");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let said = site.run(2, "apply web --host b --pr 2");
    assert!(said.contains("REFUSED busy (8)"), "{said}");
    let said = site.run(3, "status");
    assert!(said.contains("! web@b  run open since"), "{said}");
}

/// A host that the base does not want any more is told so, and nothing is changed there.
#[test]
fn what_the_base_does_not_want_any_more_is_left_alone() {
    let site = fleet();
    change(&site, 1, BOTH, "one\n", "");
    assert!(site.run(0, "apply --pr 1").starts_with("exit 0\n"));
    change(&site, 2, "host: b", "one\n", "");
    let said = site.run(1, "apply web --host a --pr 2").replace('\n', " ");
    assert!(said.contains("web runs on b in <40>, and no longer on a"), "{said}");
    let said = site.run(2, "apply web --pr 2");
    assert!(said.contains("data_at_risk"), "what runs on a would stay there: {said}");
    site.repo.branch("pr3", "main");
    site.repo.git(&["rm", "-rq", "modules/web"]);
    site.repo.commit("gone");
    site.repo.propose(3);
    site.repo.merge(3, "pr3");
    let said = site.run(3, "apply web --pr 3").replace('\n', " ");
    assert!(said.contains("unknown_module") && said.contains("still runs on"), "{said}");
    assert_eq!(live(&site, "a"), "one\n");
}
