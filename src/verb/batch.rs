//! Batch: an apply of one module is one run; an apply of several modules is one command. It ends with the first that
//! fails.

use crate::{
    flow::{Stage, Stop},
    model::{
        approval::Approval,
        ending::Ending,
        ids::{Deployment, ModuleId},
    },
    port::{Phase, Ports, Step, ending},
    verb::{
        alarms::{self, Done, Ran, Unrecorded},
        apply::{Applied, Ask, candidates},
        asked::Asked,
        fetch::{Fetched, newest_record, refresh},
        left::{Logs, Told},
        notices::{self, Notice, unpinned},
        targets,
        timings::Timings,
        wait::patiently,
    },
};

/// What became of all that was asked for.
#[derive(Debug)]
pub struct Batch {
    /// What was asked for by name, in order: modules, or deployments where a module has several hosts.
    pub asked: Vec<String>,
    /// What became of each that was tried.
    pub targets: Vec<Target>,
    /// Why it is not known which modules are asked for.
    pub stopped: Option<Stop>,
    /// Where the time went, beside that of the targets: milliseconds by phase.
    pub durations_ms: Vec<(Phase, u64)>,
    /// What an operator should know of the command as a whole.
    pub notices: Vec<Notice>,
    /// What could not be shown on the forge.
    pub unseen: Vec<String>,
}

/// One module on one host, and what became of it.
#[derive(Debug)]
pub struct Target {
    /// Its name: the module, or the deployment where the module has several hosts.
    pub name: String,
    /// The module.
    pub module: ModuleId,
    /// What became of it.
    pub applied: Stage<Applied>,
    /// The output of the containers of a held release.
    pub told: Option<Told>,
    /// What an operator should know.
    pub notices: Vec<Notice>,
    /// Whether this clone is thrown away when the command has ended, with what waits in it.
    pub thrown_away: bool,
    /// Milliseconds since the command began.
    pub took_ms: u64,
    /// Where the time of this target went: milliseconds by phase.
    pub durations_ms: Vec<(Phase, u64)>,
}

impl Target {
    /// What approved it, where that came so far.
    pub fn approval(&self) -> Option<&Approval> {
        match &self.applied {
            Ok(Applied::Run(run)) => Some(&run.summary.approval),
            Ok(Applied::Noop(noop)) => Some(&noop.summary.approval),
            Err(_) => None,
        }
    }
}

/// How a batch is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct How {
    /// How many seconds to wait for another person's open run.
    pub wait_s: u64,
    /// What is asked of containers that a held release left.
    pub logs: Logs,
    /// Whether the timings are printed.
    pub timings: bool,
}

/// Applies what was asked for, each module after those that it comes after. `asks`: by name; none: what the pull
/// request changed. That something is not applied is data.
pub fn apply_all(ports: &Ports<'_>, asked: &Asked, asks: Stage<Vec<Ask>>, how: How) -> Batch {
    let timings = Timings::new(ports.clock);
    let mut batch = Batch {
        asked: Vec::new(),
        targets: Vec::new(),
        stopped: None,
        durations_ms: Vec::new(),
        unseen: Vec::new(),
        notices: Vec::new(),
    };
    let ended = timings.measured(ports, |ports| each(ports, asked, asks?, (how, &timings), &mut batch));
    batch.stopped = ended.err();
    let stops = batch.targets.iter().filter_map(|target| target.applied.as_ref().err()).chain(&batch.stopped);
    let tampered: Vec<Notice> = stops.flat_map(|stop| alarms::tampered(ports, stop)).collect();
    batch.notices.extend(tampered);
    if batch.targets.is_empty() {
        batch.durations_ms = spent(ports, &timings, how);
    }
    batch
}

/// Where the time went since the last target.
pub(super) fn spent(ports: &Ports<'_>, timings: &Timings<'_>, how: How) -> Vec<(Phase, u64)> {
    let spent = timings.take();
    if how.timings {
        (ports.tell)(Step::Spent(spent.clone()));
    }
    spent
}

fn each(ports: &Ports<'_>, asked: &Asked, asks: Vec<Ask>, how: (How, &Timings<'_>), batch: &mut Batch) -> Stage<()> {
    let begun = ports.clock.ticks_ms();
    let mut fetched = refresh(ports, &asked.request)?;
    let ended = all(ports, (asked, asks), &mut fetched, (begun, how), batch);
    batch.notices = alarms::tell_of_runs(ports, &fetched, batch.targets.iter().filter_map(ran));
    ended
}

fn all(
    ports: &Ports<'_>,
    (asked, mut asks): (&Asked, Vec<Ask>),
    fetched: &mut Fetched,
    (begun, (how, timings)): (u64, (How, &Timings<'_>)),
    batch: &mut Batch,
) -> Stage<()> {
    if asks.is_empty() {
        let changed = targets::changed(&candidates(ports, fetched), &asked.request, asked.host.as_ref())?;
        let each =
            changed.into_iter().flat_map(|(module, hosts)| hosts.into_iter().map(move |host| (module.clone(), host)));
        asks.extend(each.map(|(module, host)| asked.on(module, host)));
    }
    let asks = targets::spread(ports.source, fetched.p, &asks)?;
    batch.asked = asks.iter().map(Ask::name).collect();
    for (at, ask) in (1..).zip(&asks) {
        if asks.len() > 1 {
            (ports.tell)(Step::Target { name: ask.name(), at, of: asks.len() });
        }
        let (applied, told, notices) = one(ports, fetched, ask, how);
        let done = matches!(&applied, Ok(applied) if applied.is_done());
        let took_ms = ports.clock.ticks_ms().saturating_sub(begun);
        let durations_ms = spent(ports, timings, how);
        let (name, module) = (ask.name(), ask.module.clone());
        let thrown_away = ports.ci;
        batch.targets.push(Target { name, module, applied, told, notices, thrown_away, took_ms, durations_ms });
        if !done {
            break;
        }
    }
    Ok(())
}

/// How a target's run ended, if it had one whose end people may be told of.
pub(super) fn ran(target: &Target) -> Option<Ran> {
    let Ok(Applied::Run(run)) = &target.applied else { return None };
    let deployment = Deployment::new(&target.module, &run.summary.host);
    let (pr, id, ending) = (run.summary.approval.pr, run.carried.run.clone(), ending(&run.carried.ended));
    if !run.carried.is_recorded() {
        let waits_here = run.carried.lost.is_none();
        return Some(Ran::Unrecorded(Unrecorded { deployment, pr, run: id, ending, waits_here }));
    }
    let seq = run.carried.record.as_ref()?.seq;
    let changes = run.summary.changes.len() as u64;
    (ending == Ending::Ok).then_some(Ran::Done(Done { deployment, pr, run: id, changes, seq }))
}

pub(super) fn one(
    ports: &Ports<'_>,
    fetched: &mut Fetched,
    ask: &Ask,
    how: How,
) -> (Stage<Applied>, Option<Told>, Vec<Notice>) {
    let first = fetched.checked.is_none();
    let applied = patiently(ports, fetched, ask, how.wait_s);
    if let Ok(checked) = newest_record(ports) {
        fetched.checked = checked;
    }
    let run = match &applied {
        Ok(Applied::Run(run)) => Some(run),
        Ok(Applied::Noop(_)) | Err(_) => None,
    };
    let told = run.and_then(|run| run.left.as_ref()).and_then(|left| left.told(how.logs));
    let baseline = run.filter(|_| fetched.is_baseline()).map(|_| Notice::Baseline);
    // The advice to pin the record is given by the apply that wrote the first record.
    let genesis = fetched.checked.as_ref().filter(|_| first).map(|checked| checked.genesis);
    let notices = baseline.into_iter().chain(unpinned(fetched, genesis)).chain(notices::all(ports, fetched)).collect();
    (applied, told, notices)
}
