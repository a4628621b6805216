//! The states of a run, and every step between them.

use super::event::Kind;

/// What the record says of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It holds no lock: not begun, or ended.
    Absent,
    /// Its intent is recorded and it holds its lock.
    Open,
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
    match (state, kind) {
        (RunState::Absent, Kind::ApplyIntent) => Ok(RunState::Open),
        (RunState::Open, Kind::ApplyOutcome | Kind::Takeover) => Ok(RunState::Absent),
        (RunState::Absent, Kind::LateOutcome | Kind::ApplyNoop) => Ok(RunState::Absent),
        (state, Kind::Genesis | Kind::Policy | Kind::BreakGlass | Kind::Annotate | Kind::Recover) => Ok(state),
        (state, kind) => Err(Illegal { state, kind }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RunState::{Absent, Open};

    #[test]
    fn a_run_has_one_intent_and_one_outcome() {
        assert_eq!(next(Absent, Kind::ApplyIntent), Ok(Open));
        assert!(next(Open, Kind::ApplyIntent).is_err(), "opened twice");
        assert_eq!(next(Open, Kind::ApplyOutcome), Ok(Absent));
        assert!(next(Absent, Kind::ApplyOutcome).is_err(), "an outcome without an intent");
        assert_eq!(next(Open, Kind::Takeover), Ok(Absent));
        assert!(next(Absent, Kind::Takeover).is_err());
        assert!(next(Open, Kind::LateOutcome).is_err(), "late only after a takeover");
        assert!(next(Open, Kind::ApplyNoop).is_err());
    }
}
