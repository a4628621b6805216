//! The one object that a command prints for scripts.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    ending::Outcome,
    ids::{HostName, ModuleId},
    refusal::{Code, Refusal},
};

/// The schema of the object.
pub const SCHEMA: &str = "platformctl.result/1";

/// What every result of a command has. What a command adds is in the schema by `command`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Envelope<'a> {
    /// The schema of this object.
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: &'static str,
    /// The verb.
    pub command: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// The exit code, which tells whether a host was changed.
    pub exit: u8,
    /// The stable name of the first refusal or of the error.
    pub code: Option<Code>,
    /// All reasons at once.
    pub refusals: &'a [Refusal],
    /// What did not stop it, and should be known.
    pub warnings: &'a [String],
    /// What the command adds.
    #[cfg_attr(test, schemars(skip))]
    #[serde(flatten)]
    pub added: &'a Map<String, Value>,
}

/// What a command adds that was refused or failed before it had a result.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failed {
    /// The module, where the command is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<ModuleId>,
    /// Its host, where that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The causes of an error, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// How long each phase took, in milliseconds, where that is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durations_ms: Option<BTreeMap<&'static str, u64>>,
}
