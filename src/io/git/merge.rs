//! Merges, computed twice where it matters: by gix in memory, and by `git merge-tree` as a second opinion.

use gix::merge::tree::{Conflict, Resolution, TreeFavor};

use super::{Git, failed, ours, theirs};
use crate::{
    io::process,
    model::{ids::Oid, path::RepoPath, text},
    port::{Answer, Entry, Merge, Mode, Source as _},
};

impl Git {
    pub(super) fn merge_by_gix(&self, base: Oid, head: Oid) -> Answer<Merge> {
        let options = self.merge_options()?;
        let outcome = self.view.merge_commits(theirs(base), theirs(head), Default::default(), options.into());
        let mut outcome = match outcome {
            Ok(outcome) => outcome,
            // Unrelated histories and the like: no clean merge.
            Err(error) => {
                return Ok(Merge::Conflict(vec![text::escaped_line(&error.to_string())]));
            }
        };
        conclude(&mut outcome.tree_merge)
    }

    pub(super) fn replay_by_gix(&self, onto: Oid, pick: Oid, over: Oid) -> Answer<Merge> {
        let [over, onto, pick] = [over, onto, pick].map(|id| self.commit(id).map(|commit| theirs(commit.tree)));
        let options = self.merge_options()?;
        let outcome = self.view.merge_trees(over?, onto?, pick?, Default::default(), options);
        conclude(&mut outcome.map_err(failed("could not merge two trees"))?)
    }

    fn merge_options(&self) -> Answer<gix::merge::tree::Options> {
        let options = self.view.tree_merge_options().map_err(failed("could not prepare a merge"))?;
        Ok(options.with_file_favor(None).with_tree_favor(None::<TreeFavor>))
    }

    /// `git merge-tree --write-tree`, with no configuration but ours; what it writes goes to a folder that is removed.
    pub(super) fn merge_by_git(&self, base: Oid, head: Oid, over: Option<Oid>) -> Answer<Merge> {
        let scratch = tempfile::tempdir().map_err(failed("could not make a temporary folder"))?;
        let mut command = self.env.child("git");
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OBJECT_DIRECTORY", scratch.path())
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.repo.common_dir().join("objects"))
            .arg(format!("--git-dir={}", self.repo.common_dir().display()))
            .args(["-c", "core.bare=true", "-c", "core.attributesFile=/dev/null"])
            .args(["merge-tree", "--write-tree", "--no-messages"]);
        if let Some(over) = over {
            command.arg(format!("--merge-base={over}"));
        }
        command.args([base.to_string(), head.to_string()]);
        let done = process::run(command, &process::Limits::default())?;
        let first = done.stdout.split(|b| *b == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
        match (done.rc, first.and_then(|line| line.parse().ok())) {
            (Some(0), Some(tree)) => Ok(Merge::Clean(tree)),
            _ => Ok(Merge::Conflict(vec![text::shown(&String::from_utf8_lossy(&done.stderr))])),
        }
    }

    /// Paths that an attribute of this tree would pass through a filter.
    pub(super) fn filtered_by_attributes(&self, tree: Oid, paths: &[RepoPath]) -> Answer<Vec<RepoPath>> {
        if !self.names_a_filter(tree, paths)? {
            return Ok(Vec::new());
        }
        let index =
            self.view.index_from_tree(&theirs(tree)).map_err(failed("could not read the attributes of a tree"))?;
        let source = gix::worktree::stack::state::attributes::Source::IdMapping;
        let mut stack =
            self.view.attributes_only(&index, source).map_err(failed("could not read the attributes of a tree"))?;
        let mut outcome = stack.selected_attribute_matches(["filter"]);
        let mut filtered = Vec::new();
        for path in paths {
            let platform = stack
                .at_entry(path.as_str(), None)
                .map_err(failed(format!("could not read the attributes of {path}")))?;
            platform.matching_attributes(&mut outcome);
            let set = outcome.iter_selected().any(|found| {
                !matches!(found.assignment.state, gix::attrs::StateRef::Unspecified | gix::attrs::StateRef::Unset)
            });
            if set {
                filtered.push(path.clone());
            }
        }
        Ok(filtered)
    }

    /// Whether any .gitattributes above these paths speaks of filters at all: almost none does.
    fn names_a_filter(&self, tree: Oid, paths: &[RepoPath]) -> Answer<bool> {
        let mut folders = std::collections::BTreeSet::new();
        for path in paths {
            let mut folder = path.parent();
            while let Some(here) = folder {
                folder = here.parent();
                if !folders.insert(Some(here)) {
                    break;
                }
            }
        }
        folders.insert(None);
        let files: Vec<RepoPath> =
            folders.iter().filter_map(|folder| RepoPath::resolve(folder.as_ref(), ".gitattributes").ok()).collect();
        for entry in self.those_of(tree, &files)? {
            let bytes = self.blob(entry.id, 1 << 20)?;
            if bytes.windows(6).any(|window| window == b"filter" || window == b"[attr]") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Those of `files` that are plain files of a tree. Many of them are found by one walk, a few by a look each.
    fn those_of(&self, tree: Oid, files: &[RepoPath]) -> Answer<Vec<Entry>> {
        const FEW: usize = 16;
        let mut found = Vec::new();
        if files.len() <= FEW {
            for file in files {
                found.extend(self.entry(tree, file)?);
            }
        } else {
            let wanted: std::collections::BTreeSet<&[u8]> = files.iter().map(|file| file.as_str().as_bytes()).collect();
            let all = self.list(tree, None)?;
            found.extend(all.into_iter().filter(|(path, _)| wanted.contains(path.as_slice())).map(|(_, entry)| entry));
        }
        found.retain(|entry| matches!(entry.mode, Mode::File | Mode::Executable));
        Ok(found)
    }
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

fn conclude(outcome: &mut gix::merge::tree::Outcome<'_>) -> Answer<Merge> {
    let how = gix::merge::tree::TreatAsUnresolved::git();
    let unresolved = |conflict: &&Conflict| conflict.is_unresolved(how) || follows_a_folder(conflict);
    if outcome.conflicts.iter().any(|conflict| unresolved(&conflict)) {
        let paths = outcome.conflicts.iter().filter(unresolved);
        let paths = paths.map(|conflict| text::escaped_bytes(conflict.ours.location()));
        return Ok(Merge::Conflict(paths.collect()));
    }
    let tree = outcome.tree.write().map_err(failed("could not write a merged tree"))?;
    Ok(Merge::Clean(ours(tree)?))
}
