//! Refusals: reasons not to proceed, as data. A refusal is not an error. A stage returns all of its refusals at once.

use serde::Serialize;

/// Declares the stable slugs.
macro_rules! codes {
    ($($variant:ident $slug:literal $doc:literal)*) => {
        /// The stable name of a reason. Scripts may compare it; it is never renamed. `error.rs` alone maps it to an
        /// exit class.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $doc] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as it is printed and recorded.
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
    ShortId "short_id" "The given id is abbreviated; the message shows the full id if it is unique."
    UnknownId "unknown_id" "The remote has no such commit or pull request."
    HeadNotMerged "head_not_merged" "The pull request's head is not merged into the base branch."
    BaseNotOurs "base_not_ours" "The commit is not on the first-parent chain of the base branch: it was merged into something else."
    EvilMerge "evil_merge" "The merged tree differs from a clean merge of base and head."
    IntermediateCommit "intermediate_commit" "The commit is part of a pull request but neither its head nor its merge result."
    NoPullRef "no_pull_ref" "No pull request has this commit as its head (refs/pull/N/head) or its merge result."
    AmbiguousPr "ambiguous_pr" "More than one pull request matches."
    StyleNotAllowed "style_not_allowed" "The merge style is not listed in approval.styles of the policy."
    UnreviewedChange "unreviewed_change" "A commit since the last apply changed the module, and no merged pull request accounts for it."
    UnreviewedPolicy "unreviewed_policy" "A commit changed the policy files after the policy in force, and no merged pull request accounts for it."
    NotReviewed "not_reviewed" "Too few reviews of the merged head count as approvals."
    ChangesRequested "changes_requested" "A reviewer asked for changes, and that is still open."
    StatusMissing "status_missing" "A required commit status is missing, not successful, or not set by an account that the policy names."
    ForgeDisagrees "forge_disagrees" "The forge's API does not confirm what git proves about the merge."
    HeadOfOtherPr "head_of_other_pr" "The given commit belongs to a different pull request than the given one."
    NeverChangedByPr "never_changed_by_pr" "The module was never applied, and this pull request did not change it."
    Replay "replay" "The merge result is older than the applied one."
    Superseded "superseded" "A newer merged pull request already changed this module."
    CheckoutDiffers "checkout_differs" "The content of the checked-out commit differs from the merged content."
    CheckoutDirty "checkout_dirty" "Files on disk differ from the merged content."
    PlanStale "plan_stale" "The repository or the host changed after the plan file was written."
    PlanEdited "plan_edited" "The digest in the plan file does not match its content."
    PlanForeign "plan_foreign" "The plan file is for another module, host or repository."
    PlanErrored "plan_errored" "The plan file contains a refused or failed plan and can never be applied."
    SacredPath "sacred_path" "The module mounts or changes a protected (sacred) path."
    Capability "capability" "The module uses a capability of the host that needs an `allow` entry."
    UnknownComposeKey "unknown_compose_key" "The compose file has a key that platformctl does not support."
    ClosureIncomplete "closure_incomplete" "A file that determines what runs is not tracked in git."
    VariableUnset "variable_unset" "A variable has no value and no default."
    BindRelativeWritable "bind_relative_writable" "A writable bind mount with a relative path would be empty in every new release."
    BindNotReadOnly "bind_not_read_only" "A tracked file is mounted writable."
    BindMissing "bind_missing" "The source of a bind mount does not exist on the host; the engine would create an empty folder."
    DataAtRisk "data_at_risk" "Data would be dropped or replaced, and no `acknowledge` entry accepts that."
    MutationsDisabled "mutations_disabled" "The host's entry in platform.yaml does not enable mutations."
    AlreadyRunningElsewhere "already_running_elsewhere" "A container, port or path that the module needs is already in use by something else."
    ImageMissing "image_missing" "An image is not on the host and cannot be pulled."
    SecretMissing "secret_missing" "A secret file or one of its keys is missing on the host, or the file cannot be used as it is."
    EngineUnreachable "engine_unreachable" "The Docker engine on the host, or its compose plugin, does not answer."
    DriverNotYet "driver_not_yet" "The policy asks for something that this version does not implement yet."
    HeldRelease "held_release" "This release failed on this host before; it is retried only with --retry."
    ApplyManual "apply_manual" "A person has to apply this module: its manifest or the policy says so, or nothing proves what was there before."
    PolicyWaits "policy_waits" "The policy on the base is not recorded yet, and only a person may record it."
    NewDoor "new_door" "The change opens a door to the host that the applied release does not have: a person has to apply it."
    AfterNotApplied "after_not_applied" "A module that this one comes after is not applied."
    GlassNotAllowed "break_glass_not_allowed" "The policy does not allow break-glass here, or there is nothing to use it for."
    GlassOpen "break_glass_open" "What was applied with break-glass is not contained in merged pull requests that pass every gate."
    Busy "busy" "Another run is open."
    Frozen "frozen" "A freeze is in force."
    Contention "contention" "Other writers kept updating the record until the deadline."
    RemoteUnreachable "remote_unreachable" "The git remote did not answer."
    HostUnreachable "host_unreachable" "The host did not answer."
    HostKeyUnknown "host_key_unknown" "The host key is unknown."
    HostKeyChanged "host_key_changed" "The host key differs from the known one."
    CredentialsMissing "credentials_missing" "The remote asked for credentials, and none are available."
    CredentialsRefused "credentials_refused" "The remote rejected the credentials, or they do not permit this operation."
    ForgeUnknown "forge_unknown" "The address of the forge's API is not known: the remote's URL does not name it, and the policy does not either."
    ForgeUnreachable "forge_unreachable" "The forge's API did not answer, or is overloaded."
    ForgeAnswer "forge_answer" "The answer is not one of a forge's API, or is too large."
    ForgeNotFound "forge_not_found" "The forge has no such repository, or the credential cannot see it."
    ForgeMoved "forge_moved" "The repository was renamed or moved."
    ForgeArchived "forge_archived" "The repository is archived: it is read-only."
    TokenScope "token_scope" "The token is valid but lacks a scope or a permission."
    NotTold "not_told" "A channel of `notify:` did not take a message. It is a warning beside the result of a command."
    ShallowHistory "shallow_history" "The clone is shallow, and the full history is needed."
    ClockSkew "clock_skew" "The clocks of this machine and of the host are more than 5 minutes apart."
    ComposeTooOld "compose_too_old" "docker compose on the host is older than 2.20."
    SigningKeyMissing "signing_key_missing" "The policy requires signed records, and git is not configured to sign with ssh."
    NoState "no_state" "There is no record yet."
    StateRewound "state_rewound" "The state ref went back to an older record than this clone saw before."
    StateForked "state_forked" "The state ref no longer contains the records that this clone saw before."
    StateMissing "state_missing" "The state ref existed before and is gone."
    StateInvalid "state_invalid" "The chain of records does not verify."
    ManifestInvalid "manifest_invalid" "A manifest is invalid."
    PolicyInvalid "policy_invalid" "The policy is invalid."
    ComposeInvalid "compose_invalid" "A compose file is invalid."
    WorkflowInvalid "workflow_invalid" "The linter found something in a workflow that must be cured."
    ContentRefused "content_refused" "The tree contains something that is never delivered: a symbolic link, a submodule, an LFS pointer or a filtered file."
    UnknownModule "unknown_module" "The module does not exist."
    UnknownHost "unknown_host" "The host is not in platform.yaml."
    UnknownRun "unknown_run" "The run does not exist."
    UnsupportedRepository "unsupported_repository" "The repository uses a git feature that this version does not support."
    ForeignRepository "foreign_repository" "git does not trust the repository: it belongs to another account, or is tracked as content of another repository."
    Usage "usage" "The command line is invalid."
    DeliveryFailed "delivery_failed" "Files could not be delivered to the host; running services were not changed."
    HostUnfit "host_unfit" "The host lacks something that an apply needs, or has it in an unsuitable form."
    HostFailed "host_failed" "A step on the host failed or was refused."
    ProbeFailed "probe_failed" "A health probe did not pass."
    Deadline "deadline" "The deadline passed."
    LinkLost "link_lost" "The connection was lost after the change was sent."
    Unrecorded "unrecorded" "The change was made, but its record is not on the remote yet."
    Interrupted "interrupted" "A person or the system interrupted the run."
    Io "io" "Reading or writing on this machine failed."
    Bug "bug" "An internal error in platformctl."
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

/// A reason not to proceed: its code, the fact, and the fix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Refusal {
    /// The stable name of the reason.
    pub code: Code,
    /// What was found, with full ids and paths; text from outside is escaped.
    pub fact: String,
    /// What the operator can do about it.
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
