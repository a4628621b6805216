//! Whether what was rendered is what was reviewed: every key understood, the services of the source and no others,
//! files by content.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    model::{
        projection::Projection,
        refusal::{Code, Refusal},
        text::shown,
    },
    runtime::{compose::gate::Judge, driver::Answered},
};

/// What cures a set of services that is not the source's.
const FIX: &str = "look at the services' profiles, and at what the file includes";

impl Judge<'_> {
    /// Everything is understood, every service is there, and nothing of the release is mounted but by content.
    pub(crate) fn model(&self) -> Answered {
        let unknown = self.model.unknown.iter().map(|key| {
            Refusal::new(
                Code::UnknownComposeKey,
                format!("`{key}` of the rendered model is not understood: it cannot be judged"),
                "remove it from the compose file",
            )
        });
        let mut refusals: Vec<Refusal> = unknown.collect();
        refusals.extend(self.other_services());
        if self.seen.rendered.missing_images().is_empty() && self.expected != self.model.services.len() {
            refusals.push(Refusal::new(
                Code::ComposeInvalid,
                "Compose printed no hash of a service's configuration",
                "run on the host: docker compose config --hash '*'",
            ));
        }
        for ((kind, name), file) in &self.model.files {
            let own = file.as_deref().is_none_or(|file| self.is_content(file) || self.is_secret(file));
            if !own {
                refusals.push(Refusal::new(
                    Code::ClosureIncomplete,
                    format!(
                        "{kind}.{} reads {}, which is not tracked",
                        shown(name),
                        shown(file.as_deref().unwrap_or_default())
                    ),
                    if *kind == "secrets" {
                        format!("put it on the host below {}/secrets/, declare it, and begin its path with ${{PLATFORM_SECRETS}}/", self.target.host.root)
                    } else {
                        "commit the file, or put it below ${PLATFORM_SECRETS}/ and declare it".to_owned()
                    },
                ));
            }
        }
        ("model", json!({"rendered": true, "digest": self.model.digest, "override": self.overlay.digest}), refusals)
    }

    /// Where the services that were rendered are not those that the source defines, or not the same both times: what is
    /// judged, what is planned and what runs would be three different things.
    fn other_services(&self) -> Vec<Refusal> {
        let rendering = &self.target.module.rendering;
        let refuse = |fact: String| Refusal::new(Code::ComposeInvalid, fact, FIX);
        let wanted = rendering.services.iter().filter(|name| !self.model.services.contains_key(name.as_str()));
        let mut refusals: Vec<Refusal> =
            wanted.map(|name| refuse(format!("Compose renders no service `{name}`"))).collect();
        let strange = self.model.others.iter().filter(|name| !rendering.defined.contains(name.as_str()));
        refusals.extend(
            strange.map(|name| refuse(format!("Compose renders a service `{}` that no file defines", shown(name)))),
        );
        let first = self.seen.rendered.model.as_ref();
        let names =
            |model: &'_ Projection| model.services.keys().chain(&model.others).cloned().collect::<BTreeSet<String>>();
        let (before, now) = (first.map(names).unwrap_or_default(), names(self.model));
        refusals.extend(
            before.symmetric_difference(&now).map(|name| {
                refuse(format!("Compose renders the service `{}` one time and not the other", shown(name)))
            }),
        );
        refusals
    }

    /// A content of this release at its place.
    pub(crate) fn is_content(&self, path: &str) -> bool {
        self.overlay.contents.iter().any(|content| content.place(&self.target.host.root) == path)
    }

    /// A declared secret at its place.
    pub(crate) fn is_secret(&self, path: &str) -> bool {
        let root = &self.target.host.root;
        let secrets = &self.target.module.manifest.secrets;
        secrets.iter().any(|secret| format!("{root}/secrets/{}", secret.file) == path)
    }
}
