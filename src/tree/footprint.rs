//! The footprint of a deployment: by what a commit concerns it.

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::{Value, json};

use crate::{
    model::{
        digest::Digest,
        ids::{HostName, ModuleId, Oid},
        json,
        path::RepoPath,
        refusal::Code,
    },
    port::{Answer, PortError, Source},
    tree::{manifests, module::Counted, place, snapshot::Snapshot},
};

/// What of the repository concerns a deployment at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// The effective digest; `None` where the base wants no such deployment. A module that is not valid counts by its
    /// raw entries in the tree, and by the complete tree if it hides what it names.
    pub effective: Option<Digest>,
    /// The same, but of no more than is known to be named: whether a change is about this deployment.
    pub near: Option<Digest>,
    /// The module's effective digest, whether it runs on this host or not: a change that was not reviewed while it ran
    /// elsewhere is not reviewed.
    content: Option<Digest>,
    /// The risks to data that its manifest accepts, and whether a runner may apply it: an unreviewed entry accepts
    /// nothing.
    taken: Option<Digest>,
}

/// Footprints by tree, each computed once.
pub struct Footprints<'a> {
    source: &'a dyn Source,
    /// The module.
    pub module: &'a ModuleId,
    host: Option<&'a HostName>,
    known: RefCell<BTreeMap<Oid, Footprint>>,
}

impl<'a> Footprints<'a> {
    /// Of a module on a host; without a host, wherever it runs. The host's entry is the policy's, which is proven by
    /// itself.
    pub fn new(source: &'a dyn Source, module: &'a ModuleId, host: Option<&'a HostName>) -> Self {
        Self { source, module, host, known: RefCell::default() }
    }

    /// What is asked about, as people name it.
    pub fn name(&self) -> String {
        match self.host {
            Some(host) => format!("{} on {host}", self.module),
            None => self.module.to_string(),
        }
    }

    /// The footprint at a commit.
    ///
    /// # Errors
    /// Objects that cannot be read.
    pub fn at(&self, commit: Oid) -> Answer<Footprint> {
        self.of_tree(self.source.commit(commit)?.tree)
    }

    /// The footprint of a tree.
    ///
    /// # Errors
    /// Objects that cannot be read.
    pub fn of_tree(&self, tree: Oid) -> Answer<Footprint> {
        if let Some(known) = self.known.borrow().get(&tree) {
            return Ok(known.clone());
        }
        let snapshot = Snapshot::lazy(self.source, tree);
        // A tree that is refused as a whole, for example because git would reject it, hides everything.
        let opaque = || -> Answer<_> {
            let digest = digest(&json!({"opaque": tree}))?;
            Ok(Some(Counted { hosts: None, effective: digest, near: digest, taken: digest }))
        };
        let counted = match manifests::counted(&snapshot, self.module) {
            Err(error) if error.code == Code::ContentRefused => opaque()?,
            counted => counted?,
        };
        let of = |digest: fn(&Counted) -> Digest| counted.as_ref().map(digest);
        // Where its hosts cannot be known it may run on any.
        let hosts = counted.as_ref().and_then(|counted| counted.hosts.as_ref());
        let here = self.host.is_none_or(|host| hosts.is_none_or(|hosts| hosts.contains(host)));
        let footprint = Footprint {
            effective: of(|counted| counted.effective).filter(|_| here),
            near: of(|counted| counted.near).filter(|_| here),
            content: of(|counted| counted.effective),
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
