//! A host that is this machine: the same scripts as over ssh, run by this machine's `sh`.
#![expect(clippy::disallowed_methods, reason = "processes start in src/io/")]

use std::{
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use crate::{
    io::{
        framed::{self, Started},
        log,
    },
    model::refusal::Code,
    port::{Answer, Host, Input, PortError, Reply, Script},
};

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

    fn command(&self, argv: &[String]) -> Command {
        let mut command = Command::new("sh");
        command
            .args(argv)
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
        command
    }
}

impl Host for Local {
    fn run(&self, script: &Script, args: &[String], input: Input<'_>) -> Answer<Reply> {
        let nonce = framed::nonce()?;
        let mut command = self.command(&framed::argv(&nonce, script, args, &input));
        log::child(&command);
        let mut child = command.spawn().map_err(|error| {
            let what = format!("could not start `sh` for the step {}", script.name);
            PortError::new(Code::HostUnreachable, what, "check that /bin/sh exists").because(error)
        })?;
        let ends = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = ends.ok_or_else(|| framed::lost(script, "it has no standard streams"))?;
        let child = Arc::new(Mutex::new(child));
        let theirs = Arc::clone(&child);
        let stop = move || drop(theirs.lock().map(|mut child| child.kill()));
        let started =
            Started { stdin: Box::new(stdin), stdout: Box::new(stdout), stop: Box::new(stop), held: Box::new(()) };
        let answer = framed::answer(started, &nonce, script, input);
        if let Ok(mut child) = child.lock() {
            if answer.is_ok() || !script.mutates {
                drop(child.kill());
                drop(child.wait());
            } else {
                // A script that changes what runs and takes too long is not waited for: it continues by itself.
                drop(child.try_wait());
            }
        }
        answer
    }
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
    fn script_gets_its_arguments_and_no_inherited_environment() {
        let reply = run("printf '%s|' \"$@\"; env | grep -c CARGO; exit 3", false, 10).unwrap();
        assert_eq!((reply.rc, reply.stdout.as_slice()), (3, b"it's|$HOME|0\n".as_slice()));
    }

    #[test]
    fn empty_and_oversized_answers_are_refused() {
        assert_eq!(run("kill -9 $PPID", true, 10).unwrap_err().code, Code::LinkLost);
        assert_eq!(run("kill -9 $PPID", false, 10).unwrap_err().code, Code::HostUnreachable);
        assert_eq!(run("sleep 20", false, 1).unwrap_err().code, Code::HostUnreachable);
        let flood = run("head -c 100000000 /dev/zero", false, 30).unwrap_err();
        assert!(flood.what.contains("8 MiB"), "{flood}");
    }
}
