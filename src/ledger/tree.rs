//! The files of a record's tree, and how they are written.

use crate::model::{
    ids::{Deployment, HostName, ModuleId, RunId},
    json::{self, CanonicalError},
};

/// The file that names the format of the tree.
pub const FORMAT: &str = "FORMAT";
/// Its content.
pub const FORMAT_TEXT: &str = "platform-state 1\n";
/// This record's event.
pub const EVENT: &str = "event.json";
/// The policy in force.
pub const POLICY: &str = "policy/platform.yaml";
/// Who may sign, in force.
pub const SIGNERS: &str = "policy/allowed_signers";

/// The path of a module's status.
pub fn status_path(module: &ModuleId) -> String {
    format!("modules/{module}.status.json")
}

/// The path of what people were told of a deployment.
pub fn alarms_path(deployment: &Deployment) -> String {
    format!("alarms/{deployment}.json")
}

/// The path of a host's status.
pub fn host_path(host: &HostName) -> String {
    format!("hosts/{host}.json")
}

/// The path of an open run.
pub fn open_path(run: &RunId) -> String {
    format!("runs/open/{run}.json")
}

/// The bytes of a file of the record: canonical JSON and a newline.
///
/// # Errors
/// A number that has no canonical form.
pub fn file<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let mut bytes = json::canonical(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}
