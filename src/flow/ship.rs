//! Ship: the release is delivered to the host and verified there, beside what is live and without touching it.

use crate::{
    flow::{open::Intent, send},
    port::{Answer, Host, PortError, Source},
    runtime::ship::arrived,
};

/// A release that lies on the host, checked there.
#[derive(Debug)]
#[must_use]
pub struct Shipped<'a> {
    intent: &'a Intent,
    files: u64,
}

impl<'a> Shipped<'a> {
    /// What it is delivered for.
    pub(super) fn intent(&self) -> &'a Intent {
        self.intent
    }

    /// How many files were verified.
    pub fn files(&self) -> u64 {
        self.files
    }
}

/// Delivers the release of an intent. Nothing live is touched, whatever happens here.
///
/// # Errors
/// The host gave no answer, or its own check failed.
pub fn ship<'a>(intent: &'a Intent, host: &dyn Host, source: &dyn Source) -> Answer<Shipped<'a>> {
    let plan = intent.plan();
    let target = plan.bound().target();
    let delivery = plan.work().delivery(target, intent.nonce());
    // The host compares their digests with those of the closure: they are not hashed once more here.
    let reply = send(host, delivery.order, &|blob| source.delivered(blob)).map_err(PortError::harmless)?;
    arrived(&reply, &target.host.root)?;
    Ok(Shipped { intent, files: delivery.files })
}
