//! Due: everything that is merged and not applied, in one command. What a dead run left is ended first. Each deployment
//! is tried by itself: what waits for a person, or fails, stops only what comes after it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    flow::{Stage, Stop, approve::request::Request},
    ledger::state::State,
    model::{
        ending::Ending,
        freeze::Freeze,
        ids::{Deployment, HostName, ModuleId, Oid, RunId},
        problem::Problem,
        refusal::{Code, Refusal},
    },
    port::{Answer, Phase, Ports, Step, ending},
    tree::{manifests, snapshot::Snapshot},
    verb::{
        alarms::{self, Seen, Standing},
        apply::{Applied, Ask},
        asked::Asked,
        batch::{How, Target, one, ran, spent},
        due_order::ordered,
        fetch::{Fetched, newest_record, refresh},
        notices::{self, Notice},
        pending::{Pending, Way, pending, way},
        reopened::{self, LookedAt},
        resume,
        timings::Timings,
        unattended,
    },
};

/// How often an open run is asked about again, in milliseconds.
const AGAIN_AFTER_MS: u64 = 1_000;

/// What became of everything that is merged and not applied.
#[derive(Debug, Default)]
pub struct Due {
    /// Whether no person looks at it.
    pub auto: bool,
    /// Runs that were open, and what became of them.
    pub ended: Vec<LookedAt>,
    /// Each deployment, in the order in which they were tried.
    pub each: Vec<Each>,
    /// The base that was fetched.
    pub base: Option<Oid>,
    /// Why it is not known what is to be applied.
    pub stopped: Option<Stop>,
    /// What an operator should know.
    pub notices: Vec<Notice>,
    /// What could not be shown on the forge afterwards.
    pub unseen: Vec<String>,
    /// Where the time went beside that of the deployments: milliseconds by phase.
    pub durations_ms: Vec<(Phase, u64)>,
}

impl Due {
    /// What was tried, by the pull request that brings it.
    pub fn by_pull(&self) -> BTreeMap<u64, Vec<&Target>> {
        let mut found: BTreeMap<u64, Vec<&Target>> = BTreeMap::new();
        for each in &self.each {
            if let (Some(pr), Became::Tried(target)) = (each.pr, &each.became) {
                found.entry(pr).or_default().push(target.as_ref());
            }
        }
        found
    }
}

/// One deployment that is not as the base has it.
#[derive(Debug)]
pub struct Each {
    /// Its name: the module, or the deployment where the module has several hosts.
    pub name: String,
    /// The module.
    pub module: ModuleId,
    /// Its host.
    pub host: HostName,
    /// The pull request that brings it, as far as that is known.
    pub pr: Option<u64>,
    /// What became of it.
    pub became: Became,
}

/// What became of a deployment.
#[derive(Debug)]
pub enum Became {
    /// It was tried.
    Tried(Box<Target>),
    /// It waits for a person, or for the end of a freeze.
    Waits(Vec<Refusal>),
    /// Something that it comes after was not applied, or everything was stopped.
    NotTried(Refusal),
}

impl Each {
    /// Whether it is as the base has it, and recorded.
    fn is_done(&self) -> bool {
        matches!(&self.became, Became::Tried(target) if matches!(&target.applied, Ok(applied) if applied.is_done()))
    }
}

/// Applies everything that is merged and not applied: by a person all of it, with `auto` what the policy lets a runner
/// apply. That something is not applied is data.
pub fn apply_pending(ports: &Ports<'_>, asked: &Asked, auto: bool, how: How) -> Due {
    let timings = Timings::new(ports.clock);
    let mut due = Due { auto, ..Due::default() };
    let ended = timings.measured(ports, |ports| every(ports, asked, (how, &timings), &mut due));
    due.stopped = ended.err();
    let stops = due.stopped.iter().chain(due.each.iter().filter_map(|each| match &each.became {
        Became::Tried(target) => target.applied.as_ref().err(),
        Became::Waits(_) | Became::NotTried(_) => None,
    }));
    let tampered: Vec<Notice> = stops.flat_map(|stop| alarms::tampered(ports, stop)).collect();
    due.notices.extend(tampered);
    due.durations_ms.extend(spent(ports, &timings, how));
    due
}

fn every(ports: &Ports<'_>, asked: &Asked, (how, timings): (How, &Timings<'_>), due: &mut Due) -> Stage<()> {
    let begun = ports.clock.ticks_ms();
    let mut fetched = refresh(ports, &Request::default())?;
    let ended = each(ports, asked, (how, timings, begun), &mut fetched, due);
    due.notices.extend(told(ports, &fetched, due, ended.is_ok()));
    ended
}

/// Tells people what became of each, and what waits for them if a runner has looked at everything.
fn told(ports: &Ports<'_>, fetched: &Fetched, due: &Due, all: bool) -> Vec<Notice> {
    let now = ports.clock.now();
    let waits = |each: &Each| {
        let Became::Waits(refusals) = &each.became else { return None };
        // A freeze ends by itself, and a release that is held is told as that.
        let first = refusals.iter().find(|refusal| ![Code::Frozen, Code::HeldRelease].contains(&refusal.code))?;
        let deployment = Deployment::new(&each.module, &each.host);
        Some(Standing::waits(deployment, each.pr, now, &first.fact, &first.fix))
    };
    let waiting: Vec<Standing> = due.each.iter().filter_map(waits).collect();
    let targets = due.each.iter().filter_map(|each| match &each.became {
        Became::Tried(target) => ran(target),
        Became::Waits(_) | Became::NotTried(_) => None,
    });
    let (applied, unrecorded) = alarms::sorted(due.ended.iter().filter_map(reopened::ran).chain(targets));
    // Only who looked at everything knows that something no longer waits.
    let waiting = (due.auto && all).then_some(waiting.as_slice());
    alarms::tell(ports, fetched, &Seen { waiting, applied: &applied, unrecorded: &unrecorded, comment: None })
}

fn each(
    ports: &Ports<'_>,
    asked: &Asked,
    (how, timings, begun): (How, &Timings<'_>, u64),
    fetched: &mut Fetched,
    due: &mut Due,
) -> Stage<()> {
    end_left(ports, fetched, how, due)?;
    due.base = Some(fetched.p);
    due.notices = notices::all(ports, fetched);
    due.durations_ms = spent(ports, timings, how);
    let state = fetched.checked.as_ref().map(|checked| State::at(ports.source, checked.id)).transpose()?;
    let found = pending(ports.source, state.as_ref(), fetched.p)?;
    let found = found.into_iter().filter(|one| asked.host.as_ref().is_none_or(|host| *host == one.host));
    let listed = ordered(ports.source, fetched.p, found.collect())?;
    let of = listed.len();
    let mut stopped = None;
    for (at, (one, after)) in (1..).zip(listed) {
        let name = if one.several { format!("{}@{}", one.module, one.host) } else { one.module.to_string() };
        if of > 1 {
            (ports.tell)(Step::Target { name: name.clone(), at, of });
        }
        let before =
            due.each.iter().find(|each| !each.is_done() && (after.contains(&each.module) || each.module == one.module));
        let became = match (&stopped, before) {
            (Some(name), _) => Became::NotTried(not_tried(&one, &format!("everything stopped after {name}"))),
            (None, Some(before)) => Became::NotTried(not_tried(&one, &format!("{} is not applied", before.name))),
            (None, None) => tried(ports, fetched, &one, asked, (how, timings, begun), due.auto)?,
        };
        if let Became::Tried(target) = &became
            && ends_all(&target.applied)
        {
            stopped = Some(name.clone());
        }
        let pr = one.pr;
        due.each.push(Each { name, module: one.module, host: one.host, pr, became });
    }
    Ok(())
}

fn not_tried(one: &Pending, why: &str) -> Refusal {
    let fact = format!("{} on {} was not tried: {why}", one.module, one.host);
    Refusal::new(Code::AfterNotApplied, fact, "see to that one first, then run the same command again")
}

/// Ends what dead runs left, and waits for live ones as long as the command may. What stays open keeps its deployment
/// busy.
fn end_left(ports: &Ports<'_>, fetched: &mut Fetched, how: How, due: &mut Due) -> Stage<()> {
    let until = ports.clock.ticks_ms().saturating_add(how.wait_s.saturating_mul(1_000));
    let mut looked: BTreeSet<RunId> = BTreeSet::new();
    let mut told: BTreeSet<RunId> = BTreeSet::new();
    loop {
        let mut waits = Vec::new();
        let mut open_runs = resume::open_runs(ports, fetched)?;
        open_runs.retain(|open| !looked.contains(&open.run));
        for open in open_runs {
            match resume::resume(ports, fetched, open.clone()) {
                Err(stop) if resume::may_pass(&stop) => waits.push((open, stop)),
                found => {
                    looked.insert(open.run.clone());
                    let left = found.as_ref().ok().and_then(|resumed| resumed.left.as_ref());
                    let told = left.and_then(|left| left.told(how.logs));
                    due.ended.push(LookedAt { open, found, told });
                }
            }
        }
        if waits.is_empty() || ports.clock.ticks_ms() >= until || ports.clock.interrupted() {
            due.ended.extend(waits.into_iter().map(|(open, stop)| LookedAt { open, found: Err(stop), told: None }));
            fetched.checked = newest_record(ports)?;
            return Ok(());
        }
        (ports.tell)(Step::Began(Phase::Wait));
        for (open, _) in waits {
            if told.insert(open.run.clone()) {
                (ports.tell)(Step::Waiting { run: Box::new(open), now: ports.clock.now() });
            }
        }
        ports.clock.sleep_ms(AGAIN_AFTER_MS);
        *fetched = refresh(ports, &Request::default())?;
    }
}

/// Tries one deployment, unless it is known before that it waits.
fn tried(
    ports: &Ports<'_>,
    fetched: &mut Fetched,
    pending: &Pending,
    asked: &Asked,
    (how, timings, begun): (How, &Timings<'_>, u64),
    auto: bool,
) -> Stage<Became> {
    let known = match known(ports, fetched, pending, auto)? {
        Known::Waits(refusals) => return Ok(Became::Waits(refusals)),
        Known::Try(request) => Ok(request),
        Known::Refused(stop) => Err(stop),
    };
    let host = pending.several.then(|| pending.host.clone());
    let (applied, told, notices) = match known {
        Err(stop) => (Err(stop), None, Vec::new()),
        Ok(request) => {
            let mut ask = Ask { request, auto, ..asked.on(pending.module.clone(), host.clone()) };
            ask.waivers.transport = auto;
            // The command waits no longer for several runs than it may for one.
            let waited_s = ports.clock.ticks_ms().saturating_sub(begun) / 1_000;
            one(ports, fetched, &ask, How { wait_s: how.wait_s.saturating_sub(waited_s), ..how })
        }
    };
    if let Err(Stop::Refused(refusals)) = &applied
        && waits(refusals, auto)
    {
        return Ok(Became::Waits(refusals.clone()));
    }
    let name = host.map_or_else(|| pending.module.to_string(), |host| format!("{}@{host}", pending.module));
    let took_ms = ports.clock.ticks_ms().saturating_sub(begun);
    let durations_ms = spent(ports, timings, how);
    let (module, thrown_away) = (pending.module.clone(), ports.ci);
    let target = Target { name, module, applied, told, notices, thrown_away, took_ms, durations_ms };
    Ok(Became::Tried(Box::new(target)))
}

/// What is known of a deployment before its host is asked.
enum Known {
    /// It waits.
    Waits(Vec<Refusal>),
    /// It is tried by this request.
    Try(Request),
    /// It is refused, or something failed.
    Refused(Stop),
}

fn known(ports: &Ports<'_>, fetched: &Fetched, one: &Pending, auto: bool) -> Answer<Known> {
    let snapshot = Snapshot::lazy(ports.source, ports.source.commit(fetched.p)?.tree);
    let manifest = match manifests::manifest(&snapshot, &one.module)? {
        Some(Ok(manifest)) => manifest,
        Some(Err(problems)) => return Ok(Known::Refused(invalid(problems))),
        None => return Ok(Known::Refused(Stop::Refused(Vec::new()))),
    };
    let mut reasons = Vec::new();
    if one.held == Some(true) {
        let fact = format!("this release of {} failed on {} before", one.module, one.host);
        reasons.push(Refusal::new(Code::HeldRelease, fact, format!("platformctl show {}", one.module)));
    }
    if auto {
        let policy = &fetched.policy.policy;
        reasons.extend(unattended::manual(&manifest, policy.apply, one.pr));
        let freeze = Freeze::in_force(&policy.freeze, &one.module, &one.host, ports.clock.now());
        reasons.extend(freeze.map(|freeze| {
            let fact = format!("{} on {} is frozen until {}", one.module, one.host, freeze.until);
            Refusal::new(Code::Frozen, fact, "nothing has to be done: it is applied after that")
        }));
        match fetched.acting().and_then(unattended::recorded) {
            Ok(()) => {}
            Err(Stop::Refused(refusals)) if refusals.iter().all(|refusal| refusal.code == Code::PolicyWaits) => {
                reasons.extend(refusals);
            }
            Err(stop) => return Ok(Known::Refused(stop)),
        }
    }
    if !reasons.is_empty() {
        return Ok(Known::Waits(reasons));
    }
    if !one.valid {
        let problems = manifests::module(&snapshot, &one.module)?.and_then(Result::err).unwrap_or_default();
        return Ok(Known::Refused(invalid(problems)));
    }
    Ok(match way(ports, fetched, one) {
        Ok(Way::Apply { pr, merge }) => Known::Try(Request { approved: Some(merge.to_string()), pr: Some(pr) }),
        // The apply says who has it, and waits if it may.
        Ok(Way::Open(_)) => Known::Try(Request { approved: one.commit.map(|commit| commit.to_string()), pr: None }),
        Ok(Way::Refused(refusals)) if waits(&refusals, auto) => Known::Waits(refusals),
        Ok(Way::Refused(refusals)) => Known::Refused(Stop::Refused(refusals)),
        Err(stop) => Known::Refused(stop),
    })
}

fn invalid(problems: Vec<Problem>) -> Stop {
    Stop::Refused(problems.into_iter().map(Problem::into_refusal).collect())
}

/// What a runner leaves to a person, or to the end of a freeze.
const FOR_A_PERSON: &[Code] = &[
    Code::ApplyManual,
    Code::PolicyWaits,
    Code::DataAtRisk,
    Code::NewDoor,
    Code::Frozen,
    Code::GlassOpen,
    Code::MutationsDisabled,
];

/// Whether some refusals mean that a deployment waits, rather than that something is wrong.
fn waits(refusals: &[Refusal], auto: bool) -> bool {
    let waits = |code: Code| code == Code::HeldRelease || (auto && FOR_A_PERSON.contains(&code));
    let stands = auto && refusals.first().is_some_and(|refusal| refusal.code == Code::GlassOpen);
    stands || (!refusals.is_empty() && refusals.iter().all(|refusal| waits(refusal.code)))
}

/// Whether the next deployment would meet the same, or nobody knows what happened.
fn ends_all(applied: &Stage<Applied>) -> bool {
    let everywhere = |code: Code| {
        [
            Code::RemoteUnreachable,
            Code::CredentialsMissing,
            Code::CredentialsRefused,
            Code::Contention,
            Code::Interrupted,
            Code::StateRewound,
            Code::StateForked,
            Code::StateMissing,
            Code::StateInvalid,
            Code::Io,
            Code::Bug,
        ]
        .contains(&code)
    };
    match applied {
        Ok(Applied::Noop(_)) => false,
        Ok(Applied::Run(run)) => {
            let ended = &run.carried.ended;
            let code = ended.as_ref().err().map(|not_done| not_done.error().code);
            ending(ended) == Ending::Unknown || !run.carried.is_recorded() || code == Some(Code::Interrupted)
        }
        Err(Stop::Refused(refusals)) => refusals.iter().any(|refusal| everywhere(refusal.code)),
        Err(Stop::Failed(error)) => everywhere(error.code),
    }
}
