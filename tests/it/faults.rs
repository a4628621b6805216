//! What goes wrong on purpose, before, during and after every step over ssh: the link is cut, the engine ends, the
//! power fails. The exit class keeps its promise, what comes next tells the truth and puts it right, and nothing runs
//! twice.

use std::{
    cell::{Cell, RefCell},
    fs,
    rc::Rc,
    time::Duration,
};

use platformctl::{
    error::{Class, Failure},
    flow::{Stage, Stop, approve::request::Request, bind::Waivers},
    io::ssh::Ssh,
    model::ending::Ending,
    port::{Answer, Host, Input, Ports, Reply, Script, Step, ending},
    verb::{
        apply::{Applied, Ask, apply},
        fetch::{record, refresh},
        resume,
    },
};

use crate::support::{
    machine::Machine,
    site::{Real, said},
    stack::Stack,
};

/// When something happens to a host, by the step that it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    During,
    After,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Cut,
    Engine,
    Power,
}

/// A host to which something happens once.
struct Meddled {
    host: Ssh,
    step: &'static str,
    when: When,
    act: Act,
}

/// What happens, until it has.
type Act = Rc<RefCell<Option<Box<dyn Fn() + Send>>>>;

impl Host for Meddled {
    fn run(&self, script: &Script, args: &[String], input: Input<'_>) -> Answer<Reply> {
        let act = if script.name == self.step { self.act.borrow_mut().take() } else { None };
        let Some(act) = act else { return self.host.run(script, args, input) };
        match self.when {
            When::Before => {
                act();
                self.host.run(script, args, input)
            }
            When::After => {
                let answer = self.host.run(script, args, input);
                act();
                answer
            }
            When::During => {
                let meanwhile = std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(150));
                    act();
                });
                let answer = self.host.run(script, args, input);
                meanwhile.join().unwrap();
                answer
            }
        }
    }
}

const STEPS: &[&str] = &["compose-render", "compose-look", "compose-ship", "compose-run", "compose-watch"];

/// A machine that runs version 1 of a service, which counts its starts, and a merged version 2.
struct Bench {
    stack: Stack,
    machine: Machine,
    /// The newest version that was merged.
    version: Cell<u64>,
}

impl Bench {
    fn new() -> Self {
        let machine = Machine::new();
        let transport = format!("    transport: ssh\n    destination: {}\n", machine.name);
        let stack = Stack::at(&transport, "", &machine.disk().join("root"));
        let bench = Self { stack, machine, version: Cell::new(0) };
        fs::create_dir(bench.machine.disk().join("out")).unwrap();
        bench.next();
        let said = bench.stack.run(0, "apply app --pr 1");
        assert!(said.starts_with("exit 0\n"), "{said}{}", bench.machine.words());
        bench
    }

    /// One more version is merged.
    fn next(&self) {
        let version = self.version.get() + 1;
        self.version.set(version);
        let out = self.machine.disk().join("out").display().to_string();
        self.stack.change(version, |stack| {
            stack.compose(&[(
                "app",
                &format!(
                    "command: [sh, -c, 'echo {version} >> /out/starts; trap \"exit 0\" TERM; sleep 1000 & wait']\n\
                     init: true\nvolumes: ['{out}:/out']\nlabels: {{version: '{version}'}}\nrestart: unless-stopped"
                ),
            )]);
            stack.manifest("health: {settle_s: 0, deadline_s: 8}\n");
        });
    }

    fn starts(&self, version: u64) -> usize {
        let starts = fs::read_to_string(self.machine.disk().join("out/starts")).unwrap_or_default();
        starts.lines().filter(|line| *line == version.to_string()).count()
    }

    fn ask(&self) -> Ask {
        Ask {
            module: "app".parse().unwrap(),
            host: None,
            request: Request { approved: None, pr: Some(self.version.get()) },
            again: false,
            waivers: Waivers::default(),
            retry: true,
            glass: None,
            during_freeze: None,
            auto: false,
            claim: None,
        }
    }

    fn ports<'a>(
        &'a self,
        real: &'a Real,
        reach: &'a dyn Fn(&platformctl::model::policy::HostPolicy) -> Answer<Box<dyn Host>>,
        tell: &'a dyn Fn(Step),
    ) -> Ports<'a> {
        Ports { host: reach, ..real.ports(tell) }
    }

    fn attempt(&self, step: &'static str, when: When, what: What) -> Stage<Applied> {
        let real = self.stack.site.real();
        let env = self.stack.site.repo.env();
        let act: Box<dyn Fn() + Send> = match what {
            What::Cut => Box::new(self.machine.cut()),
            What::Engine => Box::new(self.machine.engine_off()),
            What::Power => Box::new(self.machine.switch()),
        };
        let act: Act = Rc::new(RefCell::new(Some(act)));
        let reach = |_: &_| -> Answer<Box<dyn Host>> {
            let host = Ssh::new(&self.machine.name, &[], &env);
            Ok(Box::new(Meddled { host, step, when, act: Rc::clone(&act) }))
        };
        let tell = |_: Step| {};
        let ports = self.ports(&real, &reach, &tell);
        let mut fetched = refresh(&ports, &self.ask().request)?;
        let applied = apply(&ports, &mut fetched, &self.ask());
        assert!(act.borrow().is_none(), "{step} was asked for");
        applied
    }

    /// What a person does when the host is back: resumes, abandons what nobody can resume, applies again.
    fn put_right(&self) -> String {
        let real = self.stack.site.real();
        let env = self.stack.site.repo.env();
        let reach = |_: &_| -> Answer<Box<dyn Host>> { Ok(Box::new(Ssh::new(&self.machine.name, &[], &env))) };
        let tell = |_: Step| {};
        let ports = self.ports(&real, &reach, &tell);
        let mut did = Vec::new();
        let fetched = refresh(&ports, &Request::default()).map_err(|s| Failure::from(s).refusals).unwrap();
        for open in resume::open_runs(&ports, &fetched).unwrap() {
            let run = open.clone();
            // A run that goes on by itself is waited for.
            let resumed = (0..100).find_map(|_| match resume::resume(&ports, &fetched, open.clone()) {
                Err(Stop::Refused(refusals)) if refusals[0].fact.ends_with("is still running") => {
                    std::thread::sleep(Duration::from_millis(200));
                    None
                }
                other => Some(other),
            });
            match resumed.expect("it ends") {
                Ok(resumed) => {
                    let ending = ending(&resumed.ended);
                    assert_ne!(ending, Ending::Unknown, "{:?}", resumed.ended);
                    did.push(format!("resumed {}", ending.as_str()));
                }
                Err(Stop::Refused(refusals)) if refusals[0].fix.starts_with("platformctl abandon") => {
                    resume::abandon(&ports, &fetched, run, "the test").map_err(|s| Failure::from(s).refusals).unwrap();
                    did.push("abandoned".to_owned());
                }
                Err(stop) => panic!("resume: {:?}", Failure::from(stop).refusals),
            }
        }
        let mut fetched = refresh(&ports, &self.ask().request).map_err(|s| Failure::from(s).refusals).unwrap();
        did.push(said(apply(&ports, &mut fetched, &self.ask())));
        let checked = refresh(&ports, &Request::default()).map_err(|s| Failure::from(s).refusals).unwrap();
        let tip = checked.checked.as_ref().unwrap().id;
        record(&ports, &checked.policy.policy).verify_all(tip).unwrap();
        assert_eq!(resume::open_runs(&ports, &checked).unwrap(), []);
        did.join(", ")
    }

    /// The version that runs now, once, if one does.
    fn running(&self) -> Vec<String> {
        let filter = format!("label=com.docker.compose.project={}", self.stack.project);
        let said = self.machine.docker(&["ps", "--filter", &filter, "--format", "{{.Label \"version\"}}"]);
        said.lines().map(str::to_owned).collect()
    }
}

/// One thing happens at one moment of one apply.
fn each(what: What) {
    let mut bench = Bench::new();
    let mut seen = std::collections::BTreeSet::new();
    for step in STEPS {
        for when in [When::Before, When::During, When::After] {
            let before = bench.version.get();
            bench.next();
            let version = bench.version.get();
            let place = format!("{what:?} {when:?} {step}");
            let ended = bench.attempt(step, when, what);
            let class = Class::of_apply(&ended);
            let told = match &ended {
                Ok(Applied::Run(run)) => {
                    run.carried.ended.as_ref().err().map_or_else(String::new, |not_done| not_done.error().what.clone())
                }
                Ok(Applied::Noop(_)) => panic!("{place}: nothing to do?"),
                Err(Stop::Refused(refusals)) => refusals[0].fact.clone(),
                Err(Stop::Failed(error)) => error.what.clone(),
            };
            bench.machine.mend();
            let untouched = class.is_untouched();
            if untouched {
                // Not asked before the engine has brought back what it ran.
                for _ in 0..100 {
                    if bench.running() == [before.to_string()] {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
                assert_eq!(bench.running(), [before.to_string()], "{place}: {told}\n{}", bench.machine.words());
                assert_eq!(bench.starts(version), 0, "{place}: {told}");
            }
            let ours = match step {
                &"compose-render" | &"compose-look" | &"compose-ship" => untouched,
                &"compose-run" if when == When::Before && what != What::Engine => untouched,
                _ => true,
            } || (what == What::Engine && class == Class::Held)
                || (when == When::After && class != Class::Done);
            assert!(ours, "{place}: {class:?} {told}");
            let did = bench.put_right();
            assert!(
                did.ends_with("recorded: Some(true)") || did.ends_with("noop, recorded: false"),
                "{place}: {told}: {did}"
            );
            assert_eq!(bench.running(), [version.to_string()], "{place}: {did}");
            seen.insert(format!("{class:?}"));
        }
    }
    assert!(seen.contains("Unreachable") && seen.len() > 1, "{seen:?}");
}

#[test]
fn apply_survives_a_lost_link() {
    each(What::Cut);
}

#[test]
fn apply_survives_an_engine_stop() {
    each(What::Engine);
}

#[test]
fn apply_survives_a_power_loss() {
    each(What::Power);
}
