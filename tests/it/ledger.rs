//! The record: written by us, read by git, and believed only while it holds.

use std::cell::Cell;

use platformctl::{
    io::{clock::SystemClock, git::Git},
    ledger::{
        event::{Event, Kind, Lock},
        state::State,
    },
    model::{
        approval::{Approval, Style},
        digest::Digest,
        ending::Ending,
        evidence::Evidence,
        ids::Oid,
        refusal::Code,
    },
    port::{Answer, Ledger as _, PortError, Pushed, Remote, RemoteRefs, Sign, Want},
    record::{
        Appended, Record,
        append::{Append, Preconditions},
    },
};

use crate::support::{
    faulty::{Fault, Faulty as Racing, Fuse},
    repo::Repo,
};

/// A remote whose answers get lost.
struct Faulty<'a> {
    real: &'a dyn Remote,
    lose_pushes: Cell<u32>,
    drop_pushes: Cell<u32>,
}

fn take(left: &Cell<u32>) -> bool {
    let some = left.get() > 0;
    left.set(left.get().saturating_sub(1));
    some
}

impl Remote for Faulty<'_> {
    fn name(&self) -> &str {
        self.real.name()
    }
    fn refs(&self, pulls: bool) -> Answer<RemoteRefs> {
        self.real.refs(pulls)
    }
    fn fetch(&self, wants: &[Want]) -> Answer<()> {
        self.real.fetch(wants)
    }
    fn push_state(&self, id: Oid) -> Answer<Pushed> {
        if take(&self.drop_pushes) {
            return Ok(Pushed::Unknown("never sent".into()));
        }
        let answer = self.real.push_state(id);
        if take(&self.lose_pushes) { Ok(Pushed::Unknown("answer lost".into())) } else { answer }
    }
    fn try_push(&self, id: Oid) -> Answer<Pushed> {
        self.real.try_push(id)
    }
    fn try_rewrite(&self, newer: Oid, older: Oid, nonce: &str) -> Answer<bool> {
        self.real.try_rewrite(newer, older, nonce)
    }
}

fn record<'a>(git: &'a Git, remote: &'a dyn Remote, clock: &'a SystemClock) -> Record<'a> {
    Record { source: git, ledger: git, remote: Some(remote), clock, pinned: None, sign: Sign::IfConfigured }
}

fn clock(repo: &Repo) -> SystemClock {
    SystemClock::new(&repo.env())
}

fn done(append: Append) -> Appended {
    match append {
        Append::Done(appended) => appended,
        Append::Moved(why) => panic!("{why}"),
    }
}

/// Fetches and syncs, as every command does.
fn synced(record: &Record<'_>) -> Answer<Option<Oid>> {
    let remote = record.remote.unwrap();
    let refs = remote.refs(false)?;
    if refs.state.is_some() {
        remote.fetch(&[Want::State])?;
    }
    Ok(record.sync(&refs)?.map(|checked| checked.id))
}

fn annotate(record: &Record<'_>, reason: &str) -> Event {
    let mut event = record.draft(Kind::Annotate).unwrap();
    event.reason = Some(reason.to_owned());
    event
}

fn genesis(record: &Record<'_>) -> Appended {
    done(record.append(&record.draft(Kind::Genesis).unwrap(), None).unwrap())
}

/// The first record, and the policy that the base has.
fn begun(repo: &Repo, record: &Record<'_>) -> Oid {
    genesis(record);
    repo.write("platform.yaml", "schema: platform/1\n");
    let commit = repo.commit("policy");
    let blob = repo.id("HEAD:platform.yaml");
    let mut event = record.draft(Kind::Policy).unwrap();
    (event.policy, event.policy_commit) = (Some(blob), Some(commit));
    done(record.append(&event, None).unwrap());
    blob
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

fn intent(record: &Record<'_>, run: &str, policy: Oid) -> Event {
    let mut event = record.draft(Kind::ApplyIntent).unwrap();
    event.run = Some(run.parse().unwrap());
    event.module = Some("site".parse().unwrap());
    event.host = Some("box".parse().unwrap());
    event.approved = Some(approval());
    event.effective = Some(Digest::of(b"e"));
    event.closure = Some(Digest::of(b"c"));
    event.plan = Some(Digest::of(b"p"));
    event.policy = Some(policy);
    event.checkout = Some(platformctl::model::gate::Binding::Bound);
    event.lock = Some(Lock {
        project: None,
        scope: crate::support::lock_key("box/site"),
        expires: event.time.plus_s(600),
        nonce: "n".into(),
    });
    event
}

fn outcome(record: &Record<'_>, of: &Event, intent: Oid, result: Ending) -> Event {
    record.draft(Kind::ApplyOutcome).unwrap().answering(intent, of, result, Evidence::default())
}

const RUN: &str = "20261122T101530Z-1a2b3c4d";

#[test]
fn recorded_run_is_readable_with_git() {
    let repo = Repo::new();
    let (git, remote, clock) = (repo.open(), repo.remote(), clock(&repo));
    let record = record(&git, &remote, &clock);
    assert_eq!(synced(&record).unwrap(), None);
    let policy = begun(&repo, &record);
    let opening = intent(&record, RUN, policy);
    let deployment = "site@box".parse().unwrap();
    let wanted =
        Preconditions { deployment, status: None, scope: crate::support::lock_key("box/site"), policy: Some(policy) };
    let opened = done(record.append(&opening, Some(&wanted)).unwrap());
    let state = State::at(&git, opened.commit).unwrap();
    assert_eq!(state.open_runs().unwrap()[0].fence, 2);
    let again = record.append(&intent(&record, "20261122T101530Z-00000002", policy), Some(&wanted)).unwrap();
    assert!(matches!(again, Append::Moved(_)), "the scope is locked and the status moved");
    let closing = outcome(&record, &opening, opened.commit, Ending::Ok);
    let closed = record.append_or_spool(&closing).unwrap();
    assert!(closed.on_remote);
    let state = State::at(&git, closed.commit).unwrap();
    assert!(state.open_runs().unwrap().is_empty());
    assert_eq!(state.module(&"site".parse().unwrap()).unwrap().unwrap().last_apply_seq, Some(3));
    assert_eq!(
        repo.git(&["log", "--format=%s", "refs/platform/state"]),
        "apply ok: site on box, PR #142\napply intent: site on box, PR #142\n\
         policy: platform.yaml as merged is in force\ngenesis: the record begins"
    );
    let prs = repo.git(&["log", "--format=%(trailers:key=Platform-PR,valueonly)", "refs/platform/state"]);
    assert_eq!(prs.split_whitespace().collect::<Vec<_>>(), ["142", "142"]);
    assert!(repo.git(&["show", "refs/platform/state:modules/site.status.json"]).contains("\"last_apply_pr\":142"));
    assert_eq!(repo.git_in("remote.git", &["rev-parse", "refs/platform/state"]), closed.commit.to_string());
    assert_eq!(record.verify_all(closed.commit).unwrap().0, 4);
    let twice = done(record.append(&closing, None).unwrap());
    assert_eq!(twice.commit, closed.commit, "a second outcome is never written");
    assert_eq!(git.tip().unwrap(), Some(closed.commit));
}

#[test]
fn lost_push_answer_is_looked_up() {
    for (lose, drop) in [(1, 0), (0, 1), (2, 0), (1, 2)] {
        let repo = Repo::new();
        let (git, remote, clock) = (repo.open(), repo.remote(), clock(&repo));
        let faulty = Faulty { real: &remote, lose_pushes: Cell::new(0), drop_pushes: Cell::new(0) };
        let record = record(&git, &faulty, &clock);
        genesis(&record);
        faulty.lose_pushes.set(lose);
        faulty.drop_pushes.set(drop);
        let appended = done(record.append(&annotate(&record, "x"), None).unwrap());
        assert_eq!(appended.seq, 1);
        assert_eq!(repo.git(&["rev-list", "--count", "refs/platform/state"]), "2", "once, and not twice");
        assert_eq!(repo.git_in("remote.git", &["rev-parse", "refs/platform/state"]), appended.commit.to_string());
    }
}

#[test]
fn concurrent_clones_lose_no_record() {
    let repo = Repo::new();
    let other = Git::open(&clone(&repo), "origin", &repo.env()).unwrap();
    let other_remote =
        platformctl::io::remote::GitRemote::new(other.common_dir().to_owned(), "origin", "main", &repo.env()).unwrap();
    let (git, remote, clock) = (repo.open(), repo.remote(), clock(&repo));
    let one = record(&git, &remote, &clock);
    let two = record(&other, &other_remote, &clock);
    genesis(&one);
    synced(&two).unwrap();
    for n in 0..3 {
        done(one.append(&annotate(&one, &format!("one {n}")), None).unwrap());
        done(two.append(&annotate(&two, &format!("two {n}")), None).unwrap());
    }
    let tip = synced(&one).unwrap().unwrap();
    assert_eq!(one.verify_all(tip).unwrap().0, 7);
    let fsck = repo.try_git(&["fsck", "--strict"]);
    assert!(fsck.status.success());
}

fn clone(repo: &Repo) -> std::path::PathBuf {
    repo.git_in(".", &["clone", "-q", "remote.git", "other"]);
    repo.path("other")
}

#[test]
fn rewritten_record_is_refused() {
    let repo = Repo::new();
    let (git, remote, clock) = (repo.open(), repo.remote(), clock(&repo));
    let record = record(&git, &remote, &clock);
    let first = genesis(&record);
    let second = done(record.append(&annotate(&record, "x"), None).unwrap());
    let force = |to: &str| repo.git(&["push", "-q", "--force", "origin", &format!("{to}:refs/platform/state")]);
    force(&first.commit.to_string());
    assert_eq!(synced(&record).unwrap_err().code, Code::StateRewound);
    force("HEAD");
    assert_eq!(synced(&record).unwrap_err().code, Code::StateForked);
    force("");
    assert_eq!(synced(&record).unwrap_err().code, Code::StateMissing);
    assert_eq!(git.tip().unwrap(), Some(second.commit), "what was seen stays");
    force(&second.commit.to_string());
    assert_eq!(synced(&record).unwrap(), Some(second.commit));
    // Without the local ref the memory of this clone still knows better.
    repo.git(&["update-ref", "-d", "refs/platform/state"]);
    force(&first.commit.to_string());
    assert_eq!(synced(&record).unwrap_err().code, Code::StateRewound);
}

#[test]
fn forged_record_is_invalid() {
    let forge = |change: &dyn Fn(&str) -> (String, String)| -> PortError {
        let repo = Repo::new();
        let (git, remote, clock) = (repo.open(), repo.remote(), clock(&repo));
        let record = record(&git, &remote, &clock);
        genesis(&record);
        let good = done(record.append(&annotate(&record, "x"), None).unwrap());
        let message = repo.git(&["log", "-1", "--format=%B", &good.commit.to_string()]);
        let (tree, message) = change(&message);
        let tree = repo.git(&["rev-parse", &tree.replace("TIP", &good.commit.to_string())]);
        let parent = repo.git(&["rev-parse", &format!("{}^", good.commit)]);
        let forged = repo.git(&["commit-tree", &tree, "-p", &parent, "-m", &message]);
        repo.git(&["push", "-q", "--force", "origin", &format!("{forged}:refs/platform/state")]);
        let fetched = Git::open(&clone(&repo), "origin", &repo.env()).unwrap();
        let remote =
            platformctl::io::remote::GitRemote::new(fetched.common_dir().to_owned(), "origin", "main", &repo.env())
                .unwrap();
        let record = Record {
            source: &fetched,
            ledger: &fetched,
            remote: Some(&remote),
            clock: &clock,
            pinned: None,
            sign: Sign::IfConfigured,
        };
        synced(&record).unwrap_err()
    };
    let said = forge(&|message| ("TIP^{tree}".into(), message.replace("annotate", "annotate!")));
    assert_eq!(said.code, Code::StateInvalid);
    let said = forge(&|message| ("HEAD^{tree}".into(), message.to_owned()));
    assert!(said.what.contains("event.json"), "{said}");
    let said = forge(&|message| ("TIP^{tree}".into(), message.to_owned()));
    assert!(said.what.contains("time"), "even the time is the event's: {said}");
}

#[test]
fn outcome_is_spooled_until_it_can_be_pushed() {
    let repo = Repo::new();
    let (git, remote, clock) = (repo.open(), repo.remote(), clock(&repo));
    let record = record(&git, &remote, &clock);
    let policy = begun(&repo, &record);
    let opening = intent(&record, RUN, policy);
    let opened = done(record.append(&opening, None).unwrap());
    std::fs::rename(repo.path("remote.git"), repo.path("gone.git")).unwrap();
    let closing = outcome(&record, &opening, opened.commit, Ending::Ok);
    assert!(!record.append_or_spool(&closing).unwrap().on_remote);
    assert_eq!(git.tip().unwrap(), Some(opened.commit), "the local ref is never ahead");
    std::fs::rename(repo.path("gone.git"), repo.path("remote.git")).unwrap();
    synced(&record).unwrap();
    assert_eq!(record.deliver().unwrap(), 1);
    assert_eq!(record.deliver().unwrap(), 0);
    let tip = git.tip().unwrap().unwrap();
    assert_eq!(State::at(&git, tip).unwrap().event().unwrap().result, Some(Ending::Ok));
}

/// A remote that once answers from a copy that lags behind.
struct Lagging<'a> {
    real: &'a dyn Remote,
    old: Cell<Option<Oid>>,
}

impl Remote for Lagging<'_> {
    fn name(&self) -> &str {
        self.real.name()
    }
    fn refs(&self, pulls: bool) -> Answer<RemoteRefs> {
        let refs = self.real.refs(pulls)?;
        Ok(match self.old.take() {
            Some(old) => RemoteRefs { state: Some(old), ..refs },
            None => refs,
        })
    }
    fn fetch(&self, wants: &[Want]) -> Answer<()> {
        self.real.fetch(wants)
    }
    fn push_state(&self, id: Oid) -> Answer<Pushed> {
        self.real.push_state(id)
    }
    fn try_push(&self, id: Oid) -> Answer<Pushed> {
        self.real.try_push(id)
    }
    fn try_rewrite(&self, newer: Oid, older: Oid, nonce: &str) -> Answer<bool> {
        self.real.try_rewrite(newer, older, nonce)
    }
}

#[test]
fn stale_remote_replica_is_asked_again() {
    let repo = Repo::new();
    let (git, remote, clock) = (repo.open(), repo.remote(), clock(&repo));
    let record = record(&git, &remote, &clock);
    let first = genesis(&record).commit;
    let second = done(record.append(&annotate(&record, "two"), None).unwrap()).commit;
    let lagging = Lagging { real: &remote, old: Cell::new(Some(first)) };
    let record = Record { remote: Some(&lagging), ..record };
    assert_eq!(synced(&record).unwrap(), Some(second));
    repo.git_in("remote.git", &["update-ref", "refs/platform/state", &first.to_string()]);
    assert_eq!(synced(&record).unwrap_err().code, Code::StateRewound);
}

/// Whoever can push can write a commit with a true event, tree and author under another message.
#[test]
fn record_with_another_message_or_author_is_invalid() {
    let repo = Repo::new();
    let (git, remote, clock) = (repo.open(), repo.remote(), clock(&repo));
    let record = record(&git, &remote, &clock);
    genesis(&record);
    let true_one = done(record.append(&annotate(&record, "what was done"), None).unwrap()).commit;
    let raw = repo.git(&["cat-file", "commit", &true_one.to_string()]) + "\n";
    repo.write("raw", &raw.replacen("\nannotate\n", "\nannotate: nothing happened\n", 1));
    let forged = repo.git(&["hash-object", "-t", "commit", "-w", "raw"]);
    assert_ne!(forged, true_one.to_string());
    let why = record.verify_new(forged.parse().unwrap()).unwrap_err();
    assert_eq!(why.code, Code::StateInvalid);
    assert!(why.what.contains("rule `message`"), "{}", why.what);
    // Or under another author.
    repo.write("raw", &raw.replacen("\nauthor Ola <", "\nauthor Eve <", 1));
    let forged = repo.git(&["hash-object", "-t", "commit", "-w", "raw"]);
    let why = record.verify_new(forged.parse().unwrap()).unwrap_err();
    assert!(why.what.contains("rule `author`"), "{}", why.what);
    assert!(record.verify_new(true_one).is_ok());
}

#[test]
fn record_with_another_genesis_is_a_fork() {
    let repo = Repo::new();
    let (git, remote, clock) = (repo.open(), repo.remote(), clock(&repo));
    let first = genesis(&record(&git, &remote, &clock)).commit;
    let pinned = |genesis| Record { pinned: Some(genesis), ..record(&git, &remote, &clock) };
    assert_eq!(synced(&pinned(first)).unwrap(), Some(first));
    let other = synced(&pinned(Oid::from_bytes([1; 20]))).unwrap_err();
    assert_eq!(other.code, Code::StateForked);
}

/// A run that is recorded and was never sent is ended by whoever finds its note, but not while its process is at it.
#[test]
fn unsent_run_is_ended_after_its_process_exits() {
    let repo = Repo::new();
    let (git, remote, clock) = (repo.open(), repo.remote(), clock(&repo));
    let record = record(&git, &remote, &clock);
    let policy = begun(&repo, &record);
    let opening = intent(&record, RUN, policy);
    let note = platformctl::ledger::tree::file(&opening).unwrap();
    git.set_note(&format!("unsent/{RUN}.json"), Some(&note)).unwrap();
    let guard = git.lock("box.site", 0).unwrap();
    done(record.append(&opening, None).unwrap());
    assert_eq!(record.settle().unwrap(), 0, "somebody is at it");
    drop(guard);
    assert_eq!(record.settle().unwrap(), 1);
    let tip = git.tip().unwrap().unwrap();
    let state = State::at(&git, tip).unwrap();
    assert_eq!(state.event().unwrap().result, Some(Ending::Aborted));
    assert!(state.open_runs().unwrap().is_empty());
    assert_eq!(git.notes("unsent").unwrap(), Vec::<String>::new());
    // An intent that never landed may still land for a while; then its note goes.
    let lost = intent(&record, "20261122T101530Z-00000002", policy);
    git.set_note("unsent/lost.json", Some(&platformctl::ledger::tree::file(&lost).unwrap())).unwrap();
    assert_eq!(record.settle().unwrap(), 0);
    assert_eq!(git.notes("unsent").unwrap().len(), 1);
    let old = Event { time: lost.time.plus_s(-3_600), ..lost };
    git.set_note("unsent/lost.json", Some(&platformctl::ledger::tree::file(&old).unwrap())).unwrap();
    assert_eq!(record.settle().unwrap(), 0);
    assert_eq!(git.notes("unsent").unwrap().len(), 0);
}

/// Between the look at a note and the lock its process may have told the host and gone: the run stays open.
#[test]
fn sent_run_is_not_ended_as_unsent() {
    let repo = Repo::new();
    let (git, remote, clock) = (repo.open(), repo.remote(), clock(&repo));
    let plain = record(&git, &remote, &clock);
    let policy = begun(&repo, &plain);
    let opening = intent(&plain, RUN, policy);
    let note = format!("unsent/{RUN}.json");
    git.set_note(&note, Some(&platformctl::ledger::tree::file(&opening).unwrap())).unwrap();
    done(plain.append(&opening, None).unwrap());
    let other = repo.open();
    let mut fuse = Fuse::new(usize::MAX, Fault::Before);
    fuse.meanwhile = Some(("ledger.lock", Box::new(move || other.set_note(&note, None).unwrap())));
    let racing = Racing { port: &git, fuse: &fuse };
    let record = Record { ledger: &racing, ..plain };
    assert_eq!(record.settle().unwrap(), 0);
    let state = State::at(&git, git.tip().unwrap().unwrap()).unwrap();
    assert_eq!(state.open_runs().unwrap().len(), 1);
}
