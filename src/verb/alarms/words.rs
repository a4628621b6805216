//! The words of messages: plain text, for a person with a phone.

use super::{standing::Standing, what::Done};
use crate::{
    ledger::state::State,
    model::{
        alarm::{Alarm, Condition},
        ids::Deployment,
        message::{News, title},
    },
    port::Answer,
};

/// What a condition is called.
fn word(condition: Condition) -> &'static str {
    match condition {
        Condition::Held => "HELD",
        Condition::RolledBack => "Rolled back",
        Condition::Drift => "Drift",
        Condition::Waits => "Waits for you",
        Condition::BreakGlass => "Break-glass",
        Condition::Unfinished => "Unfinished",
        Condition::Unrecorded => "Unrecorded",
        Condition::Tampered => "TAMPERED",
    }
}

/// The title of an alarm of a deployment.
pub(super) fn of(condition: Condition, news: News, deployment: &Deployment, pr: Option<u64>) -> String {
    let word = word(condition);
    match news {
        News::Raised | News::Applied => title(word, deployment, pr),
        News::Lasts => title(&format!("Still {}", word.to_lowercase()), deployment, pr),
        News::Over => title(&format!("Over ({})", word.to_lowercase()), deployment, pr),
    }
}

/// The text of what stands.
pub(super) fn stands(standing: &Standing, news: News) -> String {
    let since = match news {
        News::Lasts => format!("It is so since {}.\n", standing.since),
        News::Raised | News::Over | News::Applied => String::new(),
    };
    format!("{since}{}\n{}", standing.text, standing.fix)
}

/// The text of what is over.
pub(super) fn over(state: &State<'_>, deployment: &Deployment, condition: Condition, alarm: &Alarm) -> Answer<String> {
    let since = format!("It was {} since {}.", word(condition).to_lowercase(), alarm.since);
    let status = state.deployment(deployment)?;
    let now = match status.as_ref().map(|status| (&status.running, &status.removed)) {
        Some((Some(running), _)) => format!(" Now PR #{} runs, since {}.", running.pr, running.at),
        Some((None, Some(removed))) => format!(" It was removed by PR #{} at {}.", removed.pr, removed.at),
        Some((None, None)) | None => String::new(),
    };
    Ok(format!("{since}{now}\nplatformctl show {}", deployment.module))
}

/// Title and text of a change that ended well.
pub(super) fn applied(done: &Done) -> (String, String) {
    let Done { deployment, pr, run, changes, seq } = done;
    let changes = if *changes == 1 { "1 change".to_owned() } else { format!("{changes} changes") };
    let text = format!(
        "PR #{pr} was applied on {}: {changes}, healthy, and recorded as seq {seq}, run {run}.\nplatformctl show {}",
        deployment.host, deployment.module
    );
    (title("Applied", deployment, Some(*pr)), text)
}
