//! The generated override (Compose's term): image ids, contents at their places, and labels that name the module and
//! its root. It contains no secret and no choice: it is a function of the rendered model, the closure and the image
//! ids.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{LABEL_IMAGE, LABEL_INPUTS, LABEL_MODULE, LABEL_ROOT, content::MountedContent};
use crate::model::{
    closure::Closure,
    digest::Digest,
    ids::ModuleId,
    json::{self as canonical, CanonicalError},
    path::{HostPath, RepoPath},
    projection::{Projection, Service},
};

/// An override, and the contents that it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
    /// The contents, each once, sorted by key.
    pub contents: Vec<MountedContent>,
    /// The key of each content by the path of the repository that a service mounts.
    pub by_service: BTreeMap<String, BTreeMap<String, MountedContent>>,
}

/// What an override is made of.
#[derive(Debug)]
pub struct Overlaid<'a> {
    /// The module.
    pub module: &'a ModuleId,
    /// The root on its host.
    pub root: &'a HostPath,
    /// Its content.
    pub closure: &'a Closure,
    /// The model as rendered.
    pub model: &'a Projection,
    /// Image ids by name.
    pub images: &'a BTreeMap<String, Option<String>>,
}

impl Overlaid<'_> {
    fn release(&self) -> String {
        format!("{}/releases/{}/{}/", self.root, self.module, self.closure.digest.hex())
    }

    /// The content of the repository at a path of the rendered model.
    fn content(&self, source: &str) -> Option<MountedContent> {
        let path: RepoPath = source.strip_prefix(&self.release())?.parse().ok()?;
        MountedContent::of(self.closure, &path)
    }

    /// What a service's volumes and networks are on the host: Compose's own hash contains only their keys in the model.
    fn named(&self, service: &Service) -> BTreeSet<String> {
        let volumes = service.volumes.iter().filter_map(|mounted| self.model.volumes.get(&mounted.volume));
        let volumes = volumes.map(|volume| format!("volume {} {} {:?}", volume.name, volume.driver, volume.options));
        let networks = service.networks.iter().filter_map(|key| self.model.networks.get(key));
        let networks = networks.map(|network| format!("network {} {}", network.name, network.driver));
        volumes.chain(networks).collect()
    }

    /// Makes the override. A path of the release that is not in the closure stays unchanged: the gate refuses it.
    ///
    /// # Errors
    /// Never: it has a canonical form.
    pub fn make(&self) -> Result<Overlay, CanonicalError> {
        let mut contents: BTreeMap<String, MountedContent> = BTreeMap::new();
        let mut by_service = BTreeMap::new();
        let mut services = Map::new();
        for (name, service) in &self.model.services {
            let mut mounts = BTreeMap::new();
            let mut volumes = Vec::new();
            for bind in &service.binds {
                let Some(content) = self.content(&bind.source) else { continue };
                volumes.push(json!({
                    "type": "bind", "source": content.place(self.root), "target": bind.target, "read_only": !bind.writable,
                    "bind": {"create_host_path": false},
                }));
                mounts.insert(bind.target.clone(), content);
            }
            let mut inputs = self.named(service);
            for (kind, given) in &service.given {
                let file = self.model.files.get(&(*kind, given.clone())).cloned().flatten();
                if let Some(content) = file.and_then(|file| self.content(&file)) {
                    inputs.insert(format!("{kind} {given} {}", content.key));
                    mounts.insert(format!("{kind}/{given}"), content);
                }
                if let Some(digest) = self.model.contents.get(&(*kind, given.clone())) {
                    inputs.insert(format!("{kind} {given} {digest}"));
                }
            }
            let inputs = Digest::of(inputs.into_iter().collect::<Vec<_>>().join("\n").as_bytes());
            let mut overlay = json!({
                "labels": {LABEL_MODULE: self.module, LABEL_ROOT: self.root, LABEL_IMAGE: service.image, LABEL_INPUTS: inputs.to_string()},
            });
            if let Some(Some(id)) = self.images.get(&service.image) {
                overlay["image"] = json!(id);
            }
            if !volumes.is_empty() {
                overlay["volumes"] = Value::Array(volumes);
            }
            services.insert(name.clone(), overlay);
            contents.extend(mounts.values().map(|content| (content.key.clone(), content.clone())));
            by_service.insert(name.clone(), mounts);
        }
        let mut all = json!({"services": services});
        for ((kind, name), file) in &self.model.files {
            if let Some(content) = file.as_deref().and_then(|file| self.content(file)) {
                all[*kind][name] = json!({"file": content.place(self.root)});
                contents.insert(content.key.clone(), content);
            }
        }
        let bytes = canonical::canonical(&all)?;
        let digest = Digest::of(&bytes);
        Ok(Overlay { bytes, digest, contents: contents.into_values().collect(), by_service })
    }
}
