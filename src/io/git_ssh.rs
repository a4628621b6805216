//! How git calls ssh: without questions to a person, and with one connection for all calls of a command.
#![expect(clippy::disallowed_methods, reason = "the configuration for ssh is written here")]

use std::cell::OnceCell;

use tempfile::TempDir;

use crate::io::{
    env::Env,
    process::{self, Limits},
    socket,
};

/// How long an unused connection is kept, in seconds. It also outlives a kill of this process by that time.
const KEPT_S: u64 = 5;

/// The ssh that git is told to use. When it is dropped, it closes the connection that it kept.
#[derive(Debug)]
pub(super) struct GitSsh {
    env: Env,
    kept: bool,
    folder: OnceCell<Option<TempDir>>,
}

impl Drop for GitSsh {
    fn drop(&mut self) {
        let Some(Some(folder)) = self.folder.get() else { return };
        // One for each machine on the way: a jump host has its own.
        let sockets = std::fs::read_dir(folder.path()).into_iter().flatten().flatten().map(|entry| entry.path());
        for socket in sockets.filter(|path| !path.ends_with("config")) {
            let mut command = self.env.child("ssh");
            command.arg("-S").arg(socket).args(["-O", "exit", "remote"]);
            drop(process::run(command, &Limits { deadline_s: KEPT_S, output_bytes: 4096 }));
        }
    }
}

impl GitSsh {
    /// For a remote at `url`, if it is known: only an ssh remote has a connection to keep.
    pub(super) fn new(url: Option<&str>, env: &Env) -> Self {
        Self { env: env.clone(), kept: url.is_some_and(over_ssh), folder: OnceCell::new() }
    }

    /// What `GIT_SSH_COMMAND` is to be.
    pub(super) fn command(&self) -> String {
        let folder = if self.kept { self.folder.get_or_init(|| self.config()).as_ref() } else { None };
        let config = folder.map(|folder| format!(" -F {}/config", folder.path().display()));
        format!("ssh{} -o BatchMode=yes", config.unwrap_or_default())
    }

    /// A folder with a configuration for ssh: the one that ssh would read, and after it a place for the connection. The
    /// first value of an option wins in ssh, so who shares connections himself goes on doing so: after a second factor,
    /// his is the one that works.
    fn config(&self) -> Option<TempDir> {
        let folder = socket::folder(&self.env).ok()?;
        let plain = |text: &&str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
        let at = folder.path().to_str()?;
        // ssh reads the file in the home of the account and ignores HOME; `~` alone would follow HOME.
        let mut id = self.env.child("id");
        id.arg("-un");
        let done = process::run(id, &Limits { deadline_s: KEPT_S, output_bytes: 256 }).ok()?;
        let account = std::str::from_utf8(&done.stdout).ok()?.trim_end();
        Some(account).filter(|name| !name.is_empty()).filter(plain)?;
        let text = format!(
            "Include ~{account}/.ssh/config\nInclude /etc/ssh/ssh_config\nHost *\n  ControlMaster auto\n  ControlPath {at}/%C\n  \
             ControlPersist {KEPT_S}\n"
        );
        std::fs::write(folder.path().join("config"), text).ok()?;
        Some(folder)
    }
}

/// Whether git takes a URL for one of ssh (gitfaq, git-fetch(1) "GIT URLS"): by its scheme, or `host:path` without a
/// slash before the colon.
fn over_ssh(url: &str) -> bool {
    match url.split_once("://") {
        Some((scheme, _)) => matches!(scheme, "ssh" | "git+ssh" | "ssh+git"),
        None => url.split_once(':').is_some_and(|(host, _)| !host.is_empty() && !host.contains('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_urls_are_recognised() {
        for (url, ssh) in [
            ("ssh://git@forge/a.git", true),
            ("git+ssh://forge/a", true),
            ("git@forge:a/b.git", true),
            ("forge:a", true),
            ("https://forge:3000/a.git", false),
            ("/srv/a:b.git", false),
            ("./a:b", false),
            ("file:///srv/a", false),
            ("../remote.git", false),
            (":a", false),
        ] {
            assert_eq!(over_ssh(url), ssh, "{url}");
        }
    }

    #[test]
    fn only_ssh_remotes_get_an_ssh_configuration() {
        let ssh = GitSsh::new(Some("https://forge/a.git"), &Env::default());
        assert_eq!(ssh.command(), "ssh -o BatchMode=yes");
        assert!(ssh.folder.get().is_none());
    }
}
