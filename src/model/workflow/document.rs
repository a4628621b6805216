//! A workflow file: its events, jobs and steps, and the expressions in them.

use super::{
    super::yaml::{self, Key, Node, Value, YamlError},
    expression::{self, Expr, Part, Path},
    places::Places,
};

/// A workflow file that could be read.
#[derive(Debug)]
pub struct Workflow {
    /// The file, as it is named in findings.
    pub file: String,
    /// The base branch: what is applied.
    pub base: String,
    /// Everything in it.
    pub root: Node,
    places: Places,
}

/// A job.
#[derive(Debug, Clone, Copy)]
pub struct Job<'w> {
    /// Its name, and where it stands.
    pub key: &'w Key,
    /// Everything in it.
    pub node: &'w Node,
}

/// An event that starts the workflow.
#[derive(Debug, Clone)]
pub struct Event<'w> {
    /// Its name.
    pub name: &'w str,
    /// Where it stands.
    pub place: (usize, usize),
    /// What limits it, if anything is said.
    pub node: Option<&'w Node>,
}

/// An expression in a value.
#[derive(Debug)]
pub struct Used<'w> {
    /// Its text between the braces.
    pub inner: &'w str,
    /// The expression; `None` where it is not understood.
    pub expr: Option<Expr>,
    /// Where it stands.
    pub place: (usize, usize),
}

impl Workflow {
    /// Reads a file: YAML with anchors and merges, on the budget of a compose file.
    ///
    /// # Errors
    /// Where and why it is not YAML.
    pub fn parse(file: &str, bytes: &[u8], base: &str) -> Result<Self, YamlError> {
        let root = yaml::read_compose(bytes)?;
        let places = Places::of(String::from_utf8_lossy(bytes).into_owned());
        Ok(Self { file: file.to_owned(), base: base.to_owned(), root, places })
    }

    /// What starts it.
    pub fn events(&self) -> Vec<Event<'_>> {
        let Some(on) = self.root.get("on") else { return Vec::new() };
        let named = on.text().into_iter().map(|name| (name, on));
        let listed = on.items().iter().filter_map(|item| Some((item.text()?, item)));
        let plain = named.chain(listed).map(|(name, at)| Event { name, place: (at.line, at.column), node: None });
        let mapped = on.entries().iter().map(|(key, node)| Event {
            name: &key.name,
            place: (key.line, key.column),
            node: Some(node),
        });
        plain.chain(mapped).collect()
    }

    /// Whether an event of this name starts it.
    pub fn starts_on(&self, name: &str) -> bool {
        self.events().iter().any(|event| event.name == name)
    }

    /// The events of a pull request that start it, which run what the pull request says.
    pub fn pull_request_events(&self) -> Vec<Event<'_>> {
        self.events().into_iter().filter(|event| event.name.starts_with("pull_request")).collect()
    }

    /// Its jobs.
    pub fn jobs(&self) -> Vec<Job<'_>> {
        let jobs = self.root.get("jobs").map(Node::entries).unwrap_or_default();
        jobs.iter().map(|(key, node)| Job { key, node }).collect()
    }

    /// Where a needle stands in a value as it is written; the value's own place where that is not known.
    pub fn place_of(&self, node: &Node, needle: &str, nth: usize) -> (usize, usize) {
        self.places.find((node.line, node.column), needle, nth)
    }

    /// The expressions of one scalar.
    pub fn expressions<'w>(&self, node: &'w Node) -> Vec<Used<'w>> {
        let Some(text) = node.text() else { return Vec::new() };
        let found = expression::all(text);
        let used = found.into_iter().map(|found| {
            let written = format!("${{{{{}", found.inner.lines().next().unwrap_or_default());
            let nth = text[..found.at].matches(&written).count();
            Used { inner: found.inner, expr: found.expr, place: self.place_of(node, &written, nth) }
        });
        used.collect()
    }

    /// The expression of an `if`, which needs no braces.
    pub fn condition(&self, node: &Node) -> Option<Expr> {
        let text = node.text()?;
        match expression::all(text).as_slice() {
            [] => expression::parse(text),
            [only] if text.trim().starts_with("${{") && text.trim().ends_with("}}") => only.expr.clone(),
            [_, ..] => None,
        }
    }
}

impl<'w> Job<'w> {
    /// Its steps.
    pub fn steps(self) -> &'w [Node] {
        self.node.get("steps").map(Node::items).unwrap_or_default()
    }

    /// Its scripts: steps that have one, with it.
    pub fn scripts(self) -> impl Iterator<Item = (&'w Node, &'w Node, &'w str)> {
        self.steps().iter().filter_map(|step| {
            let run = step.get("run")?;
            Some((step, run, run.text()?))
        })
    }
}

/// Every scalar in a value, however deep, without keys.
pub fn scalars(node: &Node) -> Vec<&Node> {
    match &node.value {
        Value::Null => Vec::new(),
        Value::Text(_) | Value::Plain(_) => vec![node],
        Value::List(items) => items.iter().flat_map(scalars).collect(),
        Value::Map(entries) => entries.iter().flat_map(|(_, value)| scalars(value)).collect(),
    }
}

/// Whether a value is the boolean `wanted`.
pub fn is_bool(node: &Node, wanted: bool) -> bool {
    node.text() == Some(if wanted { "true" } else { "false" })
}

/// The name of a secret that a path leads to: `secrets.NAME`, or the token of the run. `*`: any of them.
pub fn secret(path: &[Part]) -> Option<String> {
    let name = |part: Option<&Part>| match part {
        Some(Part::Name(name)) => name.clone(),
        Some(Part::Any) | None => "*".to_owned(),
    };
    match path {
        [Part::Name(first), rest @ ..] if first == "secrets" => Some(name(rest.first())),
        [Part::Name(first), Part::Name(second), ..] if first == "github" && second == "token" => {
            Some("github_token".to_owned())
        }
        _ => None,
    }
}

/// Whether a secret is the token that the server makes for each run.
pub fn is_automatic(name: &str) -> bool {
    matches!(name, "github_token" | "forgejo_token" | "gitea_token")
}

/// The secrets in a path's value, where the path may be a whole context.
pub fn is_whole_context(path: &Path) -> bool {
    match path.as_slice() {
        [Part::Name(only)] => only == "github" || only == "secrets",
        [Part::Name(first), Part::Any, ..] => first == "github" || first == "secrets",
        _ => false,
    }
}
