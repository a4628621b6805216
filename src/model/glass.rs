//! Break-glass: gates that a person may pass with a reason, which is recorded first. What is not in [`Gate`] stays shut.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    refusal::{Code, Refusal},
    text::is_harmful,
};

/// Declares the gates: the name in the record, the codes of the refusals that belong to it, and what is passed.
macro_rules! gates {
    ($($variant:ident $name:literal [$($code:ident)*] $doc:literal)*) => {
        /// A gate that break-glass may pass.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Gate {
            $(#[doc = $doc] $variant,)*
        }

        impl Gate {
            /// Every gate, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in the record and in results.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What is passed, in words.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }

            /// The codes of the refusals that belong to it.
            pub const fn codes(self) -> &'static [Code] {
                match self { $(Self::$variant => &[$(Code::$code,)*],)* }
            }
        }
    };
}

gates! {
    Data "data" [DataAtRisk] "Data may be dropped or replaced without an `acknowledge` entry."
    Forge "forge" [ForgeUnreachable ForgeAnswer] "The forge's API gives no answer, so reviews and statuses are not known."
    Freeze "freeze" [Frozen] "A freeze is in force."
    Reviews "reviews" [NotReviewed ChangesRequested UnreviewedChange] "Reviews are missing, or a change on the base has none."
    Scope "scope" [NeverChangedByPr] "The pull request did not change the module, which was never applied."
    Statuses "statuses" [StatusMissing] "A required commit status is missing."
    Superseded "superseded" [Superseded] "A newer merge also changed the module."
}

impl Gate {
    /// The gate that a refusal belongs to; `None`: nothing passes it.
    pub fn of(code: Code) -> Option<Self> {
        Self::ALL.iter().copied().find(|gate| gate.codes().contains(&code))
    }

    /// The gate of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|gate| gate.as_str() == name)
    }
}

/// What break-glass never passes, and why.
const FIRM: &[(&[Code], &str)] = &[
    (
        &[
            Code::SacredPath,
            Code::Capability,
            Code::UnknownComposeKey,
            Code::BindRelativeWritable,
            Code::BindNotReadOnly,
            Code::BindMissing,
        ],
        "break-glass passes no sacred path and no door: they need a reviewed entry",
    ),
    (&[Code::Busy, Code::Contention], "break-glass passes no lock: two runs at once could destroy what both touch"),
    (
        &[
            Code::StateRewound,
            Code::StateForked,
            Code::StateMissing,
            Code::StateInvalid,
            Code::SigningKeyMissing,
            Code::ClockSkew,
        ],
        "break-glass is itself a record, so it needs the record as it should be",
    ),
    (
        &[
            Code::MalformedId,
            Code::ShortId,
            Code::UnknownId,
            Code::HeadNotMerged,
            Code::BaseNotOurs,
            Code::EvilMerge,
            Code::IntermediateCommit,
            Code::NoPullRef,
            Code::AmbiguousPr,
            Code::StyleNotAllowed,
            Code::ForgeDisagrees,
            Code::HeadOfOtherPr,
            Code::Replay,
            Code::CheckoutDiffers,
            Code::CheckoutDirty,
            Code::PlanStale,
            Code::PlanEdited,
            Code::PlanForeign,
            Code::PlanErrored,
        ],
        "break-glass still applies a commit that is proven to be merged, and nothing else",
    ),
    (
        &[Code::UnreviewedPolicy, Code::PolicyInvalid],
        "break-glass passes no change of the policy: the policy decides what it may pass",
    ),
];

/// Why break-glass does not pass a refusal, in words.
pub fn why_not(code: Code) -> &'static str {
    FIRM.iter().find(|(codes, _)| codes.contains(&code)).map_or("break-glass does not pass this", |(_, why)| why)
}

/// Why a person passes a gate: one line with words in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

/// Most characters of a reason.
pub const REASON_MAX: usize = 500;

/// Not a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reason is one line with words in it, of at most {REASON_MAX} characters")]
pub struct ReasonError;

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, ReasonError> {
        let fits = text.chars().count() <= REASON_MAX
            && text.chars().any(char::is_alphanumeric)
            && !text.chars().any(|c| c.is_control() || is_harmful(c));
        if fits { Ok(Self(text.trim().to_owned())) } else { Err(ReasonError) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who may break the glass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum GlassBy {
    /// Nobody.
    Nobody,
    /// A person at a terminal, and no runner.
    #[default]
    Persons,
    /// A runner as well: whoever can start it.
    Runners,
}

/// `break_glass:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GlassPolicy {
    /// Who may pass a gate with `--break-glass`.
    pub by: GlassBy,
    /// For how many minutes the record of it is good: the run must begin within them, and a merged pull request should
    /// contain what was applied when they are over.
    pub max_minutes: u32,
}

/// Most minutes that a policy may give.
pub const MINUTES_MAX: u32 = 24 * 60;

impl Default for GlassPolicy {
    fn default() -> Self {
        Self { by: GlassBy::Persons, max_minutes: 60 }
    }
}

/// That a person breaks the glass, as the policy allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glass {
    reason: Reason,
    for_s: i64,
}

impl Glass {
    /// Where the policy allows it. `runner`: in CI.
    ///
    /// # Errors
    /// The policy does not allow it here.
    pub fn allowed(reason: &Reason, policy: &GlassPolicy, runner: bool) -> Result<Self, Refusal> {
        let (fact, fix) = match (policy.by, runner) {
            (GlassBy::Persons, false) | (GlassBy::Runners, _) => {
                return Ok(Self { reason: reason.clone(), for_s: i64::from(policy.max_minutes) * 60 });
            }
            (GlassBy::Nobody, _) => (
                "platform.yaml has break_glass: {by: nobody}",
                "fix what refuses, by a pull request where it takes one",
            ),
            (GlassBy::Persons, true) => (
                "break-glass is for persons, and this is CI: whoever can start the runner could pass every review",
                "run it on a machine of yours; or allow it in platform.yaml by a pull request: break_glass: {by: runners}",
            ),
        };
        Err(Refusal::new(Code::GlassNotAllowed, fact, fix))
    }

    /// The reason.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// For how many seconds the record of it is good.
    pub fn for_s(&self) -> i64 {
        self.for_s
    }

    /// What break-glass passes of some refusals, and what it does not, which says so.
    pub fn sort(&self, refusals: Vec<Refusal>) -> (Vec<Waived>, Vec<Refusal>) {
        let (mut waived, mut firm) = (Vec::new(), Vec::new());
        for refusal in refusals {
            match Gate::of(refusal.code) {
                Some(gate) => waived.push(Waived { gate, refusal }),
                None => {
                    let fact = format!("{}; {}", refusal.fact, why_not(refusal.code));
                    firm.push(Refusal { fact, ..refusal });
                }
            }
        }
        (waived, firm)
    }
}

/// What a stage does with its refusals: all of them stand, or break-glass passes some.
pub fn sorted(glass: Option<&Glass>, refusals: Vec<Refusal>) -> (Vec<Waived>, Vec<Refusal>) {
    match glass {
        Some(glass) => glass.sort(refusals),
        None => (Vec::new(), refusals),
    }
}

/// A refusal that break-glass passed. Only [`Glass::sort`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waived {
    gate: Gate,
    refusal: Refusal,
}

impl Waived {
    /// The gate.
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// What would have refused.
    pub fn refusal(&self) -> &Refusal {
        &self.refusal
    }
}

/// The names of the gates that were passed, sorted, none twice.
pub fn names(waived: &[Waived]) -> Vec<String> {
    let mut gates: Vec<Gate> = waived.iter().map(Waived::gate).collect();
    gates.sort_unstable();
    gates.dedup();
    gates.into_iter().map(|gate| gate.as_str().to_owned()).collect()
}

/// What an intent may have waived without break-glass, by the words of the record.
pub const PLAIN: &[&str] = &["checkout", "freeze", "held", "superseded"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_belongs_to_one_gate_at_most() {
        let mut codes: Vec<Code> = Gate::ALL.iter().flat_map(|gate| gate.codes()).copied().collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
        let names: Vec<&str> = Gate::ALL.iter().map(|gate| gate.as_str()).collect();
        assert!(names.is_sorted(), "the record lists them sorted: {names:?}");
        assert_eq!(Gate::named("data"), Some(Gate::Data));
        assert_eq!(Gate::named("sacred"), None);
    }

    /// Attack: somebody passes a sacred path, a lock, an unproven merge or a rewound record with break-glass.
    /// Defence: break-glass passes only the gates of one closed list, and says of every other refusal why it stands.
    #[test]
    fn break_glass_passes_only_what_is_listed() {
        let glass = Glass::allowed(&"the disk is full".parse().unwrap(), &GlassPolicy::default(), false).unwrap();
        let (waived, firm) = glass.sort(Code::ALL.iter().map(|code| Refusal::new(*code, "it is so", "")).collect());
        assert_eq!(names(&waived), Gate::ALL.iter().map(|gate| gate.as_str()).collect::<Vec<_>>());
        assert!(firm.iter().all(|refusal| refusal.fact.starts_with("it is so; break-glass ")));
        for code in [
            Code::SacredPath,
            Code::Capability,
            Code::UnknownComposeKey,
            Code::EvilMerge,
            Code::HeadNotMerged,
            Code::Replay,
            Code::CheckoutDiffers,
            Code::UnreviewedPolicy,
            Code::ForgeDisagrees,
            Code::Busy,
            Code::StateForked,
            Code::MutationsDisabled,
            Code::HeldRelease,
        ] {
            assert_eq!(Gate::of(code), None, "{code:?}");
            assert!(firm.iter().any(|refusal| refusal.code == code), "{code:?}");
        }
    }

    #[test]
    fn reasons_have_words_on_one_line() {
        for bad in ["", "  ", "…", "a\nb", "a\u{1b}[2J", &"x".repeat(REASON_MAX + 1)] {
            assert!(bad.parse::<Reason>().is_err(), "{bad:?}");
        }
        assert_eq!(" the disk is full ".parse::<Reason>().unwrap().to_string(), "the disk is full");
    }

    #[test]
    fn the_policy_decides_who_breaks_the_glass() {
        let reason = "why".parse().unwrap();
        let allowed = |by, runner| Glass::allowed(&reason, &GlassPolicy { by, max_minutes: 5 }, runner).is_ok();
        for (by, person, runner) in
            [(GlassBy::Nobody, false, false), (GlassBy::Persons, true, false), (GlassBy::Runners, true, true)]
        {
            assert_eq!((allowed(by, false), allowed(by, true)), (person, runner), "{by:?}");
        }
    }
}
