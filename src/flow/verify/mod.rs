//! Verify: what runs is looked at again and compared with the plan, over a settle window.

pub mod watch;

use crate::{
    flow::{bind::bound::Target, observe, run::Ran, verify::watch::watch},
    model::{evidence::Evidence, module::Health, refusal::Code},
    port::{Clock, Host, Input, NotDone, PortError},
    runtime::{
        compose::watch::Expected as Service,
        files::{Listing, Live},
        probe,
    },
};

/// What must be there.
#[derive(Debug)]
pub struct Expected<'a> {
    /// What was applied to what host.
    pub target: Target<'a>,
    /// By driver.
    pub what: What<'a>,
}

/// What must be there, by driver.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// Driver files: the files of the release, which must be live.
    Files(&'a Listing),
    /// Driver compose: the services.
    Compose(&'a [Service]),
}

/// Milliseconds between two rounds of probes.
const PAUSE_MS: u64 = 250;

/// Verifies what a run changed.
///
/// # Errors
/// See [`NotDone`].
pub fn after(ran: Ran<'_>, expected: &Expected<'_>, host: &dyn Host, clock: &dyn Clock) -> Result<Evidence, NotDone> {
    let Ran { shipped } = ran;
    let evidence = verify(expected, host, clock)?;
    Ok(Evidence { files: shipped.files, ..evidence })
}

/// Looks at the files, then asks every probe until all have passed without a break for the settle window.
///
/// # Errors
/// See [`NotDone`].
pub fn verify(expected: &Expected<'_>, host: &dyn Host, clock: &dyn Clock) -> Result<Evidence, NotDone> {
    let target = expected.target;
    let wanted = match expected.what {
        What::Compose(services) => return watch(target, services, host, clock),
        What::Files(wanted) => wanted,
    };
    files(target, wanted, host)?;
    let probes = probes(&target.module.manifest.health, host, clock)?;
    if probes > 0 {
        files(target, wanted, host)?;
    }
    Ok(Evidence { files: wanted.len() as u64, probes, ..Evidence::default() })
}

fn files(target: Target<'_>, wanted: &Listing, host: &dyn Host) -> Result<(), NotDone> {
    let (_, live) = observe::files(host, target).map_err(NotDone::unknown)?;
    let release = target.module.closure.digest.hex();
    if matches!(&live, Live::Release { name, files, odd: 0 } if *name == release && files == wanted) {
        return Ok(());
    }
    Err(NotDone::failed(PortError::new(
        Code::HostFailed,
        format!("what is live in {}/live/{} is not the planned release", target.host.root, target.module.manifest.id),
        "look at it on the host: someone or something changes it",
    )))
}

fn probes(health: &Health, host: &dyn Host, clock: &dyn Clock) -> Result<u64, NotDone> {
    if health.probes.is_empty() {
        return Ok(0);
    }
    let settle_ms = health.settle_s.unwrap_or(10).saturating_mul(1000);
    let deadline_ms = clock.ticks_ms().saturating_add(health.deadline_s.saturating_mul(1000));
    let mut good_since: Option<u64> = None;
    loop {
        let failed = round(health, host)?;
        let now = clock.ticks_ms();
        match failed {
            None => {
                let since = *good_since.get_or_insert(now);
                if now.saturating_sub(since) >= settle_ms {
                    return Ok(health.probes.len() as u64);
                }
            }
            Some(_) => good_since = None,
        }
        if now >= deadline_ms {
            let why = failed.unwrap_or_else(|| {
                format!("it was not good for {} s without a break (health.settle_s)", settle_ms / 1000)
            });
            return Err(NotDone::failed(PortError::new(
                Code::ProbeFailed,
                format!("not healthy within {} s: {why}", health.deadline_s),
                "look at the module on its host, then merge a fix",
            )));
        }
        clock.sleep_ms(PAUSE_MS);
    }
}

/// Asks every probe once; `Some` says which failed.
fn round(health: &Health, host: &dyn Host) -> Result<Option<String>, NotDone> {
    for (at, one) in health.probes.iter().enumerate() {
        let Some(args) = probe::args(one) else { continue };
        let reply = host.run(&probe::PROBE, &args, Input::Nothing).map_err(NotDone::unknown)?;
        if let Err(why) = probe::verdict(&reply.stdout) {
            return Ok(Some(format!("probe {} ({}): {why}", at + 1, args[..2].join(" "))));
        }
    }
    Ok(None)
}
