//! From a typed result to its rendering: lines for a person, and one object (schema `platformctl.result/1`).

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    error::{Class, Failure},
    model::{
        ending::Outcome,
        refusal::{Code, Refusal},
        result::{self, Envelope, Failed},
        text,
    },
    ui::text_format::wrapped,
};

/// The one line that tells what to do.
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

/// A typed result of a verb, as it is rendered: lines for a person and the object for scripts. A rendering depends on
/// the value alone.
pub trait Render {
    /// The command, as it is typed.
    const COMMAND: &'static str;

    /// The lines for a person but the last one.
    fn lines(&self) -> Vec<String>;

    /// The last line: what to do.
    fn last(&self) -> Last;

    /// How it ended, in one word.
    fn outcome(&self) -> Outcome {
        if self.refusals().is_empty() { Outcome::Ok } else { Outcome::Refused }
    }

    /// Every reason against it.
    fn refusals(&self) -> Vec<Refusal> {
        Vec::new()
    }

    /// The class, and so the exit code.
    fn class(&self) -> Class {
        let refusals = self.refusals();
        if refusals.is_empty() { Class::Done } else { Class::of_all(&refusals) }
    }

    /// What did not stop it and should be known.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Lines for a person that are no part of the object: with `--json` they are printed on standard error.
    fn beside(&self) -> Vec<String> {
        Vec::new()
    }

    /// A text that was asked for and is printed as it is, instead of lines.
    fn text(&self) -> Option<&str> {
        None
    }

    /// The stable code of its end.
    fn code(&self) -> Option<Code> {
        self.refusals().first().map(|refusal| refusal.code)
    }

    /// The fields of the object beside those that every result has.
    fn object(&self) -> impl Serialize;

    /// The rendering.
    fn report(&self) -> Report {
        Report {
            command: Self::COMMAND,
            outcome: self.outcome(),
            class: self.class(),
            code: self.code(),
            refusals: self.refusals(),
            fields: object(&self.object()),
            warnings: self.warnings(),
            lines: self.lines(),
            beside: self.beside(),
            last: self.last(),
            text: self.text().map(str::to_owned),
        }
    }
}

/// How a command ended, rendered.
#[derive(Debug, Clone)]
pub struct Report {
    command: &'static str,
    outcome: Outcome,
    class: Class,
    code: Option<Code>,
    refusals: Vec<Refusal>,
    fields: Map<String, Value>,
    warnings: Vec<String>,
    lines: Vec<String>,
    beside: Vec<String>,
    last: Last,
    /// A text that is printed as it is, instead of lines.
    text: Option<String>,
}

impl Report {
    /// A command that ended without doing what it was asked.
    pub fn failed(command: &'static str, failure: &Failure) -> Self {
        Self {
            command,
            outcome: outcome_of(failure),
            class: failure.class,
            code: failure.refusals.first().map(|refusal| refusal.code),
            refusals: failure.refusals.clone(),
            fields: object(&Failed { causes: failure.causes.clone(), ..Failed::default() }),
            warnings: Vec::new(),
            lines: failed(failure),
            beside: Vec::new(),
            last: cure(failure),
            text: None,
        }
    }

    /// The exit code.
    pub fn exit(&self) -> u8 {
        self.class.exit()
    }

    /// Lines for a person beside the object.
    pub(super) fn aside(&self) -> &[String] {
        &self.beside
    }

    /// A text that is printed as it is.
    pub(super) fn raw(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The object.
    pub fn json(&self) -> Value {
        json!(Envelope {
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

    /// The lines, the last of which tells what to do.
    pub fn human(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.lines.iter().map(|line| text::escaped_line(line)).collect();
        for warning in &self.warnings {
            lines.extend(wrapped(&text::escaped_lines(&format!("warning: {warning}")), ""));
        }
        lines.extend(self.last.lines());
        lines
    }
}

/// The fields of a value.
pub(super) fn object(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(),
    }
}

/// The word for a failure.
pub(super) fn outcome_of(failure: &Failure) -> Outcome {
    if failure.class.is_refusal() { Outcome::Refused } else { Outcome::Error }
}

/// The last line of a failure.
pub(super) fn cure(failure: &Failure) -> Last {
    Last::Fix(match failure.refusals.as_slice() {
        [] => "please report this".to_owned(),
        [only] => only.fix.clone(),
        [_, ..] => "fix each, then run the same command again".to_owned(),
    })
}

/// What a person reads of a failure.
pub(super) fn failed(failure: &Failure) -> Vec<String> {
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
    // A failure is from before anything was sent: what happened later is reported by its run.
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
                // Lines of their own are meant to be pasted: they stay in one piece.
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
