//! Pull: images that a host does not have are brought before anything is touched.

use crate::{
    flow::{Stage, Stop, gate::Closed, no_blob, send},
    model::refusal::Code,
    port::{Host, Phase, PortError, Ports, Step},
    runtime::{driver::Order, pull},
};

/// Pulls images that the host does not have, with the driver's order, if nothing else is against the plan. What runs is
/// not touched.
///
/// # Errors
/// The reasons against the plan: other refusals, or images that cannot be pulled, with Docker's own message.
pub fn pull(ports: &Ports<'_>, closed: Closed, images: &[String], order: Option<Order>, host: &dyn Host) -> Stage<()> {
    let Closed { refusals, checks: _ } = closed;
    let Some(order) = order.filter(|_| !images.is_empty()) else { return Err(Stop::Refused(refusals)) };
    if refusals.iter().any(|refusal| refusal.code != Code::ImageMissing) {
        return Err(Stop::Refused(refusals));
    }
    (ports.tell)(Step::Began(Phase::Pull));
    (ports.tell)(Step::Pulling(images.len() as u64));
    let reply = send(host, order, &no_blob).map_err(PortError::harmless)?;
    let pulled = pull::parse(&reply.stdout);
    if images.iter().all(|image| pulled.brought.contains(image)) {
        (ports.tell)(Step::Pulled(images.len() as u64));
        return Ok(());
    }
    // The gate names them in this order. One that was pulled meanwhile is no longer a reason.
    let mut left = Vec::new();
    for (at, mut refusal) in refusals.into_iter().enumerate() {
        let image = images.get(at);
        if image.is_some_and(|image| pulled.brought.contains(image)) {
            continue;
        }
        if let Some(words) = image.and_then(|image| pulled.failed.get(image)) {
            refusal.fact = format!("{}; Docker reports: {words}", refusal.fact);
        }
        left.push(refusal);
    }
    Err(Stop::Refused(left))
}
