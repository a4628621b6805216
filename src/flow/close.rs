//! Close: records the outcome, whatever happened. It is never skipped; if the remote cannot be reached, the outcome
//! waits in the spool.

use crate::{
    flow::{gate::Permit, open::Intent, run, ship, verify},
    ledger::event::{Event, Kind},
    model::{
        ending::Ending,
        evidence::Evidence,
        ids::{Oid, RunId},
        refusal::Code,
    },
    port::{Ended, Host, NotDone, Phase, PortError, Step, Tell, ending},
    record::{Appended, Record},
};

/// A run that was carried out.
#[derive(Debug)]
pub struct Carried {
    /// What was carried out.
    pub permit: Permit,
    /// The run.
    pub run: RunId,
    /// The record of its intent.
    pub intent: Oid,
    /// How it ended.
    pub ended: Ended,
    /// Its outcome, unless it stays open.
    pub record: Option<Appended>,
    /// Why the outcome is neither recorded nor kept here: the run stays open, and `resume` asks the host.
    pub lost: Option<PortError>,
}

impl Carried {
    /// Whether everything that can be recorded is on the remote.
    pub fn is_recorded(&self) -> bool {
        self.lost.is_none() && self.record.as_ref().is_none_or(|record| record.on_remote)
    }
}

/// Ships, runs and verifies an intent, and records what became of it. There is no way out of here but through the
/// record.
pub fn carry_out(intent: Intent, record: &Record<'_>, host: &dyn Host, tell: Tell<'_>) -> Carried {
    let ended = attempt(&intent, record, host, tell);
    tell(Step::Began(Phase::Close));
    // Made from what is known already: after a change nothing may fail before the outcome is stored.
    let draft = Event::draft(
        intent.event().kind.outcome().unwrap_or(Kind::ApplyOutcome),
        record.clock.now(),
        intent.event().actor.clone(),
    );
    let closed = match outcome(draft, intent.commit(), intent.event(), &ended) {
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
    let (permit, run, intent) = intent.ended();
    Carried { permit, run, intent, ended, record: closed, lost }
}

fn attempt(intent: &Intent, record: &Record<'_>, host: &dyn Host, tell: Tell<'_>) -> Ended {
    let clock = record.clock;
    // Until the host is told to change, stopping is safe; afterwards the run continues until it can end.
    let stopped = || {
        let fix = "run the same command again";
        PortError::new(Code::Interrupted, "you asked to stop before the host was told to change anything", fix)
    };
    if clock.interrupted() {
        return Err(NotDone::aborted(stopped()));
    }
    tell(Step::Began(Phase::Ship));
    let shipped = match ship::ship(intent, host, record.source) {
        Ok(shipped) => shipped,
        // Nothing live is touched by a delivery, however it ends.
        Err(error) => return Err(NotDone::aborted(error)),
    };
    tell(Step::Shipped(shipped.files()));
    if clock.interrupted() {
        return Err(NotDone::aborted(stopped()));
    }
    tell(Step::Began(Phase::Run));
    // From here on only the host can tell what became of the run.
    if let Err(error) = record.sending(intent.run()) {
        return Err(NotDone::aborted(error));
    }
    let ran = run::run(shipped, host)?;
    let plan = intent.plan();
    tell(Step::Changed(plan.work().is_by_service().then(|| plan.changes().to_vec())));
    tell(Step::Began(Phase::Verify));
    let ended = verify::after(&ran, host, clock);
    if let Ok(evidence) = &ended {
        tell(Step::Healthy(Box::new(evidence.clone())));
    }
    ended
}

/// The outcome of an intent; `None` while it is unknown.
pub(crate) fn outcome(draft: Event, intent: Oid, opened: &Event, ended: &Ended) -> Option<Event> {
    let evidence = match ended {
        Ok(evidence) => evidence.clone(),
        Err(not_done) if not_done.ending() == Ending::Unknown => return None,
        Err(not_done) => Evidence {
            failed: Some(not_done.error().code.slug().to_owned()),
            why: Some(not_done.error().what.clone()),
            ..Evidence::default()
        },
    };
    Some(draft.answering(intent, opened, ending(ended), evidence))
}
