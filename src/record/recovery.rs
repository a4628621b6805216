//! Recover: the fix for a tip that is not a record. One record continues from the last valid one and displaces what was
//! pushed on top.

use std::collections::{BTreeSet, VecDeque};

use crate::{
    ledger::{
        chain,
        event::Kind,
        fault::{Checked, Fault},
        recover,
    },
    model::{ids::Oid, refusal::Code},
    port::{Answer, PortError, Pushed},
    record::{Appended, Record, contention, invalid},
};

/// Most chains that are searched for the last valid record, if a merge was pushed.
const LINES_MAX: usize = 64;

/// What a recovery would displace, and from where it would continue.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The last valid record.
    pub good: Checked,
    /// The tip that it displaces.
    pub displaced: Oid,
    /// What is wrong with the first invalid record.
    pub fault: Fault,
    /// Every displaced commit, parents first.
    pub voids: Vec<Oid>,
}

impl Record<'_> {
    /// What a recovery of `tip` would do; `None` if the record is valid.
    ///
    /// # Errors
    /// No record below the tip is valid.
    pub fn recovery(&self, tip: Oid) -> Answer<Option<Recovery>> {
        let seen = self.remembered()?.map(|seen| seen.tip);
        let seen = match seen {
            Some(seen) if self.source.has(seen)? => Some(seen),
            Some(_) | None => None,
        };
        let mut first: Option<Fault> = None;
        let mut good: Option<Checked> = None;
        let (mut lines, mut looked) = (VecDeque::from([tip]), BTreeSet::new());
        while let Some(at) = lines.pop_front().filter(|_| looked.len() < LINES_MAX) {
            if !looked.insert(at) {
                continue;
            }
            let (line, there) = match seen {
                Some(seen) => self.on_line(at, seen)?,
                None => (self.source.first_parents(at, None)?, false),
            };
            let before = seen.filter(|_| there).map(|seen| chain::trusted(self.source, seen)).transpose()?;
            let (holds, fault) = self.prefix(before, &line, &mut |_| {})?;
            match (fault, at == tip) {
                (None, true) => return Ok(None),
                (Some(fault), true) => first = Some(fault),
                (_, false) => {}
            }
            let better = |than: &Checked| holds.as_ref().is_some_and(|holds| holds.event.seq > than.event.seq);
            if good.as_ref().is_none_or(better) && holds.is_some() {
                good.clone_from(&holds);
            }
            // The record may be a parent of an invalid merge.
            let until = holds.map(|holds| holds.id);
            for id in line.iter().take_while(|id| Some(**id) != until) {
                lines.extend(self.source.commit(*id)?.parents.iter().skip(1));
            }
        }
        let (Some(fault), Some(good)) = (first, good) else {
            return Err(PortError::new(
                Code::StateInvalid,
                format!("nothing below {tip} is a record of this repository"),
                "run it in a clone that has the record; `platformctl help recovery` explains more",
            ));
        };
        let (voids, _) = recover::displaced(self.source, good.id, tip)?;
        Ok(Some(Recovery { good, displaced: tip, fault, voids }))
    }

    /// Writes the recover record and pushes it without force: the remote must still be at the displaced tip.
    ///
    /// # Errors
    /// The record would void a valid record, the remote moved, or the remote rejects the record.
    pub fn recover(&self, recovery: &Recovery, reason: &str) -> Answer<Appended> {
        let mut draft = self.draft(Kind::Recover)?;
        draft.reason = Some(reason.to_owned());
        let (voids, voided) = recover::names(&recovery.voids);
        (draft.voids, draft.voided) = (voids, Some(voided));
        let local = self.ledger.tip()?;
        let (id, event) = self.write(&draft, Some(&recovery.good), Some(recovery.displaced)).map_err(|error| {
            // A displaced commit is a valid record: this is not junk, and one record cannot repair it.
            let what = format!("{}; {}", invalid(&recovery.fault).what, error.what);
            PortError { what, fix: "`platformctl help recovery` explains what to do".to_owned(), ..error }
        })?;
        let done = Appended { commit: id, seq: event.seq, genesis: recovery.good.genesis, on_remote: true };
        if let Some(remote) = self.remote {
            let begun = self.clock.ticks_ms();
            loop {
                let why = match remote.push_state(id)? {
                    Pushed::Accepted => break,
                    Pushed::Refused(error) => return Err(error),
                    Pushed::Rejected(why) => Err(why),
                    Pushed::Unknown(why) => Ok(why),
                };
                let now = remote.refs(false)?.state;
                if now == Some(id) {
                    break;
                }
                if now.map(|now| self.peeled(now)).transpose().ok().flatten() != Some(recovery.displaced) {
                    return Err(contention("another record was pushed meanwhile"));
                }
                let why = why.map_err(|why| {
                    PortError::new(
                        Code::CredentialsRefused,
                        format!("the remote does not take the record: {why}"),
                        "check that you may push refs/platform/state, and what the hooks of the remote refuse",
                    )
                })?;
                self.in_time(begun, &why)?;
                self.pause();
            }
        }
        self.remember(&chain::trusted(self.source, id)?)?;
        if !self.ledger.advance(local, id)? && self.ledger.tip()? != Some(id) {
            return Err(contention("another process moved the local record"));
        }
        Ok(done)
    }
}
