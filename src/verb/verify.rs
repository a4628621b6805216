//! Verify: checks the complete record, from its first commit, and that the remote has the same.

use serde::Serialize;

use crate::{
    flow::{Stage, approve::request::Request, refuse},
    model::{
        ids::{Oid, RunId},
        policy::SignPolicy,
        refusal::Code,
    },
    port::Ports,
    verb::{
        alarms, fetch,
        history::local,
        notices::{Notice, unpinned},
        recorded::Recorded,
    },
};

/// What was verified.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Verified {
    /// There is no record, here or on the remote.
    Nothing {
        /// How many records: 0.
        records: u64,
    },
    /// The complete record.
    Record(Box<Whole>),
}

/// A record that was verified from its first commit.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Whole {
    /// How many records.
    pub records: u64,
    /// The first one.
    pub genesis: Oid,
    /// The newest one.
    pub record: Recorded,
    /// The newest one's commit.
    #[serde(skip)]
    pub tip: Oid,
    /// Run ids that more than one module used.
    #[serde(skip)]
    pub twice: Vec<RunId>,
    /// What the remote has; `None` where it was not asked.
    #[serde(skip)]
    pub remote: Option<RemoteHas>,
    /// Whether the policy asks for signatures, which this version does not check.
    #[serde(skip)]
    pub unchecked_signatures: bool,
    /// What an operator should know.
    #[serde(skip)]
    pub notices: Vec<Notice>,
}

/// What the remote has of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteHas {
    /// The same, on this remote.
    Same(String),
    /// Nothing: the policy keeps the record on this machine.
    Nothing,
}

/// Verifies the complete record. `offline`: as this clone has it, without asking the remote.
///
/// # Errors
/// There is none, it is not valid, the remote has another one, or a record waits here to be delivered.
pub fn verify(ports: &Ports<'_>, offline: bool) -> Stage<Verified> {
    let verified = verified(ports, offline);
    if offline { verified } else { alarms::or_tell(ports, verified) }
}

fn verified(ports: &Ports<'_>, offline: bool) -> Stage<Verified> {
    let fetched = if offline { None } else { Some(fetch::refresh(ports, &Request::default())?) };
    if fetched.is_some() && ports.ledger.tip()?.is_none() {
        return Ok(Verified::Nothing { records: 0 });
    }
    let tip = local(ports)?.tip();
    let record = match &fetched {
        Some(fetched) => fetch::record(ports, &fetched.policy.policy),
        None => fetch::unasked(ports),
    };
    let (records, checked, twice) = record.verify_all(tip)?;
    if !ports.ledger.notes("spool")?.is_empty() {
        let fact = "a record waits here that the remote does not have";
        return refuse(Code::Unrecorded, fact, "platformctl state fetch");
    }
    let state = fetched.as_ref().map(|fetched| &fetched.policy.policy.state);
    let remote = state.map(|state| match state.is_local() {
        true => RemoteHas::Nothing,
        false => RemoteHas::Same(ports.remote.name().to_owned()),
    });
    Ok(Verified::Record(Box::new(Whole {
        records,
        genesis: checked.genesis,
        record: Recorded { commit: Some(tip), ..Recorded::checked(&checked, fetched.is_some()) },
        tip,
        twice,
        remote,
        unchecked_signatures: state.is_some_and(|state| state.sign == SignPolicy::Required),
        notices: fetched.iter().filter_map(|fetched| unpinned(fetched, Some(checked.genesis))).collect(),
    })))
}
