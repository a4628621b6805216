//! Every kind of record: what it carries, when it may follow, and what it does to the tree.

use platformctl::{
    io::{clock::SystemClock, git::Git},
    ledger::{
        chain,
        event::{Actor, Event, FINDINGS_MAX, Kind, Lock, Pruned},
        fold, message,
        state::State,
        tree,
    },
    model::{
        alarm::{Alarm, AlarmStep, Condition, Telling},
        approval::{Approval, Style},
        digest::Digest,
        ending::Ending,
        evidence::{ContainerEvidence, Evidence},
        ids::{Deployment, Oid},
        notify::ChannelKind,
        status::{Difference, Finding, HostStatus},
    },
    port::{Clock as _, Ledger as _, NewCommit, Sign, TreeEdit},
    record::{
        Record,
        append::{Append, Preconditions},
    },
};

use crate::support::repo::Repo;

/// A record with a policy, and the events that may be added to it.
struct Bench {
    repo: Repo,
    git: Git,
    clock: SystemClock,
    policy: Oid,
}

type Change<'a> = &'a dyn Fn(&mut Event);

fn oid(n: u8) -> Oid {
    Oid::from_bytes([n; 20])
}

fn run(n: u32) -> String {
    format!("20261122T101530Z-{n:08x}")
}

impl Bench {
    fn new() -> Self {
        let repo = Repo::new();
        let (git, clock) = (repo.open(), SystemClock::new(&repo.env()));
        repo.write("platform.yaml", "schema: platform/1\n");
        let commit = repo.commit("policy");
        let policy = repo.id("HEAD:platform.yaml");
        let bench = Self { repo, git, clock, policy };
        bench.append(&bench.draft(Kind::Genesis));
        let mut event = bench.draft(Kind::Policy);
        (event.policy, event.policy_commit) = (Some(policy), Some(commit));
        bench.append(&event);
        bench
    }

    fn record(&self) -> Record<'_> {
        let (source, ledger) = (&self.git, &self.git);
        Record { source, ledger, remote: None, clock: &self.clock, pinned: None, sign: Sign::IfConfigured }
    }

    fn append(&self, event: &Event) -> Oid {
        match self.record().append(event, None).unwrap() {
            Append::Done(done) => done.commit,
            Append::Moved(why) => panic!("{why}"),
        }
    }

    fn draft(&self, kind: Kind) -> Event {
        let actor = Actor { name: "Ola".into(), email: "ola@example.org".into(), key: None, via: None };
        Event::draft(kind, self.clock.now(), actor)
    }

    /// An event about a deployment of a release by pull request `pr`, by run `n`.
    fn about(&self, kind: Kind, deployment: &str, pr: u8, n: u32) -> Event {
        let (module, host) = deployment.split_once('@').unwrap();
        let mut event = self.draft(kind);
        event.run = Some(run(n).parse().unwrap());
        (event.module, event.host) = (Some(module.parse().unwrap()), Some(host.parse().unwrap()));
        event.approved = Some(Approval {
            pr: pr.into(),
            head: oid(pr),
            merge: oid(pr),
            tree: oid(pr),
            style: Style::Merge,
            base: oid(0),
            covers: vec![pr.into()],
            weak: false,
            adopted: Vec::new(),
            baseline: None,
            reviews: Vec::new(),
            forge: None,
            server_signed: false,
        });
        event.policy = Some(self.policy);
        if kind != Kind::Move {
            event.plan = Some(Digest::of(b"plan"));
        }
        if ![Kind::RemoveIntent, Kind::Move].contains(&kind) {
            (event.closure, event.effective) = (Some(Digest::of(&[pr])), Some(Digest::of(&[pr, pr])));
        }
        if [Kind::ApplyIntent, Kind::ApplyNoop, Kind::Adopt].contains(&kind) {
            event.checkout = Some(platformctl::model::gate::Binding::Bound);
        }
        if kind.opens() {
            let (scope, expires) = (crate::support::lock_key(&format!("{host}/{module}")), event.time.plus_s(600));
            event.lock = Some(Lock { project: None, scope, expires, nonce: "n".into() });
        }
        if kind == Kind::Adopt {
            event.evidence = Some(evidence(None));
        }
        event
    }

    fn outcome(&self, opened: &Event, intent: Oid, result: Ending) -> Event {
        let failed = (result != Ending::Ok).then_some("probe_failed");
        let draft = self.draft(opened.kind.outcome().unwrap());
        draft.answering(intent, opened, result, evidence(failed))
    }

    /// A whole run.
    fn ran(&self, opened: &Event, result: Ending) -> Oid {
        let intent = self.append(opened);
        self.append(&self.outcome(opened, intent, result))
    }

    fn entry(&self, deployment: &str) -> HostStatus {
        self.state().deployment(&deployment.parse().unwrap()).unwrap().unwrap()
    }

    fn state(&self) -> State<'_> {
        State::at(&self.git, self.git.tip().unwrap().unwrap()).unwrap()
    }

    /// A gate is passed for a run.
    fn glass(&self, deployment: &str, pr: u8, n: u32) -> Event {
        let mut glass = self.about(Kind::BreakGlass, deployment, pr, n);
        (glass.waived, glass.reason) = (vec!["reviews".into()], Some("the shop is down".into()));
        glass.until = Some(glass.time.plus_s(3_600));
        glass.checkout = Some(platformctl::model::gate::Binding::Waived);
        glass
    }

    /// The intent that goes with it.
    fn under(&self, glass: &Event, record: Oid, pr: u8, n: u32) -> Event {
        let mut intent = self.about(Kind::ApplyIntent, &glass.deployment().unwrap().to_string(), pr, n);
        (intent.glass, intent.until, intent.reason) = (Some(record), glass.until, glass.reason.clone());
        intent.waived = vec!["checkout".into(), "reviews".into()];
        intent.checkout = glass.checkout;
        intent
    }

    /// A whole run with break-glass.
    fn broke(&self, deployment: &str, pr: u8, n: u32, result: Ending) {
        let glass = self.glass(deployment, pr, n);
        let record = self.append(&glass);
        self.ran(&self.under(&glass, record, pr, n), result);
    }

    /// What is wrong with an event after the tip, as every reader judges it.
    fn fault(&self, event: &Event) -> String {
        let before = chain::trusted(&self.git, self.git.tip().unwrap().unwrap()).unwrap();
        let mut event = event.clone();
        (event.seq, event.genesis) = (before.event.seq + 1, Some(before.genesis));
        event.time = event.time.max(before.event.time);
        let file = tree::file(&event).unwrap();
        let message = message::render(&event, Digest::of(&file)).unwrap();
        // What cannot be folded is judged before its tree is.
        let edits = fold::fold(&event, &self.state().files(&event).unwrap());
        let edits = edits.unwrap_or_else(|_| vec![TreeEdit::Put(tree::EVENT.to_owned(), file)]);
        let commit = NewCommit {
            tree: self.git.write_tree(Some(before.tree), &edits).unwrap(),
            parents: vec![before.id],
            author: (event.actor.name.clone(), event.actor.email.clone()),
            time: event.time,
            message,
            sign: Sign::IfConfigured,
        };
        let id = self.git.write_commit(&commit).unwrap();
        chain::check(&self.git, &self.git, Some(&before), id).unwrap().err().map_or("valid".into(), |it| it.to_string())
    }

    /// Each change of a valid event is refused by the rule that it is listed with.
    fn refused(&self, good: &Event, cases: &[(&str, Change<'_>)]) {
        assert_eq!(self.fault(good), "valid", "{}", good.kind.as_str());
        for (rule, change) in cases {
            let mut event = good.clone();
            change(&mut event);
            let said = self.fault(&event);
            assert!(said.starts_with(rule), "{}: {rule}: {said}", good.kind.as_str());
        }
    }
}

fn evidence(failed: Option<&str>) -> Evidence {
    let image = format!("sha256:{}", "7".repeat(64));
    let container = ContainerEvidence {
        service: "app".into(),
        image,
        healthy_s: 10,
        restarts: 0,
        state: "running".into(),
        health: None,
    };
    let containers = if failed.is_none() { vec![container] } else { Vec::new() };
    Evidence { containers, failed: failed.map(str::to_owned), ..Evidence::default() }
}

fn pruned() -> Pruned {
    Pruned { releases: 3, files: 12, runs: 5, images: 0, bytes: 4_096, names: Digest::of(b"names") }
}

fn finding(subject: &str) -> Finding {
    Finding { subject: subject.to_owned(), difference: Difference::Missing, seen: None }
}

/// The whole life of a module, with a record of every kind but recover, which has its own tests.
#[test]
fn every_kind_is_recorded_and_verified() {
    let bench = Bench::new();
    let site = "site@box";
    bench.broke(site, 1, 0, Ending::Ok);
    assert_eq!(bench.entry(site).glass[0].waived, ["checkout", "reviews"]);
    let first = bench.ran(&bench.about(Kind::ApplyIntent, site, 1, 1), Ending::Ok);
    assert_eq!(bench.entry(site).glass, [], "a run that passes every gate confirms it");
    bench.ran(&bench.about(Kind::ApplyIntent, site, 2, 2), Ending::Failed);
    bench.ran(&bench.about(Kind::ApplyIntent, site, 3, 3), Ending::RolledBack);
    let third = bench.ran(&bench.about(Kind::ApplyIntent, site, 4, 4), Ending::Ok);
    assert_ne!(first, third);
    let of = |status: &HostStatus| {
        let running = status.running.as_ref().map(|running| running.pr);
        let failed: Vec<u64> = status.failed.iter().map(|failed| failed.pr).collect();
        (running, status.newest.as_ref().map(|newest| newest.pr), failed)
    };
    assert_eq!(of(&bench.entry(site)), (Some(4), Some(4), vec![2, 3]), "what failed stays known");
    let mut observed = bench.draft(Kind::Observe);
    (observed.module, observed.host) = (Some("site".parse().unwrap()), Some("box".parse().unwrap()));
    observed.findings = Some(vec![finding("app")]);
    bench.append(&observed);
    assert_eq!(bench.entry(site).observed.unwrap().findings, [finding("app")]);
    // Back to the first release: it runs, and the newest merge result stays the bound.
    let back = Event { returns_to: Some(first), ..bench.about(Kind::RollbackIntent, site, 1, 5) };
    bench.ran(&back, Ending::Ok);
    let entry = bench.entry(site);
    assert_eq!(of(&entry), (Some(1), Some(4), vec![2, 3, 4]), "what was rolled back counts as failed");
    assert_eq!((entry.observed.clone(), entry.unsettled()), (None, None));
    assert_eq!(entry.running.unwrap().images["app"], format!("sha256:{}", "7".repeat(64)));
    let status = bench.state().module(&"site".parse().unwrap()).unwrap().unwrap();
    assert_eq!(status.last_apply_pr, Some(4), "a rollback is no apply");
    // Only a retry that ends well forgets.
    let mut retry = bench.about(Kind::ApplyIntent, site, 4, 6);
    retry.retry = true;
    bench.ran(&retry, Ending::Ok);
    assert_eq!(of(&bench.entry(site)), (Some(4), Some(4), vec![2, 3]));
    // Under another name.
    let mut moved = bench.about(Kind::Move, "page@box", 5, 7);
    moved.from = Some(site.parse().unwrap());
    bench.append(&moved);
    assert_eq!(of(&bench.entry("page@box")), (Some(4), Some(4), vec![2, 3]));
    let left = bench.entry(site);
    assert_eq!((left.running.clone(), left.moved_to), (None, Some("page@box".parse().unwrap())));
    assert_eq!(left.newest.unwrap().pr, 4);
    bench.append(&bench.about(Kind::ApplyNoop, "page@box", 6, 8));
    assert_eq!(bench.entry("page@box").running.unwrap().images.len(), 1, "nothing was changed: the images stay");
    // To another host: the bound goes along, what runs stays until it is removed.
    let mut moved = bench.about(Kind::Move, "page@other", 6, 9);
    moved.from = Some("page@box".parse().unwrap());
    bench.append(&moved);
    assert_eq!(of(&bench.entry("page@other")), (None, Some(6), vec![]));
    assert_eq!(of(&bench.entry("page@box")).0, Some(6));
    bench.ran(&bench.about(Kind::RemoveIntent, "page@box", 7, 10), Ending::Failed);
    assert_eq!(of(&bench.entry("page@box")), (Some(6), Some(6), vec![2, 3]), "a removal that failed removes nothing");
    bench.ran(&bench.about(Kind::RemoveIntent, "page@box", 7, 11), Ending::Ok);
    let gone = bench.entry("page@box");
    assert_eq!(of(&gone), (None, Some(6), vec![2, 3]));
    assert_eq!(gone.removed.map(|removed| (removed.pr, removed.merge)), Some((7, oid(7))));
    bench.append(&bench.about(Kind::Adopt, "page@third", 8, 12));
    assert_eq!(of(&bench.entry("page@third")), (Some(8), Some(8), vec![]));
    let host = Some("box".parse().unwrap());
    let run = Some(run(13).parse().unwrap());
    bench.append(&Event { run, host: host.clone(), pruned: Some(pruned()), ..bench.draft(Kind::Prune) });
    bench.append(&Event { host, ..bench.draft(Kind::Heartbeat) });
    bench.append(&bench.draft(Kind::Heartbeat));
    let of_host = bench.state().host(&"box".parse().unwrap()).unwrap().unwrap();
    assert!(of_host.pruned.unwrap().seq < of_host.heartbeat.unwrap().seq);
    let opening = bench.about(Kind::ApplyIntent, "page@other", 9, 14);
    let opened = bench.append(&opening);
    let mut takeover = bench.draft(Kind::Takeover);
    (takeover.run, takeover.module, takeover.host) =
        (opening.run.clone(), opening.module.clone(), opening.host.clone());
    (takeover.intent, takeover.reason) = (Some(opened), Some("its machine is gone".into()));
    bench.append(&takeover);
    let late = Event { kind: Kind::LateOutcome, ..bench.outcome(&opening, opened, Ending::Failed) };
    bench.append(&late);
    let entry = bench.entry("page@other");
    assert_eq!(of(&entry), (None, Some(6), vec![9]), "a late failure is a failure");
    let mut remark = bench.draft(Kind::Annotate);
    (remark.module, remark.reason) = (Some("page".parse().unwrap()), Some("looked at".into()));
    bench.append(&remark);
    let (count, tip, twice) = bench.record().verify_all(bench.git.tip().unwrap().unwrap()).unwrap();
    assert_eq!((count, twice), (tip.event.seq + 1, vec![]));
    snapbox::assert_data_eq!(
        bench.repo.git(&["log", "--reverse", "--format=%s", "refs/platform/state"]),
        snapbox::str![[r#"
genesis: the record begins
policy: platform.yaml as merged is in force
break glass: site on box, PR #1, passes reviews
apply intent: site on box, PR #1
apply ok: site on box, PR #1
apply intent: site on box, PR #1
apply ok: site on box, PR #1
apply intent: site on box, PR #2
apply failed: site on box, PR #2
apply intent: site on box, PR #3
apply rolled-back: site on box, PR #3
apply intent: site on box, PR #4
apply ok: site on box, PR #4
observe: site on box, 1 difference
rollback intent: site on box, back to PR #1
rollback ok: site on box, back to PR #1
apply intent: site on box, PR #4
apply ok: site on box, PR #4
move: site on box to page on box, PR #5
apply noop: page on box, PR #6
move: page on box to page on other, PR #6
remove intent: page on box, PR #7
remove failed: page on box, PR #7
remove intent: page on box, PR #7
remove ok: page on box, PR #7
adopt: page on third, PR #8
prune: box, 3 releases, 12 files
heartbeat: box
heartbeat
apply intent: page on other, PR #9
takeover: page on other
late outcome: page on other, PR #9
annotate: page
"#]]
    );
}

/// Attack: two operators work on two hosts of one module, and one's record makes the other's run start over, wait or fail.
/// Defence: locks, preconditions and run ids belong to a deployment; only a run on the same host stands in the way.
#[test]
fn two_hosts_of_one_module_do_not_collide() {
    let bench = Bench::new();
    let status = None;
    let deployment = "site@a".parse().unwrap();
    let wanted =
        Preconditions { deployment, status, scope: crate::support::lock_key("a/site"), policy: Some(bench.policy) };
    let on_b = bench.about(Kind::ApplyIntent, "site@b", 1, 9);
    let opened_b = bench.append(&on_b);
    // An older run id than on the other host, while its run is open, and what was planned before it began.
    let on_a = bench.about(Kind::ApplyIntent, "site@a", 1, 3);
    let opened_a = match bench.record().append(&on_a, Some(&wanted)).unwrap() {
        Append::Done(done) => done.commit,
        Append::Moved(why) => panic!("{why}"),
    };
    assert_eq!(bench.state().open_runs().unwrap().len(), 2);
    let again = bench.about(Kind::ApplyIntent, "site@a", 1, 4);
    assert!(bench.fault(&again).starts_with("rule `scope` expects no open run of site@a"));
    assert!(matches!(bench.record().append(&again, Some(&wanted)).unwrap(), Append::Moved(_)));
    // Outcomes go to their own host alone.
    let mut crossed = bench.outcome(&on_a, opened_a, Ending::Ok);
    crossed.host.clone_from(&on_b.host);
    assert!(bench.fault(&crossed).starts_with("rule `host` expects that of its intent, a"));
    bench.append(&bench.outcome(&on_a, opened_a, Ending::Failed));
    let before = bench.entry("site@a");
    bench.append(&bench.outcome(&on_b, opened_b, Ending::Ok));
    assert_eq!(bench.entry("site@a"), before, "what happens on b changes nothing of a");
    assert_eq!((before.failed.len(), bench.entry("site@b").failed.len()), (1, 0));
    // Of one's own deployment every change counts, also where no run is open any more.
    let next = bench.about(Kind::ApplyIntent, "site@a", 1, 5);
    assert!(matches!(bench.record().append(&next, Some(&wanted)).unwrap(), Append::Moved(_)));
    let reused = bench.about(Kind::ApplyNoop, "site@b", 2, 9);
    assert!(bench.fault(&reused).starts_with("rule `run` expects a run id greater than"));
}

/// Attack: someone with push access writes well-formed records of kinds that no command writes yet, to change what counts as running,
/// newest or removed.
/// Defence: every reader holds each kind to its fields, to the run or the deployment that it needs, and to the record that it names.
#[test]
fn hostile_records_of_each_kind_are_refused() {
    let bench = Bench::new();
    let site = "site@box";
    let applied = bench.ran(&bench.about(Kind::ApplyIntent, site, 1, 1), Ending::Ok);
    let failed = bench.ran(&bench.about(Kind::ApplyIntent, site, 2, 2), Ending::Failed);
    let elsewhere = bench.ran(&bench.about(Kind::ApplyIntent, "site@other", 1, 2), Ending::Ok);
    let begins: &[(&str, Change<'_>)] = &[
        ("rule `run` expects a run id greater than", &|event| event.run = Some(run(2).parse().unwrap())),
        ("rule `policy`", &|event| event.policy = Some(oid(9))),
        ("rule `fields` expects approved on", &|event| event.approved = None),
        ("rule `fields` expects run on", &|event| event.run = None),
        ("rule `fields`", &|event| event.voids = vec![oid(1)]),
    ];

    let back = Event { returns_to: Some(applied), ..bench.about(Kind::RollbackIntent, site, 1, 3) };
    bench.refused(&back, begins);
    let mut composed = back.clone();
    let lock = composed.lock.as_mut().unwrap();
    (lock.project, lock.scope) = (Some("shop".into()), crate::support::lock_key("box/compose.shop"));
    assert_eq!(bench.fault(&composed), "valid");
    bench.refused(
        &back,
        &[
            ("rule `fields` expects returns_to on", &|event| event.returns_to = None),
            ("rule `returns_to`", &|event| event.returns_to = Some(oid(3))),
            ("rule `returns_to`", &|event| event.returns_to = Some(failed)),
            ("rule `returns_to`", &|event| event.returns_to = Some(elsewhere)),
            ("rule `returns_to`", &|event| event.closure = Some(Digest::of(b"another release"))),
            ("rule `returns_to`", &|event| event.approved.as_mut().unwrap().merge = oid(9)),
            ("rule `scope`", &|event| event.lock.as_mut().unwrap().scope = crate::support::lock_key("other/site")),
            ("rule `scope`", &|event| event.lock.as_mut().unwrap().scope = crate::support::lock_key("box/othersite")),
            ("rule `scope`", &|event| {
                let lock = event.lock.as_mut().unwrap();
                (lock.project, lock.scope) = (Some("shop".into()), crate::support::lock_key("box/compose.my-shop"));
            }),
            ("rule `fields` expects nothing", &|event| event.retry = true),
        ],
    );
    let remove = bench.about(Kind::RemoveIntent, site, 2, 3);
    bench.refused(&remove, begins);
    bench.refused(&remove, &[("rule `fields` expects nothing", &|event| event.closure = Some(Digest::of(b"c")))]);
    let mut never = bench.about(Kind::RemoveIntent, "never@box", 2, 3);
    assert!(bench.fault(&never).starts_with("rule `deployment` expects a deployment never@box to remove"));
    never.lock = None;
    assert!(bench.fault(&never).starts_with("rule `fields` expects lock on"));
    // Outcomes answer the intent of their own kind, and roll nothing back.
    for opening in [&back, &remove] {
        let bench = Bench::new();
        let applied = bench.ran(&bench.about(Kind::ApplyIntent, site, 1, 1), Ending::Ok);
        let opening = Event { policy: Some(bench.policy), ..opening.clone() };
        let opening = Event { returns_to: opening.returns_to.map(|_| applied), ..opening };
        let opened = bench.append(&opening);
        let good = bench.outcome(&opening, opened, Ending::Ok);
        bench.refused(
            &good,
            &[
                ("rule `result` expects ok, failed or aborted", &|event| {
                    (event.result, event.evidence) = (Some(Ending::RolledBack), Some(evidence(Some("probe_failed"))));
                }),
                ("rule `result` expects no failure", &|event| event.evidence = Some(evidence(Some("probe_failed")))),
                ("rule `intent`", &|event| event.intent = Some(applied)),
                ("rule `plan`", &|event| event.plan = Some(Digest::of(b"another plan"))),
                ("rule `fields` expects evidence on", &|event| event.evidence = None),
                ("rule `run` expects a run that can have apply.outcome", &|event| {
                    (event.kind, event.checkout, event.returns_to) =
                        (Kind::ApplyOutcome, Some(platformctl::model::gate::Binding::Bound), None);
                    (event.closure, event.effective) = (Some(Digest::of(b"c")), Some(Digest::of(b"e")));
                }),
                ("rule `run` expects a run that can have late-outcome", &|event| event.kind = Kind::LateOutcome),
            ],
        );
        let apply = Event { kind: Kind::ApplyNoop, ..bench.about(Kind::ApplyNoop, site, 1, 9) };
        assert!(bench.fault(&apply).starts_with("rule `scope`"), "a no-op beside an open run");
    }
    let adopt = bench.about(Kind::Adopt, "new@box", 2, 3);
    bench.refused(&adopt, &begins[1..]);
    bench.refused(
        &adopt,
        &[
            ("rule `deployment` expects nothing that the record knows to run as site@box", &|event| {
                event.module = Some("site".parse().unwrap());
            }),
            ("rule `evidence`", &|event| event.evidence = Some(evidence(Some("probe_failed")))),
            ("rule `fields` expects evidence on", &|event| event.evidence = None),
        ],
    );
    let moved = Event { from: Some(site.parse().unwrap()), ..bench.about(Kind::Move, "page@box", 2, 3) };
    bench.refused(&moved, begins);
    bench.refused(
        &moved,
        &[
            ("rule `fields` expects from on", &|event| event.from = None),
            ("rule `deployment` expects two deployments", &|event| event.module = Some("site".parse().unwrap())),
            ("rule `deployment` expects a deployment never@box that was applied", &|event| {
                event.from = Some("never@box".parse().unwrap());
            }),
            ("rule `deployment` expects a deployment site@other that was never applied", &|event| {
                event.module = Some("site".parse().unwrap());
                event.host = Some("other".parse().unwrap());
            }),
        ],
    );
    // Nothing but a move names a second deployment.
    let from = Some("site@other".parse().unwrap());
    let noop = bench.about(Kind::ApplyNoop, site, 2, 3);
    bench.refused(&noop, &[("rule `fields` expects nothing", &|event| event.from.clone_from(&from))]);
    bench.refused(&noop, &[("rule `fields` expects nothing", &|event| event.retry = true)]);

    let host = Some("box".parse().unwrap());
    let prune = Event { run: noop.run.clone(), host: host.clone(), pruned: Some(pruned()), ..bench.draft(Kind::Prune) };
    bench.refused(
        &prune,
        &[
            ("rule `fields` expects pruned on", &|event| event.pruned = None),
            ("rule `fields` expects host on", &|event| event.host = None),
            ("rule `fields` expects nothing", &|event| event.module = Some("site".parse().unwrap())),
        ],
    );
    let beat = Event { host, ..bench.draft(Kind::Heartbeat) };
    bench.refused(
        &beat,
        &[
            ("rule `fields` expects nothing", &|event| event.reason = Some("x".into())),
            ("rule `fields` expects nothing", &|event| event.approved.clone_from(&noop.approved)),
        ],
    );
    let mut observe = bench.draft(Kind::Observe);
    (observe.module, observe.host) = (noop.module.clone(), noop.host.clone());
    observe.findings = Some(vec![finding("app"), finding("db")]);
    bench.refused(
        &observe,
        &[
            ("rule `fields` expects one of findings and alarm", &|event| event.findings = None),
            ("rule `findings` expects sorted findings", &|event| event.findings.as_mut().unwrap().reverse()),
            ("rule `findings` expects sorted findings", &|event| event.findings = Some(vec![finding("a"); 2])),
            ("rule `findings` expects at most", &|event| {
                event.findings = Some((0..=FINDINGS_MAX).map(|n| finding(&format!("{n:04}"))).collect());
            }),
            ("rule `findings` expects a subject", &|event| event.findings = Some(vec![finding("a\u{1b}[2J")])),
            ("rule `findings` expects a subject", &|event| event.findings = Some(vec![finding("")])),
            ("rule `findings` expects a subject", &|event| event.findings = Some(vec![finding(&"x".repeat(256))])),
            ("rule `fields` expects nothing", &|event| event.evidence = Some(evidence(None))),
        ],
    );
    let glass = bench.glass("site@box", 1, 3);
    bench.refused(
        &glass,
        &[
            ("rule `fields` expects approved on", &|event| event.approved = None),
            ("rule `fields` expects until on", &|event| event.until = None),
            ("rule `until` expects a time after", &|event| event.until = Some(event.time)),
            ("rule `until` expects a time after", &|event| event.until = Some(event.time.plus_s(86_401))),
            ("rule `policy` expects", &|event| event.policy = Some(oid(9))),
            // Only what break-glass may pass, sorted, none twice.
            ("rule `waived` expects gates that break-glass", &|event| event.waived = vec!["sacred".into()]),
            ("rule `waived` expects gates that break-glass", &|event| event.waived = vec!["held".into()]),
            ("rule `waived` expects gates that break-glass", &|event| {
                event.waived = vec!["lock".into(), "reviews".into()];
            }),
            ("rule `waived` expects gates that break-glass", &|event| {
                event.waived = vec!["reviews".into(), "data".into()];
            }),
            ("rule `waived` expects gates, none twice", &|event| event.waived = vec!["data".into(), "data".into()]),
            ("rule `fields` expects reason on", &|event| event.reason = None),
            ("rule `fields` expects a reason", &|event| event.reason = Some(" ".into())),
            ("rule `fields` expects waived on", &|event| event.waived.clear()),
            ("rule `run` expects a run id greater than", &|event| event.run = Some(run(2).parse().unwrap())),
            ("rule `fields` expects nothing", &|event| event.result = Some(Ending::Ok)),
        ],
    );
    // A retry is what a person asked for when the run began: an outcome cannot claim it later.
    let opening = bench.about(Kind::ApplyIntent, site, 2, 4);
    let opened = bench.append(&opening);
    let good = bench.outcome(&opening, opened, Ending::Ok);
    bench.refused(&good, &[("rule `retry` expects that of its intent, false", &|event| event.retry = true)]);
}

/// Attack: someone who can push the record waives a gate that nobody may waive, or claims a break-glass that was recorded
/// for another run, another release, too long ago, or never.
/// Defence: a record may name only gates that can be waived, and each gate of break-glass only together with a valid record
/// of it in the same chain.
#[test]
fn waived_gates_need_their_break_glass() {
    let bench = Bench::new();
    let site = "site@box";
    bench.ran(&bench.about(Kind::ApplyIntent, site, 1, 1), Ending::Ok);
    let plain = bench.about(Kind::ApplyIntent, site, 2, 3);
    let wrong = "rule `waived` expects gates that may be waived";
    bench.refused(
        &plain,
        &[
            (wrong, &|event| event.waived = vec!["sacred".into()]),
            (wrong, &|event| event.waived = vec!["reviews".into()]),
            (wrong, &|event| event.waived = vec!["checkout".into(), "lock".into()]),
            ("rule `waived` expects gates, none twice", &|event| event.waived = vec!["held".into(), "held".into()]),
            ("rule `reason` expects the reason", &|event| event.waived = vec!["freeze".into()]),
            ("rule `until` expects that", &|event| event.until = Some(event.time.plus_s(60))),
            ("rule `glass` expects a record of this chain", &|event| event.glass = Some(oid(7))),
        ],
    );
    let policy = bench.git.tip().unwrap().unwrap();
    bench.refused(&plain, &[("rule `glass` expects a record of this chain", &|event| event.glass = Some(policy))]);
    let glass = bench.glass(site, 2, 3);
    let record = bench.append(&glass);
    let good = bench.under(&glass, record, 2, 3);
    bench.refused(
        &good,
        &[
            (wrong, &|event| event.waived = vec!["data".into(), "reviews".into()]),
            ("rule `waived` expects every gate", &|event| event.waived = vec!["checkout".into()]),
            ("rule `waived` expects gates that may", &|event| {
                event.waived = vec!["reviews".into(), "sacred".into()];
            }),
            ("rule `until` expects that", &|event| event.until = Some(event.time.plus_s(86_000))),
            ("rule `until` expects that", &|event| event.until = None),
            ("rule `until` expects a time", &|event| event.time = event.time.plus_s(3_700)),
            ("rule `glass` expects a record about the same run", &|event| event.run = Some(run(4).parse().unwrap())),
            ("rule `glass` expects a record about the same run", &|event| event.reason = Some("another".into())),
            ("rule `glass` expects a record about the same run", &|event| event.plan = Some(Digest::of(b"other"))),
            ("rule `glass` expects a record about the same run", &|event| {
                event.approved = bench.about(Kind::ApplyIntent, site, 3, 3).approved;
            }),
            ("rule `glass` expects a record about the same run", &|event| {
                event.effective = Some(Digest::of(b"other"));
            }),
        ],
    );
    // Tried, and nothing was touched: nothing is left to be confirmed.
    bench.ran(&good, Ending::Aborted);
    assert_eq!(bench.entry(site).glass, []);
    // What failed may be what runs: it stays, with what ran before the first.
    bench.broke(site, 3, 4, Ending::Failed);
    bench.broke(site, 4, 5, Ending::Ok);
    let entry = bench.entry(site);
    let left: Vec<_> = entry.glass.iter().map(|glass| (glass.pr, glass.before)).collect();
    assert_eq!(left, [(4, Some(oid(1)))]);
    assert_eq!(entry.running.unwrap().pr, 4);
    // A run that passes every gate, or a no-op, confirms it.
    let mut noop = bench.about(Kind::ApplyNoop, site, 5, 6);
    noop.waived.clear();
    bench.append(&noop);
    assert_eq!(bench.entry(site).glass, []);
}

/// Attack: someone writes a status file that claims another history than the events have, such as a failure that is forgotten.
/// Defence: every reader folds the event into the tree before it and compares the whole tree.
#[test]
fn a_status_that_no_event_gives_is_refused() {
    let bench = Bench::new();
    let opening = bench.about(Kind::ApplyIntent, "site@box", 1, 1);
    let opened = bench.append(&opening);
    bench.append(&bench.outcome(&opening, opened, Ending::Failed));
    let mut event = bench.draft(Kind::Annotate);
    (event.module, event.host) = (opening.module.clone(), opening.host.clone());
    event.reason = Some("x".into());
    let before = chain::trusted(&bench.git, bench.git.tip().unwrap().unwrap()).unwrap();
    (event.seq, event.genesis) = (before.event.seq + 1, Some(before.genesis));
    event.time = event.time.max(before.event.time);
    let path = "modules/site.status.json";
    let files = bench.state().files(&event).unwrap();
    let forged = |forge: &dyn Fn(&mut serde_json::Value)| {
        let mut edits = fold::fold(&event, &files).unwrap();
        for edit in &mut edits {
            if let TreeEdit::Put(put, bytes) = edit
                && put == path
            {
                let mut value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
                forge(&mut value);
                *bytes = tree::file(&value).unwrap();
            }
        }
        let commit = NewCommit {
            tree: bench.git.write_tree(Some(before.tree), &edits).unwrap(),
            parents: vec![before.id],
            author: (event.actor.name.clone(), event.actor.email.clone()),
            time: event.time,
            message: message::render(&event, Digest::of(&tree::file(&event).unwrap())).unwrap(),
            sign: Sign::IfConfigured,
        };
        let id = bench.git.write_commit(&commit).unwrap();
        chain::check(&bench.git, &bench.git, Some(&before), id).unwrap().err().map(|fault| fault.rule)
    };
    assert_eq!(forged(&|_| ()), None);
    assert_eq!(forged(&|status| status["hosts"]["box"]["failed"] = serde_json::json!([])), Some("tree"));
    assert_eq!(forged(&|status| status["hosts"]["other"] = status["hosts"]["box"].clone()), Some("tree"));
    assert_eq!(forged(&|status| status["last_apply_pr"] = serde_json::json!(1)), Some("tree"));
}

/// A step of the alarm `held` of the release of pull request 1, which failed.
fn telling(bench: &Bench, step: AlarmStep, after: Option<u64>, delivered: &[ChannelKind]) -> Event {
    let since = bench.entry("site@box").failed[0].at;
    let mut event = bench.draft(Kind::Observe);
    (event.module, event.host) = (Some("site".parse().unwrap()), Some("box".parse().unwrap()));
    event.alarm = Some(Telling {
        condition: Condition::Held,
        about: Digest::of(&[1, 1]),
        pr: Some(1),
        since,
        step,
        after,
        nonce: "0123456789abcdef".repeat(2),
        delivered: delivered.to_vec(),
    });
    event
}

fn held(bench: &Bench) -> Option<Alarm> {
    let site: Deployment = "site@box".parse().unwrap();
    bench.state().alarms(&site).unwrap().and_then(|mut alarms| alarms.alarms.remove(&Condition::Held))
}

/// A module of which a release is held: seq 2 and 3.
fn failed() -> Bench {
    let bench = Bench::new();
    bench.ran(&bench.about(Kind::ApplyIntent, "site@box", 1, 1), Ending::Failed);
    bench
}

/// Attack: two runners read the same record and decide at once to tell the same alarm.
/// Defence: each step names the event that it follows, so the record takes one of the two, and the other runner tells nothing.
#[test]
fn alarm_is_claimed_by_one_runner() {
    let bench = failed();
    let status = bench.state().blob_id("modules/site.status.json").unwrap();
    let (one, other) = (telling(&bench, AlarmStep::Telling, None, &[]), telling(&bench, AlarmStep::Telling, None, &[]));
    bench.append(&one);
    assert!(matches!(bench.record().append(&other, None).unwrap(), Append::Moved(_)));
    bench.append(&telling(&bench, AlarmStep::Told, Some(4), &[ChannelKind::Webhook]));
    // Whoever claims it again by what was there before comes too late as well.
    for after in [None, Some(4)] {
        let late = telling(&bench, AlarmStep::Telling, after, &[]);
        assert!(matches!(bench.record().append(&late, None).unwrap(), Append::Moved(_)), "{after:?}");
    }
    let alarm = held(&bench).unwrap();
    assert_eq!((alarm.step, alarm.seq, alarm.told), (AlarmStep::Told, 5, Some(alarm.at)));
    // A reminder that a second channel takes too: both stay known.
    bench.append(&telling(&bench, AlarmStep::Telling, Some(5), &[]));
    assert_eq!(held(&bench).unwrap().delivered, [ChannelKind::Webhook]);
    bench.append(&telling(&bench, AlarmStep::Told, Some(6), &[ChannelKind::Ntfy]));
    assert_eq!(held(&bench).unwrap().delivered, [ChannelKind::Ntfy, ChannelKind::Webhook]);
    bench.append(&telling(&bench, AlarmStep::Ending, Some(7), &[]));
    bench.append(&telling(&bench, AlarmStep::Ended, Some(8), &[ChannelKind::Ntfy, ChannelKind::Webhook]));
    assert_eq!(held(&bench), None);
    assert_eq!(bench.state().blob_id("alarms/site@box.json").unwrap(), None, "a file without an alarm is no file");
    let after = bench.state().blob_id("modules/site.status.json").unwrap();
    assert_eq!(
        after, status,
        "the deployment's own entry is not touched: no intent is planned again because of a message"
    );
    let subjects = bench.repo.git(&["log", "-6", "--format=%s", "refs/platform/state"]);
    snapbox::assert_data_eq!(
        subjects,
        snapbox::str![[r#"
observe: site on box, over and told by ntfy and webhook: held
observe: site on box, telling that it is over: held
observe: site on box, told by ntfy: held
observe: site on box, telling: held
observe: site on box, told by webhook: held
observe: site on box, telling: held
"#]]
    );
}

/// Attack: a writer records an alarm as told that nobody was told, before it exists or in another runner's name, so that nobody is told.
/// Defence: an alarm is about what the tree before it shows, and each step must follow the one before it.
#[test]
fn hostile_alarm_records_are_refused() {
    fn set(event: &mut Event) -> &mut Telling {
        event.alarm.as_mut().unwrap()
    }
    let bench = failed();
    let claim = telling(&bench, AlarmStep::Telling, None, &[]);
    bench.refused(
        &claim,
        &[
            ("rule `fields` expects one of findings and alarm", &|event| event.findings = Some(Vec::new())),
            ("rule `fields` expects host on", &|event| event.host = None),
            ("rule `fields` expects nothing", &|event| event.reason = Some("x".into())),
            ("rule `alarm` expects something that the record shows", &|event| set(event).about = Digest::of(b"other")),
            ("rule `alarm` expects something that the record shows", &|event| {
                set(event).condition = Condition::RolledBack;
            }),
            ("rule `alarm` expects something that the record shows", &|event| set(event).condition = Condition::Drift),
            ("rule `alarm` expects something that the record shows", &|event| {
                set(event).condition = Condition::Unfinished;
            }),
            ("rule `alarm` expects something that the record shows", &|event| {
                event.module = Some("never".parse().unwrap());
            }),
            ("rule `alarm` expects a condition that a record can have", &|event| {
                set(event).condition = Condition::Tampered;
            }),
            ("rule `alarm` expects a condition that a record can have", &|event| {
                set(event).condition = Condition::Unrecorded;
            }),
            ("rule `alarm` expects nothing delivered yet", &|event| set(event).delivered = vec![ChannelKind::Ntfy]),
            ("rule `alarm` expects the newest event of this alarm, none, found 3", &|event| set(event).after = Some(3)),
            ("rule `alarm` expects a nonce", &|event| set(event).nonce = "a\nb".into()),
            ("rule `alarm` expects a nonce", &|event| set(event).nonce.clear()),
            ("rule `alarm` expects a time until", &|event| set(event).since = event.time.plus_s(60)),
            ("rule `alarm` expects the event that `told` follows", &|event| set(event).step = AlarmStep::Told),
            ("rule `alarm` expects the event that `ended` follows", &|event| set(event).step = AlarmStep::Ended),
        ],
    );
    let mut noop = bench.about(Kind::ApplyNoop, "site@box", 1, 7);
    noop.alarm.clone_from(&claim.alarm);
    assert!(bench.fault(&noop).starts_with("rule `fields` expects nothing"), "only an observation tells");
    bench.append(&claim);
    let told = telling(&bench, AlarmStep::Told, Some(4), &[ChannelKind::Ntfy, ChannelKind::Webhook]);
    bench.refused(
        &told,
        &[
            ("rule `alarm` expects the newest event of this alarm, 4", &|event| set(event).after = Some(3)),
            ("rule `alarm` expects the alarm that it follows", &|event| set(event).about = Digest::of(b"other")),
            ("rule `alarm` expects the alarm that it follows", &|event| set(event).pr = None),
            ("rule `alarm` expects the alarm that it follows", &|event| {
                set(event).since = event.time.plus_s(-60);
            }),
            ("rule `alarm` expects sorted channels", &|event| set(event).delivered.reverse()),
            ("rule `alarm` expects sorted channels", &|event| set(event).delivered = vec![ChannelKind::Ntfy; 2]),
            ("rule `alarm` expects an alarm that was delivered", &|event| {
                (set(event).step, set(event).delivered) = (AlarmStep::Ending, Vec::new());
            }),
            ("rule `alarm` expects an end that is being told", &|event| set(event).step = AlarmStep::Ended),
        ],
    );
    bench.append(&told);
    let again = telling(&bench, AlarmStep::Told, Some(5), &[]);
    assert!(bench.fault(&again).starts_with("rule `alarm` expects an alarm that is being told"), "told twice");
}

/// Attack: someone writes into the tree that an alarm was told, without an event that says so.
/// Defence: every reader folds the event into the tree before it and compares the whole tree.
#[test]
fn an_alarm_that_no_event_tells_is_refused() {
    let bench = failed();
    let event = telling(&bench, AlarmStep::Telling, None, &[]);
    let before = chain::trusted(&bench.git, bench.git.tip().unwrap().unwrap()).unwrap();
    let event = Event {
        seq: before.event.seq + 1,
        genesis: Some(before.genesis),
        time: event.time.max(before.event.time),
        ..event
    };
    let mut edits = fold::fold(&event, &bench.state().files(&event).unwrap()).unwrap();
    for edit in &mut edits {
        if let TreeEdit::Put(path, bytes) = edit
            && path == "alarms/site@box.json"
        {
            let mut value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            value["alarms"]["held"]["step"] = "told".into();
            *bytes = tree::file(&value).unwrap();
        }
    }
    let commit = NewCommit {
        tree: bench.git.write_tree(Some(before.tree), &edits).unwrap(),
        parents: vec![before.id],
        author: (event.actor.name.clone(), event.actor.email.clone()),
        time: event.time,
        message: message::render(&event, Digest::of(&tree::file(&event).unwrap())).unwrap(),
        sign: Sign::IfConfigured,
    };
    let id = bench.git.write_commit(&commit).unwrap();
    let fault = chain::check(&bench.git, &bench.git, Some(&before), id).unwrap().unwrap_err();
    assert_eq!(fault.rule, "tree");
}
