//! A YAML text as a tree that keeps what decides: places, tags, and plain values as they are spelled.
//!
//! The serde readers drop tags and spellings, so the parser's own events are composed here, by the rules that Compose's
//! reader has: an alias is a copy of what it names, `<<` merges, and what a mapping says itself stands before what it
//! merges.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's events may grow, and one that is not expected is refused"
)]

use std::{borrow::Cow, collections::BTreeMap};

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, Tag};

use super::{Key, Node, Value, YamlError, disagree};
use crate::model::text::shown;

/// How deep values may be nested.
pub(super) const DEPTH_MAX: usize = 32;
/// Most values of a file.
pub(super) const NODES_MAX: usize = 50_000;
/// Most bytes of all its texts together.
pub(super) const TEXT_BYTES_MAX: usize = 4 << 20;
/// How many times more of both it may be once aliases are followed.
const COPIES_MAX: usize = 4;
const MERGE: &str = "<<";

/// What a text may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Most anchors, and most aliases.
    pub(super) anchors: usize,
}

/// Reads a text twice and compares.
pub(super) fn read(text: &str, limits: Limits) -> Result<Node, YamlError> {
    let mut composer = Composer {
        parser: Parser::new_from_str_with_options(text, options()),
        limits,
        anchors: BTreeMap::new(),
        aliases: 0,
        written: Size::default(),
        copied: Size::default(),
    };
    let node = composer.document()?;
    let other: serde_yaml::Value = serde_yaml::from_str(text).map_err(|error| disagree(&error.to_string()))?;
    if let Some((line, column)) = differs(&node, &other) {
        let message = "two YAML readers disagree about this value: write it another way, or quote it".to_owned();
        return Err(YamlError { line, column, message });
    }
    merged(node)
}

fn options() -> Options {
    let mut options = Options::default();
    options.disallow_directives = true;
    options.block_scalar_eof_without_line_feed = true;
    options.flow_nesting_limit = DEPTH_MAX;
    options.block_nesting_limit = DEPTH_MAX;
    options
}

/// How large something is.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
}

impl Size {
    fn of(node: &Node) -> Self {
        let mut size = Self { nodes: 1, bytes: node.text().map_or(0, str::len) };
        let mut add = |more: Self| {
            size.nodes += more.nodes;
            size.bytes += more.bytes;
        };
        node.items().iter().for_each(|item| add(Self::of(item)));
        for (key, value) in node.entries() {
            add(Self { nodes: 0, bytes: key.name.len() });
            add(Self::of(value));
        }
        size
    }
}

struct Composer<'t> {
    parser: Parser<'t, StrInput<'t>>,
    limits: Limits,
    anchors: BTreeMap<usize, (Node, Size)>,
    aliases: usize,
    written: Size,
    copied: Size,
}

type Next<'t> = (Event<'t>, Span);

fn at(span: &Span) -> (usize, usize) {
    (span.start.line(), span.start.col() + 1)
}

fn error<T>(span: &Span, message: impl Into<String>) -> Result<T, YamlError> {
    let (line, column) = at(span);
    Err(YamlError { line, column, message: message.into() })
}

impl<'t> Composer<'t> {
    fn next(&mut self) -> Result<Next<'t>, YamlError> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(found)) => {
                let mark = found.marker();
                Err(YamlError { line: mark.line(), column: mark.col() + 1, message: shown(&found.info()) })
            }
            None => Err(YamlError { line: 0, column: 0, message: "the file ends too early".to_owned() }),
        }
    }

    fn document(&mut self) -> Result<Node, YamlError> {
        let mut found = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if found.is_some() => {
                    return error(&span, "the file contains more than one document");
                }
                event if event.is_node() => found = Some(self.node((event, span), 1)?),
                _ => {}
            }
        }
        let empty = Node { line: 1, column: 1, tag: None, value: Value::Null };
        Ok(found.unwrap_or(empty))
    }

    fn grow(&mut self, span: &Span, bytes: usize) -> Result<(), YamlError> {
        self.written.nodes += 1;
        self.written.bytes += bytes;
        if self.written.nodes > NODES_MAX || self.written.bytes > TEXT_BYTES_MAX {
            return error(span, "the file contains too many values");
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, span: &Span) -> Result<Node, YamlError> {
        self.aliases += 1;
        let too_many = "aliases (*name) are not allowed here, or there are too many";
        if self.aliases > self.limits.anchors {
            return error(span, too_many);
        }
        let Some((node, size)) = self.anchors.get(&id) else {
            return error(span, "an alias is inside the value that it refers to");
        };
        self.copied.nodes += size.nodes;
        self.copied.bytes += size.bytes;
        if self.copied.nodes > COPIES_MAX * NODES_MAX || self.copied.bytes > COPIES_MAX * TEXT_BYTES_MAX {
            return error(span, too_many);
        }
        Ok(node.clone())
    }

    fn node(&mut self, (event, span): Next<'t>, depth: usize) -> Result<Node, YamlError> {
        if depth > DEPTH_MAX {
            return error(&span, "values are nested too deeply");
        }
        let (anchor, value, tag) = match event {
            Event::Alias(id) => return self.alias(id, &span),
            Event::Scalar(text, style, anchor, tag) => {
                self.grow(&span, text.len())?;
                let tag = tagged(tag.as_deref(), &span)?;
                (anchor, scalar(text, style, tag.as_deref()), tag)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.grow(&span, 0)?;
                (anchor, self.list(depth)?, tagged(tag.as_deref(), &span)?)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.grow(&span, 0)?;
                (anchor, self.map(depth)?, tagged(tag.as_deref(), &span)?)
            }
            _ => return error(&span, "a value is missing here"),
        };
        let (line, column) = at(&span);
        let node = Node { line, column, tag, value };
        if anchor != 0 {
            if self.anchors.len() >= self.limits.anchors {
                return error(&span, "anchors (&name) are not allowed here, or there are too many");
            }
            self.anchors.insert(anchor, (node.clone(), Size::of(&node)));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut items = Vec::new();
        loop {
            let next = self.next()?;
            if matches!(next.0, Event::SequenceEnd) {
                return Ok(Value::List(items));
            }
            items.push(self.node(next, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut entries: BTreeMap<String, ()> = BTreeMap::new();
        let mut ordered = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let name = match event {
                Event::MappingEnd => return Ok(Value::Map(ordered)),
                Event::Scalar(text, style, 0, None) => {
                    self.grow(&span, text.len())?;
                    let plain = style == ScalarStyle::Plain;
                    if plain && is_null(&text) {
                        return error(&span, "a key is empty");
                    }
                    if !plain && text == MERGE {
                        return error(
                            &span,
                            "a quoted << is read in two ways: leave out the quotes, or give the key another name",
                        );
                    }
                    text.into_owned()
                }
                _ => return error(&span, "a key is not a plain word"),
            };
            if entries.insert(name.clone(), ()).is_some() {
                return error(&span, format!("the key {} is there twice", shown(&name)));
            }
            let (line, column) = at(&span);
            let next = self.next()?;
            ordered.push((Key { line, column, name }, self.node(next, depth + 1)?));
        }
    }
}

/// A tag that is understood: Compose's two, and those of YAML itself.
fn tagged(tag: Option<&Tag>, span: &Span) -> Result<Option<String>, YamlError> {
    let Some(tag) = tag else { return Ok(None) };
    if let Some(core) = tag.core_suffix() {
        return Ok(Some(format!("!!{core}")));
    }
    match (tag.handle(), tag.suffix()) {
        ("!", "reset") => Ok(Some("!reset".to_owned())),
        ("!", "override") => Ok(Some("!override".to_owned())),
        _ => error(span, format!("the tag {} is not understood", shown(&tag.original()))),
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&str>) -> Value {
    if tag == Some("!!str") || (style != ScalarStyle::Plain && !tag.is_some_and(|tag| tag.starts_with("!!"))) {
        Value::Text(text.into_owned())
    } else if is_null(&text) {
        Value::Null
    } else if may_be_number(&text) || tag.is_some_and(|tag| tag.starts_with("!!")) {
        Value::Plain(text.into_owned())
    } else {
        Value::Text(text.into_owned())
    }
}

/// Whether some YAML reader may take a plain scalar for a number, a boolean or a date.
fn may_be_number(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(&lower);
    let number = || unsigned.bytes().all(|b| b.is_ascii_hexdigit() || b"xo_.+-:tz ".contains(&b));
    matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n")
        || matches!(unsigned, ".inf" | ".nan")
        || (unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') && number())
}

/// Where the second reader sees something else, if it does.
fn differs(node: &Node, other: &serde_yaml::Value) -> Option<(usize, usize)> {
    use serde_yaml::Value as Other;
    let here = Some((node.line, node.column));
    let local = node.tag.as_deref().filter(|tag| !tag.starts_with("!!"));
    let other = match (local, other) {
        (Some(tag), Other::Tagged(other)) if other.tag == tag => &other.value,
        (None, Other::Tagged(_)) | (Some(_), _) => return here,
        (None, other) => other,
    };
    let same = match (&node.value, other) {
        (Value::Null, Other::Null) | (Value::Plain(_), Other::Bool(_) | Other::Number(_)) => true,
        (Value::Text(text) | Value::Plain(text), Other::String(other)) => text == other,
        (Value::List(items), Other::Sequence(others)) => {
            if let Some(place) = items.iter().zip(others).find_map(|(item, other)| differs(item, other)) {
                return Some(place);
            }
            items.len() == others.len()
        }
        (Value::Map(entries), Other::Mapping(others)) => {
            let key = |key: &Key, other: &Other| other.as_str().is_none_or(|other| other == key.name);
            let pair = |((name, value), (other, others)): (&(Key, Node), (&Other, &Other))| {
                if key(name, other) { differs(value, others) } else { Some((name.line, name.column)) }
            };
            if let Some(place) = entries.iter().zip(others).find_map(pair) {
                return Some(place);
            }
            entries.len() == others.len()
        }
        _ => false,
    };
    if same { None } else { here }
}

/// The tree with its merge keys carried out.
fn merged(node: Node) -> Result<Node, YamlError> {
    let value = match node.value {
        Value::List(items) => Value::List(items.into_iter().map(merged).collect::<Result<_, _>>()?),
        Value::Map(entries) => Value::Map(merged_map(entries)?),
        value @ (Value::Null | Value::Text(_) | Value::Plain(_)) => value,
    };
    Ok(Node { value, ..node })
}

fn merged_map(entries: Vec<(Key, Node)>) -> Result<Vec<(Key, Node)>, YamlError> {
    let mut own = Vec::with_capacity(entries.len());
    let mut bases = Vec::new();
    for (key, value) in entries {
        let value = merged(value)?;
        if key.name != MERGE {
            own.push((key, value));
            continue;
        }
        let wrong = |message: &str| Err(YamlError { line: key.line, column: key.column, message: message.to_owned() });
        // What is overridden here would be dropped elsewhere all the same.
        if value.drops() {
            return wrong("what is merged by << has a tag in it: write it out where it belongs");
        }
        match value.value {
            Value::Map(_) => bases.push(value),
            Value::List(items) if items.iter().all(|item| matches!(item.value, Value::Map(_))) => bases.extend(items),
            Value::List(_) | Value::Null | Value::Text(_) | Value::Plain(_) => {
                return wrong("<< merges mappings, and this is not a mapping");
            }
        }
    }
    for base in bases {
        if let Value::Map(entries) = base.value {
            for (key, value) in entries {
                if !own.iter().any(|(known, _)| known.name == key.name) {
                    own.push((key, value));
                }
            }
        }
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Result<Node, YamlError> {
        read(text, Limits { anchors: 10 })
    }

    #[test]
    fn tags_and_scalar_spelling_are_kept() {
        let json = |text: &str| tree(text).unwrap().to_json().to_string();
        let differ = [
            "a: 0440",
            "a: 440",
            "a: \"440\"",
            "a: 1.0",
            "a: 1",
            "a: !reset 1",
            "a: !override 1",
            "a: !!str 1",
            "a: [1]",
            "a: {\"!\": \"1\"}",
            "a: {\"!!\": \"1\"}",
            "a: {\"!tag\": [\"!reset\", x]}",
            "a: !reset x",
            "a: ~",
            "a: \"\"",
            "a: true",
            "a: \"true\"",
            "a: 0x1F",
            "a: 2001-01-01",
            "a: 12e3",
            "a: .inf",
        ];
        let all: std::collections::BTreeSet<String> = differ.iter().map(|text| json(text)).collect();
        assert_eq!(all.len(), differ.len());
        assert_eq!(json("a: x"), json("a:    'x' # said"));
    }

    #[test]
    fn merge_keys_match_compose() {
        let text = "x: &x {a: 1, b: 1, c: 1}\ny: &y\n  <<: *x\n  b: 2\nz:\n  c: 3\n  <<: [*y, {d: 4, a: 9}]\n";
        let node = tree(text).unwrap();
        let z = node.get("z").unwrap();
        let said: Vec<_> = ["a", "b", "c", "d"].iter().map(|key| z.get(key).unwrap().text().unwrap()).collect();
        assert_eq!(said, ["1", "2", "3", "4"]);
        assert_eq!(z.entries().len(), 4);
    }

    #[test]
    fn ambiguous_compose_yaml_is_refused() {
        for (text, at) in [
            ("a: 1\na: 2\n", (2, 1)),
            ("a: 1\n\"<<\": {b: 1}\n", (2, 1)),
            ("a: !secret x\n", (1, 12)),
            ("? [a]\n: b\n", (1, 3)),
            ("~: b\n", (1, 1)),
            ("a: *b\n", (1, 4)),
            ("a: &a [*a]\n", (1, 8)),
            ("a: 1\n---\nb: 1\n", (2, 1)),
            ("%TAG ! tag:x,2000:\n---\na: !reset 1\n", (1, 1)),
            ("x: &x {a: !reset 1}\nb:\n  <<: *x\n  a: 2\n", (3, 3)),
            ("b:\n  <<: 5\n", (2, 3)),
        ] {
            let found = tree(text).unwrap_err();
            assert_eq!((found.line, found.column), at, "{text:?}: {found}");
        }
        // Parsers of YAML 1.1 and 1.2 part ways here.
        for text in ["a: !!binary aGk=\n", "a: !<tag:x> 1\n"] {
            assert!(tree(text).is_err(), "{text:?}");
        }
        // One parser sees a text of one line here, the other an empty one and a comment.
        assert!(tree("|\n#: x\n").unwrap_err().message.contains("two YAML readers disagree"));
        assert_eq!(tree("a: |\n  x").unwrap().get("a").unwrap().text(), Some("x"), "as Compose's reader has it");
        let many: String = (0..12).map(|n| format!("a{n}: &a{n} 1\n")).collect();
        assert!(tree(&many).is_err());
    }
}
