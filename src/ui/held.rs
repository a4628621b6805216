//! The lines under *HELD*: how the containers ended, and their own output. They are never in the object for scripts,
//! and never recorded.

use super::{plural, wrapped};
use crate::{
    model::text::shown,
    verb::left::{Said, Told, Words},
};

/// Most containers that are shown.
const CONTAINERS_MAX: usize = 5;

/// The lines of a release that is held.
pub(super) fn lines(told: Option<&Told>) -> Vec<String> {
    match told.map(|told| (&told.words, told.logs)) {
        None => Vec::new(),
        Some((Ok(words), logs)) => of(words, logs),
        Some((Err(error), _)) => wrapped(&format!("! its containers could not be inspected: {error}"), ""),
    }
}

fn of(words: &Words, logs: bool) -> Vec<String> {
    // Where nothing is wrong with any, as far as the engine knows, each may tell why.
    let ill: Vec<&Said> = words.containers.iter().filter(|said| !said.is_well()).collect();
    let of: Vec<&Said> = if ill.is_empty() { words.containers.iter().collect() } else { ill };
    let mut lines: Vec<String> = of.iter().take(CONTAINERS_MAX).flat_map(|said| container(said)).collect();
    if let Some(more) = of.len().checked_sub(CONTAINERS_MAX).filter(|more| *more > 0) {
        lines.push(format!("! and {}", plural(more, "more container")));
    }
    if !words.unmasked.is_empty() {
        let files = words.unmasked.iter().map(|file| shown(file)).collect::<Vec<_>>().join(", ");
        let why =
            format!("! what they said is not shown: the values of {files} cannot be read, so they cannot be masked");
        lines.extend(wrapped(&why, ""));
    } else if !logs && !of.is_empty() {
        lines.push("  (apply --retry --logs shows their last lines)".to_owned());
    }
    lines
}

fn container(said: &Said) -> Vec<String> {
    let health = said.health.as_deref().filter(|health| *health != "none");
    let health = health.map_or_else(String::new, |health| format!(", {}", shown(health)));
    let ended = match said.status.as_str() {
        "exited" | "dead" | "restarting" => format!(" with code {}", said.exit),
        _ => String::new(),
    };
    let memory = if said.oom { ", killed for want of memory" } else { "" };
    let name = shown(said.name.trim_start_matches('/'));
    let mut lines = vec![format!("✗ {name}: {}{ended}{memory}{health}", shown(&said.status))];
    let mut quoted = |what: &str, text: &[String]| {
        if !text.is_empty() {
            lines.push(format!("  {what}:"));
            lines.extend(text.iter().map(|line| format!("  | {line}").trim_end().to_owned()));
        }
    };
    if health != ", healthy" {
        quoted("its health check said last", &said.check);
    }
    quoted("its last lines", &said.log);
    lines
}
