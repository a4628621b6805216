//! The closure of a compose module: its files are read together, as Compose reads them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

use serde_json::json;

use crate::{
    model::{
        compose::{self, Concern, Follow, Named, Scan, Use},
        leaks::absent_fix,
        module::{Manifest, Runtime},
        names::ComposeName,
        path::RepoPath,
        problem::Problem,
        refusal::Code,
        text,
        yaml::Node,
    },
    port::Answer,
    tree::{
        closure::{Builder, missing::Said},
        module::Own,
        place::{fixed, problem},
        snapshot::{Parsed, Read},
    },
};

/// A compose file that counts.
struct File {
    path: RepoPath,
    project: Option<RepoPath>,
    /// Whether the manifest lists it.
    listed: bool,
    /// Whether its services are services of the project.
    defines: bool,
    read: Read,
    scan: Rc<Scan>,
}

impl File {
    fn parsed(&self) -> Option<&Parsed> {
        self.read.as_ref().as_ref().ok()
    }

    fn node(&self) -> Option<&Node> {
        self.parsed().map(|parsed| &parsed.node)
    }
}

/// Whether a file has services at all, well named or not.
fn defines_services(node: &Node) -> bool {
    node.get("services").is_some_and(|services| !services.entries().is_empty())
}

fn nodes(files: &[File], listed: bool) -> Vec<&Node> {
    files.iter().filter(|file| file.listed == listed).filter_map(File::node).collect()
}

impl Builder<'_> {
    pub(crate) fn compose(&mut self, manifest: &Manifest) -> Answer<()> {
        let runtime = &manifest.runtime;
        let mut files = self.listed(runtime)?;
        self.followed(&mut files)?;
        let names: Vec<String> = runtime.services.iter().map(ToString::to_string).collect();
        let wanted = (!names.is_empty()).then_some(names.as_slice());
        let concern = compose::concern(&nodes(&files, true), &nodes(&files, false), wanted);
        let known = self.known_variables(manifest)?;
        let mut defined = BTreeSet::new();
        for file in &files {
            self.services(file, runtime, &concern, &mut defined)?;
        }
        let said = self.definitions(&files, &concern)?;
        self.count(&files, &concern);
        for (at, path) in runtime.env_files.iter().enumerate() {
            self.own(path.clone(), &["runtime", "env_files", &at.to_string()])?;
            self.rendering.reads.insert(path.clone());
        }
        if self.opaque {
            // A file that cannot be read may define what seems to be missing.
            return Ok(());
        }
        self.claims(runtime, &defined, &files)?;
        self.unset(&said, &known);
        self.undeclared(manifest, &said);
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
                    format!("the probe runs in `{}`, which is not a service of the module", text::shown(service));
                self.must(
                    defined.contains(service),
                    &["health", "probes", &at.to_string()],
                    &message,
                    "name a service of the module",
                )?;
            }
        }
        self.owned(&files);
        Ok(())
    }

    /// The listed files. What later ones drop of earlier ones is not looked at.
    fn listed(&mut self, runtime: &Runtime) -> Answer<Vec<File>> {
        let project = runtime.compose_files.first().and_then(RepoPath::parent);
        let mut read = Vec::new();
        for (at, path) in runtime.compose_files.iter().enumerate() {
            if runtime.compose_files[..at].contains(path) {
                continue;
            }
            match self.read(path)? {
                Some(found) => read.push((path.clone(), found)),
                None => {
                    let message = format!("the compose file `{path}` is not in the repository");
                    let at = at.to_string();
                    self.must(false, &["runtime", "compose_files", &at], &message, "commit it, or correct the path")?;
                }
            }
        }
        let parsed: Vec<&Parsed> = read.iter().filter_map(|(_, read)| read.as_ref().as_ref().ok()).collect();
        let mut left = if parsed.iter().any(|parsed| parsed.drops) {
            compose::dropped(&parsed.iter().map(|parsed| &parsed.node).collect::<Vec<_>>()).into()
        } else {
            VecDeque::new()
        };
        let mut files = Vec::new();
        for (path, read) in read {
            let scan = match (read.as_ref(), left.pop_front()) {
                (Err(_), _) => Rc::default(),
                (Ok(_), Some(left)) => Rc::new(compose::scan(&path, project.as_ref(), &left)),
                (Ok(parsed), None) => self.snapshot.scanned(&path, project.as_ref(), &parsed.node),
            };
            files.push(File { path, project: project.clone(), listed: true, defines: true, read, scan });
        }
        Ok(files)
    }

    /// Reads a compose file; one that cannot be read hides everything that it names.
    fn read(&mut self, path: &RepoPath) -> Answer<Option<Read>> {
        let Some(read) = self.snapshot.compose(path)? else {
            self.add(path, false)?;
            return Ok(None);
        };
        self.add(path, false)?;
        self.rendering.reads.insert(path.clone());
        if let Err(error) = read.as_ref() {
            self.opaque = true;
            self.problems.push(Problem::unreadable(path.as_str(), Code::ComposeInvalid, error));
        }
        Ok(Some(read))
    }

    /// Files that are extended or included, and by them, and so on.
    fn followed(&mut self, files: &mut Vec<File>) -> Answer<()> {
        let all = |file: &File| -> Vec<(Follow, bool)> {
            file.scan.follows.iter().map(|follow| (follow.clone(), file.defines && follow.includes)).collect()
        };
        let mut queue: VecDeque<(Follow, bool)> = files.iter().flat_map(all).collect();
        while let Some((Follow { path, project, includes }, defines)) = queue.pop_front() {
            if includes {
                self.beside(project.as_ref())?;
            }
            if let Some(known) = files.iter_mut().find(|file| file.path == path && file.project == project) {
                if defines && !known.defines {
                    known.defines = true;
                    queue.extend(all(known));
                }
                continue;
            }
            let Some(read) = self.read(&path)? else {
                let message = format!("the compose file `{path}` is not in the repository");
                self.must(false, &["runtime", "compose_files"], &message, "commit it, or correct the path")?;
                continue;
            };
            let scan = match read.as_ref() {
                Err(_) => Rc::default(),
                Ok(parsed) if parsed.drops => {
                    let left = compose::dropped(&[&parsed.node]);
                    left.first().map(|left| Rc::new(compose::scan(&path, project.as_ref(), left))).unwrap_or_default()
                }
                Ok(parsed) => self.snapshot.scanned(&path, project.as_ref(), &parsed.node),
            };
            let file = File { path, project, listed: false, defines, read, scan };
            queue.extend(all(&file));
            files.push(file);
        }
        Ok(())
    }

    /// The `.env` that Compose reads by itself beside what is included.
    fn beside(&mut self, project: Option<&RepoPath>) -> Answer<()> {
        let path = match project {
            Some(folder) => fixed(&format!("{folder}/.env"))?,
            None => fixed(".env")?,
        };
        if self.add(&path, true)? {
            self.rendering.reads.insert(path);
        }
        Ok(())
    }

    /// Takes the services of a file: all of them count for the closure, those that concern the module for the effective
    /// digest.
    fn services(
        &mut self,
        file: &File,
        runtime: &Runtime,
        concern: &Concern,
        defined: &mut BTreeSet<ComposeName>,
    ) -> Answer<()> {
        let wanted = &runtime.services;
        self.problems.extend(file.scan.problems.iter().cloned());
        for service in &file.scan.services {
            self.rendering.defined.insert(service.name.clone());
            let own = !file.listed || wanted.is_empty() || wanted.contains(&service.name);
            for named in &service.files {
                self.named(&file.path, named, own || concern.services.contains(service.name.as_str()), false)?;
                if matches!(named.as_, Use::Rendered | Use::Optional) {
                    self.rendering.reads.insert(named.path.clone());
                }
            }
            self.rendering.stand_ins.extend(service.secrets.iter().map(|(secret, _)| secret.clone()));
            if own {
                self.rendering.env_secrets.extend(service.env_secrets.iter().cloned());
                if file.defines {
                    defined.insert(service.name.clone());
                }
                let active =
                    |profile: &String| *profile == "*" || runtime.profiles.iter().any(|active| active == profile);
                if !service.profiles.is_empty() && !service.profiles.iter().any(active) {
                    self.inactive.insert(service.name.clone());
                }
                self.services.push((file.path.clone(), service.clone()));
            }
        }
        Ok(())
    }

    /// Takes the definitions that services name, in all files; returns those of the module's own services.
    fn definitions(&mut self, files: &[File], concern: &Concern) -> Answer<Vec<Said>> {
        let loose = files.iter().any(|file| file.scan.refs.loose);
        let used: BTreeSet<_> = files.iter().flat_map(|file| &file.scan.refs.names).collect();
        let mut said = Vec::new();
        for file in files {
            for (key, definition) in &file.scan.definitions {
                let concerns = concern.uses(key.0, &key.1);
                if !concerns && !loose && !used.contains(key) {
                    continue;
                }
                self.problems.extend(definition.problems.iter().cloned());
                if let Some(named) = &definition.file {
                    self.named(&file.path, named, concerns, key.0 == "secrets")?;
                }
                self.rendering.stand_ins.extend(definition.secret.iter().map(|(secret, _)| secret.clone()));
                if concerns {
                    self.exposed.extend(definition.exposed.iter().map(|exposed| (file.path.clone(), exposed.clone())));
                    let what = format!("{}.{}", key.0, text::shown(&key.1));
                    said.push(Said {
                        file: file.path.clone(),
                        what,
                        variables: definition.variables.clone(),
                        secrets: definition.secret.iter().cloned().collect(),
                    });
                }
            }
        }
        let services = self.services.iter().map(|(file, service)| Said {
            file: file.clone(),
            what: format!("service {}", text::shown(&service.name)),
            variables: service.variables.clone(),
            secrets: service.secrets.clone(),
        });
        said.extend(services);
        Ok(said)
    }

    /// What of the files themselves counts for the effective digest.
    fn count(&mut self, files: &[File], concern: &Concern) {
        if concern.refs.loose {
            self.everything = true;
        }
        for file in files {
            match file.node() {
                Some(node) if file.listed && file.scan.follows.is_empty() => {
                    self.written.push(json!({"file": file.path, "says": concern.of(node)}));
                }
                // All of it counts.
                Some(_) | None => drop(self.own.insert(file.path.clone())),
            }
        }
    }

    fn claims(&mut self, runtime: &Runtime, defined: &BTreeSet<ComposeName>, files: &[File]) -> Answer<()> {
        if !files.is_empty() && files.iter().all(|file| !file.node().is_some_and(defines_services)) {
            let path = files[0].path.as_str();
            self.problems.push(problem(
                path,
                (1, 1),
                Code::ComposeInvalid,
                "no services are defined",
                "define `services:`",
            ));
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
        Ok(())
    }

    fn named(&mut self, file: &RepoPath, named: &Named, own: bool, secret: bool) -> Answer<()> {
        let there = self.add(&named.path, own)?;
        let path = &named.path;
        let found = match (named.as_, there) {
            (Use::Rendered | Use::Read | Use::Mounted, true) | (Use::Optional, _) => None,
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

    /// The module's own services, each with its keys from all files.
    fn owned(&mut self, files: &[File]) {
        let all: Vec<&Node> = files.iter().filter_map(File::node).collect();
        let mut owned: BTreeMap<ComposeName, Own> = BTreeMap::new();
        for (_, service) in &self.services {
            let own = owned
                .entry(service.name.clone())
                .or_insert_with(|| Own { written: compose::written(&all, &service.name), files: BTreeSet::new() });
            own.files.extend(service.files.iter().map(|named| named.path.clone()));
            for file in files {
                let given = service.refs.names.iter().filter_map(|key| file.scan.definitions.get(key)?.file.as_ref());
                own.files.extend(given.map(|named| named.path.clone()));
            }
        }
        self.owned = owned;
    }
}
