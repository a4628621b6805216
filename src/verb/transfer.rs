//! Transfer: the record to and from the remote, as `state fetch` and `state push` ask for it.

use serde::Serialize;

use crate::{
    flow::{Stage, approve::request::Request, refuse},
    ledger::recover,
    model::{ids::Oid, refusal::Code},
    port::{Ports, Pushed},
    record::Record,
    verb::{
        fetch,
        notices::{self, Notice},
        recorded::Recorded,
    },
};

/// The record was fetched and verified.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FetchedRecord {
    /// Its newest commit; null where there is none yet.
    pub record: Option<Newest>,
    /// How many records waited here and were delivered.
    pub delivered: usize,
    /// What an operator should know.
    #[serde(skip)]
    pub notices: Vec<Notice>,
}

/// The newest record.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Newest {
    /// Its commit.
    pub commit: Oid,
    /// Its place in the record.
    pub seq: u64,
}

/// The remote has the record of this clone.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PushedRecord {
    /// The newest record.
    pub record: Recorded,
    /// Its place in the record.
    #[serde(skip)]
    pub seq: u64,
    /// Whether the remote had it before.
    #[serde(skip)]
    pub was_there: bool,
}

/// Fetches and verifies the record, and delivers what waits here.
///
/// # Errors
/// As [`fetch::refresh`].
pub fn fetched(ports: &Ports<'_>) -> Stage<FetchedRecord> {
    let fetched = fetch::refresh(ports, &Request::default())?;
    Ok(FetchedRecord {
        record: fetched.checked.as_ref().map(|checked| Newest { commit: checked.id, seq: checked.event.seq }),
        delivered: fetched.delivered,
        notices: notices::all(ports, &fetched),
    })
}

/// Pushes a record that the remote lacks, after checking all of it. It is never forced: the remote must be behind.
///
/// # Errors
/// There is no record, it is not valid, the remote has another one or refuses it, or gives no answer.
pub fn pushed(ports: &Ports<'_>) -> Stage<PushedRecord> {
    let Some(tip) = ports.ledger.tip()? else {
        return refuse(Code::NoState, "there is no record here", "platformctl state fetch");
    };
    let record = Record { remote: Some(ports.remote), ..fetch::unasked(ports) };
    let (_, checked, _) = record.verify_all(tip)?;
    let refs = ports.remote.refs(false)?;
    let seq = checked.event.seq;
    let done = |was_there| {
        Ok(PushedRecord { record: Recorded { commit: Some(tip), seq: Some(seq), on_remote: true }, seq, was_there })
    };
    if refs.state == Some(tip) {
        return done(true);
    }
    if let Some(theirs) = refs.state
        && !(ports.source.has(theirs)? && recover::contains(ports.source, tip, theirs)?)
    {
        let fact = format!("the remote has the record {theirs}, which is not contained here ({tip})");
        return refuse(Code::StateForked, fact, "platformctl state fetch");
    }
    match ports.remote.push_state(tip)? {
        Pushed::Accepted => {}
        Pushed::Refused(error) => return Err(error.into()),
        // The answer is looked for, not guessed.
        Pushed::Rejected(why) | Pushed::Unknown(why) => {
            if ports.remote.refs(false)?.state != Some(tip) {
                let fact = format!("the remote did not take the record: {why}");
                let fix = "check that you may push refs/platform/state, then try again";
                return refuse(Code::RemoteUnreachable, fact, fix);
            }
        }
    }
    done(false)
}
