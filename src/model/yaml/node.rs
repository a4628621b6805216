//! The values of a YAML file, each with its place.

use serde_json::json;

/// A value of a YAML file and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// Its tag, if it is written with one: `!reset`, `!override`, or one of YAML's own such as `!!str`.
    pub tag: Option<String>,
    /// The value.
    pub value: Value,
}

/// A value as it is written. Numbers and booleans are kept as they are spelled: nothing here computes with them, but
/// `0440` and `440` differ, and so do `true` and `"true"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A string.
    Text(String),
    /// What a YAML reader may take for a number, a boolean or a date, as it is spelled.
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

    /// Whether it or anything in it has a tag of Compose's: what earlier files say there is dropped.
    pub fn drops(&self) -> bool {
        self.tag.as_deref().is_some_and(|tag| !tag.starts_with("!!"))
            || self.items().iter().any(Self::drops)
            || self.entries().iter().any(|(_, value)| value.drops())
    }

    /// The value as JSON, for digests: places are left out, what is not a string is marked as such, and so are tags.
    /// Two values that differ in anything but places never have one JSON: a key that begins with `!` gets another one.
    pub fn to_json(&self) -> serde_json::Value {
        let value = match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Text(text) => text.as_str().into(),
            Value::Plain(text) => json!({ "!": text }),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                let pairs = entries.iter().map(|(key, node)| (key.to_json(), node.to_json()));
                serde_json::Value::Object(pairs.collect())
            }
        };
        match &self.tag {
            None => value,
            Some(tag) => json!({ "!tag": [tag, value] }),
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

impl Key {
    fn to_json(&self) -> String {
        if self.name.starts_with('!') { format!("!{}", self.name) } else { self.name.clone() }
    }
}
