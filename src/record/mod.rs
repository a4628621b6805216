//! The record, fetched and appended to. Append is the only way to write it.
//!
//! The local ref moves only when the remote has the record. If an answer is lost, the remote is asked again; nothing is
//! guessed.

pub mod append;
pub mod fit;
pub mod recovery;
pub mod spool;
pub mod unsent;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    ledger::{
        chain,
        event::{Actor, Event, Kind},
        fault::{Checked, Fault},
        recover,
    },
    model::{
        ids::{Oid, RunId},
        refusal::Code,
    },
    port::{Answer, Clock, Ledger, PortError, Remote, RemoteRefs, Sign, Source, Want},
};

/// The version of the rules. A remembered tip is used only if it was verified with the same version.
const VERIFIER: u32 = 4;

/// A written record, and whether the remote has it.
#[derive(Debug, Clone)]
pub struct Appended {
    /// The record.
    pub commit: Oid,
    /// Its place in the chain.
    pub seq: u64,
    /// The first record.
    pub genesis: Oid,
    /// False if it waits in the spool.
    pub on_remote: bool,
}

/// The record of one repository.
pub struct Record<'a> {
    /// Objects.
    pub source: &'a dyn Source,
    /// The local side.
    pub ledger: &'a dyn Ledger,
    /// The remote side; `None` if the policy has `state.remote: none`.
    pub remote: Option<&'a dyn Remote>,
    /// Time.
    pub clock: &'a dyn Clock,
    /// The pinned first record.
    pub pinned: Option<Oid>,
    /// Whether records must be signed.
    pub sign: Sign,
}

/// What this clone remembers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Remembered {
    genesis: Oid,
    /// The newest record that was checked.
    pub tip: Oid,
    verifier: u32,
}

const SEEN: &str = "verified.json";

impl<'a> Record<'a> {
    /// Synchronises with the remote: compares the fetched tip with the one seen before, verifies the records between
    /// them, and moves the local ref. `refs` is what the remote listed in this run; it is already fetched.
    ///
    /// # Errors
    /// The record was rewound, forked or removed, or is not valid (20). Nothing is changed then.
    pub fn sync(&self, refs: &RemoteRefs) -> Answer<Option<Checked>> {
        let local = self.ledger.tip()?;
        let seen = self.remembered()?;
        let known: Vec<Oid> = local.iter().copied().chain(seen.as_ref().map(|seen| seen.tip)).collect();
        let tip = match self.remote {
            None => local,
            Some(remote) => match refs.state {
                Some(tip) => Some(tip),
                None if known.is_empty() && self.pinned.is_none() => None,
                // The remote is asked a second time before the record is reported as missing.
                None => match remote.refs(false)?.state {
                    Some(tip) => {
                        remote.fetch(&[Want::State])?;
                        Some(tip)
                    }
                    None => return Err(gone(known.first().copied().or(self.pinned))),
                },
            },
        };
        let Some(tip) = tip else { return Ok(None) };
        let mut tip = self.peeled(tip)?;
        let mut known = known;
        // If this clone's ref was set to something that is not a record, that was never seen.
        if let Some(local) = local.filter(|local| seen.as_ref().is_none_or(|seen| seen.tip != *local))
            && self.contains(tip, local).is_err()
            && self.verify_new(local).is_err_and(|error| error.code == Code::StateInvalid)
        {
            known.retain(|id| *id != local);
        }
        if let Err(first) = self.contains_all(tip, &known) {
            // The remote is asked a second time before every command refuses: the answer may come from a mirror that
            // lags behind.
            let again = self.remote.map(|remote| remote.refs(false)).transpose()?.and_then(|refs| refs.state);
            let (Some(remote), Some(again)) = (self.remote, again.filter(|again| *again != tip)) else {
                return Err(first);
            };
            remote.fetch(&[Want::State])?;
            tip = self.peeled(again)?;
            self.contains_all(tip, &known)?;
        }
        let checked = self.verify_to(tip, seen.map(|seen| seen.tip))?;
        if let Some(pinned) = self.pinned.filter(|pinned| *pinned != checked.genesis) {
            return Err(PortError::new(
                Code::StateForked,
                format!("the record begins with {}, platform.yaml pins {pinned}", checked.genesis),
                "this is not the record that was reviewed; `platformctl help recovery` explains what to do",
            ));
        }
        self.remember(&checked)?;
        if local != Some(tip) && !self.ledger.advance(local, tip)? {
            return Err(contention("another process moved the local record"));
        }
        Ok(Some(checked))
    }

    /// The commit of the remote's ref. If a tag was pushed there, the record is what the tag points to, and the next
    /// record replaces the tag.
    ///
    /// # Errors
    /// It does not point to a commit.
    pub(crate) fn peeled(&self, tip: Oid) -> Answer<Oid> {
        if self.source.has(tip)? {
            return Ok(tip);
        }
        let fetched = self.ledger.fetched()?;
        if let Some(peeled) = fetched.filter(|_| self.remote.is_some())
            && self.source.has(peeled)?
        {
            return Ok(peeled);
        }
        Err(PortError::new(
            Code::StateInvalid,
            format!("refs/platform/state is at {tip}, which is no commit"),
            "another commit was pushed there; `platformctl help recovery` explains what to do",
        ))
    }

    fn contains_all(&self, tip: Oid, known: &[Oid]) -> Answer<()> {
        known.iter().try_for_each(|known| self.contains(tip, *known))
    }

    /// Refuses a tip that does not contain the one that was seen before.
    fn contains(&self, tip: Oid, known: Oid) -> Answer<()> {
        if tip == known || recover::contains(self.source, tip, known)? {
            return Ok(());
        }
        let (code, what) = if recover::contains(self.source, known, tip)? {
            (Code::StateRewound, "went back to")
        } else {
            (Code::StateForked, "was replaced by")
        };
        Err(PortError::new(
            code,
            format!("refs/platform/state {what} {tip}; {known} was there before"),
            "change nothing until you know who did it; `platformctl help recovery` explains what to do",
        ))
    }

    /// The chain from `tip` down to, but without, `until`, newest first; and whether `until` is on it.
    pub(crate) fn on_line(&self, tip: Oid, until: Oid) -> Answer<(Vec<Oid>, bool)> {
        let line = self.source.first_parents(tip, Some(until))?;
        let there = match line.last() {
            None => true,
            Some(oldest) => self.source.commit(*oldest)?.parents.first() == Some(&until),
        };
        Ok((line, there))
    }

    pub(crate) fn remembered(&self) -> Answer<Option<Remembered>> {
        remembered(self.ledger)
    }

    pub(crate) fn remember(&self, checked: &Checked) -> Answer<()> {
        let note = Remembered { genesis: checked.genesis, tip: checked.id, verifier: VERIFIER };
        let bytes = serde_json::to_vec(&note).map_err(|error| bug("a note").because(error))?;
        if self.ledger.note(SEEN)?.as_deref() == Some(&bytes) {
            return Ok(());
        }
        self.ledger.set_note(SEEN, Some(&bytes))
    }

    /// Checks every record after the remembered one up to `tip`. A chain that does not contain the remembered one is
    /// checked from its first record, so that every clone reports the same invalid record.
    fn verify_to(&self, tip: Oid, seen: Option<Oid>) -> Answer<Checked> {
        let (new, there) = match seen {
            Some(seen) => self.on_line(tip, seen)?,
            None => (self.source.first_parents(tip, None)?, false),
        };
        let before = seen.filter(|_| there).map(|seen| chain::trusted(self.source, seen)).transpose()?;
        let (holds, fault) = self.prefix(before, &new, &mut |_| {})?;
        if let Some(fault) = fault {
            return Err(invalid(&fault));
        }
        match (holds, seen) {
            (Some(checked), Some(seen)) if !there => Err(PortError::new(
                Code::StateForked,
                format!("refs/platform/state was replaced by {}; {seen} was there before", checked.id),
                "change nothing until you know who did it; `platformctl help recovery` explains what to do",
            )),
            (Some(checked), _) => Ok(checked),
            (None, _) => Err(gone(None)),
        }
    }

    /// The last record up to which all are valid, and what is wrong with the next one. `seen` is called with each valid
    /// one.
    pub(crate) fn prefix(
        &self,
        before: Option<Checked>,
        new: &[Oid],
        seen: &mut dyn FnMut(&Event),
    ) -> Answer<(Option<Checked>, Option<Fault>)> {
        let mut before = before;
        for id in new.iter().rev() {
            match chain::check(self.source, self.ledger, before.as_ref(), *id)? {
                Ok(checked) => {
                    seen(&checked.event);
                    before = Some(checked);
                }
                Err(fault) => return Ok((before, Some(fault))),
            }
        }
        Ok((before, None))
    }

    /// Checks every record from the first one to `tip`, ignoring what was remembered. Returns how many there are, the
    /// newest one, and the ids of runs that more than one deployment used: no rule forbids that in a single record, but
    /// this program never does it.
    ///
    /// # Errors
    /// As [`Record::sync`].
    pub fn verify_all(&self, tip: Oid) -> Answer<(u64, Checked, Vec<RunId>)> {
        let (mut began, mut twice) = (BTreeSet::new(), Vec::new());
        let new = self.source.first_parents(tip, None)?;
        let (checked, fault) = self.prefix(None, &new, &mut |event| {
            if let Some(run) = event.run.as_ref().filter(|_| event.kind.begins())
                && !began.insert(run.clone())
            {
                twice.push(run.clone());
            }
        })?;
        if let Some(fault) = fault {
            return Err(invalid(&fault));
        }
        let checked = checked.ok_or_else(|| gone(None))?;
        Ok((checked.event.seq + 1, checked, twice))
    }

    /// Checks the records up to `tip` that this clone has not checked before.
    ///
    /// # Errors
    /// As [`Record::sync`].
    pub fn verify_new(&self, tip: Oid) -> Answer<Checked> {
        let seen = match self.remembered()? {
            Some(seen) if self.on_line(tip, seen.tip)?.1 => Some(seen.tip),
            Some(_) | None => None,
        };
        self.verify_to(tip, seen)
    }

    /// A draft of an event by the person who runs this command; [`Record::append`] completes it.
    ///
    /// # Errors
    /// git does not know who you are.
    pub fn draft(&self, kind: Kind) -> Answer<Event> {
        let (name, email) = self.ledger.actor()?;
        Ok(Event::draft(kind, self.clock.now(), Actor { name, email, key: None, via: self.ledger.via() }))
    }
}

/// The error for a record that is not valid.
pub(crate) fn invalid(fault: &Fault) -> PortError {
    PortError::new(
        Code::StateInvalid,
        format!("the record {} is not valid: {fault}", fault.commit),
        "platformctl state recover --reason \"…\"",
    )
}

/// The newest record that this clone has verified. The local ref itself may point to anything, because people can fetch
/// into it.
pub(crate) fn remembered(ledger: &dyn Ledger) -> Answer<Option<Remembered>> {
    let seen: Option<Remembered> = ledger.note(SEEN)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(seen.filter(|seen| seen.verifier == VERIFIER))
}

pub(crate) fn contention(why: &str) -> PortError {
    PortError::new(Code::Contention, format!("the record could not be written: {why}"), "run the same command again")
}

pub(crate) fn bug(what: &str) -> PortError {
    PortError::new(Code::Bug, format!("{what} cannot be written"), "please report this")
}

fn gone(known: Option<Oid>) -> PortError {
    let known = known.map_or_else(String::new, |id| format!("; {id} was there before"));
    PortError::new(
        Code::StateMissing,
        format!("the remote has no refs/platform/state{known}"),
        "change nothing until you know who removed it; `platformctl help recovery` explains what to do",
    )
}
