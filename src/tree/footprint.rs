//! The footprint of a module: by what a commit concerns it.

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::{Value, json};

use crate::{
    model::{
        digest::Digest,
        ids::{ModuleId, Oid},
        json,
        path::RepoPath,
        refusal::Code,
    },
    port::{Answer, PortError, Source},
    tree::{manifests, module::Counted, place, snapshot::Snapshot},
};

/// What of the repository concerns a module at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// The effective digest; `None` where there is no such module. A module that is not valid counts by its raw entries in the tree, and
    /// by the whole tree where it hides what it names.
    pub effective: Option<Digest>,
    /// The same, but of no more than is known to be named: whether a change is about this module.
    pub near: Option<Digest>,
    /// The risks to data that its manifest accepts: what nobody reviewed accepts nothing.
    taken: Option<Digest>,
}

/// Footprints by tree, each computed once.
pub struct Footprints<'a> {
    source: &'a dyn Source,
    /// The module.
    pub module: &'a ModuleId,
    known: RefCell<BTreeMap<Oid, Footprint>>,
}

impl<'a> Footprints<'a> {
    /// Of a module. Its host's entry is the policy's, which is proven by itself.
    pub fn new(source: &'a dyn Source, module: &'a ModuleId) -> Self {
        Self { source, module, known: RefCell::default() }
    }

    /// The standing at a commit.
    ///
    /// # Errors
    /// Objects that cannot be read.
    pub fn at(&self, commit: Oid) -> Answer<Footprint> {
        let tree = self.source.commit(commit)?.tree;
        if let Some(known) = self.known.borrow().get(&tree) {
            return Ok(known.clone());
        }
        let snapshot = Snapshot::lazy(self.source, tree);
        // What is refused as a whole, for instance a tree that git would not take, hides everything.
        let opaque = || -> Answer<_> {
            let digest = digest(&json!({"opaque": tree}))?;
            Ok(Some(Counted { effective: digest, near: digest, taken: digest }))
        };
        let counted = match manifests::counted(&snapshot, self.module) {
            Err(error) if error.code == Code::ContentRefused => opaque()?,
            counted => counted?,
        };
        let of = |digest: fn(&Counted) -> Digest| counted.as_ref().map(digest);
        let footprint = Footprint {
            effective: of(|counted| counted.effective),
            near: of(|counted| counted.near),
            taken: of(|counted| counted.taken),
        };
        self.known.borrow_mut().insert(tree, footprint.clone());
        Ok(footprint)
    }

    /// The paths of the module's files in some trees, and its own folder.
    pub(crate) fn paths(&self, trees: &[Oid]) -> Answer<Vec<RepoPath>> {
        let mut paths = vec![place::fixed(&format!("modules/{}", self.module))?];
        for tree in trees {
            if let Some(Ok(module)) = manifests::module(&Snapshot::lazy(self.source, *tree), self.module)? {
                paths.extend(module.closure.files.into_iter().map(|file| file.path));
            }
        }
        Ok(paths)
    }

    pub(crate) fn differ(&self, a: Oid, b: Oid) -> Answer<bool> {
        Ok(self.at(a)? != self.at(b)?)
    }
}

fn digest(value: &Value) -> Answer<Digest> {
    json::digest(value).map_err(|error| {
        PortError::new(Code::Bug, "a digest has no canonical form", "please report this").because(error)
    })
}
