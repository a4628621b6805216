//! Plan, as a command asks for it: a proposal, or why there is none.

use crate::{
    flow::{Stage, approve::request::Request},
    model::{
        ids::{ModuleId, Oid},
        time::Timestamp,
    },
    port::{Answer, Phase, Ports},
    verb::{
        apply::Ask,
        fetch::refresh,
        notices::{self, Notice},
        plan::{Proposal, Which, propose},
        timings::Timings,
    },
};

/// How long a plan file may be used, in seconds.
pub const GOOD_FOR_S: i64 = 24 * 3_600;

/// What would change.
#[derive(Debug)]
pub struct Planned {
    /// The module.
    pub module: ModuleId,
    /// What would be done, or why there is no plan.
    pub proposal: Stage<Proposal>,
    /// What an operator should know.
    pub notices: Vec<Notice>,
    /// When it was planned.
    pub at: Timestamp,
    /// Where the time went: milliseconds by phase.
    pub durations_ms: Vec<(Phase, u64)>,
    /// The file that the plan is written to.
    pub file: Option<String>,
    /// Whether a plan that changes something has an exit code of its own.
    pub exit_code: bool,
    /// Whether a person is told where the time went.
    pub timings: bool,
}

/// Plans a module: the commit `at`, what the request approves, or the newest merge that changed it.
pub fn plan(ports: &Ports<'_>, ask: &Ask, at: Answer<Option<Oid>>) -> Planned {
    let timings = Timings::new(ports.clock);
    let (proposal, notices) = match timings.measured(ports, |ports| proposed(ports, ask, at)) {
        Ok((proposal, notices)) => (Ok(proposal), notices),
        Err(stop) => (Err(stop), Vec::new()),
    };
    Planned {
        module: ask.module.clone(),
        proposal,
        notices,
        at: ports.clock.now(),
        durations_ms: timings.take(),
        file: None,
        exit_code: false,
        timings: false,
    }
}

fn proposed(ports: &Ports<'_>, ask: &Ask, at: Answer<Option<Oid>>) -> Stage<(Proposal, Vec<Notice>)> {
    let which = match at? {
        Some(commit) => Which::At(commit),
        None if ask.request == Request::default() => Which::Newest,
        None => Which::Request(ask.request.clone()),
    };
    let fetched = refresh(ports, &ask.request)?;
    let proposal = propose(ports, &fetched, ask, &which)?;
    Ok((proposal, notices::all(ports, &fetched)))
}
