//! Close: the outcome, whatever happened. Never skipped; where the remote cannot be reached it waits in the spool.

use crate::{
    flow::{
        observe::Running,
        open::Intent,
        run::{self, NotRan},
        ship,
        verify::{self, Expected, What, watch::NotVerified},
    },
    ledger::event::{Event, Kind, Outcome},
    model::{evidence::Evidence, ids::Oid, refusal::Code},
    port::{Host, PortError, Step, Tell},
    record::{Appended, Record},
};

/// How a run ended.
#[derive(Debug)]
pub enum Ending {
    /// As planned and verified.
    Ok(Evidence),
    /// Changed and failed: left as it is.
    Failed(PortError),
    /// Certainly nothing that runs was touched.
    Aborted(PortError),
    /// Nobody knows yet: the run stays open, and so does its intent.
    Unknown(PortError),
}

/// A run that was carried out.
#[derive(Debug)]
pub struct Carried {
    /// How it ended.
    pub ending: Ending,
    /// Its outcome, unless it stays open.
    pub record: Option<Appended>,
    /// Why the outcome is neither recorded nor kept here: the run stays open, and `resume` asks the host.
    pub lost: Option<PortError>,
    /// Milliseconds that each step took.
    pub durations_ms: Vec<(&'static str, u64)>,
}

/// Ships, runs and verifies an intent, and records what became of it. There is no way out of here but through the record.
pub fn carry_out(intent: &Intent, record: &Record<'_>, host: &dyn Host, tell: Tell<'_>) -> Carried {
    let mut durations_ms = Vec::new();
    let ending = attempt(intent, record, host, tell, &mut durations_ms);
    let begun = record.clock.ticks_ms();
    // Made of what is at hand: after a change nothing is asked that could fail before the outcome is kept.
    let draft = Event::draft(Kind::ApplyOutcome, record.clock.now(), intent.event.actor.clone());
    let closed = match outcome(draft, intent.commit, &intent.event, &ending) {
        Some(event) => record.append_or_spool(&event).map(Some),
        None => Ok(None),
    };
    let (closed, lost) = match closed {
        Ok(closed) => (closed, None),
        Err(error) => (None, Some(error)),
    };
    if let Some(done) = closed.as_ref().filter(|done| done.on_remote) {
        tell(Step::Recorded(done.seq));
    }
    durations_ms.push(("close", record.clock.ticks_ms().saturating_sub(begun)));
    Carried { ending, record: closed, lost, durations_ms }
}

fn attempt(
    intent: &Intent,
    record: &Record<'_>,
    host: &dyn Host,
    tell: Tell<'_>,
    durations_ms: &mut Vec<(&'static str, u64)>,
) -> Ending {
    let clock = record.clock;
    let mut begun = clock.ticks_ms();
    let mut took = |step| {
        let now = clock.ticks_ms();
        durations_ms.push((step, now.saturating_sub(begun)));
        begun = now;
    };
    // Until the host is told to change, stopping is safe; afterwards the run goes on to where it can end.
    let stopped = || {
        let fix = "run the same command again";
        PortError::new(Code::Interrupted, "you asked to stop, before the host was told to change", fix)
    };
    if clock.interrupted() {
        return Ending::Aborted(stopped());
    }
    let shipped = match ship::ship(intent, host, record.source) {
        Ok(shipped) => shipped,
        // Nothing live is touched by a delivery, however it ends.
        Err(error) => return Ending::Aborted(error),
    };
    took("ship");
    tell(Step::Shipped(shipped.files));
    if clock.interrupted() {
        return Ending::Aborted(stopped());
    }
    // From here on only the host can tell what became of the run.
    if let Err(error) = record.sending(intent.run()) {
        return Ending::Aborted(error);
    }
    let ran = match run::run(shipped, host) {
        Ok(ran) => ran,
        Err(NotRan::Untouched(error)) => return Ending::Aborted(error),
        Err(NotRan::Failed(error)) => return Ending::Failed(error),
        Err(NotRan::Unknown(error)) => return Ending::Unknown(error),
    };
    took("run");
    let plan = intent.permit.plan();
    let composed = matches!(plan.observed.running, Running::Compose(_));
    tell(Step::Changed(composed.then(|| plan.changes().to_vec())));
    let what = match plan.observed.running {
        Running::Files(_) => What::Files(&plan.wanted),
        Running::Compose(_) => What::Compose(&plan.expected),
    };
    let expected = Expected { target: plan.bound.target(), what };
    let ending = settled(verify::after(ran, &expected, host, clock));
    took("verify");
    if let Ending::Ok(evidence) = &ending {
        tell(Step::Healthy(Box::new(evidence.clone())));
    }
    ending
}

/// What a verification means for the run.
pub(crate) fn settled(verified: Result<Evidence, NotVerified>) -> Ending {
    match verified {
        Ok(evidence) => Ending::Ok(evidence),
        Err(NotVerified::Failed(error)) => Ending::Failed(error),
        Err(NotVerified::Unknown(error)) => Ending::Unknown(error),
    }
}

/// The outcome of an intent; `None` while nobody knows.
pub(crate) fn outcome(draft: Event, intent: Oid, opened: &Event, ending: &Ending) -> Option<Event> {
    let failed = |error: &PortError| Evidence {
        failed: Some(error.code.slug().to_owned()),
        why: Some(error.what.clone()),
        ..Evidence::default()
    };
    let (result, evidence) = match ending {
        Ending::Ok(evidence) => (Outcome::Ok, evidence.clone()),
        Ending::Failed(error) => (Outcome::Failed, failed(error)),
        Ending::Aborted(error) => (Outcome::Aborted, failed(error)),
        Ending::Unknown(_) => return None,
    };
    Some(draft.answering(intent, opened, result, evidence))
}
