//! The log of a command: lines on standard error for a person who looks for a fault. The only home of `tracing`.
//!
//! `-v` (level info) logs every call of a port with its duration and outcome; `-vv` (level debug) also the argv of
//! every child and the name and arguments of every script on a host. What can be logged at all is decided by the trait
//! `Loggable`: ids, paths, names, numbers and counts implement it; contents, answers and environments do not. Every
//! word is masked and escaped before it is written. A subscriber of our own is enough for that, so `tracing-subscriber`
//! and what it needs are not part of this program.
#![expect(clippy::disallowed_methods, reason = "durations are measured here")]

use std::{
    ffi::OsStr,
    fmt::{self, Write as _},
    io::Write as _,
    path::Path,
    process::Command,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::{
    io::{env::Env, secrets::Secrets},
    model::{digest::Digest, ids::Oid, path::RepoPath, refusal::Code, text, time::Timestamp},
    port::{Answer, PortError},
};

/// The variable that turns the log on without a flag.
pub const VARIABLE: &str = "PLATFORMCTL_LOG";
/// A longer argument of a child, or one of several lines, is a text (a script): the log has its size and digest
/// instead.
const ARGUMENT_BYTES_MAX: usize = 300;
/// Most characters of one line.
const LINE_CHARS_MAX: usize = 4_000;

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Nothing.
    Off,
    /// Calls of ports.
    Calls,
    /// Calls of ports, children, and scripts on hosts.
    Commands,
}

impl Detail {
    /// By the number of `-v` flags, or else by `PLATFORMCTL_LOG`.
    ///
    /// # Errors
    /// `usage`: the variable has a value that is none of `off`, `info` and `debug`.
    pub fn chosen(flags: u8, env: &Env) -> Answer<Self> {
        let variable = match env.get(VARIABLE) {
            None | Some("off") => Self::Off,
            Some("info") => Self::Calls,
            Some("debug") => Self::Commands,
            Some(other) => {
                let what = format!("{VARIABLE} is `{}`, which is not a level of the log", text::shown(other));
                let fix = format!("set {VARIABLE} to off, info or debug, or unset it");
                return Err(PortError::new(Code::Usage, what, fix));
            }
        };
        Ok(match flags {
            0 => variable,
            1 => Self::Calls,
            _ => Self::Commands,
        })
    }

    const fn level(self) -> Option<Level> {
        match self {
            Self::Off => None,
            Self::Calls => Some(Level::INFO),
            Self::Commands => Some(Level::DEBUG),
        }
    }
}

/// Starts the log of this process. The first line names the version, the command and the time.
pub fn start(detail: Detail, env: &Env, command: &'static str, now: Timestamp) {
    let Some(level) = detail.level() else { return };
    never(&Secrets::of(env, &[], &[]));
    // Another log of this process stays: only tests call this twice.
    if tracing::subscriber::set_global_default(Log { level, begun: Instant::now() }).is_ok() {
        tracing::info!(about = Words::new().with("version", &VERSION).with("time", &now).0, "platformctl {command}");
    }
}

/// Logs that a thread of this program panicked.
pub fn panicked(place: &str) {
    tracing::info!(about = Words::new().with("at", &Name(place)).0, "panic");
}

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Secrets that were found since the log began, for all lines that follow.
pub(super) fn never(secrets: &Secrets) {
    SECRETS.lock().unwrap_or_else(PoisonError::into_inner).add(secrets);
}

static SECRETS: Mutex<Secrets> = Mutex::new(Secrets::none());

/// `text` without secrets, and without what could move a cursor.
pub(crate) fn masked(text: &str) -> String {
    text::escaped_line(&SECRETS.lock().unwrap_or_else(PoisonError::into_inner).masked(text))
}

/// What may be logged. Implement it only for types that cannot contain a secret.
pub(super) trait Loggable {
    /// Adds it to a line. What it adds is masked and escaped by the caller.
    fn add(&self, line: &mut String);
}

/// A name or another short text that git, the policy or a script's caller may show: never content, an answer or a value
/// of a variable.
pub(super) struct Name<'a>(pub &'a str);

/// A number of bytes.
pub(super) struct Bytes(pub usize);

/// The words of a command line. Texts among them are logged as their size and digest.
pub(super) struct Argv<'a>(pub Vec<&'a OsStr>);

impl Loggable for Name<'_> {
    fn add(&self, line: &mut String) {
        line.push_str(&word(self.0));
    }
}

impl Loggable for Bytes {
    fn add(&self, line: &mut String) {
        displayed(line, self.0);
    }
}

impl Loggable for Argv<'_> {
    fn add(&self, line: &mut String) {
        for (at, argument) in self.0.iter().enumerate() {
            if at > 0 {
                line.push(' ');
            }
            let bytes = argument.as_encoded_bytes();
            if bytes.len() > ARGUMENT_BYTES_MAX || bytes.contains(&b'\n') {
                displayed(line, format_args!("<text bytes={} {}>", bytes.len(), Digest::of(bytes)));
            } else {
                // Masked as it is: quoting may break up a secret.
                line.push_str(&word(&masked(&argument.to_string_lossy())));
            }
        }
    }
}

impl Loggable for Path {
    fn add(&self, line: &mut String) {
        line.push_str(&word(&self.to_string_lossy()));
    }
}

impl Loggable for RepoPath {
    fn add(&self, line: &mut String) {
        line.push_str(&word(self.as_str()));
    }
}

impl<T: Loggable> Loggable for Option<T> {
    fn add(&self, line: &mut String) {
        match self {
            Some(known) => known.add(line),
            None => line.push_str("none"),
        }
    }
}

impl Loggable for &'static str {
    fn add(&self, line: &mut String) {
        line.push_str(self);
    }
}

macro_rules! displayed {
    ($($type:ty)*) => { $(impl Loggable for $type {
        fn add(&self, line: &mut String) {
            displayed(line, self);
        }
    })* };
}
displayed!(Oid Timestamp bool i32 i64 u64 usize);

/// A word as a shell would take it: bare where it may stand so, else in quotes.
fn word(text: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b"/._-+@:=,%^".contains(&b);
    if !text.is_empty() && text.bytes().all(bare) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn displayed(line: &mut String, value: impl fmt::Display) {
    // Writing into a text cannot fail.
    write!(line, "{value}").unwrap_or_default();
}

/// Pairs of a key and a value for one line.
pub(super) struct Words(String);

impl Words {
    /// No words.
    pub(super) const fn new() -> Self {
        Self(String::new())
    }

    /// Adds a pair.
    #[must_use]
    pub(super) fn with(mut self, key: &'static str, value: &(impl Loggable + ?Sized)) -> Self {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(key);
        self.0.push('=');
        value.add(&mut self.0);
        self
    }
}

/// Makes a call of a port and logs it, with its duration and outcome. `about` describes the call and `found` its
/// answer; without a log neither of them is called, and no clock is read.
pub(super) fn call<T>(
    name: &'static str,
    about: impl FnOnce(Words) -> Words,
    run: impl FnOnce() -> Answer<T>,
    found: impl FnOnce(Words, &T) -> Words,
) -> Answer<T> {
    if !tracing::enabled!(Level::INFO) {
        return run();
    }
    let begun = Instant::now();
    let answer = run();
    let ms = milliseconds(begun.elapsed());
    let about = about(Words::new()).0;
    match &answer {
        Ok(value) => tracing::info!(about, outcome = "ok", ms, found = found(Words::new(), value).0, "{name}"),
        Err(error) => tracing::info!(about, outcome = error.code.slug(), ms, error = error.what, "{name}"),
    }
    answer
}

/// The same for what cannot fail.
pub(super) fn done<T>(
    name: &'static str,
    about: impl FnOnce(Words) -> Words,
    run: impl FnOnce() -> T,
    found: impl FnOnce(Words, &T) -> Words,
) -> T {
    if !tracing::enabled!(Level::INFO) {
        return run();
    }
    let begun = Instant::now();
    let value = run();
    let ms = milliseconds(begun.elapsed());
    tracing::info!(about = about(Words::new()).0, ms, found = found(Words::new(), &value).0, "{name}");
    value
}

/// Logs, at `-vv`, what is about to happen.
pub(super) fn about_to(what: &'static str, about: impl FnOnce(Words) -> Words) {
    if tracing::enabled!(Level::DEBUG) {
        tracing::debug!(about = about(Words::new()).0, "{what}");
    }
}

/// Logs, at `-vv`, the argv of a child that is about to start, and in which folder.
pub(super) fn child(command: &Command) {
    about_to("child", |words| {
        let words = match command.get_current_dir() {
            Some(folder) => words.with("in", folder),
            None => words,
        };
        let argv = std::iter::once(command.get_program()).chain(command.get_args()).collect();
        words.with("argv", &Argv(argv))
    });
}

/// Logs, at `-vv`, how a child ended that was started at `begun`.
pub(super) fn ended(program: &str, begun: Instant, rc: Option<i32>, stdout: usize, stderr: usize) {
    about_to("child ended", |words| {
        let words = words.with("program", &Name(program)).with("rc", &rc);
        let words = words.with("stdout_bytes", &Bytes(stdout)).with("stderr_bytes", &Bytes(stderr));
        words.with("ms", &Took(begun.elapsed()))
    });
}

/// A duration, as every line has it.
struct Took(Duration);

impl Loggable for Took {
    fn add(&self, line: &mut String) {
        line.push_str(&milliseconds(self.0));
    }
}

/// Milliseconds with two digits after the point: reading one object takes less than one.
fn milliseconds(took: Duration) -> String {
    format!("{}.{:02}", took.as_millis(), took.as_micros() % 1_000 / 10)
}

/// Writes events of this program to standard error.
struct Log {
    level: Level,
    begun: Instant,
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.target() == module_path!()
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(self.level.into())
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        // Nothing here opens a span.
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let at = self.begun.elapsed();
        let line = line(at, *event.metadata().level(), &fields);
        let mut stderr = std::io::stderr().lock();
        // A log that cannot be written changes nothing.
        drop(writeln!(stderr, "{line}"));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The fields of an event: its message first, and the others in their order.
#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if value.is_empty() {
            return;
        }
        self.others.push(' ');
        match field.name() {
            // These are pairs themselves.
            "about" | "found" => self.others.push_str(value),
            "error" => {
                displayed(&mut self.others, format_args!("error={}", word(value)));
            }
            name => displayed(&mut self.others, format_args!("{name}={value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            displayed(&mut self.message, format_args!("{value:?}"));
        }
    }
}

/// One line: seconds since the log began, the level, the event.
fn line(at: Duration, level: Level, fields: &Fields) -> String {
    let text = masked(&format!("{}{}", fields.message, fields.others));
    let mut line = format!("{:>3}.{:03} {level} ", at.as_secs(), at.subsec_millis());
    line.extend(text.chars().take(LINE_CHARS_MAX));
    if text.chars().nth(LINE_CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> String {
        let mut line = String::new();
        Argv(words.iter().map(OsStr::new).collect()).add(&mut line);
        line
    }

    #[test]
    fn disabled_log_does_no_work() {
        let answer = call("x", |_| unreachable!("described"), || Ok(7), |_, _| unreachable!("described"));
        assert_eq!(answer.unwrap(), 7);
        about_to("x", |_| unreachable!("described"));
        assert_eq!(done("x", |_| unreachable!("described"), || 8, |_, _| unreachable!("described")), 8);
    }

    #[test]
    fn logged_argv_shows_scripts_as_digests() {
        assert_eq!(argv(&["git", "-c", "a b", "it's", ""]), r"git -c 'a b' 'it'\''s' ''");
        let text = argv(&["sh", "-c", "echo a\necho b"]);
        assert!(text.starts_with("sh -c <text bytes=13 sha256:") && !text.contains("echo"), "{text}");
        assert!(argv(&[&"x".repeat(301)]).starts_with("<text bytes=301 sha256:"));
    }

    /// Attack: a child process has a URL with a password among its arguments.
    /// Defence: user and password are masked in every URL of every log line.
    #[test]
    fn credentials_in_urls_are_not_logged() {
        assert_eq!(argv(&["ssh", "--", "ssh://ola:pw@box:22"]), "ssh -- 'ssh://***@box:22'");
        assert_eq!(argv(&["git", "ls-remote", "https://ghp_x@forge/a"]), "git ls-remote 'https://***@forge/a'");
    }

    #[test]
    fn a_line_is_masked_escaped_and_cut() {
        let fields = |others: &str| Fields { message: "child".to_owned(), others: others.to_owned() };
        let at = Duration::from_millis(61_007);
        let shown = line(at, Level::DEBUG, &fields(" a\u{1b}b\nc https://u:p@h/x password=pw"));
        assert_eq!(shown, " 61.007 DEBUG child a\\u{1b}b\\nc https://***@h/x password=***");
        assert_eq!(line(at, Level::INFO, &fields(&"x".repeat(9_000))).chars().count(), 14 + LINE_CHARS_MAX);
        assert_eq!(milliseconds(Duration::from_micros(1_059)), "1.05");
    }
}
