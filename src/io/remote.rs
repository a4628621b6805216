//! The git remote, by the `git` program: one set of credentials, proxies and ssh settings, and gix cannot push.

use std::path::PathBuf;

use crate::{
    io::{
        env::Env,
        git_ssh::GitSsh,
        process::{self, Done, Limits},
    },
    model::{ids::Oid, refusal::Code, text},
    port::{Answer, PortError, Pushed, Remote, RemoteRefs, Want},
};

/// How often a fetch is tried again that met another one.
const FETCH_TRIES: u32 = 5;
/// git's words for that.
const CONTENDED: &[u8] = b"cannot lock ref";

/// A remote of a repository.
#[derive(Debug)]
pub struct GitRemote {
    git_dir: PathBuf,
    name: String,
    base: String,
    env: Env,
    /// How git is told to call ssh, unless the user tells it himself.
    ssh: Option<GitSsh>,
}

impl GitRemote {
    /// The remote `name` (a configured one) of the repository at `git_dir`, with the base branch `base`.
    ///
    /// # Errors
    /// A name that git could take for an option or that no ref can hold.
    pub fn new(git_dir: PathBuf, name: &str, base: &str, env: &Env) -> Answer<Self> {
        for text in [name, base] {
            let fits = !text.is_empty()
                && !text.starts_with(['-', '/', '.'])
                && !text.contains("..")
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
            if !fits {
                return Err(PortError::new(
                    Code::Usage,
                    format!("`{}` is not a name of a remote or branch", text::shown(text)),
                    "give the name of a configured remote and of a branch",
                ));
            }
        }
        let told = env.get("GIT_SSH_COMMAND").or(env.get("GIT_SSH")).is_some();
        let ssh = (!told).then(|| GitSsh::new(None, env));
        Ok(Self { git_dir, name: name.to_owned(), base: base.to_owned(), env: env.clone(), ssh })
    }

    /// The same, where git's configuration was read: the URL of the remote, and whether it has a `core.sshCommand`, which is
    /// then used as it is.
    #[must_use]
    pub fn configured(mut self, url: Option<&str>, ssh_command: bool) -> Self {
        self.ssh = self.ssh.filter(|_| !ssh_command).map(|_| GitSsh::new(url, &self.env));
        self
    }

    fn git(&self, args: &[String]) -> Answer<Done> {
        let mut command = self.env.child("git");
        command.env("GIT_NO_REPLACE_OBJECTS", "1");
        if let Some(ssh) = &self.ssh {
            command.env("GIT_SSH_COMMAND", ssh.command());
        }
        command.arg(format!("--git-dir={}", self.git_dir.display())).args(args);
        process::run(command, &Limits::default()).map_err(|error| {
            if error.code == Code::Deadline {
                unreachable(&self.name, "it gave no answer in time").because(error)
            } else {
                error
            }
        })
    }

    fn private(&self, rest: &str) -> String {
        format!("refs/platformctl/{}/{rest}", self.name)
    }
}

impl Remote for GitRemote {
    fn name(&self) -> &str {
        &self.name
    }

    fn refs(&self, pulls: bool) -> Answer<RemoteRefs> {
        let mut args = ["ls-remote", "--refs", &self.name].map(str::to_owned).to_vec();
        args.push(format!("refs/heads/{}", self.base));
        args.push("refs/platform/state".to_owned());
        if pulls {
            args.push("refs/pull/*/head".to_owned());
        }
        let done = self.git(&args)?;
        if done.rc != Some(0) {
            return Err(classify(&self.name, &done.stderr));
        }
        Ok(parse_refs(&done.stdout, &self.base))
    }

    fn fetch(&self, wants: &[Want]) -> Answer<()> {
        let mut args: Vec<String> = [
            "-c",
            "fetch.prune=false",
            "-c",
            "fetch.writeCommitGraph=false",
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--recurse-submodules=no",
            &self.name,
        ]
        .map(str::to_owned)
        .to_vec();
        args.extend(wants.iter().map(|want| match want {
            Want::Base => format!("+refs/heads/{}:{}", self.base, self.private("base")),
            Want::State => format!("+refs/platform/state:{}", self.private("state")),
            Want::Pull(n) => format!("+refs/pull/{n}/head:{}", self.private(&format!("pull/{n}"))),
            Want::Commit(id) => id.to_string(),
        }));
        let mut done = self.git(&args)?;
        // Another process of this clone fetches into the same private refs: what it brought is as good, and ours is asked again.
        for _ in 0..FETCH_TRIES {
            if done.rc == Some(0) || !done.stderr.windows(CONTENDED.len()).any(|window| window == CONTENDED) {
                break;
            }
            done = self.git(&args)?;
        }
        if done.rc == Some(0) { Ok(()) } else { Err(classify(&self.name, &done.stderr)) }
    }

    fn push_state(&self, id: Oid) -> Answer<Pushed> {
        let args = [
            "-c",
            "push.followTags=false",
            "-c",
            "push.gpgSign=false",
            "-c",
            "push.pushOption=",
            "push",
            "--porcelain",
            "--no-verify",
            "--recurse-submodules=no",
            &self.name,
            &format!("{id}:refs/platform/state"),
        ]
        .map(str::to_owned);
        // A child that was killed at its deadline may have pushed: that is no answer, and no error either.
        match self.git(&args) {
            Ok(done) => Ok(parse_push(&done)),
            Err(error) if error.code == Code::RemoteUnreachable => Ok(Pushed::Unknown(error.what)),
            Err(error) => Err(error),
        }
    }
}

fn unreachable(remote: &str, why: &str) -> PortError {
    PortError::new(
        Code::RemoteUnreachable,
        format!("the remote `{}` gave no answer: {why}", text::shown(remote)),
        format!("see that `git ls-remote {}` works, then try again", text::shown(remote)),
    )
}

/// Sorts a failure by git's own words. What is not known is "no answer", never "no".
fn classify(remote: &str, stderr: &[u8]) -> PortError {
    let said = String::from_utf8_lossy(stderr);
    let has = |needle: &str| said.contains(needle);
    // git explains itself at length; its first complaint is the cause.
    let mut full = said.lines().filter(|line| !line.trim().is_empty());
    let first = full.clone().find(|line| line.starts_with("fatal: ") || line.starts_with("ssh: "));
    let why = text::shown(first.or_else(|| full.next_back()).unwrap_or_default());
    if has("couldn't find remote ref") || has("not our ref") || has("no such remote ref") {
        return PortError::new(
            Code::UnknownId,
            format!("the remote `{}` does not have it: {why}", text::shown(remote)),
            "see that the number or id is right, and that it was pushed there",
        );
    }
    if has("terminal prompts disabled") || has("could not read Username") || has("could not read Password") {
        return PortError::new(
            Code::CredentialsMissing,
            format!("the remote `{}` asks for credentials: {why}", text::shown(remote)),
            "set up a credential helper or an ssh key for it",
        );
    }
    if has("Authentication failed") || has("Permission denied") || has("403") {
        return PortError::new(
            Code::CredentialsRefused,
            format!("the remote `{}` refused the credentials: {why}", text::shown(remote)),
            "see that the token or key is valid and may read and write the repository",
        );
    }
    unreachable(remote, &why)
}

/// Reads `ls-remote`: `<id> TAB <ref>` lines; what is not one is passed over.
fn parse_refs(stdout: &[u8], base: &str) -> RemoteRefs {
    let mut refs = RemoteRefs::default();
    for line in String::from_utf8_lossy(stdout).lines() {
        let Some((id, name)) = line.split_once('\t') else {
            continue;
        };
        let Ok(id) = id.parse::<Oid>() else { continue };
        if name.strip_prefix("refs/heads/") == Some(base) {
            refs.base = Some(id);
        } else if name == "refs/platform/state" {
            refs.state = Some(id);
        } else if let Some(n) = name.strip_prefix("refs/pull/").and_then(|rest| rest.strip_suffix("/head")) {
            // One spelling per number: "+1" and "01" are other refs.
            let number = n.parse::<u64>().ok().filter(|number| *number > 0 && number.to_string() == n);
            refs.pulls.extend(number.map(|number| (number, id)));
        }
    }
    refs.pulls.sort_unstable();
    refs
}

/// Reads `push --porcelain`. Only a line for our ref is an answer.
fn parse_push(done: &Done) -> Pushed {
    let said = String::from_utf8_lossy(&done.stdout);
    for line in said.lines() {
        let mut fields = line.split('\t');
        let (flag, names, rest) = (fields.next(), fields.next(), fields.next());
        if !names.is_some_and(|names| names.ends_with(":refs/platform/state")) {
            continue;
        }
        match flag {
            Some(" " | "*" | "=") if done.rc == Some(0) => return Pushed::Accepted,
            Some("!") => return Pushed::Rejected(text::shown(rest.unwrap_or_default())),
            _ => break,
        }
    }
    let stderr = String::from_utf8_lossy(&done.stderr);
    let last = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no words at all");
    Pushed::Unknown(text::shown(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(rc: i32, stdout: &str) -> Pushed {
        parse_push(&Done { rc: Some(rc), stdout: stdout.into(), stderr: b"fatal: gone\n".to_vec() })
    }

    #[test]
    fn only_a_line_for_our_ref_is_an_answer() {
        let id = "a".repeat(40);
        let line = |flag: &str, rest: &str| format!("To x\n{flag}\t{id}:refs/platform/state\t{rest}\nDone\n");
        assert_eq!(push(0, &line("*", "[new reference]")), Pushed::Accepted);
        assert_eq!(push(0, &line("=", "[up to date]")), Pushed::Accepted);
        assert_eq!(
            push(1, &line("!", "[rejected] (fetch first)")),
            Pushed::Rejected("[rejected] (fetch first)".into())
        );
        assert_eq!(push(128, ""), Pushed::Unknown("fatal: gone".into()));
        assert_eq!(push(1, &line("*", "[new reference]")), Pushed::Unknown("fatal: gone".into()));
        assert_eq!(push(1, "!\tx:refs/heads/main\t[rejected]\n"), Pushed::Unknown("fatal: gone".into()));
    }

    #[test]
    fn pull_refs_have_one_spelling() {
        let id = "b".repeat(40);
        let text = ["1", "01", "+2", "0", "x", "18446744073709551616", "3"]
            .map(|n| format!("{id}\trefs/pull/{n}/head\n"))
            .concat();
        let refs = parse_refs(format!("{id}\trefs/heads/main\nnonsense\n{text}").as_bytes(), "main");
        assert_eq!(refs.pulls.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 3]);
        assert!(refs.base.is_some() && refs.state.is_none());
    }
}
