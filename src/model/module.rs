//! The manifest of a module: `modules/<id>/module.yaml`, schema `module/2`, read at M.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    ids::{HostName, ModuleId},
    names::{ComposeName, KeyName, ProjectName},
    path::RepoPath,
};

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend("oneOf" = [{"required": ["host"]}, {"required": ["hosts"]}])))]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `module/2`.
    pub schema: ManifestSchema,
    /// Equal to the folder's name.
    pub id: ModuleId,
    /// For people.
    pub title: String,
    /// Who answers for it.
    pub owner: String,
    /// Where it runs: a key of `hosts:` in platform.yaml. Exactly one of `host` and `hosts`.
    #[serde(default)]
    pub(super) host: Option<HostName>,
    /// Where it runs, if on several hosts, in this order: the first one is the canary.
    #[cfg_attr(test, schemars(length(min = 1), extend("uniqueItems" = true)))]
    #[serde(default)]
    pub(super) hosts: Option<Vec<HostName>>,
    /// Modules that are applied before it.
    #[serde(default)]
    pub after: Vec<ModuleId>,
    /// How it runs.
    pub runtime: Runtime,
    /// Tracked files that nothing else names.
    #[serde(default)]
    pub inputs: Vec<RepoPath>,
    /// Files on the host that it needs; never in git.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// What counts as healthy.
    #[serde(default)]
    pub health: Health,
    /// Services that end with exit 0.
    #[serde(default)]
    pub jobs: Vec<ComposeName>,
    /// Risks to data that a reviewed change takes.
    #[serde(default)]
    pub acknowledge: Vec<Acknowledge>,
    /// Who applies a merged change; the policy's ceiling comes first.
    #[serde(default)]
    pub apply: ApplyMode,
    /// What happens after a failure.
    #[serde(default)]
    pub on_failure: OnFailure,
}

impl Manifest {
    /// The hosts where it runs, in the order in which they are treated. At least one, none twice.
    pub fn hosts(&self) -> &[HostName] {
        self.hosts.as_deref().unwrap_or(self.host.as_slice())
    }

    /// Where in the file host number `at` is.
    pub fn host_place(&self, at: usize) -> Vec<String> {
        match &self.hosts {
            Some(_) => vec!["hosts".to_owned(), at.to_string()],
            None => vec!["host".to_owned()],
        }
    }
}

/// The schema of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ManifestSchema {
    /// The only one supported.
    #[serde(rename = "module/2")]
    V2,
}

/// Which driver carries the module out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// docker compose.
    Compose,
    /// A folder of files behind a symlink that is switched atomically.
    Files,
}

/// `runtime:`; which keys are allowed and required depends on `driver` and is checked after reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// `compose` or `files`.
    pub driver: Driver,
    /// compose, required: the project.
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// compose, required: paths from the repository's root.
    #[serde(default)]
    pub compose_files: Vec<RepoPath>,
    /// compose: the module's services; default all.
    #[serde(default)]
    pub services: Vec<ComposeName>,
    /// compose: profiles.
    #[serde(default)]
    pub profiles: Vec<ComposeName>,
    /// compose: tracked env files for interpolation.
    #[serde(default)]
    pub env_files: Vec<RepoPath>,
    /// compose: variables for interpolation.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
    /// files, required: the folder that is the release.
    #[serde(default)]
    pub tree: Option<RepoPath>,
    /// files: commands (argv) to run after the switch; each must be listed for the host in platform.yaml.
    #[serde(default)]
    pub activate: Vec<Vec<String>>,
}

/// A file under `<root>/secrets/` and the keys it must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Its path below `<root>/secrets/`.
    pub file: RepoPath,
    /// Names that it must define.
    #[serde(default)]
    pub keys: Vec<KeyName>,
}

/// `health:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// How long it must stay healthy; default 10, or 30 where a service has no healthcheck; 0 is allowed.
    pub settle_s: Option<u64>,
    /// How long it may take.
    pub deadline_s: u64,
    /// Questions that must be answered.
    pub probes: Vec<Probe>,
}

impl Default for Health {
    fn default() -> Self {
        Self { settle_s: None, deadline_s: 300, probes: Vec::new() }
    }
}

/// A probe, run on the host: exactly one of `tcp`, `http` and `exec`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// `address:port` that must accept a connection.
    #[serde(default)]
    pub tcp: Option<String>,
    /// A URL that must answer.
    #[serde(default)]
    pub http: Option<String>,
    /// With http: the status it must answer with; default 200.
    #[serde(default)]
    pub status: Option<u16>,
    /// A command that must end with 0.
    #[serde(default)]
    pub exec: Option<Vec<String>>,
    /// With exec: the service it runs in.
    #[serde(default)]
    pub service: Option<ComposeName>,
}

/// A risk to data that is taken on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// The volume or path.
    pub data: String,
    /// What happens to it.
    pub action: DataAction,
    /// Why.
    pub reason: String,
}

/// What may happen to data on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DataAction {
    /// It is dropped.
    Drop,
    /// It is replaced.
    Replace,
    /// A stateful image changes its major version.
    Upgrade,
    /// It stays behind on another host.
    Leave,
}

/// Who applies a merged change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ApplyMode {
    /// A person.
    #[default]
    Manual,
    /// Also a runner, with `apply --pending --auto`.
    OnMerge,
}

/// What happens after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Things are left as they are, for a person.
    #[default]
    Hold,
    /// The previous release is activated again; invalid until automatic rollback exists.
    Rollback,
}
