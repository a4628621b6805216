//! Log: the record, newest first. Reads git alone.

use serde::Serialize;

use crate::{
    flow::Stage,
    ledger::{event::Event, state::State},
    model::{
        ids::{ModuleId, Oid},
        text,
        time::Timestamp,
    },
    port::Ports,
    verb::history::{absent, local},
};

/// Records, newest first.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Log {
    /// Each record.
    pub events: Vec<Logged>,
    /// When they were looked at.
    #[serde(skip)]
    pub now: Timestamp,
}

/// One record of the log.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Logged {
    /// Its commit.
    pub commit: Oid,
    /// The first line of its message, escaped.
    pub subject: String,
    /// Its event, as recorded.
    #[cfg_attr(test, schemars(with = "serde_json::Map<String, serde_json::Value>"))]
    pub event: Event,
}

/// The newest `count` records, of one module if that is given.
///
/// # Errors
/// There is no record, or it does not mention the module.
pub fn log(ports: &Ports<'_>, module: Option<&ModuleId>, count: usize) -> Stage<Log> {
    let state = local(ports)?;
    let mut next = Some(state.tip());
    let mut events = Vec::new();
    while let Some(commit) = next.filter(|_| events.len() < count) {
        let found = ports.source.commit(commit)?;
        next = found.parents.first().copied();
        let event = State::at(ports.source, commit)?.event()?;
        if module.is_some() && module != event.module.as_ref() {
            continue;
        }
        let subject = text::escaped_bytes(found.message.split(|b| *b == b'\n').next().unwrap_or_default());
        events.push(Logged { commit, subject, event });
    }
    match module.filter(|_| events.is_empty() && count > 0) {
        Some(module) => Err(absent(ports, &state, module)),
        None => Ok(Log { events, now: ports.clock.now() }),
    }
}
