//! Recovery as a command asks for it: one question, one fetch, and what could be done.

use serde::Serialize;

use crate::{
    flow::{Stage, refuse},
    ledger::event::VOIDS_MAX,
    model::{ids::Oid, reason::Reason, refusal::Code},
    port::{Phase, Ports, Step, Want},
    record::recovery::Recovery,
    tree::module::PolicyAt,
    verb::{
        fetch::{base_of, known_policy, policy_at, record},
        recorded::Recorded,
    },
};

/// The record continues from its last valid one.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Recovered {
    /// The record of it.
    pub record: Recorded,
    /// The last good record.
    pub good: Oid,
    /// The commit that was the newest and is displaced.
    pub displaced: Oid,
    /// What is wrong with the first record that is not valid.
    pub fault: String,
    /// The commits that are no longer part of the record, parents first; at most 100 of them.
    pub voided: Vec<Oid>,
    /// How many these are in all.
    pub voided_count: usize,
    /// The place of the new record.
    #[serde(skip)]
    pub seq: u64,
    /// The first record that is not valid.
    #[serde(skip)]
    pub wrong: Oid,
}

/// Goes on from the last good record.
///
/// # Errors
/// The record is valid, or as [`recovery`].
pub fn recover(ports: &Ports<'_>, why: &Reason) -> Stage<Recovered> {
    let (policy, found) = recovery(ports)?;
    let record = record(ports, &policy.policy);
    let Some(found) = found else {
        return refuse(Code::Usage, "the record is valid: there is nothing to recover from", "platformctl state fetch");
    };
    let done = record.recover(&found, why.as_str())?;
    Ok(Recovered {
        record: Recorded::of(&done),
        good: found.good.id,
        displaced: found.displaced,
        fault: found.fault.to_string(),
        voided: found.voids.iter().take(VOIDS_MAX).copied().collect(),
        voided_count: found.voids.len(),
        seq: done.seq,
        wrong: found.fault.commit,
    })
}

/// What a recovery could do, after one question and one fetch, and the policy of the base; `None` if the record is
/// valid.
///
/// # Errors
/// No answer, no valid policy, or a record that was rewound, replaced or removed: that is fixed in other ways.
pub fn recovery(ports: &Ports<'_>) -> Stage<(PolicyAt, Option<Recovery>)> {
    (ports.tell)(Step::Began(Phase::Fetch));
    let refs = ports.remote.refs(false)?;
    let p = base_of(ports, &refs)?;
    let wants: Vec<Want> = [Want::Base].into_iter().chain(refs.state.map(|_| Want::State)).collect();
    ports.remote.fetch(&wants)?;
    // Where the record is, and what pins it, is the word of the policy in force; P's own counts only where nothing is
    // recorded.
    let policy = known_policy(ports)?.map_or_else(|| policy_at(ports, p), Ok)?;
    let record = record(ports, &policy.policy);
    let error = match record.sync(&refs) {
        Ok(_) => return Ok((policy, None)),
        Err(error) if error.code == Code::StateInvalid => error,
        Err(error) => return Err(error.into()),
    };
    let tip = if record.remote.is_some() { refs.state } else { ports.ledger.tip()? };
    match tip.map(|tip| record.peeled(tip)).transpose()? {
        Some(tip) => {
            let found = record.recovery(tip)?;
            Ok((policy, found))
        }
        None => Err(error.into()),
    }
}
