//! `verify`: the whole record, from its first commit, and that the remote has the same.

use serde_json::json;

use super::{
    session::{Session, pin, silent},
    status::local,
};
use crate::{
    cli::Verify,
    error::Failure,
    flow::approve::request::Request,
    model::{
        policy::SignPolicy,
        refusal::{Code, Refusal},
    },
    port::Ledger as _,
    ui::{Last, Report, plural},
    verb::fetch,
};

pub(super) fn run(session: &Session, args: &Verify) -> Result<Report, Failure> {
    let host = |policy: &_| session.host(policy);
    let ports = session.ports(&host, &silent);
    let fetched = if args.offline { None } else { Some(session.refresh(&ports, &Request::default())?) };
    if fetched.is_some() && session.git.tip()?.is_none() {
        return Ok(Report::done("verify", "ok", Last::Next("platformctl pending".to_owned()))
            .lines(["✓ there is no record yet, here or on the remote".to_owned()])
            .with("records", 0));
    }
    let tip = local(session)?.tip();
    let record = match &fetched {
        Some(fetched) => fetch::record(&ports, &fetched.policy.policy),
        None => session.record(None),
    };
    let (count, checked, twice) = record.verify_all(tip)?;
    let mut report = Report::done("verify", "ok", Last::Next("platformctl log".to_owned()))
        .lines([
            format!("✓ {} hold, each by its own bytes", plural(usize::try_from(count).unwrap_or(0), "record")),
            format!("  first   {}", checked.genesis),
            format!("  newest  {tip}"),
        ])
        .with("records", count)
        .with("genesis", checked.genesis)
        .with("record", json!({"commit": tip, "seq": checked.event.seq, "on_remote": fetched.is_some()}));
    for run in twice {
        report.warn(format!("more than one module used the run id {run}: platformctl never does that"));
    }
    if let Some(fetched) = &fetched {
        report.line(match fetched.policy.policy.state.remote.as_deref() {
            Some("none") => "  kept on this machine alone, by policy".to_owned(),
            Some(_) | None => format!("✓ {} has the same", session.config.remote),
        });
        if fetched.policy.policy.state.sign == SignPolicy::Required {
            report.warn("signatures are not checked by this version");
        }
        pin(&mut report, fetched, Some(checked.genesis));
    }
    if !session.git.notes("spool")?.is_empty() {
        let waiting = "a record waits here that the remote does not have";
        return Err(Failure::refused(vec![Refusal::new(Code::Unrecorded, waiting, "platformctl state fetch")]));
    }
    Ok(report)
}
