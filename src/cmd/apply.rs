//! `apply`: carries out what merged pull requests say. One module is one run; several are one command.

use serde_json::{Value, json};

use super::{
    held,
    plan::ask,
    session::{Session, notices, warn},
    steps::Steps,
};
use crate::{
    cli::Apply,
    error::{Class, Failure, outcome},
    flow::{Stop, approve::request::Request},
    io::{file, git::interrupt},
    model::{
        claim::{self, Claim},
        ending::Outcome,
        ids::{ModuleId, RunId},
        refusal::{Code, Refusal},
        text::shown,
    },
    port::{Clock as _, Phase, Ports, Step, ending},
    record::Appended,
    ui::{Last, Report, seconds, wrapped},
    verb::{
        apply::{self, Applied, Ask, Noop, Run},
        busy,
        fetch::{self, Fetched},
        resume, targets,
    },
};

/// How often a busy module is asked for again, in milliseconds.
const WAIT_MS: u64 = 1_000;

pub(super) fn run(session: &Session, args: &Apply) -> Result<Report, Failure> {
    interrupt::watch();
    let steps = Steps::new(session, args.timings);
    applied(session, args, &steps).or_else(|failure| Ok(steps.timed(Report::failed("apply", &failure))))
}

fn applied(session: &Session, args: &Apply, steps: &Steps<'_>) -> Result<Report, Failure> {
    let begun = session.clock.ticks_ms();
    let tell = |step: Step| steps.tell(&step);
    let host = |policy: &_| session.host(policy);
    let ports = session.ports(&host, &tell);
    let mut asks = asked(session, args)?;
    let request = asks.first().map_or_else(|| requested(args), |ask| ask.request.clone());
    if request == Request::default() && !args.again {
        return Err(Failure::usage(
            "which approval? neither --pr, --approved nor --again is given",
            "platformctl pending names the pull requests to apply",
        ));
    }
    if let [only] = asks.as_slice() {
        session.warm(&only.module, only.host.as_ref());
    }
    let mut fetched = session.refresh(&ports, &request)?;
    if asks.is_empty() {
        let changed = targets::changed(&apply::candidates(&ports, &fetched), &request, args.host.as_ref())?;
        let each =
            changed.into_iter().flat_map(|(module, hosts)| hosts.into_iter().map(move |host| (module.clone(), host)));
        asks.extend(each.map(|(module, host)| ask(module, host, &args.approving, &args.waive)));
    }
    let asks = targets::spread(ports.source, fetched.p, &asks)?;
    let mut reports = Vec::new();
    for ask in &asks {
        if asks.len() > 1 {
            session.printer.say(&format!("{} ({} of {})", ask.name(), reports.len() + 1, asks.len()));
        }
        steps.next();
        let report = steps.timed(one(session, &ports, &mut fetched, ask, args, begun));
        let failed = report.exit() != 0;
        reports.push((ask.name(), report));
        if failed {
            break;
        }
    }
    let nothing = reports.is_empty();
    let report = joined(reports, &asks);
    Ok(if nothing { steps.timed(report) } else { report })
}

fn requested(args: &Apply) -> Request {
    Request { approved: args.approving.approved.clone(), pr: args.approving.pr }
}

/// What is asked for by name; nothing if the pull request shall say it.
fn asked(session: &Session, args: &Apply) -> Result<Vec<Ask>, Failure> {
    let mut asks: Vec<Ask> = Vec::new();
    for target in &args.targets {
        let claim = if target.contains('/') || target.ends_with(".json") {
            let bytes = file::read(&session.env.cwd().join(target), claim::FILE_BYTES_MAX)?;
            Some(Claim::parse(&bytes, session.clock.now()).map_err(|refusal| Failure::refused(vec![refusal]))?)
        } else {
            None
        };
        let module: ModuleId = match &claim {
            Some(claim) => claim.intent().module.clone(),
            None => target.parse().map_err(|_| {
                Failure::usage(format!("`{}` is not a module", shown(target)), "give a module's id, or a plan file")
            })?,
        };
        // A plan file is for one host.
        let host = args.host.clone().or_else(|| Some(claim.as_ref()?.intent().host.clone()));
        if asks.iter().any(|ask| ask.module == module && (ask.host.is_none() || host.is_none() || ask.host == host)) {
            return Err(Failure::usage(format!("{module} is named twice"), "name it once"));
        }
        let ask = ask(module, host, &args.approving, &args.waive);
        asks.push(Ask { again: args.again, claim: claim.map(Box::new), ..ask });
    }
    Ok(asks)
}

fn one(session: &Session, ports: &Ports<'_>, fetched: &mut Fetched, ask: &Ask, args: &Apply, begun: u64) -> Report {
    let until = session.clock.ticks_ms() + args.wait.saturating_mul(1_000);
    let mut told: Option<RunId> = None;
    let applied = loop {
        let applied = apply::apply(ports, fetched, ask);
        // By the record, or by another process of this clone.
        let busy = match &applied {
            Err(Stop::Refused(refusals)) => refusals.iter().any(|refusal| refusal.code == Code::Busy),
            Err(Stop::Failed(error)) => error.code == Code::Busy,
            Ok(_) => false,
        };
        if !busy || session.clock.ticks_ms() >= until || session.clock.interrupted() {
            break applied;
        }
        (ports.tell)(Step::Began(Phase::Wait));
        match waits(session, ports, fetched, ask, &mut told) {
            Ok(()) => {}
            Err(stop) => break Err(stop),
        }
        session.clock.sleep_ms(WAIT_MS);
        match session.refresh(ports, &ask.request) {
            Ok(newer) => *fetched = newer,
            Err(stop) => break Err(stop),
        }
    };
    if let Ok(checked) = fetch::newest_record(ports) {
        fetched.checked = checked;
    }
    let began = fetched.is_baseline() && matches!(applied, Ok(Applied::Run(_)));
    let mut report = match applied {
        Ok(Applied::Noop(noop)) => nothing(&noop, ask),
        Ok(Applied::Run(run)) => ran(&run, ask, session.clock.ticks_ms().saturating_sub(begun)).lines(held::told(
            session,
            run.left.as_ref(),
            args.logs,
        )),
        Err(stop) => Report::failed("apply", &stop.into()).with("module", &ask.module),
    };
    if began {
        report.warn("this policy was recorded as the first one, the baseline: no review of it is proven");
    }
    warn(&mut report, fetched);
    notices(session, &mut report, fetched);
    report
}

/// Says once whom it waits for. A holder whose time is over is looked after: what became of its run is asked of the host and recorded,
/// and where only a person can end it, the wait ends.
fn waits(
    session: &Session,
    ports: &Ports<'_>,
    fetched: &Fetched,
    ask: &Ask,
    told: &mut Option<RunId>,
) -> Result<(), Stop> {
    let Some(open) = busy::holder(ports, fetched, &ask.module, ask.host.as_ref())? else { return Ok(()) };
    let now = session.clock.now();
    if told.as_ref() != Some(&open.run) {
        let (owner, since) = (shown(&open.owner), open.opened.age(now));
        let text = format!("waiting for run {} of {owner} on {}, open since {since}", open.run, open.module);
        wrapped(&text, "").iter().for_each(|line| session.printer.say(line));
        *told = Some(open.run.clone());
    }
    if now < open.expires {
        return Ok(());
    }
    let run = open.run.clone();
    match resume::resume(ports, fetched, open) {
        Ok(_) => {
            session.printer.say(&format!("run {run} had ended on its host: recorded"));
            Ok(())
        }
        // It still runs, or the host gives no answer now: the wait goes on. Everything else is for a person.
        Err(stop) if resume::may_pass(&stop) => Ok(()),
        Err(stop) => Err(stop),
    }
}

fn record(record: Option<&Appended>) -> Value {
    record.map_or(Value::Null, |record| match record.on_remote {
        true => json!({"commit": record.commit, "seq": record.seq, "on_remote": true}),
        false => json!({"commit": null, "seq": null, "on_remote": false}),
    })
}

fn nothing(noop: &Noop, ask: &Ask) -> Report {
    let since = noop.since.as_ref().and_then(|since| since.running.as_ref());
    let seen = since.map(|running| (running.at, running.pr, running.seq));
    let words = seen.map_or_else(String::new, |(at, pr, _)| format!(" since {at}, PR #{pr}"));
    let since = seen.map_or(Value::Null, |(at, pr, seq)| json!({"at": at, "pr": pr, "seq": seq}));
    Report::done("apply", "noop", Last::Next(format!("platformctl show {}", ask.module)))
        .lines([format!("✓ {}: nothing to change{words}", ask.module)])
        .with("module", &ask.module)
        .with("host", &noop.summary.host)
        .with("run", Value::Null)
        .with("approved", &noop.summary.approval)
        .with("checkout", noop.summary.checkout)
        .with("changes", json!([]))
        .with("gate", &noop.checks)
        .with("since", since)
        .with("record", record(noop.record.as_ref()))
}

fn ran(run: &Run, ask: &Ask, took_ms: u64) -> Report {
    let module = &ask.module;
    let lost = run.carried.lost.as_ref();
    let recorded = run.carried.is_recorded();
    let resume = format!("platformctl resume {}", run.carried.run);
    let class = Class::of_run(&run.carried.ended, recorded);
    let outcome = outcome(ending(&run.carried.ended), recorded);
    let report = match &run.carried.ended {
        Ok(_) if recorded => {
            Report::done("apply", outcome.as_str(), Last::Next(format!("platformctl status {module}")))
                .lines([format!("done {}", seconds(took_ms))])
        }
        Ok(_) => {
            let fact = "applied and healthy, but the record is not on the remote yet";
            stopped(outcome, class, Refusal::new(Code::Unrecorded, fact, resume.clone()))
        }
        Err(not_done) => {
            let error = not_done.error();
            let fix = if outcome == Outcome::Unknown { &resume } else { &error.fix };
            stopped(outcome, class, Refusal::new(error.code, error.what.clone(), fix.clone()))
        }
    };
    let report = match lost {
        _ if recorded => report,
        None => report.lines(["! the outcome waits here and is delivered by the next command".to_owned()]),
        Some(error) => report.lines([format!("! the outcome could not be kept here: {error}"), format!("! {resume}")]),
    };
    report
        .with("module", module)
        .with("host", &run.summary.host)
        .with("run", &run.carried.run)
        .with("intent", run.carried.intent)
        .with("approved", &run.summary.approval)
        .with("checkout", run.summary.checkout)
        .with("changes", &run.summary.changes)
        .with("gate", run.carried.permit.checks())
        .with("record", record(run.carried.record.as_ref()))
}

/// A run that did not end well, in the words of its class.
fn stopped(outcome: Outcome, class: Class, refusal: Refusal) -> Report {
    let word = match outcome {
        Outcome::Held => "HELD",
        Outcome::Unknown => "UNKNOWN",
        Outcome::Unrecorded => "UNRECORDED",
        Outcome::Applied
        | Outcome::Noop
        | Outcome::Refused
        | Outcome::RolledBack
        | Outcome::Aborted
        | Outcome::Error
        | Outcome::Ok => "✗ aborted:",
    };
    let code = refusal.code;
    let untouched = class.is_untouched() || outcome == Outcome::Aborted;
    let world = if untouched { "Nothing that runs was changed." } else { class.world() };
    let mut lines = vec![format!("{word} {} ({}). {world}", code.slug(), class.exit())];
    lines.extend(wrapped(&refusal.fact, ""));
    Report::done("apply", outcome.as_str(), Last::Fix(refusal.fix.clone()))
        .lines(lines)
        .refused(vec![refusal])
        .ends_in(class)
}

/// Several modules: all the same, or partial.
fn joined(mut reports: Vec<(String, Report)>, asks: &[Ask]) -> Report {
    if let ([_], Some((_, only))) = (asks, reports.first()) {
        return only.clone();
    }
    let left: Vec<String> = asks.iter().skip(reports.len()).map(Ask::name).collect();
    let results: Vec<Value> = reports.iter().map(|(_, report)| report.json()).collect();
    let Some((module, last)) = reports.pop() else {
        return Report::done("apply", "noop", Last::Next("platformctl pending".to_owned()))
            .lines(["✓ this pull request changed no module".to_owned()])
            .with("targets", results);
    };
    if last.exit() == 0 {
        let lines: Vec<String> = asks.iter().map(|ask| format!("✓ {}", ask.name())).collect();
        return Report::done("apply", "applied", Last::Next("platformctl status".to_owned()))
            .lines(lines)
            .with("targets", results);
    }
    if reports.is_empty() {
        // Nothing was applied before it: the first failure tells everything.
        let left = left.iter().map(|target| format!("! {target} not tried"));
        return last.lines(left).with("targets", results);
    }
    let done: Vec<String> = reports.iter().map(|(module, _)| format!("✓ {module}")).collect();
    let mut lines = last.said();
    lines.extend(done);
    lines.push(format!("✗ {module} (exit {})", last.exit()));
    lines.extend(left.iter().map(|module| format!("! {module} not tried")));
    Report::done("apply", "error", Last::Fix(last.fix()))
        .lines(lines)
        .coded(last.code())
        .ends_in(Class::Partial)
        .with("targets", results)
}
