//! Evidence: what was seen of what runs after a change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One container as it was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerEvidence {
    /// Its service.
    pub service: String,
    /// The image id it runs.
    pub image: String,
    /// How long it was watched healthy.
    pub healthy_s: u64,
    /// Restarts while it was watched.
    pub restarts: u64,
    /// `running`; `exited` for a job.
    #[serde(default = "running")]
    pub state: String,
    /// `healthy`, or null without a healthcheck.
    #[serde(default)]
    pub health: Option<String>,
}

/// What was seen after the change. Allow-listed fields only: raw output of a host is never recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// How many files were verified on the host.
    #[serde(default)]
    pub files: u64,
    /// The containers.
    #[serde(default)]
    pub containers: Vec<ContainerEvidence>,
    /// Probes that passed.
    #[serde(default)]
    pub probes: u64,
    /// Secret files that it ran with: a hash of each, with a key that never leaves the host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// The stable code of what failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// What failed, in our own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

fn running() -> String {
    "running".to_owned()
}
