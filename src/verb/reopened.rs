//! Resume, as a command asks for it: every open run, or one.

use crate::{
    flow::{Stage, approve::request::Request},
    model::{ids::RunId, status::OpenRun},
    port::Ports,
    verb::{
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
    let fetched = refresh(ports, &Request::default())?;
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
    let runs = open.into_iter().map(look).collect();
    Ok(Reopened { runs, notices: notices::all(ports, &fetched) })
}
