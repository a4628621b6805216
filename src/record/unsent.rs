//! Unsent: runs whose intent may be recorded and that were never sent to their host.
//!
//! A note exists from before the intent is pushed until just before the host is told to change anything. A process that
//! finds the note of one that has ended knows, without asking the host, that nothing was touched, and ends the run in
//! the record.

use crate::{
    ledger::{
        event::{Event, Kind},
        state::State,
        tree,
    },
    model::{
        ending::Ending,
        evidence::Evidence,
        ids::{Oid, RunId},
        lock::LockKey,
        refusal::Code,
    },
    port::{Answer, Guard, PortError},
    record::{Record, bug},
};

const FOLDER: &str = "unsent";
/// Notes of runs that this clone sent to their host, until they are closed.
const SENT: &str = "sent";
/// How long a missing intent is searched for in the record, in seconds: a push whose connection was lost may land late.
const LANDS_WITHIN_S: i64 = 600;

/// The name of the lock that the runs of one lock scope share in this clone.
pub(crate) fn lock_name(key: &LockKey) -> String {
    key.as_str().replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', ".")
}

fn note(run: &RunId) -> String {
    format!("{FOLDER}/{run}.json")
}

impl Record<'_> {
    /// Notes an intent before it is pushed. The guard tells other processes of this clone that this one is at work.
    ///
    /// # Errors
    /// Another process of this clone works on the same module, or the note cannot be written.
    pub(crate) fn begin(&self, intent: &Event) -> Answer<Box<dyn Guard>> {
        let (Some(run), Some(lock)) = (&intent.run, &intent.lock) else {
            return Err(bug("an intent without a run"));
        };
        let guard = self.ledger.lock(&lock_name(&lock.scope), 0)?;
        let bytes = tree::file(intent).map_err(|error| bug("an event").because(Box::new(error)))?;
        self.ledger.set_note(&note(run), Some(&bytes))?;
        Ok(guard)
    }

    /// Removes the note: the run is not recorded, or it is about to be sent.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn sure(&self, run: &RunId) -> Answer<()> {
        self.ledger.set_note(&note(run), None)
    }

    /// Notes that the run is about to be sent: from now on only the host knows how it ends.
    ///
    /// # Errors
    /// The notes cannot be written.
    pub(crate) fn sending(&self, run: &RunId) -> Answer<()> {
        self.ledger.set_note(&format!("{SENT}/{run}"), Some(b""))?;
        self.sure(run)
    }

    /// Whether this clone sent a run to its host. If so, no process watches it once the sending one has ended.
    ///
    /// # Errors
    /// The notes cannot be read.
    pub(crate) fn was_sent(&self, run: &RunId) -> Answer<bool> {
        Ok(self.ledger.note(&format!("{SENT}/{run}"))?.is_some())
    }

    /// The error for an intent that could not be appended.
    pub(crate) fn unsure(&self, run: &RunId, error: PortError) -> PortError {
        // A definite rejection cannot land later. A leftover note costs only one extra check.
        if error.certain && self.sure(run).is_ok() {
            return error;
        }
        let what = format!("{}; the intent of run {run} may still land, the host was not touched", error.what);
        PortError { what, fix: "run the same command again: it looks for the intent first".to_owned(), ..error }
    }

    /// Ends the runs that were never sent. Returns how many.
    ///
    /// # Errors
    /// The record cannot be read or written.
    pub fn settle(&self) -> Answer<usize> {
        let mut ended = 0;
        for name in self.ledger.notes(SENT)? {
            let open = match (name.parse::<RunId>(), self.ledger.tip()?) {
                (Ok(run), Some(tip)) => State::at(self.source, tip)?.open_run(&run)?.is_some(),
                (Ok(_), None) | (Err(_), _) => false,
            };
            if !open {
                self.ledger.set_note(&format!("{SENT}/{name}"), None)?;
            }
        }
        for name in self.ledger.notes(FOLDER)? {
            let note = format!("{FOLDER}/{name}");
            let Some(bytes) = self.ledger.note(&note)? else { continue };
            let intent = serde_json::from_slice::<Event>(&bytes).ok();
            let Some((intent, run, lock)) =
                intent.as_ref().and_then(|intent| Some((intent, intent.run.as_ref()?, intent.lock.as_ref()?)))
            else {
                self.put_aside(&name, &bytes)?;
                self.ledger.set_note(&note, None)?;
                continue;
            };
            let _alone = match self.ledger.lock(&lock_name(&lock.scope), 0) {
                Ok(guard) => guard,
                // Its process is still at work.
                Err(error) if error.code == Code::Busy => continue,
                Err(error) => return Err(error),
            };
            // Read again under the lock: its process may have removed the note, told the host and ended meanwhile.
            if self.ledger.note(&note)?.is_none() {
                continue;
            }
            match self.opened(run)? {
                Some((id, opened)) => {
                    self.append(&self.aborted(id, &opened)?, None)?;
                    ended += 1;
                    self.ledger.set_note(&note, None)?;
                }
                // It may still land, or never.
                None if intent.time.plus_s(LANDS_WITHIN_S) < self.clock.now() => self.ledger.set_note(&note, None)?,
                None => {}
            }
        }
        Ok(ended)
    }

    /// The intent of an open run.
    fn opened(&self, run: &RunId) -> Answer<Option<(Oid, Event)>> {
        let Some(tip) = self.ledger.tip()? else { return Ok(None) };
        let state = State::at(self.source, tip)?;
        let Some(open) = state.open_run(run)? else { return Ok(None) };
        state.intent_of(&open)
    }

    fn aborted(&self, intent: Oid, opened: &Event) -> Answer<Event> {
        let evidence = Evidence {
            failed: Some(Code::Interrupted.slug().to_owned()),
            why: Some("the process ended before anything was sent to the host".to_owned()),
            ..Evidence::default()
        };
        let draft = self.draft(opened.kind.outcome().unwrap_or(Kind::ApplyOutcome))?;
        Ok(draft.answering(intent, opened, Ending::Aborted, evidence))
    }
}
