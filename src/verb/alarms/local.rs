//! What the record cannot say: that it is itself not as it should be. What was told of that is kept in this clone, so that
//! each clone tells it once a day. The messages of several clones have the same id, and a phone shows the newest alone.

use super::{
    note::{self, Entry},
    standing::about_run,
    teller::Teller,
    what::{Unrecorded, What},
    words,
};
use crate::{
    flow::{Stage, Stop},
    ledger::state::State,
    model::{
        alarm::Condition,
        digest::Digest,
        ending::Ending,
        message::News,
        refusal::{Code, Refusal},
        text::shown,
    },
    port::{Answer, Ports, Step},
    verb::{
        fetch::{known_policy, last_valid_policy},
        notices::Notice,
    },
};

/// Tells at once that a change was made whose record is not on the remote.
pub(super) fn unrecorded(teller: &mut Teller<'_>, run: &Unrecorded) -> Answer<()> {
    let Unrecorded { deployment, pr, run, ending, waits_here } = run;
    let how = match ending {
        Ending::Ok => format!("PR #{pr} was applied on {} and is healthy", deployment.host),
        Ending::Failed => format!("PR #{pr} failed on {} and was left as it is", deployment.host),
        Ending::RolledBack => format!("PR #{pr} failed on {}, and the release before it runs again", deployment.host),
        Ending::Aborted | Ending::Unknown => format!("A run of PR #{pr} on {} ended", deployment.host),
    };
    let place = match waits_here {
        true => "The outcome waits in the clone that made the change, and on the host.",
        false => "The host has the outcome.",
    };
    let text = format!("{how}, but that is not recorded on the remote yet. {place}\nplatformctl resume {run}");
    let what = What {
        news: News::Raised,
        condition: Some(Condition::Unrecorded),
        deployment: Some(deployment),
        pr: Some(*pr),
        which: about_run(run),
        since: teller.now,
    };
    let title = words::of(Condition::Unrecorded, News::Raised, deployment, Some(*pr));
    let message = teller.message(&what, &title, &text);
    teller.once(&what, &message)
}

/// Whether a reason says that the record is not as it should be.
fn is_tampered(refusal: &Refusal) -> bool {
    matches!(refusal.code, Code::StateRewound | Code::StateForked | Code::StateMissing | Code::StateInvalid)
}

/// Tells at once that the record is not as it should be, if that is why a command stopped. Whom, says the policy of the
/// newest record that this clone has verified; in a new clone that of the last valid record, if the base has the same.
/// Neither what is not valid nor the base branch alone can name others.
pub fn tampered(ports: &Ports<'_>, stop: &Stop) -> Vec<Notice> {
    let refusals = match stop {
        Stop::Refused(refusals) => refusals.clone(),
        Stop::Failed(error) => vec![error.refusal()],
    };
    let Some(refusal) = refusals.iter().find(|refusal| is_tampered(refusal)) else { return Vec::new() };
    let known = known_policy(ports).ok().flatten().or_else(|| last_valid_policy(ports).ok().flatten());
    let Some(policy) = known.map(|known| known.policy) else { return Vec::new() };
    if policy.notify.channels().is_empty() {
        return Vec::new();
    }
    let mut teller = Teller::new(ports, &policy, None);
    let which = Digest::of(refusal.code.slug().as_bytes());
    let (condition, since) = (Some(Condition::Tampered), teller.now);
    let what = What { news: News::Raised, condition, deployment: None, pr: None, which, since };
    let text = format!("{}\n{}", shown(&refusal.fact), shown(&refusal.fix));
    let message =
        teller.message(&what, &format!("TAMPERED: {} on {}", refusal.code.slug(), ports.remote.name()), &text);
    if let Err(error) = teller.once(&what, &message) {
        teller.warn(format!("people could not be told: {error}"));
    }
    teller.done()
}

/// The same for a verb that ends with it: what people could not be told is printed beside its error.
///
/// # Errors
/// The verb's own.
pub fn or_tell<T>(ports: &Ports<'_>, stage: Stage<T>) -> Stage<T> {
    if let Err(stop) = &stage {
        for notice in tampered(ports, stop) {
            if let Notice::Words(words) = notice {
                (ports.tell)(Step::Warned(words));
            }
        }
    }
    stage
}

/// Tells those who were told from this clone what is over: the record is valid again, or has what was missing.
pub(super) fn over(teller: &mut Teller<'_>, state: &State<'_>) -> Answer<()> {
    let before = note::read(teller.ports)?;
    let mut told = before.clone();
    for (key, entry) in &before {
        let stands = match entry.condition {
            Condition::Tampered => false,
            Condition::Unrecorded => state.open_runs()?.iter().any(|open| about_run(&open.run) == entry.which),
            // The record can say again what was told of it.
            Condition::Held
            | Condition::RolledBack
            | Condition::Drift
            | Condition::Waits
            | Condition::BreakGlass
            | Condition::Unfinished => {
                told.remove(key);
                continue;
            }
        };
        if stands {
            continue;
        }
        let Entry { condition, deployment, pr, which, since, delivered, .. } = entry;
        let (news, condition) = (News::Over, Some(*condition));
        let what = What { news, condition, deployment: deployment.as_ref(), pr: *pr, which: *which, since: *since };
        let (title, text) = match deployment {
            Some(deployment) => (
                words::of(Condition::Unrecorded, news, deployment, *pr),
                format!("The run of {since} is recorded now.\nplatformctl show {}", deployment.module),
            ),
            None => (
                format!("Over (tampered): the record on {}", teller.ports.remote.name()),
                format!(
                    "The record, reported at {since}, is valid again, as far as this clone can check.\nplatformctl verify"
                ),
            ),
        };
        let message = teller.message(&what, &title, &text);
        teller.send(delivered, &message);
        told.remove(key);
    }
    if told == before { Ok(()) } else { note::write(teller.ports, &told) }
}
