//! What a compose module would reach on its host, judged on the final model and on what lies there. A part of the gate: pure, and it
//! never stops at the first objection.

mod binds;
mod elsewhere;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    flow::{observe::Compose, plan::Plan, repository},
    model::{
        module::DataAction,
        projection::{Projection, Service},
        refusal::{Code, Refusal},
        sacred,
        text::shown,
    },
    runtime::compose::{
        self,
        look::Looked,
        overlay::Overlay,
        render::{Rendered, SecretTrouble},
    },
};

/// One question of the gate: its name, what the answer rests on, and every reason against.
pub(super) type Answered = (&'static str, Value, Vec<Refusal>);

/// Judges a compose module.
pub(super) fn judge(plan: &Plan, compose: &Compose) -> Vec<Answered> {
    let mut answers =
        vec![engine(plan, &compose.rendered), secrets(plan, &compose.rendered), images(&compose.rendered)];
    let seen = compose.seen.as_ref().and_then(|(overlay, looked)| Some((overlay, looked, looked.model.as_ref()?)));
    let Some((overlay, looked, model)) = seen.filter(|(_, looked, _)| looked.failed.is_none()) else {
        answers.push(("model", json!({"rendered": false}), vec![unrendered(compose)]));
        return answers;
    };
    let host = Reach { plan, compose, overlay, looked, model };
    answers.push(host.model());
    answers.push(host.doors());
    answers.push(host.binds());
    answers.push(host.networks());
    answers.push(host.elsewhere());
    answers.push(host.data());
    answers
}

/// Whether a reviewed change of this apply says that data may go: an entry that stood there already when something was applied
/// before was for another time.
pub(super) fn acknowledged(plan: &Plan, data: &str, action: DataAction) -> bool {
    let says = |module: &repository::Module| {
        let entries = &module.manifest.acknowledge;
        entries.iter().filter(|entry| entry.data == data && entry.action == action).count()
    };
    says(&plan.bound.module) > plan.bound.before.as_ref().map_or(0, says)
}

fn unrendered(compose: &Compose) -> Refusal {
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

fn engine(plan: &Plan, rendered: &Rendered) -> Answered {
    let host = &plan.intention.host;
    let mut refusals = Vec::new();
    match rendered.compose.as_deref().map(|text| (text, compose::version(text))) {
        None => refusals.push(Refusal::new(
            Code::EngineUnreachable,
            format!("`docker compose version` gives no answer on {host}"),
            "install the Compose plugin, 2.20 or newer: platformctl doctor says how",
        )),
        Some((text, seen)) if seen.is_none_or(|seen| seen < compose::OLDEST) => refusals.push(Refusal::new(
            Code::ComposeTooOld,
            format!("docker compose on {host} is {}, 2.20 or newer is needed", shown(text)),
            "install a newer Compose plugin: platformctl doctor says how",
        )),
        Some(_) => {}
    }
    if rendered.engine.is_none() {
        refusals.push(Refusal::new(
            Code::EngineUnreachable,
            format!("the Docker engine on {host} gives no answer at {}", compose::engine(&plan.bound.host)),
            "start it, or let the account use it: platformctl doctor says how",
        ));
    }
    ("engine", json!({"compose": rendered.compose, "engine": rendered.engine}), refusals)
}

fn secrets(plan: &Plan, rendered: &Rendered) -> Answered {
    let root = &plan.bound.host.root;
    let place = |file: &str| format!("{root}/secrets/{}", shown(file));
    let refusals = rendered.secrets.iter().map(|trouble| {
        let fix = match trouble {
            SecretTrouble::Missing(file) => {
                format!("on the host: install -m 600 /dev/stdin {} (then type it)", place(file))
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
    ("secrets", json!({"files": plan.bound.module.manifest.secrets.len()}), refusals.collect())
}

fn images(rendered: &Rendered) -> Answered {
    // An engine that gives no answer says nothing about its images.
    let missing = if rendered.engine.is_some() { rendered.missing_images() } else { Vec::new() };
    let refusals = missing.iter().map(|image| {
        Refusal::new(
            Code::ImageMissing,
            format!("the image {} is not on the host and cannot be pulled", shown(image)),
            format!("see that it exists and that the host may pull it: docker pull {}", shown(image)),
        )
    });
    ("images", json!({"missing": missing}), refusals.collect())
}

struct Reach<'a> {
    plan: &'a Plan,
    compose: &'a Compose,
    overlay: &'a Overlay,
    looked: &'a Looked,
    model: &'a Projection,
}

impl Reach<'_> {
    fn project(&self) -> &str {
        self.plan.bound.module.manifest.runtime.project.as_deref().unwrap_or_default()
    }

    fn services(&self) -> impl Iterator<Item = (&String, &Service)> {
        self.model.services.iter()
    }

    /// Everything is understood, every service is there, and nothing of the release is mounted but by content.
    fn model(&self) -> Answered {
        let unknown = self.model.unknown.iter().map(|key| {
            Refusal::new(
                Code::UnknownComposeKey,
                format!("`{key}` of the rendered model is not understood: it cannot be judged"),
                "remove it from the compose file",
            )
        });
        let mut refusals: Vec<Refusal> = unknown.collect();
        let wanted = &self.plan.bound.module.rendering.services;
        for name in wanted.iter().filter(|name| !self.model.services.contains_key(*name)) {
            refusals.push(Refusal::new(
                Code::ComposeInvalid,
                format!("Compose renders no service `{}`", shown(name)),
                "look at its profiles, and at what the file includes",
            ));
        }
        if self.compose.rendered.missing_images().is_empty() && self.plan.expected.len() != self.model.services.len() {
            refusals.push(Refusal::new(
                Code::ComposeInvalid,
                "Compose told no hash of a service's configuration",
                "look at the host by hand: docker compose config --hash '*'",
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
                    "commit the file, or put it below ${PLATFORM_SECRETS}/ and declare it",
                ));
            }
        }
        ("model", json!({"rendered": true, "digest": self.model.digest, "override": self.overlay.digest}), refusals)
    }

    /// A content of this release at its place.
    fn is_content(&self, path: &str) -> bool {
        self.overlay.contents.iter().any(|content| content.place(&self.plan.bound.host.root) == path)
    }

    /// A declared secret at its place.
    fn is_secret(&self, path: &str) -> bool {
        let root = &self.plan.bound.host.root;
        let secrets = &self.plan.bound.module.manifest.secrets;
        secrets.iter().any(|secret| format!("{root}/secrets/{}", secret.file) == path)
    }

    fn doors(&self) -> Answered {
        let (module, policy) = (&self.plan.intention.module, &self.plan.bound.sacred);
        let opened = self.model.opened();
        let refusals = opened.iter().filter_map(|(door, by)| sacred::door(module, door, policy, by)).collect();
        let opened: BTreeSet<String> = opened.into_iter().map(|(door, _)| door).collect();
        ("doors", json!({"opened": opened}), refusals)
    }

    fn networks(&self) -> Answered {
        let host = &self.plan.bound.host;
        let mut refusals = Vec::new();
        let used: BTreeSet<&String> = self.services().flat_map(|(_, service)| &service.networks).collect();
        let external = self.model.networks.iter().filter(|(key, network)| network.external && used.contains(key));
        for (_, network) in external {
            let name = shown(&network.name);
            if !host.networks.contains(&network.name) {
                refusals.push(Refusal::new(
                    Code::Capability,
                    format!(
                        "the external network {name} is not among `networks:` of host {}",
                        self.plan.intention.host
                    ),
                    format!("merge a pull request that adds it there: networks: [{name}]"),
                ));
            } else if !self.looked.networks.contains(&network.name) {
                refusals.push(Refusal::new(
                    Code::BindMissing,
                    format!("the external network {name} is not on the host"),
                    format!("on the host: docker network create {name}"),
                ));
            }
        }
        ("networks", json!({"used": used}), refusals)
    }

    /// Data that a change would drop or replace.
    fn data(&self) -> Answered {
        let mut risks: Vec<(String, DataAction, String)> =
            self.plan.risks.iter().map(|risk| (risk.data.clone(), risk.action, risk.service.clone())).collect();
        for volume in self.model.volumes.values().filter(|volume| !volume.external) {
            let there = self.looked.volumes.iter().find(|there| there.name == volume.name);
            let driver = if volume.driver.is_empty() { "local" } else { &volume.driver };
            let differs = there.is_some_and(|there| {
                there.driver != driver || there.options.clone().unwrap_or_default() != volume.options
            });
            if differs {
                risks.push((volume.name.clone(), DataAction::Replace, "its volume".to_owned()));
            }
        }
        let open = risks.iter().filter(|(data, action, _)| !acknowledged(self.plan, data, *action));
        let refusals = open.map(|(data, action, service)| {
            let word = match action {
                DataAction::Drop => "drop",
                DataAction::Replace => "replace",
                DataAction::Upgrade => "upgrade",
                DataAction::Leave => "leave",
            };
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
                format!("if that is meant, a pull request adds to module.yaml: acknowledge: [{{data: {data}, action: {word}, reason: …}}]"),
            )
        });
        ("data", json!({"risks": risks.len()}), refusals.collect())
    }
}
