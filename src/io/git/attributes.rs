//! Attributes of a tree, by the .gitattributes files in it alone: not of the index, of HEAD, of `info/attributes` or of
//! any configuration.

use gix::worktree::{
    Stack,
    stack::{
        State,
        state::{Attributes, attributes::Source as From},
    },
};

use super::{Git, failed, theirs};
use crate::{
    model::{ids::Oid, path::RepoPath},
    port::{Answer, Entry, Mode, Source as _},
};

impl Git {
    /// The attributes that `tree` gives to paths.
    pub(super) fn attributes_of(&self, tree: Oid) -> Answer<Stack> {
        let what = "could not read the attributes of a tree";
        let index = self.view.index_from_tree(&theirs(tree)).map_err(failed(what))?;
        let (mut buffer, mut names) = (Vec::new(), gix::attrs::search::MetadataCollection::default());
        // No file: the macro `binary` alone is built in.
        let built_in = gix::attrs::Search::new_globals(None::<&str>, &mut buffer, &mut names);
        let built_in = built_in.map_err(failed(what))?;
        let state = State::AttributesStack(Attributes::new(built_in, None, From::IdMapping, names));
        let case = gix::glob::pattern::Case::Sensitive;
        let files = state.id_mappings_from_index(&index, index.path_backing(), case);
        Ok(Stack::new(self.view.git_dir(), state, case, buffer, files))
    }

    /// Paths that an attribute of this tree would pass through a filter.
    pub(super) fn filtered_by_attributes(&self, tree: Oid, paths: &[RepoPath]) -> Answer<Vec<RepoPath>> {
        if !self.names_a_filter(tree, paths)? {
            return Ok(Vec::new());
        }
        let mut stack = self.attributes_of(tree)?;
        let mut outcome = gix::attrs::search::Outcome::default();
        outcome.initialize_with_selection(&Default::default(), ["filter"]);
        let mut filtered = Vec::new();
        for path in paths {
            let platform = stack
                .at_entry(path.as_str(), None, &self.view.objects)
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

    /// Whether any .gitattributes above these paths mentions filters at all: almost none does.
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
