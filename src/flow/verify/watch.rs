//! Watching a compose module: until every container has been as planned, without a break, for the settle window.

use crate::{
    flow::bind::bound::Target,
    model::{
        evidence::{ContainerEvidence, Evidence},
        projection::Projection,
        refusal::Code,
        shell,
        text::shown,
    },
    port::{Clock, Host, Input, NotDone, PortError},
    runtime::{
        compose::{
            self,
            watch::{self, Expected, Sample, Signature, Verdict},
        },
        probe,
    },
    tree::module::Module,
};

/// The settle window where every service says when it is healthy, in seconds.
const SETTLE_S: u64 = 10;
/// The settle window where one does not, in seconds.
const SETTLE_BLIND_S: u64 = 30;
/// How long one question may wait on the host, in milliseconds.
const WAIT_MAX_MS: u64 = 60_000;

/// Watches.
///
/// # Errors
/// See [`NotDone`].
pub fn watch(
    target: Target<'_>,
    expected: &[Expected],
    host: &dyn Host,
    clock: &dyn Clock,
) -> Result<Evidence, NotDone> {
    let health = &target.module.manifest.health;
    let project = target.module.manifest.runtime.project.as_deref();
    let begun = clock.ticks_ms();
    let deadline_ms = health.deadline_s.saturating_mul(1000);
    let mut seen = String::new();
    // Since when everything is good, and what must not change from then on.
    let mut good: Option<(u64, Signature)> = None;
    let mut wait_ms = 0;
    loop {
        let sample = look(target, expected, &seen, wait_ms, host)?;
        let now = clock.ticks_ms();
        let settle_ms = health.settle_s.unwrap_or_else(|| settle_s(expected, &sample)).saturating_mul(1000);
        let why = match watch::judge(expected, &sample) {
            Verdict::Good => {
                let signature = sample.signature(expected);
                let since = match good.take() {
                    Some((since, before)) if before == signature => since,
                    Some(_) | None => now,
                };
                let lasted_ms = now.saturating_sub(since);
                if lasted_ms >= settle_ms {
                    return Ok(evidence(expected, sample, lasted_ms));
                }
                good = Some((since, signature));
                wait_ms = settle_ms - lasted_ms;
                format!("it was not good for {} s without a break (health.settle_s)", settle_ms / 1000)
            }
            Verdict::Wait(why) => {
                good = None;
                wait_ms = WAIT_MAX_MS;
                why
            }
            Verdict::Failed(why) => return Err(failed(&why, project)),
        };
        let spent_ms = now.saturating_sub(begun);
        if spent_ms >= deadline_ms {
            return Err(failed(&format!("not healthy within {} s: {why}", health.deadline_s), project));
        }
        wait_ms = wait_ms.min(WAIT_MAX_MS).min(deadline_ms - spent_ms);
        seen = sample.seen;
    }
}

/// What nobody set: a job that has ended has nothing to settle.
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
pub fn unseen(module: &Module, model: &Projection) -> Option<String> {
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

fn failed(why: &str, project: Option<&str>) -> NotDone {
    let how = project.map_or_else(String::new, |project| format!(" (docker compose -p {project} logs)"));
    let fix = format!("look at it on its host{how}, then merge a fix; the same again: --retry");
    NotDone::failed(PortError::new(Code::ProbeFailed, why, fix))
}

fn look(
    target: Target<'_>,
    expected: &[Expected],
    seen: &str,
    wait_ms: u64,
    host: &dyn Host,
) -> Result<Sample, NotDone> {
    let manifest = &target.module.manifest;
    let words = |items: Vec<&str>| items.join("\n");
    let mut args = vec![
        target.host.root.to_string(),
        manifest.id.to_string(),
        manifest.runtime.project.as_ref().map(ToString::to_string).unwrap_or_default(),
        compose::engine(target.host),
        seen.to_owned(),
        wait_ms.to_string(),
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
    let reply = host.run(&compose::WATCH, &args, Input::Nothing).map_err(|error| NotDone::unknown(error.harmless()))?;
    watch::parse(&reply.stdout).map_err(|error| {
        NotDone::unknown(
            PortError::new(
                Code::HostUnreachable,
                "the host's answer to compose-watch makes no sense",
                "look at the host by hand, then resume",
            )
            .because(error),
        )
    })
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
