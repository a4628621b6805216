//! Pending, as a command asks for it: what is merged and not applied, and how each comes to be applied. Asks the
//! remote, and no host.

use crate::{
    flow::{Stage, Stop, approve::request::Request, refuse},
    ledger::state::State,
    model::{refusal::Code, status::OpenRun, text::shown, time::Timestamp},
    port::Ports,
    verb::{
        fetch::refresh,
        notices::{self, Notice},
        pending::{self, Pending, Way},
        recorded::BaseSeen,
    },
};

/// What is merged and not applied.
#[derive(Debug)]
pub struct Unapplied {
    /// Each, and how it comes to be applied; `None` where that was not asked, or where it cannot be read.
    pub pending: Vec<(Pending, Option<Way>)>,
    /// Runs that are open.
    pub open_runs: Vec<OpenRun>,
    /// The base.
    pub base: BaseSeen,
    /// Its branch.
    pub branch: String,
    /// Why the base is the one that was fetched last, where the remote gave no answer.
    pub unasked: Option<String>,
    /// What an operator should know.
    pub notices: Vec<Notice>,
    /// When this was looked at.
    pub now: Timestamp,
}

/// Lists what is merged and not applied. `offline`: by what was fetched last. `no_answer`: whether a failure means that
/// nobody answered; then what was fetched last is shown too.
///
/// # Errors
/// The remote was never asked, or what it has is not valid.
pub fn unapplied(ports: &Ports<'_>, offline: bool, no_answer: impl Fn(Code) -> bool) -> Stage<Unapplied> {
    let (fetched, unasked) = match (!offline).then(|| refresh(ports, &Request::default())) {
        None => (None, None),
        Some(Ok(fetched)) => (Some(fetched), None),
        Some(Err(Stop::Failed(error))) if no_answer(error.code) => (None, Some(error.what)),
        Some(Err(stop)) => return Err(stop),
    };
    let Some((base, seen)) = ports.ledger.base()? else {
        let fact = format!("this clone has not asked the remote for {} yet", shown(ports.base));
        return refuse(Code::NoState, fact, "platformctl state fetch");
    };
    let state = ports.ledger.tip()?.map(|tip| State::at(ports.source, tip)).transpose()?;
    let mut found = Vec::new();
    for one in pending::pending(ports.source, state.as_ref(), base)? {
        let way = match &fetched {
            Some(fetched) if one.valid => Some(pending::way(ports, fetched, &one)?),
            Some(_) | None => None,
        };
        found.push((one, way));
    }
    Ok(Unapplied {
        pending: found,
        open_runs: state.as_ref().map(State::open_runs).transpose()?.unwrap_or_default(),
        base: BaseSeen { commit: base, seen },
        branch: ports.base.to_owned(),
        unasked,
        notices: fetched.as_ref().map_or_else(Vec::new, notices::fetched),
        now: ports.clock.now(),
    })
}
