//! What a step of an alarm means after the records before it: which event it follows, and what it may be about.

use super::{event::Event, fault::Wrong, state::State};
use crate::{
    model::{
        alarm::{Alarm, AlarmStep, Condition, Telling},
        digest::Digest,
        ids::Deployment,
    },
    port::Answer,
};

/// The alarm that a step follows in a tree, or the newest event of the condition where somebody wrote one since.
///
/// # Errors
/// The alarms cannot be read.
pub fn followed(
    state: &State<'_>,
    deployment: &Deployment,
    step: &Telling,
) -> Answer<Result<Option<Alarm>, Option<u64>>> {
    let alarm = state.alarms(deployment)?.and_then(|mut alarms| alarms.alarms.remove(&step.condition));
    let newest = alarm.as_ref().map(|alarm| alarm.seq);
    Ok(if newest == step.after { Ok(alarm) } else { Err(newest) })
}

/// Judges the step of an alarm, if the event has one.
pub(super) fn judge(state: &State<'_>, event: &Event) -> Answer<Option<Wrong>> {
    let (Some(deployment), Some(step)) = (event.deployment(), &event.alarm) else { return Ok(None) };
    let wrong = |expected: &str, found: &str| Ok(Some(Wrong::new("alarm", expected, found)));
    let before = match followed(state, &deployment, step)? {
        Ok(before) => before,
        Err(newest) => {
            let text = |seq: Option<u64>| seq.map_or("none".to_owned(), |seq| seq.to_string());
            return wrong(&format!("the newest event of this alarm, {}", text(newest)), &text(step.after));
        }
    };
    let Some(before) = before.filter(|_| step.step.answers()) else {
        let there = step.step != AlarmStep::Telling || there(state, &deployment, step)?;
        return if there {
            Ok(None)
        } else {
            wrong("something that the record shows of the deployment", "nothing such")
        };
    };
    if (before.about, before.since, before.pr) != (step.about, step.since, step.pr) {
        return wrong("the alarm that it follows", "another one");
    }
    match step.step {
        AlarmStep::Told if before.step != AlarmStep::Telling => {
            wrong("an alarm that is being told", before.step.as_str())
        }
        AlarmStep::Ending if before.delivered.is_empty() => wrong("an alarm that was delivered", "one that was not"),
        AlarmStep::Ended if !step.delivered.is_empty() && before.step != AlarmStep::Ending => {
            wrong("an end that is being told", before.step.as_str())
        }
        AlarmStep::Telling | AlarmStep::Told | AlarmStep::Ending | AlarmStep::Ended => Ok(None),
    }
}

/// Whether the record shows what an alarm is about. So nobody can record an alarm as told before there is one.
fn there(state: &State<'_>, deployment: &Deployment, step: &Telling) -> Answer<bool> {
    let status = state.deployment(deployment)?;
    let failed = status.as_ref().and_then(|status| status.failure_of(step.about));
    Ok(match step.condition {
        Condition::Held => failed.is_some_and(|failed| !failed.rolled_back),
        Condition::RolledBack => failed.is_some_and(|failed| failed.rolled_back),
        Condition::Drift => status.and_then(|status| status.observed).is_some_and(|seen| !seen.findings.is_empty()),
        Condition::Unfinished => state
            .open_runs()?
            .iter()
            .any(|open| open.deployment() == *deployment && Digest::of(open.run.as_str().as_bytes()) == step.about),
        Condition::Waits | Condition::BreakGlass => true,
        Condition::Unrecorded | Condition::Tampered => false,
    })
}
