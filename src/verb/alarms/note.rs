//! What was told from this clone and cannot be in the record: a note in its git folder.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{due::REMIND_S, what::What};
use crate::{
    model::{alarm::Condition, digest::Digest, ids::Deployment, notify::ChannelKind, time::Timestamp},
    port::{Answer, Ports},
};

/// The note.
const NOTE: &str = "alarms.json";

/// What was told from this clone, by condition and what it is about.
pub(super) type Told = BTreeMap<String, Entry>;

/// One alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub condition: Condition,
    pub deployment: Option<Deployment>,
    pub pr: Option<u64>,
    pub which: Digest,
    pub since: Timestamp,
    pub told: Timestamp,
    pub delivered: Vec<ChannelKind>,
}

/// What was told from this clone.
///
/// # Errors
/// The note cannot be read.
pub(super) fn read(ports: &Ports<'_>) -> Answer<Told> {
    // A note that cannot be read costs a message that is told again.
    Ok(ports.ledger.note(NOTE)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
}

/// Keeps what was told from this clone.
///
/// # Errors
/// The note cannot be written.
pub(super) fn write(ports: &Ports<'_>, told: &Told) -> Answer<()> {
    let bytes = serde_json::to_vec(told).unwrap_or_default();
    ports.ledger.set_note(NOTE, Some(&bytes).filter(|_| !told.is_empty()).map(Vec::as_slice))
}

/// Tells something that lasts by `send`, which returns the channels that took it, unless this clone told it a day ago or
/// less.
///
/// # Errors
/// The note cannot be read or written.
pub(super) fn once(
    ports: &Ports<'_>,
    now: Timestamp,
    what: &What<'_>,
    send: impl FnOnce() -> Vec<ChannelKind>,
) -> Answer<()> {
    let Some(condition) = what.condition else { return Ok(()) };
    let key = format!("{} {}", condition.as_str(), what.which);
    let mut told = read(ports)?;
    if told.get(&key).is_some_and(|entry| now < entry.told.plus_s(REMIND_S)) {
        return Ok(());
    }
    let delivered = send();
    if delivered.is_empty() {
        return Ok(());
    }
    let (deployment, pr, which, since) = (what.deployment.cloned(), what.pr, what.which, what.since);
    told.insert(key, Entry { condition, deployment, pr, which, since, told: now, delivered });
    write(ports, &told)
}
