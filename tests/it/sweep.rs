//! The crash sweep: every port call of an apply fails once before and once after its effect, and once for good; each
//! exit class keeps its promise, and what comes after puts everything right. Nothing runs twice.

use std::{cell::Cell, collections::BTreeSet, fs, process::Command, rc::Rc};

use platformctl::{
    error::{Class, Failure},
    flow::{Stage, Stop, approve::request::Request},
    port::{Answer, Host, Ports, Remote, Step, ending},
    verb::{
        apply::{Applied, Ask, apply},
        fetch::{record, refresh},
        resume,
    },
};

use crate::support::{
    faulty::{FastClock, Fault, Faulty, FaultyHost, Fuse},
    site::{Site, ask, host, said},
};

/// Which ports are behind the fuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// All that have effects or reach other machines.
    Effects,
    /// The object database and the checkout.
    Reads,
}

/// A site with one applied release and a merged next one, which can be put back as it was.
struct Bench {
    site: Site,
    old: &'static str,
    /// Whether the next release takes break-glass.
    glass: bool,
}

impl Bench {
    fn second() -> Self {
        let bench = Self::new("one\n");
        bench.site.change(1, "one\n");
        assert_eq!(bench.site.says(&ask(1)), "ok, 1 files, covers [1], recorded: Some(true)");
        bench.site.change(2, "two\n");
        bench.save();
        bench
    }

    fn first() -> Self {
        let bench = Self::new("entity not found");
        bench.site.change(2, "two\n");
        bench.save();
        bench
    }

    /// The next release has a direct push in it, which break-glass passes.
    fn pushed() -> Self {
        let bench = Self { glass: true, ..Self::new("one\n") };
        bench.site.change(1, "one\n");
        assert_eq!(bench.site.says(&ask(1)), "ok, 1 files, covers [1], recorded: Some(true)");
        bench.site.repo.git(&["checkout", "-q", "main"]);
        bench.site.repo.write("modules/site/public/index.html", "direct\n");
        bench.site.repo.commit("direct push");
        bench.site.repo.publish();
        bench.site.change(2, "two\n");
        bench.save();
        bench
    }

    /// What is asked for.
    fn ask(&self) -> Ask {
        Ask { glass: self.glass.then(|| "the sweep".parse().unwrap()), ..ask(2) }
    }

    fn new(old: &'static str) -> Self {
        let site = Site::empty("    activate: [[sh, -c, \"echo x >> @COUNT@\"]]\n");
        let count = site.repo.path("count").display().to_string();
        site.repo.git(&["checkout", "-q", "main"]);
        let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap().replace("@COUNT@", &count);
        site.repo.write("platform.yaml", &policy);
        site.repo.commit("policy");
        site.repo.publish();
        site.activates(&format!("[[sh, -c, \"echo x >> {count}\"]]"));
        Self { site, old, glass: false }
    }

    fn shell(&self, script: &str) {
        let status = Command::new("sh").args(["-ec", script]).current_dir(self.site.repo.path("")).status().unwrap();
        assert!(status.success(), "{script}");
    }

    fn save(&self) {
        self.shell("mkdir orig; for each in remote.git work root count; do [ ! -e $each ] || cp -a $each orig/; done");
    }

    fn restore(&self) {
        self.shell("rm -rf remote.git work root count; cp -a orig/. .");
    }

    fn activations(&self) -> usize {
        fs::read_to_string(self.site.repo.path("count")).map_or(0, |text| text.lines().count())
    }

    /// One apply with a fuse in it.
    fn attempt(&self, which: Behind, fuse: &Rc<Fuse>) -> Stage<Applied> {
        let real = self.site.real();
        let remote: &dyn Remote = &real.remote;
        let faulty_remote = Faulty { port: remote, fuse };
        let faulty_git = Faulty { port: &real.git, fuse };
        let reach = |policy: &_| -> Answer<Box<dyn Host>> {
            Ok(Box::new(FaultyHost { host: host(policy)?, fuse: Rc::clone(fuse) }))
        };
        let tell = |_: Step| {};
        let clock = FastClock { clock: &real.clock, ticks: Cell::new(0), stop_after: Cell::new(u64::MAX) };
        let sound = real.ports(&tell);
        let ports = match which {
            Behind::Effects => {
                Ports { ledger: &faulty_git, remote: &faulty_remote, host: &reach, clock: &clock, ..sound }
            }
            Behind::Reads => Ports { source: &faulty_git, checkout: &faulty_git, clock: &clock, ..sound },
        };
        let request = Request { approved: None, pr: Some(2) };
        let mut fetched = refresh(&ports, &request)?;
        apply(&ports, &mut fetched, &self.ask())
    }

    /// What a person does afterwards: looks, resumes, abandons what nobody can resume, applies again.
    fn put_right(&self) -> String {
        let real = self.site.real();
        let tell = |_: Step| {};
        let ports = real.ports(&tell);
        let mut did = Vec::new();
        let fetched = refresh(&ports, &Request::default()).map_err(|stop| Failure::from(stop).refusals).unwrap();
        if fetched.delivered > 0 {
            did.push("delivered".to_owned());
        }
        for open in resume::open_runs(&ports, &fetched).unwrap() {
            let run = open.clone();
            match resume::resume(&ports, &fetched, open) {
                Ok(resumed) => did.push(format!("resumed {}", ending(&resumed.ended).as_str())),
                // What never began ends by itself after five minutes; a person who knows that its process is gone does not
                // wait for that.
                Err(Stop::Refused(refusals))
                    if refusals[0].fix.starts_with("platformctl abandon")
                        || refusals[0].fact.contains("has not begun") =>
                {
                    resume::abandon(&ports, &fetched, run, "the sweep")
                        .map_err(|stop| Failure::from(stop).refusals)
                        .unwrap();
                    did.push("abandoned".to_owned());
                }
                Err(stop) => panic!("resume: {:?}", Failure::from(stop).refusals),
            }
        }
        let mut fetched =
            refresh(&ports, &Request { approved: None, pr: Some(2) }).map_err(|s| Failure::from(s).refusals).unwrap();
        did.push(said(apply(&ports, &mut fetched, &Ask { retry: true, ..self.ask() })));
        let checked = refresh(&ports, &Request::default()).map_err(|s| Failure::from(s).refusals).unwrap();
        let tip = checked.checked.as_ref().unwrap().id;
        record(&ports, &checked.policy.policy).verify_all(tip).unwrap();
        assert_eq!(resume::open_runs(&ports, &checked).unwrap(), []);
        did.join(", ")
    }
}

/// The exit class of an apply, by the product's own function.
fn class(result: Stage<Applied>) -> (Class, String) {
    (Class::of_apply(&result), said(result))
}

/// What an exit class promises of the ports, right after the command.
fn promise(bench: &Bench, class: Class, fault: Fault, place: &str) {
    let live = bench.site.live();
    let log = bench.site.log();
    if bench.glass && live != bench.old {
        let declared = log.iter().any(|subject| subject.starts_with("break glass: site on box, PR #2"));
        assert!(declared, "{place}: it is recorded before anything is touched: {log:?}");
    }
    match class {
        Class::Done => {
            assert_eq!(live, "two\n", "{place}");
            assert!(log[0].starts_with("apply ok: site on box, PR #2"), "{place}: {log:?}");
        }
        Class::Unrecorded => assert_eq!(live, "two\n", "{place}"),
        // An open run, on the remote, whatever happened on the host.
        Class::Unknown => assert!(log[0].starts_with("apply intent:"), "{place}: {log:?}"),
        Class::Usage
        | Class::Invalid
        | Class::Refused
        | Class::NotApproved
        | Class::Mismatch
        | Class::Busy
        | Class::Unreachable => assert_eq!(live, bench.old, "{place}: {class:?} says untouched"),
        // A process that is gone says nothing at all.
        _ if fault == Fault::Killed => {}
        Class::Bug
        | Class::Differs
        | Class::RolledBack
        | Class::Held
        | Class::RollbackFailed
        | Class::Partial
        | Class::Tampered
        | Class::Interrupted => panic!("{place}: ended as {class:?}"),
    }
}

/// Fails every call of an apply, and returns which classes and ways back were seen.
fn sweep(bench: &Bench, which: Behind, fault: Fault) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let all = Rc::new(Fuse::new(usize::MAX, fault));
    drop(bench.attempt(which, &all));
    let names = all.names.borrow().clone();
    assert!(names.len() > 20, "{names:?}");
    for (at, name) in names.iter().enumerate() {
        bench.restore();
        let fuse = Rc::new(Fuse::new(at, fault));
        let (class, words) = class(bench.attempt(which, &fuse));
        assert!(fuse.calls() > at, "call {at} was reached");
        let place = format!("{fault:?} call {at}, {name}: {words}");
        if fault != Fault::Killed {
            promise(bench, class, fault, &place);
        }
        let back = bench.put_right();
        assert_eq!(bench.site.live(), "two\n", "{place}; then {back}");
        let ok = bench.site.log().iter().filter(|subject| subject.starts_with("apply ok: site on box, PR #2")).count();
        let before = usize::from(bench.old == "one\n");
        assert_eq!(bench.activations(), ok + before, "{place}; then {back}: {:?}", bench.site.log());
        seen.insert(format!("{class:?}: {back}"));
    }
    seen
}

/// Every class that an apply can end in here was seen, and every way back.
fn all_of(seen: &BTreeSet<String>, expected: &[&str]) {
    for each in expected {
        assert!(seen.iter().any(|seen| seen.starts_with(each)), "{each} in {seen:#?}");
    }
}

const ONCE: &[&str] = &[
    "Done: noop",
    "Unknown: resumed ok, noop",
    "Unreachable: delivered, ok",
    "Unreachable: ok",
    "Unrecorded: delivered, noop",
    "Unrecorded: noop",
];
const KILLED: &[&str] = &[
    "Unknown: abandoned, ok",
    "Unknown: resumed ok, noop",
    "Unreachable: delivered, ok",
    "Unreachable: ok",
    "Unrecorded: noop",
    "Unrecorded: resumed ok, noop",
];

#[test]
fn apply_survives_a_failure_before_each_effect() {
    all_of(&sweep(&Bench::second(), Behind::Effects, Fault::Before), ONCE);
}

#[test]
fn apply_survives_a_failure_after_each_effect() {
    all_of(&sweep(&Bench::second(), Behind::Effects, Fault::After), ONCE);
}

#[test]
fn apply_survives_a_kill_at_each_effect() {
    all_of(&sweep(&Bench::second(), Behind::Effects, Fault::Killed), KILLED);
}

/// What comes after knows that it was applied, and does not break the glass again.
const GLASS: &[&str] = &[
    "Done: break_glass_not_allowed",
    "Unreachable: ok",
    "Unrecorded: delivered, break_glass_not_allowed",
    "Unknown: resumed ok, break_glass_not_allowed",
];

#[test]
fn break_glass_survives_a_failure_after_each_effect() {
    all_of(&sweep(&Bench::pushed(), Behind::Effects, Fault::After), GLASS);
}

#[test]
fn break_glass_survives_a_kill_at_each_effect() {
    let seen = sweep(&Bench::pushed(), Behind::Effects, Fault::Killed);
    let killed = ["Unreachable: ok", "Unknown: abandoned, ok", "Unknown: resumed ok, break_glass_not_allowed"];
    all_of(&seen, &killed);
}

#[test]
fn first_apply_survives_a_failure_before_each_effect() {
    all_of(&sweep(&Bench::first(), Behind::Effects, Fault::Before), ONCE);
}

#[test]
fn first_apply_survives_a_failure_after_each_effect() {
    all_of(&sweep(&Bench::first(), Behind::Effects, Fault::After), ONCE);
}

#[test]
fn first_apply_survives_a_kill_at_each_effect() {
    all_of(&sweep(&Bench::first(), Behind::Effects, Fault::Killed), KILLED);
}

#[test]
fn apply_survives_a_failure_of_each_read() {
    let ways = ["Unreachable: delivered, ok", "Unreachable: ok", "Unrecorded: delivered, noop", "Unrecorded: noop"];
    all_of(&sweep(&Bench::second(), Behind::Reads, Fault::Before), &ways);
}

/// Asked to stop, an apply stops while nothing on the host is changed, and not in the middle of a change.
#[test]
fn interrupt_takes_effect_only_where_it_is_safe() {
    let bench = Bench::second();
    let attempt = |stop_after| {
        bench.restore();
        let real = bench.site.real();
        let tell = |_: Step| {};
        let clock = FastClock { clock: &real.clock, ticks: Cell::new(0), stop_after: Cell::new(stop_after) };
        let ports = Ports { clock: &clock, ..real.ports(&tell) };
        let mut fetched =
            refresh(&ports, &Request { approved: None, pr: Some(2) }).map_err(|s| Failure::from(s).refusals).unwrap();
        let said = said(apply(&ports, &mut fetched, &ask(2)));
        (said, bench.site.live(), bench.site.log()[0].clone())
    };
    let (said, live, log) = attempt(0);
    assert_eq!((said.as_str(), live.as_str()), ("interrupted", "one\n"));
    assert!(log.contains("PR #1"), "nothing was recorded: {log}");
    for before in [1, 2] {
        let (said, live, log) = attempt(before);
        assert_eq!(said, "aborted: interrupted, covers [2], recorded: Some(true)");
        assert_eq!(live, "one\n");
        assert!(log.starts_with("apply aborted: site on box, PR #2"), "{log}");
    }
    let (said, live, _) = attempt(3);
    assert_eq!((said.as_str(), live.as_str()), ("ok, 1 files, covers [2], recorded: Some(true)", "two\n"));
}
