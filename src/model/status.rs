//! The status files of the record: of a module on each of its hosts, of a host, and of an open run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    digest::Digest,
    evidence::{ContainerEvidence, Evidence},
    ids::{Deployment, HostName, ModuleId, Oid, RunId},
    time::Timestamp,
};
use crate::model::lock::LockKey;

/// The schema of `modules/<id>.status.json`.
pub const SCHEMA: &str = "platform-module-status/1";
/// The schema of `hosts/<host>.json`.
pub const HOST_SCHEMA: &str = "platform-host-status/1";

/// Most failed releases that are kept for a deployment; the oldest is dropped first.
pub const FAILED_MAX: usize = 8;

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

impl ServiceStatus {
    /// Every service that was seen, by name.
    pub fn all_of(evidence: &Evidence) -> BTreeMap<String, Self> {
        let seen = evidence.containers.iter().map(|container| {
            let ContainerEvidence { service, image, state, health, .. } = container.clone();
            (service, Self { image, state, health })
        });
        seen.collect()
    }
}

/// The newest event that concerned a deployment or a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastEvent {
    /// Its kind.
    pub kind: String,
    /// Its result, on outcomes.
    pub result: Option<String>,
    /// Its place in the chain.
    pub seq: u64,
}

/// The release that runs: the last one that was applied, adopted or rolled back to, and ended well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// M, the merge result that it comes from.
    pub merge: Oid,
    /// Its pull request.
    pub pr: u64,
    /// When it began to run.
    pub at: Timestamp,
    /// The event that recorded it.
    pub seq: u64,
    /// The digest that names the release.
    pub closure: Digest,
    /// The digest of what concerns the module in it.
    pub effective: Digest,
    /// The image id of each service, as verified; absent with driver files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
}

/// The newest merge result that was ever applied. It bounds replay: it never goes back, and outlives a removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest {
    /// The merge result.
    pub merge: Oid,
    /// Its pull request.
    pub pr: u64,
    /// The event that applied it.
    pub seq: u64,
}

/// A release that failed or was rolled back. It is not applied again until a person asks for that with `--retry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Its effective digest.
    pub effective: Digest,
    /// The pull request that it came from.
    pub pr: u64,
    /// When it failed last.
    pub at: Timestamp,
    /// The event that recorded it.
    pub seq: u64,
    /// Whether the release before it was activated again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rolled_back: bool,
}

/// A release that was brought with break-glass. It stays here until a run without it, or a no-op, ends well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenGlass {
    /// The run.
    pub run: RunId,
    /// When it began.
    pub at: Timestamp,
    /// The event of its intent.
    pub seq: u64,
    /// Until when a merged pull request should contain what was applied.
    pub until: Timestamp,
    /// The pull request that was applied.
    pub pr: u64,
    /// Its merge result.
    pub merge: Oid,
    /// The merge result that ran before, which passed every gate; null: none. Review begins there again.
    pub before: Option<Oid>,
    /// What was waived.
    pub waived: Vec<String>,
    /// Why.
    pub reason: String,
}

/// Most entries of `glass`; the oldest but the first is dropped.
pub const GLASS_MAX: usize = 8;

/// One difference between the record and a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// The service, or with driver files the path below the live folder.
    pub subject: String,
    /// What is wrong with it.
    pub difference: Difference,
    /// The image id or the digest that the host shows instead, where that is the difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Digest>,
}

/// How what runs differs from the record. A host's own words are never recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// It no longer exists.
    Missing,
    /// It is there and does not run.
    Stopped,
    /// It runs and its healthcheck fails.
    Unhealthy,
    /// It runs another image.
    Image,
    /// It runs with another configuration.
    Config,
    /// A file has other content or another mode.
    Content,
    /// The number of containers is another.
    Replicas,
    /// It is there and no release has it.
    Foreign,
}

/// What a look at the host found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// When.
    pub at: Timestamp,
    /// The event that recorded it.
    pub seq: u64,
    /// Every difference; none: the host is as recorded.
    pub findings: Vec<Finding>,
    /// Since when every look found a difference; absent if this is the first that did, or found none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// A tombstone: the deployment was removed by a merged pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// When.
    pub at: Timestamp,
    /// The event that recorded it.
    pub seq: u64,
    /// The pull request that removed it.
    pub pr: u64,
    /// Its merge result. An older one cannot bring the module back.
    pub merge: Oid,
}

/// The status of a module on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// What runs; null: nothing, never applied or removed.
    pub running: Option<Running>,
    /// The bound against replay; null until an apply ended well.
    pub newest: Option<Newest>,
    /// Its services as last seen.
    pub services: BTreeMap<String, ServiceStatus>,
    /// The newest event of the deployment.
    pub last: LastEvent,
    /// Its newest run: the next one has a greater id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_run: Option<RunId>,
    /// Releases that failed here, the oldest first, at most [`FAILED_MAX`].
    pub failed: Vec<Failed>,
    /// What was brought with break-glass and is not confirmed yet, the oldest first, at most [`GLASS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub glass: Vec<BrokenGlass>,
    /// What the last look at the host found.
    pub observed: Option<Observation>,
    /// That it was removed.
    pub removed: Option<Removed>,
    /// Where it went, after a move.
    pub moved_to: Option<Deployment>,
}

impl HostStatus {
    /// A release that failed once more is the newest failure; beyond the bound the oldest is forgotten.
    pub fn add_failed(&mut self, failed: Failed) {
        self.failed.retain(|known| known.effective != failed.effective);
        self.failed.push(failed);
        let surplus = self.failed.len().saturating_sub(FAILED_MAX);
        self.failed.drain(..surplus);
    }

    /// A deployment of which nothing is known but one event.
    pub fn new(last: LastEvent) -> Self {
        Self {
            running: None,
            newest: None,
            services: BTreeMap::new(),
            last,
            newest_run: None,
            failed: Vec::new(),
            glass: Vec::new(),
            observed: None,
            removed: None,
            moved_to: None,
        }
    }

    /// The failure of a release with this effective digest, if it failed here and was not retried successfully.
    pub fn failure_of(&self, effective: Digest) -> Option<&Failed> {
        self.failed.iter().find(|failed| failed.effective == effective)
    }

    /// The newest failure, where nothing ended well since: what runs on the host may be the release that failed.
    pub fn unsettled(&self) -> Option<&Failed> {
        let good = [self.running.as_ref().map(|running| running.seq), self.removed.as_ref().map(|removed| removed.seq)];
        let newest = self.failed.iter().max_by_key(|failed| failed.seq);
        newest.filter(|failed| good.into_iter().flatten().all(|good| failed.seq > good))
    }
}

/// `modules/<id>.status.json`: what is applied where, and what happened last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleStatus {
    /// [`SCHEMA`].
    pub schema: String,
    /// The module.
    pub module: ModuleId,
    /// The merge result of the newest good apply on any host; null until one ended well.
    pub last_apply_sha: Option<Oid>,
    /// Its pull request.
    pub last_apply_pr: Option<u64>,
    /// When it was applied.
    pub last_apply_at: Option<Timestamp>,
    /// Where.
    pub last_apply_host: Option<HostName>,
    /// The event that recorded it.
    pub last_apply_seq: Option<u64>,
    /// Its deployments, by host.
    pub hosts: BTreeMap<HostName, HostStatus>,
}

impl ModuleStatus {
    /// A module of which nothing is known.
    pub fn new(module: &ModuleId) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            module: module.clone(),
            last_apply_sha: None,
            last_apply_pr: None,
            last_apply_at: None,
            last_apply_host: None,
            last_apply_seq: None,
            hosts: BTreeMap::new(),
        }
    }

    /// The hosts where a release runs according to the record.
    pub fn runs_on(&self) -> impl Iterator<Item = (&HostName, &Running)> {
        self.hosts.iter().filter_map(|(host, status)| Some((host, status.running.as_ref()?)))
    }

    /// The newest event of any of its deployments.
    pub fn last(&self) -> Option<&LastEvent> {
        self.hosts.values().map(|status| &status.last).max_by_key(|last| last.seq)
    }
}

/// `hosts/<host>.json`: what is recorded of a host itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    /// [`HOST_SCHEMA`].
    pub schema: String,
    /// The host.
    pub host: HostName,
    /// The newest event of the host itself.
    pub last: LastEvent,
    /// When it was pruned last.
    pub pruned: Option<Mark>,
    /// When it was heard of last.
    pub heartbeat: Option<Mark>,
}

/// When something happened, and the event that recorded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// The event.
    pub seq: u64,
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
    pub scope: LockKey,
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

impl OpenRun {
    /// The deployment that it is about.
    pub fn deployment(&self) -> Deployment {
        Deployment::new(&self.module, &self.host)
    }
}
