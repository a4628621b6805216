//! Gathering a closure: every tracked file that decides what runs, and every reason why one may not.

mod missing;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    flow::{
        content::{Content, FILE_BYTES_MAX},
        repository::{self, Found, Module, Rendering, problem},
    },
    model::{
        closure::{Closure, ClosureFile},
        compose::{self, Exposed, ExposedAt, Named, Scan, Use},
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
};

/// Collects a closure and what is wrong with it.
pub(super) struct Gathering<'a> {
    content: &'a Content<'a>,
    file: RepoPath,
    entries: BTreeMap<RepoPath, Entry>,
    own: BTreeSet<RepoPath>,
    written: Vec<Value>,
    services: Vec<(RepoPath, compose::Service)>,
    rendering: Rendering,
    /// Services of profiles that are not active: they run only if they are named.
    inactive: BTreeSet<ComposeName>,
    problems: Vec<Problem>,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(content: &'a Content<'a>, file: RepoPath) -> Self {
        Self {
            content,
            file,
            entries: BTreeMap::new(),
            own: BTreeSet::new(),
            written: Vec::new(),
            services: Vec::new(),
            rendering: Rendering::default(),
            inactive: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    fn must(&mut self, holds: bool, path: &[&str], message: &str, fix: &str) -> Answer<()> {
        if !holds {
            let at = repository::place(self.content, &self.file, path)?;
            self.problems.push(problem(self.file.as_str(), at, Code::ManifestInvalid, message, fix));
        }
        Ok(())
    }

    /// Adds a file or a folder that someone named; returns whether anything tracked is there.
    fn add(&mut self, path: &RepoPath, own: bool) -> Answer<bool> {
        let found = match self.content.entry(path)? {
            None => return Ok(false),
            Some(entry) if entry.mode == Mode::Tree => self.content.list(path)?,
            Some(entry) => vec![(path.as_str().as_bytes().to_vec(), entry)],
        };
        for (raw, entry) in found {
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

    pub(super) fn own(&mut self, path: RepoPath, at: &[&str]) -> Answer<()> {
        let there = self.add(&path, true)?;
        let message = format!("`{path}` is not in the repository");
        self.must(there, at, &message, &absent_fix(path.name(), false))
    }

    pub(super) fn folder(&mut self, manifest: &Manifest) -> Answer<()> {
        let Some(tree) = &manifest.runtime.tree else {
            return Ok(());
        };
        let folder = self.content.entry(tree)?.is_some_and(|entry| entry.mode == Mode::Tree);
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

    pub(super) fn compose(&mut self, manifest: &Manifest) -> Answer<()> {
        let runtime = &manifest.runtime;
        let Some(first) = runtime.compose_files.first() else {
            return Ok(());
        };
        let project = first.parent();
        let mut queue: Vec<(RepoPath, Option<RepoPath>)> =
            runtime.compose_files.iter().map(|file| (file.clone(), project.clone())).collect();
        let mut seen = BTreeSet::new();
        let mut defined = BTreeSet::new();
        let mut included = BTreeSet::new();
        let known = self.known_variables(manifest)?;
        while let Some((file, project)) = queue.pop() {
            if !seen.insert(file.clone()) {
                continue;
            }
            let listed = runtime.compose_files.iter().position(|each| *each == file);
            let Some(scan) = self.scan(&file, project.as_ref(), listed)? else {
                continue;
            };
            for followed in &scan.follows {
                queue.push((followed.path.clone(), followed.path.parent()));
            }
            included.extend(scan.includes.iter().cloned());
            let defines = listed.is_some() || included.contains(&file);
            self.take(&file, scan, manifest, (listed.is_some(), defines), &mut defined)?;
            self.unset(&file, &known);
        }
        for (at, service) in runtime.services.iter().enumerate() {
            let message = format!("no compose file of the module defines the service `{}`", text::shown(service));
            self.must(
                defined.contains(service),
                &["runtime", "services", &at.to_string()],
                &message,
                "correct the name, or list the file that defines it",
            )?;
        }
        for (at, path) in runtime.env_files.iter().enumerate() {
            self.own(path.clone(), &["runtime", "env_files", &at.to_string()])?;
            self.rendering.reads.insert(path.clone());
        }
        self.undeclared(manifest);
        self.imageless();
        self.rendering.services = match runtime.services.as_slice() {
            [] => defined.difference(&self.inactive).cloned().collect(),
            named => named.to_vec(),
        };
        self.must(
            defined.is_empty() || !self.rendering.services.is_empty(),
            &["runtime"],
            "every service has a profile, and none of them is active",
            "name the profiles in runtime.profiles, or the services in runtime.services",
        )?;
        for (at, probe) in manifest.health.probes.iter().enumerate() {
            if let Some(service) = &probe.service {
                let message =
                    format!("the probe runs in `{}`, which is no service of the module", text::shown(service));
                self.must(
                    defined.contains(service),
                    &["health", "probes", &at.to_string()],
                    &message,
                    "name a service of the module",
                )?;
            }
        }
        Ok(())
    }

    fn scan(&mut self, file: &RepoPath, project: Option<&RepoPath>, listed: Option<usize>) -> Answer<Option<Scan>> {
        let Some(parsed) = self.content.compose(file)? else {
            let message = format!("the compose file `{file}` is not in the repository");
            let at = listed.unwrap_or_default().to_string();
            self.must(false, &["runtime", "compose_files", &at], &message, "commit it, or correct the path")?;
            return Ok(None);
        };
        self.add(file, false)?;
        self.rendering.reads.insert(file.clone());
        match parsed.as_ref() {
            Ok(node) => Ok(Some(compose::scan(file, project, node))),
            Err(error) => {
                self.problems.push(Problem::unreadable(file.as_str(), Code::ComposeInvalid, error));
                Ok(None)
            }
        }
    }

    /// Takes what a scan found: the module's own services count for the effective digest, all of them for the closure.
    fn take(
        &mut self,
        file: &RepoPath,
        scan: Scan,
        manifest: &Manifest,
        (listed, defines): (bool, bool),
        defined: &mut BTreeSet<ComposeName>,
    ) -> Answer<()> {
        let wanted = &manifest.runtime.services;
        let whole = scan.whole.is_some() || !listed;
        self.problems.extend(scan.problems);
        if whole {
            self.own.insert(file.clone());
        }
        for service in scan.services {
            self.rendering.defined.insert(service.name.clone());
            let own = !listed || wanted.is_empty() || wanted.contains(&service.name);
            for named in &service.files {
                let secret =
                    |(exposed, _): &ExposedAt| matches!(exposed, Exposed::File(_, path) if *path == named.path);
                self.named(file, named, own, service.exposed.iter().any(secret))?;
                if named.as_ == Use::Rendered {
                    self.rendering.reads.insert(named.path.clone());
                }
            }
            self.rendering.stand_ins.extend(service.secrets.iter().map(|(secret, _)| secret.clone()));
            if own {
                self.rendering.env_secrets.extend(service.env_secrets.iter().cloned());
                if defines {
                    defined.insert(service.name.clone());
                }
                let active = |profile: &String| {
                    *profile == "*" || manifest.runtime.profiles.iter().any(|active| active == profile)
                };
                if !service.profiles.is_empty() && !service.profiles.iter().any(active) {
                    self.inactive.insert(service.name.clone());
                }
                self.written.push(json!({"name": service.name, "written": service.written}));
                self.services.push((file.clone(), service));
            }
        }
        Ok(())
    }

    fn named(&mut self, file: &RepoPath, named: &Named, own: bool, secret: bool) -> Answer<()> {
        let there = self.add(&named.path, own)?;
        let path = &named.path;
        let found = match (named.as_, there) {
            (Use::Rendered | Use::Read | Use::Mounted, true) => None,
            (Use::Written, true) => Some((
                Code::BindNotReadOnly,
                format!("the tracked `{path}` is mounted writable: a release is never changed"),
                "add :ro, or mount a folder of the host by its absolute path".to_owned(),
            )),
            (Use::Written, false) => Some((
                Code::BindRelativeWritable,
                format!("`{path}` is not tracked: a release has its own folder, so it would start empty in each"),
                format!("write an absolute path of the host, or ${{PLATFORM_DATA}}/{}", path.name()),
            )),
            (Use::Rendered | Use::Read | Use::Mounted, false) => Some((
                Code::ClosureIncomplete,
                format!("`{path}` is not in the repository"),
                absent_fix(path.name(), secret),
            )),
        };
        if let Some((code, message, fix)) = found {
            self.problems.push(problem(file.as_str(), named.at, code, message, fix));
        }
        Ok(())
    }

    /// Hashes the files and makes the digests.
    pub(super) fn finish(mut self, manifest: Manifest) -> Answer<Found<Module>> {
        let path = self.file.clone();
        self.add(&path, false)?;
        self.clashes();
        let paths: Vec<_> = self.entries.keys().cloned().collect();
        for path in self.content.filtered(&paths)? {
            self.problems
                .push(refused(path.as_str(), "has a `filter` attribute: what git checks out is not what was merged"));
        }
        let mut files = Vec::new();
        for (path, entry) in &self.entries {
            let bytes = self.content.source.blob(entry.id, FILE_BYTES_MAX)?;
            if bytes.starts_with(b"version https://git-lfs.github.com/spec/") {
                self.problems.push(refused(path.as_str(), "is a Git LFS pointer, not the file"));
            }
            files.push(ClosureFile {
                path: path.clone(),
                mode: entry.mode.octal().to_owned(),
                blob: entry.id,
                sha256: Digest::of(&bytes),
                size_bytes: bytes.len() as u64,
            });
        }
        if !self.problems.is_empty() {
            self.problems.sort();
            self.problems.dedup();
            return Ok(Err(self.problems));
        }
        let closure = digests(&manifest, files, &self.own, &self.written)?;
        Ok(Ok(Module { manifest, closure, services: self.services, rendering: self.rendering }))
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

/// Both digests. The effective one holds what concerns the module and nothing else: titles and owners may change without it.
fn digests(
    manifest: &Manifest,
    files: Vec<ClosureFile>,
    own: &BTreeSet<RepoPath>,
    written: &[Value],
) -> Answer<Closure> {
    let unfit = |error: json::CanonicalError| {
        PortError::new(Code::Bug, "the closure has no canonical form", "please report this").because(error)
    };
    let concerned: Vec<Value> = files
        .iter()
        .filter(|file| own.contains(&file.path))
        .map(|file| json!([file.path, file.mode, file.sha256]))
        .collect();
    let effective = json!({
        "host": manifest.host,
        "runtime": manifest.runtime,
        "secrets": manifest.secrets,
        "health": manifest.health,
        "jobs": manifest.jobs,
        "services": written,
        "files": concerned,
    });
    Ok(Closure {
        digest: json::digest(&files).map_err(unfit)?,
        effective: json::digest(&effective).map_err(unfit)?,
        files,
    })
}
