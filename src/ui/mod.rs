//! The only printer: lines for a person, or one object for a script.

mod abandon;
mod apply;
mod demo;
mod doctor;
mod due;
mod glass;
mod held;
mod hook;
mod init;
mod lint;
mod log;
mod manual;
pub mod markdown;
mod notice;
mod pending;
mod plan;
mod proposed;
mod report;
mod resume;
mod schema;
mod show;
mod state;
mod status;
mod steps;
mod table;
mod text_format;
mod timings;
mod unrecorded;
mod validate;
mod verify;

use std::{
    io::{self, IsTerminal as _},
    sync::OnceLock,
};

use crate::{
    error::Class,
    model::text,
    port::{Phase, Step},
    verb::left::Logs,
};

pub use plan::plan_file;
pub use proposed::{Asked as WholeAsked, Checked, WholePlan};
pub use report::{Last, Render, Report};
pub use steps::Steps;
pub use table::table;
pub use text_format::{list, meanings, plural, seconds, short, wrapped};

/// Where and how to print.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    json: bool,
    colour: bool,
}

impl Printer {
    /// `json`: one object on standard output, talk on standard error. `plain`: never in colour (`NO_COLOR`,
    /// `TERM=dumb`).
    pub fn new(json: bool, plain: bool) -> Self {
        Self { json, colour: !plain && !json && io::stdout().is_terminal() }
    }

    /// Whether one object is printed.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// What is asked of the containers of a release that is held: their own lines where somebody asked for them or
    /// reads them as they come, and nothing for a script that did not ask.
    pub fn logs(&self, asked: bool) -> Logs {
        match (asked, self.json) {
            (true, _) => Logs::Lines,
            (false, true) => Logs::Nothing,
            (false, false) if io::stdout().is_terminal() => Logs::Lines,
            (false, false) => Logs::Endings,
        }
    }

    /// A line while something is going on: a step that is done, or what is waited for.
    pub fn say(&self, line: &str) {
        if self.json {
            beside(&text::escaped_lines(line));
        } else {
            write(&(self.painted(&text::escaped_lines(line)) + "\n"));
        }
    }

    /// Says on a terminal what is waited for. Nothing waits for this line, so elsewhere it is left out.
    pub fn waiting(&self, line: &str) {
        if io::stderr().is_terminal() {
            beside(&format!("… {}", text::escaped_line(line)));
        }
    }

    /// Says on a terminal who is asked now, if that is what the step is about.
    pub fn waits_for(&self, step: &Step, remote: &str) {
        match step {
            Step::Began(Phase::Fetch) => self.waiting(&format!("asking {remote}")),
            Step::Looking(host) => self.waiting(&format!("looking at {host}")),
            Step::Pulling(images) => {
                let images = plural(usize::try_from(*images).unwrap_or(0), "image");
                self.waiting(&format!("the host pulls {images}"));
            }
            Step::Warned(words) => self.beside(&format!("warning: {words}")),
            Step::Began(_)
            | Step::Spent(_)
            | Step::Target { .. }
            | Step::Waiting { .. }
            | Step::Settled(_)
            | Step::Approved(_)
            | Step::Pulled(_)
            | Step::Glass(..)
            | Step::Intent(_)
            | Step::Shipped(_)
            | Step::Changed(_)
            | Step::Healthy(_)
            | Step::Recorded(_) => {}
        }
    }

    /// Lines beside the answer, on standard error in every mode.
    pub fn beside(&self, lines: &str) {
        beside(&text::escaped_lines(lines.trim_end()));
    }

    /// The end of a command. Returns the exit code: an answer that could not be printed is an error in any case.
    #[must_use]
    pub fn finish(&self, report: &Report) -> u8 {
        if self.json {
            report.aside().iter().for_each(|line| self.say(line));
            write(&format!("{}\n", report.json()));
        } else if let Some(text) = report.raw() {
            write(text);
        } else {
            for line in report.human() {
                write(&(self.painted(&line) + "\n"));
            }
        }
        self.ended(report.exit())
    }

    /// Text that a command was asked for, unchanged in every mode.
    pub fn raw(&self, text: &str) {
        write(text);
    }

    /// The exit code of a command that is about to end with `exit`: 1 instead of 0 if not all of its answer was
    /// printed. A reader who went away (`| head`) knows that and is told nothing more.
    #[must_use]
    pub fn ended(&self, exit: u8) -> u8 {
        let Some(error) = UNPRINTED.get() else { return exit };
        if error.kind() != io::ErrorKind::BrokenPipe {
            beside(&format!("standard output: not all of the answer could be printed: {error}"));
            beside("next: platformctl status tells what is recorded");
        }
        if exit == 0 { Class::Bug.exit() } else { exit }
    }

    /// Colours a line by its first word, which means the same without colour.
    fn painted(&self, line: &str) -> String {
        use anstyle::{AnsiColor, Style};
        if !self.colour {
            return line.to_owned();
        }
        let head = line.split(' ').next().unwrap_or_default();
        let colour = match head {
            "✓" => AnsiColor::Green,
            "!" | "warning:" => AnsiColor::Yellow,
            "✗" | "REFUSED" | "INVALID" | "UNREACHABLE" | "STOPPED" | "HELD" | "UNKNOWN" | "UNRECORDED"
            | "TAMPERED" | "BUG" => AnsiColor::Red,
            "next:" | "fix:" | "undo:" => AnsiColor::Cyan,
            _ => return line.to_owned(),
        };
        let style = Style::new().bold().fg_color(Some(colour.into()));
        format!("{style}{head}{style:#}{}", &line[head.len()..])
    }
}

/// Why something could not be printed, the first time that it could not.
static UNPRINTED: OnceLock<io::Error> = OnceLock::new();

/// Writes to standard output, and remembers if that failed: the command continues, because it may have to end a run.
fn write(text: &str) {
    use io::Write as _;
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        UNPRINTED.get_or_init(|| error);
    }
}

/// Writes a line to standard error; a failure changes nothing.
fn beside(line: &str) {
    use io::Write as _;
    let mut err = io::stderr().lock();
    drop(writeln!(err, "{line}").and_then(|()| err.flush()));
}
