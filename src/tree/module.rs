//! What a tree describes: modules with their closures, and the policy. The nouns of this room.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::{
    closure::Closure,
    compose,
    digest::Digest,
    ids::{HostName, Oid},
    module::Manifest,
    names::ComposeName,
    path::RepoPath,
    policy::Policy,
    problem::Problem,
};

/// A module as one tree describes it.
#[derive(Debug, Clone)]
pub struct Module {
    /// Its manifest.
    pub manifest: Manifest,
    /// Every file that decides what runs, and the digests.
    pub closure: Closure,
    /// Its services as written (driver compose), with the file each is in.
    pub services: Vec<(RepoPath, compose::Service)>,
    /// Its services, each with its keys from all files (driver compose).
    pub owned: BTreeMap<ComposeName, Own>,
    /// Secrets in the repository that its services use through a definition, with the file of each.
    pub exposed: Vec<(RepoPath, compose::ExposedAt)>,
    /// What rendering its compose files needs (driver compose).
    pub rendering: Rendering,
}

/// One of a module's own services, over all its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// How it is written, to find the differences: `service`, `uses`, and what it extends.
    pub written: Value,
    /// The tracked files and folders that it names.
    pub files: BTreeSet<RepoPath>,
}

/// By what a module counts that may be valid or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The hosts that it names; `None` where they cannot be known.
    pub hosts: Option<Vec<HostName>>,
    /// Its effective digest. Of a module that is not valid, that of the entries in the tree that it names; where what
    /// it names cannot be known, that of the complete tree.
    pub effective: Digest,
    /// The same, but of no more than is known to be named: whether a change is about this module.
    pub near: Digest,
    /// What its manifest takes upon itself and nothing runs differently for: the risks to data that a review accepts, and
    /// that a runner may apply it.
    pub taken: Digest,
}

/// A module that is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// By what it counts.
    pub counted: Counted,
}

/// What must be there before compose files are rendered: all of them are read, also for one service.
#[derive(Debug, Clone, Default)]
pub struct Rendering {
    /// The services that are the module's own.
    pub services: Vec<ComposeName>,
    /// Every service that one of its files defines, its own or not.
    pub defined: BTreeSet<ComposeName>,
    /// Tracked files that are read: compose, env and label files.
    pub reads: BTreeSet<RepoPath>,
    /// Secret files that any service names, below `<root>/secrets/`. What leaves the host is rendered with files of
    /// that name that have the declared keys and no value.
    pub stand_ins: BTreeSet<RepoPath>,
    /// Secret files that Compose reads as environment for a service of the module's own.
    pub env_secrets: BTreeSet<RepoPath>,
}

impl Module {
    /// Its own services as they are written, by name.
    pub fn written(&self) -> BTreeMap<String, Value> {
        let own = self.owned.iter().filter(|(name, _)| self.rendering.services.contains(name));
        own.map(|(name, own)| (name.to_string(), own.written.clone())).collect()
    }
}

/// The policy of one tree.
#[derive(Debug, Clone)]
pub struct PolicyAt {
    /// The policy.
    pub policy: Policy,
    /// The blob of platform.yaml.
    pub blob: Oid,
    /// The blob of allowed_signers, if there is one.
    pub signers: Option<Oid>,
}

/// What was found, or everything that is wrong with it.
pub type Found<T> = Result<T, Vec<Problem>>;
