//! Facts about a host's machine, the same for every driver: its clock, id, tools, free space, and the last record that
//! it has seen.

use serde::{Deserialize, Serialize};

use crate::{
    model::{ids::Oid, text::shown},
    port::Script,
    runtime::script::scripts,
};

/// Looks at nothing else.
pub const LOOK: Script = Script { name: "machine", text: scripts!("root", "machine"), mutates: false, deadline_s: 60 };

/// What a host showed of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// `/etc/machine-id`, if it is 32 hexadecimal digits.
    pub machine_id: Option<String>,
    /// Programs that are not there.
    pub missing: Vec<String>,
    /// Free space where the root is or would be.
    pub free_bytes: u64,
    /// Whether the nearest existing folder may be written to.
    pub writable: bool,
    /// `witness.json`: the last record this host was shown.
    pub witness: Option<Witness>,
    /// Whether there is a `witness.json` that is not what a run leaves there.
    pub witness_is_garbage: bool,
    /// The host's clock, seconds since 1970.
    pub now_s: i64,
}

/// Reads the answer of [`LOOK`]. All of it is untrusted.
///
/// # Errors
/// A line that the script cannot have printed, or one that is missing.
pub fn parse(stdout: &[u8]) -> Result<Machine, LookError> {
    let mut seen = Seen::default();
    for line in stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let wrong = || LookError::Line(String::from_utf8_lossy(line).into_owned());
        let text = std::str::from_utf8(line).map_err(|_| wrong())?;
        let (key, value) = text.split_once(' ').ok_or_else(wrong)?;
        if seen.line(key, value) != Some(true) {
            return Err(wrong());
        }
    }
    seen.finish()
}

/// `<root>/witness.json`: the last remote-acknowledged record that a host was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// The first record.
    pub genesis: Oid,
    /// The place of the record in the chain.
    pub seq: u64,
    /// The record.
    pub commit: Oid,
}

/// Why an answer cannot be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// A line that the script does not print.
    #[error("the host answered with a line that the script does not print: `{}`", shown(.0))]
    Line(String),
    /// Something the script always prints is not there.
    #[error("the host's answer has no `{0}`")]
    Absent(&'static str),
}

/// Collects the lines about the machine.
#[derive(Default)]
pub(super) struct Seen {
    machine: Machine,
    now_s: Option<i64>,
    free_kb: Option<u64>,
    writable: Option<bool>,
}

impl Seen {
    /// Takes a line; `None` if it is not about the machine, `Some(false)` if it is and cannot be parsed.
    pub(super) fn line(&mut self, key: &str, value: &str) -> Option<bool> {
        match (key, value) {
            ("machine", id) => {
                let fits = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
                self.machine.machine_id = fits.then(|| id.to_owned());
            }
            ("missing", tool) if tool.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                self.machine.missing.push(tool.to_owned());
            }
            ("time", seconds) => match seconds.parse().ok().filter(|seconds| *seconds >= 0) {
                Some(seconds) => self.now_s = Some(seconds),
                None => return Some(false),
            },
            ("root", "ok" | "absent") => {}
            ("free_kb", number) => match number.parse() {
                Ok(number) => self.free_kb = Some(number),
                Err(_) => return Some(false),
            },
            ("writable", answer) => self.writable = Some(answer == "yes"),
            // An unreadable witness means that a run, or another person, was here: it never counts as a missing one.
            ("witness", json) => {
                self.machine.witness = serde_json::from_str(json).ok();
                self.machine.witness_is_garbage = self.machine.witness.is_none();
            }
            _ => return None,
        }
        Some(true)
    }

    /// The machine, if the answer has everything that the script always prints.
    pub(super) fn finish(self) -> Result<Machine, LookError> {
        Ok(Machine {
            now_s: self.now_s.ok_or(LookError::Absent("time"))?,
            free_bytes: self.free_kb.ok_or(LookError::Absent("free_kb"))?.saturating_mul(1024),
            writable: self.writable.ok_or(LookError::Absent("writable"))?,
            ..self.machine
        })
    }
}
