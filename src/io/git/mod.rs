//! The local repository, by gix. Transfer is the `git` program's (`io/remote.rs`).
//!
//! Replace refs are ignored and every object is re-hashed when it is read: neither gix nor `git cat-file` does either
//! by itself.

mod attributes;
pub mod branch;
mod checkout;
mod commit;
mod configured;
mod diff;
mod entries;
pub mod interrupt;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod laws;
mod loose;
mod merge;
mod object_cache;
mod person;
mod refs;
mod signature;
mod source;
pub(super) mod trust;
mod write;

use std::{
    cell::RefCell,
    error::Error,
    path::{Path, PathBuf},
};

use gix::objs::Kind;
use object_cache::ObjectCache;

use crate::{
    io::{env::Env, faults},
    model::{ids::Oid, refusal::Code},
    port::{Answer, PortError},
};

/// A repository, opened: objects, refs, notes and checkout.
pub struct Git {
    /// With the user's configuration: for identity and paths.
    repo: gix::Repository,
    /// With isolated configuration, bare, and an object memory: merges leave nothing behind.
    view: gix::Repository,
    /// Objects of a tree or commit that are not written yet.
    pending: RefCell<Vec<(Oid, Kind, Vec<u8>)>>,
    known: ObjectCache,
    remote: String,
    base: Option<String>,
    env: Env,
}

/// All the configuration that merges have, in gix and in git. A commit-graph is a file of this clone that nothing
/// re-hashes.
const SETTINGS: &[(&str, &str)] =
    &[("core.bare", "true"), ("core.commitGraph", "false"), ("merge.renames", "true"), ("diff.algorithm", "histogram")];

/// Turns an error of gix into one of ours; `what` is the fragment that tells what could not be done.
fn failed<E: Into<Box<dyn Error + Send + Sync>>>(what: impl Into<String>) -> impl FnOnce(E) -> PortError {
    let what = what.into();
    move |error| faults::told(&what, error.into())
}

/// The same, where a message for every object would cost more than the object.
fn failing<E: Into<Box<dyn Error + Send + Sync>>>(what: impl FnOnce() -> String) -> impl FnOnce(E) -> PortError {
    move |error| failed(what())(error)
}

/// Ours into gix's.
fn theirs(id: Oid) -> gix::ObjectId {
    gix::ObjectId::from_bytes_or_panic(id.as_bytes())
}

/// gix's into ours.
fn ours(id: impl AsRef<gix::oid>) -> Answer<Oid> {
    let bytes = id.as_ref().as_bytes();
    bytes
        .try_into()
        .map(Oid::from_bytes)
        .map_err(|_| trust::unsupported("has sha256 objects", "clone a repository with sha1 objects"))
}

/// The same repository without any configuration but this, and with a memory for new objects: its decisions rest on
/// objects alone.
fn isolated(common_dir: &Path) -> Answer<gix::Repository> {
    let what = || failed("could not open the repository a second time");
    let options = gix::open::Options::isolated().open_path_as_is(true).with(gix::sec::Trust::Full);
    let mut view = gix::open_opts(common_dir, options.config_overrides(["core.bare=true"])).map_err(what())?;
    // Isolated is not enough: the clone's own file was read, with its merge drivers and attribute files.
    let mut settings = view.config_snapshot_mut();
    *settings = gix::config::File::new(gix::config::file::Metadata::api());
    for (key, value) in SETTINGS {
        settings.set_raw_value(*key, *value).map_err(what())?;
    }
    settings.commit().map_err(what())?;
    Ok(view.with_object_memory())
}

impl Git {
    /// Finds the repository that `start` is in. `remote` names the private refs, `refs/platformctl/<remote>/…`.
    ///
    /// # Errors
    /// There is none, or it is of a kind that is not supported.
    pub fn open(start: &Path, remote: &str, env: &Env) -> Answer<Self> {
        trust::judge(start, env)?;
        let all = || gix::open::Options::default();
        let by_trust = gix::sec::trust::Mapping { full: all(), reduced: all() };
        let repo = gix::ThreadSafeRepository::discover_opts(start, trust::judged(), by_trust).map_err(trust::none)?;
        let mut repo = repo.to_thread_local();
        let mut view = isolated(repo.common_dir())?;
        for each in [&mut repo, &mut view] {
            each.objects.ignore_replacements = true;
            each.object_cache_size_if_unset(4 << 20);
        }
        Ok(Self {
            repo,
            view,
            pending: RefCell::default(),
            known: ObjectCache::default(),
            remote: remote.to_owned(),
            base: None,
            env: env.clone(),
        })
    }

    /// Uses another remote than the one it was opened with.
    #[must_use]
    pub fn with_remote(mut self, remote: &str) -> Self {
        remote.clone_into(&mut self.remote);
        self
    }

    /// Reads the base that was fetched last only if it is this branch.
    #[must_use]
    pub fn with_base(mut self, base: &str) -> Self {
        self.base = Some(base.to_owned());
        self
    }

    /// A setting of git's configuration, if it is there and UTF-8.
    pub fn setting(&self, name: &str) -> Option<String> {
        let value = self.repo.config_snapshot().string(name)?;
        String::from_utf8(value.to_vec()).ok()
    }

    /// The commit that a name (a branch, a tag, an id) means.
    ///
    /// # Errors
    /// It means none.
    pub fn resolve(&self, name: &str) -> Answer<Oid> {
        let unknown = |error: Box<dyn Error + Send + Sync>| {
            let what = format!("`{}` names no commit", crate::model::text::shown(name));
            PortError::new(Code::Usage, what, "give a branch, a tag or a full id").because(error)
        };
        let id = self.repo.rev_parse_single(name).map_err(|error| unknown(error.into()))?;
        let object = id.object().map_err(|error| unknown(error.into()))?;
        let commit = object.peel_to_commit().map_err(|error| unknown(error.into()))?;
        ours(commit.id)
    }

    /// Whether history was cut off: nothing that history decides may be decided here.
    pub fn is_shallow(&self) -> bool {
        // Where git cannot tell, history may be cut off: the answer that decides less.
        self.repo.is_shallow().unwrap_or(true)
    }

    /// The folder with objects and refs.
    pub fn common_dir(&self) -> &Path {
        self.repo.common_dir()
    }

    /// The root of the checkout; `None` in a bare repository.
    pub fn work_dir(&self) -> Option<&Path> {
        self.repo.workdir()
    }

    /// The folder where platformctl keeps its own files.
    fn own_dir(&self) -> PathBuf {
        self.repo.common_dir().join("platformctl")
    }

    fn deep(&self) -> Answer<()> {
        if self.is_shallow() {
            return Err(PortError::new(
                Code::ShallowHistory,
                "this clone is shallow, and the full history is needed",
                "git fetch --unshallow (in Actions: fetch-depth: 0)",
            ));
        }
        Ok(())
    }

    /// Reads an object of a kind and re-hashes it: of the repository, or else of the memory of merges and snapshots.
    fn object(&self, id: Oid, kind: Kind) -> Answer<Vec<u8>> {
        let unread = || failing(|| format!("could not read the {kind} {id}"));
        if let Some(data) = self.known.get(id, kind) {
            return Ok(data);
        }
        let data = match self.repo.try_find_object(theirs(id)).map_err(unread())? {
            Some(object) => checked(object, id, kind)?,
            None => checked(self.view.find_object(theirs(id)).map_err(unread())?, id, kind)?,
        };
        self.known.put(id, kind, &data);
        Ok(data)
    }

    /// How many bytes a blob has.
    fn size_bytes(&self, id: Oid) -> Answer<u64> {
        let unread = || failing(|| format!("could not find the blob {id}"));
        if let Some(size_bytes) = self.known.look(id, |_, data| data.len() as u64) {
            return Ok(size_bytes);
        }
        match self.repo.try_find_header(theirs(id)).map_err(unread())? {
            Some(header) => Ok(header.size()),
            None => Ok(self.view.find_header(theirs(id)).map_err(unread())?.size()),
        }
    }

    /// Reads a tree, also one that a merge made and that is nowhere on disk.
    fn tree(&self, id: Oid) -> Answer<Vec<u8>> {
        if theirs(id).is_empty_tree() {
            return Ok(Vec::new());
        }
        self.object(id, Kind::Tree)
    }
}

/// An object of the right kind whose content has the id that was asked for.
fn checked(object: gix::Object<'_>, id: Oid, kind: Kind) -> Answer<Vec<u8>> {
    if object.kind != kind {
        let fact = format!("{id} is a {}, not a {kind}", object.kind);
        return Err(PortError::new(Code::UnknownId, fact, "give the id of a commit"));
    }
    let hash = gix::objs::compute_hash(gix::hash::Kind::Sha1, object.kind, &object.data)
        .map_err(failing(|| format!("could not hash the {kind} {id}")))?;
    if ours(hash)? != id {
        return Err(PortError::new(
            Code::Io,
            format!("the {kind} {id} is damaged: its content hashes to {hash}"),
            "run `git fsck`, then fetch the object again from a good clone",
        ));
    }
    Ok(object.detach().data)
}
