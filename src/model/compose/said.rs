//! The contents of a compose file, as far as they are read.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    leaks::ExposedAt,
    refs::{Kind, Refs},
};
use crate::model::{names::ComposeName, path::RepoPath, problem::Problem};

/// Why a tracked file belongs to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// Read while the file is rendered: other compose files, env and label files.
    Rendered,
    /// The same, if it is there.
    Optional,
    /// Given to a container: config and secret files.
    Read,
    /// Mounted read-only.
    Mounted,
    /// Mounted for reading and writing.
    Written,
}

/// A path in the repository that a compose file names, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// The path.
    pub path: RepoPath,
    /// As what.
    pub as_: Use,
    /// Where it is named: line and column.
    pub at: (usize, usize),
}

/// One service as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: ComposeName,
    /// Where it is written: line and column.
    pub at: (usize, usize),
    /// Whether it names an image, or what it extends may.
    pub has_image: bool,
    /// The profiles that it belongs to.
    pub profiles: Vec<String>,
    /// The service of the same file that it extends. The keys of that one are included here.
    pub extends: Option<String>,
    /// What it refers to by name.
    pub refs: Refs,
    /// The files it names.
    pub files: BTreeSet<Named>,
    /// Binds of absolute paths on the host: path, writable, place.
    pub binds: Vec<(String, bool, (usize, usize))>,
    /// Doors to the host, as an `allow` entry would name them: `cap_add:NET_ADMIN`.
    pub doors: Vec<(String, (usize, usize))>,
    /// Files below `${PLATFORM_SECRETS}/` that it names, and where.
    pub secrets: Vec<(RepoPath, (usize, usize))>,
    /// Those of them that Compose reads as environment.
    pub env_secrets: BTreeSet<RepoPath>,
    /// Its secrets that are in the repository.
    pub exposed: Vec<ExposedAt>,
    /// Its texts with a variable, and where.
    pub variables: Vec<(String, (usize, usize))>,
}

/// A volume, network, config or secret as it is written at the top of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The tracked file that it gives.
    pub file: Option<Named>,
    /// The file below `${PLATFORM_SECRETS}/` that it gives, and where.
    pub secret: Option<(RepoPath, (usize, usize))>,
    /// The secret in the repository, if it is one.
    pub exposed: Option<ExposedAt>,
    /// Its texts with a variable, and where.
    pub variables: Vec<(String, (usize, usize))>,
    /// What is not valid, if it is used.
    pub problems: Vec<Problem>,
}

/// A compose file that another one extends or includes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Follow {
    /// The file.
    pub path: RepoPath,
    /// The folder that its relative paths are taken from.
    pub project: Option<RepoPath>,
    /// Whether it is included: its services are services of the project.
    pub includes: bool,
}

/// The contents of one compose file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan {
    /// Its services.
    pub services: Vec<Service>,
    /// Its volumes, networks, configs and secrets.
    pub definitions: BTreeMap<(Kind, String), Definition>,
    /// What all its services refer to.
    pub refs: Refs,
    /// Compose files that it extends or includes. If there are any, the complete file counts.
    pub follows: BTreeSet<Follow>,
    /// What is not valid.
    pub problems: Vec<Problem>,
}
