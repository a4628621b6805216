//! Verify: what runs is looked at again and compared with the plan, over a settle window.

use crate::{
    flow::{observe, run::Ran},
    ledger::event::Evidence,
    model::{ids::ModuleId, module::Health, path::HostPath, refusal::Code},
    port::{Clock, Host, Input, PortError},
    runtime::{
        files::{Listing, Live},
        probe,
    },
};

/// What must be there.
#[derive(Debug)]
pub struct Expected<'a> {
    /// The module.
    pub module: &'a ModuleId,
    /// The root on its host.
    pub root: &'a HostPath,
    /// The release that must be live, by name.
    pub release: String,
    /// Its files.
    pub files: &'a Listing,
    /// Its health.
    pub health: &'a Health,
}

/// Why it is not verified.
#[derive(Debug)]
pub enum NotVerified {
    /// It is not as planned.
    Failed(PortError),
    /// The host gave no answer: nobody knows, the run stays open.
    Unknown(PortError),
}

/// Milliseconds between two rounds of probes.
const PAUSE_MS: u64 = 250;

/// Verifies what a run changed.
///
/// # Errors
/// See [`NotVerified`].
pub fn after(
    ran: Ran<'_>,
    expected: &Expected<'_>,
    host: &dyn Host,
    clock: &dyn Clock,
) -> Result<Evidence, NotVerified> {
    let Ran { shipped } = ran;
    let evidence = verify(expected, host, clock)?;
    Ok(Evidence { files: shipped.files, ..evidence })
}

/// Looks at the files, then asks every probe until all have passed without a break for the settle window.
///
/// # Errors
/// See [`NotVerified`].
pub fn verify(expected: &Expected<'_>, host: &dyn Host, clock: &dyn Clock) -> Result<Evidence, NotVerified> {
    files(expected, host)?;
    let probes = probes(expected, host, clock)?;
    if probes > 0 {
        files(expected, host)?;
    }
    Ok(Evidence { files: expected.files.len() as u64, probes, ..Evidence::default() })
}

fn files(expected: &Expected<'_>, host: &dyn Host) -> Result<(), NotVerified> {
    let observed = observe::files(host, expected.root, expected.module).map_err(NotVerified::Unknown)?;
    let as_planned = matches!(
        &observed.live,
        Live::Release { name, files, odd: 0 } if *name == expected.release && files == expected.files
    );
    if as_planned {
        return Ok(());
    }
    Err(NotVerified::Failed(PortError::new(
        Code::HostFailed,
        format!("what is live in {}/live/{} is not the planned release", expected.root, expected.module),
        "look at it on the host: someone or something changes it",
    )))
}

fn probes(expected: &Expected<'_>, host: &dyn Host, clock: &dyn Clock) -> Result<u64, NotVerified> {
    let health = expected.health;
    if health.probes.is_empty() {
        return Ok(0);
    }
    let settle_ms = health.settle_s.unwrap_or(10).saturating_mul(1000);
    let deadline_ms = clock.ticks_ms().saturating_add(health.deadline_s.saturating_mul(1000));
    let mut good_since: Option<u64> = None;
    loop {
        let failed = round(expected, host)?;
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
            let why = failed.unwrap_or_else(|| "the settle window did not end".to_owned());
            return Err(NotVerified::Failed(PortError::new(
                Code::ProbeFailed,
                format!("not healthy within {} s: {why}", health.deadline_s),
                "look at the module on its host, then merge a fix",
            )));
        }
        clock.sleep_ms(PAUSE_MS);
    }
}

/// Asks every probe once; `Some` says which failed.
fn round(expected: &Expected<'_>, host: &dyn Host) -> Result<Option<String>, NotVerified> {
    for (at, one) in expected.health.probes.iter().enumerate() {
        let Some(args) = probe::args(one) else { continue };
        let reply = host.run(&probe::PROBE, &args, Input::Nothing).map_err(NotVerified::Unknown)?;
        if let Err(why) = probe::verdict(&reply.stdout) {
            return Ok(Some(format!("probe {} ({}): {why}", at + 1, args[..2].join(" "))));
        }
    }
    Ok(None)
}
