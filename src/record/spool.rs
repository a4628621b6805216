//! Spool: what must not be lost waits here until the remote can be reached, and a result whose run was ended meanwhile is recorded late.

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
/// Where results are kept that cannot be recorded, for a person to look at.
const UNDELIVERED: &str = "undelivered";

impl Record<'_> {
    /// Appends what must not be lost: where the remote cannot be reached it waits in the spool, and the next command delivers it.
    ///
    /// # Errors
    /// Even the spool cannot be written.
    pub fn append_or_spool(&self, draft: &Event) -> Answer<Appended> {
        match self.append(draft, None) {
            Ok(Append::Done(appended)) => Ok(appended),
            Ok(Append::Moved(_)) => Err(bug("an outcome has no preconditions")),
            // Somebody else ended the run: there is nothing that could be delivered later.
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

    /// Delivers what waits in the spool. A result whose run was taken over is recorded as late. What the record has already is dropped;
    /// what can never be recorded is put aside, so that it does not stop the commands after it. Returns how many were delivered.
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
                    // The run that was to be taken over has ended.
                    (Code::UnknownRun, Kind::Takeover) => Ok(()),
                    _ => Err(error),
                }),
                Err(error) => Err(PortError::new(Code::StateInvalid, format!("no event: {error}"), "look at it")),
            };
            match (appended, &draft) {
                (Ok(()), _) => delivered += usize::from(self.ledger.tip()? != before),
                (Err(_), Err(_)) => self.put_aside(&name, &bytes)?,
                // Not where the record itself is ill: then nothing can be delivered, and nothing is lost.
                (Err(_), Ok(draft)) if self.never_fits(draft)? => self.put_aside(&name, &bytes)?,
                (Err(error), Ok(_)) => return Err(error),
            }
            self.ledger.set_note(&note, None)?;
        }
        Ok(delivered)
    }

    /// Whether an event cannot be recorded on what this clone knows, by its own fault.
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

    /// Keeps what can never be recorded where it stops nobody.
    pub(crate) fn put_aside(&self, name: &str, bytes: &[u8]) -> Answer<()> {
        self.ledger.set_note(&format!("{UNDELIVERED}/{name}"), Some(bytes))
    }
}
