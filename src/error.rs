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
        /// A class of ending. Its number is the exit code and tells which world the operator is in; numbers are never reused.
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
    Done 0 "As planned and recorded, or nothing to do (`outcome` tells which)."
    Bug 1 "Unknown: please report."
    Usage 2 "Untouched."
    Invalid 3 "Untouched; a manifest, policy, plan or state file does not hold."
    Differs 4 "Untouched; only with `--exit-code`: changes are pending, or a host drifted."
    Refused 5 "Untouched; sacred, forbidden, data at risk, mutations disabled."
    NotApproved 6 "Untouched; the approval is not proven (malformed, short, unknown, unmerged, unreviewed …)."
    Mismatch 7 "Untouched; approval, checkout, plan and module do not belong together: out of scope, dirty, replay, superseded, stale or foreign plan."
    Busy 8 "Untouched; another run is open, a freeze, or contention did not end."
    Unreachable 9 "Untouched; forge, remote or host gave no answer, or credentials are missing or refused (the message says which); shallow history; no record yet; a program or disk here failed."
    RolledBack 10 "Failed, reverted and verified."
    Held 11 "Failed, left as it is."
    RollbackFailed 12 "Failed and could not be reverted: call someone."
    Partial 13 "Several targets, not all the same: see the result."
    Unknown 14 "The link was lost after the change was sent: `resume`."
    Unrecorded 15 "Applied and healthy, but the record is not on the remote yet: `resume`."
    Tampered 20 "The state ref was rewound or forked, is missing, or does not verify."
    Interrupted 130 "As the journal says; before `ship` at once, after it when the run can end safely."
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
            // Whatever the class of the code says of a host: an aborted run touched nothing.
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

    /// Whether something said no, rather than failed.
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
            | Code::UnreviewedPolicy => Self::NotApproved,
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
            | Code::ContentRefused => Self::Refused,
            Code::Busy | Code::Frozen | Code::Contention => Self::Busy,
            Code::RemoteUnreachable
            | Code::HostUnreachable
            | Code::DeliveryFailed
            | Code::HostUnfit
            | Code::HostKeyUnknown
            | Code::HostKeyChanged
            | Code::EngineUnreachable
            | Code::CredentialsMissing
            | Code::CredentialsRefused
            | Code::ShallowHistory
            | Code::ClockSkew
            | Code::ComposeTooOld
            | Code::SigningKeyMissing
            | Code::NoState => Self::Unreachable,
            Code::StateRewound | Code::StateForked | Code::StateMissing | Code::StateInvalid => Self::Tampered,
            Code::ManifestInvalid | Code::PolicyInvalid | Code::ComposeInvalid => Self::Invalid,
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

/// Why a command ended without doing what it was asked: refusals, or one failure of the world with its causes.
#[derive(Debug)]
pub struct Failure {
    /// The class, and so the exit code.
    pub class: Class,
    /// What to show, the first one first.
    pub refusals: Vec<Refusal>,
    /// The causes of a failure of the world, outermost first, escaped.
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

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        let mut causes = Vec::new();
        let mut next: Option<&dyn std::error::Error> = std::error::Error::source(&error);
        while let Some(cause) = next {
            causes.push(crate::model::text::escaped_lines(&cause.to_string()));
            next = cause.source();
        }
        Self { class: Class::of(error.code), refusals: vec![error.into_refusal()], causes }
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(refusals) => Self::refused(refusals),
            Stop::Failed(error) => error.into(),
        }
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
            assert_eq!(class.world().starts_with("Untouched"), class.is_untouched(), "{}", class.name());
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
