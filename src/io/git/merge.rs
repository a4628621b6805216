//! Merges, computed twice where it matters: by gix in memory, and by `git merge-tree` as a second opinion.
//!
//! Both rest on the commits and on the attributes of the tree that is merged into, and on nothing else: no
//! configuration of the clone or of its user, no `info/attributes`, no index, no HEAD, no merge driver, no replaced
//! object, no graft.
#![expect(clippy::disallowed_methods, reason = "the second opinion's repository is written here")]

use std::{
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use gix::merge::{
    plumbing,
    tree::{Conflict, Resolution, TreeFavor},
};

use super::{Git, SETTINGS, failed, loose, ours, theirs};
use crate::{
    io::process,
    model::{ids::Oid, path::RepoPath, text},
    port::{Answer, Merge, Mode, Source as _},
};

/// A .gitattributes file of more bytes is not read (as git since 2.39).
const ATTRIBUTES_BYTES_MAX: u64 = 100 << 20;

impl Git {
    pub(super) fn merge_by_gix(&self, base: Oid, head: Oid) -> Answer<Merge> {
        let (mut diffs, mut blobs) = self.caches(self.commit(base)?.tree)?;
        let mut graph = self.view.revision_graph(None);
        let mut abbreviate = |id: &gix::oid| id.to_string();
        let outcome = plumbing::commit(
            theirs(base),
            theirs(head),
            Default::default(),
            &mut graph,
            &mut diffs,
            &mut blobs,
            &self.view,
            &mut abbreviate,
            plumbing::commit::Options { tree_merge: self.merge_options()?, ..Default::default() },
        );
        match outcome {
            Ok(outcome) => conclude(outcome.tree_merge, &self.view),
            // Unrelated histories and the like: no clean merge.
            Err(error) => Ok(Merge::Conflict(vec![text::escaped_line(&error.to_string())])),
        }
    }

    pub(super) fn replay_by_gix(&self, onto: Oid, pick: Oid, over: Oid) -> Answer<Merge> {
        let [over, onto, pick] = [over, onto, pick].map(|id| self.commit(id).map(|commit| commit.tree));
        let (over, onto, pick) = (over?, onto?, pick?);
        let (mut diffs, mut blobs) = self.caches(onto)?;
        let outcome = plumbing::tree(
            &theirs(over),
            &theirs(onto),
            &theirs(pick),
            Default::default(),
            &self.view,
            |bytes| gix::objs::Write::write_buf(&self.view, gix::objs::Kind::Blob, bytes),
            &mut Default::default(),
            &mut diffs,
            &mut blobs,
            self.merge_options()?,
        );
        conclude(outcome.map_err(failed("could not merge two trees"))?, &self.view)
    }

    fn merge_options(&self) -> Answer<plumbing::tree::Options> {
        let options = self.view.tree_merge_options().map_err(failed("could not prepare a merge"))?;
        Ok(options.with_file_favor(None).with_tree_favor(None::<TreeFavor>).into())
    }

    /// What compares and merges files, by the attributes of `tree` alone and without any driver.
    fn caches(&self, tree: Oid) -> Answer<(gix::diff::blob::Platform, gix::merge::blob::Platform)> {
        let what = || failed("could not prepare a merge");
        let attributes = self.attributes_of(tree)?;
        let diffs = gix::diff::resource_cache(
            &self.view,
            gix::diff::blob::pipeline::Mode::ToGit,
            attributes.clone(),
            Default::default(),
        );
        let filter = gix::filter::plumbing::Pipeline::new(
            Default::default(),
            gix::hash::Kind::Sha1,
            gix::filter::Pipeline::options(&self.view).map_err(what())?,
        );
        let pipeline = gix::merge::blob::Pipeline::new(Default::default(), filter, Default::default());
        let mode = gix::merge::blob::pipeline::Mode::ToGit;
        let blobs = gix::merge::blob::Platform::new(pipeline, mode, attributes, Vec::new(), Default::default());
        Ok((diffs.map_err(what())?, blobs))
    }

    /// `git merge-tree --write-tree`, in a repository that is made for this question and removed: it has this clone's
    /// objects, and the attribute files of the tree that is merged into as its work tree, because git 2.39 takes
    /// attributes from nowhere else.
    pub(super) fn merge_by_git(&self, base: Oid, head: Oid, over: Option<Oid>) -> Answer<Merge> {
        let what = || failed("could not make a repository for a merge");
        let scratch = tempfile::tempdir().map_err(failed("could not make a temporary folder"))?;
        let (git_dir, work) = (scratch.path().join("git"), scratch.path().join("work"));
        let objects = self.repo.common_dir().join("objects");
        let objects = fs::canonicalize(objects).map_err(what())?;
        make(&git_dir, &work, &objects).map_err(what())?;
        for (path, bytes) in self.attribute_files(self.commit(base)?.tree)? {
            let Some(path) = path else {
                return Ok(Merge::Conflict(vec![
                    "an attribute file lies where git's opinion cannot be asked".to_owned(),
                ]));
            };
            let path = work.join(path.as_str());
            let folder = path.parent().unwrap_or(&work);
            fs::create_dir_all(folder).and_then(|()| fs::write(&path, bytes)).map_err(what())?;
        }
        let [base, head] = match over {
            None => [base, head],
            // Three trees, without their history: git 2.39 has no `merge-tree --merge-base`, which would do the same.
            Some(over) => {
                let [over, onto, pick] = [over, base, head].map(|id| self.commit(id).map(|commit| commit.tree));
                let commit = |tree, parent| synthetic(&git_dir, tree, parent).map_err(what());
                let over = commit(over?, None)?;
                [commit(onto?, Some(over))?, commit(pick?, Some(over))?]
            }
        };
        let mut command = self.env.computing("git", &work);
        command.arg(format!("--git-dir={}", git_dir.display())).arg(format!("--work-tree={}", work.display()));
        command.args(["merge-tree", "--write-tree", "--no-messages"]);
        command.args([base.to_string(), head.to_string()]);
        let done = process::run(command, &process::Limits::default())?;
        let first = done.stdout.split(|b| *b == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
        match (done.rc, first.and_then(|line| line.parse().ok())) {
            (Some(0), Some(tree)) => Ok(Merge::Clean(tree)),
            _ => Ok(Merge::Conflict(vec![text::shown(&String::from_utf8_lossy(&done.stderr))])),
        }
    }

    /// All .gitattributes files of a tree; `None` for one whose path no file here may have.
    fn attribute_files(&self, tree: Oid) -> Answer<Vec<(Option<RepoPath>, Vec<u8>)>> {
        let mut found = Vec::new();
        for (path, entry) in self.list(tree, None)? {
            let named = path == b".gitattributes" || path.ends_with(b"/.gitattributes");
            if named && matches!(entry.mode, Mode::File | Mode::Executable) {
                let path = std::str::from_utf8(&path).ok().and_then(|path| path.parse::<RepoPath>().ok());
                let path = path.filter(|path| path.as_str().split('/').all(|part| !part.eq_ignore_ascii_case(".git")));
                found.push((path, self.blob(entry.id, ATTRIBUTES_BYTES_MAX)?));
            }
        }
        Ok(found)
    }
}

/// A repository without a commit, whose objects are those of another one.
fn make(git_dir: &Path, work: &Path, objects: &Path) -> io::Result<()> {
    for folder in [PathBuf::from("objects/info"), "refs".into()] {
        fs::create_dir_all(git_dir.join(folder))?;
    }
    fs::create_dir(work)?;
    fs::write(git_dir.join("HEAD"), "ref: refs/heads/none\n")?;
    fs::write(git_dir.join("objects/info/alternates"), [objects.as_os_str().as_bytes(), b"\n"].concat())?;
    let mut config = "[core]\n\trepositoryFormatVersion = 0\n\tattributesFile = /dev/null\n".to_owned();
    for (key, value) in SETTINGS.iter().filter(|(key, _)| *key != "core.bare") {
        let (section, name) = key.split_once('.').unwrap_or((key, ""));
        config += &format!("[{section}]\n\t{name} = {value}\n");
    }
    fs::write(git_dir.join("config"), config)
}

/// Writes a commit with only a tree and a parent.
fn synthetic(git_dir: &Path, tree: Oid, parent: Option<Oid>) -> io::Result<Oid> {
    let parent = parent.map(|id| format!("parent {id}\n")).unwrap_or_default();
    let who = "platformctl <platformctl@localhost> 0 +0000";
    // Two with one tree and parent are one commit, and merge to themselves.
    let text = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n\n");
    let hash = gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Commit, text.as_bytes());
    let id = ours(hash.map_err(io::Error::other)?).map_err(io::Error::other)?;
    loose::write(&git_dir.join("objects"), id, gix::objs::Kind::Commit, text.as_bytes())?;
    Ok(id)
}

/// Whether gix moved a change because the other side renamed the folder around it. git calls that a conflict
/// (`merge.directoryRenames=conflict`, its default), so nobody but git may call it clean.
fn follows_a_folder(conflict: &Conflict) -> bool {
    match &conflict.resolution {
        Ok(Resolution::SourceLocationAffectedByRename { .. }) => true,
        Ok(Resolution::OursModifiedTheirsRenamedAndChangedThenRename { final_location, .. }) => {
            final_location.is_some()
        }
        Ok(Resolution::OursModifiedTheirsModifiedThenBlobContentMerge { .. } | Resolution::Forced(_)) | Err(_) => false,
    }
}

fn conclude(mut outcome: plumbing::tree::Outcome<'_>, view: &gix::Repository) -> Answer<Merge> {
    let how = gix::merge::tree::TreatAsUnresolved::git();
    let unresolved = |conflict: &&Conflict| conflict.is_unresolved(how) || follows_a_folder(conflict);
    if outcome.conflicts.iter().any(|conflict| unresolved(&conflict)) {
        let paths = outcome.conflicts.iter().filter(unresolved);
        let paths = paths.map(|conflict| text::escaped_bytes(conflict.ours.location()));
        return Ok(Merge::Conflict(paths.collect()));
    }
    let write = |tree: &gix::objs::Tree| gix::objs::Write::write(view, tree);
    let tree = outcome.tree.write(write).map_err(failed("could not write a merged tree"))?;
    Ok(Merge::Clean(ours(tree)?))
}
