//! Resume, as a command asks for it: every open run, or one.

use std::collections::BTreeSet;

use crate::{
    flow::{Stage, approve::request::Request},
    model::{ending::Ending, ids::RunId, status::OpenRun},
    port::{Ports, Step, ending},
    verb::{
        alarms::{self, Done, Ran, Unrecorded},
        fetch::{Fetched, refresh},
        left::{Logs, Told},
        notices::{self, Notice},
        resume::{self, Resumed},
    },
};

/// What became of open runs.
#[derive(Debug)]
pub struct Reopened {
    /// Each run that was looked at.
    pub runs: Vec<LookedAt>,
    /// What an operator should know.
    pub notices: Vec<Notice>,
}

/// One open run, and what became of it.
#[derive(Debug)]
pub struct LookedAt {
    /// The run.
    pub open: OpenRun,
    /// What became of it, or why it stays open.
    pub found: Stage<Resumed>,
    /// The output of the containers of a held release.
    pub told: Option<Told>,
}

/// How often a run that may still end is asked for again, in milliseconds.
const AGAIN_AFTER_MS: u64 = 2_000;

/// Asks the hosts what became of open runs, and records it. One that is still running, or may still be watched by who
/// began it, is asked for again for up to `wait_s` seconds.
///
/// # Errors
/// The remote gave no answer, or there is no such run. That a run stays open is data.
pub fn resume(ports: &Ports<'_>, run: Option<&RunId>, logs: Logs, wait_s: u64) -> Stage<Reopened> {
    let until = ports.clock.ticks_ms() + wait_s.saturating_mul(1_000);
    let mut fetched = alarms::or_tell(ports, refresh(ports, &Request::default()))?;
    let mut open = match run {
        Some(run) => vec![resume::find(ports, &fetched, run)?],
        None => resume::open_runs(ports, &fetched)?,
    };
    let (mut runs, mut told) = (Vec::new(), BTreeSet::new());
    loop {
        let looked: Vec<LookedAt> = open.into_iter().map(|open| look(ports, &fetched, open, logs)).collect();
        let late = ports.clock.ticks_ms() >= until || ports.clock.interrupted();
        let may_end = |looked: &LookedAt| !late && looked.found.as_ref().is_err_and(resume::may_pass);
        let (waiting, ended): (Vec<_>, Vec<_>) = looked.into_iter().partition(may_end);
        runs.extend(ended);
        if waiting.is_empty() {
            return Ok(Reopened { notices: noticed(ports, &fetched, &runs), runs });
        }
        for looked in waiting.iter().filter(|looked| told.insert(looked.open.run.clone())) {
            (ports.tell)(Step::Waiting { run: Box::new(looked.open.clone()), now: ports.clock.now() });
        }
        ports.clock.sleep_ms(AGAIN_AFTER_MS);
        fetched = alarms::or_tell(ports, refresh(ports, &Request::default()))?;
        // Who began it may have recorded its outcome meanwhile.
        let still = resume::open_runs(ports, &fetched)?;
        open = waiting.into_iter().map(|looked| looked.open).filter(|open| still.contains(open)).collect();
    }
}

fn look(ports: &Ports<'_>, fetched: &Fetched, open: OpenRun, logs: Logs) -> LookedAt {
    let found = resume::resume(ports, fetched, open.clone());
    let left = found.as_ref().ok().and_then(|resumed| resumed.left.as_ref());
    let told = left.and_then(|left| left.told(logs));
    LookedAt { open, found, told }
}

/// What an operator should know, and people are told of the runs that ended.
fn noticed(ports: &Ports<'_>, fetched: &Fetched, runs: &[LookedAt]) -> Vec<Notice> {
    let mut notices = notices::all(ports, fetched);
    notices.extend(alarms::tell_of_runs(ports, fetched, runs.iter().filter_map(ran)));
    let stops = runs.iter().filter_map(|looked| looked.found.as_ref().err());
    notices.extend(stops.flat_map(|stop| alarms::tampered(ports, stop)));
    notices
}

/// How a run ended that was looked at, if people may be told of that.
pub(super) fn ran(looked: &LookedAt) -> Option<Ran> {
    let resumed = looked.found.as_ref().ok()?;
    let (record, pr) = (resumed.record.as_ref()?, resumed.pr?);
    let (deployment, run, ending) = (looked.open.deployment(), looked.open.run.clone(), ending(&resumed.ended));
    if !record.on_remote {
        return Some(Ran::Unrecorded(Unrecorded { deployment, pr, run, ending, waits_here: true }));
    }
    let (changes, seq) = (resumed.changes, record.seq);
    (ending == Ending::Ok).then_some(Ran::Done(Done { deployment, pr, run, changes, seq }))
}
