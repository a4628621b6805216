//! `resume`: what became of open runs. Asks and records, never changes a host.

use serde_json::{Value, json};

use super::{
    held,
    session::{Session, notices, silent, warn},
};
use crate::{
    cli::Resume,
    error::{Class, Failure, outcome},
    flow::approve::request::Request,
    model::{
        ending::Outcome,
        refusal::{Code, Refusal},
    },
    port::{NotDone, ending},
    ui::{Last, Report, plural, wrapped},
    verb::resume::{self, Resumed},
};

pub(super) fn run(session: &Session, args: &Resume) -> Result<Report, Failure> {
    let host = |policy: &_| session.host(policy);
    let ports = session.ports(&host, &silent);
    let fetched = session.refresh(&ports, &Request::default())?;
    let open = match &args.run {
        Some(run) => vec![resume::find(&ports, &fetched, run)?],
        None => resume::open_runs(&ports, &fetched)?,
    };
    let count = open.len();
    let mut report = Report::done("resume", "ok", Last::Next("platformctl status".to_owned()));
    let mut results = Vec::new();
    let mut worst: Option<(Class, Failure)> = None;
    for open in open {
        let (run, module) = (open.run.clone(), open.module.clone());
        let failure = match resume::resume(&ports, &fetched, open) {
            Ok(resumed) => {
                let (line, result, failure) = told(&resumed);
                report.line(line);
                let why = failure.iter().flat_map(|failure| failure.refusals.first());
                report = report.lines(why.flat_map(|refusal| wrapped(&refusal.fact, "  ")));
                report = report.lines(held::told(session, resumed.left.as_ref(), args.logs));
                results.push(result);
                failure
            }
            Err(stop) => {
                let failure = Failure::from(stop);
                let why = failure.refusals.first().map_or("", |refusal| refusal.fact.as_str());
                wrapped(&format!("✗ {module}  {why}"), "").into_iter().for_each(|line| report.line(line));
                results.push(json!({"run": run, "module": module, "outcome": "open", "refusals": failure.refusals}));
                Some(failure)
            }
        };
        if let Some(failure) = failure {
            worst.get_or_insert((failure.class, failure));
        }
    }
    if count == 0 {
        report.line("✓ no run is open");
    } else {
        report.line(format!("{} looked at", plural(count, "run")));
    }
    if let Some((class, failure)) = worst {
        // With several runs that ended in several ways the result tells each.
        let class = if count == 1 { class } else { Class::Partial };
        let fix = failure.refusals.first().map_or_else(String::new, |refusal| refusal.fix.clone());
        report = report.last(Last::Fix(fix)).outcome("error").refused(failure.refusals).ends_in(class);
    }
    warn(&mut report, &fetched);
    notices(session, &mut report, &fetched);
    Ok(report.with("runs", results))
}

fn told(resumed: &Resumed) -> (String, Value, Option<Failure>) {
    let open = &resumed.open;
    let recorded = resumed.record.as_ref().is_some_and(|record| record.on_remote);
    let ending = ending(&resumed.ended);
    let outcome = outcome(ending, recorded);
    let error = resumed.ended.as_ref().err().map(NotDone::error);
    let mark = match outcome {
        Outcome::Applied | Outcome::Aborted => "✓",
        Outcome::Unrecorded => "!",
        Outcome::Noop
        | Outcome::Refused
        | Outcome::Held
        | Outcome::RolledBack
        | Outcome::Unknown
        | Outcome::Error
        | Outcome::Ok => "✗",
    };
    // A run that was aborted is ended now, which is all that was asked for.
    let failure = (!matches!(outcome, Outcome::Applied | Outcome::Aborted))
        .then(|| (Class::of_run(&resumed.ended, recorded), error));
    let outcome = outcome.as_str();
    let line = format!("{mark} {}  run {} {outcome}", open.module, open.run);
    let record = resumed
        .record
        .as_ref()
        .map(|record| json!({"seq": record.seq, "commit": record.commit, "on_remote": record.on_remote}));
    let result = json!({"run": open.run, "module": open.module, "outcome": outcome, "record": record});
    let failure = failure.map(|(class, error)| {
        let refusal = match error {
            Some(error) => Refusal::new(error.code, error.what.clone(), error.fix.clone()),
            None => Refusal::new(
                Code::Unrecorded,
                "the outcome is not on the remote yet",
                format!("platformctl resume {}", open.run),
            ),
        };
        Failure { class, refusals: vec![refusal], causes: Vec::new() }
    });
    (line, result, failure)
}
