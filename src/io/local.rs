//! A host that is this machine: the same scripts as over ssh, run by this machine's `sh`.
#![expect(clippy::disallowed_methods, reason = "processes start in src/io/")]

use std::{
    io::Read as _,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use crate::{
    io::archive,
    model::{frame, refusal::Code},
    port::{Answer, Host, Input, PortError, Reply, Script},
};

/// Most that a script may print, in bytes.
const STDOUT_BYTES_MAX: u64 = 8 << 20;

/// This machine.
#[derive(Debug)]
pub struct Local {
    /// The only environment that scripts get besides `LC_ALL=C`.
    path: String,
    home: Option<String>,
}

impl Local {
    /// A host that runs scripts here, with this PATH and HOME and nothing else of the environment.
    pub fn new(path: String, home: Option<String>) -> Self {
        Self { path, home }
    }

    fn start(&self, nonce: &str, script: &Script, args: &[String]) -> Answer<Child> {
        let mut command = Command::new("sh");
        command
            .args(["-c", frame::WRAPPER, "platformctl", nonce, script.text])
            .args(args)
            .env_clear()
            .env("PATH", &self.path)
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(home) = &self.home {
            command.env("HOME", home);
        }
        command.spawn().map_err(|error| {
            PortError::new(
                Code::HostUnreachable,
                format!("could not start `sh` for the step {}", script.name),
                "see that /bin/sh is there",
            )
            .because(error)
        })
    }
}

impl Host for Local {
    fn run(&self, script: &Script, args: &[String], input: Input<'_>) -> Answer<Reply> {
        let nonce = nonce()?;
        let mut child = self.start(&nonce, script, args)?;
        let stdout = child.stdout.take();
        let (send, receive) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = stdout.map(|out| out.take(STDOUT_BYTES_MAX + 1).read_to_end(&mut bytes));
            // The receiver is gone only if the deadline passed first.
            drop(send.send((read, bytes)));
        });
        let sent = feed(&mut child, input);
        let answer = receive.recv_timeout(Duration::from_secs(script.deadline_s));
        let timed_out = answer.is_err();
        if timed_out && !script.mutates {
            drop(child.kill());
        }
        if !timed_out {
            drop(reader.join());
            drop(child.kill());
            drop(child.wait());
        }
        let (_, bytes) = answer.map_err(|_| lost(script, "it took longer than it may"))?;
        if bytes.len() as u64 > STDOUT_BYTES_MAX {
            return Err(lost(script, "it printed more than 8 MiB"));
        }
        let (rc, stdout) = frame::unframe(&nonce, &bytes).ok_or_else(|| lost(script, "its answer has no end"))?;
        // A delivery that broke off is the delivery's error, whatever the script made of it.
        sent?;
        Ok(Reply { rc, stdout })
    }
}

/// The error after something may have happened: certain only for scripts that change nothing.
fn lost(script: &Script, why: &str) -> PortError {
    let step = script.name;
    if script.mutates {
        PortError::new(
            Code::LinkLost,
            format!("the host began the step {step} and gave no whole answer: {why}"),
            "run `platformctl resume`: it asks the host what became of the run",
        )
    } else {
        PortError::new(
            Code::HostUnreachable,
            format!("the host gave no whole answer to the step {step}: {why}"),
            "run `platformctl doctor`, then the same command again",
        )
    }
}

fn feed(child: &mut Child, input: Input<'_>) -> Answer<()> {
    let stdin = child.stdin.take();
    match (input, stdin) {
        (Input::Nothing, _) | (_, None) => Ok(()),
        (Input::Tar(members), Some(mut stdin)) => match archive::write(&mut stdin, members) {
            Ok(()) => Ok(()),
            // The script ended before it had read everything: its own answer says why.
            Err(archive::ArchiveError::Write(_)) => Ok(()),
            Err(archive::ArchiveError::Member(error)) => Err(error),
        },
    }
}

fn nonce() -> Answer<String> {
    let mut bytes = [0_u8; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| PortError::new(Code::Io, "the system gave no random bytes", "try again").because(error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &'static str, mutates: bool, deadline_s: u64) -> Answer<Reply> {
        let local = Local::new("/usr/bin:/bin".to_owned(), None);
        let script = Script { name: "test", text, mutates, deadline_s };
        local.run(&script, &["it's".to_owned(), "$HOME".to_owned()], Input::Nothing)
    }

    #[test]
    fn a_script_gets_its_arguments_and_nothing_of_our_environment() {
        let reply = run("printf '%s|' \"$@\"; env | grep -c CARGO; exit 3", false, 10).unwrap();
        assert_eq!((reply.rc, reply.stdout.as_slice()), (3, b"it's|$HOME|0\n".as_slice()));
    }

    #[test]
    fn silence_and_floods_are_not_answers() {
        assert_eq!(run("kill -9 $PPID", true, 10).unwrap_err().code, Code::LinkLost);
        assert_eq!(run("kill -9 $PPID", false, 10).unwrap_err().code, Code::HostUnreachable);
        assert_eq!(run("sleep 20", false, 1).unwrap_err().code, Code::HostUnreachable);
        let flood = run("head -c 100000000 /dev/zero", false, 30).unwrap_err();
        assert!(flood.what.contains("8 MiB"), "{flood}");
    }
}
