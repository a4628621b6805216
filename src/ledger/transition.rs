//! The states of a run, and every step between them.

use super::event::Kind;

/// The state of a run in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It has no lock: it has not begun, or it has ended.
    Absent,
    /// An intent of this kind is recorded and has its lock.
    Open(Kind),
}

/// An event that may not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {state:?} cannot have the event {kind:?}")]
pub struct Illegal {
    /// The run before.
    pub state: RunState,
    /// The event.
    pub kind: Kind,
}

/// Returns the run's state after an event of `kind`.
///
/// # Errors
/// The event may not follow.
// One match on purpose: what is not written here is illegal.
pub fn next(state: RunState, kind: Kind) -> Result<RunState, Illegal> {
    use RunState::{Absent, Open};
    match (state, kind) {
        (Absent, Kind::ApplyIntent | Kind::RollbackIntent | Kind::RemoveIntent) => Ok(Open(kind)),
        (Open(Kind::ApplyIntent), Kind::ApplyOutcome)
        | (Open(Kind::RollbackIntent), Kind::RollbackOutcome)
        | (Open(Kind::RemoveIntent), Kind::RemoveOutcome)
        | (Open(_), Kind::Takeover) => Ok(Absent),
        // A gate is passed before the run begins that it is passed for.
        (Absent, Kind::LateOutcome | Kind::ApplyNoop | Kind::Adopt | Kind::Move | Kind::Prune | Kind::BreakGlass) => {
            Ok(Absent)
        }
        (state, Kind::Genesis | Kind::Policy | Kind::Observe | Kind::Annotate | Kind::Recover | Kind::Heartbeat) => {
            Ok(state)
        }
        (state, kind) => Err(Illegal { state, kind }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RunState::{Absent, Open};

    #[test]
    fn a_run_has_one_intent_and_one_outcome() {
        for intent in Kind::ALL.iter().copied().filter(|kind| kind.opens()) {
            let outcome = intent.outcome().unwrap();
            assert_eq!(next(Absent, intent), Ok(Open(intent)));
            assert!(next(Open(intent), intent).is_err(), "{intent:?}: opened twice");
            assert_eq!(next(Open(intent), outcome), Ok(Absent));
            assert!(next(Absent, outcome).is_err(), "{intent:?}: an outcome without an intent");
            assert_eq!(next(Open(intent), Kind::Takeover), Ok(Absent));
            for other in Kind::ALL.iter().filter(|kind| (kind.closes() || kind.begins()) && **kind != outcome) {
                assert!(next(Open(intent), *other).is_err(), "{other:?} on a run with {intent:?}");
            }
            assert!(next(Open(intent), Kind::LateOutcome).is_err(), "late only after a takeover");
            assert!(next(Open(intent), Kind::BreakGlass).is_err(), "a gate is passed before the run begins");
        }
        assert!(next(Absent, Kind::Takeover).is_err());
    }
}
