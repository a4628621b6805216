//! Where rules put what they find.

use super::super::{
    super::yaml::Node,
    finding::{Finding, Level},
};

/// Collects the findings of one rule in one file.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) file: &'a str,
    pub(super) rule: &'static str,
    pub(super) findings: Vec<Finding>,
}

impl Found<'_> {
    /// Notes an error at a place.
    pub(super) fn at(&mut self, place: (usize, usize), fact: impl Into<String>, fix: impl Into<String>) {
        self.say(Level::Error, place, fact.into(), fix.into());
    }

    /// Notes an error at the place of a value.
    pub(super) fn on(&mut self, node: &Node, fact: impl Into<String>, fix: impl Into<String>) {
        self.at((node.line, node.column), fact, fix);
    }

    /// Notes what should be known, and is no error.
    pub(super) fn advise(&mut self, place: (usize, usize), fact: impl Into<String>, fix: impl Into<String>) {
        self.say(Level::Advice, place, fact.into(), fix.into());
    }

    fn say(&mut self, level: Level, (line, column): (usize, usize), fact: String, fix: String) {
        let file = self.file.to_owned();
        let (line, column) = (line.max(1), column.max(1));
        self.findings.push(Finding { file, line, column, rule: self.rule, level, fact, fix });
    }
}
