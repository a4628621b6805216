//! What a connection that was not made means, by ssh's own words, and which key a host offers.

use std::{fs, time::Duration};

use crate::{
    io::{
        process::{self, Limits},
        socket,
        ssh::{CONNECT_S, READY_S, Ssh, WORDS_BYTES_MAX, local, unreachable},
    },
    model::{refusal::Code, text},
    port::{Answer, PortError},
};

/// Most lines of ssh's words that are shown.
const LINES_MAX: usize = 3;

impl Ssh {
    /// Sorts a failure by ssh's own words. What is not known is "no answer".
    pub(super) fn classify(&self, after: Duration, words: &[u8]) -> PortError {
        let said = String::from_utf8_lossy(words);
        let has = |needle: &str| said.contains(needle);
        let name = text::shown(&self.destination);
        if words.trim_ascii().is_empty() && after >= Duration::from_secs(CONNECT_S) {
            let hangs =
                "it hangs after the connection was opened (in authentication, or in the shell's start-up files)";
            return unreachable(&self.destination, hangs);
        }
        let changed = has("HOST IDENTIFICATION HAS CHANGED");
        if changed || has("host key is known for") || has("Host key verification failed") {
            return self.unknown_key(changed);
        }
        if has("Permission denied") || has("Too many authentication failures") || has("No more authentication methods")
        {
            return PortError::new(
                Code::CredentialsRefused,
                format!("{name} rejected all offered ssh keys"),
                format!(
                    "make `ssh -o BatchMode=yes {name} true` work: load the key into the agent, or authorize it on the host"
                ),
            );
        }
        if has("ssh: not found") || has("ssh: command not found") || has("ssh: No such file") {
            return PortError::new(Code::Io, "the program `ssh` is not installed here", "install the OpenSSH client");
        }
        // The last one is often the least of them: what the server said, or a machine on the way, stands before it.
        let lines: Vec<String> = said.lines().map(str::trim).filter(|line| !line.is_empty()).map(text::shown).collect();
        let last = lines[lines.len().saturating_sub(LINES_MAX)..].join("; ");
        unreachable(&self.destination, if last.is_empty() { "the connection ended without a message" } else { &last })
    }

    /// Says which key answers, as the line to add after it was compared.
    fn unknown_key(&self, changed: bool) -> PortError {
        let name = text::shown(&self.destination);
        let lines = self.offered().unwrap_or_default();
        let add = match lines.as_slice() {
            [] => format!("find out whether its own key or that of a jump host is meant: ssh {name}"),
            lines => format!(
                "compare with the host's own (there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then add to \
                 ~/.ssh/known_hosts, or to host_keys of the host in platform.yaml:\n{}",
                lines.join("\n")
            ),
        };
        if changed {
            return PortError::new(
                Code::HostKeyChanged,
                format!("the host key of {name} changed: it is another machine or a new installation"),
                if self.host_keys.is_empty() {
                    format!("find out which; remove the old line (ssh-keygen -R), {add}")
                } else {
                    format!("find out which; the old line is in host_keys of the host in platform.yaml; {add}")
                },
            );
        }
        PortError::new(Code::HostKeyUnknown, format!("the host key of {name} is unknown"), add)
    }

    /// The known_hosts lines of the keys that the host offers, learned without authenticating to it.
    fn offered(&self) -> Answer<Vec<String>> {
        let folder = socket::folder(&self.env).map_err(local("make a folder for the ssh connection"))?;
        let file = folder.path().join("offered");
        let mut command = self.env.child("ssh");
        command.args([
            "-T",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=accept-new",
            "-o",
            "HashKnownHosts=no",
        ]);
        for option in ["RemoteCommand=none", "RequestTTY=no", "ClearAllForwardings=yes", "PermitLocalCommand=no"] {
            command.args(["-o", option]);
        }
        command.args(["-o", "PreferredAuthentications=none", "-o", "GlobalKnownHostsFile=/dev/null"]);
        command.args(["-o", &format!("UserKnownHostsFile={}", file.display()), "-o", "ControlPath=none"]);
        command.args(["-o", &format!("ConnectTimeout={CONNECT_S}"), "--", &self.destination, "true"]);
        drop(process::run(command, &Limits { deadline_s: READY_S, output_bytes: WORDS_BYTES_MAX })?);
        let lines = fs::read_to_string(&file).map_err(local("read the offered key"))?;
        Ok(lines.lines().filter(|line| !line.is_empty()).map(text::shown).collect())
    }
}
