//! Run: tells the host to change, once.

use crate::{
    flow::{no_blob, open, send, ship::Shipped},
    model::refusal::Code,
    port::{Host, Input, NotDone, PortError},
    runtime::{
        driver::Head,
        result::{self, Fate},
    },
};

/// A release that was activated, as the host itself reports.
#[derive(Debug)]
#[must_use]
pub struct Ran<'a> {
    shipped: Shipped<'a>,
}

impl<'a> Ran<'a> {
    /// What was delivered before.
    pub(super) fn shipped(&self) -> &Shipped<'a> {
        &self.shipped
    }
}

/// Activates a release.
///
/// # Errors
/// See [`NotDone`]. If the answer is lost, the host is asked again before the ending is called unknown.
pub fn run<'a>(shipped: Shipped<'a>, host: &dyn Host) -> Result<Ran<'a>, NotDone> {
    let intent = shipped.intent();
    let target = intent.plan().bound().target();
    let lock = open::lock(&target.module.manifest);
    let head = Head {
        lock: &lock,
        run: intent.run(),
        nonce: intent.nonce(),
        fence: intent.seq(),
        genesis: intent.genesis(),
        witness: intent.witness(),
    };
    let fate = match send(host, intent.plan().work().orders(target, head), &no_blob) {
        Ok(reply) => result::fate(intent.run(), intent.nonce(), &reply.stdout),
        Err(error) if error.code == Code::HostUnreachable => return Err(NotDone::aborted(error)),
        Err(error) => look_again(&shipped, host, error)?,
    };
    result::verdict(fate, &target.host.root, intent.run()).map(|()| Ran { shipped })
}

/// After an answer that did not come: looks, and where the host never began, makes sure that it never will.
fn look_again(shipped: &Shipped<'_>, host: &dyn Host, lost: PortError) -> Result<Fate, NotDone> {
    let intent = shipped.intent();
    let target = intent.plan().bound().target();
    let args = [target.host.root.to_string(), open::lock(&target.module.manifest), intent.run().to_string()];
    let ask = |script| host.run(script, &args, Input::Nothing);
    let fate = |stdout: &[u8]| result::fate(intent.run(), intent.nonce(), stdout);
    match ask(&result::RESULT).map(|reply| fate(&reply.stdout)) {
        Ok(Fate::Never) => match ask(&result::TOMBSTONE).map(|reply| fate(&reply.stdout)) {
            Ok(fate @ (Fate::Tombstone | Fate::Ended { .. })) => Ok(fate),
            Ok(Fate::Running | Fate::Begun | Fate::Never | Fate::NotAnAnswer) | Err(_) => Err(NotDone::unknown(lost)),
        },
        Ok(fate @ (Fate::Ended { .. } | Fate::Tombstone)) => Ok(fate),
        Ok(Fate::Running | Fate::Begun | Fate::NotAnAnswer) | Err(_) => Err(NotDone::unknown(lost)),
    }
}
