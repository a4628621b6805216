//! Observe: what runs on the host now, and what the module's files become there. Reads, and never writes.

pub mod clocks;

use crate::{
    flow::{bind::bound::Present, observe::clocks::Clocks, send},
    model::text::hex,
    port::{Answer, Clock, Host, PortError, Source},
    runtime::{
        self,
        driver::{Look, Seen, Target},
        machine::Machine,
    },
    tree::snapshot::FILE_BYTES_MAX,
};

/// What an approval is bound to, and what was seen of it on its host.
#[derive(Debug)]
#[must_use]
pub struct Observed {
    bound: Present,
    view: View,
}

/// What was seen on a host.
#[derive(Debug)]
pub struct View {
    /// The host itself.
    pub machine: Machine,
    /// Its clock beside ours.
    pub clocks: Clocks,
    /// What the driver saw.
    pub seen: Box<dyn Seen>,
}

impl Observed {
    /// For the plan.
    pub(super) fn parts(self) -> (Present, View) {
        (self.bound, self.view)
    }
}

/// Looks at the host that an approval is bound to.
///
/// # Errors
/// As [`look`].
pub fn observe(host: &dyn Host, bound: Present, source: &dyn Source, clock: &dyn Clock) -> Answer<Observed> {
    let view = look(host, bound.target(), source, clock)?;
    Ok(Observed { bound, view })
}

/// Looks at a module on a host, question by question. The clock's chance makes the salt of digests.
///
/// # Errors
/// The host gave no answer, or one that its script cannot have given.
pub fn look(host: &dyn Host, target: Target<'_>, source: &dyn Source, clock: &dyn Clock) -> Answer<View> {
    let mut look = runtime::driver(target.module.manifest.runtime.driver).look(target, &|| hex(&clock.chance()))?;
    let mut asked = None;
    loop {
        match look {
            Look::Ask(order, then) => {
                let read = |blob| source.blob(blob, FILE_BYTES_MAX);
                let ask = || send(host, order, &read).map_err(PortError::harmless);
                let (reply, when) = Clocks::around(clock, ask)?;
                asked.get_or_insert(when);
                look = then(&reply)?;
            }
            Look::Seen(machine, seen) => {
                let asked = match asked {
                    Some(asked) => asked,
                    None => Clocks::around(clock, || Ok(()))?.1,
                };
                let clocks = asked.compared(clock, &machine);
                return Ok(View { machine, clocks, seen });
            }
        }
    }
}
