//! `state`: the record itself, to and from the remote.

use serde_json::json;

use super::session::{Session, silent, warn};
use crate::{
    cli::State,
    error::Failure,
    flow::request::Request,
    ledger::state,
    model::refusal::{Code, Refusal},
    port::{Ledger as _, Pushed, Remote as _, Source as _},
    ui::{Last, Report},
};

pub(super) fn run(session: &Session, verb: &State) -> Result<Report, Failure> {
    match verb {
        State::Fetch => fetch(session),
        State::Push => push(session),
    }
}

fn fetch(session: &Session) -> Result<Report, Failure> {
    let host = |policy: &_| session.host(policy);
    let world = session.world(&host, &silent);
    let fresh = session.refresh(&world, &Request::default())?;
    let line = match &fresh.checked {
        Some(checked) => format!("✓ the record holds, newest is seq {}", checked.event.seq),
        None => "✓ there is no record yet".to_owned(),
    };
    let record = fresh.checked.as_ref().map(|checked| json!({"commit": checked.id, "seq": checked.event.seq}));
    let mut report = Report::done("state", "ok", Last::Next("platformctl status".to_owned()))
        .lines([line])
        .with("record", record)
        .with("delivered", fresh.delivered);
    warn(&mut report, &fresh);
    Ok(report)
}

/// Pushes a record that the remote lacks, after checking all of it. Never forced: the remote must be behind.
fn push(session: &Session) -> Result<Report, Failure> {
    let Some(tip) = session.git.tip()? else {
        return Err(Failure::refused(vec![Refusal::new(
            Code::NoState,
            "there is no record here",
            "platformctl state fetch",
        )]));
    };
    let record = session.record(Some(&session.remote));
    let (_, checked) = record.verify_all(tip)?;
    let refs = session.remote.refs(false)?;
    let report = |line: String| {
        Report::done("state", "ok", Last::Next("platformctl status".to_owned()))
            .lines([line])
            .with("record", json!({"commit": tip, "seq": checked.event.seq, "on_remote": true}))
    };
    if refs.state == Some(tip) {
        return Ok(report(format!("✓ the remote has it already, seq {}", checked.event.seq)));
    }
    if let Some(theirs) = refs.state {
        let behind = session.git.has(theirs)? && session.git.is_ancestor(theirs, tip)?;
        if !behind {
            let fact = format!("the remote has the record {theirs}, which is not contained here ({tip})");
            return Err(Failure::refused(vec![Refusal::new(Code::StateForked, fact, "platformctl state fetch")]));
        }
    }
    match session.remote.push_state(tip)? {
        Pushed::Accepted => {}
        Pushed::Refused(error) => return Err(error.into()),
        // Looked at, not guessed.
        Pushed::Rejected(why) | Pushed::Unknown(why) => {
            if session.remote.refs(false)?.state != Some(tip) {
                let fact = format!("the remote did not take the record: {why}");
                let fix = "see that you may push refs/platform/state, then try again";
                return Err(Failure::refused(vec![Refusal::new(Code::RemoteUnreachable, fact, fix)]));
            }
        }
    }
    let event = state::State::at(&session.git, tip)?.event()?;
    Ok(report(format!("✓ pushed, newest is seq {}", event.seq)))
}
