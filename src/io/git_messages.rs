//! Messages of git and of the server behind it: without credentials, escaped, and classified.
//!
//! The server's own words decide nothing by themselves: a line that it sends through git begins with `remote:` and is
//! only shown.

use crate::{
    io::{faults, git::trust, process::Done, secrets::Secrets},
    model::{refusal::Code, text},
    port::PortError,
};

/// Most lines that are shown.
const LINES_MAX: usize = 3;

/// The lines with information: the server's, then git's own.
pub(super) fn said(stderr: &[u8], secrets: &Secrets) -> String {
    const NOISE: &[&str] = &[
        "error: failed to push some refs",
        "fatal: Could not read from remote repository",
        "Please make sure you have the correct access rights",
        "and the repository exists.",
        "hint:",
        "To add an exception for this directory",
        "\tgit config",
    ];
    let stderr = String::from_utf8_lossy(stderr);
    let full = stderr.lines().map(str::trim_end).filter(|line| !line.trim().is_empty() && *line != "remote:");
    let (plain, noise): (Vec<&str>, Vec<&str>) =
        full.partition(|line| !NOISE.iter().any(|noise| line.starts_with(noise)));
    let lines = if plain.is_empty() { noise } else { plain };
    let mut told: Vec<String> = lines.iter().take(LINES_MAX).map(|line| secrets.shown(line)).collect();
    if lines.len() > LINES_MAX {
        told.push("…".to_owned());
    }
    told.dedup();
    if told.is_empty() { "no message".to_owned() } else { told.join("; ") }
}

/// What a transfer that failed came to.
#[derive(Debug)]
pub(super) enum Ended {
    /// This machine's own fault.
    Here(PortError),
    /// A refusal before anything was received: git ends so when the server does not even begin to talk about refs.
    Refused(PortError),
    /// No answer: what was sent may have been received.
    Unanswered(PortError),
}

impl Ended {
    /// The error, where nothing was to be received.
    pub(super) fn error(self) -> PortError {
        let (Self::Here(error) | Self::Refused(error) | Self::Unanswered(error)) = self;
        error
    }

    fn map(self, change: impl FnOnce(PortError) -> PortError) -> Self {
        match self {
            Self::Here(error) => Self::Here(change(error)),
            Self::Refused(error) => Self::Refused(change(error)),
            Self::Unanswered(error) => Self::Unanswered(change(error)),
        }
    }

    /// The same, where git was handed the credential from `source`.
    pub(super) fn used(self, source: &str) -> Self {
        self.map(|error| {
            if !matches!(error.code, Code::CredentialsMissing | Code::CredentialsRefused) {
                return error;
            }
            PortError { what: format!("{} (credential: {source})", error.what), ..error }
        })
    }

    /// The same, where there is a credential that git was not handed; why, in words that follow "the token", and what
    /// helps.
    pub(super) fn withheld(self, why: &str, fix: &str) -> Self {
        self.map(|error| {
            if error.code != Code::CredentialsMissing {
                return error;
            }
            PortError { what: format!("{} (the token {why})", error.what), fix: fix.to_owned(), ..error }
        })
    }
}

/// Sorts a failure. Only git's own last words count, and what is not known is "no answer", never "no".
pub(super) fn ended(remote: &str, stderr: &[u8], secrets: &Secrets) -> Ended {
    let raw = String::from_utf8_lossy(stderr);
    let own: Vec<&str> = raw.lines().filter(|line| !line.starts_with("remote:")).collect();
    let has = |needle: &str| own.iter().any(|line| line.contains(needle));
    let fatal = |needle: &str| own.iter().any(|line| line.starts_with("fatal: ") && line.contains(needle));
    let name = text::shown(remote);
    let words = said(stderr, secrets);
    if let Some(error) = faults::of_git("git could not read or write here", &raw) {
        return Ended::Here(error);
    }
    if fatal("could not read Username") || fatal("could not read Password") || fatal("terminal prompts disabled") {
        return Ended::Refused(PortError::new(
            Code::CredentialsMissing,
            format!(
                "the remote `{name}` asks for credentials: there are none, they were revoked, or it has no such repository: {words}"
            ),
            "set PLATFORMCTL_FORGEJO_TOKEN, or set up a credential helper with a valid token or an ssh key",
        ));
    }
    if fatal("Authentication failed") || fatal("returned error: 401") {
        return Ended::Refused(refused(&name, "the credentials", &words, "set up a token or key that is valid"));
    }
    if fatal("returned error: 403") {
        return Ended::Refused(forbidden(&name, &words, "token (scope write:repository)"));
    }
    if has("couldn't find remote ref") || has("not our ref") || has("no such remote ref") {
        return Ended::Refused(PortError::new(
            Code::UnknownId,
            format!("the remote `{name}` does not have it: {words}"),
            "see that the number or id is right, and that it was pushed there",
        ));
    }
    if has("mismatched algorithms") || has("does not support this repository's hash algorithm") {
        return Ended::Refused(other_objects(&name));
    }
    if fatal("repository '") && fatal("not found") || fatal("returned error: 404") {
        return Ended::Refused(missing(&name, &words));
    }
    // The first thing that a server sends is its list of refs: git prints this if the list did not come.
    let refusal = if fatal("Could not read from remote repository") { silent(&name, &raw, &own, &words) } else { None };
    refusal.map_or_else(|| Ended::Unanswered(unreachable(&name, &words)), Ended::Refused)
}

/// Why a server, or the ssh before it, did not even begin.
fn silent(name: &str, raw: &str, own: &[&str], words: &str) -> Option<PortError> {
    let has = |needle: &str| own.iter().any(|line| line.contains(needle));
    if has("Cannot find repository") || has("does not appear to be a git repository") {
        return Some(missing(name, words));
    }
    if let Some(path) = trust::dubious(raw) {
        return Some(PortError::new(
            Code::CredentialsRefused,
            format!("the remote `{name}` is a folder of another account, and git does not trust it: {words}"),
            format!("git config --global --add safe.directory {}", faults::command_word(path.as_ref())),
        ));
    }
    if has("Host key verification failed") {
        return Some(PortError::new(
            Code::HostKeyUnknown,
            format!("ssh does not know the host key of the remote `{name}`: {words}"),
            format!("connect once with ssh, compare the fingerprint, then: git ls-remote {name}"),
        ));
    }
    if has("Permission denied (") {
        return Some(refused(name, "the ssh key", words, "add a public key of `ssh-add -L` to the server"));
    }
    let forbids = ["not authorized to", " is archived", "read-only", "is a mirror"].iter().any(|no| has(no));
    forbids.then(|| forbidden(name, words, "key"))
}

fn missing(name: &str, words: &str) -> PortError {
    PortError::new(
        Code::RemoteUnreachable,
        format!("the remote `{name}` has no such repository, or does not show it to you: {words}"),
        format!("see that the URL is right and that you may read it: git remote get-url {name}"),
    )
}

fn refused(name: &str, what: &str, words: &str, fix: &str) -> PortError {
    PortError::new(Code::CredentialsRefused, format!("the remote `{name}` refused {what}: {words}"), fix)
}

/// Somebody who is known and may not do this; the server's words choose the cure.
fn forbidden(name: &str, words: &str, what: &str) -> PortError {
    let fix = if words.contains("archived") {
        "unarchive the repository on the server, or name another remote: --remote NAME".to_owned()
    } else if words.contains("mirror") {
        "a mirror cannot be written: name the repository that it mirrors as the remote: --remote NAME".to_owned()
    } else if words.contains("authorized to read") {
        format!("use a {what} that may read this repository")
    } else {
        format!("use a {what} that may write this repository")
    };
    refused(name, "this", words, &fix)
}

/// A server whose objects have other ids than ours.
pub(super) fn other_objects(name: &str) -> PortError {
    PortError::new(
        Code::UnsupportedRepository,
        format!("the remote `{}` has sha256 objects; they are not supported", text::shown(name)),
        "make it anew with sha1 objects on the server: git init --bare --object-format=sha1",
    )
}

/// No answer, or one without information.
pub(super) fn unreachable(name: &str, why: &str) -> PortError {
    let name = text::shown(name);
    PortError::new(
        Code::RemoteUnreachable,
        format!("the remote `{name}` did not answer: {why}"),
        format!("see that `git ls-remote {name}` works, then try again"),
    )
}

/// How a push ended, by git's porcelain lines: only one for our ref is an answer.
pub(super) enum Line {
    /// The ref is there.
    Accepted,
    /// The server rejected it; its message.
    Rejected(String),
    /// There is no such line.
    None,
}

/// Reads `push --porcelain`.
pub(super) fn line(done: &Done, secrets: &Secrets) -> Line {
    let stdout = String::from_utf8_lossy(&done.stdout);
    for line in stdout.lines() {
        let mut fields = line.split('\t');
        let (flag, names, rest) = (fields.next(), fields.next(), fields.next());
        if !names.is_some_and(|names| names.ends_with(":refs/platform/state")) {
            continue;
        }
        match flag {
            Some(" " | "*" | "=") if done.rc == Some(0) => return Line::Accepted,
            Some("!") => {
                let why = secrets.shown(rest.unwrap_or_default());
                let stderr = String::from_utf8_lossy(&done.stderr);
                let server: Vec<&str> = stderr.lines().filter(|line| line.starts_with("remote:")).collect();
                let words = said(server.join("\n").as_bytes(), secrets);
                let words = if server.is_empty() { why } else { format!("{why}; {words}") };
                return Line::Rejected(words);
            }
            _ => break,
        }
    }
    Line::None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_messages_are_kept_and_progress_is_dropped() {
        let words = |stderr: &str| said(stderr.as_bytes(), &Secrets::default());
        assert_eq!(
            words(
                "remote: \nremote: Not allowed to push to protected branch main        \nremote: \nerror: failed to push some refs to 'x'\n"
            ),
            "remote: Not allowed to push to protected branch main"
        );
        assert_eq!(words("\n"), "no message");
        assert_eq!(
            words(
                "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n"
            ),
            "fatal: Could not read from remote repository.; Please make sure you have the correct access rights; and the repository exists."
        );
        assert_eq!(words("remote: a\u{1b}[2Jb\n"), "remote: a\\u{1b}[2Jb");
    }

    /// Attack: a server hook prints text that looks like an error of git, although the push succeeds.
    /// Defence: lines of the server begin with `remote:`; they are shown and never used to classify the error.
    #[test]
    fn server_messages_do_not_affect_classification() {
        let stderr = "remote: fatal: Authentication failed for 'x'\nremote: Permission denied (publickey)\n\
                      fatal: the remote end hung up unexpectedly\n";
        assert!(matches!(ended("origin", stderr.as_bytes(), &Secrets::default()), Ended::Unanswered(_)));
        let cut = "error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502\nfatal: the remote end hung up unexpectedly\n";
        assert!(matches!(ended("origin", cut.as_bytes(), &Secrets::default()), Ended::Unanswered(_)));
    }

    /// What git prints on a real Forgejo, as it was recorded there.
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn forge_errors_are_classified() {
        let answers: serde_json::Value = serde_json::from_str(include_str!("../../tests/git-answers.json")).unwrap();
        let mut table = String::new();
        for answer in answers.as_array().unwrap() {
            let of = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
            let done = Done {
                rc: answer["rc"].as_i64().and_then(|rc| i32::try_from(rc).ok()),
                stdout: of("stdout").replace("HEAD:refs/heads/main", "HEAD:refs/platform/state").into_bytes(),
                stderr: of("stderr").into_bytes(),
            };
            let secrets = Secrets::default();
            let ended = match line(&done, &secrets) {
                Line::Accepted => "accepted".to_owned(),
                Line::Rejected(why) => format!("rejected: {why}"),
                Line::None => match ended("origin", &done.stderr, &secrets) {
                    Ended::Here(error) => format!("HERE {}: {error}", error.code.slug()),
                    Ended::Refused(error) => {
                        assert_eq!(crate::error::Class::of(error.code).exit(), 9, "{error}");
                        format!("{}: {error}\n    fix: {}", error.code.slug(), error.fix)
                    }
                    Ended::Unanswered(error) => format!("UNANSWERED: {error}"),
                },
            };
            table += &format!("{}\n    {ended}\n", of("case"));
        }
        snapbox::assert_data_eq!(
            table,
            snapbox::str![[r#"
http push, no credentials, public repository
    credentials_missing: the remote `origin` asks for credentials: there are none, they were revoked, or it has no such repository: fatal: could not read Username for 'https://forge.example': terminal prompts disabled
    fix: set PLATFORMCTL_FORGEJO_TOKEN, or set up a credential helper with a valid token or an ssh key
http push, revoked token
    credentials_missing: the remote `origin` asks for credentials: there are none, they were revoked, or it has no such repository: fatal: could not read Username for 'https://forge.example': terminal prompts disabled
    fix: set PLATFORMCTL_FORGEJO_TOKEN, or set up a credential helper with a valid token or an ssh key
http push, token of a reader
    rejected: [remote rejected] (pre-receive hook declined); remote: Forgejo: User 'carol' is not allowed to push to branch '' in 'alice/pushfail'.; remote: If you instead wanted to create a pull request to the branch '', please use:; remote: git push origin HEAD:refs/for//choose-a-descriptor; …
http push, token without write scope
    credentials_refused: the remote `origin` refused this: remote: Forbidden; fatal: unable to access 'https://forge.example/alice/pushfail.git/': The requested URL returned error: 403
    fix: use a token (scope write:repository) that may write this repository
http fetch, revoked token, public repository
    credentials_missing: the remote `origin` asks for credentials: there are none, they were revoked, or it has no such repository: fatal: could not read Username for 'https://forge.example': terminal prompts disabled
    fix: set PLATFORMCTL_FORGEJO_TOKEN, or set up a credential helper with a valid token or an ssh key
http fetch, repository that is not there
    credentials_missing: the remote `origin` asks for credentials: there are none, they were revoked, or it has no such repository: fatal: could not read Username for 'https://forge.example': terminal prompts disabled
    fix: set PLATFORMCTL_FORGEJO_TOKEN, or set up a credential helper with a valid token or an ssh key
http fetch, not there, with a token
    remote_unreachable: the remote `origin` has no such repository, or does not show it to you: remote: Repository not found; fatal: repository 'https://forge.example/alice/nosuch.git/' not found
    fix: see that the URL is right and that you may read it: git remote get-url origin
http fetch, private, another's token
    remote_unreachable: the remote `origin` has no such repository, or does not show it to you: remote: Repository not found; fatal: repository 'https://forge.example/alice/hidden.git/' not found
    fix: see that the URL is right and that you may read it: git remote get-url origin
http fetch, private, no credentials
    credentials_missing: the remote `origin` asks for credentials: there are none, they were revoked, or it has no such repository: fatal: could not read Username for 'https://forge.example': terminal prompts disabled
    fix: set PLATFORMCTL_FORGEJO_TOKEN, or set up a credential helper with a valid token or an ssh key
http push, user in the URL, wrong password
    credentials_refused: the remote `origin` refused the credentials: remote: Credentials are incorrect or have expired. Retry your command or see https://codeberg.org/forgejo/forgejo/issues/2809 for more information; fatal: Authentication failed for 'https://forge.example/alice/pushfail.git/'
    fix: set up a token or key that is valid
http push, archived
    credentials_refused: the remote `origin` refused this: remote: This repo is archived. You can view files and clone it, but cannot push or open issues/pull-requests.; fatal: unable to access 'https://forge.example/alice/pushfail.git/': The requested URL returned error: 403
    fix: unarchive the repository on the server, or name another remote: --remote NAME
ssh push, archived
    credentials_refused: the remote `origin` refused this: Forgejo: Repo: alice/pushfail is archived.
    fix: unarchive the repository on the server, or name another remote: --remote NAME
ssh fetch, not there
    remote_unreachable: the remote `origin` has no such repository, or does not show it to you: Forgejo: Cannot find repository: alice/nosuch
    fix: see that the URL is right and that you may read it: git remote get-url origin
ssh push
    accepted
ssh, unknown key
    credentials_refused: the remote `origin` refused the ssh key: git@forge.example: Permission denied (publickey).
    fix: add a public key of `ssh-add -L` to the server
ssh push, read-only deploy key
    credentials_refused: the remote `origin` refused this: Forgejo: Deploy Key: 4:deploy is not authorized to write to alice/pushfail.
    fix: use a key that may write this repository
ssh fetch, deploy key of another repository
    credentials_refused: the remote `origin` refused this: Forgejo: Public (Deploy) Key: 4:deploy is not authorized to read alice/infra.
    fix: use a key that may read this repository
http push, protected branch
    rejected: [remote rejected] (pre-receive hook declined); remote: Forgejo: Not allowed to push to protected branch main

"#]]
        );
    }
}
