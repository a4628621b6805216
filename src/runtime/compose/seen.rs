//! What was seen of a compose module, compared with what it wants.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::{
        names::ComposeName,
        plan::{Action, Change},
        projection::{Follow, Service},
    },
    runtime::{
        compose::{
            change::{self, Changes, Wanted},
            look::Looked,
            overlay::Overlay,
            render::Rendered,
            watch::Expected,
        },
        driver::Target,
    },
    tree::module::Module,
};

/// What was seen of a compose module.
#[derive(Debug)]
pub(super) struct ComposeSeen {
    /// What was rendered.
    pub rendered: Rendered,
    /// The override and what was seen with it; `None` if nothing could be rendered.
    pub seen: Option<(Overlay, Looked)>,
    /// Hides what the final model's digest is of; it is never recorded.
    pub salt: String,
    /// Paths of the host that were asked for.
    pub binds: Vec<String>,
    /// Sacred paths that were asked for.
    pub sacred: Vec<String>,
}

impl ComposeSeen {
    pub(super) fn changes(&self, target: Target<'_>, again: bool) -> Changes {
        let (Some((overlay, looked)), Some(rendered)) = (&self.seen, &self.rendered.model) else {
            return Changes::default();
        };
        let Some(model) = &looked.model else { return Changes::default() };
        let manifest = &target.module.manifest;
        let volumes = model.volumes.iter().map(|(key, volume)| (key.clone(), volume.name.clone())).collect();
        let named: BTreeMap<String, String> =
            rendered.services.iter().map(|(name, service)| (name.clone(), service.image.clone())).collect();
        let (now, before) = (target.module.written(), target.before.map(Module::written));
        let wanted = Wanted {
            module: &manifest.id,
            project: manifest.runtime.project.as_deref().unwrap_or_default(),
            root: &target.host.root,
            services: &model.services,
            jobs: &manifest.jobs,
            overlay,
            images: &self.rendered.images,
            named: &named,
            volumes: &volumes,
            networks: &model.networks,
            written: (&now, &before.unwrap_or_default()),
            again,
        };
        change::changes(&wanted, looked)
    }

    /// What must run in the end; nothing is known of services whose image is not there yet.
    pub(super) fn expected(&self, jobs: &[ComposeName]) -> Vec<Expected> {
        let Some((_, looked)) = &self.seen else { return Vec::new() };
        let Some(model) = &looked.model else { return Vec::new() };
        let of = |(name, service): (&String, &Service)| {
            let rendered = self.rendered.model.as_ref()?.services.get(name)?;
            Some(Expected {
                service: name.clone(),
                image: self.rendered.images.get(&rendered.image)?.clone()?,
                hash: Some(looked.hashes.get(name)?.clone()),
                replicas: service.replicas,
                job: jobs.iter().any(|job| job == name),
                binds: service.binds.clone(),
                volumes: service
                    .volumes
                    .iter()
                    .filter_map(|mounted| {
                        Some((model.volumes.get(&mounted.volume)?.name.clone(), mounted.target.clone()))
                    })
                    .collect(),
                restarts: looked.containers.iter().map(|seen| (seen.id.clone(), seen.restarts)).collect(),
            })
        };
        model.services.iter().filter_map(of).collect()
    }

    /// Compose's hash of a service that shares a namespace contains the id of the other's container: if this change
    /// recreates that container, the hash is not known yet.
    pub(super) fn unhashed(&self, expected: &mut [Expected], changes: &[Change]) {
        let anew = |action| matches!(action, Action::Create | Action::Adopt | Action::Recreate);
        let anew: BTreeSet<&String> =
            changes.iter().filter(|change| anew(change.action)).map(|change| &change.service).collect();
        let model = self.seen.as_ref().and_then(|(_, looked)| looked.model.as_ref());
        let shares = |service: &String| {
            let service = model.and_then(|model| model.services.get(service));
            let mut follows = service.into_iter().flat_map(|service| &service.follows);
            follows.any(|(of, follow)| *follow == Follow::Namespace && anew.contains(of))
        };
        expected.iter_mut().filter(|one| shares(&one.service)).for_each(|one| one.hash = None);
    }
}
