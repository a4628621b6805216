//! Watching a compose module: until every container has been as planned, without a break, for the settle window.

use crate::{
    model::{
        evidence::{ContainerEvidence, Evidence},
        projection::Projection,
        refusal::Code,
        shell,
        text::shown,
    },
    port::{Answer, PortError, Reply},
    runtime::{
        compose::{
            self,
            watch::{self, Expected, Sample, Signature, Verdict},
        },
        driver::{Next, Order, Target, Watch},
        engine, probe,
    },
    tree::module::Module,
};

/// The settle window if every service has a health check, in seconds.
const SETTLE_S: u64 = 10;
/// The settle window if one does not, in seconds.
const SETTLE_BLIND_S: u64 = 30;
/// How long one question may wait on the host, in milliseconds.
const WAIT_MAX_MS: u64 = 60_000;

/// A watch.
pub(super) struct Settling<'a> {
    target: Target<'a>,
    expected: Vec<Expected>,
    begun_ms: Option<u64>,
    /// The digest by which the script knows the state that was seen last.
    seen: String,
    /// How long the next question may wait for another state.
    wait_ms: u64,
    /// Since when everything is good, and what must not change from then on.
    good: Option<(u64, Signature)>,
    ended: Option<Result<Evidence, PortError>>,
}

impl<'a> Settling<'a> {
    pub(super) fn new(target: Target<'a>, expected: Vec<Expected>) -> Self {
        Self { target, expected, begun_ms: None, seen: String::new(), wait_ms: 0, good: None, ended: None }
    }

    fn question(&self) -> Order {
        let (target, expected) = (self.target, &self.expected);
        let manifest = &target.module.manifest;
        let words = |items: Vec<&str>| items.join("\n");
        let mut args = vec![
            target.host.root.to_string(),
            manifest.id.to_string(),
            manifest.runtime.project.as_ref().map(ToString::to_string).unwrap_or_default(),
            engine::address(target.host),
            self.seen.clone(),
            self.wait_ms.to_string(),
            words(expected.iter().map(|one| one.service.as_str()).collect()),
            words(manifest.secrets.iter().map(|secret| secret.file.as_str()).collect()),
        ];
        args.extend(manifest.health.probes.iter().map(|one| match (&one.exec, &one.service) {
            (Some(argv), Some(service)) => {
                let head = ["exec".to_owned(), service.to_string()];
                shell::quoted(&head.into_iter().chain(argv.iter().cloned()).collect::<Vec<_>>())
            }
            (Some(_) | None, _) => shell::quoted(&probe::args(one).unwrap_or_default()),
        }));
        Order::new(compose::WATCH, args)
    }

    fn failed(&self, why: &str) -> Result<Evidence, PortError> {
        let project = self.target.module.manifest.runtime.project.as_deref();
        let how = project.map_or_else(String::new, |project| format!(" (docker compose -p {project} logs)"));
        let fix = format!("look at it on its host{how}, then merge a fix; the same again: --retry");
        Err(PortError::new(Code::ProbeFailed, why, fix))
    }
}

impl Watch for Settling<'_> {
    fn next(&mut self, now_ms: u64) -> Next {
        self.begun_ms.get_or_insert(now_ms);
        match self.ended.take() {
            Some(Ok(evidence)) => Next::Done(evidence),
            Some(Err(error)) => Next::Failed(error),
            None => Next::Ask(self.question()),
        }
    }

    fn answer(&mut self, reply: &Reply, now_ms: u64) -> Answer<()> {
        let sample = watch::parse(&reply.stdout).map_err(|error| {
            PortError::new(
                Code::HostUnreachable,
                "the host's answer to compose-watch cannot be parsed",
                "inspect the host, then resume",
            )
            .because(error)
        })?;
        let health = &self.target.module.manifest.health;
        let deadline_ms = health.deadline_s.saturating_mul(1000);
        let settle_ms = health.settle_s.unwrap_or_else(|| settle_s(&self.expected, &sample)).saturating_mul(1000);
        let why = match watch::judge(&self.expected, &sample) {
            Verdict::Good => {
                let signature = sample.signature(&self.expected);
                let since_ms = match self.good.take() {
                    Some((since_ms, before)) if before == signature => since_ms,
                    Some(_) | None => now_ms,
                };
                let lasted_ms = now_ms.saturating_sub(since_ms);
                if lasted_ms >= settle_ms {
                    self.ended = Some(Ok(evidence(&self.expected, sample, lasted_ms)));
                    return Ok(());
                }
                self.good = Some((since_ms, signature));
                self.wait_ms = settle_ms - lasted_ms;
                format!("it was not good for {} s without a break (health.settle_s)", settle_ms / 1000)
            }
            Verdict::Wait(why) => {
                self.good = None;
                self.wait_ms = WAIT_MAX_MS;
                why
            }
            Verdict::Failed(why) => {
                self.ended = Some(self.failed(&why));
                return Ok(());
            }
        };
        let spent_ms = now_ms.saturating_sub(self.begun_ms.unwrap_or(now_ms));
        if spent_ms >= deadline_ms {
            self.ended = Some(self.failed(&format!("not healthy within {} s: {why}", health.deadline_s)));
            return Ok(());
        }
        self.wait_ms = self.wait_ms.min(WAIT_MAX_MS).min(deadline_ms - spent_ms);
        self.seen = sample.seen;
        Ok(())
    }
}

/// The default settle window: a job that has ended has nothing to settle.
fn settle_s(expected: &[Expected], sample: &Sample) -> u64 {
    let running = expected.iter().filter(|one| !one.job).flat_map(|one| sample.of(&one.service));
    let blind = running.map(|container| container.health.is_none()).max();
    match blind {
        None => 0,
        Some(false) => SETTLE_S,
        Some(true) => SETTLE_BLIND_S,
    }
}

/// What a settle window does not see: health checks that are further apart than it lasts.
pub(super) fn unseen(module: &Module, model: &Projection) -> Option<String> {
    let (own, health) = (&module.rendering.services, &module.manifest.health);
    let running = || {
        let own = own.iter().filter(|name| !module.manifest.jobs.contains(name));
        own.filter_map(|name| Some((name, model.services.get(name.as_str())?)))
    };
    let blind = running().any(|(_, service)| !service.has_healthcheck);
    let settle_s = health.settle_s.unwrap_or(if blind { SETTLE_BLIND_S } else { SETTLE_S });
    let slow = running().filter_map(|(name, service)| Some((name, service.interval_ms?)));
    let slow: Vec<String> = slow
        .filter(|(_, interval_ms)| *interval_ms > settle_s.saturating_mul(1000))
        .map(|(name, interval_ms)| {
            let share = settle_s.saturating_mul(100_000) / interval_ms;
            format!(
                "the health check of {} runs every {} s, of which it sees {share} %",
                shown(name),
                interval_ms / 1000
            )
        })
        .collect();
    (!slow.is_empty()).then(|| format!("the settle window lasts {settle_s} s (health.settle_s): {}", slow.join("; ")))
}

fn evidence(expected: &[Expected], sample: Sample, lasted_ms: u64) -> Evidence {
    let mut containers = Vec::new();
    for one in expected {
        containers.extend(sample.of(&one.service).map(|container| ContainerEvidence {
            service: one.service.clone(),
            image: container.image.clone(),
            healthy_s: lasted_ms / 1000,
            restarts: one.restarted(container),
            state: container.status.clone(),
            health: container.health.clone(),
        }));
    }
    Evidence { containers, probes: sample.probes.len() as u64, secrets: sample.secrets, ..Evidence::default() }
}
