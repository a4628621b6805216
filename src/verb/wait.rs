//! Wait: an apply that waits while another run is open.

use crate::{
    flow::{Stage, Stop},
    model::{ids::RunId, refusal::Code},
    port::{Phase, Ports, Step},
    verb::{
        apply::{Applied, Ask, apply},
        busy::holder,
        fetch::{Fetched, refresh},
        resume,
    },
};

/// How often a busy module is asked for again, in milliseconds.
const AGAIN_AFTER_MS: u64 = 1_000;

/// Applies one module, and waits up to `wait_s` seconds while another run is open.
///
/// # Errors
/// As [`apply`].
pub fn patiently(ports: &Ports<'_>, fetched: &mut Fetched, ask: &Ask, wait_s: u64) -> Stage<Applied> {
    let until = ports.clock.ticks_ms() + wait_s.saturating_mul(1_000);
    let mut told: Option<RunId> = None;
    loop {
        let applied = apply(ports, fetched, ask);
        // By the record, or by another process of this clone.
        let busy = match &applied {
            Err(Stop::Refused(refusals)) => refusals.iter().any(|refusal| refusal.code == Code::Busy),
            Err(Stop::Failed(error)) => error.code == Code::Busy,
            Ok(_) => false,
        };
        if !busy || ports.clock.ticks_ms() >= until || ports.clock.interrupted() {
            return applied;
        }
        (ports.tell)(Step::Began(Phase::Wait));
        wait(ports, fetched, ask, &mut told)?;
        ports.clock.sleep_ms(AGAIN_AFTER_MS);
        *fetched = refresh(ports, &ask.request)?;
    }
}

/// Tells once which run is waited for. What became of a run whose time is over is asked of its host and recorded; where
/// only a person can end it, the wait ends.
fn wait(ports: &Ports<'_>, fetched: &Fetched, ask: &Ask, told: &mut Option<RunId>) -> Stage<()> {
    let Some(open) = holder(ports, fetched, &ask.module, ask.host.as_ref())? else { return Ok(()) };
    let now = ports.clock.now();
    if told.as_ref() != Some(&open.run) {
        (ports.tell)(Step::Waiting { run: Box::new(open.clone()), now });
        *told = Some(open.run.clone());
    }
    if now < open.expires {
        return Ok(());
    }
    let run = open.run.clone();
    match resume::resume(ports, fetched, open) {
        Ok(_) => {
            (ports.tell)(Step::Settled(run));
            Ok(())
        }
        // It is still running, or the host does not answer now: keep waiting. Everything else needs a person.
        Err(stop) if resume::may_pass(&stop) => Ok(()),
        Err(stop) => Err(stop),
    }
}
