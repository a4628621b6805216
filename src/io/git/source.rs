//! Objects and history, read.

#![expect(clippy::disallowed_types, reason = "gix wants a HashSet for prefix look-ups; it is sorted at once")]

use std::collections::{BTreeMap, BTreeSet, HashSet};

use gix::objs::{Kind, TreeRefIter};

use super::{Git, commit, entries, failed, failing, ours, theirs};
use crate::{
    model::{ids::Oid, path::RepoPath, refusal::Code, text},
    port::{Answer, Commit, Entry, Merge, Merger, Mode, PortError, Source},
};

/// Most full ids shown for a prefix.
const MATCHES_MAX: usize = 10;

impl Git {
    /// The entries of one tree, as stored; refused if git would not take it in.
    fn entries(&self, tree: Oid) -> Answer<Vec<(Vec<u8>, Entry)>> {
        entries::read(tree, &self.tree(tree)?)
    }

    fn list_into(&self, tree: Oid, prefix: &[u8], found: &mut Vec<(Vec<u8>, Entry)>) -> Answer<()> {
        for (name, entry) in self.entries(tree)? {
            let mut path = prefix.to_vec();
            path.extend_from_slice(&name);
            if entry.mode == Mode::Tree {
                path.push(b'/');
                self.list_into(entry.id, &path, found)?;
            } else {
                found.push((path, entry));
            }
        }
        Ok(())
    }

    fn folder(&self, tree: Oid, under: Option<&RepoPath>) -> Answer<Option<Oid>> {
        let Some(under) = under else {
            return Ok(Some(tree));
        };
        Ok(self.entry(tree, under)?.filter(|entry| entry.mode == Mode::Tree).map(|entry| entry.id))
    }
}

impl Source for Git {
    fn commit(&self, id: Oid) -> Answer<Commit> {
        let raw = self.object(id, Kind::Commit)?;
        commit::parse(id, raw)
            .ok_or_else(|| PortError::new(Code::Io, format!("the commit {id} cannot be read"), "run `git fsck`"))
    }

    fn signed_by(&self, commit: Oid, key: &str) -> Answer<bool> {
        self.is_signed_by(&self.commit(commit)?, key)
    }

    fn has(&self, id: Oid) -> Answer<bool> {
        let header = self.repo.try_find_header(theirs(id)).map_err(failing(|| format!("could not look for {id}")))?;
        Ok(header.is_some_and(|header| header.kind() == Kind::Commit))
    }

    fn entry(&self, tree: Oid, path: &RepoPath) -> Answer<Option<Entry>> {
        let mut here = tree;
        let mut parts = path.as_str().split('/').peekable();
        while let Some(part) = parts.next() {
            let found = self.entries(here)?.into_iter().find(|(name, _)| name == part.as_bytes());
            match found {
                Some((_, entry)) if parts.peek().is_none() => return Ok(Some(entry)),
                Some((_, entry)) if entry.mode == Mode::Tree => here = entry.id,
                Some(_) | None => return Ok(None),
            }
        }
        Ok(None)
    }

    fn list(&self, tree: Oid, under: Option<&RepoPath>) -> Answer<Vec<(Vec<u8>, Entry)>> {
        let Some(folder) = self.folder(tree, under)? else {
            return Ok(Vec::new());
        };
        let prefix = under.map(|path| format!("{path}/")).unwrap_or_default();
        let mut found = Vec::new();
        self.list_into(folder, prefix.as_bytes(), &mut found)?;
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn names(&self, tree: Oid, under: Option<&RepoPath>) -> Answer<Vec<(Vec<u8>, Entry)>> {
        let Some(folder) = self.folder(tree, under)? else {
            return Ok(Vec::new());
        };
        let mut found = self.entries(folder)?;
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn blob(&self, id: Oid, limit_bytes: u64) -> Answer<Vec<u8>> {
        let size_bytes = self.size_bytes(id)?;
        if size_bytes > limit_bytes {
            return Err(PortError::new(
                Code::ContentRefused,
                format!("the blob {id} has {}; {} are allowed", text::mib_needed(size_bytes), text::mib(limit_bytes)),
                "make the file smaller, or keep it outside of git",
            ));
        }
        self.object(id, Kind::Blob)
    }

    fn delivered(&self, id: Oid) -> Answer<Vec<u8>> {
        let what = "could not read a file of the delivery";
        let object = self.repo.try_find_object(theirs(id)).map_err(failed(what))?;
        match object.filter(|object| object.kind == Kind::Blob) {
            Some(object) => Ok(object.detach().data),
            None => self.object(id, Kind::Blob),
        }
    }

    fn matching(&self, prefix: &str) -> Answer<Vec<Oid>> {
        let Ok(prefix) = gix::hash::Prefix::from_hex(prefix) else {
            return Ok(Vec::new());
        };
        let mut candidates = HashSet::new();
        self.repo
            .objects
            .lookup_prefix(prefix, Some(&mut candidates))
            .map_err(failed("could not look for ids that begin so"))?;
        let mut found = BTreeSet::new();
        for id in candidates {
            let id = ours(id)?;
            if self.has(id)? {
                found.insert(id);
            }
        }
        Ok(found.into_iter().take(MATCHES_MAX).collect())
    }

    fn is_ancestor(&self, ancestor: Oid, of: Oid) -> Answer<bool> {
        self.deep()?;
        if ancestor == of {
            return Ok(true);
        }
        let base = self
            .repo
            .merge_base(theirs(ancestor), theirs(of))
            .map_err(failed(format!("could not compare {ancestor} and {of}")))?;
        Ok(base.is_some_and(|id| id.detach() == theirs(ancestor)))
    }

    fn first_parents(&self, tip: Oid, until: Option<Oid>) -> Answer<Vec<Oid>> {
        self.deep()?;
        let mut chain = Vec::new();
        let mut next = Some(tip);
        while let Some(id) = next.filter(|id| Some(*id) != until) {
            chain.push(id);
            next = self.commit(id)?.parents.first().copied();
        }
        Ok(chain)
    }

    fn between(&self, base: Oid, head: Oid) -> Answer<Vec<Oid>> {
        self.deep()?;
        let walk = self
            .repo
            .rev_walk([theirs(head)])
            .with_hidden([theirs(base)])
            .all()
            .map_err(failed(format!("could not walk from {head} to {base}")))?;
        let mut parents: BTreeMap<Oid, Vec<Oid>> = BTreeMap::new();
        for info in walk {
            let info = info.map_err(failed(format!("could not walk from {head} to {base}")))?;
            let ids = info.parent_ids.iter().map(ours).collect::<Answer<Vec<_>>>()?;
            parents.insert(ours(info.id)?, ids);
        }
        Ok(parents_first(head, &parents))
    }

    fn merge(&self, ours: Oid, theirs: Oid, by: Merger) -> Answer<Merge> {
        self.deep()?;
        match by {
            Merger::Gix => self.merge_by_gix(ours, theirs),
            Merger::Git => self.merge_by_git(ours, theirs, None),
        }
    }

    fn replay(&self, onto: Oid, pick: Oid, by: Merger) -> Answer<Merge> {
        self.deep()?;
        let Some(over) = self.commit(pick)?.parents.first().copied() else {
            return Ok(Merge::Conflict(vec![format!("{pick} has no parent")]));
        };
        match by {
            Merger::Gix => self.replay_by_gix(onto, pick, over),
            Merger::Git => self.merge_by_git(onto, pick, Some(over)),
        }
    }

    fn changed(&self, old: Option<Oid>, new: Oid) -> Answer<Vec<Vec<u8>>> {
        let old = match old {
            Some(old) => self.tree(old)?,
            None => Vec::new(),
        };
        let new = self.tree(new)?;
        let mut recorder = gix::diff::tree::Recorder::default();
        gix::diff::tree(
            TreeRefIter::from_bytes(&old, gix::hash::Kind::Sha1),
            TreeRefIter::from_bytes(&new, gix::hash::Kind::Sha1),
            gix::diff::tree::State::default(),
            &self.view.objects,
            &mut recorder,
        )
        .map_err(failed("could not compare two trees"))?;
        let paths = recorder.records.into_iter().filter_map(changed_path);
        Ok(paths.collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn filtered(&self, tree: Oid, paths: &[RepoPath]) -> Answer<Vec<RepoPath>> {
        self.filtered_by_attributes(tree, paths)
    }

    fn diff(&self, old: Oid, new: Oid, only: &[RepoPath], limit_lines: usize) -> Answer<String> {
        self.unified(old, new, only, limit_lines)
    }
}

/// The path of a change to something that is not a folder.
fn changed_path(change: gix::diff::tree::recorder::Change) -> Option<Vec<u8>> {
    use gix::diff::tree::recorder::Change;
    let (is_tree, path) = match change {
        Change::Addition { entry_mode, path, .. } | Change::Deletion { entry_mode, path, .. } => {
            (entry_mode.is_tree(), path)
        }
        Change::Modification { previous_entry_mode, entry_mode, path, .. } => {
            (entry_mode.is_tree() && previous_entry_mode.is_tree(), path)
        }
    };
    (!is_tree).then(|| path.into())
}

/// Orders the commits of a range so that every parent comes before its children, first parents' side first.
fn parents_first(head: Oid, parents: &BTreeMap<Oid, Vec<Oid>>) -> Vec<Oid> {
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    let mut stack = vec![(head, false)];
    while let Some((id, done)) = stack.pop() {
        if done {
            order.push(id);
            continue;
        }
        let Some(above) = parents.get(&id).filter(|_| seen.insert(id)) else {
            continue;
        };
        stack.push((id, true));
        stack.extend(above.iter().rev().map(|parent| (*parent, false)));
    }
    order
}
