//! How a command ended, as one value: printed for a person or as one object (schema `platformctl.result/1`).

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    error::{Class, Failure},
    model::{
        refusal::{Code, Refusal},
        result::{self, Outcome},
        text,
    },
    ui::text_format::wrapped,
};

/// The one line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Last {
    /// What usually follows.
    Next(String),
    /// What cures it.
    Fix(String),
    /// How to take it back.
    Undo(String),
}

impl Last {
    /// Its lines; each but the first begins with two blanks, so that none can be taken for another word.
    fn lines(&self) -> Vec<String> {
        let (word, text) = match self {
            Self::Next(text) => ("next", text),
            Self::Fix(text) => ("fix", text),
            Self::Undo(text) => ("undo", text),
        };
        let mut lines = text.trim_end().split('\n').map(text::escaped_line);
        let first = format!("{word}: {}", lines.next().unwrap_or_default());
        [first].into_iter().chain(lines.map(|line| format!("  {line}"))).collect()
    }
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Report {
    command: &'static str,
    outcome: &'static str,
    class: Class,
    code: Option<Code>,
    refusals: Vec<Refusal>,
    fields: Map<String, Value>,
    warnings: Vec<String>,
    lines: Vec<String>,
    last: Last,
    bare: bool,
}

impl Report {
    /// A command that did what it was asked.
    pub fn done(command: &'static str, outcome: &'static str, last: Last) -> Self {
        Self {
            command,
            outcome,
            class: Class::Done,
            code: None,
            refusals: Vec::new(),
            fields: Map::new(),
            warnings: Vec::new(),
            lines: Vec::new(),
            last,
            bare: false,
        }
    }

    /// A command that ended without doing what it was asked.
    pub fn failed(command: &'static str, failure: &Failure) -> Self {
        let outcome = if failure.class.is_refusal() { "refused" } else { "error" };
        let first = failure.refusals.first();
        let fix = match failure.refusals.as_slice() {
            [] => "please report this".to_owned(),
            [only] => only.fix.clone(),
            [_, ..] => "do what each says, then run the same command again".to_owned(),
        };
        let mut report = Self::done(command, outcome, Last::Fix(fix));
        report.class = failure.class;
        report.code = first.map(|refusal| refusal.code);
        report.lines = lines(failure);
        report.refusals.clone_from(&failure.refusals);
        if !failure.causes.is_empty() {
            report.set("causes", &failure.causes);
        }
        report
    }

    /// A command that prints a text as it is; with `--json` the text comes in the object alone.
    pub fn text(command: &'static str, printer: super::Printer, text: &str) -> Self {
        let mut report = Self::done(command, "ok", Last::Next(String::new()));
        report.bare = true;
        if !printer.is_json() {
            printer.raw(text);
        }
        report
    }

    /// The stable code of its end, if it did not end well.
    pub fn code(&self) -> Option<Code> {
        self.code
    }

    /// What its last line says.
    pub fn fix(&self) -> String {
        match &self.last {
            Last::Next(text) | Last::Fix(text) | Last::Undo(text) => text.clone(),
        }
    }

    /// Its lines but the last one.
    pub fn said(&self) -> Vec<String> {
        self.lines.clone()
    }

    /// The exit code.
    pub fn exit(&self) -> u8 {
        self.class.exit()
    }

    /// Ends in another class than *done*.
    #[must_use]
    pub fn ends_in(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// With this code.
    #[must_use]
    pub fn coded(mut self, code: Option<Code>) -> Self {
        self.code = code;
        self
    }

    /// Another outcome than it began with.
    #[must_use]
    pub fn outcome(mut self, outcome: &'static str) -> Self {
        self.outcome = outcome;
        self
    }

    /// Another last line than it began with.
    #[must_use]
    pub fn last(mut self, last: Last) -> Self {
        self.last = last;
        self
    }

    /// Ends with refusals that stand beside a full result.
    #[must_use]
    pub fn refused(mut self, refusals: Vec<Refusal>) -> Self {
        self.code = refusals.first().map(|refusal| refusal.code);
        self.refusals = refusals;
        self
    }

    /// Sets a field of the object.
    pub fn set(&mut self, name: &str, value: impl Serialize) {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.fields.insert(name.to_owned(), value);
    }

    /// The same, in a chain.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        self.set(name, value);
        self
    }

    /// What each phase took, in milliseconds.
    #[must_use]
    pub fn durations(self, durations_ms: &[(&'static str, u64)]) -> Self {
        let durations: Map<String, Value> =
            durations_ms.iter().map(|(phase, ms)| ((*phase).to_owned(), json!(ms))).collect();
        self.with("durations_ms", durations)
    }

    /// Adds a line for a person.
    pub fn line(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// The same with these lines instead of its own.
    #[must_use]
    pub fn only(mut self, lines: Vec<String>) -> Self {
        self.lines = lines;
        self
    }

    /// The same with more lines for a person.
    #[must_use]
    pub fn lines(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.lines.extend(lines);
        self
    }

    /// Adds a warning.
    pub fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// The object.
    pub fn json(&self) -> Value {
        json!(Outcome {
            schema: result::SCHEMA,
            command: self.command,
            outcome: self.outcome,
            exit: self.exit(),
            code: self.code,
            refusals: &self.refusals,
            warnings: &self.warnings,
            added: &self.fields,
        })
    }

    /// The lines, the last of which says what to do.
    pub fn human(&self) -> Vec<String> {
        if self.bare {
            return Vec::new();
        }
        let mut lines: Vec<String> = self.lines.iter().map(|line| text::escaped_line(line)).collect();
        for warning in &self.warnings {
            lines.extend(wrapped(&text::escaped_lines(&format!("warning: {warning}")), ""));
        }
        lines.extend(self.last.lines());
        lines
    }
}

/// What a person reads of a failure.
fn lines(failure: &Failure) -> Vec<String> {
    let class = failure.class;
    let word = match class {
        Class::Invalid => "INVALID",
        Class::Usage => "USAGE",
        // Only who was asked and gave no answer is unreachable: what is missing here stopped it.
        Class::Unreachable => match failure.refusals.iter().find(|refusal| Class::of(refusal.code) == class) {
            Some(Refusal {
                code: Code::HostUnreachable | Code::RemoteUnreachable | Code::EngineUnreachable, ..
            }) => "UNREACHABLE",
            Some(_) | None => "STOPPED",
        },
        Class::Bug => "BUG",
        Class::Unknown => "UNKNOWN",
        Class::Unrecorded => "UNRECORDED",
        Class::Tampered => "TAMPERED",
        Class::Held | Class::RolledBack | Class::RollbackFailed => "HELD",
        Class::Done
        | Class::Differs
        | Class::Refused
        | Class::NotApproved
        | Class::Mismatch
        | Class::Busy
        | Class::Partial
        | Class::Interrupted => "REFUSED",
    };
    // A failure is from before anything was sent: what came after is told by its run.
    let untouched = if class == Class::Bug { class.world() } else { "Nothing was changed." };
    let slug = failure.refusals.first().map_or("bug", |refusal| refusal.code.slug());
    let mut lines = vec![match failure.refusals.len() {
        0 | 1 => format!("{word} {slug} ({}). {untouched}", class.exit()),
        n => format!("{word} for {n} reasons ({}). {untouched}", class.exit()),
    }];
    match failure.refusals.as_slice() {
        [] => {}
        [only] => lines.extend(wrapped(&only.fact, "")),
        several => {
            for refusal in several {
                lines.push(format!("✗ {}", refusal.code.slug()));
                lines.extend(wrapped(&refusal.fact, "  "));
                // What stands on lines of its own is there to be pasted: it stays in one piece.
                let mut fix = refusal.fix.trim_end().split('\n');
                lines.extend(wrapped(&format!("→ {}", fix.next().unwrap_or_default()), "  "));
                lines.extend(fix.map(|line| format!("  {}", text::escaped_line(line))));
            }
        }
    }
    for cause in &failure.causes {
        lines.extend(wrapped(&format!("because: {cause}"), "  "));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_prints_code_fact_and_fix() {
        let fact = "compose/apps/compose.yaml:14 ./data:/data";
        let one = Refusal::new(Code::BindRelativeWritable, fact, "write /srv/apps/data:/data");
        let report = Report::failed("plan", &Failure::refused(vec![one.clone()]));
        let lines = [
            "REFUSED bind_relative_writable (5). Nothing was changed.",
            "compose/apps/compose.yaml:14 ./data:/data",
            "fix: write /srv/apps/data:/data",
        ];
        assert_eq!(report.human(), lines);
        let hostile = Refusal::new(Code::EvilMerge, "a\u{1b}[2Jb", "c");
        let report = Report::failed("plan", &Failure::refused(vec![one, hostile]));
        assert_eq!(report.exit(), 6);
        assert!(!report.human().join("\n").contains('\u{1b}'));
        assert_eq!(report.json()["code"], "bind_relative_writable");
        assert_eq!(report.json()["refusals"][1]["code"], "evil_merge");
        let several = Refusal::new(Code::HostKeyUnknown, "two keys", "add:\nkey one\nREFUSED\u{1b}");
        let lines = Report::failed("plan", &Failure::refused(vec![several])).human();
        assert_eq!(lines[2..], ["fix: add:", "  key one", "  REFUSED\\u{1b}"]);
    }
}
