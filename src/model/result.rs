//! The one object that a command prints for scripts.

use serde::Serialize;
use serde_json::{Map, Value};

use super::refusal::{Code, Refusal};

/// The schema of the object.
pub const SCHEMA: &str = "platformctl.result/1";

/// What is in every result, and beside it what the verb adds: `docs/results.md` has a table, and the JSON Schema the shapes.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Outcome<'a> {
    /// The schema of this object.
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    /// The verb.
    pub command: &'static str,
    /// How it ended.
    #[cfg_attr(
        test,
        schemars(extend("enum" = ["aborted", "applied", "error", "held", "noop", "ok", "refused", "rolled-back", "unknown", "unrecorded"]))
    )]
    pub outcome: &'static str,
    /// The exit code, which says what became of the world.
    pub exit: u8,
    /// The stable name of the first refusal or of the error.
    pub code: Option<Code>,
    /// All reasons at once.
    pub refusals: &'a [Refusal],
    /// What did not stop it, and should be known.
    pub warnings: &'a [String],
    /// What the verb adds.
    #[cfg_attr(test, schemars(with = "Added"))]
    #[serde(flatten)]
    pub added: &'a Map<String, Value>,
}

/// Shapes of what verbs add, where several of them or scripts rely on it.
#[cfg(test)]
#[derive(Serialize, schemars::JsonSchema)]
struct Added {
    /// The module.
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<super::ids::ModuleId>,
    /// Its host.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<super::ids::HostName>,
    /// The run; null where nothing had to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<super::ids::RunId>,
    /// The commit that says what was intended.
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<super::ids::Oid>,
    /// The proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved: Option<super::approval::Approval>,
    /// How the files here were compared with what is applied.
    #[schemars(extend("enum" = ["bound", "waived", "none"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    checkout: Option<String>,
    /// What changes, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<super::plan::Change>>,
    /// What was asked before the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<Vec<Asked>>,
    /// When it last changed, on a no-op.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Since>,
    /// How long each phase took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    durations_ms: Option<std::collections::BTreeMap<String, u64>>,
    /// Several modules: a result of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<Vec<Map<String, Value>>>,
    /// What lies beneath an error, outermost first.
    #[serde(skip_serializing_if = "Option::is_none")]
    causes: Option<Vec<String>>,
}

/// A line of the gate's list.
#[cfg(test)]
#[derive(Serialize, schemars::JsonSchema)]
struct Asked {
    /// What was asked.
    id: String,
    /// How it was answered.
    #[schemars(extend("enum" = ["pass", "fail", "error", "waived"]))]
    result: String,
    /// What the answer rests on.
    evidence: Value,
}

/// When a module was changed last.
#[cfg(test)]
#[derive(Serialize, schemars::JsonSchema)]
struct Since {
    /// When.
    at: super::time::Timestamp,
    /// By which pull request.
    pr: u64,
    /// Its place in the record.
    seq: u64,
}
