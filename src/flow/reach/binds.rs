//! Binds: where they are said to lead, where they really lead, and who could make them lead elsewhere.

use serde_json::json;

use super::{Answered, Reach};
use crate::model::{
    projection::Bind,
    refusal::{Code, Refusal},
    sacred,
    text::shown,
};

impl Reach<'_> {
    /// Every bind, and every volume that is a bind in disguise.
    pub(super) fn binds(&self) -> Answered {
        let mut refusals = Vec::new();
        let mut count = 0;
        for (name, service) in self.services() {
            for bind in &service.binds {
                count += 1;
                refusals.extend(self.bind(bind, &shown(name)));
            }
        }
        for (name, volume) in &self.model.volumes {
            if let Some(device) = volume.options.get("device").filter(|device| device.starts_with('/')) {
                let bind = Bind { source: device.clone(), target: String::new(), writable: true };
                count += 1;
                refusals.extend(self.bind(&bind, &format!("volume {}", shown(name))));
            }
        }
        ("binds", json!({"judged": count}), refusals)
    }

    fn bind(&self, bind: &Bind, place: &str) -> Option<Refusal> {
        let host = &self.plan.bound.host;
        let (module, policy) = (&self.plan.intention.module, &self.plan.bound.sacred);
        let source = shown(&bind.source);
        if self.is_content(&bind.source) {
            return bind.writable.then(|| {
                let fact = format!("{place}: the tracked content at {} is mounted writable", shown(&bind.target));
                Refusal::new(Code::BindNotReadOnly, fact, "add :ro: a release is never changed")
            });
        }
        let at = self.compose.binds.iter().position(|asked| *asked == bind.source);
        let real = at.and_then(|at| self.looked.reals.get(at)).cloned().flatten();
        let data = format!("{}/data/", host.root);
        if bind.source.starts_with(&data) {
            // Made by the delivery where it is not there; it must not lead out.
            let inside = real
                .as_ref()
                .is_none_or(|real| self.real_root().is_none_or(|root| real.starts_with(&format!("{root}/data/"))));
            return (!inside).then(|| {
                let fact = format!("{place}: {source} leads out of {data}");
                Refusal::new(Code::SacredPath, fact, "look at the link on the host and remove it")
            });
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
                format!("on the host: mkdir -p {source} (or correct the path)"),
            ));
        };
        self.real(bind, &real, place)
    }

    fn real_root(&self) -> Option<String> {
        self.looked.sacred.last().cloned().flatten()
    }

    /// Where the bind really leads: judged as if it were written there, against where sacred paths really lie, and against what a
    /// container could turn into a link.
    fn real(&self, bind: &Bind, real: &str, place: &str) -> Option<Refusal> {
        let (module, policy) = (&self.plan.intention.module, &self.plan.bound.sacred);
        let leads = format!("{place}: {} leads to {}", shown(&bind.source), shown(real));
        if real != bind.source
            && let Some(refusal) = sacred::bind(module, real, bind.writable, policy, &self.plan.bound.host, place)
        {
            return Some(Refusal::new(refusal.code, format!("{leads}: {}", refusal.fact), refusal.fix));
        }
        let allowed = sacred::is_allowed(module, real, bind.writable, policy);
        let within = |path: &str, folder: &str| {
            path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder == "/")
        };
        let readable = !bind.writable && sacred::READABLE.iter().any(|path| within(&bind.source, path));
        let engine = Some(&self.looked.engine_root).filter(|root| !root.is_empty());
        let hit = self
            .looked
            .sacred
            .iter()
            .flatten()
            .chain(engine)
            .find(|sacred| within(real, sacred) || within(sacred, real));
        if let Some(sacred) = hit.filter(|_| !allowed && !readable) {
            let fix = "choose another path, or allow it in platform.yaml by a reviewed change";
            return Some(Refusal::new(Code::SacredPath, format!("{leads}, which is sacred ({})", shown(sacred)), fix));
        }
        let writers = self.looked.containers.iter().flat_map(|container| {
            let writable = container.mounted().iter().filter(|mount| mount.writable && mount.kind == "bind");
            writable.map(move |mount| (container, mount))
        });
        let under = |mount: &str| real != mount && within(real, mount);
        let (container, mount) = writers.into_iter().find(|(_, mount)| under(&mount.source)).filter(|_| !allowed)?;
        Some(Refusal::new(
            Code::SacredPath,
            format!(
                "{leads}, below {}, where the container {} can write: it could lead anywhere",
                shown(&mount.source),
                shown(container.name.trim_start_matches('/'))
            ),
            "mount that folder itself, or allow this path in platform.yaml by a reviewed change",
        ))
    }
}
