//! What git and the server behind it said: without credentials, escaped, and sorted into what it means.
//!
//! The server's own words decide nothing by themselves: a line that it sends through git begins with `remote:` and is only shown.

use crate::{
    io::{env::Env, faults, git::trust, process::Done},
    model::{refusal::Code, text},
    port::PortError,
};

/// Shorter secrets are not looked for: they would hide half of a message.
const SECRET_BYTES_MIN: usize = 8;
/// Most lines that are shown.
const LINES_MAX: usize = 3;

/// Secrets that are known here and are never printed.
#[derive(Debug, Clone, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Those of the environment, of URLs, and others as they are.
    pub(super) fn of(env: &Env, urls: &[String], others: &[String]) -> Self {
        let mut found: Vec<String> =
            env.secrets().chain(others.iter().map(String::as_str)).map(str::to_owned).collect();
        for url in urls.iter().chain(others) {
            let user_info = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next()?.rsplit_once('@'));
            let Some((user_info, _)) = user_info else { continue };
            let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
            // A user alone may be a token; one with a password is a name.
            let secret = if password.is_empty() { user } else { password };
            found.extend([secret.to_owned(), decoded(secret)]);
        }
        found.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        found.dedup();
        Self(found)
    }

    /// Text for a message.
    pub(super) fn shown(&self, text: &str) -> String {
        text::shown(&self.masked(text))
    }

    fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.as_str(), "***");
        }
        parameters(&headers(&urls(&text)))
    }
}

/// `%41` as `A`; what is not UTF-8 then stays as it was.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let byte = std::str::from_utf8(more.get(..2).unwrap_or_default())
            .ok()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Masks who logs in, in every URL. The user of an ssh URL is no secret.
pub(super) fn urls(message: &str) -> String {
    let mut out = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once("://") {
        // A quote, an angle bracket or a control character can be part of a password: only what ends a URL for certain ends it here.
        let ends = |c: char| (c.is_whitespace() && !text::is_harmful(c)) || "/?#\n".contains(c);
        let end = after.find(ends).unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        out.push_str(before);
        out.push_str("://");
        match authority.rsplit_once('@') {
            Some((user, host)) if before.ends_with("ssh") && !user.contains(':') => {
                out.push_str(user);
                out.push('@');
                out.push_str(host);
            }
            Some((_, host)) => {
                out.push_str("***@");
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        rest = tail;
    }
    out + rest
}

/// Masks what follows `Authorization:`.
fn headers(text: &str) -> String {
    let Some(at) = text.to_ascii_lowercase().find("authorization:") else { return text.to_owned() };
    format!("{} ***", &text[..at + "authorization:".len()])
}

/// Masks values of `token=` and the like, in a query or anywhere.
fn parameters(text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["token=", "password=", "secret=", "api_key="] {
        let mut from = 0;
        while let Some(at) = text[from..].to_ascii_lowercase().find(name) {
            let start = from + at + name.len();
            let length = text[start..].find(|c: char| c.is_whitespace() || "&'\";,)".contains(c));
            let end = length.map_or(text.len(), |length| start + length);
            text.replace_range(start..end, "***");
            from = start + 3;
        }
    }
    text
}

/// The lines that say something: the server's, then git's own.
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
    if told.is_empty() { "no words at all".to_owned() } else { told.join("; ") }
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
            "set up a credential helper with a valid token, or an ssh key",
        ));
    }
    if fatal("Authentication failed") || fatal("returned error: 401") {
        return Ended::Refused(refused(&name, "the credentials", &words, "set up a token or key that is valid"));
    }
    if fatal("returned error: 403") {
        return Ended::Refused(forbidden(&name, &words, "token"));
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
    // The first thing that a server sends is its list of refs: this is said where it did not come.
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

/// No answer, or none that says anything.
pub(super) fn unreachable(name: &str, why: &str) -> PortError {
    let name = text::shown(name);
    PortError::new(
        Code::RemoteUnreachable,
        format!("the remote `{name}` gave no answer: {why}"),
        format!("see that `git ls-remote {name}` works, then try again"),
    )
}

/// How a push ended, by git's porcelain lines: only one for our ref is an answer.
pub(super) enum Line {
    /// The ref is there.
    Accepted,
    /// The server said no; its words.
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

    fn secrets() -> Secrets {
        let vars = [("FORGE_TOKEN", "abcdef0123456789"), ("PATH", "/usr/bin:/bin")];
        let env = Env::of(vars.map(|(name, value)| (name.into(), value.into())), "/".into());
        let urls =
            ["https://ola:s%33cr%65t-word@forge.example/a.git".to_owned(), "https://glpat-99887766@forge/a".to_owned()];
        Secrets::of(&env, &urls, &["b2xhOnNlY3JldA==".to_owned(), "https://oauth2:rewritten-to@forge/".to_owned()])
    }

    /// Attack: a password in a URL has a quote, an angle bracket or a control character in it, and git repeats the URL.
    /// Defence: only a blank, a line break or a `/`, `?` or `#` ends the part of a URL that is searched for a login.
    #[test]
    fn a_quote_in_a_password_does_not_end_the_search() {
        for (text, shown) in [
            ("fatal: 'https://ola:pa'ss@forge/a.git'", "fatal: 'https://***@forge/a.git'"),
            ("https://ola:pa\"s<s>@forge", "https://***@forge"),
            ("https://\u{b}ola:pass@forge/", "https://***@forge/"),
            ("see <https://forge>, ask ola@example.org", "see <https://forge>, ask ola@example.org"),
            ("'https://forge/a.git': no", "'https://forge/a.git': no"),
        ] {
            assert_eq!(urls(text), shown);
        }
    }

    /// Attack: a server or git itself repeats a token in an error message.
    /// Defence: URLs are shown without who logs in, and every secret that is known here is masked before anything is printed.
    #[test]
    fn no_secret_is_shown() {
        let secrets = secrets();
        let shown = |text: &str| secrets.shown(text);
        assert_eq!(
            shown("fatal: unable to access 'https://u:p@forge/a.git/': x"),
            "fatal: unable to access 'https://***@forge/a.git/': x"
        );
        assert_eq!(
            shown("https://ghp_x@a/b and ssh://git@c/d ssh://git:pw@e"),
            "https://***@a/b and ssh://git@c/d ssh://***@e"
        );
        assert_eq!(shown("https://a/b@c?x=1"), "https://a/b@c?x=1", "that is a path");
        assert_eq!(shown("no abcdef0123456789 here"), "no *** here");
        assert_eq!(shown("s3cret-word s%33cr%65t-word glpat-99887766"), "*** *** ***");
        assert_eq!(shown("> Authorization: Basic b2xhOnNlY3JldA=="), "> Authorization: ***");
        assert_eq!(shown("basic b2xhOnNlY3JldA== x"), "basic *** x");
        assert_eq!(
            shown("GET /a?private_token=12&b=3&access_token=45"),
            "GET /a?private_token=***&b=3&access_token=***"
        );
        assert_eq!(shown("rewritten-to"), "***");
        assert_eq!(shown("/usr/bin:/bin"), "/usr/bin:/bin");
    }

    #[test]
    fn the_server_is_heard_and_noise_is_not() {
        let words = |stderr: &str| said(stderr.as_bytes(), &Secrets::default());
        assert_eq!(
            words(
                "remote: \nremote: Not allowed to push to protected branch main        \nremote: \nerror: failed to push some refs to 'x'\n"
            ),
            "remote: Not allowed to push to protected branch main"
        );
        assert_eq!(words("\n"), "no words at all");
        assert_eq!(
            words(
                "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n"
            ),
            "fatal: Could not read from remote repository.; Please make sure you have the correct access rights; and the repository exists."
        );
        assert_eq!(words("remote: a\u{1b}[2Jb\n"), "remote: a\\u{1b}[2Jb");
    }

    /// Attack: a hook's words look like git's, while the push it answers is carried out.
    /// Defence: what the server sends through git begins with `remote:` and is shown, never sorted by.
    #[test]
    fn the_servers_words_decide_nothing() {
        let stderr = "remote: fatal: Authentication failed for 'x'\nremote: Permission denied (publickey)\n\
                      fatal: the remote end hung up unexpectedly\n";
        assert!(matches!(ended("origin", stderr.as_bytes(), &Secrets::default()), Ended::Unanswered(_)));
        let cut = "error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502\nfatal: the remote end hung up unexpectedly\n";
        assert!(matches!(ended("origin", cut.as_bytes(), &Secrets::default()), Ended::Unanswered(_)));
    }

    /// What git prints on a real Forgejo, as it was recorded there.
    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn each_answer_of_a_real_forge_is_what_it_is() {
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
                    Ended::Refused(error) => format!("{}: {error}\n    fix: {}", error.code.slug(), error.fix),
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
    fix: set up a credential helper with a valid token, or an ssh key
http push, revoked token
    credentials_missing: the remote `origin` asks for credentials: there are none, they were revoked, or it has no such repository: fatal: could not read Username for 'https://forge.example': terminal prompts disabled
    fix: set up a credential helper with a valid token, or an ssh key
http push, token of a reader
    rejected: [remote rejected] (pre-receive hook declined); remote: Forgejo: User 'carol' is not allowed to push to branch '' in 'alice/pushfail'.; remote: If you instead wanted to create a pull request to the branch '', please use:; remote: git push origin HEAD:refs/for//choose-a-descriptor; …
http push, token without write scope
    credentials_refused: the remote `origin` refused this: remote: Forbidden; fatal: unable to access 'https://forge.example/alice/pushfail.git/': The requested URL returned error: 403
    fix: use a token that may write this repository
http fetch, revoked token, public repository
    credentials_missing: the remote `origin` asks for credentials: there are none, they were revoked, or it has no such repository: fatal: could not read Username for 'https://forge.example': terminal prompts disabled
    fix: set up a credential helper with a valid token, or an ssh key
http fetch, repository that is not there
    credentials_missing: the remote `origin` asks for credentials: there are none, they were revoked, or it has no such repository: fatal: could not read Username for 'https://forge.example': terminal prompts disabled
    fix: set up a credential helper with a valid token, or an ssh key
http fetch, not there, with a token
    remote_unreachable: the remote `origin` has no such repository, or does not show it to you: remote: Repository not found; fatal: repository 'https://forge.example/alice/nosuch.git/' not found
    fix: see that the URL is right and that you may read it: git remote get-url origin
http fetch, private, another's token
    remote_unreachable: the remote `origin` has no such repository, or does not show it to you: remote: Repository not found; fatal: repository 'https://forge.example/alice/hidden.git/' not found
    fix: see that the URL is right and that you may read it: git remote get-url origin
http fetch, private, no credentials
    credentials_missing: the remote `origin` asks for credentials: there are none, they were revoked, or it has no such repository: fatal: could not read Username for 'https://forge.example': terminal prompts disabled
    fix: set up a credential helper with a valid token, or an ssh key
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
    fix: use a key that may write this repository
http push, protected branch
    rejected: [remote rejected] (pre-receive hook declined); remote: Forgejo: Not allowed to push to protected branch main

"#]]
        );
    }
}
