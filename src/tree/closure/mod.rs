//! Builder a closure: every tracked file that decides what runs, and every reason why one may not.

mod compose;
mod missing;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    model::{
        closure::{Closure, ClosureFile, FileMode},
        compose::{ExposedAt, Service},
        digest::Digest,
        json,
        leaks::absent_fix,
        module::Manifest,
        names::ComposeName,
        path::RepoPath,
        problem::Problem,
        refusal::Code,
        text,
    },
    port::{Answer, Entry, Mode, PortError},
    tree::{
        module::{Counted, Invalid, Module, Own, Rendering},
        place::{self, problem},
        snapshot::Snapshot,
    },
};

/// Collects a closure and what is wrong with it.
pub(crate) struct Builder<'a> {
    snapshot: &'a Snapshot<'a>,
    file: RepoPath,
    entries: BTreeMap<RepoPath, Entry>,
    own: BTreeSet<RepoPath>,
    /// Whether everything in the closure counts for the effective digest.
    everything: bool,
    /// Everything that was asked for, and what was there.
    raw: BTreeMap<Vec<u8>, Option<Entry>>,
    /// Whether something cannot be read, so that it is unknown what it names.
    opaque: bool,
    written: Vec<Value>,
    services: Vec<(RepoPath, Service)>,
    owned: BTreeMap<ComposeName, Own>,
    exposed: Vec<(RepoPath, ExposedAt)>,
    rendering: Rendering,
    /// Services of profiles that are not active: they run only if they are named.
    inactive: BTreeSet<ComposeName>,
    problems: Vec<Problem>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot<'a>, file: RepoPath) -> Self {
        Self {
            snapshot,
            file,
            entries: BTreeMap::new(),
            own: BTreeSet::new(),
            everything: false,
            raw: BTreeMap::new(),
            opaque: false,
            written: Vec::new(),
            services: Vec::new(),
            owned: BTreeMap::new(),
            exposed: Vec::new(),
            rendering: Rendering::default(),
            inactive: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    fn must(&mut self, holds: bool, path: &[&str], message: &str, fix: &str) -> Answer<()> {
        if !holds {
            let at = place::place(self.snapshot, &self.file, path)?;
            self.problems.push(problem(self.file.as_str(), at, Code::ManifestInvalid, message, fix));
        }
        Ok(())
    }

    /// Adds a file or a folder that someone named; returns whether anything tracked is there.
    fn add(&mut self, path: &RepoPath, own: bool) -> Answer<bool> {
        let found = match self.snapshot.entry(path)? {
            None => {
                self.raw.insert(path.as_str().as_bytes().to_vec(), None);
                return Ok(false);
            }
            Some(entry) if entry.mode == Mode::Tree => self.snapshot.list(path)?,
            Some(entry) => vec![(path.as_str().as_bytes().to_vec(), entry)],
        };
        for (raw, entry) in found {
            self.raw.insert(raw.clone(), Some(entry));
            let shown = text::escaped_bytes(&raw);
            let what = match entry.mode {
                Mode::File | Mode::Executable => None,
                Mode::Link => Some("is a symbolic link"),
                Mode::Submodule => Some("is a submodule"),
                Mode::Tree => Some("is a folder where a file belongs"),
            };
            if let Some(what) = what {
                self.problems.push(refused(&shown, what));
                continue;
            }
            let Some(path) = String::from_utf8(raw).ok().and_then(|raw| raw.parse::<RepoPath>().ok()) else {
                self.problems.push(refused(&shown, "has a name that is never delivered"));
                continue;
            };
            if own {
                self.own.insert(path.clone());
            }
            self.entries.insert(path, entry);
        }
        Ok(true)
    }

    pub(crate) fn own(&mut self, path: RepoPath, at: &[&str]) -> Answer<()> {
        let there = self.add(&path, true)?;
        let message = format!("`{path}` is not in the repository");
        self.must(there, at, &message, &absent_fix(path.name(), false))
    }

    pub(crate) fn folder(&mut self, manifest: &Manifest) -> Answer<()> {
        let Some(tree) = &manifest.runtime.tree else {
            return Ok(());
        };
        let folder = self.snapshot.entry(tree)?.is_some_and(|entry| entry.mode == Mode::Tree);
        self.must(
            folder,
            &["runtime", "tree"],
            &format!("`{tree}` is not a folder in the repository"),
            "commit at least one file in it",
        )?;
        if folder {
            self.add(tree, true)?;
        }
        Ok(())
    }

    /// Hashes the files and makes the digests.
    pub(crate) fn finish(mut self, manifest: Manifest) -> Answer<Result<Module, Invalid>> {
        let path = self.file.clone();
        self.add(&path, false)?;
        self.clashes();
        let paths: Vec<_> = self.entries.keys().cloned().collect();
        for path in self.snapshot.filtered(&paths)? {
            self.problems
                .push(refused(path.as_str(), "has a `filter` attribute: what git checks out is not what was merged"));
        }
        let mut files = Vec::new();
        for (path, entry) in &self.entries {
            let hashed = match self.snapshot.hashed(*entry)? {
                Ok(hashed) => hashed,
                Err(why) => {
                    let fix = "make it smaller, or keep it outside of git";
                    self.problems.push(problem(path.as_str(), (0, 0), Code::ContentRefused, why, fix));
                    continue;
                }
            };
            if hashed.is_pointer {
                self.problems.push(refused(path.as_str(), "is a Git LFS pointer, not the file"));
            }
            files.push(ClosureFile {
                path: path.clone(),
                mode: if entry.mode == Mode::Executable { FileMode::Executable } else { FileMode::Plain },
                blob: entry.id,
                sha256: hashed.sha256,
                size_bytes: hashed.size_bytes,
            });
        }
        if !self.problems.is_empty() {
            return Ok(Err(self.invalid(Vec::new())?));
        }
        let own = |path: &RepoPath| self.everything || self.own.contains(path);
        let closure = digests(&manifest, files, own, &self.written)?;
        let Self { services, owned, exposed, rendering, .. } = self;
        Ok(Ok(Module { manifest, closure, services, owned, exposed, rendering }))
    }

    /// What is wrong, and what counts instead of an effective digest: the entries of everything that was asked for, as
    /// git has them.
    pub(crate) fn invalid(mut self, more: Vec<Problem>) -> Answer<Invalid> {
        self.problems.extend(more);
        self.problems.sort();
        self.problems.dedup();
        let entry = |entry: &Option<Entry>| entry.map(|entry| json!([entry.mode.octal(), entry.id]));
        let raw: Vec<Value> =
            self.raw.iter().map(|(path, there)| json!([text::escaped_bytes(path), entry(there)])).collect();
        let near = digest(&json!({ "invalid": raw }))?;
        // What cannot be read may name anything in the tree.
        let effective = if self.opaque { digest(&json!({"opaque": self.snapshot.tree}))? } else { near };
        Ok(Invalid { problems: self.problems, counted: Counted { hosts: None, effective, near, taken: near } })
    }

    /// The manifest itself cannot be read.
    pub(crate) fn unreadable(mut self, problems: Vec<Problem>) -> Answer<Invalid> {
        let path = self.file.clone();
        self.add(&path, false)?;
        self.opaque = true;
        self.invalid(problems)
    }

    /// Names that are one name where case does not count.
    fn clashes(&mut self) {
        let mut seen: BTreeMap<String, &RepoPath> = BTreeMap::new();
        let mut found = Vec::new();
        for path in self.entries.keys() {
            if let Some(other) = seen.insert(path.as_str().to_lowercase(), path) {
                found.push(refused(path.as_str(), &format!("differs from `{other}` only in case")));
            }
        }
        self.problems.extend(found);
    }
}

fn refused(path: &str, what: &str) -> Problem {
    problem(path, (0, 0), Code::ContentRefused, what, "replace it by a plain file with a plain name, and commit that")
}

/// The digest of a value in its canonical form.
pub(crate) fn digest(value: &impl serde::Serialize) -> Answer<Digest> {
    json::digest(value).map_err(|error| {
        PortError::new(Code::Bug, "the closure has no canonical form", "please report this").because(error)
    })
}

/// Both digests. The effective one covers what concerns the module and nothing else: titles and owners may change
/// without it, and the same release has the same digest on every host.
fn digests(
    manifest: &Manifest,
    files: Vec<ClosureFile>,
    own: impl Fn(&RepoPath) -> bool,
    written: &[Value],
) -> Answer<Closure> {
    let concerned: Vec<Value> =
        files.iter().filter(|file| own(&file.path)).map(|file| json!([file.path, file.mode, file.sha256])).collect();
    let effective = json!({
        "runtime": manifest.runtime,
        "secrets": manifest.secrets,
        "health": manifest.health,
        "jobs": manifest.jobs,
        "services": written,
        "files": concerned,
    });
    Ok(Closure { digest: digest(&files)?, effective: digest(&effective)?, files })
}
