//! `log`: the record, newest first. Reads git alone.

use serde_json::json;

use super::{
    session::Session,
    status::{absent, local},
};
use crate::{
    cli::Log,
    error::Failure,
    ledger::state::State,
    model::text,
    port::{Clock as _, Source as _},
    ui::{Last, Report, table},
};

pub(super) fn run(session: &Session, args: &Log) -> Result<Report, Failure> {
    let state = local(session)?;
    let mut next = Some(state.tip());
    let now = session.clock.now();
    let (mut rows, mut events) = (Vec::new(), Vec::new());
    while let Some(id) = next.filter(|_| rows.len() < args.count) {
        let commit = session.git.commit(id)?;
        next = commit.parents.first().copied();
        let event = State::at(&session.git, id)?.event()?;
        if args.module.is_some() && args.module != event.module {
            continue;
        }
        let message = text::escaped_bytes(commit.message.split(|b| *b == b'\n').next().unwrap_or_default());
        rows.push(vec![format!("{:>4}", event.seq), event.time.age(now), message.clone()]);
        events.push(json!({"commit": id, "subject": message, "event": event}));
    }
    if let (Some(module), true) = (&args.module, rows.is_empty() && args.count > 0) {
        return Err(absent(session, &state, module));
    }
    let first = events.first().and_then(|event| event["event"]["seq"].as_u64());
    let next = first.map_or_else(|| "platformctl status".to_owned(), |seq| format!("platformctl show {seq}"));
    Ok(Report::done("log", "ok", Last::Next(next)).lines(table(&rows)).with("events", events))
}
