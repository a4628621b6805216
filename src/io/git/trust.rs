//! Whether a repository may be opened at all: whose it is, and of which kind. Nothing of it is read or run before.
//!
//! Where everything belongs to this account, git trusts it, and so does this. Otherwise git itself is asked: it alone
//! knows which `safe.directory` counts, and its rule changes from version to version. A git child that is given
//! `--git-dir` does not ask.
#![expect(clippy::disallowed_methods, reason = "files are read in src/io/")]

use std::{
    error::Error,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use gix::{
    discover::{
        repository,
        upwards::{Options, TrustPolicy},
    },
    sec::Trust,
};

use crate::{
    io::{
        env::Env,
        faults::{command_word, path_shown},
        process::{self, Limits},
    },
    model::{refusal::Code, text},
    port::{Answer, PortError},
};

/// Extensions that change nothing which matters here (git-config(1), "extensions.*"). `worktreeConfig` only adds a
/// file, and the paths of `relativeWorktrees` are resolved.
const HARMLESS: &[&str] = &["noop", "noop-v1", "preciousobjects", "worktreeconfig", "relativeworktrees"];

/// Where a repository is.
#[derive(Debug)]
pub(super) struct Place {
    /// The folder or file that git finds first: `.git`, or the folder of a bare repository.
    found: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    work_dir: Option<PathBuf>,
}

/// How gix is to look for the repository: whose it is was judged here.
pub(super) fn judged() -> Options<'static> {
    Options { trust: TrustPolicy::Assume(Trust::Full), ..Options::default() }
}

/// Finds the repository that `start` is in and judges it.
///
/// # Errors
/// There is none; git would not trust it; or it is of a kind that is not supported.
pub(super) fn judge(start: &Path, env: &Env) -> Answer<()> {
    let place = find(start)?;
    place.is_trusted(env)?;
    place.is_not_content(env)?;
    place.is_supported()
}

pub(super) fn none(error: impl Into<Box<dyn Error + Send + Sync>>) -> PortError {
    let what = "no git repository here or in a folder above";
    PortError::new(Code::Usage, what, "change into the repository that holds platform.yaml").because(error)
}

fn find(start: &Path) -> Answer<Place> {
    let (path, _) = gix::discover::upwards_opts(start, judged()).map_err(none)?;
    let (found, git_dir, work_dir) = match path {
        repository::Path::WorkTree(work_dir) => (work_dir.join(".git"), work_dir.join(".git"), Some(work_dir)),
        repository::Path::LinkedWorkTree { work_dir, git_dir } => (work_dir.join(".git"), git_dir, Some(work_dir)),
        repository::Path::Repository(git_dir) => (git_dir.clone(), git_dir, None),
    };
    let common_dir = match fs::read_to_string(git_dir.join("commondir")) {
        Ok(text) => git_dir.join(text.trim_end_matches(['\n', '\r'])),
        Err(error) if error.kind() == io::ErrorKind::NotFound => git_dir.clone(),
        Err(error) => return Err(none(error)),
    };
    Ok(Place { found, git_dir, common_dir, work_dir })
}

/// Whether a path belongs to this account, itself and what it leads to if it is a link.
fn owned(path: &Path) -> bool {
    let uid = rustix::process::geteuid().as_raw();
    [fs::symlink_metadata(path), fs::metadata(path)].into_iter().all(|seen| seen.is_ok_and(|seen| seen.uid() == uid))
}

impl Place {
    /// What git names when it does not trust a repository.
    fn top(&self) -> &Path {
        self.work_dir.as_deref().unwrap_or(&self.git_dir)
    }

    /// Whether git trusts it: every folder of it is this account's, or git itself confirms it.
    fn is_trusted(&self, env: &Env) -> Answer<()> {
        let assumed = env.get("GIT_TEST_ASSUME_DIFFERENT_OWNER").is_some();
        let all = [Some(&self.found), Some(&self.git_dir), self.work_dir.as_ref()];
        if assumed || !all.into_iter().flatten().all(|path| owned(path)) {
            asked(self.top(), &self.git_dir, env)?;
        }
        // git does not look at the common folder of a linked work tree, whose configuration and hooks are used all the
        // same.
        if self.common_dir != self.git_dir && !owned(&self.common_dir) {
            asked(&self.common_dir, &self.common_dir, env)?;
        }
        Ok(())
    }

    /// A bare repository that another one tracks is content of that one: its configuration and hooks came with a
    /// commit, and were not this account's choice. `safe.bareRepository=explicit`, which git 3 begins with, refuses
    /// every bare repository that one merely stands in; one that stands for itself is as good as any, and every git
    /// child is given it by name.
    fn is_not_content(&self, env: &Env) -> Answer<()> {
        // Below a folder `.git`, which git never tracks, nothing is content.
        let plain = |dir: &&PathBuf| !dir.iter().any(|part| part == ".git");
        for dir in [&self.git_dir, &self.common_dir].into_iter().filter(plain) {
            let dir = fs::canonicalize(dir).map_err(none)?;
            if let Some(root) = tracked_by(&dir, env)? {
                let (dir, root) = (path_shown(&dir), path_shown(&root));
                return Err(PortError::new(
                    Code::ForeignRepository,
                    format!("{dir} has the form of a bare repository, but it is content that {root} tracks"),
                    format!("cd {root}"),
                ));
            }
        }
        Ok(())
    }

    /// Whether it is of a kind that this version reads: each kind that is not has a name and a cure.
    fn is_supported(&self) -> Answer<()> {
        let path = self.common_dir.join("config");
        let config = gix::config::File::from_path_no_includes(path.clone(), gix::config::Source::Local);
        let config = config.map_err(|error| {
            let what = format!("the configuration of the repository, {}, cannot be read", path_shown(&path));
            let fix = format!("git config --file {} --list", command_word(&path));
            PortError::new(Code::UnsupportedRepository, what, fix).because(error)
        })?;
        let value = |key: &str| config.string(key).map(|value| value.to_string()).unwrap_or_default();
        let version = value("core.repositoryFormatVersion");
        if !matches!(version.as_str(), "" | "0" | "1") {
            return Err(unsupported(&format!("has repository format version {}", text::shown(&version)), AGAIN));
        }
        for section in config.sections_by_name("extensions").into_iter().flatten() {
            for name in section.value_names() {
                let name = name.to_string();
                let of = section.value(name.as_str()).map(|value| value.to_string()).unwrap_or_default();
                extension(&name.to_ascii_lowercase(), &of)?;
            }
        }
        for section in config.sections_by_name("remote").into_iter().flatten() {
            let filtered = section.value("partialCloneFilter").is_some_and(|filter| !filter.is_empty());
            let promised = section.value("promisor").is_some_and(|value| {
                !["false", "no", "off", "0"].iter().any(|no| value.eq_ignore_ascii_case(no.as_bytes()))
            });
            if filtered || promised {
                return Err(partial());
            }
        }
        Ok(())
    }
}

/// The root of a work tree around `dir` whose repository tracks something in it.
fn tracked_by(dir: &Path, env: &Env) -> Answer<Option<PathBuf>> {
    let mut above = dir.parent();
    while let Some(start) = above {
        above = start.parent();
        let Ok((around, _)) = gix::discover::upwards_opts(start, judged()) else { return Ok(None) };
        // What is around may be content as well, or name a work tree elsewhere: every folder above is looked at.
        let Some(root) = around.into_repository_and_work_tree_directories().1 else { continue };
        let Ok(inside) = dir.strip_prefix(&root) else { continue };
        above = root
            .parent()
            .filter(|next| start.starts_with(next))
            .and_then(|next| dir.ancestors().find(|at| *at == next));
        let mut command = env.transfer("git");
        command.env("GIT_LITERAL_PATHSPECS", "1").args(["-c", "core.fsmonitor=false", "-C"]).arg(&root);
        command.args(["ls-files", "--error-unmatch", "--"]).arg(inside);
        if process::run(command, &Limits::default())?.rc == Some(0) {
            return Ok(Some(root));
        }
    }
    Ok(None)
}

fn extension(name: &str, value: &str) -> Answer<()> {
    match (name, value.to_ascii_lowercase().as_str()) {
        ("objectformat", "sha1" | "") | ("refstorage", "files" | "") => Ok(()),
        ("objectformat", _) => Err(unsupported(
            &format!("has {} objects", text::shown(value)),
            "create it again with sha1 objects, here and on the server: git init --object-format=sha1",
        )),
        ("refstorage", _) => Err(unsupported(&format!("has the {} ref backend", text::shown(value)), AGAIN)),
        ("partialclone", _) => Err(partial()),
        (known, _) if HARMLESS.contains(&known) => Ok(()),
        (other, _) => {
            let what = format!("has the extension extensions.{}, which is not known here", text::shown(other));
            Err(unsupported(&what, AGAIN))
        }
    }
}

/// Gives a repository of the supported kind, whatever git's defaults are.
const AGAIN: &str = "git clone --ref-format=files \"$(git remote get-url origin)\" fresh";

fn partial() -> PortError {
    let fix = "git clone \"$(git remote get-url origin)\" fresh";
    unsupported("is a partial clone, without objects that a decision may need", fix)
}

/// `what` names what it is or has.
pub(super) fn unsupported(what: &str, fix: &str) -> PortError {
    PortError::new(Code::UnsupportedRepository, format!("this repository {what}; that is not supported"), fix)
}

/// Asks git whether it would open the repository at `git_dir` from the folder `top`.
fn asked(top: &Path, git_dir: &Path, env: &Env) -> Answer<()> {
    let mut command = env.transfer("git");
    // git is asked for the owner alone; and a bare repository was asked for by name, in its sense.
    command.args(["-c", "safe.bareRepository=all", "-C"]).arg(top).args(["rev-parse", "--absolute-git-dir"]);
    let done = process::run(command, &Limits::default())?;
    let said = String::from_utf8_lossy(&done.stdout);
    let same = |at: &str| {
        let found = fs::canonicalize(at);
        found.is_ok_and(|found| fs::canonicalize(git_dir).is_ok_and(|ours| ours == found))
    };
    if done.rc == Some(0) && same(said.trim_end_matches('\n')) {
        return Ok(());
    }
    let at = path_shown(top);
    let stderr = String::from_utf8_lossy(&done.stderr);
    if let Some(named) = dubious(&stderr) {
        return Err(PortError::new(
            Code::ForeignRepository,
            format!("git does not trust the repository at {at}: it belongs to another account (dubious ownership)"),
            format!("git config --global --add safe.directory {}", command_word(Path::new(named))),
        ));
    }
    let first = stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or("it found another one");
    Err(PortError::new(
        Code::ForeignRepository,
        format!("git does not open the repository at {at}: {}", text::shown(first)),
        format!("run git -C {} status", command_word(top)),
    ))
}

/// The folder that git calls dubious, in its words.
pub(in crate::io) fn dubious(stderr: &str) -> Option<&str> {
    let (_, rest) = stderr.split_once("detected dubious ownership in repository at '")?;
    rest.split_once("'\n").map(|(path, _)| path).or_else(|| rest.trim_end().strip_suffix('\''))
}
