//! What an event means after those before it. `shape.rs` describes what is checked for each kind.
//!
//! No check here costs more than a look at the tree before the record and, for an event that names an earlier record
//! (what ends a run, and a rollback), one step for every record since. History is never searched.

use serde::Serialize;

use super::{
    alarm,
    event::{Event, Kind},
    fault::{Checked, Wrong, back},
    state::State,
    transition::{self, RunState},
};
use crate::{
    model::{
        ending::Ending,
        glass::{Gate, MINUTES_MAX, PLAIN},
        ids::{Deployment, Oid},
        path::RepoPath,
        policy,
        status::OpenRun,
        text::shown,
        time::Timestamp,
    },
    port::{Answer, Mode, Source},
};

type Judged = Answer<Option<Wrong>>;

/// Judges an event that follows `before`.
pub(super) fn judge(source: &dyn Source, before: &Checked, event: &Event) -> Judged {
    let state = State::at(source, before.id)?;
    if let Some(run) = &event.run {
        let open = state.open_run(run)?;
        let now = open.as_ref().and_then(|open| Kind::named(&open.kind)).map_or(RunState::Absent, RunState::Open);
        if transition::next(now, event.kind).is_err() {
            let found = match now {
                RunState::Open(kind) => format!("run {run} is open by {}", kind.as_str()),
                RunState::Absent => format!("run {run} is not open"),
            };
            return Ok(Some(Wrong::new("run", format!("a run that can have {}", event.kind.as_str()), found)));
        }
        if let Some(open) = open.filter(|_| event.kind.closes() || event.kind == Kind::Takeover) {
            return answers(source, before, event, &open);
        }
    }
    if event.kind.begins()
        && let Some(wrong) = begins(&state, event)?
    {
        return Ok(Some(wrong));
    }
    if let Some(wrong) = waives(source, before, event)? {
        return Ok(Some(wrong));
    }
    match event.kind {
        Kind::LateOutcome => late(source, before, event),
        Kind::Policy => policy(source, event),
        Kind::RollbackIntent => returns(source, before, event),
        Kind::RemoveIntent => removes(&state, event),
        Kind::Adopt => adopts(&state, event),
        Kind::Move => moves(&state, event),
        Kind::BreakGlass => glass(&state, event),
        Kind::Observe => alarm::judge(&state, event),
        Kind::Genesis
        | Kind::ApplyIntent
        | Kind::ApplyOutcome
        | Kind::ApplyNoop
        | Kind::RollbackOutcome
        | Kind::RemoveOutcome
        | Kind::Prune
        | Kind::Takeover
        | Kind::Annotate
        | Kind::Recover
        | Kind::Heartbeat => Ok(None),
    }
}

/// What begins: alone in its scope, under the policy in force, by a run that was never there.
fn begins(state: &State<'_>, event: &Event) -> Judged {
    let Some(deployment) = event.deployment() else { return Ok(None) };
    let Deployment { module, host } = &deployment;
    if let Some(lock) = &event.lock {
        let key = lock.scope.on(host);
        let fits = match (&lock.project, key) {
            (None, key) => key == Some(module.as_str()),
            // The name of the project, or behind the name of its driver.
            (Some(project), Some(key)) => {
                let driver = key.strip_suffix(project.as_str()).and_then(|driver| driver.strip_suffix('.'));
                key == project || driver.is_some_and(|driver| driver.bytes().all(|byte| byte.is_ascii_lowercase()))
            }
            (Some(_), None) => false,
        };
        if !fits {
            let expected = format!("the scope of {module} on {host}");
            return Ok(Some(Wrong::new("scope", expected, shown(lock.scope.as_str()))));
        }
    }
    let scope = event.lock.as_ref().map(|lock| &lock.scope);
    let same = |open: &OpenRun| {
        let open_for = open.deployment();
        open_for == deployment || event.from.as_ref() == Some(&open_for) || scope == Some(&open.scope)
    };
    if let Some(open) = state.open_runs()?.into_iter().find(same) {
        let expected = format!("no open run of {deployment} or of its scope");
        return Ok(Some(Wrong::new("scope", expected, format!("run {} is open", open.run))));
    }
    if let Some(wrong) = newer(state, event)? {
        return Ok(Some(wrong));
    }
    let in_force = state.blob_id(super::tree::POLICY)?;
    if event.policy != in_force {
        return Ok(Some(differs("policy", in_force.as_ref(), event.policy.as_ref())));
    }
    Ok(None)
}

/// What is waived may be waived: by an option of its own, or by the record of kind `break-glass` that the intent names.
fn waives(source: &dyn Source, before: &Checked, event: &Event) -> Judged {
    let wrong = |rule, expected: &str, found: String| Ok(Some(Wrong::new(rule, expected, found)));
    let words = &event.waived;
    if let Some(twice) = words.iter().enumerate().find(|(at, word)| words[..*at].contains(word)) {
        return wrong("waived", "gates, none twice", shown(twice.1));
    }
    if event.kind == Kind::BreakGlass {
        let gates = words.is_sorted() && words.iter().all(|word| Gate::named(word).is_some());
        let expected = "gates that break-glass may pass, sorted";
        return if gates { Ok(None) } else { wrong("waived", expected, shown(&words.join(" "))) };
    }
    let opened = match event.glass {
        None => None,
        Some(id) => match on_chain(source, before, id)? {
            Some(opened) if opened.kind == Kind::BreakGlass => Some(opened),
            Some(_) | None => {
                return wrong("glass", "a record of this chain of kind break-glass", id.to_string());
            }
        },
    };
    if event.until != opened.as_ref().and_then(|opened| opened.until) {
        return wrong("until", "that of the record of kind break-glass", "another".to_owned());
    }
    if let Some(opened) = &opened {
        let of = |event: &Event| {
            (event.run.clone(), event.deployment(), event.approved.clone(), event.checkout, event.reason.clone())
        };
        let digests = |event: &Event| (event.closure, event.effective, event.plan, event.policy);
        if of(opened) != of(event) || digests(opened) != digests(event) {
            return wrong("glass", "a record about the same run", "one about another".to_owned());
        }
        if opened.until.is_none_or(|until| event.time > until) {
            return wrong("until", "a time at which the record of kind break-glass is good", event.time.to_string());
        }
        if let Some(gate) = opened.waived.iter().find(|gate| !words.contains(gate)) {
            return wrong("waived", "every gate that the record of kind break-glass names", format!("not {gate}"));
        }
    }
    let passed = |word: &String| opened.as_ref().is_some_and(|opened| opened.waived.contains(word));
    match words.iter().find(|word| !PLAIN.contains(&word.as_str()) && !passed(word)) {
        Some(word) => wrong("waived", "gates that may be waived", shown(word)),
        None if words.iter().any(|word| word == "freeze") && event.reason.is_none() => {
            wrong("reason", "the reason to apply in a freeze", "none".to_owned())
        }
        None => Ok(None),
    }
}

/// Longest time for which a record of kind `break-glass` is good, in seconds.
const GLASS_S: i64 = MINUTES_MAX as i64 * 60;

/// A gate is passed under the policy in force, for a limited time, by a run that was never there.
fn glass(state: &State<'_>, event: &Event) -> Judged {
    let fits = |until: Timestamp| event.time < until && until <= event.time.plus_s(GLASS_S);
    if let Some(until) = event.until.filter(|until| !fits(*until)) {
        let expected = format!("a time after {} and at most 24 h later", event.time);
        return Ok(Some(Wrong::new("until", expected, until.to_string())));
    }
    let in_force = state.blob_id(super::tree::POLICY)?;
    if event.policy != in_force {
        return Ok(Some(differs("policy", in_force.as_ref(), event.policy.as_ref())));
    }
    newer(state, event)
}

/// The run is newer than every earlier one of the deployments that it is about.
fn newer(state: &State<'_>, event: &Event) -> Judged {
    let Some(run) = &event.run else { return Ok(None) };
    for deployment in event.deployment().iter().chain(&event.from) {
        let newest = state.deployment(deployment)?.and_then(|status| status.newest_run);
        if let Some(newest) = newest.filter(|newest| run <= newest) {
            return Ok(Some(Wrong::new("run", format!("a run id greater than {newest}"), run.to_string())));
        }
    }
    Ok(None)
}

/// A rollback returns to a release that an earlier record of this deployment shows as applied successfully.
fn returns(source: &dyn Source, before: &Checked, event: &Event) -> Judged {
    let Some(to) = event.returns_to else { return Ok(None) };
    let none = |found: String| {
        let expected = "an earlier record of this deployment by which the release was applied and ended well";
        Ok(Some(Wrong::new("returns_to", expected, found)))
    };
    let Some(applied) = on_chain(source, before, to)? else { return none(to.to_string()) };
    let good = match applied.result {
        None => [Kind::ApplyNoop, Kind::Adopt].contains(&applied.kind),
        Some(result) => result == Ending::Ok && [Kind::ApplyOutcome, Kind::RollbackOutcome].contains(&applied.kind),
    };
    if !good || applied.deployment() != event.deployment() {
        return none(format!("{to}, which is not one"));
    }
    let of = |event: &Event| (event.approved.clone(), event.closure, event.effective);
    if of(&applied) != of(event) {
        return none(format!("{to}, which is about another release"));
    }
    Ok(None)
}

/// An event of the chain that ends in `before`, if `id` is a record of it. Costs one step for every record since.
fn on_chain(source: &dyn Source, before: &Checked, id: Oid) -> Answer<Option<Event>> {
    // Every record has an event; what has none, or is not here at all, is no record of this chain.
    let event = match source.has(id)? {
        true => State::at(source, id)?.event().ok(),
        false => None,
    };
    let Some(event) = event.filter(|event| event.seq <= before.event.seq) else { return Ok(None) };
    let there = back(source, before.id, before.event.seq - event.seq)?;
    Ok((there == Some(id)).then_some(event))
}

/// What is removed is known to the record, and was not removed before.
fn removes(state: &State<'_>, event: &Event) -> Judged {
    let Some(deployment) = event.deployment() else { return Ok(None) };
    let found = match state.deployment(&deployment)? {
        Some(status) if status.removed.is_none() => return Ok(None),
        Some(_) => "a deployment that was removed",
        None => "none",
    };
    Ok(Some(Wrong::new("deployment", format!("a deployment {deployment} to remove"), found)))
}

/// What is taken over was not applied by this record.
fn adopts(state: &State<'_>, event: &Event) -> Judged {
    let Some(deployment) = event.deployment() else { return Ok(None) };
    let running = state.deployment(&deployment)?.and_then(|status| status.running);
    Ok(running.map(|running| {
        let found = format!("PR #{} runs there since seq {}", running.pr, running.seq);
        Wrong::new("deployment", format!("nothing that the record knows to run as {deployment}"), found)
    }))
}

/// The source of a move was applied and has not moved before; its target was never used.
fn moves(state: &State<'_>, event: &Event) -> Judged {
    let (Some(from), Some(to)) = (&event.from, event.deployment()) else { return Ok(None) };
    let wrong = |expected: String, found: &str| Ok(Some(Wrong::new("deployment", expected, found)));
    if *from == to {
        return wrong("two deployments".to_owned(), "the same twice");
    }
    match state.deployment(from)? {
        Some(status) if status.moved_to.is_some() => {
            return wrong(format!("a deployment {from} that did not move before"), "one that did");
        }
        Some(status) if status.newest.is_none() => {
            return wrong(format!("a deployment {from} that was applied"), "one that never was");
        }
        None => return wrong(format!("a deployment {from} that was applied"), "none"),
        Some(_) => {}
    }
    if state.deployment(&to)?.is_some_and(|status| status.newest.is_some()) {
        return wrong(format!("a deployment {to} that was never applied"), "one that was");
    }
    Ok(None)
}

/// What ends an open run names the record that opened it, and is about the same.
fn answers(source: &dyn Source, before: &Checked, event: &Event, open: &OpenRun) -> Judged {
    let steps = before.event.seq.saturating_sub(open.fence);
    let intent = back(source, before.id, steps)?;
    if event.intent != intent {
        return Ok(Some(differs("intent", intent.as_ref(), event.intent.as_ref())));
    }
    let Some(intent) = intent else { return Ok(None) };
    Ok(equals(event, &State::at(source, intent)?.event()?))
}

/// A result that arrives after its run was ended by another record.
fn late(source: &dyn Source, before: &Checked, event: &Event) -> Judged {
    let Some(intent) = event.intent else { return Ok(None) };
    let none = |found: &str| Ok(Some(Wrong::new("intent", "the intent of the run, a record of this chain", found)));
    // Every record has an event; what has none, or is not here at all, is no record of this chain.
    let opened = match source.has(intent)? {
        true => State::at(source, intent)?.event().ok(),
        false => None,
    };
    let Some(opened) = opened.filter(|opened| opened.seq < before.event.seq && opened.kind.opens()) else {
        return none(&intent.to_string());
    };
    let mut at = before.id;
    for _ in opened.seq..before.event.seq {
        let state = State::at(source, at)?;
        let passed = state.event()?;
        if passed.run == event.run && passed.result.is_some() && passed.result == event.result {
            let expected = "a result that the record does not have yet";
            return Ok(Some(Wrong::new("run", expected, format!("{at} has the same of this run"))));
        }
        let Some(parent) = source.commit(at)?.parents.first().copied() else { break };
        at = parent;
    }
    if at != intent {
        return none(&intent.to_string());
    }
    Ok(equals(event, &opened))
}

/// The first field in which an event differs from the intent that it answers.
fn equals(event: &Event, opened: &Event) -> Option<Wrong> {
    let text = |value: Option<&dyn erased::Json>| value.map_or("none".to_owned(), erased::Json::text);
    let mut wrong = None;
    let mut same = |rule: &'static str, wanted: Option<&dyn erased::Json>, found: Option<&dyn erased::Json>| {
        let (wanted, found) = (text(wanted), text(found));
        if wrong.is_none() && wanted != found {
            wrong = Some(Wrong::new(rule, format!("that of its intent, {}", shown(&wanted)), shown(&found)));
        }
    };
    macro_rules! fields {
        ($($field:ident)*) => {
            $(same(stringify!($field), opened.$field.as_ref().map(|v| v as _), event.$field.as_ref().map(|v| v as _));)*
        };
    }
    fields! { run module host }
    // A takeover is about the run alone.
    if event.kind == Kind::Takeover {
        return wrong;
    }
    let of = |event: &Event| event.approved.clone();
    if let (Some(wanted), Some(found)) = (of(opened), of(event)) {
        same("pr", Some(&wanted.pr), Some(&found.pr));
        same("head", Some(&wanted.head), Some(&found.head));
        same("merge", Some(&wanted.merge), Some(&found.merge));
    }
    fields! { approved closure effective plan returns_to policy checkout changed }
    same("retry", Some(&opened.retry), Some(&event.retry));
    same("changes", Some(&opened.changes), Some(&event.changes));
    wrong
}

/// Values that are compared as they are written.
mod erased {
    use super::Serialize;

    pub(super) trait Json {
        fn text(&self) -> String;
    }

    impl<T: Serialize> Json for T {
        fn text(&self) -> String {
            let text = serde_json::to_string(self).unwrap_or_default();
            text.trim_matches('"').to_owned()
        }
    }
}

/// The policy is the one of the commit that it names. A clone that fetched the base has that commit; if it is missing,
/// for example because the base was rewritten since, nothing more can be checked.
fn policy(source: &dyn Source, event: &Event) -> Judged {
    let Some(commit) = event.policy_commit else { return Ok(None) };
    if !source.has(commit)? {
        return Ok(None);
    }
    let tree = source.commit(commit)?.tree;
    for (path, wanted) in [(policy::PATH, event.policy), (policy::SIGNERS_PATH, event.signers)] {
        let Ok(path) = path.parse::<RepoPath>() else { continue };
        let entry = source.entry(tree, &path)?;
        let signers = path.as_str() == policy::SIGNERS_PATH;
        let plain = |mode| mode == Mode::File || (mode == Mode::Executable && !signers);
        let there = entry.filter(|entry| plain(entry.mode)).map(|entry| entry.id);
        if wanted != there {
            let rule = if signers { "signers" } else { "policy" };
            return Ok(Some(differs(rule, there.as_ref(), wanted.as_ref())));
        }
    }
    Ok(None)
}

fn differs(rule: &'static str, wanted: Option<&Oid>, found: Option<&Oid>) -> Wrong {
    let text = |id: Option<&Oid>| id.map_or("none".to_owned(), ToString::to_string);
    Wrong::new(rule, text(wanted), text(found))
}
