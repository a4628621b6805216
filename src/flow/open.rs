//! Open: the intent is written and pushed before anything is touched. From here on every way ends in an outcome.

use std::collections::BTreeSet;

use crate::{
    flow::{
        approve::policy::{InForce, Why},
        bind::bound::Present,
        gate::Permit,
        plan::Plan,
    },
    ledger::{
        event::{Event, Kind, Lock},
        state::State,
        tree,
    },
    model::{
        gate::CheckResult,
        glass,
        ids::{HostName, Oid, RunId},
        lock::LockKey,
        module::Manifest,
        status::{HostStatus, OpenRun},
        text::hex,
        time::Timestamp,
    },
    port::{Answer, Guard},
    record::{
        Appended, Record,
        append::{Append, Preconditions},
        bug,
    },
    runtime::{self, machine::Witness},
};

/// How long an intent locks before others may ask the host what became of it, in seconds.
const EXPIRES_S: i64 = 3_600;

/// An intent that the remote has. It must be followed by an outcome in the record.
#[derive(Debug)]
#[must_use]
pub struct Intent {
    permit: Permit,
    run: RunId,
    nonce: String,
    commit: Oid,
    seq: u64,
    witness: String,
    genesis: Oid,
    event: Event,
    /// Tells other processes of this clone that this one is still at work.
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

    /// What is carried out.
    pub fn plan(&self) -> &Plan {
        self.permit.plan()
    }

    /// By which the host's result is recognised.
    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// What the host keeps as a witness of the record, as JSON.
    pub(super) fn witness(&self) -> &str {
        &self.witness
    }

    /// The first record.
    pub(super) fn genesis(&self) -> Oid {
        self.genesis
    }

    /// What was recorded: the outcome is made of it without asking anybody again.
    pub(super) fn event(&self) -> &Event {
        &self.event
    }

    /// What is left of it once its outcome is kept.
    pub(super) fn ended(self) -> (Permit, RunId, Oid) {
        (self.permit, self.run, self.commit)
    }
}

/// A permit whose waived gates are recorded, if it has any.
#[derive(Debug)]
#[must_use]
pub struct Declared {
    permit: Permit,
    glass: Option<Declaration>,
}

/// The record of kind `break-glass`, as the intent names it.
#[derive(Debug, Clone)]
pub struct Declaration {
    run: RunId,
    commit: Oid,
    seq: u64,
    until: Timestamp,
    /// The deployment's entry with it.
    status: Option<HostStatus>,
}

impl Declared {
    /// The place of the record of kind `break-glass`, where gates were passed.
    pub fn seq(&self) -> Option<u64> {
        self.glass.as_ref().map(|glass| glass.seq)
    }

    /// What may be carried out.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }
}

/// How declaring ended.
#[derive(Debug)]
pub enum Declaring {
    /// Whatever was waived is recorded.
    Done(Box<Declared>),
    /// What the plan depends on has changed: back to bind.
    Moved(String),
}

/// Records why gates are passed and which, before anything else happens. Where none is passed, nothing is recorded.
///
/// # Errors
/// The record cannot be written; nothing was touched.
pub fn declare(record: &Record<'_>, permit: Permit) -> Answer<Declaring> {
    if permit.glass().is_empty() {
        return Ok(Declaring::Done(Box::new(Declared { permit, glass: None })));
    }
    let bound = permit.plan().bound();
    let (mut event, run) = record.about(Kind::BreakGlass, permit.plan())?;
    let newest = match record.ledger.tip()? {
        Some(tip) => State::at(record.source, tip)?.event()?.time,
        None => event.time,
    };
    let until = event.time.max(newest).plus_s(permit.good_for_s());
    event.waived = glass::names(permit.glass());
    event.until = Some(until);
    event.reason = permit.reason().map(ToString::to_string);
    match record.append(&event, Some(&record.preconditions(bound)?))? {
        Append::Done(Appended { commit, seq, .. }) => {
            let status = State::at(record.source, commit)?.deployment(bound.deployment())?;
            let glass = Some(Declaration { run, commit, seq, until, status });
            Ok(Declaring::Done(Box::new(Declared { permit, glass })))
        }
        Append::Moved(why) => Ok(Declaring::Moved(why)),
    }
}

/// What an intent records as waived: by options of their own, and by break-glass.
fn waived(permit: &Permit) -> Vec<String> {
    let plain = permit.checks().iter().filter(|check| check.result == CheckResult::Waived).map(|check| check.id);
    let plain = plain.filter(|id| glass::PLAIN.contains(id)).map(str::to_owned);
    let all: BTreeSet<String> =
        permit.plan().bound().waived().iter().cloned().chain(plain).chain(glass::names(permit.glass())).collect();
    all.into_iter().collect()
}

/// How opening ended.
#[derive(Debug)]
pub enum Opened {
    /// The intent is recorded.
    Intent(Box<Intent>),
    /// What the plan depends on has changed: back to bind.
    Moved(String),
}

/// The name of the lock of a module's runs on its host: all modules of a compose project share one.
pub fn lock(manifest: &Manifest) -> String {
    runtime::driver(manifest.runtime.driver).lock(manifest)
}

/// What a module's run on one of its hosts locks.
pub fn lock_key(host: &HostName, manifest: &Manifest) -> LockKey {
    LockKey::new(host, &lock(manifest))
}

/// The name of the host's lock that an open run has.
pub fn lock_of(open: &OpenRun) -> String {
    open.scope.on(&open.host).unwrap_or(open.scope.as_str()).to_owned()
}

/// The open run that locks a scope.
///
/// # Errors
/// The record cannot be read.
pub fn holder(state: &State<'_>, key: &LockKey) -> Answer<Option<OpenRun>> {
    Ok(state.open_runs()?.into_iter().find(|open| open.scope == *key))
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
                event.reason = Some("the baseline: no review of this policy is proven".to_owned());
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
        event.checkout = Some(plan.bound().checkout());
        event.waived = plan.bound().waived().to_vec();
        Ok((event, run))
    }

    /// What an intent or a no-op depends on: the deployment's entry in the record when the plan was made, and the
    /// policy in force.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn preconditions(&self, bound: &Present) -> Answer<Preconditions> {
        let policy = match self.ledger.tip()? {
            Some(tip) => State::at(self.source, tip)?.blob_id(tree::POLICY)?,
            None => None,
        };
        let deployment = bound.deployment().clone();
        let scope = lock_key(&deployment.host, bound.manifest());
        Ok(Preconditions { deployment, status: bound.last().cloned(), scope, policy })
    }
}

/// Records the intent to carry out a permitted plan.
///
/// # Errors
/// The record cannot be written; nothing was touched.
pub fn open(record: &Record<'_>, declared: Declared) -> Answer<Opened> {
    let Declared { permit, glass } = declared;
    let plan = permit.plan();
    let intention = plan.intention();
    let (mut event, mut run) = record.about(Kind::ApplyIntent, plan)?;
    event.waived = waived(&permit);
    event.reason = permit.reason().map(ToString::to_string);
    let mut preconditions = record.preconditions(plan.bound())?;
    if let Some(glass) = glass {
        run = glass.run;
        (event.run, event.glass, event.until) = (Some(run.clone()), Some(glass.commit), Some(glass.until));
        preconditions.status = glass.status;
    }
    let nonce = hex(&record.clock.chance());
    event.tell_changes(&intention.changes).map_err(|error| bug("the list of changes").because(error))?;
    event.retry = permit.checks().iter().any(|check| check.id == "held" && check.result == CheckResult::Waived);
    event.lock = Some(Lock {
        project: plan.bound().manifest().runtime.project.as_ref().map(ToString::to_string),
        scope: lock_key(&intention.host, plan.bound().manifest()),
        expires: event.time.plus_s(EXPIRES_S),
        nonce: nonce.clone(),
    });
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
