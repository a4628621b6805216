//! The doctor's look at the forge: what its API shows to this credential, judged by the policy in force. Nothing is
//! written there: what tests the right to write names things that do not exist.

use serde::Serialize;
use serde_json::Value;

use super::{Base, Check, Fix, Standing};
use crate::{
    model::{
        forge::{NewStatus, Repository, StatusState},
        ids::Oid,
        policy::{ApprovalPolicy, ApprovalSource, ServerSignature},
        refusal::Code,
        text::{hex, shown},
    },
    port::{Answer, Forge, PortError, Ports},
};

/// What was found on the forge.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ForgeExamined {
    /// The repository there; `None` if its address is not known.
    pub url: Option<String>,
    /// What was asked.
    pub checks: Vec<Check>,
}

impl ForgeExamined {
    /// The checks that an apply cannot do without and that failed.
    pub fn fails(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.result == Standing::Fail)
    }
}

/// Examines the forge that the policy in force, or the remote's URL, names. With `try_rewrite` a scratch ref is written
/// there and rewritten, and removed again.
pub fn examine(ports: &Ports<'_>, base: &Base, try_rewrite: bool) -> ForgeExamined {
    let rules = &base.policy.policy.approval;
    match (ports.forge)(rules) {
        Ok(forge) => {
            let look = Look { forge: forge.as_ref(), rules, branch: ports.base };
            let mut checks = look.all();
            checks.extend(try_rewrite.then(|| rewrite(ports, base.p)));
            ForgeExamined { url: Some(forge.url().to_string()), checks }
        }
        Err(error) => ForgeExamined { url: None, checks: vec![failed("address", &error)] },
    }
}

/// Whether the record could be rewritten there.
fn rewrite(ports: &Ports<'_>, newer: Oid) -> Check {
    let nonce = hex(&ports.clock.chance()[..6]);
    let tried = ports.source.commit(newer).and_then(|commit| match commit.parents.first() {
        Some(older) => ports.remote.try_rewrite(newer, *older, &nonce).map(Some),
        None => Ok(None),
    });
    match tried {
        Ok(Some(false)) => Check::pass("rewrite", "the server refuses to rewrite refs like the record"),
        Ok(Some(true)) => Check::warn(
            "rewrite",
            "every writer can rewrite or remove the record on the server; each clone and each host that saw it notices",
            Fix::words("let the server's administrator install the hook: platformctl help forgejo"),
        ),
        Ok(None) => Check::pass("rewrite", "not tried: the base has one commit only"),
        Err(error) => failed("rewrite", &error),
    }
}

fn failed(id: &'static str, error: &PortError) -> Check {
    Check::fail(id, error.code, error.what.clone(), Fix::words(error.fix.clone()))
}

struct Look<'a> {
    forge: &'a dyn Forge,
    rules: &'a ApprovalPolicy,
    branch: &'a str,
}

impl Look<'_> {
    fn all(&self) -> Vec<Check> {
        let mut checks = vec![self.credential()];
        checks.extend(self.reviews());
        match self.forge.version() {
            Ok(version) => checks.push(judge_version(&version)),
            Err(error) => checks.push(failed("version", &error)),
        }
        let repository = match self.forge.repository() {
            Ok(repository) => repository,
            // Every other question would get the same answer.
            Err(error) => {
                checks.push(failed("repository", &error));
                return checks;
            }
        };
        checks.extend(judge_repository(&repository));
        checks.push(self.account());
        checks.extend(self.writes());
        checks.extend(self.branch());
        checks.extend(self.units());
        checks
    }

    fn credential(&self) -> Check {
        match self.forge.credential() {
            Some(source) => Check::pass("token", format!("from {source}")),
            None if self.rules.source == ApprovalSource::Forgejo => Check::warn(
                "token",
                "there is none: only a public repository can be read, and nothing can be written",
                Fix::words("create a token with read:repository on the forge and set PLATFORMCTL_FORGEJO_TOKEN"),
            ),
            None => Check::pass("token", "there is none, and `source: git` needs none"),
        }
    }

    /// What the policy asks of reviews, where that is less than a person may think.
    fn reviews(&self) -> Option<Check> {
        let (fact, fix) = match (self.rules.source, self.rules.required_approvals) {
            (ApprovalSource::Git, _) => (
                "the policy has `source: git`: merges are proven, and who reviewed them is not asked",
                "to have reviews counted, merge a pull request with approval.source: forgejo",
            ),
            (ApprovalSource::Forgejo, 0) => (
                "approval.required_approvals is 0: what is merged needs no review",
                "merge a pull request with approval.required_approvals: 1",
            ),
            (ApprovalSource::Forgejo, _) => return None,
        };
        Some(Check::warn("reviews", fact, Fix::words(fix)))
    }

    fn account(&self) -> Check {
        match self.forge.account() {
            Ok(Some(account)) => Check::pass("account", shown(&account.login)),
            Ok(None) => Check::warn(
                "account",
                "the token does not tell whose it is, so a comment of ours cannot be found again and edited",
                Fix::words("give the token the scope read:user if plans are to be kept in one comment"),
            ),
            Err(error) => failed("account", &error),
        }
    }

    /// Whether comments and statuses could be written: to a comment and a commit that do not exist.
    fn writes(&self) -> Vec<Check> {
        let nowhere = Oid::from_bytes([0; 20]);
        let status = NewStatus {
            context: "platformctl/probe".to_owned(),
            state: StatusState::Pending,
            description: String::new(),
            target_url: None,
        };
        let comment = self.forge.edit_comment(0, "").map(drop);
        let status = self.forge.set_status(nowhere, &status).map(drop);
        vec![may("comments", "write:issue", comment), may("statuses", "write:repository", status)]
    }

    fn branch(&self) -> Vec<Check> {
        let branch = match self.forge.look_up(&format!("branches/{}", self.branch)) {
            Ok(Some(branch)) => branch,
            Ok(None) => {
                let fact = format!("the forge does not show the branch {} to this token", shown(self.branch));
                return vec![Check::warn("base branch", fact, Fix::words("give the token the scope read:repository"))];
            }
            Err(error) => return vec![failed("base branch", &error)],
        };
        let mut checks = judge_branch(&branch, self.branch, self.rules);
        match self.forge.look_up("branch_protections") {
            Ok(Some(all)) => checks.extend(judge_rule(&all, &branch, self.branch, self.rules)),
            Ok(None) => checks.push(Check::warn(
                "branch rule",
                "only an administrator's token can read whether it applies to administrators and what it does with stale approvals",
                Fix::words("run this once with a token of the repository's owner"),
            )),
            Err(error) => checks.push(failed("branch rule", &error)),
        }
        checks
    }

    /// The parts of the repository that are turned on.
    fn units(&self) -> Vec<Check> {
        let repository = self.forge.look_up("").ok().flatten().unwrap_or_default();
        let unit = |name: &str| repository.get(name).and_then(Value::as_bool);
        let mut checks = Vec::new();
        if unit("has_pull_requests") == Some(false) {
            checks.push(Check::fail(
                "pull requests",
                Code::ForgeDisagrees,
                "are turned off in this repository, so nothing can be approved",
                Fix::words("Settings → Units → Pull requests"),
            ));
        }
        checks.push(match unit("has_actions") {
            Some(true) => Check::warn(
                "actions",
                "Actions are on: a workflow of any branch can read the repository's secrets and push the record",
                Fix::words("keep secrets that reach hosts in a repository that only operators can push to"),
            ),
            Some(false) => Check::pass("actions", "Actions are off"),
            None => Check::pass("actions", "the forge does not tell whether Actions are on"),
        });
        checks
    }
}

fn may(id: &'static str, scope: &str, answer: Answer<()>) -> Check {
    match answer {
        Ok(()) => Check::pass(id, "can be written"),
        // What does not exist was looked for: the token may.
        Err(error) if error.code == Code::UnknownId => Check::pass(id, "can be written"),
        Err(error) if matches!(error.code, Code::TokenScope | Code::CredentialsMissing) => Check::warn(
            id,
            format!("cannot be written with this token: {}", error.what),
            Fix::words(format!("give the token the scope {scope} where plans or results are to be shown on the forge")),
        ),
        // The server broke over something that does not exist, or is silent.
        Err(error) => {
            let fact = format!("it is not known whether they can be written: {}", error.what);
            Check::warn(id, fact, Fix::words(error.fix))
        }
    }
}

/// The first two numbers of a version.
fn numbers(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(['.', '+', '-']);
    Some((parts.next()?.trim_start_matches('v').parse().ok()?, parts.next()?.parse().ok()?))
}

/// What this version of the server means for the refs that proofs rest on.
fn judge_version(text: &str) -> Check {
    let version = shown(text);
    let old = |what: &str| {
        let fix = Fix::words("update the server");
        Check::warn("version", format!("{version}: {what}"), fix)
    };
    // Gitea's own version begins with 1; Forgejo's has Gitea's behind `+gitea-`.
    let forgejo = text.contains("+gitea-");
    match numbers(text) {
        None => old("not the version of Forgejo or Gitea; nothing is known about it"),
        Some((1, minor)) if !forgejo && minor < 22 => old("older than Gitea 1.22, whose API lacks what is asked"),
        Some((1, _)) if !forgejo => {
            Check::pass("version", format!("Gitea {version}; refs/pull is protected since 1.22.2"))
        }
        Some((major, _)) if major < 7 => old("older than Forgejo 7, whose API lacks what is asked"),
        Some((7..=9, _)) => old("any writer can move refs/pull/N/head before Forgejo 10, so heads prove nothing there"),
        Some(_) => Check::pass("version", format!("Forgejo {version}; refs/pull cannot be pushed")),
    }
}

fn judge_repository(repository: &Repository) -> Vec<Check> {
    let name = shown(&repository.full_name);
    if repository.archived {
        let fix = Fix::words("unarchive it in its settings");
        return vec![Check::fail(
            "repository",
            Code::ForgeArchived,
            format!("{name} is archived: no record can be pushed"),
            fix,
        )];
    }
    let mut checks = vec![Check::pass("repository", format!("{name}, number {}", repository.id))];
    if !repository.can_push {
        checks.push(Check::warn(
            "record",
            "this token's account may not push, so it cannot record an apply over http",
            Fix::words("let the account write to the repository, or push with an ssh key that may"),
        ));
    }
    checks
}

fn is(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or(0)
}

fn judge_branch(branch: &Value, name: &str, rules: &ApprovalPolicy) -> Vec<Check> {
    let name = shown(name);
    if !is(branch, "protected") {
        return vec![Check::warn(
            "base branch",
            format!(
                "{name} is not protected: every writer can push to it, and each such push must be reviewed afterwards"
            ),
            Fix::words("Settings → Branches → add a rule for it: required approvals 1 or more, no direct push"),
        )];
    }
    let (has, wanted) = (number(branch, "required_approvals"), u64::from(rules.required_approvals));
    let mut checks = Vec::new();
    if has < wanted {
        checks.push(Check::warn(
            "base branch",
            format!("the forge requires {has} of {wanted} approvals (approval.required_approvals) on {name}: it merges what is refused here afterwards"),
            Fix::words(format!("Settings → Branches → {name} → Required approvals: {wanted}")),
        ));
    } else {
        checks.push(Check::pass("base branch", format!("{name} is protected; required approvals: {has}")));
    }
    if is(branch, "user_can_push") {
        checks.push(Check::warn(
            "direct push",
            format!("this token's account can push to {name} without a pull request"),
            Fix::words(format!("Settings → Branches → {name} → Disable push")),
        ));
    }
    checks
}

fn judge_rule(all: &Value, branch: &Value, name: &str, rules: &ApprovalPolicy) -> Vec<Check> {
    let named = branch.get("effective_branch_protection_name").and_then(Value::as_str).unwrap_or_default();
    let rule = all.as_array().and_then(|all| {
        let called = |rule: &&Value| {
            let rule_name = rule.get("rule_name").and_then(Value::as_str).unwrap_or_default();
            rule_name == name || !named.is_empty() && rule_name == named
        };
        all.iter().find(called)
    });
    let name = shown(name);
    let Some(rule) = rule else {
        let fact = format!("none of the repository's rules has the name {name}, so it was not looked at");
        return vec![Check::warn("branch rule", fact, Fix::words("compare Settings → Branches by hand"))];
    };
    let setting = |words: &str| Fix::words(format!("Settings → Branches → {name} → {words}"));
    let mut checks = Vec::new();
    if !is(rule, "apply_to_admins") {
        let fact = "administrators can merge and push past the rule";
        checks.push(Check::warn("branch rule", fact, setting("Enforce this rule for repository admins")));
    }
    if is(rule, "enable_push") {
        let fact = "the rule allows some accounts or keys to push directly";
        checks.push(Check::warn("branch rule", fact, setting("Disable push")));
    }
    let fresh = is(rule, "ignore_stale_approvals") || is(rule, "dismiss_stale_approvals");
    if rules.server_signature == ServerSignature::Strict && !fresh {
        checks.push(Check::fail(
            "branch rule",
            Code::PolicyInvalid,
            "approval.server_signature is strict, but the server also signs merges with stale approvals",
            setting("Ignore stale approvals, or Dismiss stale approvals"),
        ));
    }
    if !fresh {
        let fact = "the forge merges with stale approvals; such a merge is refused here afterwards";
        checks.push(Check::warn("branch rule", fact, setting("Ignore stale approvals")));
    }
    if checks.is_empty() {
        checks.push(Check::pass(
            "branch rule",
            "applies to administrators, allows no direct push and no stale approvals",
        ));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_tell_whether_refs_of_pull_requests_are_protected() {
        let standing = |text| judge_version(text).result;
        for good in ["15.0.0+gitea-1.22.0", "14.0.1+gitea-1.22.0", "10.0.0+gitea-1.22.0", "1.22.3", "1.25.0"] {
            assert_eq!(standing(good), Standing::Pass, "{good}");
        }
        for old in ["7.0.5+gitea-1.21.11", "9.0.0+gitea-1.22.0", "1.21.11", "1.20", "6.0.1+gitea-1.21.0", "x", ""] {
            assert_eq!(standing(old), Standing::Warn, "{old}");
        }
    }
}
