//! An event: one commit of the record, as data. `event.json` is its canonical JSON.

use serde::{Deserialize, Serialize};

use crate::model::{
    alarm::Telling,
    approval::Approval,
    digest::Digest,
    ending::Ending,
    evidence::Evidence,
    gate::Binding,
    ids::{Deployment, HostName, ModuleId, Oid, RunId},
    json::{self, CanonicalError},
    lock::LockKey,
    plan::Change,
    status::Finding,
    time::Timestamp,
    via::Via,
};

pub use super::kind::Kind;

/// The schema of `event.json`.
pub const SCHEMA: &str = "platform-event/1";

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// A person's or a robot's name.
    pub name: String,
    /// Their e-mail.
    pub email: String,
    /// The fingerprint of the key that signed, if known when the event is made.
    pub key: Option<String>,
    /// The runner that wrote it, if one did. Nothing proves it.
    pub via: Option<Via>,
}

/// One event. Fields that a kind does not use are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// [`SCHEMA`].
    pub schema: String,
    /// Its place in the chain; genesis is 0.
    pub seq: u64,
    /// What kind of thing happened.
    pub kind: Kind,
    /// When.
    pub time: Timestamp,
    /// The first record; absent on genesis itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis: Option<Oid>,
    /// The run it belongs to. With `kind` the idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Outcomes: the intent it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Oid>,
    /// The module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<ModuleId>,
    /// Its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Kind `move`: the deployment that continues as this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Deployment>,
    /// Outcomes: how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Ending>,
    /// What approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approval>,
    /// The release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closure: Option<Digest>,
    /// What concerns the module in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Digest>,
    /// The digest of the plan's intent part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Digest>,
    /// Rollbacks: the record by which the release that is activated again was applied here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns_to: Option<Oid>,
    /// Whether a person asked to try a release again that failed here. Its success makes the record forget the failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry: bool,
    /// The blob of platform.yaml in force; on kind `policy` the new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Oid>,
    /// Kind `policy`: the blob of allowed_signers, if the repository has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signers: Option<Oid>,
    /// Kind `policy`: P, the commit of the base branch it was read at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_commit: Option<Oid>,
    /// What changes, if that is at most [`CHANGES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// What changes, if it is more than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Many>,
    /// Intents: what is locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
    /// How the checkout was bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<Binding>,
    /// Gates that were passed by waiver, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waived: Vec<String>,
    /// Kind `break-glass`, and an intent under it: until when an intent may be recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Intents: the record of kind `break-glass` by which gates were passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glass: Option<Oid>,
    /// Why a person did this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Kind `recover`: the ids it voids, parents first; at most [`VOIDS_MAX`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voids: Vec<Oid>,
    /// Kind `recover`: all ids it voids, also those that `voids` has no room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided: Option<Voided>,
    /// Kind `prune`: what was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<Pruned>,
    /// Kind `observe`: every difference that was found, sorted; empty if the host is as recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<Finding>>,
    /// Kind `observe`: what people are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Telling>,
    /// Who.
    pub actor: Actor,
    /// What was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

impl Event {
    /// A draft of an event; the append completes it.
    pub fn draft(kind: Kind, time: Timestamp, actor: Actor) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            seq: 0,
            kind,
            time,
            genesis: None,
            run: None,
            intent: None,
            module: None,
            host: None,
            from: None,
            result: None,
            approved: None,
            closure: None,
            effective: None,
            plan: None,
            returns_to: None,
            retry: false,
            policy: None,
            signers: None,
            policy_commit: None,
            changes: Vec::new(),
            changed: None,
            lock: None,
            checkout: None,
            waived: Vec::new(),
            until: None,
            glass: None,
            reason: None,
            voids: Vec::new(),
            voided: None,
            pruned: None,
            findings: None,
            alarm: None,
            actor,
            evidence: None,
        }
    }

    /// The deployment that it is about, if it is about one.
    pub fn deployment(&self) -> Option<Deployment> {
        Some(Deployment::new(self.module.as_ref()?, self.host.as_ref()?))
    }

    /// Makes a draft of an outcome the answer to an intent: of the same run, about the same thing.
    #[must_use]
    pub fn answering(mut self, intent: Oid, opened: &Self, result: Ending, evidence: Evidence) -> Self {
        self.result = Some(result);
        self.evidence = Some(evidence);
        self.intent = Some(intent);
        self.run.clone_from(&opened.run);
        self.module.clone_from(&opened.module);
        self.host.clone_from(&opened.host);
        self.approved.clone_from(&opened.approved);
        self.closure = opened.closure;
        self.effective = opened.effective;
        self.plan = opened.plan;
        self.returns_to = opened.returns_to;
        self.retry = opened.retry;
        self.policy = opened.policy;
        self.changes.clone_from(&opened.changes);
        self.changed.clone_from(&opened.changed);
        self.checkout = opened.checkout;
        self
    }
}

/// Most changes that an event lists. A record is at most 256 KiB, however many files a pull request has.
pub const CHANGES_MAX: usize = 200;

/// Changes that are too many to be listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Many {
    /// How many.
    pub count: u64,
    /// Of the list in canonical form, as the plan has it.
    pub digest: Digest,
}

impl Event {
    /// Says what changes: all of it, or how much.
    ///
    /// # Errors
    /// The changes have no canonical form, which their types rule out.
    pub fn tell_changes(&mut self, changes: &[Change]) -> Result<(), CanonicalError> {
        if changes.len() <= CHANGES_MAX {
            self.changes = changes.to_vec();
        } else {
            self.changed = Some(Many { count: changes.len() as u64, digest: json::digest(&changes)? });
        }
        Ok(())
    }

    /// How many things change.
    pub fn change_count(&self) -> u64 {
        self.changed.as_ref().map_or(self.changes.len() as u64, |changed| changed.count)
    }
}

/// Most ids that a recover record lists.
pub const VOIDS_MAX: usize = 100;

/// Everything that a recover record voids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voided {
    /// How many commits.
    pub count: u64,
    /// The digest of their ids, one a line, parents first.
    pub ids: Digest,
}

/// Most differences that an observation lists.
pub const FINDINGS_MAX: usize = 200;

/// What was deleted from a host. The record no longer named any of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Folders of releases.
    pub releases: u64,
    /// Delivered files that no release uses.
    pub files: u64,
    /// Folders of runs that ended.
    pub runs: u64,
    /// Images.
    pub images: u64,
    /// The room that it made, in bytes.
    pub bytes: u64,
    /// The digest of the list of all names, one a line, sorted.
    pub names: Digest,
}

/// What an intent locks until its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The compose project, or null.
    pub project: Option<String>,
    /// `<host>/<project>` or `<host>/<module>`.
    pub scope: LockKey,
    /// From when on others may ask the host what became of the run.
    pub expires: Timestamp,
    /// By which the host's result is recognised.
    pub nonce: String,
}
