//! YAML: two readers, one answer. The only home of both.
//!
//! serde_saphyr, strict and on a budget, reads first and gives every message its line and column; serde_yaml reads the same text.
//! A file that two independent parsers read differently is exactly the file not to act on.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{
    Options, Spanned,
    budget::Budget,
    options::{DuplicateKeyPolicy, MergeKeyPolicy},
};

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
/// Where and why it does not hold, at once and in bounded memory.
pub fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, YamlError> {
    let text = gate(bytes)?;
    let first: T = serde_saphyr::from_str_with_options(text, strict())
        .map_err(|error| tab(text).unwrap_or_else(|| located(&error)))?;
    let second: T = serde_yaml::from_str(text).map_err(|error| disagree(&error.to_string()))?;
    let same = |value: &T| serde_json::to_value(value).map_err(|error| disagree(&error.to_string()));
    if same(&first)? != same(&second)? {
        return Err(disagree("quote the values that could be read in two ways"));
    }
    Ok(first)
}

/// Reads any YAML for its shape and places, strictly: to find where in a file something stands.
///
/// # Errors
/// As [`read`].
pub fn outline(bytes: &[u8]) -> Result<Node, YamlError> {
    parse_node(gate(bytes)?, strict_but_plain())
}

/// Reads a compose file: anchors and merge keys are ordinary there, on a budget.
///
/// # Errors
/// As [`read`].
pub fn read_compose(bytes: &[u8]) -> Result<Node, YamlError> {
    let mut options = strict_but_plain();
    options.merge_keys = MergeKeyPolicy::Merge;
    options.budget = Some(budget(1_000, 1_000));
    parse_node(gate(bytes)?, options)
}

fn parse_node(text: &str, options: Options) -> Result<Node, YamlError> {
    serde_saphyr::from_str_with_options(text, options).map_err(|error| tab(text).unwrap_or_else(|| located(&error)))
}

fn disagree(why: &str) -> YamlError {
    let why = super::text::shown(why);
    YamlError { line: 0, column: 0, message: format!("two YAML readers disagree about this file: {why}") }
}

/// What no reader here is ever shown: too much, not UTF-8, and characters that one reader takes for a line break and another not,
/// or that show a person something else than what is read.
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

/// The first line of a file that does not hold whose indentation has a tab: readers blame other places for it.
fn tab(text: &str) -> Option<YamlError> {
    text.lines().enumerate().find_map(|(at, line)| {
        let indent = &line[..line.len() - line.trim_start().len()];
        let column = indent.find('\t')? + 1;
        Some(YamlError { line: at + 1, column, message: "a tab in the indentation; use blanks".to_owned() })
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
    // The reader's own text repeats the place and a snippet: the first line says it all.
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
    ("breached: Nodes", "the file holds too many values"),
    ("breached: Documents", "the file holds more than one document"),
];

fn budget(aliases: usize, anchors: usize) -> Budget {
    let mut budget = Budget::default();
    budget.max_aliases = aliases;
    budget.max_anchors = anchors;
    budget.max_depth = 32;
    budget.flow_nesting_limit = 32;
    budget.max_documents = 1;
    budget.max_nodes = 50_000;
    budget.max_events = 200_000;
    budget.max_total_scalar_bytes = 4 << 20;
    budget.max_merge_keys = if anchors == 0 { 0 } else { 1_000 };
    budget
}

fn strict_but_plain() -> Options {
    let mut options = Options::default();
    options.budget = Some(budget(0, 0));
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.merge_keys = MergeKeyPolicy::Error;
    options.strict_booleans = true;
    options.reject_unsupported_tags = true;
    options
}

fn strict() -> Options {
    let mut options = strict_but_plain();
    options.no_schema = true;
    options
}

/// A value of a YAML file and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The value.
    pub value: Value,
}

/// A value as it is written. Numbers and booleans are kept as text: nothing here computes with them, but `true` and `"true"` differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A string.
    Text(String),
    /// A number or a boolean.
    Plain(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in its order, each key with its place.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The key.
    pub name: String,
}

impl Node {
    /// The value under a key of a mapping.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.entries().iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[(Key, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Null | Value::Text(_) | Value::Plain(_) | Value::List(_) => &[],
        }
    }

    /// The items of a sequence; none for anything else.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Null | Value::Text(_) | Value::Plain(_) | Value::Map(_) => &[],
        }
    }

    /// A scalar's text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Plain(text) => Some(text),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The value as JSON, for digests: places are left out, and what is not a string is marked as such.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Text(text) => text.as_str().into(),
            Value::Plain(text) => serde_json::json!({ "!": text }),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                let pairs = entries.iter().map(|(key, node)| (key.name.clone(), node.to_json()));
                serde_json::Value::Object(pairs.collect())
            }
        }
    }

    /// Where the value at a path of keys and indices stands, or the nearest value above it.
    pub fn place(&self, path: &[&str]) -> (usize, usize) {
        let Some((first, rest)) = path.split_first() else {
            return (self.line, self.column);
        };
        if let Some((key, node)) = self.entries().iter().find(|(key, _)| key.name == *first) {
            return if rest.is_empty() { (key.line, key.column) } else { node.place(rest) };
        }
        match first.parse::<usize>().ok().and_then(|at| self.items().get(at)) {
            Some(node) => node.place(rest),
            None => (self.line, self.column),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(from)?;
        let (line, column) = place_of(&spanned.referenced);
        Ok(Self { line, column, value: spanned.value })
    }
}

fn place_of(at: &serde_saphyr::Location) -> (usize, usize) {
    let number = |n: u64| usize::try_from(n).unwrap_or(0);
    (number(at.line()), number(at.column()))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Plain(value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Plain(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Plain(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Plain(value.to_string()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let (line, column) = place_of(&key.referenced);
            entries.push((Key { line, column, name: key.value }, map.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn what_is_wrong_has_a_place() {
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
    fn bombs_are_refused_at_once() {
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
    fn what_can_be_read_in_two_ways_is_refused() {
        for text in
            ["name: \"x\"\ncount: \"5\"\n", "name: true\n", "name: 1.10\n", "name: ~\n", "name: !!binary aGVsbG8=\n"]
        {
            assert!(read::<Small>(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn compose_files_may_merge_and_every_value_has_a_place() {
        let text = b"x-base: &base\n  image: a:1\nservices:\n  web:\n    <<: *base\n    ports: [\"80:80\"]\n";
        let node = read_compose(text).unwrap();
        let web = node.get("services").unwrap().get("web").unwrap();
        assert_eq!(web.get("image").unwrap().text(), Some("a:1"));
        assert_eq!(node.place(&["services", "web", "ports", "0"]), (6, 13));
        assert_eq!(node.place(&["services", "nothing"]), (4, 3));
    }
}
