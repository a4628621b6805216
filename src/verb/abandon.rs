//! Abandon, as a command asks for it: one run is ended for good.

use serde::Serialize;

use crate::{
    flow::{Stage, approve::request::Request},
    model::{
        ids::{ModuleId, RunId},
        reason::Reason,
    },
    port::Ports,
    verb::{
        alarms,
        fetch::refresh,
        notices::{self, Notice},
        recorded::Recorded,
        resume,
    },
};

/// A run was ended for good.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Abandoned {
    /// The run.
    pub run: RunId,
    /// Its module.
    pub module: ModuleId,
    /// The record of it.
    pub record: Recorded,
    /// What an operator should know.
    #[serde(skip)]
    pub notices: Vec<Notice>,
}

/// Ends a run for good, on its host first.
///
/// # Errors
/// As [`resume::abandon`]: the run stays open.
pub fn abandon(ports: &Ports<'_>, run: &RunId, reason: &Reason) -> Stage<Abandoned> {
    let fetched = alarms::or_tell(ports, refresh(ports, &Request::default()))?;
    let open = resume::find(ports, &fetched, run)?;
    let module = open.module.clone();
    let done = resume::abandon(ports, &fetched, open, reason.as_str())?;
    let mut notices = notices::all(ports, &fetched);
    notices.extend(alarms::tell_of_runs(ports, &fetched, []));
    Ok(Abandoned { run: run.clone(), module, record: Recorded::of(&done), notices })
}
