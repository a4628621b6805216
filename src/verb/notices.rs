//! Notices: what an operator should know beside the answer. None of them stops a command.

use crate::{
    flow::gate::host::SKEW_MAX_S,
    model::{ids::Oid, policy::StatePolicy, time::Timestamp},
    port::Ports,
    verb::fetch::Fetched,
};

/// Something that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// So many records waited in this clone and were delivered.
    Delivered(usize),
    /// Why the recorded policy is in use although the base has another one.
    Policy(String),
    /// The policy was recorded as the first one, which no review proves.
    Baseline,
    /// The policy does not pin the first record, which is this one.
    Unpinned(Oid),
    /// The newest record has a time after this machine's.
    Future {
        /// The time of the record.
        record: Timestamp,
        /// This machine's time.
        now: Timestamp,
    },
    /// So many results can never be recorded.
    Undeliverable(usize),
    /// Something else, in words of its own.
    Words(String),
}

/// What the fetch found.
pub fn fetched(fetched: &Fetched) -> Vec<Notice> {
    let delivered = (fetched.delivered > 0).then_some(Notice::Delivered(fetched.delivered));
    delivered.into_iter().chain(fetched.notes().into_iter().map(Notice::Policy)).collect()
}

/// What the fetch found, and what is wrong with this clone or the clocks.
pub fn all(ports: &Ports<'_>, fetched: &Fetched) -> Vec<Notice> {
    let mut notices = self::fetched(fetched);
    let now = ports.clock.now();
    let newest = fetched.checked.as_ref().map(|checked| checked.event.time);
    let future = newest.filter(|time| *time > now.plus_s(SKEW_MAX_S));
    notices.extend(future.map(|record| Notice::Future { record, now }));
    let undeliverable = ports.ledger.notes("undelivered").unwrap_or_default().len();
    notices.extend((undeliverable > 0).then_some(Notice::Undeliverable(undeliverable)));
    notices
}

/// Advises to pin the first record, unless the policy in force does so or keeps the record on this machine.
pub fn unpinned(fetched: &Fetched, genesis: Option<Oid>) -> Option<Notice> {
    advice(&fetched.policy.policy.state, genesis?)
}

/// The same by a policy that need not be in force.
pub fn advice(policy: &StatePolicy, genesis: Oid) -> Option<Notice> {
    (policy.genesis.is_empty() && !policy.is_local()).then_some(Notice::Unpinned(genesis))
}
