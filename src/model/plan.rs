//! A plan: a value that lists what would change and why. Carrying it out makes no choices.

use serde::{Deserialize, Serialize};

use super::{
    cause::Cause,
    digest::Digest,
    ids::{HostName, ModuleId, Oid},
    refusal::Refusal,
    time::Timestamp,
};

/// The schema of a plan file.
pub const SCHEMA: &str = "platformctl.plan/1";

/// What happens to one service (or, with driver `files`, to one file).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It does not exist yet.
    Create,
    /// It exists, was created by others, and is adopted: recreated once.
    Adopt,
    /// It is replaced.
    Recreate,
    /// It exists and is started.
    Start,
    /// It goes away.
    Remove,
    /// Nothing.
    None,
}

/// How long it is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Downtime {
    /// Not at all.
    None,
    /// As long as a restart takes.
    Restart,
    /// The old one ends before the new one begins.
    StopFirst,
}

/// What may happen to data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Data {
    /// Nothing.
    None,
    /// It may be dropped or replaced.
    AtRisk,
}

/// One change, with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Change {
    /// The service; with driver `files` the path below the live folder.
    pub service: String,
    /// What happens to it.
    pub action: Action,
    /// Why: `image`, `config:<path>`, `env:<name>`, a key of the service, `config`, `replicas:<n>`, `state:<word>`,
    /// `again`; with driver files `content`, `mode`; and `new`, `gone`.
    pub reasons: Vec<Cause>,
    /// How long it is away.
    pub downtime: Downtime,
    /// What may happen to its data.
    pub data: Data,
}

/// The part of a plan that is promised: it has no time, no run id and no tip of the record, so that another module's
/// apply does not make it stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Intention {
    /// The module.
    pub module: ModuleId,
    /// Its host.
    pub host: HostName,
    /// The pull request, if it is from one that is merged.
    pub pr: Option<u64>,
    /// Its head.
    pub head: Option<Oid>,
    /// Its merge result.
    pub merge: Option<Oid>,
    /// The blob of platform.yaml at P.
    pub policy: Oid,
    /// The digest that names the release.
    pub closure: Digest,
    /// The digest of what concerns the module.
    pub effective: Digest,
    /// The digest of the generated override (driver compose).
    #[serde(rename = "override")]
    pub override_: Option<Digest>,
    /// The digest of the value-free rendered model (driver compose).
    pub model: Option<Digest>,
    /// The merge result applied last.
    pub last_applied: Option<Oid>,
    /// What changes, in order.
    pub changes: Vec<Change>,
    /// Doors that allow entries open.
    pub exceptions: Vec<String>,
}

/// How planning ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PlanStatus {
    /// It may be applied.
    Ok,
    /// A stage refused; it can never be applied.
    Refused,
    /// Something failed; it can never be applied.
    Error,
}

/// A plan as it is written to a file. What is read back is a claim, never a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlanFile {
    /// The schema of this object.
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: String,
    /// The tool and its version.
    pub tool: String,
    /// How planning ended.
    pub status: PlanStatus,
    /// What is promised; absent where planning did not get that far.
    pub intent: Option<Intention>,
    /// The digest of `intent`.
    pub digest: Option<Digest>,
    /// Why it may not be applied.
    pub refusals: Vec<Refusal>,
    /// What was seen on the host, as names and digests.
    pub observed: serde_json::Value,
    /// When it was made.
    pub created: Timestamp,
    /// When it should no longer be used.
    pub expires: Timestamp,
}
