//! The git remote, by the `git` program: one set of credentials, proxies and ssh settings, and gix cannot push.
#![expect(clippy::disallowed_methods, reason = "a moment is waited here")]

use std::{cell::OnceCell, path::PathBuf, process::Command, time::Duration};

use crate::{
    io::{
        configured::Configured,
        env::Env,
        git_messages::{self, Ended, Line},
        git_ssh::GitSsh,
        handover::{self, Hand},
        log,
        process::{self, Done, Limits},
        secrets::{self, Secrets},
    },
    model::{forge::ForgeUrl, ids::Oid, refusal::Code, text},
    port::{Answer, PortError, Pushed, Remote, RemoteRefs, Want},
};

/// How often, and how long between, a record is looked for that was pushed to another URL than it is fetched from.
const ARRIVES_TRIES: u32 = 5;
const ARRIVES_PAUSE: Duration = Duration::from_millis(300);
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
    /// Git's configuration, once it was read.
    configured: Option<Configured>,
    secrets: Secrets,
    /// Where the policy says that the forge is.
    forge: OnceCell<ForgeUrl>,
    /// What git is handed, once a transfer needed it.
    hand: OnceCell<Hand>,
    /// Where a relative URL begins.
    from: PathBuf,
}

impl GitRemote {
    /// The remote `name` (a configured one) of the repository at `git_dir`, with the base branch `base`.
    ///
    /// # Errors
    /// A name that git could take for an option or that is not valid in a ref.
    pub fn new(git_dir: PathBuf, name: &str, base: &str, env: &Env) -> Answer<Self> {
        for text in [name, base] {
            let fits = !text.is_empty()
                && !text.starts_with(['-', '/', '.'])
                && !text.contains("..")
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
            if !fits {
                return Err(PortError::new(
                    Code::Usage,
                    format!("`{}` is not a name of a remote or branch", shown(text)),
                    "give the name of a configured remote and of a branch",
                ));
            }
        }
        let told = env.get("GIT_SSH_COMMAND").or(env.get("GIT_SSH")).is_some();
        let ssh = (!told).then(|| GitSsh::new(None, env));
        // Of a linked work tree gix has it with `..` in it.
        let git_dir = env.cwd().join(git_dir);
        let git_dir = std::fs::canonicalize(&git_dir).unwrap_or(git_dir);
        // As git: from the root of the work tree, or else from the repository itself, and never from the current
        // folder.
        let from = git_dir.parent().filter(|_| git_dir.ends_with(".git")).unwrap_or(&git_dir).to_owned();
        let (name, base) = (name.to_owned(), base.to_owned());
        let secrets = Secrets::of(env, &[], &[]);
        let (forge, hand) = (OnceCell::new(), OnceCell::new());
        Ok(Self { git_dir, name, base, env: env.clone(), ssh, configured: None, secrets, forge, hand, from })
    }

    /// The same, where git's configuration was read.
    #[must_use]
    pub fn configured(mut self, configured: Configured) -> Self {
        let url = configured.urls.first().map(String::as_str);
        self.ssh = self.ssh.filter(|_| !configured.ssh_command).map(|_| GitSsh::new(url, &self.env));
        let urls = [configured.urls.as_slice(), configured.push_urls.as_slice()].concat();
        self.secrets = Secrets::of(&self.env, &urls, &configured.secrets);
        log::never(&self.secrets);
        self.from = configured.work_dir.clone().unwrap_or(self.from);
        self.configured = Some(configured);
        self
    }

    /// The same, of the forge that the policy names: a token for it goes to its own server only.
    pub fn of_forge(&self, forge: ForgeUrl) {
        // The first one stays: a session has one policy.
        drop(self.forge.set(forge));
    }

    /// Whether it matters to which server a credential belongs: there is one here, and the remote is reached over http.
    pub fn takes_credential(&self) -> bool {
        let url = self.configured.as_ref().and_then(|configured| configured.urls.first());
        handover::is_here(&self.env) && url.is_some_and(|url| handover::is_http(url))
    }

    /// What git is handed, beside what it has itself.
    fn hand(&self) -> Answer<&Hand> {
        if self.hand.get().is_none() {
            let url = self.configured.as_ref().and_then(|configured| configured.urls.first());
            let asks = self.configured.as_ref().is_some_and(|configured| configured.ask_pass);
            let hand = match url {
                Some(url) => handover::hand(&self.env, &self.git_dir, (&self.name, url), self.forge.get(), asks)?,
                None => Hand::Nothing,
            };
            // Nobody else sets it: this runs on one thread.
            drop(self.hand.set(hand));
        }
        Ok(self.hand.get().unwrap_or(&Hand::Nothing))
    }

    /// What is never printed.
    fn secrets(&self) -> Secrets {
        let mut secrets = self.secrets.clone();
        if let Some(Hand::Given(given)) = self.hand.get() {
            secrets.add(&given.secrets());
        }
        secrets
    }

    fn command(&self) -> Answer<Command> {
        self.is_there()?;
        let mut command = self.env.transfer("git");
        command.current_dir(&self.from).env("GIT_NO_REPLACE_OBJECTS", "1");
        if let Some(ssh) = &self.ssh {
            command.env("GIT_SSH_COMMAND", ssh.command());
        }
        command.arg(format!("--git-dir={}", self.git_dir.display()));
        Ok(command)
    }

    /// A git that transfers.
    fn transfer(&self, args: &[String]) -> Answer<Done> {
        let mut command = self.command()?;
        if let Hand::Given(given) = self.hand()? {
            given.to(&mut command);
        }
        command.args(args);
        process::run(command, &Limits::default()).map_err(|error| {
            if error.code == Code::Deadline {
                git_messages::unreachable(&self.name, "it did not answer in time").because(error)
            } else {
                error
            }
        })
    }

    fn failed(&self, done: &Done) -> Ended {
        let ended = git_messages::ended(&self.name, &done.stderr, &self.secrets());
        match self.hand.get() {
            Some(Hand::Given(given)) => ended.used(given.source()),
            Some(Hand::Withheld { why, fix }) => ended.withheld(why, fix),
            Some(Hand::Nothing) | None => ended,
        }
    }

    fn is_there(&self) -> Answer<()> {
        if self.configured.as_ref().is_none_or(|configured| !configured.urls.is_empty()) {
            return Ok(());
        }
        let what = format!("there is no remote `{}`", self.name);
        let fix = format!("git remote add {} URL, or name another: --remote NAME", self.name);
        Err(PortError::new(Code::RemoteUnreachable, what, fix))
    }

    /// A record has one place: pushed to two, it could be taken by one of them alone.
    fn one_place(&self) -> Answer<()> {
        let Some(configured) = &self.configured else { return Ok(()) };
        let places = if configured.push_urls.is_empty() { &configured.urls } else { &configured.push_urls };
        if places.len() < 2 {
            return Ok(());
        }
        Err(PortError::new(
            Code::UnsupportedRepository,
            format!("the remote `{}` has {} push URLs, but the record needs exactly one", self.name, places.len()),
            "git remote add record URL && git config platformctl.remote record",
        ))
    }

    /// A remote may be pushed to at another URL than it is fetched from: whether both are one repository shows when the
    /// record is there.
    fn arrived(&self, id: Oid) -> Answer<Pushed> {
        if self.configured.as_ref().is_none_or(|configured| configured.push_urls.is_empty()) {
            return Ok(Pushed::Accepted);
        }
        let unknown = |error: PortError| Pushed::Unknown(error.what);
        let mut seen = None;
        for _ in 0..ARRIVES_TRIES {
            seen = match self.refs(false) {
                Ok(refs) if refs.state == Some(id) => return Ok(Pushed::Accepted),
                Ok(refs) => refs.state,
                Err(error) => return Ok(unknown(error)),
            };
            std::thread::sleep(ARRIVES_PAUSE);
        }
        // What is behind the record lacks it; what is not known here may contain it, and is looked at by whoever asks
        // for unknown ones.
        let behind = match seen {
            None => true,
            Some(seen) => {
                let mut command = self.command()?;
                command.args(["merge-base", "--is-ancestor", &seen.to_string(), &id.to_string()]);
                process::run(command, &Limits::default())?.rc == Some(0)
            }
        };
        if !behind {
            return Ok(Pushed::Unknown("the remote has another record now".to_owned()));
        }
        Ok(Pushed::Refused(PortError::new(
            Code::UnsupportedRepository,
            format!("the remote `{}` has different repositories as fetch URL and push URL", self.name),
            format!("git config --unset-all remote.{}.pushurl, or choose another remote: --remote NAME", self.name),
        )))
    }

    fn push(&self, id: Oid, more: &[&str]) -> Answer<Pushed> {
        if let Err(error) = self.is_there().and_then(|()| self.one_place()) {
            return Ok(Pushed::Refused(error));
        }
        // Of a mirror one ref is pushed all the same, and no configured refspec moves the local record with it.
        let mirror = format!("remote.{}.mirror=false", self.name);
        let track = format!("remote.{}.fetch=^refs/platform/state", self.name);
        let refspec = format!("{id}:refs/platform/state");
        let settings = ["push.followTags=false", "push.gpgSign=false", "push.pushOption=", &mirror, &track];
        let mut args: Vec<&str> = settings.iter().flat_map(|setting| ["-c", setting]).collect();
        args.extend(["push", "--porcelain", "--no-verify", "--recurse-submodules=no"]);
        args.extend(more);
        args.extend([self.name.as_str(), &refspec]);
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        // A child that was killed at its deadline may have pushed: that is no answer, and no error either.
        let done = match self.transfer(&args) {
            Ok(done) => done,
            Err(error) if error.code == Code::RemoteUnreachable => return Ok(Pushed::Unknown(error.what)),
            Err(error) => return Err(error),
        };
        match git_messages::line(&done, &self.secrets()) {
            Line::Accepted => Ok(Pushed::Accepted),
            Line::Rejected(why) => Ok(Pushed::Rejected(why)),
            Line::None => match self.failed(&done) {
                Ended::Here(error) => Err(error),
                Ended::Refused(error) => Ok(Pushed::Refused(error)),
                Ended::Unanswered(_) => Ok(Pushed::Unknown(git_messages::said(&done.stderr, &self.secrets()))),
            },
        }
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
        let done = self.transfer(&args)?;
        if done.rc != Some(0) {
            return Err(self.failed(&done).error());
        }
        parse_refs(&done.stdout, &self.base).ok_or_else(|| git_messages::other_objects(&self.name))
    }

    fn fetch(&self, wants: &[Want]) -> Answer<()> {
        if wants.is_empty() {
            return Ok(());
        }
        // Without a map and without pruning: only what is asked for moves, whatever `remote.*.fetch` sets.
        let mut args: Vec<String> = [
            "-c",
            "fetch.writeCommitGraph=false",
            "fetch",
            "--quiet",
            "--refmap=",
            "--no-prune",
            "--no-prune-tags",
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
        let mut done = self.transfer(&args)?;
        // Another process of this clone fetches into the same private refs: what it brought is as good, and ours is
        // asked again.
        for _ in 0..FETCH_TRIES {
            if done.rc == Some(0) || !done.stderr.windows(CONTENDED.len()).any(|window| window == CONTENDED) {
                break;
            }
            done = self.transfer(&args)?;
        }
        if done.rc == Some(0) { Ok(()) } else { Err(self.failed(&done).error()) }
    }

    fn push_state(&self, id: Oid) -> Answer<Pushed> {
        match self.push(id, &[])? {
            Pushed::Accepted => self.arrived(id),
            other @ (Pushed::Rejected(_) | Pushed::Refused(_) | Pushed::Unknown(_)) => Ok(other),
        }
    }

    fn try_push(&self, id: Oid) -> Answer<Pushed> {
        self.push(id, &["--dry-run"])
    }

    fn credential(&self) -> Option<&str> {
        match self.hand.get() {
            Some(Hand::Given(given)) => Some(given.source()),
            Some(Hand::Nothing | Hand::Withheld { .. }) | None => None,
        }
    }

    fn try_rewrite(&self, newer: Oid, older: Oid, nonce: &str) -> Answer<bool> {
        self.is_there().and_then(|()| self.one_place())?;
        let name = format!("refs/platformctl-probe/{nonce}");
        let push = |spec: String| -> Answer<Done> {
            let mirror = format!("remote.{}.mirror=false", self.name);
            let args =
                ["-c", &mirror, "push", "--porcelain", "--no-verify", "--recurse-submodules=no", &self.name, &spec];
            self.transfer(&args.map(str::to_owned))
        };
        let made = push(format!("{newer}:{name}"))?;
        if made.rc != Some(0) {
            return Err(self.failed(&made).error());
        }
        // The plus is what a rewrite of the record would take.
        let rewritten = push(format!("+{older}:{name}"))?.rc == Some(0);
        let removed = push(format!(":{name}"))?.rc == Some(0);
        if !removed {
            let what = format!("the remote `{}` let {name} be made and not be removed", self.name);
            let fix = format!("let its administrator remove it: git update-ref -d {name}");
            return Err(PortError::new(Code::CredentialsRefused, what, fix));
        }
        Ok(rewritten)
    }
}

/// A name or URL of a remote for a message, without who logs in.
pub fn shown(remote: &str) -> String {
    text::shown(&secrets::urls(remote))
}

/// Reads `ls-remote`: `<id> TAB <ref>` lines; what is not one is passed over. `None`: the ids are not sha1.
fn parse_refs(stdout: &[u8], base: &str) -> Option<RemoteRefs> {
    let mut refs = RemoteRefs::default();
    for line in String::from_utf8_lossy(stdout).lines() {
        let Some((id, name)) = line.split_once('\t') else {
            continue;
        };
        if id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
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
    Some(refs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(rc: i32, stdout: &str) -> String {
        let done = Done { rc: Some(rc), stdout: stdout.into(), stderr: b"fatal: gone\n".to_vec() };
        match git_messages::line(&done, &Secrets::default()) {
            Line::Accepted => "accepted".to_owned(),
            Line::Rejected(why) => why,
            Line::None => "unknown".to_owned(),
        }
    }

    #[test]
    fn only_the_status_line_of_our_ref_is_read() {
        let id = "a".repeat(40);
        let line = |flag: &str, rest: &str| format!("To x\n{flag}\t{id}:refs/platform/state\t{rest}\nDone\n");
        assert_eq!(push(0, &line("*", "[new reference]")), "accepted");
        assert_eq!(push(0, &line("=", "[up to date]")), "accepted");
        assert_eq!(push(1, &line("!", "[rejected] (fetch first)")), "[rejected] (fetch first)");
        assert_eq!(push(128, ""), "unknown");
        assert_eq!(push(1, &line("*", "[new reference]")), "unknown");
        assert_eq!(push(1, "!\tx:refs/heads/main\t[rejected]\n"), "unknown");
    }

    #[test]
    fn pull_refs_are_parsed_strictly() {
        let id = "b".repeat(40);
        let text = ["1", "01", "+2", "0", "x", "18446744073709551616", "3"]
            .map(|n| format!("{id}\trefs/pull/{n}/head\n"))
            .concat();
        let refs = parse_refs(format!("{id}\trefs/heads/main\nnonsense\n{text}").as_bytes(), "main").unwrap();
        assert_eq!(refs.pulls.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 3]);
        assert!(refs.base.is_some() && refs.state.is_none());
        let sha256 = format!("{}\trefs/heads/main\n", "b".repeat(64));
        assert_eq!(parse_refs(sha256.as_bytes(), "main"), None, "not one that has no base");
    }
}
