//! Real repositories for tests: a bare remote and a clone, driven by real git in an environment of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use platformctl::{
    io::{env::Env, git::Git, remote::GitRemote},
    model::ids::Oid,
};

/// A bare remote, a clone of it with the branch `main`, and a HOME with nothing in it.
pub(crate) struct Repo {
    dir: tempfile::TempDir,
}

impl Repo {
    /// A remote whose `main` has one commit.
    pub(crate) fn new() -> Self {
        Self::begin(tempfile::tempdir().unwrap())
    }

    /// In a folder that has one already.
    pub(crate) fn of(dir: tempfile::TempDir) -> Self {
        Self { dir }
    }

    /// The same in an empty folder.
    pub(crate) fn begin(dir: tempfile::TempDir) -> Self {
        let repo = Self::of(dir);
        fs::create_dir(repo.path("home")).unwrap();
        repo.git_in(".", &["init", "-q", "--bare", "-b", "main", "remote.git"]);
        repo.git_in(".", &["clone", "-q", "remote.git", "work"]);
        repo.git(&["checkout", "-q", "-b", "main"]);
        repo.write("README", "hello\n");
        repo.commit("first");
        repo.git(&["push", "-q", "origin", "main"]);
        repo
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// The environment that our own children and git get.
    pub(crate) fn env(&self) -> Env {
        self.env_with(&[])
    }

    /// The same, with more variables, or with others.
    pub(crate) fn env_with(&self, more: &[(&str, &str)]) -> Env {
        let vars = [
            ("PATH", std::env::var("PATH").unwrap()),
            ("HOME", self.path("home").display().to_string()),
            ("TMPDIR", std::env::temp_dir().display().to_string()),
            ("GIT_AUTHOR_NAME", "Ola".to_owned()),
            ("GIT_AUTHOR_EMAIL", "ola@example.org".to_owned()),
        ];
        let vars = vars.map(|(name, value)| (name.into(), value.into()));
        let more = more.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Env::of(vars.into_iter().chain(more), self.work())
    }

    pub(crate) fn open(&self) -> Git {
        Git::open(&self.work(), "origin", &self.env()).unwrap()
    }

    pub(crate) fn remote(&self) -> GitRemote {
        GitRemote::new(self.work().join(".git"), "origin", "main", &self.env()).unwrap()
    }

    fn command(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LC_ALL", "C")
            // Whatever git begins with: the tests say where it matters.
            .envs([("GIT_DEFAULT_HASH", "sha1"), ("GIT_DEFAULT_REF_FORMAT", "files"), ("GIT_CONFIG_COUNT", "1")])
            .envs([("GIT_CONFIG_KEY_0", "safe.bareRepository"), ("GIT_CONFIG_VALUE_0", "all")])
            .envs([("GIT_AUTHOR_NAME", "Ola"), ("GIT_AUTHOR_EMAIL", "ola@example.org")])
            .envs([("GIT_COMMITTER_NAME", "Ola"), ("GIT_COMMITTER_EMAIL", "ola@example.org")])
            .envs([("GIT_AUTHOR_DATE", "1790000000 +0000"), ("GIT_COMMITTER_DATE", "1790000000 +0000")])
            .current_dir(dir)
            .args(args);
        command
    }

    /// A PATH on which `date` is `ahead` seconds ahead: the clock of the host that is this machine.
    pub(crate) fn dated(&self, ahead: i64) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let bin = self.path(&format!("date{ahead}"));
        fs::create_dir_all(&bin).unwrap();
        let path = std::env::var("PATH").unwrap();
        let real = path.split(':').map(|dir| format!("{dir}/date")).find(|date| Path::new(date).exists()).unwrap();
        let script = format!(
            "#!/bin/sh\nif [ \"$1\" = +%s ]; then echo $(($({real} +%s) + {ahead})); else exec {real} \"$@\"; fi\n"
        );
        fs::write(bin.join("date"), script).unwrap();
        fs::set_permissions(bin.join("date"), fs::Permissions::from_mode(0o755)).unwrap();
        format!("{}:{path}", bin.display())
    }

    pub(crate) fn try_git(&self, args: &[&str]) -> Output {
        self.command(&self.work(), args).output().unwrap()
    }

    pub(crate) fn git_in(&self, dir: &str, args: &[&str]) -> String {
        let output = self.command(&self.path(dir), args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Runs git in the clone and returns what it printed.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.git_in("work", args)
    }

    /// Writes an executable script beside the repositories, which leaves the file `ran` there when somebody runs it.
    pub(crate) fn trap(&self, name: &str, then: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let (path, ran) = (self.path(name), self.path("ran"));
        fs::write(&path, format!("#!/bin/sh\necho {name} >>'{}'\n{then}\n", ran.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    /// What has run of the traps since this was asked last.
    pub(crate) fn sprung(&self) -> String {
        let text = fs::read_to_string(self.path("ran")).unwrap_or_default();
        drop(fs::remove_file(self.path("ran")));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.work().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Commits everything.
    pub(crate) fn commit(&self, message: &str) -> Oid {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.id("HEAD")
    }

    pub(crate) fn id(&self, rev: &str) -> Oid {
        self.git(&["rev-parse", rev]).parse().unwrap()
    }
}
