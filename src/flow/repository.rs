//! The repository's description of what runs: policy, modules and closures, read from one tree.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    flow::{
        content::Content,
        gather::{self, Gathering},
    },
    model::{
        closure::Closure,
        compose,
        digest::Digest,
        ids::{HostName, ModuleId, Oid},
        module::{Driver, Manifest},
        names::ComposeName,
        near::did_you_mean,
        path::RepoPath,
        policy::{self, Policy},
        problem::Problem,
        refusal::{Code, Refusal},
        text,
    },
    port::{Answer, Mode, PortError},
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
    /// Its services, each with what all files say of it (driver compose).
    pub owned: BTreeMap<ComposeName, Own>,
    /// Secrets that stand in the repository and that its services use by a definition, with the file of each.
    pub exposed: Vec<(RepoPath, compose::ExposedAt)>,
    /// What rendering its compose files needs (driver compose).
    pub rendering: Rendering,
}

/// One of a module's own services, over all its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// How it is written, to say in what it differs: `service`, `uses`, and what it extends.
    pub written: Value,
    /// The tracked files and folders that it names.
    pub files: BTreeSet<RepoPath>,
}

/// By what a module counts that may be valid or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The hosts that it names; `None` where they cannot be known.
    pub hosts: Option<Vec<HostName>>,
    /// Its effective digest. Of a module that is not valid, that of the entries in the tree that it names; where what it names cannot be
    /// known, that of the whole tree.
    pub effective: Digest,
    /// The same, but of no more than is known to be named: whether a change is about this module.
    pub near: Digest,
    /// What its manifest takes upon itself and nothing runs differently for: the risks to data that a review accepts.
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
    /// Secret files that any service names, below `<root>/secrets/`. What leaves the host is rendered with files of that name that
    /// hold the declared keys and no value.
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

pub(super) fn fixed(path: &str) -> Answer<RepoPath> {
    path.parse().map_err(|error| {
        PortError::new(Code::Bug, format!("the path {path} is not one"), "please report this").because(Box::new(error))
    })
}

/// Where a module's manifest lies.
///
/// # Errors
/// Never: an id makes a path.
pub fn manifest_path(id: &ModuleId) -> Answer<RepoPath> {
    fixed(&format!("modules/{id}/module.yaml"))
}

/// Reads the policy.
///
/// # Errors
/// Objects that cannot be read.
pub fn policy(content: &Content<'_>) -> Answer<Found<PolicyAt>> {
    let path = fixed(policy::PATH)?;
    let Some((entry, bytes)) = content.text(&path)? else {
        return Ok(Err(vec![problem(
            policy::PATH,
            (0, 0),
            Code::PolicyInvalid,
            "there is no platform.yaml",
            "platformctl init writes one",
        )]));
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(vec![Problem::unreadable(policy::PATH, Code::PolicyInvalid, &error)])),
    };
    let signers = content.entry(&fixed(policy::SIGNERS_PATH)?)?;
    Ok(Policy::parse(&bytes).map(|policy| PolicyAt {
        policy,
        blob: entry.id,
        signers: signers.filter(|entry| matches!(entry.mode, Mode::File | Mode::Executable)).map(|entry| entry.id),
    }))
}

pub(super) fn problem(
    file: &str,
    at: (usize, usize),
    code: Code,
    message: impl Into<String>,
    fix: impl Into<String>,
) -> Problem {
    Problem { file: file.to_owned(), line: at.0, column: at.1, code, message: message.into(), fix: fix.into() }
}

/// The modules of a tree: folders below `modules/` that hold a `module.yaml`. Folders whose name is no id are problems.
///
/// # Errors
/// Objects that cannot be read.
pub fn module_ids(content: &Content<'_>) -> Answer<(Vec<ModuleId>, Vec<Problem>)> {
    let (mut ids, mut problems) = (Vec::new(), Vec::new());
    for (name, entry) in content.source.names(content.tree, Some(&fixed("modules")?))? {
        let shown = format!("modules/{}", text::escaped_bytes(&name));
        let id = std::str::from_utf8(&name).ok().and_then(|name| name.parse::<ModuleId>().ok());
        match id {
            _ if entry.mode != Mode::Tree => {}
            Some(id) => {
                if content.entry(&manifest_path(&id)?)?.is_some() {
                    ids.push(id);
                } else {
                    problems.push(problem(
                        &shown,
                        (0, 0),
                        Code::ManifestInvalid,
                        "the folder has no module.yaml",
                        "add one, or move the folder out of modules/",
                    ));
                }
            }
            None => problems.push(problem(
                &shown,
                (0, 0),
                Code::ManifestInvalid,
                "the folder's name is no module id",
                "use lower-case letters, digits and -",
            )),
        }
    }
    Ok((ids, problems))
}

/// The refusal of a module that a tree does not have. `fix` comes after the name that was probably meant.
///
/// # Errors
/// Objects that cannot be read.
pub fn unknown(content: &Content<'_>, id: &ModuleId, fact: String, fix: &str) -> Answer<Refusal> {
    let (ids, _) = module_ids(content)?;
    Ok(Refusal::new(Code::UnknownModule, fact, did_you_mean(id.as_str(), ids.iter().map(ModuleId::as_str), fix)))
}

/// Reads a module's manifest; `None` where there is no such module.
///
/// # Errors
/// Objects that cannot be read.
pub fn manifest(content: &Content<'_>, id: &ModuleId) -> Answer<Option<Found<Manifest>>> {
    let path = manifest_path(id)?;
    let Some((_, bytes)) = content.text(&path)? else {
        return Ok(None);
    };
    let unreadable = |error| vec![Problem::unreadable(path.as_str(), Code::ManifestInvalid, &error)];
    Ok(Some(bytes.map_err(unreadable).and_then(|bytes| Manifest::parse(path.as_str(), id, &bytes))))
}

/// Reads a module and gathers its closure; `None` where there is no such module.
///
/// # Errors
/// Objects that cannot be read.
pub fn module(content: &Content<'_>, id: &ModuleId) -> Answer<Option<Found<Module>>> {
    Ok(gathered(content, id)?.map(|found| found.map_err(|invalid| invalid.problems)))
}

/// By what a module counts; `None` where there is no such module.
///
/// # Errors
/// Objects that cannot be read.
pub fn counted(content: &Content<'_>, id: &ModuleId) -> Answer<Option<Counted>> {
    Ok(match gathered(content, id)? {
        None => None,
        Some(Err(invalid)) => Some(invalid.counted),
        Some(Ok(module)) => {
            let effective = module.closure.effective;
            let taken = gather::digest(&module.manifest.acknowledge)?;
            let hosts = Some(module.manifest.hosts().to_vec());
            Some(Counted { hosts, effective, near: effective, taken })
        }
    })
}

fn gathered(content: &Content<'_>, id: &ModuleId) -> Answer<Option<Result<Module, Invalid>>> {
    let mut gathering = Gathering::new(content, manifest_path(id)?);
    let manifest = match manifest(content, id)? {
        None => return Ok(None),
        Some(Err(problems)) => return Ok(Some(Err(gathering.unreadable(problems)?))),
        Some(Ok(manifest)) => manifest,
    };
    match manifest.runtime.driver {
        Driver::Files => gathering.folder(&manifest)?,
        Driver::Compose => gathering.compose(&manifest)?,
    }
    for (at, path) in manifest.inputs.iter().enumerate() {
        gathering.own(path.clone(), &["inputs", &at.to_string()])?;
    }
    Ok(Some(gathering.finish(manifest)?))
}

/// Where a key of a manifest stands. The file is read again: only what is wrong pays for its place.
pub(super) fn place(content: &Content<'_>, file: &RepoPath, path: &[&str]) -> Answer<(usize, usize)> {
    let Some((_, Ok(bytes))) = content.text(file)? else {
        return Ok((0, 0));
    };
    Ok(crate::model::yaml::outline(&bytes).map_or((0, 0), |node| node.place(path)))
}
