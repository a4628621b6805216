//! Plan: a pure function of what was bound and what was seen. Carrying it out makes no choices.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    flow::{
        bind::bound::{self, Bound},
        observe::{Compose, Observed, Running},
    },
    model::{
        digest::Digest,
        json::{self, CanonicalError},
        names::ComposeName,
        plan::{Action, Change, Intention},
        projection::Follow,
    },
    runtime::{
        compose::{
            change::{self, Changes, Risk, Wanted},
            watch::Expected,
        },
        files::{self, Listing},
    },
    tree::module::Module,
};

/// The exact steps from what is recorded and observed to what M wants.
#[derive(Debug)]
#[must_use]
pub struct Plan {
    pub(crate) bound: Bound,
    pub(crate) observed: Observed,
    /// Driver files: what must be live in the end.
    pub(crate) wanted: Listing,
    /// Driver compose: what must run in the end.
    pub(crate) expected: Vec<Expected>,
    /// Driver compose: what a change does to data.
    pub(crate) risks: Vec<Risk>,
    /// Driver compose: containers that go away.
    pub(crate) remove: Vec<String>,
    /// Driver compose: networks of the project that are made anew, by key.
    pub(crate) networks: BTreeSet<String>,
    /// Driver compose: services that must be made anew to start at all.
    pub(crate) anew: Vec<String>,
    pub(crate) intention: Intention,
    pub(crate) digest: Digest,
}

impl Plan {
    /// The part that is promised.
    pub fn intention(&self) -> &Intention {
        &self.intention
    }

    /// The digest of the promised part.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What changes.
    pub fn changes(&self) -> &[Change] {
        &self.intention.changes
    }

    /// Whether nothing is left to do: nothing differs on the host, and the record says that this content was applied and ended
    /// well. Files that merely lie there are not enough: their activation may have failed, or never begun. What could not be
    /// rendered is never done.
    pub fn is_done(&self) -> bool {
        let effective = Some(self.intention.effective);
        let last = self.bound.last.as_ref();
        let seen = match &self.observed.running {
            Running::Files(_) => true,
            Running::Compose(compose) => compose.seen.as_ref().is_some_and(|(_, looked)| looked.failed.is_none()),
        };
        seen && self.intention.changes.is_empty()
            && last.is_some_and(|last| last.effective == effective)
            && last.is_none_or(|last| last.held.as_ref().map(|held| held.effective) != effective)
    }

    /// What it was bound to.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Images that the host does not have, by name.
    pub fn missing_images(&self) -> Vec<String> {
        match &self.observed.running {
            Running::Files(_) => Vec::new(),
            Running::Compose(compose) => compose.rendered.missing_images(),
        }
    }

    /// What was seen on the host.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }
}

/// Plans a module. `again`: jobs are run once more although nothing changed.
///
/// # Errors
/// Only if the plan cannot be written as canonical JSON, which its types rule out.
pub fn plan(bound: Bound, observed: Observed, again: bool) -> Result<Plan, CanonicalError> {
    let mut wanted = Listing::new();
    let mut expected = Vec::new();
    let mut changes = Changes::default();
    let (mut override_, mut model, mut exceptions) = (None, None, Vec::new());
    match &observed.running {
        Running::Files(live) => {
            wanted = bound::release_listing(&bound.module.manifest, &bound.module.closure);
            changes.changes = files::changes(&wanted, live);
        }
        Running::Compose(compose) => {
            changes = of_services(&bound, compose, again);
            expected = expected_of(&bound, compose);
            unhashed(&mut expected, compose, &changes.changes);
            if let Some((overlay, looked)) = &compose.seen {
                override_ = Some(overlay.digest);
                model = looked.model.as_ref().map(|model| model.digest);
                let opened = looked.model.iter().flat_map(|model| model.opened(&bound.host.root)).map(|(door, _)| door);
                exceptions = opened.collect::<BTreeSet<String>>().into_iter().collect();
            }
        }
    }
    let intention = Intention {
        module: bound.module.manifest.id.clone(),
        host: bound.module.manifest.host.clone(),
        pr: Some(bound.approval.pr),
        head: Some(bound.approval.head),
        merge: Some(bound.approval.merge),
        policy: bound.policy_blob,
        closure: bound.module.closure.digest,
        effective: bound.module.closure.effective,
        override_,
        model,
        last_applied: bound.last.as_ref().and_then(|last| last.last_apply_sha),
        changes: changes.changes,
        exceptions,
    };
    let digest = json::digest(&intention)?;
    let Changes { risks, remove, networks, anew, .. } = changes;
    Ok(Plan { bound, observed, wanted, expected, risks, remove, networks, anew, intention, digest })
}

/// Compose's hash of a service that shares a namespace holds the id of the other's container: where that is made anew by this very
/// change, nobody knows it yet.
fn unhashed(expected: &mut [Expected], compose: &Compose, changes: &[Change]) {
    let anew = |action| matches!(action, Action::Create | Action::Adopt | Action::Recreate);
    let anew: BTreeSet<&String> =
        changes.iter().filter(|change| anew(change.action)).map(|change| &change.service).collect();
    let model = compose.seen.as_ref().and_then(|(_, looked)| looked.model.as_ref());
    let shares = |service: &String| {
        let service = model.and_then(|model| model.services.get(service));
        let mut follows = service.into_iter().flat_map(|service| &service.follows);
        follows.any(|(of, follow)| *follow == Follow::Namespace && anew.contains(of))
    };
    expected.iter_mut().filter(|one| shares(&one.service)).for_each(|one| one.hash = None);
}

fn of_services(bound: &Bound, compose: &Compose, again: bool) -> Changes {
    let (Some((overlay, looked)), Some(rendered)) = (&compose.seen, &compose.rendered.model) else {
        return Changes::default();
    };
    let Some(model) = &looked.model else { return Changes::default() };
    let manifest = &bound.module.manifest;
    let volumes = model.volumes.iter().map(|(key, volume)| (key.clone(), volume.name.clone())).collect();
    let named: BTreeMap<String, String> =
        rendered.services.iter().map(|(name, service)| (name.clone(), service.image.clone())).collect();
    let (now, before) = (bound.module.written(), bound.before.as_ref().map(Module::written));
    let wanted = Wanted {
        module: &manifest.id,
        project: manifest.runtime.project.as_deref().unwrap_or_default(),
        root: &bound.host.root,
        services: &model.services,
        jobs: &manifest.jobs,
        overlay,
        images: &compose.rendered.images,
        named: &named,
        volumes: &volumes,
        networks: &model.networks,
        written: (&now, &before.unwrap_or_default()),
        again,
    };
    change::changes(&wanted, looked)
}

/// What must run in the end; of services whose image is not there yet nothing can be said.
pub(crate) fn expected_of(bound: &Bound, compose: &Compose) -> Vec<Expected> {
    expected(&bound.module.manifest.jobs, compose)
}

/// The same for a run that is looked at later.
pub(crate) fn expected(jobs: &[ComposeName], compose: &Compose) -> Vec<Expected> {
    let Some((_, looked)) = &compose.seen else { return Vec::new() };
    let Some(model) = &looked.model else { return Vec::new() };
    let of = |(name, service): (&String, &crate::model::projection::Service)| {
        let rendered = compose.rendered.model.as_ref()?.services.get(name)?;
        Some(Expected {
            service: name.clone(),
            image: compose.rendered.images.get(&rendered.image)?.clone()?,
            hash: Some(looked.hashes.get(name)?.clone()),
            replicas: service.replicas,
            job: jobs.iter().any(|job| job == name),
            binds: service.binds.clone(),
            volumes: service
                .volumes
                .iter()
                .filter_map(|mounted| Some((model.volumes.get(&mounted.volume)?.name.clone(), mounted.target.clone())))
                .collect(),
            restarts: looked.containers.iter().map(|seen| (seen.id.clone(), seen.restarts)).collect(),
        })
    };
    model.services.iter().filter_map(of).collect()
}
