//! `plan`: what an apply would change, and every reason that speaks against it.

use serde_json::{Value, json};

use super::{
    session::{Session, notices, warn},
    steps::durations_ms,
};
use crate::{
    cli::{Approving, Plan, Waive},
    error::{Class, Failure},
    flow::{approve::request::Request, bind::Waivers},
    io::file,
    model::{
        ids::{HostName, ModuleId},
        plan::{self, Action, Change, Data, Downtime, PlanFile, PlanStatus},
    },
    port::{Clock as _, Ports, Step},
    ui::{Last, Report, meanings, plural, table, timings, wrapped},
    verb::{
        apply::Ask,
        fetch::Fetched,
        plan::{Proposal, Which, propose},
        targets,
        timings::Timings,
    },
};

/// How long a plan file may be used.
const GOOD_FOR_S: i64 = 24 * 3_600;

/// What a person asks of a module.
pub(super) fn ask(module: ModuleId, host: Option<HostName>, approving: &Approving, waive: &Waive) -> Ask {
    Ask {
        module,
        host,
        request: Request { approved: approving.approved.clone(), pr: approving.pr },
        again: false,
        waivers: Waivers { checkout: waive.no_checkout_binding, older: waive.allow_older },
        retry: waive.retry,
        claim: None,
    }
}

pub(super) fn run(session: &Session, args: &Plan) -> Result<Report, Failure> {
    let ask = ask(args.module.clone(), args.host.clone(), &args.approving, &args.waive);
    let clock = Timings::new(&session.clock);
    let host = |policy: &_| session.host(policy);
    let tell = |step| {
        if let Step::Began(phase) = step {
            clock.began(phase);
        }
    };
    let ports = session.ports(&host, &tell);
    if args.at.is_none() {
        session.warm(&ask.module, ask.host.as_ref());
    }
    let fetched = session.refresh(&ports, &ask.request).map_err(Failure::from);
    if let Ok(fetched) = &fetched {
        let asks = targets::spread(ports.source, fetched.p, std::slice::from_ref(&ask))?;
        if asks.len() > 1 {
            let report = each(session, &ports, fetched, args, &asks)?;
            return Ok(timed(report, &durations_ms(&clock), args));
        }
    }
    let planned = fetched.and_then(|fetched| planned(session, &ports, &fetched, args, &ask));
    let durations_ms = durations_ms(&clock);
    if let Some(path) = &args.output {
        let now = session.clock.now();
        let file = plan_file(&planned, now);
        let mut text = serde_json::to_vec_pretty(&file).unwrap_or_default();
        text.push(b'\n');
        file::write(&session.env.cwd().join(path), &text)?;
    }
    let (proposal, mut report) = match planned {
        Ok(both) => both,
        Err(failure) => {
            let mut report = Report::failed("plan", &failure);
            report.set("module", &ask.module);
            return Ok(timed(report, &durations_ms, args));
        }
    };
    for warning in &proposal.warnings {
        report.warn(warning);
    }
    if let Some(path) = &args.output {
        let shown = path.display().to_string();
        report.line(format!("written to {shown}, good for {} h", GOOD_FOR_S / 3_600));
        // A path without a slash is taken for a plan file by its ending alone.
        let named = if shown.contains('/') || shown.ends_with(".json") { shown } else { format!("./{shown}") };
        if let (0, false, Some(pr), Some(_)) =
            (report.exit(), proposal.done, proposal.intention.pr, proposal.intention.merge)
        {
            report = report.last(Last::Next(format!("platformctl apply {named} --pr {pr}")));
        }
    }
    let report = timed(report, &durations_ms, args);
    let pending = !proposal.done && report.exit() == 0;
    Ok(if args.exit_code && pending { report.ends_in(Class::Differs) } else { report })
}

/// A report with what each phase took.
fn timed(report: Report, durations_ms: &[(&'static str, u64)], args: &Plan) -> Report {
    let table = if args.timings { timings(durations_ms) } else { Vec::new() };
    report.lines(table).durations(durations_ms)
}

/// Plans a module on each of its hosts, as `apply` without `--host` treats them. The first reason on any host decides the exit code.
fn each(session: &Session, ports: &Ports<'_>, fetched: &Fetched, args: &Plan, asks: &[Ask]) -> Result<Report, Failure> {
    if let (Some(path), Some(first)) = (&args.output, asks.first().and_then(|ask| ask.host.as_ref())) {
        let module = &args.module;
        let fix = format!("platformctl plan {module} --host {first} -o {}", path.display());
        return Err(Failure::usage(format!("a plan file is for one host, and {module} has several"), fix));
    }
    let (mut lines, mut results, mut worst, mut pending) = (Vec::new(), Vec::new(), None, false);
    let mut warnings: Vec<String> = Vec::new();
    for ask in asks {
        let report = match planned(session, ports, fetched, args, ask) {
            Ok((proposal, report)) => {
                warnings.extend(
                    proposal.warnings.iter().filter(|warning| !warnings.contains(warning)).cloned().collect::<Vec<_>>(),
                );
                pending |= !proposal.done;
                report
            }
            Err(failure) => Report::failed("plan", &failure).with("module", &ask.module).with("host", &ask.host),
        };
        lines.extend(report.said());
        results.push(report.json());
        if report.exit() != 0 && worst.is_none() {
            worst = Some(report);
        }
    }
    let report = match worst {
        Some(worst) => worst.only(lines),
        None => {
            let next = if pending { "pending" } else { "status" };
            let outcome = if pending { "ok" } else { "noop" };
            Report::done("plan", outcome, Last::Next(format!("platformctl {next}"))).lines(lines)
        }
    };
    let mut report = report.with("targets", results);
    warnings.into_iter().for_each(|warning| report.warn(warning));
    warn(&mut report, fetched);
    notices(session, &mut report, fetched);
    Ok(if args.exit_code && pending && report.exit() == 0 { report.ends_in(Class::Differs) } else { report })
}

fn planned(
    session: &Session,
    ports: &Ports<'_>,
    fetched: &Fetched,
    args: &Plan,
    ask: &Ask,
) -> Result<(Proposal, Report), Failure> {
    let which = match &args.at {
        Some(rev) => Which::At(session.git.resolve(rev)?),
        None if ask.request == Request::default() => Which::Newest,
        None => Which::Request(ask.request.clone()),
    };
    let proposal = propose(ports, fetched, ask, &which)?;
    let mut report = report(&proposal, ask.host.as_ref());
    warn(&mut report, fetched);
    notices(session, &mut report, fetched);
    Ok((proposal, report))
}

fn plan_file(planned: &Result<(Proposal, Report), Failure>, now: crate::model::time::Timestamp) -> PlanFile {
    let (status, refusals) = match planned {
        Ok((proposal, _)) if proposal.refusals.is_empty() => (PlanStatus::Ok, Vec::new()),
        Ok((proposal, _)) => (PlanStatus::Refused, proposal.refusals.clone()),
        Err(failure) if failure.class.is_refusal() => (PlanStatus::Refused, failure.refusals.clone()),
        Err(failure) => (PlanStatus::Error, failure.refusals.clone()),
    };
    let proposal = planned.as_ref().ok().map(|(proposal, _)| proposal);
    PlanFile {
        schema: plan::SCHEMA.to_owned(),
        tool: concat!("platformctl ", env!("CARGO_PKG_VERSION")).to_owned(),
        status,
        intent: proposal.map(|proposal| proposal.intention.clone()),
        digest: proposal.map(|proposal| proposal.digest),
        refusals,
        observed: proposal.map_or(Value::Null, |proposal| proposal.observed.clone()),
        created: now,
        expires: now.plus_s(GOOD_FOR_S),
    }
}

/// Most changes that are shown to a person; `--json` has all of them.
const SHOWN_MAX: usize = 60;

/// One line a change: what, on what, why, and what it costs.
pub(super) fn changes(changes: &[Change]) -> Vec<String> {
    let rows: Vec<Vec<String>> = changes
        .iter()
        .take(SHOWN_MAX)
        .map(|change| {
            let action = match change.action {
                Action::Create => "create",
                Action::Adopt => "adopt",
                Action::Recreate => "replace",
                Action::Start => "start",
                Action::Remove => "remove",
                Action::None => "keep",
            };
            let cost = match (change.data, change.downtime) {
                (Data::AtRisk, _) => "DATA AT RISK",
                (Data::None, Downtime::None) => "",
                (Data::None, Downtime::Restart) => "restarts",
                (Data::None, Downtime::StopFirst) => "stops",
            };
            vec![format!("  {action}"), change.service.clone(), change.reasons.join(" "), cost.to_owned()]
        })
        .collect();
    let mut lines = table(&rows);
    if changes.len() > SHOWN_MAX {
        lines.push(format!("  … and {} more", changes.len() - SHOWN_MAX));
    }
    lines
}

fn report(proposal: &Proposal, host: Option<&HostName>) -> Report {
    let intent = &proposal.intention;
    let outcome = match (proposal.refusals.is_empty(), proposal.done) {
        (false, _) => "refused",
        (true, true) => "noop",
        (true, false) => "ok",
    };
    let (from, version) = match (intent.pr, intent.merge, intent.head) {
        (Some(pr), Some(merge), _) => (format!(", PR #{pr}"), Some(format!("  merged as {merge}"))),
        (Some(pr), None, Some(head)) => (format!(", PR #{pr}"), Some(format!("  not merged, head {head}"))),
        (_, _, Some(head)) => (String::new(), Some(format!("  at {head}"))),
        (_, _, None) => (String::new(), None),
    };
    let mut lines = vec![format!("plan for {} on {}{from}", intent.module, intent.host)];
    lines.extend(version);
    lines.extend(changes(&intent.changes));
    let adopts = intent.changes.iter().any(|change| change.action == Action::Adopt);
    lines.extend(meanings(adopts.then_some("adopt")));
    let weak = proposal.approval.as_ref().is_some_and(|approval| approval.weak);
    lines.extend(meanings(weak.then_some("weak")));
    if !intent.exceptions.is_empty() {
        lines.extend(wrapped(&format!("opens {}", intent.exceptions.join(", ")), "  "));
    }
    lines.push(if proposal.done { "nothing to change".to_owned() } else { plural(intent.changes.len(), "change") });
    let next = match (proposal.done, intent.merge, intent.pr) {
        (false, Some(merge), Some(pr)) => {
            let host = host.map(|host| format!(" --host {host}")).unwrap_or_default();
            format!("platformctl apply {}{host} --approved {merge} --pr {pr}", intent.module)
        }
        (false, None, Some(pr)) => {
            let styles: Vec<&str> = proposal.styles.iter().map(|style| style.as_str()).collect();
            format!("review PR #{pr} and merge it by one of: {}", styles.join(", "))
        }
        (true, _, _) | (false, _, None) => format!("platformctl status {}", intent.module),
    };
    let fields = json!({"intent": intent, "digest": proposal.digest});
    let mut report = Report::done("plan", outcome, Last::Next(next));
    if !proposal.refusals.is_empty() {
        let failure = Failure::refused(proposal.refusals.clone());
        report = Report::failed("plan", &failure);
    }
    report
        .lines(lines)
        .with("module", &intent.module)
        .with("host", &intent.host)
        .with("approved", &proposal.approval)
        .with("changes", &intent.changes)
        .with("gate", &proposal.checks)
        .with("plan", fields)
        .with("styles", &proposal.styles)
}
