//! `lint`, rendered.

use serde::Serialize;

use super::{Last, Render, plural, wrapped};
use crate::{
    error::Class,
    model::{ending::Outcome, refusal::Refusal, workflow::finding::Level},
    verb::lint::Linted,
};

impl Render for Linted {
    const COMMAND: &'static str = "lint";

    fn object(&self) -> impl Serialize {
        self
    }

    fn outcome(&self) -> Outcome {
        match (self.errors().next(), self.files.is_empty()) {
            (Some(_), _) => Outcome::Refused,
            (None, true) => Outcome::Noop,
            (None, false) => Outcome::Ok,
        }
    }

    fn refusals(&self) -> Vec<Refusal> {
        self.errors().map(|finding| finding.refusal()).collect()
    }

    fn lines(&self) -> Vec<String> {
        let errors = self.errors().count();
        let head = match (errors, self.files.len()) {
            (0, 0) => "✓ there are no workflows here".to_owned(),
            (0, files) => format!("✓ {} read, nothing must be cured", plural(files, "workflow")),
            (errors, _) => format!("INVALID ({}): {}", Class::Invalid.exit(), plural(errors, "finding")),
        };
        let each = self.findings.iter().flat_map(|finding| {
            let (sign, word) = if finding.level == Level::Error { ("✗", "") } else { ("!", " advice") };
            let mut lines = vec![format!("{sign} {}  {}{word}", finding.place(), finding.rule)];
            lines.extend(wrapped(&finding.fact, "  "));
            lines.extend(wrapped(&format!("→ {}", finding.fix), "  "));
            lines
        });
        [head].into_iter().chain(each).collect()
    }

    fn last(&self) -> Last {
        match self.errors().next() {
            Some(_) => Last::Fix("cure each (the rules: platformctl help lint), then lint again".to_owned()),
            None => Last::Next("platformctl validate".to_owned()),
        }
    }
}
