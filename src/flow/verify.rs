//! Verify: what runs is looked at again and compared with the plan, over a settle window.

use crate::{
    flow::{no_blob, run::Ran, send},
    model::evidence::Evidence,
    port::{Clock, Host, NotDone, PortError},
    runtime::driver::{Next, Watch},
};

/// Verifies what a run changed.
///
/// # Errors
/// See [`NotDone`].
pub fn after(ran: &Ran<'_>, host: &dyn Host, clock: &dyn Clock) -> Result<Evidence, NotDone> {
    let shipped = ran.shipped();
    let plan = shipped.intent().plan();
    let mut watch = plan.work().watch(plan.bound().target());
    let evidence = watched(watch.as_mut(), host, clock)?;
    Ok(Evidence { files: shipped.files(), ..evidence })
}

/// Watches until everything has been as planned for the settle window, or is not.
///
/// # Errors
/// See [`NotDone`].
pub fn watched(watch: &mut dyn Watch, host: &dyn Host, clock: &dyn Clock) -> Result<Evidence, NotDone> {
    let unknown = |error: PortError| NotDone::unknown(error.harmless());
    loop {
        match watch.next(clock.ticks_ms()) {
            Next::Ask(order) => {
                let reply = send(host, order, &no_blob).map_err(unknown)?;
                watch.answer(&reply, clock.ticks_ms()).map_err(unknown)?;
            }
            Next::Sleep(ms) => clock.sleep_ms(ms),
            Next::Done(evidence) => return Ok(evidence),
            Next::Failed(error) => return Err(NotDone::failed(error)),
        }
    }
}
