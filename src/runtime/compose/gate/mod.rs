//! What a compose module could access on its host, judged by the final model and by what exists there. A part of the
//! gate: pure, and it never stops at the first objection.

mod binds;
mod elsewhere;
mod model;

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    model::{
        module::DataAction,
        names::ComposeName,
        projection::{Projection, Service},
        refusal::{Code, Refusal},
        sacred,
        shell::word,
        text::{shown, yaml_scalar},
    },
    runtime::{
        compose::{
            change::Changes,
            look::{Looked, ThereNetwork},
            overlay::Overlay,
            render::Rendered,
            seen::ComposeSeen,
        },
        driver::{Answered, Target},
        engine,
        secrets::SecretTrouble,
    },
};

/// Judges a compose module.
/// `expected`: of how many services it is known how they must run.
pub(super) fn judge(target: Target<'_>, compose: &ComposeSeen, changes: &Changes, expected: usize) -> Vec<Answered> {
    let mut answers =
        vec![engine(target, &compose.rendered), secrets(target, &compose.rendered), images(&compose.rendered)];
    let seen = compose.seen.as_ref().and_then(|(overlay, looked)| Some((overlay, looked, looked.model.as_ref()?)));
    let Some((overlay, looked, model)) = seen.filter(|(_, looked, _)| looked.failed.is_none()) else {
        // Without Compose or an engine, that is reported, and nothing more is known.
        let known = compose.seen.is_some() || compose.rendered.error.is_some();
        let refusals = if known { vec![unrendered(compose)] } else { Vec::new() };
        answers.push(("model", json!({"rendered": false}), refusals));
        return answers;
    };
    let host = Judge { target, seen: compose, changes, expected, overlay, looked, model };
    answers.push(host.model());
    answers.push(host.doors());
    answers.push(host.binds());
    answers.push(host.networks());
    answers.push(host.elsewhere());
    answers.push(host.data());
    answers
}

fn unrendered(compose: &ComposeSeen) -> Refusal {
    let why = match &compose.seen {
        Some((_, looked)) => match looked.failed.as_deref() {
            Some("containers") => {
                return Refusal::new(
                    Code::EngineUnreachable,
                    "the engine on the host gave no list of its containers",
                    "on the host: docker ps; then run the same command again",
                );
            }
            _ => "with its secrets in place Compose cannot render it: look at the secret files on the host".to_owned(),
        },
        None => format!("Compose cannot render it: {}", compose.rendered.error.as_deref().unwrap_or("no answer")),
    };
    Refusal::new(
        Code::ComposeInvalid,
        why,
        "correct the compose file by a pull request; platformctl doctor looks at the host",
    )
}

fn engine(target: Target<'_>, rendered: &Rendered) -> Answered {
    let host = target.name;
    let mut refusals = Vec::new();
    match rendered.compose.as_deref().map(|text| (text, engine::version(text))) {
        None => refusals.push(Refusal::new(
            Code::EngineUnreachable,
            format!("`docker compose version` failed on {host}"),
            "install the Compose plugin, 2.20 or newer: platformctl doctor explains how",
        )),
        Some((text, seen)) if seen.is_none_or(|seen| seen < engine::OLDEST) => refusals.push(Refusal::new(
            Code::ComposeTooOld,
            format!("docker compose on {host} is {}, 2.20 or newer is needed", shown(text)),
            "install a newer Compose plugin: platformctl doctor explains how",
        )),
        Some(_) => {}
    }
    if rendered.engine.is_none() {
        refusals.push(Refusal::new(
            Code::EngineUnreachable,
            format!("the Docker engine on {host} does not answer at {}", engine::address(target.host)),
            "start it, or let the account use it: platformctl doctor explains how",
        ));
    }
    ("engine", json!({"compose": rendered.compose, "engine": rendered.engine}), refusals)
}

fn secrets(target: Target<'_>, rendered: &Rendered) -> Answered {
    let root = &target.host.root;
    let place = |file: &str| word(&format!("{root}/secrets/{}", shown(file)));
    let refusals = rendered.secrets.iter().map(|trouble| {
        let fix = match trouble {
            SecretTrouble::Missing(file) => {
                format!("on the host, and then type it: (umask 077 && install -D -m 600 /dev/stdin {})", place(file))
            }
            SecretTrouble::Unreadable(file) => format!("on the host: chown that account {}", place(file)),
            SecretTrouble::Open(file) => format!("on the host: chmod 600 {}", place(file)),
            SecretTrouble::Dollar(file) => {
                format!("on the host, in {}: write KEY='value' with single quotes", place(file))
            }
            SecretTrouble::Key(key, file) => format!("on the host: add {}=… to {}", shown(key), place(file)),
        };
        Refusal::new(Code::SecretMissing, trouble.fact(root), fix)
    });
    ("secrets", json!({"files": target.module.manifest.secrets.len()}), refusals.collect())
}

fn images(rendered: &Rendered) -> Answered {
    let missing = rendered.missing_images();
    let refusals = missing.iter().map(|image| {
        Refusal::new(
            Code::ImageMissing,
            format!("the image {} is not on the host and cannot be pulled", shown(image)),
            format!("check that it exists and that the host may pull it: docker pull {}", word(&shown(image))),
        )
    });
    ("images", json!({"missing": missing}), refusals.collect())
}

struct Judge<'a> {
    target: Target<'a>,
    seen: &'a ComposeSeen,
    changes: &'a Changes,
    expected: usize,
    overlay: &'a Overlay,
    looked: &'a Looked,
    model: &'a Projection,
}

impl Judge<'_> {
    fn project(&self) -> &str {
        self.target.module.manifest.runtime.project.as_deref().unwrap_or_default()
    }

    fn services(&self) -> impl Iterator<Item = (&String, &Service)> {
        self.model.services.iter()
    }

    fn doors(&self) -> Answered {
        let (module, policy) = (&self.target.module.manifest.id, self.target.sacred);
        let opened = self.model.opened(&self.target.host.root);
        let judge = |(door, by): &(String, String)| {
            // The next release has it at another place: no entry would do.
            if door.strip_prefix("selinux:Z:").is_some_and(|path| self.is_content(path)) {
                let fact = format!("{by}: `:Z` would label tracked content for this container alone");
                return Some(Refusal::new(Code::Capability, fact, "write :z, with which every container may read it"));
            }
            sacred::door(module, door, policy, by)
        };
        let refusals = opened.iter().filter_map(judge).collect();
        let opened: BTreeSet<String> = opened.into_iter().map(|(door, _)| door).collect();
        ("doors", json!({"opened": opened}), refusals)
    }

    fn networks(&self) -> Answered {
        let host = self.target.host;
        let mut refusals = Vec::new();
        for (key, network) in &self.model.networks {
            let name = shown(&network.name);
            let there = self.looked.network(&network.name);
            if !network.external {
                refusals.extend(there.and_then(|there| self.others_network(key, there)));
            } else if network.name.parse::<ComposeName>().is_err() {
                // `model()` reports it: no policy can name it.
            } else if !host.networks.iter().any(|allowed| *allowed == network.name) {
                refusals.push(Refusal::new(
                    Code::Capability,
                    format!("the external network {name} is not among `networks:` of host {}", self.target.name),
                    format!("merge a pull request that adds it there: networks: [{name}]"),
                ));
            } else if there.is_none() {
                refusals.push(Refusal::new(
                    Code::BindMissing,
                    format!("the external network {name} is not on the host"),
                    format!("on the host: docker network create {}", word(&name)),
                ));
            }
        }
        ("networks", json!({"used": self.model.networks.keys().collect::<Vec<_>>()}), refusals)
    }

    /// A network that is described as the module's own, but belongs to another project, or would have to be recreated
    /// although other containers are connected to it.
    fn others_network(&self, key: &str, there: &ThereNetwork) -> Option<Refusal> {
        let (own, name) = (self.project(), shown(&there.name));
        if there.project() != own {
            return Some(Refusal::new(
                Code::Capability,
                format!("the network {name} is on the host and does not belong to the project {own}"),
                format!(
                    "write `external: true` beside its name, and have it among `networks:` of the host; or give it another name: {key}"
                ),
            ));
        }
        if !self.changes.networks.contains(key) {
            return None;
        }
        let ours = |id: &String| {
            let containers = self.looked.containers.iter();
            containers.filter(|container| container.id == *id).any(|container| {
                self.changes.remove.contains(id) || self.services().any(|(name, _)| container.is_of(own, name))
            })
        };
        let other = there.attached().find(|id| !ours(id))?;
        let container = self.looked.containers.iter().find(|container| container.id == *other);
        let container = container.map_or(other.as_str(), |container| container.name.trim_start_matches('/'));
        Some(Refusal::new(
            Code::AlreadyRunningElsewhere,
            format!(
                "the network {name} would have to be recreated, but the container {}, which is not part of this module, is connected to it",
                shown(container)
            ),
            "stop that container first, or give the network another name",
        ))
    }

    /// Data that a change would drop or replace.
    fn data(&self) -> Answered {
        let risks: Vec<(String, DataAction, String)> =
            self.changes.risks.iter().map(|risk| (risk.data.clone(), risk.action, risk.service.clone())).collect();
        let open = risks.iter().filter(|(data, action, _)| !self.target.acknowledges(data, *action));
        let refusals = open.map(|(data, action, service)| {
            let word = match action {
                DataAction::Drop => "drop",
                DataAction::Replace => "replace",
                DataAction::Upgrade => "upgrade",
                DataAction::Leave => "leave",
            };
            let scalar = yaml_scalar(data);
            let (data, service) = (shown(data), shown(service));
            let what = match action {
                DataAction::Drop => format!("{service} would no longer have {data}"),
                DataAction::Replace => format!("{service} would have other data than {data}"),
                DataAction::Upgrade => format!("the image of {service} changes its major version, and it keeps data"),
                DataAction::Leave => format!("{data} would stay behind"),
            };
            Refusal::new(
                Code::DataAtRisk,
                what,
                format!("if that is meant, a pull request adds to module.yaml: acknowledge: [{{data: {scalar}, action: {word}, reason: …}}]"),
            )
        });
        let refusals = refusals.chain(self.volumes()).collect();
        ("data", json!({"risks": risks.len()}), refusals)
    }

    /// Volumes that are described as the module's own, but belong to another project or differ from the description:
    /// Compose uses the existing one.
    fn volumes(&self) -> impl Iterator<Item = Refusal> {
        let own = self.model.volumes.values().filter(|volume| !volume.external);
        own.filter_map(|volume| {
            let there = self.looked.volumes.iter().find(|there| there.name == volume.name)?;
            let name = shown(&volume.name);
            if there.project() != self.project() {
                return Some(Refusal::new(
                    Code::Capability,
                    format!("the volume {name} is on the host and does not belong to the project {}", self.project()),
                    format!("write `external: true` beside its name, which takes an entry external_volume:{name}; or give it another name"),
                ));
            }
            let driver = if volume.driver.is_empty() { "local" } else { &volume.driver };
            let differs = there.driver != driver || there.options.clone().unwrap_or_default() != volume.options;
            differs.then(|| {
                Refusal::new(
                    Code::DataAtRisk,
                    format!("the volume {name} on the host has another driver or other options, and Compose changes no volume"),
                    format!(
                        "give the new one another name; or save the data, and on the host: docker volume rm {}",
                        word(&name)
                    ),
                )
            })
        })
    }
}
