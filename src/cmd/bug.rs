//! A panic is a bug: it is told with its place, the version and the command, in the same form as everything else.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    cell::RefCell,
    panic::{self, PanicHookInfo},
};

use crate::{
    error::Failure,
    io::log,
    model::{
        refusal::{Code, Refusal},
        text::shown,
    },
};

/// What is known of a panic of this thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Panic {
    /// `file:line`.
    place: String,
    /// Its message, where that is a text of the source. A message made at run time may quote a value, so it is not
    /// kept.
    message: Option<&'static str>,
    /// Where it came from, with `RUST_BACKTRACE` set.
    pub backtrace: Option<String>,
}

thread_local! {
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Notes panics from now on, instead of printing them in the words of the runtime.
pub(super) fn watch() {
    panic::set_hook(Box::new(|info| {
        let panic = Panic::of(info);
        log::panicked(&panic.place);
        LAST.with(|last| *last.borrow_mut() = Some(panic));
    }));
}

impl Panic {
    fn of(info: &PanicHookInfo<'_>) -> Self {
        let place = info.location().map(|at| format!("{}:{}", source(at.file()), at.line()));
        let backtrace = Backtrace::capture();
        let captured = backtrace.status() == BacktraceStatus::Captured;
        Self {
            place: place.unwrap_or_else(|| "an unknown place".to_owned()),
            message: info.payload().downcast_ref::<&'static str>().copied(),
            backtrace: captured.then(|| backtrace.to_string()),
        }
    }

    /// The panic that this thread noted last.
    pub(super) fn last() -> Self {
        LAST.with(|last| last.borrow_mut().take()).unwrap_or_default()
    }

    /// What a person is told.
    pub(super) fn failure(&self, command: &str) -> Failure {
        let message = self.message.map(|message| format!(": {}", shown(message))).unwrap_or_default();
        let fact = format!("platformctl {} ({command}) panicked at {}{message}", log::VERSION, shown(&self.place));
        Failure::refused(vec![Refusal::new(Code::Bug, fact, FIX)])
    }
}

const FIX: &str = "report this output; if it happens again, run it with\n-vv and attach the log\nplatformctl status prints what is recorded";

/// The path of a source file, without the folders of the machine that built it.
fn source(file: &str) -> &str {
    match file.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/')) {
        Some((_, inside)) => inside,
        None => file.split_once("/library/").map_or(file, |(_, inside)| inside),
    }
}

/// Panics in a test build where a test asks for it; a release build has none of this.
pub(super) fn planted(env: &crate::io::env::Env) {
    if cfg!(debug_assertions) {
        match env.get("PLATFORMCTL_TEST_PANIC") {
            Some("text") => panic!("a planted panic"),
            // As the standard library does, which quotes the text that it was slicing.
            Some(value) => panic!("byte index 1 is not a char boundary of `{value}`"),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_location_contains_no_build_path() {
        assert_eq!(source("src/cmd/mod.rs"), "src/cmd/mod.rs");
        assert_eq!(source("/home/me/.cargo/registry/src/index-1/gix-0.90.0/src/lib.rs"), "gix-0.90.0/src/lib.rs");
        assert_eq!(source("/rustc/0123/library/core/src/str/mod.rs"), "core/src/str/mod.rs");
    }
}
