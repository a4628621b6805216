//! The message of a record: a pure function of its event, for `git log` to show as it is.

use std::fmt::Write as _;

use super::event::{Event, Kind};
use crate::model::{alarm::AlarmStep, digest::Digest, ending::Ending, ids::Oid, text};

/// A field that a message cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` holds a control character or is longer than a line may be")]
pub struct MessageError {
    /// The trailer or part of the message.
    pub field: &'static str,
}

/// Longest line, in characters.
const LINE_MAX: usize = 400;
/// Width at which free text is wrapped.
const WRAP: usize = 72;

/// The message of `event`, whose `event.json` has the digest `event_digest`.
///
/// # Errors
/// A field holds a control character.
pub fn render(event: &Event, event_digest: Digest) -> Result<String, MessageError> {
    let mut message = format!("{}\n", subject(event));
    let why = event.evidence.as_ref().and_then(|evidence| evidence.why.as_deref());
    for paragraph in [event.reason.as_deref(), why].into_iter().flatten() {
        message.push('\n');
        message.push_str(&wrapped(paragraph));
    }
    message.push('\n');
    for (field, value) in trailers(event, event_digest) {
        let fits = value.chars().count() <= LINE_MAX && !value.chars().any(text::is_harmful);
        if !fits || value.trim() != value || value.is_empty() {
            return Err(MessageError { field });
        }
        writeln!(message, "{field}: {value}").unwrap_or_default();
    }
    Ok(message)
}

fn subject(event: &Event) -> String {
    let module = event.module.as_ref().map(ToString::to_string).unwrap_or_default();
    let host = event.host.as_ref().map(ToString::to_string).unwrap_or_default();
    let place = format!("{module} on {host}");
    let pr = event.approved.as_ref().map(|approval| format!(", PR #{}", approval.pr)).unwrap_or_default();
    let changes = match event.change_count() {
        0 => String::new(),
        1 => " (1 change)".to_owned(),
        n => format!(" ({n} changes)"),
    };
    let result = event.result.map_or("?", Ending::as_str);
    // What may be about a module, about a host or about neither.
    let about = match (&event.module, &event.host) {
        (Some(_), Some(_)) => format!(": {place}"),
        (Some(_), None) => format!(": {module}"),
        (None, Some(_)) => format!(": {host}"),
        (None, None) => String::new(),
    };
    match event.kind {
        Kind::Genesis => "genesis: the record begins".to_owned(),
        Kind::Policy => "policy: platform.yaml as merged is in force".to_owned(),
        Kind::ApplyIntent => format!("apply intent: {place}{pr}{changes}"),
        Kind::ApplyOutcome => format!("apply {result}: {place}{pr}{changes}"),
        Kind::ApplyNoop => format!("apply noop: {place}{pr}"),
        Kind::RollbackIntent => format!("rollback intent: {place}, back to PR #{}{changes}", back_to(event)),
        Kind::RollbackOutcome => format!("rollback {result}: {place}, back to PR #{}{changes}", back_to(event)),
        Kind::RemoveIntent => format!("remove intent: {place}{pr}{changes}"),
        Kind::RemoveOutcome => format!("remove {result}: {place}{pr}{changes}"),
        Kind::Adopt => format!("adopt: {place}{pr}"),
        Kind::Move => {
            let from = event.from.as_ref().map(|from| format!("{} on {}", from.module, from.host)).unwrap_or_default();
            format!("move: {from} to {place}{pr}")
        }
        Kind::Prune => {
            let pruned = event.pruned.as_ref();
            let count = |of: fn(&super::event::Pruned) -> u64| pruned.map_or(0, of);
            format!("prune: {host}, {} releases, {} files", count(|it| it.releases), count(|it| it.files))
        }
        Kind::Observe if event.alarm.is_some() => format!("observe: {place}{}", told(event)),
        Kind::Observe => match event.findings.as_ref().map_or(0, Vec::len) {
            0 => format!("observe: {place}, as recorded"),
            1 => format!("observe: {place}, 1 difference"),
            n => format!("observe: {place}, {n} differences"),
        },
        Kind::Takeover => format!("takeover: {place}"),
        Kind::LateOutcome => format!("late outcome: {place}{pr}"),
        Kind::BreakGlass => format!("break glass: {place}{pr}, passes {}", event.waived.join(" ")),
        Kind::Annotate => format!("annotate{about}"),
        Kind::Recover => "recover: back to the last good record".to_owned(),
        Kind::Heartbeat => format!("heartbeat{about}"),
    }
}

/// What people are told, or were.
fn told(event: &Event) -> String {
    let Some(alarm) = &event.alarm else { return String::new() };
    let what = alarm.condition.as_str();
    let by = alarm.delivered.iter().map(|channel| channel.as_str()).collect::<Vec<_>>().join(" and ");
    match (alarm.step, alarm.delivered.is_empty()) {
        (AlarmStep::Telling, _) => format!(", telling: {what}"),
        (AlarmStep::Told, true) => format!(", not told yet: {what}"),
        (AlarmStep::Told, false) => format!(", told by {by}: {what}"),
        (AlarmStep::Ending, _) => format!(", telling that it is over: {what}"),
        (AlarmStep::Ended, true) => format!(", over: {what}"),
        (AlarmStep::Ended, false) => format!(", over and told by {by}: {what}"),
    }
}

fn back_to(event: &Event) -> u64 {
    event.approved.as_ref().map_or(0, |approval| approval.pr)
}

/// All trailers, in their fixed order; those that an event has no value for are absent.
fn trailers(event: &Event, event_digest: Digest) -> Vec<(&'static str, String)> {
    let id = |id: &Oid| id.to_string();
    let all = [
        ("Platform-Format", Some("1".to_owned())),
        ("Platform-Seq", Some(event.seq.to_string())),
        ("Platform-Genesis", event.genesis.as_ref().map(id)),
        ("Platform-Run", event.run.as_ref().map(ToString::to_string)),
        ("Platform-Kind", Some(event.kind.as_str().to_owned())),
        ("Platform-Module", event.module.as_ref().map(ToString::to_string)),
        ("Platform-Host", event.host.as_ref().map(ToString::to_string)),
        ("Platform-Result", event.result.map(|result| result.as_str().to_owned())),
        ("Platform-Intent", event.intent.as_ref().map(id)),
        ("Platform-PR", event.approved.as_ref().map(|approval| approval.pr.to_string())),
        ("Platform-Approved", event.approved.as_ref().map(|approval| approval.merge.to_string())),
        ("Platform-Plan", event.plan.as_ref().map(ToString::to_string)),
        ("Platform-Policy", event.policy.as_ref().map(id)),
        ("Platform-Event", Some(event_digest.to_string())),
        ("Platform-Actor", Some(format!("{} <{}>", event.actor.name, event.actor.email))),
        ("Platform-Via", event.actor.via.as_ref().map(ToString::to_string)),
    ];
    all.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
}

/// Free text on lines of at most 72 characters, escaped; no line can look like a trailer, because each begins with two
/// blanks.
fn wrapped(paragraph: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text::escaped_line(paragraph).split_whitespace() {
        if !line.is_empty() && line.chars().count() + word.chars().count() + 1 > WRAP - 2 {
            writeln!(out, "  {line}").unwrap_or_default();
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        writeln!(out, "  {line}").unwrap_or_default();
    }
    out
}
