//! `abandon`: ends a run for good, on its host first.

use serde_json::json;

use super::session::{Session, notices, reason, silent, warn};
use crate::{
    cli::Abandon,
    error::{Class, Failure},
    flow::approve::request::Request,
    model::refusal::{Code, Refusal},
    ui::{Last, Report},
    verb::resume,
};

pub(super) fn run(session: &Session, args: &Abandon) -> Result<Report, Failure> {
    reason(&args.reason)?;
    let host = |policy: &_| session.host(policy);
    let ports = session.ports(&host, &silent);
    let fetched = session.refresh(&ports, &Request::default())?;
    let open = resume::find(&ports, &fetched, &args.run)?;
    let module = open.module.clone();
    let done = resume::abandon(&ports, &fetched, open, &args.reason)?;
    let mut report = Report::done("abandon", "ok", Last::Next(format!("platformctl status {module}")))
        .lines([format!("✓ run {} of {module} is ended", args.run)])
        .with("run", &args.run)
        .with("module", &module)
        .with("record", json!({"seq": done.seq, "commit": done.commit, "on_remote": done.on_remote}));
    if !done.on_remote {
        let fact = "ended on its host, but the record is not on the remote yet";
        report = report
            .last(Last::Fix("platformctl state fetch".to_owned()))
            .outcome("unrecorded")
            .refused(vec![Refusal::new(Code::Unrecorded, fact, "platformctl state fetch delivers it")])
            .ends_in(Class::Unrecorded);
    }
    warn(&mut report, &fetched);
    notices(session, &mut report, &fetched);
    Ok(report)
}
