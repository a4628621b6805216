//! Blame: which world the operator is in. This file alone chooses the exit code.

use crate::{
    flow::{Stage, Stop},
    model::{
        ending::{Ending, Outcome},
        refusal::{Code, Refusal},
    },
    port::{Ended, PortError, ending},
    verb::apply::Applied,
};

/// Declares the exit classes.
macro_rules! classes {
    ($($variant:ident $exit:literal $world:literal)*) => {
        /// A class of ending. Its number is the exit code and tells which world the operator is in; numbers are never
        /// reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Class {
            $(#[doc = $world] $variant,)*
        }

        impl Class {
            /// Every class, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The exit code.
            pub const fn exit(self) -> u8 {
                match self { $(Self::$variant => $exit,)* }
            }

            /// The world it leaves, in one sentence.
            pub const fn world(self) -> &'static str {
                match self { $(Self::$variant => $world,)* }
            }

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }
        }
    };
}

classes! {
    Done 0 "Done as planned and recorded, or nothing to do; `outcome` tells which."
    Bug 1 "Internal error, state unknown: please report."
    Usage 2 "No host was changed. The command line, module, host, run or repository is wrong."
    Invalid 3 "No host was changed. A manifest, the policy, or a compose, plan or state file is invalid."
    Differs 4 "No host was changed. Only with `--exit-code`: changes are pending, or a host drifted."
    Refused 5 "No host was changed. The change is not allowed: a sacred path, a missing `allow` entry, data at risk, mutations disabled."
    NotApproved 6 "No host was changed. The approval is not proven: the id is malformed, abbreviated, unknown, unmerged or unreviewed."
    Mismatch 7 "No host was changed. Approval, checkout, plan and module do not match: out of scope, dirty, replayed, superseded, or a stale or foreign plan."
    Busy 8 "No host was changed. Another run is open, a freeze is in force, or other writers kept updating the record."
    Unreachable 9 "No host was changed. The remote or a host did not answer or is not suitable, credentials are missing or rejected, the clone is shallow, there is no record yet, or a program or disk on this machine failed. The message says which."
    RolledBack 10 "The change failed; it was rolled back, and the rollback was verified."
    Held 11 "Failed, left as it is."
    RollbackFailed 12 "The change failed and could not be rolled back: a person must look at the host."
    Partial 13 "Several targets ended differently: see the result."
    Unknown 14 "The connection was lost after the change was sent: run `resume`."
    Unrecorded 15 "Applied and healthy, but the record is not on the remote yet: run `resume`."
    Tampered 20 "The state ref was rewound or forked, is missing, or is invalid."
    Interrupted 130 "Interrupted: before `ship` at once, after it when the run can end safely. `resume` reports what happened."
}

/// The `outcome` of a result about a run. `recorded`: the record of it is on the remote.
pub const fn outcome(ending: Ending, recorded: bool) -> Outcome {
    match ending {
        Ending::Ok if recorded => Outcome::Applied,
        Ending::Ok => Outcome::Unrecorded,
        Ending::Failed => Outcome::Held,
        Ending::RolledBack => Outcome::RolledBack,
        Ending::Aborted => Outcome::Aborted,
        Ending::Unknown => Outcome::Unknown,
    }
}

impl Class {
    /// The class of a run. `recorded`: the record of it is on the remote.
    pub fn of_run(ended: &Ended, recorded: bool) -> Self {
        let code = ended.as_ref().map_or_else(|not_done| not_done.error().code, |_| Code::Unrecorded);
        match ending(ended) {
            Ending::Ok if recorded => Self::Done,
            Ending::Ok => Self::Unrecorded,
            Ending::Failed => Self::Held,
            Ending::RolledBack => Self::RolledBack,
            // An aborted run touched nothing, whatever the class of its code means elsewhere.
            Ending::Aborted => {
                let class = Self::of(code);
                let fits = class.is_untouched() || matches!(class, Self::Interrupted | Self::Tampered);
                if fits { class } else { Self::Refused }
            }
            Ending::Unknown => Self::Unknown,
        }
    }

    /// The class of an apply of one module.
    pub fn of_apply(applied: &Stage<Applied>) -> Self {
        match applied {
            Ok(Applied::Noop(_)) => Self::Done,
            Ok(Applied::Run(run)) => Self::of_run(&run.carried.ended, run.carried.is_recorded()),
            Err(Stop::Refused(refusals)) => Self::of_all(refusals),
            Err(Stop::Failed(error)) => Self::of(error.code),
        }
    }

    /// Whether nothing that runs was touched by a command that ends so.
    pub const fn is_untouched(self) -> bool {
        match self {
            Self::Usage
            | Self::Invalid
            | Self::Differs
            | Self::Refused
            | Self::NotApproved
            | Self::Mismatch
            | Self::Busy
            | Self::Unreachable => true,
            Self::Done
            | Self::Bug
            | Self::RolledBack
            | Self::Held
            | Self::RollbackFailed
            | Self::Partial
            | Self::Unknown
            | Self::Unrecorded
            | Self::Tampered
            | Self::Interrupted => false,
        }
    }

    /// Whether the command was refused rather than failed.
    pub const fn is_refusal(self) -> bool {
        match self {
            Self::Invalid | Self::Refused | Self::NotApproved | Self::Mismatch | Self::Busy | Self::Tampered => true,
            Self::Done
            | Self::Bug
            | Self::Usage
            | Self::Differs
            | Self::Unreachable
            | Self::RolledBack
            | Self::Held
            | Self::RollbackFailed
            | Self::Partial
            | Self::Unknown
            | Self::Unrecorded
            | Self::Interrupted => false,
        }
    }

    /// The class of a code.
    #[expect(clippy::too_many_lines, reason = "one row for each code, in one table")]
    pub const fn of(code: Code) -> Self {
        match code {
            Code::MalformedId
            | Code::ShortId
            | Code::UnknownId
            | Code::HeadNotMerged
            | Code::BaseNotOurs
            | Code::EvilMerge
            | Code::IntermediateCommit
            | Code::NoPullRef
            | Code::AmbiguousPr
            | Code::StyleNotAllowed
            | Code::UnreviewedChange
            | Code::UnreviewedPolicy
            | Code::NotReviewed
            | Code::ChangesRequested
            | Code::StatusMissing
            | Code::ForgeDisagrees => Self::NotApproved,
            Code::HeadOfOtherPr
            | Code::NeverChangedByPr
            | Code::Replay
            | Code::Superseded
            | Code::CheckoutDiffers
            | Code::CheckoutDirty
            | Code::PlanStale
            | Code::PlanEdited
            | Code::PlanForeign
            | Code::PlanErrored => Self::Mismatch,
            Code::SacredPath
            | Code::Capability
            | Code::UnknownComposeKey
            | Code::ClosureIncomplete
            | Code::VariableUnset
            | Code::BindRelativeWritable
            | Code::BindNotReadOnly
            | Code::BindMissing
            | Code::DataAtRisk
            | Code::MutationsDisabled
            | Code::AlreadyRunningElsewhere
            | Code::ImageMissing
            | Code::SecretMissing
            | Code::DriverNotYet
            | Code::HeldRelease
            | Code::ApplyManual
            | Code::PolicyWaits
            | Code::NewDoor
            | Code::GlassNotAllowed
            | Code::ContentRefused => Self::Refused,
            Code::Busy | Code::Frozen | Code::Contention | Code::GlassOpen | Code::AfterNotApplied => Self::Busy,
            Code::RemoteUnreachable
            | Code::HostUnreachable
            | Code::DeliveryFailed
            | Code::HostUnfit
            | Code::HostKeyUnknown
            | Code::HostKeyChanged
            | Code::EngineUnreachable
            | Code::CredentialsMissing
            | Code::CredentialsRefused
            | Code::ForgeUnknown
            | Code::ForgeUnreachable
            | Code::ForgeAnswer
            | Code::ForgeNotFound
            | Code::ForgeMoved
            | Code::ForgeArchived
            | Code::TokenScope
            | Code::NotTold
            | Code::ShallowHistory
            | Code::ClockSkew
            | Code::ComposeTooOld
            | Code::SigningKeyMissing
            | Code::NoState => Self::Unreachable,
            Code::StateRewound | Code::StateForked | Code::StateMissing | Code::StateInvalid => Self::Tampered,
            Code::ManifestInvalid | Code::PolicyInvalid | Code::ComposeInvalid | Code::WorkflowInvalid => Self::Invalid,
            Code::UnknownModule
            | Code::UnknownHost
            | Code::UnknownRun
            | Code::UnsupportedRepository
            | Code::ForeignRepository
            | Code::Usage => Self::Usage,
            Code::HostFailed | Code::ProbeFailed | Code::Deadline => Self::Held,
            Code::LinkLost => Self::Unknown,
            Code::Unrecorded => Self::Unrecorded,
            Code::Interrupted => Self::Interrupted,
            // A local disk or program that fails before anything was sent: untouched, and nothing answered.
            Code::Io => Self::Unreachable,
            Code::Bug => Self::Bug,
        }
    }

    /// The class of several refusals: the first present of 20, 8, 6, 7, 5, 3, then the others by number.
    pub fn of_all(refusals: &[Refusal]) -> Self {
        const ORDER: &[Class] =
            &[Class::Tampered, Class::Busy, Class::NotApproved, Class::Mismatch, Class::Refused, Class::Invalid];
        let present: Vec<Self> = refusals.iter().map(|r| Self::of(r.code)).collect();
        ORDER
            .iter()
            .copied()
            .find(|class| present.contains(class))
            .or_else(|| present.iter().copied().min())
            .unwrap_or(Self::Bug)
    }
}

/// Why a command did not do what it was asked: refusals, or one failure with its causes.
#[derive(Debug)]
pub struct Failure {
    /// The class, and so the exit code.
    pub class: Class,
    /// What to show, the first one first.
    pub refusals: Vec<Refusal>,
    /// The causes of a failure, outermost first, escaped.
    pub causes: Vec<String>,
}

impl Failure {
    /// From a stage's refusals.
    pub fn refused(refusals: Vec<Refusal>) -> Self {
        Self { class: Class::of_all(&refusals), refusals, causes: Vec::new() }
    }

    /// A command line that cannot be carried out.
    pub fn usage(fact: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::refused(vec![Refusal::new(Code::Usage, fact, fix)])
    }
}

impl From<&PortError> for Failure {
    fn from(error: &PortError) -> Self {
        let mut causes = Vec::new();
        let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
        while let Some(cause) = next {
            causes.push(crate::model::text::escaped_lines(&cause.to_string()));
            next = cause.source();
        }
        Self { class: Class::of(error.code), refusals: vec![error.refusal()], causes }
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        (&error).into()
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::refused(vec![refusal])
    }
}

impl From<&Stop> for Failure {
    fn from(stop: &Stop) -> Self {
        match stop {
            Stop::Refused(refusals) => Self::refused(refusals.clone()),
            Stop::Failed(error) => error.into(),
        }
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        (&stop).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_priority_decides_between_refusals() {
        let refusal = |code| Refusal::new(code, "", "");
        let all = [refusal(Code::ManifestInvalid), refusal(Code::DataAtRisk), refusal(Code::EvilMerge)];
        assert_eq!(Class::of_all(&all), Class::NotApproved);
        assert_eq!(Class::of_all(&all[..1]), Class::Invalid);
        assert_eq!(Class::of_all(&[refusal(Code::HostUnreachable)]), Class::Unreachable);
        assert_eq!(Class::of_all(&[]), Class::Bug);
    }

    #[test]
    fn documented_meaning_matches_is_untouched() {
        for class in Class::ALL {
            assert_eq!(class.world().starts_with("No host was changed"), class.is_untouched(), "{}", class.name());
        }
    }

    #[test]
    fn aborted_run_is_classed_as_untouched() {
        let aborted = |code| Err(crate::port::NotDone::aborted(PortError::new(code, "", "")));
        assert_eq!(Class::of_run(&aborted(Code::LinkLost), true), Class::Refused);
        assert_eq!(Class::of_run(&aborted(Code::HostUnreachable), true), Class::Unreachable);
        assert_eq!(Class::of_run(&aborted(Code::Interrupted), false), Class::Interrupted);
    }

    #[test]
    fn exit_codes_are_unique() {
        let mut numbers: Vec<_> = Class::ALL.iter().map(|class| class.exit()).collect();
        assert!(numbers.is_sorted());
        numbers.dedup();
        assert_eq!(numbers.len(), Class::ALL.len());
    }
}
