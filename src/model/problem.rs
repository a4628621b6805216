//! Problems: what is wrong in a file that people write, and where. All of a repository's problems are shown at once.

use serde::Serialize;

use super::{
    refusal::{Code, Refusal},
    yaml::{Node, YamlError},
};

/// One problem in one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Problem {
    /// The file, from the repository's root.
    pub file: String,
    /// The line, from 1; 0 where there is none to name.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The stable name of the reason.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What cures it.
    pub fix: String,
}

impl Problem {
    /// `file:line:column`, as far as known.
    pub fn place(&self) -> String {
        if self.line == 0 { self.file.clone() } else { format!("{}:{}:{}", self.file, self.line, self.column) }
    }

    /// A file that cannot be read at all.
    pub fn unreadable(file: &str, code: Code, error: &YamlError) -> Self {
        Self {
            file: file.to_owned(),
            line: error.line,
            column: error.column,
            code,
            message: error.message.clone(),
            fix: "correct the file; platformctl schema prints its JSON Schema".to_owned(),
        }
    }

    /// The same as a refusal.
    pub fn into_refusal(self) -> Refusal {
        Refusal::new(self.code, format!("{}: {}", self.place(), self.message), self.fix)
    }
}

/// Collects the problems of one file.
#[derive(Debug)]
pub struct Collector<'a> {
    file: &'a str,
    code: Code,
    outline: &'a Node,
    /// What was found.
    pub problems: Vec<Problem>,
}

impl<'a> Collector<'a> {
    /// For a file with this outline, whose problems have this code.
    pub fn new(file: &'a str, code: Code, outline: &'a Node) -> Self {
        Self { file, code, outline, problems: Vec::new() }
    }

    /// Notes a problem at a path of keys and indices unless `holds`.
    pub fn must(&mut self, holds: bool, path: &[&str], message: impl Into<String>, fix: impl Into<String>) {
        if holds {
            return;
        }
        let (line, column) = self.outline.place(path);
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line,
            column,
            code: self.code,
            message: message.into(),
            fix: fix.into(),
        });
    }
}
