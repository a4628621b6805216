//! Append: the only way to write the record.
//!
//! A record is built on the tip, written durably, checked with the reader's own rules, and pushed without force. Only
//! an answer for our ref counts; after anything else the remote is asked whether it has the record.

use crate::{
    ledger::{
        alarm, chain,
        event::Event,
        fault::Checked,
        fold::{self, Files},
        message,
        state::State,
        tree,
    },
    model::{
        digest::Digest,
        ids::{Deployment, Oid},
        lock::LockKey,
        refusal::Code,
        status::HostStatus,
    },
    port::{Answer, NewCommit, PortError, Pushed, Want},
    record::{Appended, Record, bug, contention, fit::Fitting},
};

/// How long an append tries before it gives up, in milliseconds.
const APPEND_MS: u64 = 30_000;

/// How an append ended.
#[derive(Debug)]
pub enum Append {
    /// The record is written.
    Done(Appended),
    /// What the intent depends on has changed: the run goes back to bind.
    Moved(String),
}

/// What must still be true when an intent is written. It concerns one deployment: what happens to the module on its
/// other hosts does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preconditions {
    /// The deployment.
    pub deployment: Deployment,
    /// Its entry in the record; `None` if it has none.
    pub status: Option<HostStatus>,
    /// The scope that must have no open run.
    pub scope: LockKey,
    /// The blob of the policy in force.
    pub policy: Option<Oid>,
}

/// What helps against a rejection of the record. The server's words choose the advice and nothing else.
fn cure(why: &str) -> &'static str {
    if why.contains("hidden ref") {
        "let the server take refs/platform: remove it from receive.hideRefs and transfer.hideRefs there"
    } else if why.contains("is not allowed to push") {
        "use a token or key of an account that may write the repository"
    } else {
        "check that you may push refs/platform/state, and what the hooks of the remote refuse"
    }
}

impl Record<'_> {
    /// Appends an event to the record. With `preconditions` it is an intent, which is never rebuilt on a record in
    /// which they differ. Without them the event is rebuilt on the newest record.
    ///
    /// # Errors
    /// The remote did not answer before the deadline. The record may still land; a note makes the next command check.
    pub fn append(&self, draft: &Event, preconditions: Option<&Preconditions>) -> Answer<Append> {
        let mut tip = self.ledger.tip()?.map(|tip| chain::trusted(self.source, tip)).transpose()?;
        let begun = self.clock.ticks_ms();
        let mut written: Vec<Oid> = Vec::new();
        let mut unanswered = false;
        loop {
            if let Some(why) = self.differs(draft, tip.as_ref(), preconditions)? {
                return Ok(Append::Moved(why));
            }
            let draft = match self.fitting(draft, tip.as_ref())? {
                Fitting::As(draft) => draft,
                Fitting::There(done) => return Ok(Append::Done(done)),
            };
            let (id, event) = self.write(&draft, tip.as_ref(), None)?;
            written.push(id);
            let done = |id, seq, genesis: Option<Oid>| {
                Append::Done(Appended { commit: id, seq, genesis: genesis.unwrap_or(id), on_remote: true })
            };
            let Some(remote) = self.remote else {
                if self.ledger.advance(tip.as_ref().map(|tip| tip.id), id)? {
                    return Ok(done(id, event.seq, event.genesis));
                }
                self.in_time(begun, "other processes keep moving the record")?;
                tip = self.ledger.tip()?.map(|tip| chain::trusted(self.source, tip)).transpose()?;
                continue;
            };
            let why = match remote.push_state(id)? {
                Pushed::Accepted => {
                    self.landed(tip.as_ref(), id)?;
                    return Ok(done(id, event.seq, event.genesis));
                }
                // An earlier push that was not answered may still land.
                Pushed::Refused(error) => return Err(if unanswered { error } else { error.certain() }),
                Pushed::Rejected(why) => Err(why),
                Pushed::Unknown(why) => {
                    unanswered = true;
                    Ok(why)
                }
            };
            self.in_time(begun, why.as_ref().unwrap_or_else(|why| why))?;
            let refs = remote.refs(false)?;
            if refs.state == tip.as_ref().map(|tip| tip.id) {
                // Nothing moved: a definite rejection is final; after a lost answer the identical commit is pushed
                // again.
                if let Err(why) = why {
                    let error = PortError::new(
                        Code::CredentialsRefused,
                        format!("the remote does not take the record: {why}"),
                        cure(&why),
                    );
                    return Err(if unanswered { error } else { error.certain() });
                }
                self.pause();
                continue;
            }
            remote.fetch(&[Want::State])?;
            let newer = self.sync(&refs)?;
            if let Some(newer) = &newer {
                for id in &written {
                    if self.on_line(newer.id, *id)?.1 {
                        let event = State::at(self.source, *id)?.event()?;
                        return Ok(done(*id, event.seq, event.genesis));
                    }
                }
            }
            tip = newer;
            self.pause();
        }
    }

    pub(crate) fn landed(&self, tip: Option<&Checked>, id: Oid) -> Answer<()> {
        let checked = chain::trusted(self.source, id)?;
        self.remember(&checked)?;
        if self.ledger.advance(tip.map(|tip| tip.id), id)? {
            return Ok(());
        }
        // Another process of this clone may have moved the ref already: it must contain the record.
        match self.ledger.tip()? {
            Some(now) if self.on_line(now, id)?.1 => Ok(()),
            Some(_) | None => Err(contention("another process moved the local record")),
        }
    }

    fn differs(&self, draft: &Event, tip: Option<&Checked>, wanted: Option<&Preconditions>) -> Answer<Option<String>> {
        if let (Some(step), Some(deployment), Some(tip)) = (&draft.alarm, draft.deployment(), tip)
            && alarm::followed(&State::at(self.source, tip.id)?, &deployment, step)?.is_err()
        {
            return Ok(Some(format!("somebody else told the {} of {deployment}", step.condition.as_str())));
        }
        let Some(wanted) = wanted else {
            return Ok(None);
        };
        let Some(tip) = tip else {
            let nothing = wanted.status.is_none() && wanted.policy.is_none();
            return Ok((!nothing).then(|| "the record is gone".to_owned()));
        };
        let state = State::at(self.source, tip.id)?;
        if state.deployment(&wanted.deployment)? != wanted.status {
            return Ok(Some(format!("the record of {} changed", wanted.deployment)));
        }
        let in_force = state.blob_id(tree::POLICY)?;
        if in_force != wanted.policy || (draft.policy.is_some() && draft.policy != in_force) {
            return Ok(Some("another policy is in force".to_owned()));
        }
        let open = state.open_runs()?.into_iter().find(|open| open.scope == wanted.scope);
        Ok(open.map(|open| format!("run {} of {} is open", open.run, open.owner)))
    }

    /// Builds and writes the record on `tip`. A recover record has the displaced tip as its second parent.
    pub(crate) fn write(&self, draft: &Event, tip: Option<&Checked>, displaced: Option<Oid>) -> Answer<(Oid, Event)> {
        let mut event = draft.clone();
        event.seq = tip.map_or(0, |tip| tip.event.seq + 1);
        event.genesis = tip.map(|tip| tip.genesis);
        event.time = tip.map_or(draft.time, |tip| tip.event.time.max(draft.time));
        let files = match tip {
            Some(tip) => State::at(self.source, tip.id)?.files(&event)?,
            None => Files::new(),
        };
        let unfit = |error: Box<dyn std::error::Error + Send + Sync>| bug("the record").because(error);
        let edits = fold::fold(&event, &files).map_err(|error| unfit(error.into()))?;
        let bytes = tree::file(&event).map_err(|error| unfit(error.into()))?;
        let message = message::render(&event, Digest::of(&bytes)).map_err(|error| {
            PortError::new(Code::Usage, error.to_string(), "write it on one line, without control characters")
        })?;
        let tree = self.ledger.write_tree(tip.map(|tip| tip.tree), &edits)?;
        let commit = NewCommit {
            tree,
            parents: tip.map(|tip| tip.id).into_iter().chain(displaced).collect(),
            author: (event.actor.name.clone(), event.actor.email.clone()),
            time: event.time,
            message,
            sign: self.sign,
        };
        let id = self.ledger.write_commit(&commit)?;
        // A record that readers would reject is never published.
        match chain::check(self.source, self.ledger, tip, id)? {
            Ok(_) => Ok((id, event)),
            Err(fault) => Err(PortError::new(
                Code::StateInvalid,
                format!("this record would not be valid and is not written: {fault}"),
                "platformctl log shows the record as it is now",
            )),
        }
    }

    pub(crate) fn in_time(&self, begun: u64, why: &str) -> Answer<()> {
        if self.clock.ticks_ms().saturating_sub(begun) < APPEND_MS {
            return Ok(());
        }
        Err(contention(why))
    }

    /// A short pause, of random length so that two writers do not collide again.
    pub(crate) fn pause(&self) {
        let jitter = u64::from(self.clock.chance()[0]) / 2;
        self.clock.sleep_ms(20 + jitter);
    }
}
