//! Spool: events that must not be lost wait here until the remote can be reached. The result of a run that was ended
//! meanwhile is recorded as late.

use crate::{
    ledger::{
        chain::{self},
        event::{Event, Kind},
        tree,
    },
    model::{ids::Oid, refusal::Code},
    port::{Answer, PortError},
    record::{Appended, Record, append::Append, bug, fit::Fitting},
};

const SPOOL: &str = "spool";
/// Where results that can never be recorded are kept, for a person to inspect.
const UNDELIVERED: &str = "undelivered";

impl Record<'_> {
    /// Appends an event that must not be lost. If the remote cannot be reached, the event waits in the spool, and the
    /// next command delivers it.
    ///
    /// # Errors
    /// The spool cannot be written either.
    pub fn append_or_spool(&self, draft: &Event) -> Answer<Appended> {
        match self.append(draft, None) {
            Ok(Append::Done(appended)) => Ok(appended),
            Ok(Append::Moved(_)) => Err(bug("an outcome has no preconditions")),
            // Another person ended the run: there is nothing to deliver later.
            Err(error) if draft.kind == Kind::Takeover && error.code == Code::UnknownRun => Err(error),
            Err(error) => {
                let run = draft.run.as_ref().map(ToString::to_string).unwrap_or_default();
                let bytes = tree::file(draft).map_err(|error| bug("an event").because(Box::new(error)))?;
                let note = format!("{SPOOL}/{run}.{}.json", draft.kind.as_str());
                self.ledger.set_note(&note, Some(&bytes)).map_err(|_| error)?;
                let commit = self.ledger.tip()?.unwrap_or(Oid::from_bytes([0; 20]));
                Ok(Appended { commit, seq: 0, genesis: commit, on_remote: false })
            }
        }
    }

    /// Delivers the events in the spool. The result of a run that was taken over is recorded as late. An event that the
    /// record has already is dropped; one that can never be recorded is set aside, so that it does not block later
    /// commands. Returns how many were delivered.
    ///
    /// # Errors
    /// The remote still cannot be reached.
    pub fn deliver(&self) -> Answer<usize> {
        let mut delivered = 0;
        for name in self.ledger.notes(SPOOL)? {
            let note = format!("{SPOOL}/{name}");
            let Some(bytes) = self.ledger.note(&note)? else {
                continue;
            };
            let before = self.ledger.tip()?;
            let draft = serde_json::from_slice::<Event>(&bytes);
            let appended = match &draft {
                Ok(draft) => self.append(draft, None).map(|_| ()).or_else(|error| match (error.code, draft.kind) {
                    // The run has ended, so a takeover has no effect.
                    (Code::UnknownRun, Kind::Takeover) => Ok(()),
                    _ => Err(error),
                }),
                Err(error) => Err(PortError::new(Code::StateInvalid, format!("no event: {error}"), "look at it")),
            };
            match (appended, &draft) {
                (Ok(()), _) => delivered += usize::from(self.ledger.tip()? != before),
                (Err(_), Err(_)) => self.put_aside(&name, &bytes)?,
                // Not if the record itself is invalid: then nothing can be delivered, and nothing is lost.
                (Err(_), Ok(draft)) if self.never_fits(draft)? => self.put_aside(&name, &bytes)?,
                (Err(error), Ok(_)) => return Err(error),
            }
            self.ledger.set_note(&note, None)?;
        }
        Ok(delivered)
    }

    /// Whether an event itself is the reason why it cannot be recorded.
    fn never_fits(&self, draft: &Event) -> Answer<bool> {
        let tip = self.ledger.tip()?.map(|tip| chain::trusted(self.source, tip)).transpose()?;
        let written = match self.fitting(draft, tip.as_ref()) {
            Ok(Fitting::As(draft)) => self.write(&draft, tip.as_ref(), None).map(|_| ()),
            Ok(Fitting::There(_)) => Ok(()),
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => Ok(false),
            Err(error) => Ok([Code::StateInvalid, Code::UnknownRun, Code::Usage].contains(&error.code)),
        }
    }

    /// Sets aside what can never be recorded, so that it blocks nothing.
    pub(crate) fn put_aside(&self, name: &str, bytes: &[u8]) -> Answer<()> {
        self.ledger.set_note(&format!("{UNDELIVERED}/{name}"), Some(bytes))
    }
}
