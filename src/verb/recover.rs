//! Recovery as a command asks for it: one question, one fetch, and what could be done.

use crate::{
    flow::Stage,
    model::refusal::Code,
    port::{Ports, Want},
    record::recovery::Recovery,
    tree::module::PolicyAt,
    verb::fetch::{base_of, known_policy, policy_at, record},
};

/// What could be recovered from, after one question and one fetch, and the policy of the base; `None` if the record holds.
///
/// # Errors
/// No answer, no policy that holds, or a record that was rewound, replaced or removed: that has other cures.
pub fn recovery(ports: &Ports<'_>) -> Stage<(PolicyAt, Option<Recovery>)> {
    let refs = ports.remote.refs(false)?;
    let p = base_of(ports, &refs)?;
    let wants: Vec<Want> = [Want::Base].into_iter().chain(refs.state.map(|_| Want::State)).collect();
    ports.remote.fetch(&wants)?;
    // Where the record is, and what pins it, is the word of the policy in force; P's own counts only where nothing is recorded.
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
