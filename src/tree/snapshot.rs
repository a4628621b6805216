//! One version of the repository's content, read from objects: a tree, and quick ways to ask it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use crate::{
    model::{
        compose::{self, Scan},
        digest::Digest,
        ids::Oid,
        path::RepoPath,
        refusal::Code,
        yaml::{self, Node, YamlError},
    },
    port::{Answer, Entry, Mode, Source},
};

/// Most bytes of a file that people write.
pub const TEXT_BYTES_MAX: u64 = yaml::BYTES_MAX as u64 + 1;
/// Most bytes of one file of a release.
pub const FILE_BYTES_MAX: u64 = 512 << 20;

/// A compose file, parsed once however many modules name it.
#[derive(Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Its contents.
    pub node: Node,
    /// Whether it drops anything of earlier files.
    pub drops: bool,
}

/// The bytes of a file, or why they are not read.
pub type Bytes = Result<Vec<u8>, YamlError>;
/// A parsed file, or why it is none.
pub type Read = Rc<Result<Parsed, YamlError>>;
/// The contents of a compose file, scanned once for each folder that its paths are relative to.
type Scans = BTreeMap<(RepoPath, Option<RepoPath>), Rc<Scan>>;

/// What is known of a file of a release without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashed {
    /// The digest of its content.
    pub sha256: Digest,
    /// Its size.
    pub size_bytes: u64,
    /// Whether it is a pointer to a file that Git LFS keeps elsewhere.
    pub is_pointer: bool,
}

/// A tree of the repository.
pub struct Snapshot<'a> {
    /// Objects.
    pub source: &'a dyn Source,
    /// The tree.
    pub tree: Oid,
    /// All files, where many of them will be asked for.
    index: Option<BTreeMap<Vec<u8>, Entry>>,
    parsed: RefCell<BTreeMap<Oid, Read>>,
    scans: RefCell<Scans>,
    hashed: RefCell<BTreeMap<Oid, Result<Hashed, String>>>,
    /// Every file with a `filter` attribute, where all of them were asked for at once.
    filtered: RefCell<Option<BTreeSet<RepoPath>>>,
}

impl<'a> Snapshot<'a> {
    /// For a few questions: each walks the tree.
    pub fn lazy(source: &'a dyn Source, tree: Oid) -> Self {
        Self {
            source,
            tree,
            index: None,
            parsed: RefCell::default(),
            scans: RefCell::default(),
            hashed: RefCell::default(),
            filtered: RefCell::default(),
        }
    }

    /// For many questions: the tree is walked once, now.
    ///
    /// # Errors
    /// The tree cannot be read.
    pub fn whole(source: &'a dyn Source, tree: Oid) -> Answer<Self> {
        let index = source.list(tree, None)?.into_iter().collect();
        Ok(Self { index: Some(index), ..Self::lazy(source, tree) })
    }

    /// What is at `path`; a folder has the mode `Tree` (and, in a complete listing, no id).
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

    /// The bytes of a file that people write, or why they are not read; `None` where there is no plain file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn text(&self, path: &RepoPath) -> Answer<Option<(Entry, Bytes)>> {
        match self.entry(path)? {
            Some(entry) if matches!(entry.mode, Mode::File | Mode::Executable) => Ok(Some((
                entry,
                self.bytes(entry, TEXT_BYTES_MAX)?.map_err(|message| YamlError { line: 0, column: 0, message }),
            ))),
            Some(_) | None => Ok(None),
        }
    }

    /// The bytes of a file, or why they are not read: one file that is too large is that file's fault alone.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn bytes(&self, entry: Entry, limit_bytes: u64) -> Answer<Result<Vec<u8>, String>> {
        match self.source.blob(entry.id, limit_bytes) {
            Ok(bytes) => Ok(Ok(bytes)),
            Err(error) if error.code == Code::ContentRefused => Ok(Err(error.what)),
            Err(error) => Err(error),
        }
    }

    /// A file of a release, hashed once however many modules have it; or why it is not read.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn hashed(&self, entry: Entry) -> Answer<Result<Hashed, String>> {
        if let Some(known) = self.hashed.borrow().get(&entry.id) {
            return Ok(known.clone());
        }
        let hashed = self.bytes(entry, FILE_BYTES_MAX)?.map(|bytes| Hashed {
            sha256: Digest::of(&bytes),
            size_bytes: bytes.len() as u64,
            is_pointer: bytes.starts_with(b"version https://git-lfs.github.com/spec/"),
        });
        self.hashed.borrow_mut().insert(entry.id, hashed.clone());
        Ok(hashed)
    }

    /// A compose file, parsed; `None` where there is no plain file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn compose(&self, path: &RepoPath) -> Answer<Option<Read>> {
        let Some(entry) = self.entry(path)?.filter(|entry| matches!(entry.mode, Mode::File | Mode::Executable)) else {
            return Ok(None);
        };
        if let Some(known) = self.parsed.borrow().get(&entry.id) {
            return Ok(Some(Rc::clone(known)));
        }
        let Some((_, bytes)) = self.text(path)? else { return Ok(None) };
        let node = bytes.and_then(|bytes| yaml::read_compose(&bytes));
        let read = Rc::new(node.map(|node| Parsed { drops: node.drops(), node }));
        self.parsed.borrow_mut().insert(entry.id, Rc::clone(&read));
        Ok(Some(read))
    }

    /// The contents of a parsed file, with its paths relative to the folder `project`.
    pub fn scanned(&self, path: &RepoPath, project: Option<&RepoPath>, node: &Node) -> Rc<Scan> {
        let mut scans = self.scans.borrow_mut();
        let scan = scans.entry((path.clone(), project.cloned()));
        Rc::clone(scan.or_insert_with(|| Rc::new(compose::scan(path, project, node))))
    }
}

fn below(path: &RepoPath) -> Vec<u8> {
    format!("{path}/").into_bytes()
}
