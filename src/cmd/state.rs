//! `state`: the record itself, to and from the remote.

use serde_json::json;

use super::session::{Session, notices, reason, silent, warn};
use crate::{
    cli::State,
    error::Failure,
    flow::approve::request::Request,
    ledger::{event::VOIDS_MAX, recover as ledger_recover, state},
    model::refusal::{Code, Refusal},
    port::{Ledger as _, Pushed, Remote as _, Source as _},
    ui::{Last, Report, plural, wrapped},
    verb::{fetch, recover},
};

pub(super) fn run(session: &Session, verb: &State) -> Result<Report, Failure> {
    match verb {
        State::Fetch => fetch(session),
        State::Push => push(session),
        State::Recover(args) => recovered(session, &args.reason),
    }
}

fn fetch(session: &Session) -> Result<Report, Failure> {
    let host = |policy: &_| session.host(policy);
    let ports = session.ports(&host, &silent);
    let fetched = session.refresh(&ports, &Request::default())?;
    let line = match &fetched.checked {
        Some(checked) => format!("✓ the record holds, newest is seq {}", checked.event.seq),
        None => "✓ there is no record yet".to_owned(),
    };
    let record = fetched.checked.as_ref().map(|checked| json!({"commit": checked.id, "seq": checked.event.seq}));
    let mut report = Report::done("state", "ok", Last::Next("platformctl status".to_owned()))
        .lines([line])
        .with("record", record)
        .with("delivered", fetched.delivered);
    warn(&mut report, &fetched);
    notices(session, &mut report, &fetched);
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
    let (_, checked, _) = record.verify_all(tip)?;
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
        let behind = session.git.has(theirs)? && ledger_recover::contains(&session.git, tip, theirs)?;
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

/// Ids that are shown of what is displaced.
const SHOWN: usize = 5;

/// Goes on from the last good record.
fn recovered(session: &Session, why: &str) -> Result<Report, Failure> {
    reason(why)?;
    let host = |policy: &_| session.host(policy);
    let ports = session.ports(&host, &silent);
    session.printer.waiting(&format!("asking {}", session.config.remote));
    let (policy, found) = recover::recovery(&ports)?;
    let record = fetch::record(&ports, &policy.policy);
    let Some(found) = found else {
        let fact = "the record holds: there is nothing to recover from";
        return Err(Failure::usage(fact, "platformctl state fetch"));
    };
    let done = record.recover(&found, why)?;
    let count = found.voids.len();
    let mut report = Report::done("state", "ok", Last::Next("platformctl verify".to_owned()))
        .lines([
            format!("✓ recovered, newest is seq {}", done.seq),
            format!("  last good  {}", found.good.id),
            format!("  displaced  {}", found.displaced),
        ])
        .lines(wrapped(&format!("{} did not hold: {}", found.fault.commit, found.fault), "  "))
        .lines([format!("{} voided, kept as evidence:", plural(count, "commit"))])
        .lines(found.voids.iter().take(SHOWN).map(|id| format!("  {id}")));
    if count > SHOWN {
        report.line(format!("  and {} more", count - SHOWN));
    }
    Ok(report
        .with("record", json!({"commit": done.commit, "seq": done.seq, "on_remote": done.on_remote}))
        .with("good", found.good.id)
        .with("displaced", found.displaced)
        .with("fault", found.fault.to_string())
        .with("voided", found.voids.iter().take(VOIDS_MAX).collect::<Vec<_>>())
        .with("voided_count", count))
}
