//! Close: the outcome, whatever happened. Never skipped; where the remote cannot be reached it waits in the spool.

use crate::{
    flow::{
        append::Appended,
        open::Intent,
        record::Record,
        run::{self, NotRan},
        ship,
        verify::{self, Expected, NotVerified},
    },
    ledger::event::{Event, Evidence, Kind, Outcome},
    model::{approval::Approval, ids::Oid},
    port::{Answer, Clock, Host, PortError, Source},
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
    /// Milliseconds that each step took.
    pub durations_ms: Vec<(&'static str, u64)>,
}

/// A step that is done, for a person who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The approval is proven.
    Approved(Box<Approval>),
    /// The intent is recorded: seq.
    Intent(u64),
    /// Delivered and verified on the host: files.
    Shipped(u64),
    /// Activated.
    Changed,
    /// Verified: probes that passed.
    Healthy(u64),
    /// The outcome is recorded: seq.
    Recorded(u64),
}

/// Somebody who is told of each step.
pub type Tell<'a> = &'a dyn Fn(Step);

/// Ships, runs and verifies an intent, and records what became of it. There is no way out of here but through the record.
///
/// # Errors
/// Even the spool cannot be written.
pub fn carry_out(intent: &Intent, record: &Record<'_>, host: &dyn Host, tell: Tell<'_>) -> Answer<Carried> {
    let mut durations_ms = Vec::new();
    let ending = attempt(intent, record.source, host, record.clock, tell, &mut durations_ms);
    let begun = record.clock.ticks_ms();
    let clock = record.clock;
    let record = close(record, intent, &ending)?;
    if let Some(done) = record.as_ref().filter(|done| done.on_remote) {
        tell(Step::Recorded(done.seq));
    }
    durations_ms.push(("close", clock.ticks_ms().saturating_sub(begun)));
    Ok(Carried { ending, record, durations_ms })
}

fn attempt(
    intent: &Intent,
    source: &dyn Source,
    host: &dyn Host,
    clock: &dyn Clock,
    tell: Tell<'_>,
    durations_ms: &mut Vec<(&'static str, u64)>,
) -> Ending {
    let mut begun = clock.ticks_ms();
    let mut took = |step| {
        let now = clock.ticks_ms();
        durations_ms.push((step, now.saturating_sub(begun)));
        begun = now;
    };
    let shipped = match ship::ship(intent, host, source) {
        Ok(shipped) => shipped,
        // Nothing live is touched by a delivery, however it ends.
        Err(error) => return Ending::Aborted(error),
    };
    took("ship");
    tell(Step::Shipped(shipped.files));
    let ran = match run::run(shipped, host) {
        Ok(ran) => ran,
        Err(NotRan::Untouched(error)) => return Ending::Aborted(error),
        Err(NotRan::Failed(error)) => return Ending::Failed(error),
        Err(NotRan::Unknown(error)) => return Ending::Unknown(error),
    };
    took("run");
    tell(Step::Changed);
    let plan = intent.permit.plan();
    let expected = Expected {
        module: &plan.intention().module,
        root: &plan.bound().host.root,
        release: plan.intention().closure.hex(),
        files: plan.wanted(),
        health: &plan.bound().manifest().health,
    };
    let ending = settled(verify::after(ran, &expected, host, clock));
    took("verify");
    if let Ending::Ok(evidence) = &ending {
        tell(Step::Healthy(evidence.probes));
    }
    ending
}

/// What a verification means for the run.
pub(super) fn settled(verified: Result<Evidence, NotVerified>) -> Ending {
    match verified {
        Ok(evidence) => Ending::Ok(evidence),
        Err(NotVerified::Failed(error)) => Ending::Failed(error),
        Err(NotVerified::Unknown(error)) => Ending::Unknown(error),
    }
}

/// The outcome of an intent; `None` while nobody knows.
pub(super) fn outcome(record: &Record<'_>, intent: Oid, opened: &Event, ending: &Ending) -> Answer<Option<Event>> {
    let mut event = record.draft(Kind::ApplyOutcome)?;
    let failed = |error: &PortError| Evidence {
        failed: Some(error.code.slug().to_owned()),
        why: Some(error.what.clone()),
        ..Evidence::default()
    };
    let (result, evidence) = match ending {
        Ending::Ok(evidence) => (Outcome::Ok, evidence.clone()),
        Ending::Failed(error) => (Outcome::Failed, failed(error)),
        Ending::Aborted(error) => (Outcome::Aborted, failed(error)),
        Ending::Unknown(_) => return Ok(None),
    };
    event.result = Some(result);
    event.evidence = Some(evidence);
    event.intent = Some(intent);
    event.run.clone_from(&opened.run);
    event.module.clone_from(&opened.module);
    event.host.clone_from(&opened.host);
    event.approved.clone_from(&opened.approved);
    event.closure = opened.closure;
    event.effective = opened.effective;
    event.plan = opened.plan;
    event.policy = opened.policy;
    event.changes.clone_from(&opened.changes);
    event.checkout.clone_from(&opened.checkout);
    Ok(Some(event))
}

fn close(record: &Record<'_>, intent: &Intent, ending: &Ending) -> Answer<Option<Appended>> {
    let opened = crate::ledger::state::State::at(record.source, intent.commit)?.event()?;
    match outcome(record, intent.commit, &opened, ending)? {
        Some(event) => record.append_or_spool(&event).map(Some),
        None => Ok(None),
    }
}
