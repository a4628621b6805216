//! What an event means beside those before it. What each kind must hold to stands in `shape.rs`, in words.
//!
//! No check here costs more than a look at the tree before the record and, for what ends a run, one step for every record since the run
//! was opened. History is never searched.

use serde::Serialize;

use super::{
    event::{Event, Kind},
    fault::{Checked, Wrong, back},
    state::State,
    transition::{self, RunState},
};
use crate::{
    model::{ids::Oid, path::RepoPath, policy, status::OpenRun, text::shown},
    port::{Answer, Mode, Source},
};

type Judged = Answer<Option<Wrong>>;

/// Judges an event that follows `before`.
pub(super) fn judge(source: &dyn Source, before: &Checked, event: &Event) -> Judged {
    let state = State::at(source, before.id)?;
    if let Some(run) = &event.run {
        let open = state.open_run(run)?;
        let now = if open.is_some() { RunState::Open } else { RunState::Absent };
        if transition::next(now, event.kind).is_err() {
            let found = match now {
                RunState::Open => format!("run {run} is open"),
                RunState::Absent => format!("run {run} is not open"),
            };
            return Ok(Some(Wrong::new("run", format!("a run that can have {}", event.kind.as_str()), found)));
        }
        if let (Some(open), Kind::ApplyOutcome | Kind::Takeover) = (&open, event.kind) {
            return answers(source, before, event, open);
        }
    }
    match event.kind {
        Kind::ApplyIntent | Kind::ApplyNoop => begins(&state, event),
        Kind::LateOutcome => late(source, before, event),
        Kind::Policy => policy(source, event),
        Kind::Genesis | Kind::ApplyOutcome | Kind::Takeover | Kind::BreakGlass | Kind::Annotate | Kind::Recover => {
            Ok(None)
        }
    }
}

/// What begins: alone in its scope, under the policy in force, by a run that was never there.
fn begins(state: &State<'_>, event: &Event) -> Judged {
    let (Some(module), Some(host), Some(run)) = (&event.module, &event.host, &event.run) else { return Ok(None) };
    if let Some(lock) = &event.lock {
        let fits = match &lock.project {
            None => lock.scope == format!("{host}/{module}"),
            Some(project) => lock.scope.starts_with(&format!("{host}/")) && lock.scope.ends_with(project.as_str()),
        };
        if !fits {
            let expected = format!("the scope of {module} on {host}");
            return Ok(Some(Wrong::new("scope", expected, shown(&lock.scope))));
        }
    }
    let scope = event.lock.as_ref().map(|lock| lock.scope.as_str());
    let same = |open: &OpenRun| open.module == *module || scope.is_some_and(|scope| open.scope == scope);
    if let Some(open) = state.open_runs()?.into_iter().find(same) {
        let expected = format!("no open run of {module} or of its scope");
        return Ok(Some(Wrong::new("scope", expected, format!("run {} is open", open.run))));
    }
    let newest = state.module(module)?.and_then(|status| status.newest_run);
    if let Some(newest) = newest.filter(|newest| run <= newest) {
        return Ok(Some(Wrong::new("run", format!("a run id greater than {newest}"), run.to_string())));
    }
    let in_force = state.blob_id(super::tree::POLICY)?;
    if event.policy != in_force {
        return Ok(Some(differs("policy", in_force.as_ref(), event.policy.as_ref())));
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
    let Some(opened) = opened.filter(|opened| opened.seq < before.event.seq && opened.kind == Kind::ApplyIntent) else {
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
    fields! { approved closure effective plan policy checkout changed }
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

/// The policy is the one of the commit that it names. A clone that fetched the base has that commit; where it is not there, as when the
/// base was rewritten since, nobody can say more.
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
