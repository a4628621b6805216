//! Refusals: reasons not to proceed, as data. A refusal is not an error, and all of a stage's refusals are shown at once.

use serde::Serialize;

/// Declares the stable slugs.
macro_rules! codes {
    ($($variant:ident $slug:literal $doc:literal)*) => {
        /// A stable name for a reason. Scripts may compare it; it is never renamed. `error.rs` alone gives each its exit class.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $doc] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it is printed and recorded.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug,)* }
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

codes! {
    MalformedId "malformed_id" "The given id is not hexadecimal."
    ShortId "short_id" "The given id is not full; the full one is shown where it is unique."
    UnknownId "unknown_id" "The remote answered that it has no such commit or pull request."
    HeadNotMerged "head_not_merged" "The pull request's head is not merged into the base branch."
    BaseNotOurs "base_not_ours" "The commit is not on the first-parent chain of the base branch: it was merged into something else."
    EvilMerge "evil_merge" "The merged tree is not what a clean merge of base and head gives."
    IntermediateCommit "intermediate_commit" "The commit is part of a pull request but neither its head nor its merge result."
    NoPullRef "no_pull_ref" "No pull request's frozen head leads to this commit."
    AmbiguousPr "ambiguous_pr" "More than one pull request could be meant."
    StyleNotAllowed "style_not_allowed" "The way it was merged is not among approval.styles of the policy."
    UnreviewedChange "unreviewed_change" "A commit since the last apply changed the module and no pull request proves it."
    UnreviewedPolicy "unreviewed_policy" "A commit changed the policy's files since the policy in force, and no pull request proves it."
    HeadOfOtherPr "head_of_other_pr" "The given id belongs to another pull request than the one named."
    NeverChangedByPr "never_changed_by_pr" "The module was never applied, and this pull request did not change it."
    Replay "replay" "The merge result is older than what is applied."
    Superseded "superseded" "A newer merged pull request already changed this module."
    CheckoutDiffers "checkout_differs" "The checked-out commit has other content than what was merged."
    CheckoutDirty "checkout_dirty" "Files on disk differ from what was merged."
    PlanStale "plan_stale" "The plan file was made for another state of the world."
    PlanEdited "plan_edited" "The plan file's digest does not fit its content."
    PlanForeign "plan_foreign" "The plan file is for another module, host or repository."
    PlanErrored "plan_errored" "The plan file records a refused or failed plan and can never be applied."
    SacredPath "sacred_path" "A path that no module may touch is touched."
    Capability "capability" "A door to the host is opened that needs an allow entry."
    UnknownComposeKey "unknown_compose_key" "A key of the compose model is not understood."
    ClosureIncomplete "closure_incomplete" "Something that decides what runs is not tracked in git."
    VariableUnset "variable_unset" "A variable has no value and no default."
    BindRelativeWritable "bind_relative_writable" "A relative writable bind would start empty in every release."
    BindNotReadOnly "bind_not_read_only" "A tracked file is mounted writable."
    BindMissing "bind_missing" "What a bind mounts is not on the host: the engine would make an empty folder."
    DataAtRisk "data_at_risk" "Data would be dropped or replaced and nothing acknowledges it."
    MutationsDisabled "mutations_disabled" "The host's entry in platform.yaml does not enable mutations."
    AlreadyRunningElsewhere "already_running_elsewhere" "Something outside platformctl already stands where this would go."
    ImageMissing "image_missing" "An image is not on the host and cannot be pulled."
    SecretMissing "secret_missing" "A secret file, or a key of it, is not on the host, or cannot be read as it stands."
    EngineUnreachable "engine_unreachable" "The Docker engine on the host, or its compose plugin, gives no answer."
    DriverNotYet "driver_not_yet" "This version reads what the policy asks for and does not do it yet."
    HeldRelease "held_release" "This release failed here before; it is not tried again by itself."
    Busy "busy" "Another run is open."
    Frozen "frozen" "A freeze is in force."
    Contention "contention" "Other writers kept moving the record until the deadline."
    RemoteUnreachable "remote_unreachable" "The git remote gave no answer."
    HostUnreachable "host_unreachable" "The host gave no answer."
    HostKeyUnknown "host_key_unknown" "No known host key says that it is the host which answers."
    HostKeyChanged "host_key_changed" "The host answers with another key than the known one."
    CredentialsMissing "credentials_missing" "The remote asked for credentials and there are none."
    CredentialsRefused "credentials_refused" "The remote refused the credentials, or they do not allow this."
    ShallowHistory "shallow_history" "The clone is shallow, and history decides here."
    ClockSkew "clock_skew" "The clocks of this machine and of the host are more than 5 minutes apart."
    ComposeTooOld "compose_too_old" "docker compose on the host is older than 2.20."
    SigningKeyMissing "signing_key_missing" "The policy asks for signed records and git is not set up to sign with ssh."
    NoState "no_state" "There is no record yet."
    StateRewound "state_rewound" "The state ref went back behind what was seen before."
    StateForked "state_forked" "The state ref no longer contains what was seen before."
    StateMissing "state_missing" "The state ref was there before and is gone."
    StateInvalid "state_invalid" "The chain of records does not verify."
    ManifestInvalid "manifest_invalid" "A manifest does not hold."
    PolicyInvalid "policy_invalid" "The policy does not hold."
    ComposeInvalid "compose_invalid" "A compose file does not hold."
    ContentRefused "content_refused" "The tree holds something that is never delivered: a link, a submodule, an LFS pointer, a filter."
    UnknownModule "unknown_module" "There is no such module."
    UnknownHost "unknown_host" "There is no such host in platform.yaml."
    UnknownRun "unknown_run" "There is no such run."
    UnsupportedRepository "unsupported_repository" "The repository uses something this version does not support."
    ForeignRepository "foreign_repository" "git does not trust the repository: it belongs to another account, or is another one's content."
    Usage "usage" "The command line is not right."
    DeliveryFailed "delivery_failed" "The host could not take the delivery; nothing that runs was touched."
    HostUnfit "host_unfit" "Something that an apply needs is not on the host, or not as it must be."
    HostFailed "host_failed" "The host refused or failed a step."
    ProbeFailed "probe_failed" "A health probe did not pass."
    Deadline "deadline" "It took longer than allowed."
    LinkLost "link_lost" "The link was lost after the change was sent."
    Unrecorded "unrecorded" "The change is made but its record is not on the remote yet."
    Interrupted "interrupted" "A person or the system interrupted the run."
    Io "io" "The local machine failed to read or write."
    Bug "bug" "Something that cannot happen did."
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.slug())
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Code {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Code".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let slugs: Vec<&str> = Self::ALL.iter().map(|code| code.slug()).collect();
        schemars::json_schema!({"type": "string", "description": "A stable name; `platformctl help exit-codes` lists all of them.", "enum": slugs})
    }
}

/// A reason not to proceed: what it is, the fact, and what cures it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Refusal {
    /// The stable name of the reason.
    pub code: Code,
    /// What is the case, with full ids and paths; foreign text in it is escaped.
    pub fact: String,
    /// What cures it, as something to do.
    pub fix: String,
}

impl Refusal {
    /// Makes a refusal.
    pub fn new(code: Code, fact: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code, fact: fact.into(), fix: fix.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique_and_plain() {
        let mut slugs: Vec<_> = Code::ALL.iter().map(|c| c.slug()).collect();
        assert!(slugs.iter().all(|s| s.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), Code::ALL.len());
    }
}
