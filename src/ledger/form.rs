//! The form of a record: every byte of its commit is given by its event.

use serde_json::Value;

use super::{
    event::{Event, Kind, SCHEMA},
    fault::Wrong,
};
use crate::{
    model::{digest::Digest, text::shown},
    port::Commit,
};

/// Reads `event.json`.
pub(super) fn event(bytes: &[u8]) -> Result<Event, Wrong> {
    let wrong = |found: String| Wrong::new("event", "an event that this version can read", found);
    let error = match serde_json::from_slice::<Event>(bytes) {
        Ok(event) => return Ok(event),
        Err(error) => error,
    };
    // Something that a newer version may have written is named, so that it is not mistaken for junk.
    let value: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(shown);
    Err(match (text("schema"), text("kind")) {
        (Some(schema), _) if schema != SCHEMA => Wrong::new("schema", SCHEMA, schema),
        (Some(_), Some(kind)) if !Kind::ALL.iter().any(|known| known.as_str() == kind) => {
            Wrong::new("kind", "a kind that this version knows", kind)
        }
        (Some(_) | None, _) => wrong(shown(&error.to_string())),
    })
}

/// The message is what the event gives.
pub(super) fn message(
    event: &Event,
    bytes: &[u8],
    commit: &Commit,
    render: impl Fn(&Event, Digest) -> Option<String>,
) -> Option<Wrong> {
    let expected = render(event, Digest::of(bytes));
    if expected.as_deref().map(str::as_bytes) == Some(commit.message.as_slice()) {
        return None;
    }
    let found = String::from_utf8_lossy(&commit.message);
    let Some(expected) = expected else {
        return Some(Wrong::new("message", "an event that a message can carry", shown(&found)));
    };
    // The first line that differs is clearer than two complete messages.
    let mut lines = found.split('\n');
    let wanted = expected.split('\n').find(|line| lines.next() != Some(*line)).unwrap_or_default();
    let has = found.split('\n').zip(expected.split('\n')).find(|(has, wanted)| has != wanted);
    let has = has.map_or("more or fewer lines".to_owned(), |(has, _)| format!("`{}`", shown(has)));
    Some(Wrong::new("message", format!("the line `{}`", shown(wanted)), has))
}

/// The headers are the ones that git needs and nothing else, each once, as this program writes them; a key that the
/// event names has signed.
pub(super) fn headers(event: &Event, commit: &Commit) -> Option<Wrong> {
    let (name, email) = &commit.author;
    let author = format!("{} <{}>", event.actor.name, event.actor.email);
    if (name, email) != (&event.actor.name, &event.actor.email) {
        return Some(Wrong::new(
            "author",
            format!("the actor of the event, {}", shown(&author)),
            shown(&format!("{name} <{email}>")),
        ));
    }
    let mut wanted: Vec<String> = vec![format!("tree {}", commit.tree)];
    wanted.extend(commit.parents.iter().map(|parent| format!("parent {parent}")));
    let seconds = event.time.unix_s();
    wanted.push(format!("author {author} {seconds} +0000"));
    wanted.push(format!("committer platformctl <platformctl@localhost> {seconds} +0000"));
    if let Some(signature) = &commit.signature {
        let text = String::from_utf8_lossy(signature);
        wanted.extend(format!("gpgsig {}", text.replace('\n', "\n ")).split('\n').map(str::to_owned));
    }
    let mut head = wanted.join("\n");
    head.push_str("\n\n");
    let head_bytes = commit.raw.len().saturating_sub(commit.message.len());
    let found = commit.raw.get(..head_bytes).unwrap_or_default();
    if found != head.as_bytes() {
        let text = String::from_utf8_lossy(found);
        let mut lines = wanted.iter();
        let other =
            text.trim_end_matches('\n').split('\n').find(|line| lines.next().map(String::as_str) != Some(*line));
        let found = other.map_or("fewer".to_owned(), |line| format!("`{}`", shown(line)));
        return Some(Wrong::new("headers", "the headers that platformctl writes, each once", found));
    }
    match (&event.actor.key, &commit.signature) {
        (Some(key), None) => Some(Wrong::new("key", format!("a signature by {}", shown(key)), "none")),
        (Some(_) | None, _) => None,
    }
}
