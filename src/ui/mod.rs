//! The only printer: lines for a person, or one object for a script.

mod report;
mod table;
mod words;

use std::io::{self, IsTerminal as _, Write as _};

pub use report::{Last, Report};
pub use table::table;
pub use words::{list, plural, seconds, short, wrapped};

use crate::model::text;

/// Where and how to print.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    json: bool,
    colour: bool,
}

impl Printer {
    /// `json`: one object on standard output, talk on standard error. `plain`: never in colour (`NO_COLOR`, `TERM=dumb`).
    pub fn new(json: bool, plain: bool) -> Self {
        Self { json, colour: !plain && !json && io::stdout().is_terminal() }
    }

    /// Whether one object is printed.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// A line while something is going on: a step that is done, or what is waited for.
    pub fn say(&self, line: &str) {
        if self.json {
            write(&mut io::stderr().lock(), &text::escaped_lines(line));
        } else {
            write(&mut io::stdout().lock(), &self.painted(&text::escaped_lines(line)));
        }
    }

    /// Says on a terminal what is waited for. Nothing waits for this line, so elsewhere it is left out.
    pub fn waiting(&self, line: &str) {
        if io::stderr().is_terminal() {
            write(&mut io::stderr().lock(), &format!("… {}", text::escaped_line(line)));
        }
    }

    /// The end of a command.
    pub fn finish(&self, report: &Report) {
        let mut out = io::stdout().lock();
        if self.json {
            write(&mut out, &report.json().to_string());
            return;
        }
        for line in report.human() {
            write(&mut out, &self.painted(&line));
        }
    }

    /// Text that a command was asked for: as it is, whatever the mode.
    pub fn raw(&self, bytes: &str) {
        let mut out = io::stdout().lock();
        drop(out.write_all(bytes.as_bytes()).and_then(|()| out.flush()));
    }

    /// Colours a line by its first word, which says the same without colour.
    fn painted(&self, line: &str) -> String {
        use anstyle::{AnsiColor, Style};
        if !self.colour {
            return line.to_owned();
        }
        let head = line.split(' ').next().unwrap_or_default();
        let colour = match head {
            "✓" => AnsiColor::Green,
            "!" | "warning:" => AnsiColor::Yellow,
            "✗" | "REFUSED" | "INVALID" | "UNREACHABLE" | "HELD" | "UNKNOWN" | "UNRECORDED" | "TAMPERED" | "BUG" => {
                AnsiColor::Red
            }
            "next:" | "fix:" | "undo:" => AnsiColor::Cyan,
            _ => return line.to_owned(),
        };
        let style = Style::new().bold().fg_color(Some(colour.into()));
        format!("{style}{head}{style:#}{}", &line[head.len()..])
    }
}

/// Somebody who stops reading (`| head`) is no failure.
fn write(to: &mut dyn io::Write, line: &str) {
    drop(writeln!(to, "{line}").and_then(|()| to.flush()));
}
