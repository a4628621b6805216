//! The record: what a record means, and that one mistake in it never stops everybody.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::Duration,
};

use platformctl::{
    io::{clock::SystemClock, git::Git, remote::GitRemote},
    ledger::{
        chain,
        event::{Actor, Event, Kind, Lock},
        fault::Checked,
        fold, message,
        state::State,
        tree,
    },
    model::{
        approval::{Approval, Style},
        digest::Digest,
        ending::Ending,
        evidence::Evidence,
        ids::Oid,
        refusal::Code,
    },
    port::{Ledger as _, NewCommit, Remote as _, Sign, Source as _, TreeEdit, Want},
    record::{Appended, Record, append::Append},
};

use crate::support::{repo::Repo, site::Site};

fn record<'a>(git: &'a Git, remote: &'a GitRemote, clock: &'a SystemClock) -> Record<'a> {
    Record { source: git, ledger: git, remote: Some(remote), clock, pinned: None, sign: Sign::IfConfigured }
}

fn done(append: Append) -> Appended {
    match append {
        Append::Done(appended) => appended,
        Append::Moved(why) => panic!("{why}"),
    }
}

fn approval() -> Approval {
    let id = Oid::from_bytes([1; 20]);
    Approval {
        pr: 142,
        head: id,
        merge: id,
        tree: id,
        style: Style::Merge,
        base: id,
        covers: vec![142],
        weak: false,
        adopted: Vec::new(),
        baseline: None,
        reviews: Vec::new(),
        forge: None,
        server_signed: false,
    }
}

const RUN: &str = "20261122T101530Z-1a2b3c4d";

/// A record with a genesis and a policy, and everything that belongs to it.
struct Bench {
    repo: Repo,
    git: Git,
    clock: SystemClock,
    policy: Oid,
    policy_commit: Oid,
}

impl Bench {
    fn new() -> Self {
        let repo = Repo::new();
        let (git, clock) = (repo.open(), SystemClock::new(&repo.env()));
        repo.write("platform.yaml", "schema: platform/1\n");
        repo.write("allowed_signers", "x\n");
        let policy_commit = repo.commit("policy");
        let (policy, signers) = (repo.id("HEAD:platform.yaml"), repo.id("HEAD:allowed_signers"));
        let bench = Self { repo, git, clock, policy, policy_commit };
        bench.append(&bench.draft(Kind::Genesis));
        let mut event = bench.draft(Kind::Policy);
        (event.policy, event.signers, event.policy_commit) = (Some(policy), Some(signers), Some(policy_commit));
        bench.append(&event);
        bench
    }

    fn append(&self, event: &Event) -> Oid {
        let remote = self.repo.remote();
        done(record(&self.git, &remote, &self.clock).append(event, None).unwrap()).commit
    }

    fn draft(&self, kind: Kind) -> Event {
        let actor = Actor { name: "Ola".into(), email: "ola@example.org".into(), key: None, via: None };
        Event::draft(kind, platformctl::port::Clock::now(&self.clock), actor)
    }

    fn about(&self, kind: Kind, run: &str) -> Event {
        let mut event = self.draft(kind);
        event.run = Some(run.parse().unwrap());
        event.module = Some("site".parse().unwrap());
        event.host = Some("box".parse().unwrap());
        event.approved = Some(approval());
        event.effective = Some(Digest::of(b"e"));
        event.closure = Some(Digest::of(b"c"));
        event.plan = Some(Digest::of(b"p"));
        event.policy = Some(self.policy);
        event.checkout = Some(platformctl::model::gate::Binding::Bound);
        event
    }

    fn intent(&self, run: &str) -> Event {
        let mut event = self.about(Kind::ApplyIntent, run);
        event.lock = Some(Lock {
            project: None,
            scope: crate::support::lock_key("box/site"),
            expires: event.time.plus_s(600),
            nonce: "n".into(),
        });
        event
    }

    fn outcome(&self, of: &Event, intent: Oid, result: Ending) -> Event {
        let failed = (result != Ending::Ok).then(|| "probe_failed".to_owned());
        let evidence = Evidence { failed, ..Evidence::default() };
        self.draft(Kind::ApplyOutcome).answering(intent, of, result, evidence)
    }

    fn tip(&self) -> Checked {
        chain::trusted(&self.git, self.git.tip().unwrap().unwrap()).unwrap()
    }

    /// Writes a record as its event says, without asking whether it holds.
    fn lay(&self, before: &Checked, parents: &[Oid], event: &Event) -> Oid {
        let mut event = event.clone();
        (event.seq, event.genesis) = (before.event.seq + 1, Some(before.genesis));
        event.time = event.time.max(before.event.time);
        let state = State::at(&self.git, before.id).unwrap();
        let file = tree::file(&event).unwrap();
        // What cannot be folded is judged before its tree is.
        let edits = fold::fold(&event, &state.files(&event).unwrap());
        let edits = edits.unwrap_or_else(|_| vec![TreeEdit::Put(tree::EVENT.to_owned(), file)]);
        let message = message::render(&event, Digest::of(&tree::file(&event).unwrap())).unwrap();
        let commit = NewCommit {
            tree: self.git.write_tree(Some(before.tree), &edits).unwrap(),
            parents: parents.to_vec(),
            author: (event.actor.name.clone(), event.actor.email.clone()),
            time: event.time,
            message,
            sign: Sign::IfConfigured,
        };
        self.git.write_commit(&commit).unwrap()
    }

    /// What is wrong with an event after the tip.
    fn fault(&self, event: &Event) -> String {
        let before = self.tip();
        let id = self.lay(&before, &[before.id], event);
        match chain::check(&self.git, &self.git, Some(&before), id).unwrap() {
            Ok(_) => "holds".to_owned(),
            Err(fault) => fault.to_string(),
        }
    }
}

type Change<'a> = &'a dyn Fn(&mut Event);

/// Attack: somebody with push access writes a well-formed outcome that names a different pull request, merge, plan or host than its intent.
/// Defence: every reader compares an outcome with the intent that opened its run, field by field.
#[test]
fn outcome_must_match_its_intent() {
    let bench = Bench::new();
    let opening = bench.intent(RUN);
    let opened = bench.append(&opening);
    let good = bench.outcome(&opening, opened, Ending::Ok);
    assert_eq!(bench.fault(&good), "holds");
    let other = Oid::from_bytes([2; 20]);
    let cases: &[(&str, Change<'_>)] = &[
        ("rule `pr` expects that of its intent, 142, found 7", &|event| event.approved.as_mut().unwrap().pr = 7),
        ("rule `head`", &|event| event.approved.as_mut().unwrap().head = other),
        ("rule `merge`", &|event| event.approved.as_mut().unwrap().merge = other),
        ("rule `approved`", &|event| event.approved.as_mut().unwrap().covers = vec![7, 142]),
        ("rule `closure`", &|event| event.closure = Some(Digest::of(b"x"))),
        ("rule `effective`", &|event| event.effective = Some(Digest::of(b"x"))),
        ("rule `plan`", &|event| event.plan = Some(Digest::of(b"x"))),
        ("rule `policy`", &|event| event.policy = Some(other)),
        ("rule `checkout` expects that of its intent, bound, found waived", &|event| {
            event.checkout = Some(platformctl::model::gate::Binding::Waived);
        }),
        ("rule `module`", &|event| event.module = Some("other".parse().unwrap())),
        ("rule `host`", &|event| event.host = Some("other".parse().unwrap())),
        ("rule `intent`", &|event| event.intent = Some(other)),
        ("rule `run`", &|event| event.run = Some("20261122T101530Z-00000000".parse().unwrap())),
        ("rule `fields` expects evidence", &|event| event.evidence = None),
        ("rule `result`", &|event| event.result = Some(Ending::Failed)),
        ("rule `result`", &|event| event.evidence.as_mut().unwrap().failed = Some("x".into())),
        ("rule `fields`", &|event| event.reason = Some("x".into())),
    ];
    for (rule, change) in cases {
        let mut event = good.clone();
        change(&mut event);
        let said = bench.fault(&event);
        assert!(said.starts_with(rule), "{rule}: {said}");
    }
}

/// Attack: a second run starts while one is open, or reuses the id of an earlier run whose result is still on the host.
/// Defence: an intent needs a scope without an open run and a run id greater than every earlier one of its deployment.
#[test]
fn intent_needs_a_free_scope_and_a_new_run_id() {
    let bench = Bench::new();
    let opening = bench.intent(RUN);
    let opened = bench.append(&opening);
    let later = "20261122T101531Z-00000001";
    let said = bench.fault(&bench.intent(later));
    assert!(said.starts_with("rule `scope` expects no open run of site"), "{said}");
    // Another module of the same scope.
    let mut other = bench.intent(later);
    other.module = Some("other".parse().unwrap());
    other.lock.as_mut().unwrap().project = Some("site".to_owned());
    let said = bench.fault(&other);
    assert!(said.starts_with("rule `scope` expects no open run of other@box or of its scope"), "{said}");
    let said = bench.fault(&bench.about(Kind::ApplyNoop, later));
    assert!(said.starts_with("rule `scope`"), "a no-op beside an open run: {said}");
    bench.append(&bench.outcome(&opening, opened, Ending::Ok));
    assert_eq!(bench.fault(&bench.intent(later)), "holds");
    for used in [RUN, "20261122T101529Z-ffffffff"] {
        for event in [bench.intent(used), bench.about(Kind::ApplyNoop, used)] {
            let said = bench.fault(&event);
            assert!(said.starts_with(&format!("rule `run` expects a run id greater than {RUN}")), "{said}");
        }
    }
    // Another module may not notice; whoever reads everything does.
    let mut other = bench.about(Kind::ApplyNoop, RUN);
    other.module = Some("other".parse().unwrap());
    bench.append(&other);
    let remote = bench.repo.remote();
    let (_, _, twice) = record(&bench.git, &remote, &bench.clock).verify_all(bench.tip().id).unwrap();
    assert_eq!(twice, [RUN.parse().unwrap()]);
    // And each of them is what its kind has to be.
    let cases: &[(&str, Kind, Change<'_>)] = &[
        ("rule `fields` expects plan on", Kind::ApplyNoop, &|event| event.plan = None),
        ("rule `fields` expects closure on", Kind::ApplyNoop, &|event| event.closure = None),
        ("rule `fields`", Kind::ApplyNoop, &|event| event.reason = Some("why".into())),
        ("rule `policy`", Kind::ApplyNoop, &|event| event.policy = Some(Oid::from_bytes([9; 20]))),
        ("rule `policy`", Kind::ApplyIntent, &|event| event.policy = Some(Oid::from_bytes([9; 20]))),
        ("rule `scope`", Kind::ApplyIntent, &|event| {
            event.lock.as_mut().unwrap().scope = crate::support::lock_key("else/site");
        }),
    ];
    for (rule, kind, change) in cases {
        let mut event = if *kind == Kind::ApplyIntent { bench.intent(later) } else { bench.about(*kind, later) };
        change(&mut event);
        let said = bench.fault(&event);
        assert!(said.starts_with(rule), "{rule}: {said}");
    }
}

/// Attack: a policy event puts a policy into force that no commit of the base ever had.
/// Defence: the event names the commit that it was read from, and its blobs must be in the tree of that commit.
#[test]
fn kinds_require_their_fields() {
    let bench = Bench::new();
    let policy = || {
        let mut event = bench.draft(Kind::Policy);
        (event.policy, event.policy_commit) = (Some(bench.policy), Some(bench.policy_commit));
        event.signers = Some(bench.repo.id("HEAD:allowed_signers"));
        event
    };
    assert_eq!(bench.fault(&policy()), "holds");
    assert_eq!(bench.fault(&Event { reason: Some("the baseline".into()), ..policy() }), "holds");
    let readme = bench.repo.id("HEAD:README");
    let said = bench.fault(&Event { policy: Some(readme), ..policy() });
    assert_eq!(said, format!("rule `policy` expects {}, found {readme}", bench.policy));
    let said = bench.fault(&Event { signers: None, ..policy() });
    assert!(said.starts_with("rule `signers`") && said.ends_with("found none"), "{said}");
    let said = bench.fault(&Event { policy_commit: None, ..policy() });
    assert_eq!(said, "rule `fields` expects policy_commit on an event of kind policy, found none");
    for kind in [Kind::BreakGlass, Kind::Annotate] {
        let said = bench.fault(&bench.draft(kind));
        assert!(said.starts_with("rule `fields`") && said.contains("reason"), "{said}");
    }
    let blank = Event { reason: Some("  ".into()), ..bench.draft(Kind::Annotate) };
    assert_eq!(bench.fault(&blank), "rule `fields` expects a reason with words in it, found an empty one");
    let said = bench.fault(&bench.draft(Kind::Recover));
    assert!(said.starts_with("rule `fields` expects reason, voids, voided"), "{said}");
    let mut event = bench.draft(Kind::Annotate);
    (event.reason, event.actor.key) = (Some("x".into()), Some("SHA256:abc".into()));
    assert_eq!(bench.fault(&event), "rule `key` expects a signature by SHA256:abc, found none");
}

/// Attack: a record commit has headers that its event does not imply, such as a second author or another encoding.
/// Defence: the headers are computed from the event and compared byte for byte.
#[test]
fn record_with_extra_headers_is_invalid() {
    let bench = Bench::new();
    let mut event = bench.draft(Kind::Annotate);
    event.reason = Some("x".into());
    let before = bench.tip();
    let id = bench.append(&event);
    let raw = bench.repo.git(&["cat-file", "commit", &id.to_string()]) + "\n";
    let author = raw.lines().find(|line| line.starts_with("author ")).unwrap().to_owned();
    let cases = [
        raw.replacen(&author, &format!("{author}\n{author}"), 1),
        raw.replacen("committer platformctl <platformctl@localhost>", "committer Eve <eve@example.org>", 1),
        raw.replacen("\n\n", "\nencoding latin-1\n\n", 1),
        raw.replacen("\n\n", "\nx-note hello\n\n", 1),
        raw.replacen(" +0000\ncommitter", " +0100\ncommitter", 1),
    ];
    for text in cases {
        assert_ne!(text, raw);
        bench.repo.write("raw", &text);
        let forged: Oid = bench.repo.git(&["hash-object", "-t", "commit", "-w", "--literally", "raw"]).parse().unwrap();
        let fault = chain::check(&bench.git, &bench.git, Some(&before), forged).unwrap().unwrap_err();
        assert_eq!(fault.rule, "headers", "{text}: {fault}");
    }
    assert!(chain::check(&bench.git, &bench.git, Some(&before), id).unwrap().is_ok());
}

/// Attack: a writer's clock is a year ahead when it records something.
/// Defence: no reader compares a record with its own clock; a later record uses at least the time of its predecessor.
#[test]
fn record_with_a_future_time_is_accepted() {
    let bench = Bench::new();
    let mut event = bench.draft(Kind::Annotate);
    event.reason = Some("from next year".into());
    event.time = event.time.plus_s(365 * 86_400);
    assert_eq!(bench.fault(&event), "holds");
    let ahead = bench.append(&event);
    let mut event = bench.draft(Kind::Annotate);
    event.reason = Some("from now".into());
    let after = bench.append(&event);
    let time = |id| State::at(&bench.git, id).unwrap().event().unwrap().time;
    assert_eq!(time(after), time(ahead), "a writer's time is at least its parent's");
    // The other way round no record holds: a time before its parent's is the writer's mistake, whoever reads it.
    let before = bench.tip();
    let id = bench.lay(&before, &[before.id], &event);
    let raw = bench.repo.git(&["cat-file", "commit", &id.to_string()]);
    assert!(raw.contains(&time(ahead).unix_s().to_string()));
}

// Junk and recovery.

/// Attack: somebody writes a recover record that declares valid records to be junk, to remove them from the chain.
/// Defence: every reader refuses a recover record if any displaced commit is a valid record.
#[test]
fn recover_record_cannot_void_valid_records() {
    let bench = Bench::new();
    let note = |text: &str| Event { reason: Some(text.into()), ..bench.draft(Kind::Annotate) };
    let base = bench.tip();
    let (one, two) = (bench.append(&note("one")), bench.append(&note("two")));
    let recover = |voids: &[Oid]| {
        let (listed, all) = platformctl::ledger::recover::names(voids);
        Event { reason: Some("x".into()), voids: listed, voided: Some(all), ..bench.draft(Kind::Recover) }
    };
    let judged = |before: &Checked, displaced: Oid, voids: &[Oid]| {
        let id = bench.lay(before, &[before.id, displaced], &recover(voids));
        match chain::check(&bench.git, &bench.git, Some(before), id).unwrap() {
            Ok(_) => "holds".to_owned(),
            Err(fault) => fault.to_string(),
        }
    };
    let held = |id: Oid| {
        format!("rule `recover` expects no displaced commit that is a valid record, found {id} is a valid record")
    };
    assert_eq!(judged(&base, two, &[one, two]), held(one));
    // Hidden below a merge.
    let junk = |parents: &[&Oid]| -> Oid {
        let parents: Vec<String> = parents.iter().flat_map(|id| ["-p".to_owned(), id.to_string()]).collect();
        let args = ["commit-tree", "-m", "junk", "HEAD^{tree}"].map(str::to_owned).into_iter().chain(parents);
        let args: Vec<String> = args.collect();
        bench.repo.git(&args.iter().map(String::as_str).collect::<Vec<_>>()).parse().unwrap()
    };
    let main = bench.repo.id("HEAD");
    let merge = junk(&[&main, &two]);
    let all = platformctl::ledger::recover::displaced(&bench.git, base.id, merge).unwrap().0;
    assert_eq!(judged(&base, merge, &all), held(one));
    // From a fork that somebody merged.
    let fork_id = bench.lay(&base, &[base.id], &note("fork"));
    let fork = chain::check(&bench.git, &bench.git, Some(&base), fork_id).unwrap().unwrap();
    let merge = junk(&[&fork.id, &two]);
    let all = platformctl::ledger::recover::displaced(&bench.git, fork.id, merge).unwrap().0;
    assert_eq!(judged(&fork, merge, &all), held(one));
    // Something that does not contain the good record is not on top of it.
    let said = judged(&fork, two, &[one, two]);
    assert!(said.starts_with("rule `recover` expects a displaced tip that contains"), "{said}");
    // What it voids is named whole.
    let tip = bench.tip();
    let first = junk(&[&two]);
    assert_eq!(judged(&tip, first, &[first]), "holds");
    for wrong in [vec![], vec![main], vec![first, main]] {
        let said = judged(&tip, first, &wrong);
        assert!(said.starts_with("rule `voids`") || said.starts_with("rule `fields`"), "{said}");
    }
    // A recover record that voids what holds is junk itself, and can be recovered from.
    let bad = bench.lay(&base, &[base.id, two], &recover(&[one, two]));
    assert_eq!(judged(&tip, bad, &[bad]), "holds");
    let good = bench.lay(&tip, &[tip.id, first], &recover(&[first]));
    assert_eq!(judged(&tip, good, &[first, good]), held(good), "a good one is a record like any other");
}

/// What somebody pushes by mistake or on purpose, as a fast-forward of the record.
fn junk(site: &Site, kind: &str) -> Oid {
    let repo = &site.repo;
    let tip = repo.git(&["rev-parse", "refs/platform/state"]);
    let commit = |tree: &str, parents: &[&str]| {
        let parents: Vec<&str> = parents.iter().flat_map(|parent| ["-p", *parent]).collect();
        repo.git(&[&["commit-tree", "-m", "junk", tree][..], &parents[..]].concat())
    };
    let with = |path: &str, mode: &str, id: &str| {
        let index = repo.path("index").display().to_string();
        let script = format!(
            "export GIT_INDEX_FILE={index}; rm -f {index}; git read-tree {tip} && \
             git update-index --add --cacheinfo {mode},{id},{path} && git write-tree"
        );
        let output = Command::new("sh").args(["-ec", &script]).current_dir(repo.work()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let text = |text: &str| {
        repo.write("../junk", text);
        repo.git(&["hash-object", "-w", "../junk"])
    };
    let event = repo.git(&["show", "refs/platform/state:event.json"]);
    let raw = |change: &dyn Fn(&str) -> String| {
        repo.write("../raw", &change(&(repo.git(&["cat-file", "commit", &tip]) + "\n")));
        repo.git(&["hash-object", "-t", "commit", "-w", "--literally", "../raw"])
    };
    let id = match kind {
        "another history" => commit("main^{tree}", &["main", &tip]),
        "the same tree" => commit(&format!("{tip}^{{tree}}"), &[&tip]),
        "no event" => commit("main^{tree}", &[&tip]),
        "an event that nobody has" => commit(&with("event.json", "160000", &"1".repeat(40)), &[&tip]),
        "not canonical" => {
            let event = event.replacen(':', ": ", 1);
            commit(&with("event.json", "100644", &text(&event)), &[&tip])
        }
        "of another kind" => {
            let event = event.replace("apply.outcome", "apply.magic");
            commit(&with("event.json", "100644", &text(&event)), &[&tip])
        }
        "several" => {
            let one = commit(&format!("{tip}^{{tree}}"), &[&tip]);
            let two = commit(&format!("{tip}^{{tree}}"), &[&one]);
            commit(&format!("{tip}^{{tree}}"), &[&two])
        }
        "a tag" => {
            let one = commit("main^{tree}", &[&tip]);
            repo.git(&["tag", "-a", "-m", "x", "junk", &one]);
            repo.git(&["rev-parse", "junk"])
        }
        "no author" => raw(&|text| {
            let rest = text.lines().filter(|line| !line.starts_with("author ")).collect::<Vec<_>>().join("\n");
            let parent = text.lines().find(|line| line.starts_with("parent ")).unwrap();
            rest.replacen(parent, &format!("parent {tip}"), 1).replacen("committer ", "author nobody\ncommitter ", 1)
        }),
        _ => panic!("{kind}"),
    };
    id.parse().unwrap()
}

fn clone(site: &Site, name: &str) -> PathBuf {
    site.repo.git_in(".", &["clone", "-q", "remote.git", name]);
    site.repo.path(name)
}

/// The fact of the refusal, on one line.
fn fact(site: &Site, dir: &Path, args: &[&str]) -> (i64, String, String) {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let output = site.binary(dir, 5, &args).output().unwrap();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |key: &str| value["refusals"][0][key].as_str().unwrap_or_default().to_owned();
    (value["exit"].as_i64().unwrap(), of("fact"), of("fix"))
}

/// Attack: somebody pushes a commit that is not a record onto refs/platform/state, as a fast-forward.
/// Defence: every clone reports the same error, and one `state recover` repairs all of them.
#[test]
fn junk_push_is_recovered_by_one_command() {
    costs_one_command(&["the same tree", "no event", "not canonical"]);
}

#[test]
fn invalid_events_are_recovered_by_one_command() {
    costs_one_command(&["an event that nobody has", "of another kind", "several", "a tag"]);
}

#[test]
fn unreadable_commits_are_recovered_by_one_command() {
    costs_one_command(&["no author", "another history"]);
}

fn costs_one_command(kinds: &[&str]) {
    for kind in kinds {
        let site = Site::new();
        let old = clone(&site, "old");
        assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
        // A clone that saw the record before, and one that saw it whole.
        let seen = site.binary(&old, 0, &["state", "fetch"]).output().unwrap();
        assert!(seen.status.success());
        site.change(2, "two\n");
        assert!(site.run(1, "apply site --pr 2").starts_with("exit 0\n"));
        let good = site.repo.git(&["rev-parse", "refs/platform/state"]);
        let junk = junk(&site, kind).to_string();
        site.repo.git(&["push", "-q", "--no-verify", "origin", &format!("{junk}:refs/platform/state")]);
        let fetched = clone(&site, "fresh");
        // And one whose own ref was moved to it by hand.
        let moved = clone(&site, "moved");
        site.repo.git_in("moved", &["fetch", "-q", "origin", "refs/platform/state:refs/platform/state"]);
        site.change(3, "three\n");
        let work = site.repo.work();
        let dirs = [&work, &old, &fetched, &moved];
        let mut said: Vec<_> = dirs.iter().map(|dir| fact(&site, dir, &["apply", "site", "--pr", "3"])).collect();
        said.dedup();
        assert_eq!(said.len(), 1, "{kind}: the same in every clone: {said:#?}");
        let (exit, fact_, fix) = &said[0];
        assert_eq!((*exit, fix.as_str()), (20, "platformctl state recover --reason \"…\""), "{kind}: {fact_}");
        assert!(fact_.contains("is not valid: rule `") && fact_.contains(" expects "), "{kind}: {fact_}");
        assert_eq!(site.live(), "two\n");
        // One command, from any of them: here from one that never saw the record before.
        let output = site.binary(&fetched, 6, &["state", "recover", "--reason", "a junk push"]).output().unwrap();
        assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
        let tip = site.repo.git_in("remote.git", &["rev-parse", "refs/platform/state"]);
        let parents = site.repo.git_in("remote.git", &["log", "-1", "--format=%P", &tip]);
        let displaced = site.repo.git(&["rev-parse", &format!("{junk}^{{commit}}")]);
        assert_eq!(parents, format!("{good} {displaced}"), "{kind}: a fast-forward of both");
        for dir in dirs {
            let output = site.binary(dir, 7, &["verify"]).output().unwrap();
            assert!(output.status.success(), "{kind}: {}", site.told(&output));
        }
        let said = site.run(8, "apply site --pr 3");
        assert!(said.starts_with("exit 0\n"), "{kind}: {said}");
        assert_eq!(site.live(), "three\n");
        site.repo.git_in("old", &["pull", "-q", "origin", "main"]);
        let again = site.binary(&old, 9, &["apply", "site", "--pr", "3"]).output().unwrap();
        assert!(site.told(&again).contains("nothing to change"), "{kind}: {}", site.told(&again));
        // The hook lets it pass to a mirror that still has the junk.
        let mirror = site.repo.path("mirror.git");
        site.repo.git_in(".", &["init", "-q", "--bare", "mirror.git"]);
        site.repo.git(&["remote", "add", "mirror", mirror.to_str().unwrap()]);
        site.repo.git(&["push", "-q", "mirror", &format!("{displaced}:refs/platform/state")]);
        site.run(9, "hook install");
        let path = std::env::var("PATH").unwrap();
        let bin = PathBuf::from(env!("CARGO_BIN_EXE_platformctl")).parent().unwrap().display().to_string();
        let pushed = Command::new("git")
            .args(["push", "-q", "mirror", "refs/platform/state"])
            .current_dir(site.repo.work())
            .env("PATH", format!("{bin}:{path}"))
            .env("HOME", site.repo.path("home"))
            .output()
            .unwrap();
        assert!(pushed.status.success(), "{kind}: {pushed:?}");
    }
}

/// docs/recovery.md shows what a person sees and types.
#[test]
fn recovery_page_prints_the_documented_output() {
    let site = Site::new();
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    site.change(2, "two\n");
    let junk = junk(&site, "the same tree").to_string();
    site.repo.git(&["push", "-q", "--no-verify", "origin", &format!("{junk}:refs/platform/state")]);
    let mut text = "```console\n".to_owned();
    let mut ids: Vec<String> = Vec::new();
    for (minutes, command) in
        [(1, "apply site --pr 2"), (2, "state recover --reason 'a push with a wrong refspec'"), (3, "verify")]
    {
        let args: Vec<&str> = command
            .split(" '")
            .flat_map(|part| match part.strip_suffix('\'') {
                Some(quoted) => vec![quoted],
                None => part.split(' ').collect(),
            })
            .collect();
        let output = site.binary(&site.repo.work(), minutes, &args).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        text += &format!("$ platformctl {command}\n");
        for line in said.lines() {
            let mut line = line.to_owned();
            let words: Vec<String> = line.split(|c: char| !c.is_ascii_hexdigit()).map(str::to_owned).collect();
            for id in words.iter().filter(|word| word.len() == 40) {
                let at = ids.iter().position(|known| known == id).unwrap_or(ids.len());
                if at == ids.len() {
                    ids.push(id.clone());
                }
                line = line.replace(id, &Digest::of(format!("recovery {at}").as_bytes()).hex()[..40]);
            }
            text += &format!("{line}\n");
        }
    }
    text += "```\n";
    crate::generated::section("docs/recovery.md", "recover", &text);
}

/// Recover is the cure of junk alone.
#[test]
fn recover_is_refused_for_valid_and_rewound_records() {
    let site = Site::new();
    let recover = |why: &str| {
        let output = site.binary(&site.repo.work(), 1, &["state", "recover", "--reason", why]).output().unwrap();
        site.told(&output)
    };
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    let tip = site.repo.git(&["rev-parse", "refs/platform/state"]);
    let said = recover("x");
    assert!(said.starts_with("exit 2\n") && said.contains("the record is valid"), "{said}");
    assert!(recover(" ").contains("the reason is empty"));
    let put = |id: &str| site.repo.git_in("remote.git", &["update-ref", "refs/platform/state", id]);
    put(&site.repo.git(&["rev-parse", "refs/platform/state~1"]));
    let said = recover("x");
    assert!(said.starts_with("exit 20\n") && said.contains("state_rewound"), "{said}");
    site.repo.git(&["push", "-q", "--force", "origin", "main:refs/platform/state"]);
    let said = recover("x");
    assert!(said.starts_with("exit 20\n") && said.contains("state_forked"), "{said}");
    // Where nobody has a record there is nothing to go back to.
    let fetched = clone(&site, "fresh");
    let output = site.binary(&fetched, 1, &["state", "recover", "--reason", "x"]).output().unwrap();
    let said = site.told(&output);
    assert!(said.starts_with("exit 20\n") && said.contains("nothing below"), "{said}");
    put(&tip);
    assert!(site.run(1, "verify").starts_with("exit 0\n"));
}

/// An administrator sets the ref back from junk: a clone whose own ref was moved to the junk by hand goes on as well.
#[test]
fn unverified_record_is_not_remembered() {
    let site = Site::new();
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    let good = site.repo.git(&["rev-parse", "refs/platform/state"]);
    let junk = junk(&site, "no event").to_string();
    site.repo.git(&["push", "-q", "--no-verify", "origin", &format!("{junk}:refs/platform/state")]);
    let moved = clone(&site, "moved");
    let fetch = ["fetch", "-q", "origin", "refs/platform/state:refs/platform/state"];
    site.repo.git_in("moved", &fetch);
    site.repo.git(&fetch);
    site.repo.git_in("remote.git", &["update-ref", "refs/platform/state", &good]);
    for dir in [&moved, &site.repo.work()] {
        let output = site.binary(dir, 1, &["verify"]).output().unwrap();
        assert!(output.status.success(), "{}", site.told(&output));
    }
    // What was believed once is.
    site.repo.git_in("remote.git", &["update-ref", "refs/platform/state", &format!("{good}~1")]);
    for dir in [&moved, &site.repo.work()] {
        let said = site.told(&site.binary(dir, 1, &["verify"]).output().unwrap());
        assert!(said.starts_with("exit 20\n") && said.contains("state_rewound"), "{said}");
    }
}

/// A tag that points to the record, pushed in its place, is the record; the next record replaces it.
#[test]
fn tag_at_the_state_ref_is_followed() {
    let site = Site::new();
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    site.repo.git(&["tag", "-a", "-m", "x", "mark", "refs/platform/state"]);
    site.repo.git(&["push", "-q", "--no-verify", "origin", "mark:refs/platform/state"]);
    let fetched = clone(&site, "fresh");
    let output = site.binary(&fetched, 1, &["verify"]).output().unwrap();
    assert!(output.status.success(), "{}", site.told(&output));
    site.change(2, "two\n");
    let said = site.run(1, "apply site --pr 2");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let kind = site.repo.git_in("remote.git", &["cat-file", "-t", "refs/platform/state"]);
    assert_eq!(kind, "commit");
    // What leads to no commit is told as what it is.
    let blob = site.repo.git(&["rev-parse", "main:platform.yaml"]);
    site.repo.git_in("remote.git", &["update-ref", "refs/platform/state", &blob]);
    let said = site.run(2, "apply site --pr 2");
    assert!(said.starts_with("exit 20\n") && said.contains("is no commit"), "{said}");
}

/// Somebody else pushes more junk between the look and the recovery: nothing is pushed over it.
#[test]
fn recovery_is_refused_when_the_remote_moves() {
    let bench = Bench::new();
    let remote = bench.repo.remote();
    let record = record(&bench.git, &remote, &bench.clock);
    let tip = bench.tip();
    let tree = format!("{}^{{tree}}", tip.id);
    let junk = bench.repo.git(&["commit-tree", "-m", "junk", "-p", &tip.id.to_string(), &tree]);
    bench.repo.git(&["push", "-q", "origin", &format!("{junk}:refs/platform/state")]);
    remote.fetch(&[Want::State]).unwrap();
    let recovery = record.recovery(junk.parse().unwrap()).unwrap().unwrap();
    assert_eq!((recovery.good.id, recovery.voids.as_slice()), (tip.id, &[junk.parse().unwrap()][..]));
    let more = bench.repo.git(&["commit-tree", "-m", "more", "-p", &junk, &tree]);
    bench.repo.git(&["push", "-q", "origin", &format!("{more}:refs/platform/state")]);
    assert_eq!(record.recover(&recovery, "x").unwrap_err().code, Code::Contention);
    assert_eq!(bench.git.tip().unwrap(), Some(tip.id));
    remote.fetch(&[Want::State]).unwrap();
    let recovery = record.recovery(more.parse().unwrap()).unwrap().unwrap();
    assert_eq!(recovery.voids.len(), 2);
    let done = record.recover(&recovery, "x").unwrap();
    assert_eq!(bench.git.tip().unwrap(), Some(done.commit));
    assert_eq!(bench.repo.git_in("remote.git", &["rev-parse", "refs/platform/state"]), done.commit.to_string());
    let event = State::at(&bench.git, done.commit).unwrap().event().unwrap();
    assert_eq!(event.voided.unwrap().count, 2);
    assert!(bench.git.has(more.parse().unwrap()).unwrap(), "evidence is kept");
}

// Late results.

/// A result that arrives after its run was taken over is recorded as late, once, also when it waited in the spool.
#[test]
fn late_result_is_recorded() {
    for spooled in [false, true] {
        let bench = Bench::new();
        let remote = bench.repo.remote();
        let record = record(&bench.git, &remote, &bench.clock);
        let opening = bench.intent(RUN);
        let opened = bench.append(&opening);
        let late = bench.outcome(&opening, opened, Ending::Ok);
        if spooled {
            fs::rename(bench.repo.path("remote.git"), bench.repo.path("gone.git")).unwrap();
            assert!(!record.append_or_spool(&late).unwrap().on_remote);
            fs::rename(bench.repo.path("gone.git"), bench.repo.path("remote.git")).unwrap();
        }
        let mut takeover = bench.draft(Kind::Takeover);
        (takeover.run, takeover.intent) = (opening.run.clone(), Some(opened));
        (takeover.module, takeover.host) = (opening.module.clone(), opening.host.clone());
        takeover.reason = Some("the laptop is gone".into());
        bench.append(&takeover);
        // Nothing else than that result of that intent.
        let as_late = Event { kind: Kind::LateOutcome, ..late.clone() };
        assert_eq!(bench.fault(&as_late), "holds");
        let said = bench.fault(&Event { closure: Some(Digest::of(b"x")), ..as_late.clone() });
        assert!(said.starts_with("rule `closure`"), "{said}");
        for intent in [Oid::from_bytes([8; 20]), bench.repo.id("HEAD"), bench.tip().id] {
            let said = bench.fault(&Event { intent: Some(intent), ..as_late.clone() });
            assert!(said.starts_with("rule `intent`") || said.starts_with("rule `run`"), "{said}");
        }
        if spooled {
            assert_eq!(record.deliver().unwrap(), 1);
        } else {
            assert!(record.append_or_spool(&late).unwrap().on_remote);
        }
        let event = bench.tip().event;
        assert_eq!((event.kind, event.result), (Kind::LateOutcome, Some(Ending::Ok)));
        assert!(bench.git.notes("spool").unwrap().is_empty());
        // The same once more says what the record has.
        let tip = bench.tip().id;
        assert_eq!(record.append_or_spool(&late).unwrap().commit, tip);
        assert!(bench.fault(&as_late).starts_with("rule `run` expects a result that the record does not have yet"));
        // Another result of the same run is another fact.
        let failed = bench.outcome(&opening, opened, Ending::Failed);
        assert!(record.append_or_spool(&failed).unwrap().on_remote);
        assert_eq!(bench.tip().event.kind, Kind::LateOutcome);
        assert!(record.verify_all(bench.tip().id).is_ok());
    }
}

/// What can never be recorded does not stop every command of the clone: it is put aside.
#[test]
fn invalid_spool_entry_is_set_aside() {
    let bench = Bench::new();
    let remote = bench.repo.remote();
    let record = record(&bench.git, &remote, &bench.clock);
    bench.git.set_note("spool/x.json", Some(b"garbage")).unwrap();
    let opening = bench.intent(RUN);
    let stray = bench.outcome(&opening, Oid::from_bytes([3; 20]), Ending::Ok);
    bench.git.set_note("spool/y.json", Some(&tree::file(&stray).unwrap())).unwrap();
    assert_eq!(record.deliver().unwrap(), 0);
    assert_eq!(bench.git.notes("undelivered").unwrap(), ["x.json", "y.json"]);
    bench.git.set_note("unsent/z.json", Some(b"garbage")).unwrap();
    assert_eq!(record.settle().unwrap(), 0);
    assert_eq!(bench.git.notes("undelivered").unwrap(), ["x.json", "y.json", "z.json"]);
    assert!(bench.git.notes("spool").unwrap().is_empty());
}

// Clocks, witnesses and the gate.

/// Runs the binary with the host's clock `ahead` of this machine's.
fn dated(site: &Site, dir: &Path, ahead: i64, minutes: i64, args: &str) -> String {
    let args: Vec<&str> = args.split(' ').collect();
    let output = site.binary(dir, minutes, &args).env("PATH", site.repo.dated(ahead)).output().unwrap();
    site.told(&output)
}

/// Attack: the clock of this machine or of a host is wrong when a record is written.
/// Defence: the clocks of this machine and the host are compared before recording; a difference above 5 minutes is refused.
#[test]
fn clock_skew_prevents_recording() {
    let site = Site::new();
    let work = site.repo.work();
    for (ahead, time) in [(3600, "2026-09-21T15:"), (-3600, "2026-09-21T13:")] {
        for command in ["plan site --pr 1", "apply site --pr 1"] {
            let said = dated(&site, &work, ahead, 0, command);
            assert!(said.starts_with("exit 9\n") && said.contains("clock_skew"), "{said}");
            assert!(said.contains("2026-09-21T14:13:20Z") && said.contains(time), "both times: {said}");
        }
        assert_eq!((site.log(), site.live()), (vec![], "entity not found".to_owned()));
    }
    let said = dated(&site, &work, 290, 0, "apply site --pr 1");
    assert!(said.starts_with("exit 0\n"), "{said}");
    // The newest record says whose clock it is. Two hours on, the host's went back to before it.
    site.change(2, "two\n");
    let said = dated(&site, &work, -8000, 120, "apply site --pr 2").replace('\n', " ");
    assert!(said.contains("the host's clock seems to be behind: the newest record is later"), "{said}");
    // And here somebody's clock was a day behind, and the host's is right.
    assert!(site.run(24 * 60, "apply site --pr 2").starts_with("exit 0\n"));
    site.change(3, "three\n");
    let said = dated(&site, &work, 86_400, 0, "apply site --pr 3").replace('\n', " ");
    assert!(said.contains("this machine's clock seems to be behind: the newest record is later"), "{said}");
    assert_eq!(site.live(), "two\n");
    // With a host that agrees, the record from the future alone stops nobody, and is told.
    let said = site.run(0, "apply site --pr 3");
    assert!(said.starts_with("exit 0\n") && said.contains("the newest record is from the future"), "{said}");
    assert!(site.run(0, "log").contains("in the future") && site.run(0, "verify").starts_with("exit 0\n"));
}

/// Attack: the record is rewound, and a clone that never saw the newer records runs an apply that needs no change.
/// Defence: every command that contacts a host compares the record with the newest one that this host has seen.
#[test]
fn rewound_record_is_detected_by_a_noop() {
    let site = Site::new();
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    assert!(site.run(1, "apply site --again").starts_with("exit 0\n"));
    let tip = site.repo.git(&["rev-parse", "refs/platform/state"]);
    let put = |id: &str| site.repo.git_in("remote.git", &["update-ref", "refs/platform/state", id]);
    put(&site.repo.git(&["rev-parse", "refs/platform/state~2"]));
    let fetched = clone(&site, "fresh");
    for command in ["plan site --pr 1", "apply site --pr 1", "doctor"] {
        let args: Vec<&str> = command.split(' ').collect();
        let said = site.told(&site.binary(&fetched, 2, &args).output().unwrap());
        assert!(said.starts_with("exit 20\n"), "{command}: {said}");
        assert!(said.contains("which the record here does not contain") || said.contains("was shown record"), "{said}");
    }
    put(&tip);
    for command in ["plan site --pr 1", "apply site --pr 1", "doctor"] {
        let args: Vec<&str> = command.split(' ').collect();
        let said = site.told(&site.binary(&fetched, 3, &args).output().unwrap());
        assert!(said.starts_with("exit 0\n"), "{command}: {said}");
    }
    // Doctor says of a record that is not valid what everybody says.
    site.repo.git(&[
        "push",
        "-q",
        "--no-verify",
        "origin",
        &format!("{}:refs/platform/state", junk(&site, "no event")),
    ]);
    let said = site.told(&site.binary(&fetched, 3, &["doctor"]).output().unwrap());
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.starts_with("exit 20\n") && words.contains("is not valid: rule `event`"), "{said}");
}

/// Attack: something on the host overwrites `witness.json`, so that a rewound record would not be noticed there.
/// Defence: an unreadable witness is refused and never treated as a missing one.
#[test]
fn invalid_witness_is_refused() {
    let site = Site::new();
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    let witness = site.repo.path("root/witness.json");
    let good = fs::read_to_string(&witness).unwrap();
    let garbage = "{\"seq\":3}\nwritable yes\n";
    fs::write(&witness, garbage).unwrap();
    let said = site.run(1, "apply site --pr 1");
    assert!(!said.starts_with("exit 0\n"), "not even that there is nothing to change: {said}");
    site.change(2, "two\n");
    for command in ["apply site --pr 2", "plan site --pr 2", "doctor"] {
        let said = site.run(1, command);
        assert!(!said.starts_with("exit 0\n") && said.replace('\n', "").contains("witness.json"), "{command}: {said}");
    }
    assert_eq!(site.live(), "hello\n");
    fs::write(&witness, good).unwrap();
    assert!(site.run(1, "apply site --pr 2").starts_with("exit 0\n"));
}

/// Attack: the record is rewound, the witness on the host is removed, and a run gets a lower number than an earlier one.
/// Defence: the host refuses a run number that is not greater than its last one for this record (exit code 20).
#[test]
fn host_with_a_newer_run_refuses_with_20() {
    let site = Site::new();
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    let genesis = site.repo.git(&["rev-list", "--max-parents=0", "refs/platform/state"]);
    let fence = site.repo.path(&format!("root/locks/site.{genesis}.fence"));
    assert_eq!(fs::read_to_string(&fence).unwrap(), "2\n");
    fs::write(&fence, "999\n").unwrap();
    site.change(2, "two\n");
    let said = site.run(1, "apply site --pr 2");
    assert!(said.starts_with("exit 20\n") && said.contains("state_rewound"), "{said}");
    assert!(said.contains("Nothing that runs was changed."), "{said}");
    assert_eq!(site.live(), "hello\n");
    assert!(site.log()[0].starts_with("apply aborted"), "the run is not left open: {:?}", site.log());
    // What cannot be read is no newer run, and the record is not at fault.
    fs::write(&fence, "junk\n").unwrap();
    let said = site.run(2, "apply site --pr 2");
    assert!(!said.starts_with("exit 20\n") && said.contains("host_unfit") && said.contains("locks/*.fence"), "{said}");
    fs::remove_file(&fence).unwrap();
    assert!(site.run(3, "apply site --pr 2").starts_with("exit 0\n"));
}

/// A no-op that is recorded goes through the gate; one that is not still says that there is nothing to do.
#[test]
fn noop_passes_the_gate() {
    let site = Site::new();
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    site.repo.pull(2, "unrelated", "x\n");
    site.repo.merge(2, "pr2");
    let noop = site.json(1, "apply site --pr 1");
    let ids: Vec<&str> = noop["gate"].as_array().unwrap().iter().map(|check| check["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["machine", "witness"], "nothing is recorded");
    let before = site.log().len();
    // The clock is wrong: a no-op that would be recorded is not.
    let work = site.repo.work();
    let said = dated(&site, &work, 3600, 1, "apply site --pr 2");
    assert!(said.starts_with("exit 9\n") && said.contains("clock_skew"), "{said}");
    assert_eq!(site.log().len(), before);
    assert!(dated(&site, &work, 3600, 1, "apply site --pr 1").starts_with("exit 0\n"), "nothing is recorded");
    // A host on which nothing may change: nothing has to, and nothing is recorded about it.
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    site.repo.branch("pr3", "main");
    site.repo.write("platform.yaml", &policy.replace("mutations: enabled", "mutations: disabled"));
    site.repo.commit("close");
    site.repo.propose(3);
    site.repo.merge(3, "pr3");
    let said = site.run(2, "apply site --pr 2");
    assert!(said.starts_with("exit 0\n") && said.contains("nothing to change"), "{said}");
    assert_eq!(site.log().len(), before);
    site.repo.branch("pr4", "main");
    site.repo.write("platform.yaml", &policy);
    site.repo.commit("open");
    site.repo.propose(4);
    site.repo.merge(4, "pr4");
    let noop = site.json(3, "apply site --pr 2");
    assert!(noop["gate"].as_array().unwrap().iter().any(|check| check["id"] == "clock"), "{noop}");
    assert!(site.log()[0].starts_with("apply noop"), "{:?}", site.log());
}

// Open runs.

fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..800 {
        if so() {
            return;
        }
        sleep(Duration::from_millis(25));
    }
    panic!("{what} did not happen");
}

/// A module that is watched for some seconds: the test answers its probe.
fn watched() -> (Site, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let site = Site::empty("");
    site.repo.branch("pr1", "main");
    site.manifest(&format!("health: {{settle_s: 6, deadline_s: 100, probes: [{{tcp: '127.0.0.1:{port}'}}]}}\n"));
    site.repo.write("modules/site/public/index.html", "one\n");
    site.repo.commit("page");
    site.repo.propose(1);
    site.repo.merge(1, "pr1");
    (site, listener)
}

/// Attack: somebody resumes a run that another process still watches, so that two outcomes race and one is lost.
/// Defence: `resume` is busy while a process of the same clone watches, and while the result is so recent that another clone may be watching.
#[test]
fn resume_is_busy_while_apply_watches() {
    let (site, _listener) = watched();
    let other = clone(&site, "other");
    let mut child = site.binary(&site.repo.work(), 0, &["apply", "site", "--pr", "1", "--json"]).spawn().unwrap();
    until("the switch", || site.live() == "one\n");
    let ended = || {
        fs::read_dir(site.repo.path("root/runs")).unwrap().flatten().any(|run| run.path().join("result.json").exists())
    };
    until("the result", ended);
    let said = site.run(1, "resume");
    assert!(said.starts_with("exit 8\n") && said.contains("still at work"), "{said}");
    let output = site.binary(&other, 1, &["resume"]).output().unwrap();
    let said = site.told(&output);
    assert!(said.starts_with("exit 8\n") && said.contains("still watch"), "{said}");
    assert!(child.wait().unwrap().success(), "the apply records its own outcome");
    assert!(site.log()[0].starts_with("apply ok"));
    assert!(site.repo.git(&["rev-parse", "refs/platform/state"]).len() == 40);
}

/// Whoever watched is gone: its own clone resumes at once, another one when nobody can be watching any more.
#[test]
fn unwatched_run_can_be_resumed() {
    let (site, _listener) = watched();
    let other = clone(&site, "other");
    let mut child = site.binary(&site.repo.work(), 0, &["apply", "site", "--pr", "1", "--json"]).spawn().unwrap();
    let runs = site.repo.path("root/runs");
    let result =
        || fs::read_dir(&runs).ok()?.flatten().map(|run| run.path().join("result.json")).find(|path| path.exists());
    until("the result", || result().is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    let run = |args: &str| {
        let args: Vec<&str> = args.split(' ').collect();
        site.told(&site.binary(&other, 1, &args).output().unwrap())
    };
    assert!(run("resume").starts_with("exit 8\n"), "it may be watched");
    for command in ["plan site --pr 1", "pending"] {
        let said = run(command).replace('\n', " ");
        assert!(said.contains("platformctl resume 2026"), "{command} names the open run and what ends it: {said}");
    }
    // The host's clock is wrong: nothing is recorded.
    let said = dated(&site, &other, 90_000, 1, "resume");
    assert!(said.starts_with("exit 9\n") && said.contains("clock"), "{said}");
    let touched = Command::new("touch").args(["-d", "10 minutes ago"]).arg(result().unwrap()).status().unwrap();
    assert!(touched.success());
    let said = run("resume");
    assert!(said.starts_with("exit 0\n") && said.contains("applied"), "{said}");
    assert!(site.log()[0].starts_with("apply ok"));
}

/// The wait for a run whose holder is gone ends by itself once its time is over.
#[test]
fn apply_wait_names_the_other_run_and_ends_when_it_expires() {
    let (site, _listener) = watched();
    let other = clone(&site, "other");
    let mut child = site.binary(&site.repo.work(), 0, &["apply", "site", "--pr", "1", "--json"]).spawn().unwrap();
    let runs = site.repo.path("root/runs");
    let result =
        || fs::read_dir(&runs).ok()?.flatten().map(|run| run.path().join("result.json")).find(|path| path.exists());
    until("the result", || result().is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    let wait = |minutes| site.binary(&other, minutes, &["apply", "site", "--pr", "1", "--wait", "2"]).output().unwrap();
    let said = site.told(&wait(1));
    assert!(said.starts_with("exit 8\n"), "{said}");
    assert_eq!(said.matches("waiting for run").count(), 1, "{said}");
    let words = said.replace('\n', " ");
    assert!(words.contains("of Ola <ola@example.org> on site, open since 1 min ago"), "{said}");
    let said = site.told(&wait(61));
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert!(said.contains("had ended on its host: recorded") && said.contains("nothing to change"), "{said}");
    assert!(site.log()[0].starts_with("apply ok"));
}
