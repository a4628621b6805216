//! Fits an event to the newest record: its run may have been ended by another person meanwhile.

use crate::{
    ledger::{
        event::{Event, Kind},
        fault::Checked,
        state::State,
    },
    model::refusal::Code,
    port::{Answer, PortError},
    record::{Appended, Record},
};

/// How an event is appended.
pub(crate) enum Fitting {
    /// In this form.
    As(Box<Event>),
    /// Not at all: the record has it already.
    There(Appended),
}

impl Record<'_> {
    /// An outcome whose run was ended by another person meanwhile becomes a late outcome; one that the record has
    /// already is not appended again.
    pub(crate) fn fitting(&self, draft: &Event, tip: Option<&Checked>) -> Answer<Fitting> {
        let as_it_is = || Ok(Fitting::As(Box::new(draft.clone())));
        let (Some(tip), Some(run)) = (tip, &draft.run) else { return as_it_is() };
        let ends = draft.kind.closes() || draft.kind == Kind::Takeover;
        if !ends || State::at(self.source, tip.id)?.open_run(run)?.is_some() {
            return as_it_is();
        }
        let ended = |what: &str| {
            let fix = format!("platformctl log --json shows how; nothing has to be done for run {run}");
            Err(PortError::new(Code::UnknownRun, format!("run {run} {what}"), fix))
        };
        if draft.kind == Kind::Takeover {
            return ended("was ended by another person meanwhile");
        }
        // From the newest record back to the one that opened the run.
        let mut next = Some(tip.id);
        let mut closed = false;
        while let Some(id) = next {
            if Some(id) == draft.intent {
                break;
            }
            let event = State::at(self.source, id)?.event()?;
            if event.run.as_ref() == Some(run) {
                if event.result.is_some() && event.result == draft.result {
                    let genesis = event.genesis.unwrap_or(id);
                    return Ok(Fitting::There(Appended { commit: id, seq: event.seq, genesis, on_remote: true }));
                }
                closed = true;
            }
            next = self.source.commit(id)?.parents.first().copied();
        }
        if next.is_none() || !closed {
            return ended("has no intent in the record");
        }
        Ok(Fitting::As(Box::new(Event { kind: Kind::LateOutcome, ..draft.clone() })))
    }
}
