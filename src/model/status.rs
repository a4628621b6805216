//! What the record says of a module now, and of a run that is open.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    digest::Digest,
    ids::{HostName, ModuleId, Oid, RunId},
    time::Timestamp,
};

/// The schema of `modules/<id>.status.json`.
pub const SCHEMA: &str = "platform-module-status/1";

/// One service as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// The image id it runs.
    pub image: String,
    /// `running`, `exited` …
    pub state: String,
    /// `healthy`, or null without a healthcheck.
    pub health: Option<String>,
}

/// The newest event that concerned a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastEvent {
    /// Its kind.
    pub kind: String,
    /// Its result, on outcomes.
    pub result: Option<String>,
    /// Its place in the chain.
    pub seq: u64,
}

/// A release that failed and is not tried again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The effective digest that failed.
    pub effective: Digest,
    /// The pull request it came from.
    pub pr: u64,
    /// When it failed.
    pub at: Timestamp,
    /// The event that says so.
    pub seq: u64,
}

/// `modules/<id>.status.json`: what is applied, and what happened last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleStatus {
    /// [`SCHEMA`].
    pub schema: String,
    /// The module.
    pub module: ModuleId,
    /// The host the last event was about.
    pub host: HostName,
    /// L, the merge result applied last; null until an apply ended well.
    pub last_apply_sha: Option<Oid>,
    /// Its pull request.
    pub last_apply_pr: Option<u64>,
    /// When it was applied.
    pub last_apply_at: Option<Timestamp>,
    /// Where.
    pub last_apply_host: Option<HostName>,
    /// The event that recorded it.
    pub last_apply_seq: Option<u64>,
    /// The digest of the release that is live.
    pub closure: Option<Digest>,
    /// The digest of what concerns the module in it.
    pub effective: Option<Digest>,
    /// Its services as last seen.
    pub services: BTreeMap<String, ServiceStatus>,
    /// The newest event of the module.
    pub last: LastEvent,
    /// Its newest run: the next one has a greater id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_run: Option<RunId>,
    /// The failed release, until its content changes or it is tried again on request.
    pub held: Option<Held>,
}

/// `runs/open/<run>.json`: an open run is a lock on its scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRun {
    /// The run.
    pub run: RunId,
    /// The kind of its intent.
    pub kind: String,
    /// Its module.
    pub module: ModuleId,
    /// The compose project, or null.
    pub project: Option<String>,
    /// Its host.
    pub host: HostName,
    /// What it locks: the compose project or the module, on its host.
    pub scope: String,
    /// Who opened it.
    pub owner: String,
    /// When.
    pub opened: Timestamp,
    /// From when on others may ask the host what became of it.
    pub expires: Timestamp,
    /// Its fencing number: the seq of its intent.
    pub fence: u64,
    /// The nonce by which the host's result is recognised.
    pub nonce: String,
}
