//! What the linter found.

use serde::Serialize;

use super::super::refusal::{Code, Refusal};

/// How much a finding counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It must be cured: lint ends with 3.
    Error,
    /// It should be known.
    Advice,
}

/// One finding in one workflow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// The file, as it was named or found.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The rule: `E1` to `E8`.
    pub rule: &'static str,
    /// How much it counts.
    pub level: Level,
    /// What was found.
    pub fact: String,
    /// What cures it.
    pub fix: String,
}

impl Finding {
    /// `file:line:column`.
    pub fn place(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }

    /// The same as a refusal.
    pub fn refusal(&self) -> Refusal {
        let fact = format!("{}: {}: {}", self.place(), self.rule, self.fact);
        Refusal::new(Code::WorkflowInvalid, fact, self.fix.clone())
    }
}
