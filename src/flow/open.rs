//! Open: the intent is written and pushed before anything is touched. From here on every way ends in an outcome.

use crate::{
    flow::{
        approve::policy::{InForce, Why},
        gate::Permit,
        plan::Plan,
    },
    ledger::{
        event::{Event, Kind, Lock},
        state::State,
        tree,
    },
    model::{
        ids::{Oid, RunId},
        module::Manifest,
        status::OpenRun,
        text::hex,
    },
    port::{Answer, Guard},
    record::{
        Record,
        append::{Append, Preconditions},
        bug,
    },
    runtime::{compose, machine::Witness},
};

/// How long an intent locks before others may ask the host what became of it, in seconds.
const EXPIRES_S: i64 = 3_600;

/// An intent that the remote has. Whoever holds one owes the record an outcome.
#[derive(Debug)]
#[must_use]
pub struct Intent {
    pub(crate) permit: Permit,
    pub(crate) run: RunId,
    pub(crate) nonce: String,
    pub(crate) commit: Oid,
    pub(crate) seq: u64,
    pub(crate) witness: String,
    pub(crate) genesis: Oid,
    /// What was recorded: the outcome is made of it without asking anybody again.
    pub(crate) event: Event,
    /// Tells other processes of this clone that somebody is still at it.
    _alive: Box<dyn Guard>,
}

impl Intent {
    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The record of the intent.
    pub fn commit(&self) -> Oid {
        self.commit
    }

    /// Its place in the chain, which is also its fencing number.
    pub fn seq(&self) -> u64 {
        self.seq
    }
}

/// How opening ended.
#[derive(Debug)]
pub enum Opened {
    /// The intent is recorded.
    Intent(Box<Intent>),
    /// What the plan rests on changed meanwhile: back to bind.
    Moved(String),
}

/// The name of the lock of a module's runs on its host: all modules of a compose project share one.
pub fn lock(manifest: &Manifest) -> String {
    match &manifest.runtime.project {
        Some(project) => compose::lock(project),
        None => manifest.id.to_string(),
    }
}

/// What a module's run locks.
pub fn scope(manifest: &Manifest) -> String {
    format!("{}/{}", manifest.host, lock(manifest))
}

/// The name of the lock on the host that an open run holds.
pub fn lock_of(open: &OpenRun) -> String {
    open.scope.strip_prefix(&format!("{}/", open.host)).unwrap_or(&open.scope).to_owned()
}

/// The open run that locks a scope.
///
/// # Errors
/// The record cannot be read.
pub fn holder(state: &State<'_>, scope: &str) -> Answer<Option<OpenRun>> {
    Ok(state.open_runs()?.into_iter().find(|open| open.scope == scope))
}

impl Record<'_> {
    /// Sees to it that there is a record, and that it has the policy in force.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn ready(&self, in_force: &InForce) -> Answer<()> {
        let policy = in_force.at();
        if self.ledger.tip()?.is_none() {
            let begun = self.append(&self.draft(Kind::Genesis)?, None);
            // Somebody else may have begun it at the same moment: theirs is as good.
            if self.ledger.tip()?.is_none() {
                begun?;
            }
        }
        let Some(tip) = self.ledger.tip()? else { return Ok(()) };
        let state = State::at(self.source, tip)?;
        if state.blob_id(tree::POLICY)? == Some(policy.blob) && state.blob_id(tree::SIGNERS)? == policy.signers {
            return Ok(());
        }
        let mut event = self.draft(Kind::Policy)?;
        event.policy = Some(policy.blob);
        event.signers = policy.signers;
        event.policy_commit = Some(in_force.commit());
        match in_force.why() {
            Why::Proven { approval, adopted } => {
                event.approved = approval.as_deref().cloned();
                if approval.is_none() {
                    let ids: Vec<String> = adopted.iter().map(ToString::to_string).collect();
                    event.reason = Some(format!("adopted by the policy before it: {}", ids.join(" ")));
                }
            }
            Why::Baseline | Why::Recorded => {
                event.reason = Some("the baseline: nobody's review of this policy is proven".to_owned());
            }
        }
        self.append(&event, None)?;
        Ok(())
    }

    /// An event about a plan, of a run of its own.
    ///
    /// # Errors
    /// git does not know who you are.
    pub(crate) fn about(&self, kind: Kind, plan: &Plan) -> Answer<(Event, RunId)> {
        let intention = plan.intention();
        let mut event = self.draft(kind)?;
        let chance = self.clock.chance();
        let newest = plan.bound().last().and_then(|last| last.newest_run.as_ref());
        let run = RunId::newer(event.time, [chance[0], chance[1], chance[2], chance[3]], newest);
        event.run = Some(run.clone());
        event.module = Some(intention.module.clone());
        event.host = Some(intention.host.clone());
        event.approved = Some(plan.bound().approval().clone());
        event.closure = Some(intention.closure);
        event.effective = Some(intention.effective);
        event.plan = Some(plan.digest());
        event.policy = Some(intention.policy);
        event.checkout = Some(plan.bound().checkout().to_owned());
        event.waived = plan.bound().waived().to_vec();
        Ok((event, run))
    }

    /// What an intent or a no-op for a module rests on, as the record stands now.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn preconditions(&self, manifest: &Manifest, status: Option<Oid>) -> Answer<Preconditions> {
        let policy = match self.ledger.tip()? {
            Some(tip) => State::at(self.source, tip)?.blob_id(tree::POLICY)?,
            None => None,
        };
        Ok(Preconditions { module: manifest.id.clone(), status, scope: scope(manifest), policy })
    }
}

/// Records the intent to carry out a permitted plan. `status` is the blob of the module's status that the plan rests on.
///
/// # Errors
/// The record cannot be written; nothing was touched.
pub fn open(record: &Record<'_>, permit: Permit, status: Option<Oid>) -> Answer<Opened> {
    let plan = permit.plan();
    let intention = plan.intention();
    let (mut event, run) = record.about(Kind::ApplyIntent, plan)?;
    let nonce = hex(&record.clock.chance());
    event.tell_changes(&intention.changes).map_err(|error| bug("the list of changes").because(error))?;
    event.waived.extend(permit.checks.iter().filter(|check| check.result == "waived").map(|check| check.id.to_owned()));
    event.lock = Some(Lock {
        project: plan.bound().manifest().runtime.project.as_ref().map(ToString::to_string),
        scope: scope(plan.bound().manifest()),
        expires: event.time.plus_s(EXPIRES_S),
        nonce: nonce.clone(),
    });
    let preconditions = record.preconditions(plan.bound().manifest(), status)?;
    let alive = record.begin(&event)?;
    match record.append(&event, Some(&preconditions)) {
        Ok(Append::Done(done)) => {
            let witness = Witness { genesis: done.genesis, seq: done.seq, commit: done.commit };
            let witness = serde_json::to_string(&witness).unwrap_or_default();
            let (commit, seq, genesis) = (done.commit, done.seq, done.genesis);
            Ok(Opened::Intent(Box::new(Intent {
                permit,
                run,
                nonce,
                commit,
                seq,
                witness,
                genesis,
                event,
                _alive: alive,
            })))
        }
        Ok(Append::Moved(why)) => {
            record.sure(&run)?;
            Ok(Opened::Moved(why))
        }
        Err(error) => Err(record.unsure(&run, error)),
    }
}
