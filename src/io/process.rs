//! Children with a deadline and a limit to what they may print.
#![expect(clippy::disallowed_methods, reason = "durations of children are measured here")]

use std::{
    io::{Read, Write as _},
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::{
    io::log,
    model::refusal::Code,
    port::{Answer, PortError},
};

/// What a child may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long it may run.
    pub deadline_s: u64,
    /// How much it may print on each stream.
    pub output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline_s: 120, output_bytes: 64 << 20 }
    }
}

/// How a child ended.
#[derive(Clone)]
pub struct Done {
    /// Its exit code; `None` if a signal ended it.
    pub rc: Option<i32>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// What a child printed may be a secret: this shows how much it is.
impl std::fmt::Debug for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rc, stdout, stderr } = self;
        write!(f, "Done {{ rc: {rc:?}, stdout_bytes: {}, stderr_bytes: {} }}", stdout.len(), stderr.len())
    }
}

/// Runs a child without standard input.
///
/// # Errors
/// It could not be started, took too long, or printed too much; then it is killed.
pub fn run(command: Command, limits: &Limits) -> Answer<Done> {
    run_with(command, Vec::new(), limits)
}

/// Runs a child with `stdin`.
///
/// # Errors
/// As [`run`].
pub fn run_with(mut command: Command, stdin: Vec<u8>, limits: &Limits) -> Answer<Done> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    log::child(&command);
    let begun = Instant::now();
    let mut child = command.spawn().map_err(|error| {
        PortError::new(Code::Io, format!("could not start `{program}`"), format!("install {program}")).because(error)
    })?;
    let input = child.stdin.take();
    std::thread::spawn(move || {
        // A child that does not read its input reports that with its exit code.
        drop(input.map(|mut input| input.write_all(&stdin)));
    });
    let (send, receive) = mpsc::channel();
    let streams: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|out| Box::new(out) as Box<dyn Read + Send>),
        child.stderr.take().map(|err| Box::new(err) as Box<dyn Read + Send>),
    ];
    let limit = limits.output_bytes;
    for (at, stream) in streams.into_iter().enumerate() {
        let send = send.clone();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // Half an output is no answer: its length tells, and the exit code is looked at as well.
            drop(stream.map(|stream| stream.take(limit + 1).read_to_end(&mut bytes)));
            drop(send.send((at, bytes)));
        });
    }
    let mut outputs = [Vec::new(), Vec::new()];
    let mut trouble = None;
    for _ in 0..2 {
        match receive.recv_timeout(Duration::from_secs(limits.deadline_s)) {
            Ok((at, bytes)) if bytes.len() as u64 <= limit => outputs[at] = bytes,
            Ok(_) => trouble = trouble.or(Some("printed more than it may")),
            Err(_) => trouble = trouble.or(Some("took longer than it may")),
        }
        if trouble.is_some() {
            drop(child.kill());
        }
    }
    let status = child.wait();
    if let Some(why) = trouble {
        let fix = "look why it does not end, then try again";
        return Err(PortError::new(Code::Deadline, format!("`{program}` {why}"), fix));
    }
    let status = status.map_err(|error| {
        PortError::new(Code::Io, format!("could not wait for `{program}`"), "try again").because(error)
    })?;
    let [stdout, stderr] = outputs;
    log::ended(&program, begun, status.code(), stdout.len(), stderr.len());
    Ok(Done { rc: status.code(), stdout, stderr })
}
