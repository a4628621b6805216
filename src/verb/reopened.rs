//! Resume, as a command asks for it: every open run, or one.

use crate::{
    flow::{Stage, approve::request::Request},
    model::{ending::Ending, ids::RunId, status::OpenRun},
    port::{Ports, ending},
    verb::{
        alarms::{self, Done, Ran, Unrecorded},
        fetch::refresh,
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

/// Asks the hosts what became of open runs, and records it.
///
/// # Errors
/// The remote gave no answer, or there is no such run. That a run stays open is data.
pub fn resume(ports: &Ports<'_>, run: Option<&RunId>, logs: Logs) -> Stage<Reopened> {
    let fetched = alarms::or_tell(ports, refresh(ports, &Request::default()))?;
    let open = match run {
        Some(run) => vec![resume::find(ports, &fetched, run)?],
        None => resume::open_runs(ports, &fetched)?,
    };
    let look = |open: OpenRun| {
        let found = resume::resume(ports, &fetched, open.clone());
        let left = found.as_ref().ok().and_then(|resumed| resumed.left.as_ref());
        let told = left.and_then(|left| left.told(logs));
        LookedAt { open, found, told }
    };
    let runs: Vec<LookedAt> = open.into_iter().map(look).collect();
    let mut notices = notices::all(ports, &fetched);
    notices.extend(alarms::tell_of_runs(ports, &fetched, runs.iter().filter_map(ran)));
    let stops = runs.iter().filter_map(|looked| looked.found.as_ref().err());
    notices.extend(stops.flat_map(|stop| alarms::tampered(ports, stop)));
    Ok(Reopened { runs, notices })
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
