//! `show`: one module, run or record in full. Reads git alone.

use serde_json::json;

use super::{
    plan::changes,
    session::Session,
    status::{absent, local},
};
use crate::{
    cli::Show,
    error::Failure,
    ledger::{event::Event, state::State},
    model::{
        evidence::ContainerEvidence,
        ids::{ModuleId, Oid, RunId},
        refusal::{Code, Refusal},
        text::shown,
    },
    port::Source as _,
    ui::{Last, Report, list, meanings, plural, short, table, wrapped},
};

pub(super) fn run(session: &Session, args: &Show) -> Result<Report, Failure> {
    let state = local(session)?;
    let records = records(session, &state, args.what.as_deref())?;
    let mut report = Report::done("show", "ok", Last::Next("platformctl log".to_owned()));
    let mut fields = Vec::new();
    for (id, event) in &records {
        report = report.lines(lines(*id, event));
        fields.push(json!({"commit": id, "event": event}));
    }
    if let Some(status) = module(args.what.as_deref()).map(|module| state.module(&module)).transpose()?.flatten() {
        report.set("status", status);
    }
    Ok(report.with("records", fields))
}

fn module(what: Option<&str>) -> Option<ModuleId> {
    let what = what?;
    // A seq and a full id look like module ids too; they mean what they look like.
    let other = what.bytes().all(|b| b.is_ascii_digit()) || what.parse::<Oid>().is_ok();
    what.parse().ok().filter(|_| !other)
}

/// The records that are meant, the oldest first.
fn records(session: &Session, state: &State<'_>, what: Option<&str>) -> Result<Vec<(Oid, Event)>, Failure> {
    let unknown = |fact: String, code| Failure::refused(vec![Refusal::new(code, fact, "platformctl log")]);
    let Some(what) = what else {
        return Ok(vec![(state.tip(), state.event()?)]);
    };
    if let Ok(seq) = what.parse::<u64>() {
        let found = walk(session, state.tip(), |event| event.seq == seq, 1)?;
        return if found.is_empty() {
            Err(Failure::usage(format!("the record has no seq {seq}"), "platformctl log"))
        } else {
            Ok(found)
        };
    }
    if let Ok(id) = what.parse::<Oid>() {
        if !session.git.has(id)? || !session.git.is_ancestor(id, state.tip())? {
            return Err(Failure::usage(format!("{id} is not in the record"), "platformctl log"));
        }
        return Ok(vec![(id, State::at(&session.git, id)?.event()?)]);
    }
    if let Ok(run) = what.parse::<RunId>() {
        let mut found = walk(session, state.tip(), |event| event.run.as_ref() == Some(&run), 2)?;
        found.reverse();
        return if found.is_empty() {
            Err(unknown(format!("the record has no run {run}"), Code::UnknownRun))
        } else {
            Ok(found)
        };
    }
    if let Some(module) = module(Some(what)) {
        let Some(status) = state.module(&module)? else {
            return Err(absent(session, state, &module));
        };
        let newest = status.last().map(|last| last.seq);
        return walk(session, state.tip(), |event| Some(event.seq) == newest, 1);
    }
    Err(Failure::usage(
        format!("`{}` is no module, run, seq or full id", shown(what)),
        "platformctl log shows what there is",
    ))
}

/// Up to `count` records that fit, the newest first.
fn walk(
    session: &Session,
    tip: Oid,
    fits: impl Fn(&Event) -> bool,
    count: usize,
) -> Result<Vec<(Oid, Event)>, Failure> {
    let mut found = Vec::new();
    let mut next = Some(tip);
    while let Some(id) = next.filter(|_| found.len() < count) {
        let event = State::at(&session.git, id)?.event()?;
        next = session.git.commit(id)?.parents.first().copied();
        if fits(&event) {
            found.push((id, event));
        }
    }
    Ok(found)
}

/// What was seen of a container, as cells of a table.
fn container(seen: &ContainerEvidence) -> [String; 4] {
    let health = seen.health.as_deref().map(|health| format!(", {}", shown(health))).unwrap_or_default();
    let watched = if seen.healthy_s == 0 { String::new() } else { format!("for {} s", seen.healthy_s) };
    let restarts =
        if seen.restarts == 0 { String::new() } else { plural(usize::try_from(seen.restarts).unwrap_or(0), "restart") };
    let image = seen.image.strip_prefix("sha256:").map_or(seen.image.as_str(), short);
    [
        format!("  {}{health}", shown(&seen.state)),
        shown(&seen.service).to_string(),
        format!("image {}", shown(image)),
        [watched, restarts].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", "),
    ]
}

fn lines(id: Oid, event: &Event) -> Vec<String> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: &str, value: Option<String>| rows.extend(value.map(|value| vec![format!("  {name}"), value]));
    row("record", Some(id.to_string()));
    row("time", Some(event.time.to_string()));
    row("by", Some(format!("{} <{}>", event.actor.name, event.actor.email)));
    row("module", event.module.as_ref().map(ToString::to_string));
    row("host", event.host.as_ref().map(ToString::to_string));
    row("run", event.run.as_ref().map(ToString::to_string));
    row("result", event.result.map(|result| result.as_str().to_owned()));
    if let Some(approved) = &event.approved {
        let weak = if approved.weak { ", weak" } else { "" };
        let covers = list(&approved.covers);
        row("approved", Some(format!("PR #{}, {}{weak}, covers {covers}", approved.pr, approved.style.as_str())));
        row("head", Some(approved.head.to_string()));
        row("merged as", Some(approved.merge.to_string()));
    }
    row("release", event.closure.map(|digest| digest.to_string()));
    row("plan", event.plan.map(|digest| digest.to_string()));
    row("checkout", event.checkout.clone());
    row("waived", (!event.waived.is_empty()).then(|| event.waived.join(" ")));
    if let Some(evidence) = &event.evidence {
        row("files", Some(evidence.files.to_string()));
        row("probes", Some(evidence.probes.to_string()));
        row("failed", evidence.failed.clone());
    }
    let containers = event.evidence.iter().flat_map(|evidence| &evidence.containers).map(container);
    let secrets = event.evidence.iter().flat_map(|evidence| evidence.secrets.keys());
    let secrets: Vec<String> = secrets.map(|file| shown(file).to_string()).collect();
    row("secrets", (!secrets.is_empty()).then(|| secrets.join(" ")));
    let mut lines = vec![format!("seq {}  {}", event.seq, event.kind.as_str())];
    lines.extend(table(&rows));
    let approved = event.approved.as_ref();
    let weak = approved.is_some_and(|approved| approved.weak).then_some("weak");
    let covers = approved.is_some_and(|approved| approved.covers != [approved.pr]).then_some("covers");
    lines.extend(meanings(weak.into_iter().chain(covers).chain(event.waived.iter().map(String::as_str))));
    lines.extend(changes(&event.changes));
    lines.extend(event.changed.as_ref().map(|many| format!("  {} changes, {}", many.count, many.digest)));
    lines.extend(table(&containers.collect::<Vec<_>>()));
    let why = event.evidence.as_ref().and_then(|evidence| evidence.why.as_deref());
    for text in [event.reason.as_deref(), why].into_iter().flatten() {
        lines.extend(wrapped(text, "  "));
    }
    lines
}
