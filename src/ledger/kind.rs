//! The kinds of events. Every kind that a record can have is named here, also where no command writes it yet: a reader
//! that does not know a kind cannot go on.

use serde::{Deserialize, Serialize};

/// Declares the kinds with their names.
macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// What kind of thing happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Kind {
            /// Every kind, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The kind as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

kinds! {
    /// The first record.
    Genesis "genesis";
    /// The policy in force changed.
    Policy "policy";
    /// An apply is about to begin; opens a run.
    ApplyIntent "apply.intent";
    /// An apply ended; closes its run.
    ApplyOutcome "apply.outcome";
    /// Nothing to change, but the deployment advances to a newer merge result.
    ApplyNoop "apply.noop";
    /// An older release is about to be activated again; opens a run.
    RollbackIntent "rollback.intent";
    /// A rollback ended; closes its run.
    RollbackOutcome "rollback.outcome";
    /// A deployment is about to be removed; opens a run.
    RemoveIntent "remove.intent";
    /// A removal ended; closes its run.
    RemoveOutcome "remove.outcome";
    /// What runs already is what a merged pull request describes: it is taken over as it is.
    Adopt "adopt";
    /// A deployment continues under another name or on another host.
    Move "move";
    /// Old releases and files were deleted from a host.
    Prune "prune";
    /// A host was looked at and compared with the record, or people were told how a deployment is.
    Observe "observe";
    /// An open run was taken over by a person.
    Takeover "takeover";
    /// A result that arrived after a takeover.
    LateOutcome "late-outcome";
    /// A gate is passed on purpose, with a reason.
    BreakGlass "break-glass";
    /// A remark.
    Annotate "annotate";
    /// A return to the last good record; has two parents.
    Recover "recover";
    /// A sign that the writer of the record is still at work.
    Heartbeat "heartbeat";
}

impl Kind {
    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }

    /// The kind of the outcome that answers an intent of this kind; `None` if it opens no run.
    pub const fn outcome(self) -> Option<Self> {
        match self {
            Self::ApplyIntent => Some(Self::ApplyOutcome),
            Self::RollbackIntent => Some(Self::RollbackOutcome),
            Self::RemoveIntent => Some(Self::RemoveOutcome),
            Self::Genesis
            | Self::Policy
            | Self::ApplyOutcome
            | Self::ApplyNoop
            | Self::RollbackOutcome
            | Self::RemoveOutcome
            | Self::Adopt
            | Self::Move
            | Self::Prune
            | Self::Observe
            | Self::Takeover
            | Self::LateOutcome
            | Self::BreakGlass
            | Self::Annotate
            | Self::Recover
            | Self::Heartbeat => None,
        }
    }

    /// Whether it opens a run.
    pub const fn opens(self) -> bool {
        self.outcome().is_some()
    }

    /// Whether it is the outcome of a run that is open.
    pub const fn closes(self) -> bool {
        matches!(self, Self::ApplyOutcome | Self::RollbackOutcome | Self::RemoveOutcome)
    }

    /// Whether its run begins with it: no earlier record of the deployment has the run.
    pub const fn begins(self) -> bool {
        self.opens() || matches!(self, Self::ApplyNoop | Self::Adopt | Self::Move)
    }

    /// Whether only a person may write it. The others may also be given to a runner, by `signers` of platform.yaml.
    pub const fn needs_person(self) -> bool {
        matches!(
            self,
            Self::Genesis
                | Self::Policy
                | Self::Adopt
                | Self::Move
                | Self::Takeover
                | Self::BreakGlass
                | Self::Annotate
                | Self::Recover
        )
    }
}
