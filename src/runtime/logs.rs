//! The output of containers of a held release: for people, never for a record.

use serde::Deserialize;

use crate::model::text::escaped_bytes;

/// Most lines of one container that are taken, of each kind.
const LINES_MAX: usize = 20;
/// Most characters of a line.
const CHARS_MAX: usize = 600;

/// A container of the module.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Said {
    /// Its service.
    pub service: String,
    /// Its name, with a slash in front.
    pub name: String,
    /// `created`, `running`, `restarting`, `exited`, …
    pub status: String,
    /// Its exit code, where it ended.
    pub exit: i64,
    /// Whether the kernel killed it for want of memory.
    pub oom: bool,
    /// `starting`, `healthy`, `unhealthy`; `None` without a healthcheck.
    pub health: Option<String>,
    /// Whether it is a job, which ends with 0 when all is well.
    #[serde(skip)]
    pub job: bool,
    /// What its health check printed last, masked on the host and escaped.
    #[serde(skip)]
    pub check: Vec<String>,
    /// Its own last lines, masked on the host and escaped.
    #[serde(skip)]
    pub log: Vec<String>,
}

impl Said {
    /// Whether nothing is wrong with it, as far as the engine knows.
    pub fn is_well(&self) -> bool {
        let ended_well = self.job && self.status == "exited" && self.exit == 0;
        ended_well || self.status == "running" && matches!(self.health.as_deref(), None | Some("healthy" | "none"))
    }
}

/// The output of a module's containers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// Each container.
    pub containers: Vec<Said>,
    /// Secret files whose values could not be masked: then the output of the containers stays on the host.
    pub unmasked: Vec<String>,
}

/// Reads the answer. All of it is untrusted: lines that cannot be parsed are skipped.
pub fn parse(stdout: &[u8]) -> Words {
    let mut words = Words::default();
    for line in stdout.split(|b| *b == b'\n') {
        let at = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
        let text = || escaped_bytes(line.get(at + 1..).unwrap_or_default()).chars().take(CHARS_MAX).collect::<String>();
        match (&line[..at], words.containers.last_mut()) {
            (b"container", _) => {
                words.containers.extend(serde_json::from_slice(line.get(at + 1..).unwrap_or_default()).ok());
            }
            (b"unmasked", _) => words.unmasked.push(text()),
            (b"check", Some(said)) if said.check.len() < LINES_MAX => said.check.push(text()),
            (b"log", Some(said)) if said.log.len() < LINES_MAX => said.log.push(text()),
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_are_escaped_and_kept_per_container() {
        let one =
            r#"container {"service":"web","name":"/p-web-1","status":"exited","exit":3,"oom":false,"health":null}"#;
        let words =
            parse(format!("log nobody's\n{one}\ncheck a\x1b[2J\nlog one\nlog\ncontainer x\nother\n").as_bytes());
        let [said] = words.containers.as_slice() else { panic!("{words:?}") };
        assert_eq!((said.check.as_slice(), said.log.len()), (["a\\u{1b}[2J".to_owned()].as_slice(), 2));
        assert!(!said.is_well() && said.exit == 3);
        assert!(Said { job: true, exit: 0, ..said.clone() }.is_well() && !Said { exit: 0, ..said.clone() }.is_well());
        assert_eq!(parse(b"unmasked a.env\n").unmasked, ["a.env"]);
    }
}
