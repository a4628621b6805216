//! The policy: `platform.yaml`, schema `platform/1`, read at P and never from the working tree.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    approval::Style,
    as_text::as_text,
    forge::ForgeUrl,
    freeze::Freeze,
    glass::GlassPolicy,
    ids::{HostName, ModuleId, Oid},
    module::ApplyMode,
    names::{ComposeName, Destination, GitName, KnownHost},
    notify::NotifyPolicy,
    path::HostPath,
    text::{yaml_quoted, yaml_scalar},
};

/// The path of the policy in the repository.
pub const PATH: &str = "platform.yaml";
/// Where the people who may sign are listed.
pub const SIGNERS_PATH: &str = "allowed_signers";

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// `platform/1`.
    pub schema: PolicySchema,
    /// What counts as approved.
    #[serde(default)]
    pub approval: ApprovalPolicy,
    /// Where the record is kept.
    #[serde(default)]
    pub state: StatePolicy,
    /// The hosts, by name.
    #[serde(default)]
    pub hosts: BTreeMap<HostName, HostPolicy>,
    /// Paths that no module may touch, and the doors that are open.
    #[serde(default)]
    pub sacred: SacredPolicy,
    /// Up to where modules may be applied by a runner.
    #[serde(default)]
    pub apply: ApplyPolicy,
    /// Times in which nothing is applied.
    #[serde(default)]
    pub freeze: Vec<Freeze>,
    /// Who may pass a gate in an emergency.
    #[serde(default)]
    pub break_glass: GlassPolicy,
    /// Kinds of record that a principal of allowed_signers may sign; default: all.
    #[serde(default)]
    pub signers: BTreeMap<String, Vec<String>>,
    /// Who is told, and of what.
    #[serde(default)]
    pub notify: NotifyPolicy,
}

/// `apply:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ApplyPolicy {
    /// `manual`: a person applies every module, whatever its module.yaml says.
    pub ceiling: ApplyMode,
}

/// The schema of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum PolicySchema {
    /// The only one yet.
    #[serde(rename = "platform/1")]
    V1,
}

/// Where approvals come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ApprovalSource {
    /// Git alone: merged; who approved is not known.
    #[default]
    Git,
    /// Git and the word of a Forgejo API.
    Forgejo,
}

/// The remote that a key of the policy names, or that there is none on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteName {
    /// `none`.
    None,
    /// A git remote.
    Named(GitName),
}

impl RemoteName {
    /// The name of the remote, if there is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Named(name) => Some(name),
        }
    }
}

impl fmt::Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or(NO_REMOTE))
    }
}

impl FromStr for RemoteName {
    type Err = <GitName as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == NO_REMOTE { Ok(Self::None) } else { text.parse().map(Self::Named) }
    }
}

as_text!(RemoteName);

/// The word for no remote.
const NO_REMOTE: &str = "none";

/// How strictly a checkout is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CheckoutPolicy {
    /// The closure's files must be those of M.
    #[default]
    Content,
    /// HEAD must also be H or M.
    Strict,
}

/// A commit status that must be successful. Any writer of the repository can set any status, so who sets it is part of
/// the rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RequiredStatus {
    /// Its context, as the forge shows it.
    pub context: String,
    /// The accounts whose status counts; `forgejo-actions` is that of workflows, which any branch can define.
    pub by: Vec<String>,
}

/// What a merge that the server signed counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ServerSignature {
    /// It is recorded. Under the default rule of a branch the server signs merges with stale approvals too.
    #[default]
    Record,
    /// The branch's rule ignores or dismisses stale approvals: it counts as the review where the API is not asked.
    Strict,
}

/// `approval:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalPolicy {
    /// `git` or `forgejo`.
    pub source: ApprovalSource,
    /// If given, must equal the remote in use; `none`: the local base branch approves, on purpose.
    pub remote: Option<RemoteName>,
    /// If given, must equal the base branch in use.
    pub base: Option<GitName>,
    /// With `forgejo`: how many approving reviews.
    pub required_approvals: u32,
    /// If given, only their reviews count.
    pub approvers: Vec<String>,
    /// Accounts whose reviews never count.
    pub not_counted: Vec<String>,
    /// Statuses that must be successful on the head of the pull request that is applied.
    pub required_statuses: Vec<RequiredStatus>,
    /// With `forgejo`: whether the person who merges may be the only one whose approval counts.
    pub merger_may_approve: bool,
    /// With `forgejo`: where the repository is on the forge, for instance
    /// `https://git.example.org/ops/platform`; default:
    /// what the remote's URL names.
    pub forge: Option<ForgeUrl>,
    /// With `forgejo`: the public key (`ssh-ed25519 AAAA…`) of merges that the server signs; a witness that an official
    /// approval existed. Empty: none.
    pub server_key: String,
    /// What that signature counts for.
    pub server_signature: ServerSignature,
    /// The ways of merging that count.
    pub styles: Vec<Style>,
    /// Commits on the base accepted by review although no pull request proves them.
    pub adopt: Vec<Oid>,
    /// How strictly a checkout is bound.
    pub checkout: CheckoutPolicy,
}

impl Default for ApprovalPolicy {
    fn default() -> Self {
        Self {
            source: ApprovalSource::Git,
            remote: None,
            base: None,
            required_approvals: 0,
            approvers: Vec::new(),
            not_counted: Vec::new(),
            required_statuses: Vec::new(),
            merger_may_approve: false,
            forge: None,
            server_key: String::new(),
            server_signature: ServerSignature::Record,
            styles: vec![Style::Merge, Style::Squash, Style::Rebase, Style::RebaseMerge],
            adopt: Vec::new(),
            checkout: CheckoutPolicy::Content,
        }
    }
}

/// Whether records must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SignPolicy {
    /// Signed where git is set up to.
    #[default]
    Optional,
    /// Signed or not written.
    Required,
}

/// `state:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct StatePolicy {
    /// The ref; only `refs/platform/state` is supported.
    #[serde(rename = "ref")]
    pub ref_: String,
    /// The remote that keeps it, or `none`.
    pub remote: Option<RemoteName>,
    /// Whether records must be signed.
    pub sign: SignPolicy,
    /// The id of the first record, once it is pinned; empty until then.
    pub genesis: String,
}

impl Default for StatePolicy {
    fn default() -> Self {
        Self {
            ref_: "refs/platform/state".to_owned(),
            remote: None,
            sign: SignPolicy::Optional,
            genesis: String::new(),
        }
    }
}

/// How a host is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Over ssh.
    Ssh,
    /// This machine.
    Local,
}

/// Whether a host may be changed at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mutations {
    /// It may.
    Enabled,
    /// It may not: the first live change is acknowledged in a reviewed file.
    #[default]
    Disabled,
}

impl StatePolicy {
    /// Whether the record is kept on this machine alone.
    pub fn is_local(&self) -> bool {
        self.remote == Some(RemoteName::None)
    }
}

/// One entry of `hosts:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HostPolicy {
    /// `ssh` or `local`.
    pub transport: Transport,
    /// With ssh: any destination that ssh_config knows.
    #[serde(default)]
    pub destination: Option<Destination>,
    /// The folder that is platformctl's on the host.
    pub root: HostPath,
    /// Whether it may be changed.
    #[serde(default)]
    pub mutations: Mutations,
    /// If given, a host that answers with another is refused.
    #[serde(default)]
    pub machine_id: String,
    /// known_hosts lines, for runners that have none.
    #[serde(default)]
    pub host_keys: Vec<KnownHost>,
    /// The engine's address; default: the standard socket.
    #[serde(default)]
    pub docker_host: String,
    /// External networks that modules may join.
    #[serde(default)]
    pub networks: Vec<ComposeName>,
    /// Commands (argv) that driver `files` may run here.
    #[serde(default)]
    pub activate: Vec<Vec<String>>,
}

/// `sacred:`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SacredPolicy {
    /// Paths beside the built-in ones; `P/**` means P and below.
    pub paths: Vec<String>,
    /// Doors that are open.
    pub allow: Vec<Allow>,
}

/// One open door: exactly one of `path` (with `mode`) and `capability`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// For which module.
    pub module: ModuleId,
    /// A path on the host.
    #[serde(default)]
    pub path: Option<HostPath>,
    /// `ro` or `rw`, with `path`.
    #[serde(default)]
    pub mode: Option<AllowMode>,
    /// For instance `cap_add:NET_ADMIN`.
    #[serde(default)]
    pub capability: Option<String>,
    /// Why.
    pub reason: String,
}

impl Allow {
    /// The line of `sacred.allow` that opens a path to a module, for a person to add; `None` where no entry can name
    /// the path.
    pub fn path_line(module: &ModuleId, path: &str, writable: bool) -> Option<String> {
        let path = path.parse::<HostPath>().ok().filter(|path| !path.has_wildcard())?;
        let mode = if writable { "rw" } else { "ro" };
        Some(format!("- {{module: {module}, path: {}, mode: {mode}, reason: \"…\"}}", yaml_scalar(path.as_str())))
    }

    /// The line of `sacred.allow` that opens a door to a module.
    pub fn door_line(module: &ModuleId, door: &str) -> String {
        format!("- {{module: {module}, capability: {}, reason: \"…\"}}", yaml_quoted(door))
    }
}

/// How a path is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum AllowMode {
    /// For reading.
    Ro,
    /// For reading and writing.
    Rw,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_a_word_and_no_name() {
        let remote = |text: &str| text.parse::<RemoteName>().unwrap();
        assert_eq!((remote("none"), remote("origin").name()), (RemoteName::None, Some("origin")));
        for text in ["none", "origin", "none2"] {
            assert_eq!(remote(text).to_string(), text);
            assert_eq!(serde_json::to_value(remote(text)).unwrap(), text);
        }
        assert!("-o".parse::<RemoteName>().is_err());
    }
}
