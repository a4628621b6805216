//! Binds: the path that is written, its real path, and who could make it lead elsewhere.

use serde_json::json;

use crate::{
    model::{
        path::RepoPath,
        projection::Bind,
        refusal::{Code, Refusal},
        sacred,
        shell::word,
        text::shown,
    },
    runtime::{compose::gate::Judge, driver::Answered},
};

/// A folder or file of the host in some container.
struct Mount {
    by: String,
    path: String,
    writable: bool,
}

impl Judge<'_> {
    /// Every bind, and every volume that is a bind in disguise.
    pub(crate) fn binds(&self) -> Answered {
        let mut refusals = Vec::new();
        let mut count = 0;
        for (name, service) in self.services() {
            for bind in &service.binds {
                count += 1;
                refusals.extend(self.bind(bind, &shown(name)));
            }
        }
        for (name, volume) in &self.model.volumes {
            // What is not a plain bind has a door of its own; where it names a path, that is judged as well.
            if let Some(device) = volume.options.get("device").filter(|device| device.starts_with('/')) {
                let bind = Bind { source: device.clone(), target: String::new(), writable: true };
                count += 1;
                refusals.extend(self.bind(&bind, &format!("volume {}", shown(name))));
            }
        }
        ("binds", json!({"judged": count}), refusals)
    }

    fn bind(&self, bind: &Bind, place: &str) -> Option<Refusal> {
        let host = self.target.host;
        let (module, policy) = (&self.target.module.manifest.id, self.target.sacred);
        let source = shown(&bind.source);
        if self.is_content(&bind.source) {
            return bind.writable.then(|| {
                let fact = format!("{place}: the tracked content at {} is mounted writable", shown(&bind.target));
                Refusal::new(Code::BindNotReadOnly, fact, "add :ro: a release is never changed")
            });
        }
        let real = self.real_of(&bind.source);
        let data = format!("{}/data/", host.root);
        if let Some(rest) = bind.source.strip_prefix(&data) {
            // The delivery creates it if it is missing. It must not lead out of the root, and no container may be able
            // to redirect it.
            let root = self.real_root().unwrap_or_else(|| host.root.to_string());
            let expected = format!("{root}/data/{rest}");
            let real = real.unwrap_or(expected);
            let plain = rest.parse::<RepoPath>().is_ok();
            if !plain || !real.starts_with(&format!("{root}/data/")) {
                let fact = format!("{place}: {source} leads out of {data}");
                return Some(Refusal::new(Code::SacredPath, fact, "look at the link on the host and remove it"));
            }
            return self.turned(bind, &real, place);
        }
        if self.is_secret(&bind.source) && !bind.writable {
            return None;
        }
        if bind.source.starts_with(&format!("{}/releases/", host.root)) {
            let fact = format!("{place}: {} is mounted from the release and is not tracked", shown(&bind.target));
            return Some(Refusal::new(Code::ClosureIncomplete, fact, "commit what it mounts"));
        }
        if let Some(refusal) = sacred::bind(module, &bind.source, bind.writable, policy, host, place) {
            return Some(refusal);
        }
        let Some(real) = real else {
            return Some(Refusal::new(
                Code::BindMissing,
                format!("{place}: {source} is not on the host: the engine would make an empty folder of it"),
                format!("on the host: mkdir -p {} (or correct the path)", word(&source)),
            ));
        };
        self.real(bind, &real, place)
    }

    fn real_root(&self) -> Option<String> {
        self.looked.sacred.last().cloned().flatten()
    }

    /// Where the bind really leads: judged as if it were written there, against where sacred paths really lie, and
    /// against what a container could turn into a link.
    fn real(&self, bind: &Bind, real: &str, place: &str) -> Option<Refusal> {
        let (module, policy) = (&self.target.module.manifest.id, self.target.sacred);
        let leads = format!("{place}: {} leads to {}", shown(&bind.source), shown(real));
        if real != bind.source
            && let Some(refusal) = sacred::bind(module, real, bind.writable, policy, self.target.host, place)
        {
            return Some(Refusal::new(refusal.code, format!("{leads}: {}", refusal.fact), refusal.fix));
        }
        let allowed = sacred::is_allowed(module, real, bind.writable, policy);
        let within = |path: &str, folder: &str| {
            path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder == "/")
        };
        let readable = !bind.writable && sacred::is_readable(real);
        let inside = |root: &String| within(real, root) || within(root, real);
        if self.real_root().as_ref().is_some_and(inside) {
            let fact = format!("{leads}, in platformctl's own folder, which no entry opens");
            return Some(Refusal::new(
                Code::SacredPath,
                fact,
                "mount a folder ${PLATFORM_DATA}/…, or choose another path",
            ));
        }
        let engine = Some(&self.seen.rendered.engine_root).filter(|root| !root.is_empty());
        let hit = self
            .looked
            .sacred
            .iter()
            .flatten()
            .chain(engine)
            .find(|sacred| within(real, sacred) || within(sacred, real));
        if let Some(sacred) = hit.filter(|_| !allowed && !readable) {
            let fact = format!("{leads}, which is sacred ({})", shown(sacred));
            return Some(Refusal::new(Code::SacredPath, fact, sacred::path_fix(module, real, bind.writable)));
        }
        if allowed { None } else { self.turned(bind, real, place) }
    }

    /// The real path of a path of the model; `None` if it does not exist.
    fn real_of(&self, path: &str) -> Option<String> {
        let at = self.seen.binds.iter().position(|asked| asked == path)?;
        self.looked.reals.get(at)?.clone()
    }

    /// Whether this path could be made to lead elsewhere before a container is started: by a link at or above it, in a
    /// folder into which a container can write. Both ways: this bind may lie below, or be what others lie below.
    fn turned(&self, bind: &Bind, real: &str, place: &str) -> Option<Refusal> {
        let (module, policy) = (&self.target.module.manifest.id, self.target.sacred);
        if sacred::is_allowed(module, &bind.source, bind.writable, policy) {
            return None;
        }
        let below = |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let mounts: Vec<Mount> = self.planned().chain(self.there()).collect();
        let leads = format!("{place}: {} leads to {}", shown(&bind.source), shown(real));
        let fix = format!(
            "mount the folder above in its place, or {}",
            sacred::path_fix(module, &bind.source, bind.writable)
        );
        if let Some(above) = mounts.iter().find(|mount| mount.writable && below(real, &mount.path)) {
            let fact =
                format!("{leads}, below {}, where {} can write: it could lead anywhere", shown(&above.path), above.by);
            return Some(Refusal::new(Code::SacredPath, fact, fix));
        }
        let under = mounts.iter().find(|mount| bind.writable && below(&mount.path, real))?;
        let fact = format!(
            "{leads}, above {}, which {} mounts: {place} could make that lead anywhere",
            shown(&under.path),
            under.by
        );
        Some(Refusal::new(Code::SacredPath, fact, fix))
    }

    /// What the module's services will have mounted of the host.
    fn planned(&self) -> impl Iterator<Item = Mount> {
        self.services().flat_map(move |(name, service)| {
            let binds = service.binds.iter().map(|bind| (bind.source.clone(), bind.writable));
            let volumes = service.volumes.iter().filter_map(|mounted| self.model.volumes.get(&mounted.volume));
            let devices = volumes.filter_map(|volume| volume.options.get("device"));
            let devices = devices.filter(|path| path.starts_with('/')).map(|path| (path.clone(), true));
            let by = format!("the service {}", shown(name));
            binds.chain(devices).map(move |(path, writable)| Mount {
                by: by.clone(),
                path: self.real_of(&path).unwrap_or(path),
                writable,
            })
        })
    }

    /// What other containers have mounted of the host, running or not.
    fn there(&self) -> impl Iterator<Item = Mount> {
        let own = self.project();
        let others = self.looked.containers.iter().filter(move |container| {
            !self.changes.remove.contains(&container.id) && !self.services().any(|(name, _)| container.is_of(own, name))
        });
        others.flat_map(move |container| {
            container.mounted().iter().filter_map(move |mount| {
                let path = match mount.kind.as_str() {
                    "bind" => Some(mount.source.as_str()),
                    "volume" => self.looked.volumes.iter().find(|volume| volume.name == mount.name)?.device(),
                    _ => None,
                }?;
                Some(Mount {
                    by: format!("the container {}", shown(container.name.trim_start_matches('/'))),
                    path: self.looked.leads_to(path).to_owned(),
                    writable: mount.writable,
                })
            })
        })
    }
}
