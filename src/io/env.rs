//! The environment, read once; and what of it a child may see.
#![expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// Names that a git, ssh or ssh-keygen child may inherit. Everything else is left out.
const ALLOWED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "SSH_ASKPASS",
    "SSH_ASKPASS_REQUIRE",
    "DISPLAY",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "ALL_PROXY",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_ASKPASS",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
];

/// What every child process gets.
const FIXED: [(&str, &str); 3] = [("LC_ALL", "C"), ("GIT_TERMINAL_PROMPT", "0"), ("GIT_OPTIONAL_LOCKS", "0")];

/// Names that lead git to another repository, index, object database or server side than the one it is given
/// (`git rev-parse --local-env-vars`). What the user configures by `GIT_CONFIG_*` stays.
const REDIRECTING: &[&str] = &[
    "GIT_DIR",
    "GIT_COMMON_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_ATTR_SOURCE",
    "GIT_CEILING_DIRECTORIES",
    "GIT_CURL_VERBOSE",
];

/// The variable with the private key for hosts: it is for ssh alone, and no child sees it.
pub(super) const SSH_KEY: &str = "PLATFORMCTL_SSH_KEY";

/// What tells that this is a runner's step.
const RUNNERS: [&str; 3] = ["FORGEJO_ACTIONS", "GITEA_ACTIONS", "GITHUB_ACTIONS"];
/// Our own credential. A git that transfers is handed it where it needs one, under another name.
const OWN: &str = "PLATFORMCTL_FORGEJO_TOKEN";

/// What was there when the program began.
#[derive(Clone, Default)]
pub struct Env {
    vars: BTreeMap<OsString, OsString>,
    cwd: PathBuf,
}

/// Values of variables may be secrets: this shows none.
impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env").field("vars", &self.vars.len()).field("cwd", &self.cwd).finish()
    }
}

impl Env {
    /// Reads the environment of this process.
    pub fn read() -> Self {
        Self { vars: std::env::vars_os().collect(), cwd: std::env::current_dir().unwrap_or_default() }
    }

    /// An environment of one's own, for tests and the demo.
    pub fn of(vars: impl IntoIterator<Item = (OsString, OsString)>, cwd: PathBuf) -> Self {
        Self { vars: vars.into_iter().collect(), cwd }
    }

    /// The same, as if started in `dir` (from here, unless absolute).
    #[must_use]
    pub fn within(&self, dir: &Path) -> Self {
        Self { vars: self.vars.clone(), cwd: self.cwd.join(dir) }
    }

    /// The folder the program was started in.
    pub fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// A variable, if it is set, not empty and UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(&OsString::from(name))?.to_str().filter(|value| !value.is_empty())
    }

    /// Whether this is a step of a runner of Forgejo, Gitea or GitHub, which all say so.
    pub fn is_runner(&self) -> bool {
        RUNNERS.iter().any(|name| self.get(name) == Some("true"))
    }

    /// Whether this is a machine or folder that is thrown away: a runner's, or that of another CI.
    pub fn is_thrown_away(&self) -> bool {
        self.get("CI").is_some() || self.is_runner()
    }

    /// A child that gets the allowed variables and nothing else.
    pub fn child(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.cwd);
        let inherited = self.vars.iter().filter(|(name, _)| {
            let name = name.to_str().unwrap_or_default();
            ALLOWED.contains(&name) || name.starts_with("GIT_CONFIG_")
        });
        command.envs(inherited);
        command.envs(FIXED);
        command
    }

    /// A git that transfers: it gets the user's own variables, which his credential helper, askpass or ssh command may
    /// need, and of git's none that leads it elsewhere. Traces are for the user's files: what git prints is read here.
    pub(super) fn transfer(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.cwd);
        command.envs(self.vars.iter().filter(|(name, value)| {
            let name = name.to_str().unwrap_or_default();
            let printed = name.starts_with("GIT_TRACE") && value.as_encoded_bytes().first() != Some(&b'/');
            // Tokens for notices are for nobody else.
            let told = name.starts_with("PLATFORMCTL_NOTIFY_");
            !REDIRECTING.contains(&name) && !printed && !told && name != SSH_KEY && name != OWN
        }));
        command.envs(FIXED);
        command
    }

    /// A git that computes, in `dir`: nothing that anybody set reaches it, no file outside of what it is given, no
    /// replaced object.
    pub(super) fn computing(&self, program: &str, dir: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(dir).envs(FIXED);
        command.envs(self.vars.iter().filter(|(name, _)| name.to_str() == Some("PATH")));
        command.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_ATTR_NOSYSTEM", "1")]);
        command.env("GIT_NO_REPLACE_OBJECTS", "1");
        command
    }

    /// The values of variables whose names are those of secrets, so that they are removed from everything that is
    /// printed.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let secret = |name: &str| {
            let name = name.to_ascii_uppercase();
            ["TOKEN", "PASSW", "SECRET", "CREDENTIAL", "API_KEY", "APIKEY", "SSH_KEY", "_PAT", "PLATFORMCTL_NOTIFY_"]
                .iter()
                .any(|part| name.contains(part))
        };
        let named = self.vars.iter().filter(move |(name, _)| name.to_str().is_some_and(secret));
        named.filter_map(|(_, value)| value.to_str())
    }
}
