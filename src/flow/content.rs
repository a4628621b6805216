//! One version of the repository's content, read from objects: a tree, and quick ways to ask it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use crate::{
    model::{
        ids::Oid,
        path::RepoPath,
        yaml::{self, Node, YamlError},
    },
    port::{Answer, Entry, Mode, Source},
};

/// Most bytes of a file that people write.
pub const TEXT_BYTES_MAX: u64 = yaml::BYTES_MAX as u64 + 1;
/// Most bytes of one file of a release.
pub const FILE_BYTES_MAX: u64 = 512 << 20;

/// A compose file, parsed once however many modules name it.
type Parsed = Rc<Result<Node, YamlError>>;

/// A tree of the repository.
pub struct Content<'a> {
    /// Objects.
    pub source: &'a dyn Source,
    /// The tree.
    pub tree: Oid,
    /// All files, where many of them will be asked for.
    index: Option<BTreeMap<Vec<u8>, Entry>>,
    parsed: RefCell<BTreeMap<Oid, Parsed>>,
    /// Every file with a `filter` attribute, where all of them were asked for at once.
    filtered: RefCell<Option<BTreeSet<RepoPath>>>,
}

impl<'a> Content<'a> {
    /// For a few questions: each walks the tree.
    pub fn lazy(source: &'a dyn Source, tree: Oid) -> Self {
        Self { source, tree, index: None, parsed: RefCell::default(), filtered: RefCell::default() }
    }

    /// For many questions: the tree is walked once, now.
    ///
    /// # Errors
    /// The tree cannot be read.
    pub fn whole(source: &'a dyn Source, tree: Oid) -> Answer<Self> {
        let index = source.list(tree, None)?.into_iter().collect();
        Ok(Self { index: Some(index), ..Self::lazy(source, tree) })
    }

    /// What lies at `path`; a folder has the mode `Tree` (and, from a whole tree, no id of its own).
    ///
    /// # Errors
    /// The tree cannot be read.
    pub fn entry(&self, path: &RepoPath) -> Answer<Option<Entry>> {
        let Some(index) = &self.index else {
            return self.source.entry(self.tree, path);
        };
        let name = path.as_str().as_bytes();
        if let Some(entry) = index.get(name) {
            return Ok(Some(*entry));
        }
        let folder = below(path);
        let inside = index.range(folder.clone()..).next().is_some_and(|(name, _)| name.starts_with(&folder));
        Ok(inside.then_some(Entry { mode: Mode::Tree, id: self.tree }))
    }

    /// All files below the folder `path`, sorted, as raw paths from the root.
    ///
    /// # Errors
    /// The tree cannot be read.
    pub fn list(&self, path: &RepoPath) -> Answer<Vec<(Vec<u8>, Entry)>> {
        let Some(index) = &self.index else {
            return self.source.list(self.tree, Some(path));
        };
        let folder = below(path);
        let inside = index.range(folder.clone()..).take_while(|(name, _)| name.starts_with(&folder));
        Ok(inside.map(|(name, entry)| (name.clone(), *entry)).collect())
    }

    /// Which of `paths` have a `filter` attribute.
    ///
    /// # Errors
    /// The attributes cannot be read.
    pub fn filtered(&self, paths: &[RepoPath]) -> Answer<Vec<RepoPath>> {
        let Some(index) = &self.index else {
            return self.source.filtered(self.tree, paths);
        };
        let mut filtered = self.filtered.borrow_mut();
        if filtered.is_none() {
            let path = |raw: &Vec<u8>| std::str::from_utf8(raw).ok().and_then(|raw| raw.parse().ok());
            let all: Vec<RepoPath> = index.keys().filter_map(path).collect();
            *filtered = Some(self.source.filtered(self.tree, &all)?.into_iter().collect());
        }
        let found = |path: &&RepoPath| filtered.as_ref().is_some_and(|all| all.contains(*path));
        Ok(paths.iter().filter(found).cloned().collect())
    }

    /// The bytes of a file that people write; `None` where there is no plain file.
    ///
    /// # Errors
    /// It is too large or cannot be read.
    pub fn text(&self, path: &RepoPath) -> Answer<Option<(Entry, Vec<u8>)>> {
        match self.entry(path)? {
            Some(entry) if matches!(entry.mode, Mode::File | Mode::Executable) => {
                Ok(Some((entry, self.source.blob(entry.id, TEXT_BYTES_MAX)?)))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// A compose file, parsed; `None` where there is no plain file.
    ///
    /// # Errors
    /// It is too large or cannot be read.
    pub fn compose(&self, path: &RepoPath) -> Answer<Option<Parsed>> {
        let Some((entry, bytes)) = self.text(path)? else {
            return Ok(None);
        };
        let mut parsed = self.parsed.borrow_mut();
        let node = parsed.entry(entry.id).or_insert_with(|| Rc::new(yaml::read_compose(&bytes)));
        Ok(Some(Rc::clone(node)))
    }
}

fn below(path: &RepoPath) -> Vec<u8> {
    format!("{path}/").into_bytes()
}
