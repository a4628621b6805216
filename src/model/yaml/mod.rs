//! YAML: two readers, one answer. The only home of both.
//!
//! A strict reader on a budget (serde_saphyr for what has a type, its parser for a tree) reads first and gives every
//! message its line and column; serde_yaml, which has another parser, reads the same text. A file that two independent
//! parsers read differently is exactly the file not to act on.

mod node;
mod tree;

use serde::{Serialize, de::DeserializeOwned};
use serde_saphyr::{
    Options,
    budget::Budget,
    options::{DuplicateKeyPolicy, MergeKeyPolicy},
};

pub use self::node::{Key, Node, Value};
use self::tree::Limits;

/// Most bytes of one YAML file.
pub const BYTES_MAX: usize = 1 << 20;

/// Why a file cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    /// The line, from 1; 0 where there is none to name.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong, on one line, escaped.
    pub message: String,
}

/// Reads a file that people write for platformctl: strict, without anchors, merges and tags.
///
/// # Errors
/// Where and why it is not valid, all at once and in bounded memory.
pub fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, YamlError> {
    let text = gate(bytes)?;
    let first: T = serde_saphyr::from_str_with_options(text, strict())
        .map_err(|error| tab(text).unwrap_or_else(|| located(&error)))?;
    let second: T = serde_yaml::from_str(text).map_err(|error| disagree(&error.to_string()))?;
    let same = |value: &T| serde_json::to_value(value).map_err(|error| disagree(&error.to_string()));
    if same(&first)? != same(&second)? {
        return Err(disagree("quote the ambiguous values"));
    }
    Ok(first)
}

/// Reads any YAML for its shape and places, strictly: to find the place of something in a file.
///
/// # Errors
/// As [`read`].
pub fn outline(bytes: &[u8]) -> Result<Node, YamlError> {
    let text = gate(bytes)?;
    tree::read(text, Limits { anchors: 0 }).map_err(|error| tab(text).unwrap_or(error))
}

/// Reads a compose file: anchors and merge keys are ordinary there, on a budget, and so are the tags `!reset` and
/// `!override`.
///
/// # Errors
/// As [`read`].
pub fn read_compose(bytes: &[u8]) -> Result<Node, YamlError> {
    let text = gate(bytes)?;
    tree::read(text, Limits { anchors: 1_000 }).map_err(|error| tab(text).unwrap_or(error))
}

fn disagree(why: &str) -> YamlError {
    let why = super::text::shown(why);
    YamlError { line: 0, column: 0, message: format!("two YAML parsers read this file differently: {why}") }
}

/// What no reader here is ever shown: too much, not UTF-8, and characters that one reader takes for a line break and
/// another not, or that show a person something else than what is read.
fn gate(bytes: &[u8]) -> Result<&str, YamlError> {
    if bytes.len() > BYTES_MAX {
        let message = format!("the file has {}; 1 MiB is allowed", super::text::mib_needed(bytes.len() as u64));
        return Err(YamlError { line: 0, column: 0, message });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| at_byte(bytes, error.valid_up_to(), "a byte that is not UTF-8".to_owned()))?;
    for (at, c) in text.char_indices() {
        let lone_cr = c == '\r' && bytes.get(at + 1) != Some(&b'\n');
        if (super::text::is_harmful(c) && !matches!(c, '\t' | '\n' | '\r')) || lone_cr {
            let message = format!("the character U+{:04X}, which is not allowed here", u32::from(c));
            return Err(at_byte(bytes, at, message));
        }
    }
    Ok(text)
}

/// The first line of an invalid file whose indentation has a tab: readers report other places for it.
fn tab(text: &str) -> Option<YamlError> {
    text.lines().enumerate().find_map(|(at, line)| {
        let indent = &line[..line.len() - line.trim_start().len()];
        let column = indent.find('\t')? + 1;
        Some(YamlError { line: at + 1, column, message: "a tab in the indentation; use spaces".to_owned() })
    })
}

fn at_byte(bytes: &[u8], at: usize, message: String) -> YamlError {
    let before = &bytes[..at];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    YamlError { line, column, message }
}

fn located(error: &serde_saphyr::Error) -> YamlError {
    let (line, column) = error.location().map_or((0, 0), |at| {
        let number = |n: u64| usize::try_from(n).unwrap_or(0);
        (number(at.line()), number(at.column()))
    });
    // The reader's own text repeats the place and a snippet: the first line is enough.
    let said = error.without_snippet().to_string();
    let first = said.lines().next().unwrap_or_default();
    let first = first.strip_suffix(&format!(" at line {line}, column {column}")).unwrap_or(first);
    let plain = PLAIN.iter().find(|(theirs, _)| first.contains(theirs));
    YamlError { line, column, message: plain.map_or_else(|| super::text::shown(first), |(_, ours)| (*ours).to_owned()) }
}

/// What a breached budget means, for a person.
const PLAIN: &[(&str, &str)] = &[
    ("breached: Anchors", "anchors (&name) are not allowed here, or there are too many"),
    ("breached: Aliases", "aliases (*name) are not allowed here, or there are too many"),
    ("breached: Depth", "values are nested too deeply"),
    ("breached: Nodes", "the file contains too many values"),
    ("breached: Documents", "the file contains more than one document"),
];

fn strict() -> Options {
    let mut budget = Budget::default();
    budget.max_aliases = 0;
    budget.max_anchors = 0;
    budget.max_depth = tree::DEPTH_MAX;
    budget.flow_nesting_limit = tree::DEPTH_MAX;
    budget.max_documents = 1;
    budget.max_nodes = tree::NODES_MAX;
    budget.max_events = 200_000;
    budget.max_total_scalar_bytes = tree::TEXT_BYTES_MAX;
    budget.max_merge_keys = 0;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.merge_keys = MergeKeyPolicy::Error;
    options.strict_booleans = true;
    options.reject_unsupported_tags = true;
    options.no_schema = true;
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Small {
        name: String,
        #[serde(default)]
        count: u64,
        #[serde(default)]
        vars: BTreeMap<String, String>,
    }

    fn refused(text: &str) -> YamlError {
        read::<Small>(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn errors_have_line_and_column() {
        let good: Small = read(b"name: x\ncount: 3\nvars:\n  A: \"1\"\n").unwrap();
        assert_eq!((good.count, good.vars.len()), (3, 1));
        for (text, line, column) in [
            ("name: x\nnmae: y\n", 2, 1),
            ("name: x\nname: y\n", 2, 1),
            ("name: x\nvars: {A: \"1\", A: \"2\"}\n", 2, 16),
            ("name: x\ncount: many\n", 2, 8),
            ("name: [x]\n", 1, 7),
            ("name: &a x\n", 1, 10),
            ("name: x\nvars: {<<: {A: b}}\n", 2, 8),
            ("name: x\n---\nname: y\n", 2, 1),
            ("name: x\n\tcount: 1\n", 2, 1),
            ("name: \"a\u{7}\"\n", 1, 9),
            ("name: x\n# \u{202e}\n", 2, 3),
            ("\u{feff}name: x\n", 1, 1),
            ("name: a\rb\n", 1, 8),
        ] {
            let error = refused(text);
            assert_eq!((error.line, error.column), (line, column), "{text:?}: {error}");
        }
        let error = read::<Small>(b"name: x\ncount: \xff\n").unwrap_err();
        assert_eq!((error.line, error.column), (2, 8));
        assert!(read::<Small>(b"name: x\r\ncount: 2\r\n").is_ok(), "CRLF is a line break");
    }

    #[test]
    fn yaml_bombs_are_refused_quickly() {
        let mut laughs = "name: x\na0: &a0 [x]\n".to_owned();
        for n in 1..30 {
            laughs += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","));
        }
        let deep = |open: &str| format!("name: {}", open.repeat(100_000));
        let aliases = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(100_000), "*a,".repeat(30_000));
        for bomb in [laughs.clone(), deep("["), deep("{a: "), aliases, "x".repeat(5 << 20)] {
            assert!(read::<Small>(bomb.as_bytes()).is_err());
            assert!(read_compose(bomb.as_bytes()).is_err());
        }
    }

    #[test]
    fn ambiguous_yaml_is_refused() {
        for text in
            ["name: \"x\"\ncount: \"5\"\n", "name: true\n", "name: 1.10\n", "name: ~\n", "name: !!binary aGVsbG8=\n"]
        {
            assert!(read::<Small>(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn compose_files_may_use_merge_keys() {
        let text = b"x-base: &base\n  image: a:1\nservices:\n  web:\n    <<: *base\n    ports: [\"80:80\"]\n";
        let node = read_compose(text).unwrap();
        let web = node.get("services").unwrap().get("web").unwrap();
        assert_eq!(web.get("image").unwrap().text(), Some("a:1"));
        assert_eq!(node.place(&["services", "web", "ports", "0"]), (6, 13));
        assert_eq!(node.place(&["services", "nothing"]), (4, 3));
    }
}
