//! A record that was checked, and what can be wrong with one that was not.

use std::fmt;

use super::event::Event;
use crate::{
    model::ids::Oid,
    port::{Answer, Source},
};

/// A record that was checked, with what the next one is checked against.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The record.
    pub id: Oid,
    /// Its tree.
    pub tree: Oid,
    /// Its event.
    pub event: Event,
    /// The first record of its chain.
    pub genesis: Oid,
}

/// What is wrong with a record: the rule that it breaks, what the rule expects, and what the record has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The record.
    pub commit: Oid,
    /// The rule, as docs/state-format.md names it.
    pub rule: &'static str,
    /// What the rule expects; escaped.
    pub expected: String,
    /// What the record has; escaped and cut.
    pub found: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule `{}` expects {}, found {}", self.rule, self.expected, self.found)
    }
}

/// A rule that is broken, before it is known of which record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub rule: &'static str,
    pub expected: String,
    pub found: String,
}

impl Wrong {
    pub(super) fn new(rule: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { rule, expected: expected.into(), found: found.into() }
    }
}

/// The record that lies `steps` before `from`; `None` if the chain is shorter.
///
/// # Errors
/// A commit on the way cannot be read.
pub fn back(source: &dyn Source, from: Oid, steps: u64) -> Answer<Option<Oid>> {
    let mut at = Some(from);
    for _ in 0..steps {
        let Some(id) = at else { break };
        at = source.commit(id)?.parents.first().copied();
    }
    Ok(at)
}
