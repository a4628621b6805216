//! A clock, and a host.

use super::{Logged, nothing};
use crate::{
    io::log::{self, Bytes, Name, Words},
    model::time::Timestamp,
    port::{Answer, Clock, Host, Input, Reply, Script},
};

impl<T: Clock> Clock for Logged<T> {
    fn now(&self) -> Timestamp {
        log::done("clock.now", |words| words, || self.0.now(), |words, found| words.with("time", found))
    }

    fn heard(&self, unix_s: i64) -> Timestamp {
        log::done(
            "clock.heard",
            |words| words.with("unix_s", &unix_s),
            || self.0.heard(unix_s),
            |words, found| words.with("time", found),
        )
    }

    fn ticks_ms(&self) -> u64 {
        self.0.ticks_ms()
    }

    fn sleep_ms(&self, ms: u64) {
        log::done("clock.sleep", |words| words.with("asked_ms", &ms), || self.0.sleep_ms(ms), nothing);
    }

    fn interrupted(&self) -> bool {
        self.0.interrupted()
    }

    fn chance(&self) -> [u8; 16] {
        self.0.chance()
    }
}

/// A host that logs its calls, under a name.
#[derive(Debug)]
pub struct LoggedHost<T> {
    inner: T,
    name: String,
}

impl<T: Host> LoggedHost<T> {
    /// `name`: where it is reached.
    pub fn new(inner: T, name: &str) -> Self {
        Self { inner, name: name.to_owned() }
    }
}

impl<T: Host> Host for LoggedHost<T> {
    fn run(&self, script: &Script, args: &[String], input: Input<'_>) -> Answer<Reply> {
        let sent = match &input {
            Input::Nothing => "nothing",
            Input::Tar(_) => "tar",
        };
        let about = |words: Words| words.with("host", &Name(&self.name)).with("script", &script.name);
        log::about_to("host command", |words| {
            let args = args.iter().map(|arg| arg.as_ref()).collect();
            about(words).with("input", &sent).with("args", &log::Argv(args))
        });
        log::call(
            "host.run",
            about,
            || self.inner.run(script, args, input),
            |words, reply| words.with("rc", &reply.rc).with("stdout_bytes", &Bytes(reply.stdout.len())),
        )
    }
}
