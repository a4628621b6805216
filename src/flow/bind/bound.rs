//! What an apply is bound to: the content of M, the policy at P, and what the record says is applied.

use crate::{
    model::{
        approval::Approval,
        closure::Closure,
        ids::Oid,
        module::{Driver, Manifest},
        path::RepoPath,
        policy::{HostPolicy, SacredPolicy},
        status::ModuleStatus,
    },
    runtime::files::{FileState, Listing},
    tree::module::Module,
};

/// Approval, content, policy and parent state of one module, all read from objects and none from a working tree.
#[derive(Debug)]
#[must_use]
pub struct Bound {
    pub(crate) approval: Approval,
    pub(crate) module: Module,
    pub(crate) before: Option<Module>,
    pub(crate) host: HostPolicy,
    pub(crate) sacred: SacredPolicy,
    pub(crate) policy_blob: Oid,
    pub(crate) last: Option<ModuleStatus>,
    pub(crate) checkout: &'static str,
    pub(crate) waived: Vec<String>,
}

impl Bound {
    /// The approval it rests on.
    pub fn approval(&self) -> &Approval {
        &self.approval
    }

    /// The manifest at M.
    pub fn manifest(&self) -> &Manifest {
        &self.module.manifest
    }

    /// The closure at M.
    pub fn closure(&self) -> &Closure {
        &self.module.closure
    }

    /// What is applied to what host: everything that a driver works with.
    pub(crate) fn target(&self) -> Target<'_> {
        Target { module: &self.module, before: self.before.as_ref(), host: &self.host, sacred: &self.sacred }
    }

    /// What the record says of the module.
    pub fn last(&self) -> Option<&ModuleStatus> {
        self.last.as_ref()
    }

    /// Gates that were passed by waiver.
    pub fn waived(&self) -> &[String] {
        &self.waived
    }

    /// How the checkout was bound: `bound`, `waived` or `none`.
    pub fn checkout(&self) -> &'static str {
        self.checkout
    }
}

/// A module at a version, and the policy about its host.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The module.
    pub module: &'a Module,
    /// The module as it is applied: of its contents the host need not be sent again what it has.
    pub before: Option<&'a Module>,
    /// Its host's entry.
    pub host: &'a HostPolicy,
    /// Paths that no module may touch, and doors that are open.
    pub sacred: &'a SacredPolicy,
}

/// The files of the release of a module with driver `files`, by their path below its `tree`; and the path of each in the repository.
pub fn release_files(manifest: &Manifest, closure: &Closure) -> Vec<(RepoPath, FileState, RepoPath, Oid)> {
    let (Driver::Files, Some(tree)) = (manifest.runtime.driver, &manifest.runtime.tree) else {
        return Vec::new();
    };
    let below = |file: &crate::model::closure::ClosureFile| {
        let mode = if file.mode == "100755" { "755" } else { "644" };
        let state = FileState { mode: mode.to_owned(), sha256: file.sha256 };
        Some((file.path.below(tree)?, state, file.path.clone(), file.blob))
    };
    closure.files.iter().filter_map(below).collect()
}

/// The same as a listing, to compare with what a host shows.
pub fn release_listing(manifest: &Manifest, closure: &Closure) -> Listing {
    release_files(manifest, closure).into_iter().map(|(path, state, _, _)| (path, state)).collect()
}
