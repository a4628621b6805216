//! Plan: a pure function of what was bound and what was seen. Carrying it out makes no choices.

use crate::{
    flow::bound::{self, Bound},
    model::{
        digest::Digest,
        json::{self, CanonicalError},
        plan::{Change, Intention},
    },
    runtime::files::{self, Listing, Observed},
};

/// The exact steps from what is recorded and observed to what M wants.
#[derive(Debug)]
#[must_use]
pub struct Plan {
    pub(super) bound: Bound,
    pub(super) observed: Observed,
    pub(super) wanted: Listing,
    pub(super) intention: Intention,
    pub(super) digest: Digest,
}

impl Plan {
    /// The part that is promised.
    pub fn intention(&self) -> &Intention {
        &self.intention
    }

    /// The digest of the promised part.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What changes.
    pub fn changes(&self) -> &[Change] {
        &self.intention.changes
    }

    /// Whether nothing is left to do: nothing differs on the host, and the record says that this content was applied and ended
    /// well. Files that merely lie there are not enough: their activation may have failed, or never begun.
    pub fn is_done(&self) -> bool {
        let effective = Some(self.intention.effective);
        let last = self.bound.last.as_ref();
        self.intention.changes.is_empty()
            && last.is_some_and(|last| last.effective == effective)
            && last.is_none_or(|last| last.held.as_ref().map(|held| held.effective) != effective)
    }

    /// What it was bound to.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// The files that must be live in the end.
    pub fn wanted(&self) -> &Listing {
        &self.wanted
    }

    /// What was seen on the host.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }
}

/// Plans a module of driver `files`.
///
/// # Errors
/// Only if the plan cannot be written as canonical JSON, which its types rule out.
pub fn plan(bound: Bound, observed: Observed) -> Result<Plan, CanonicalError> {
    let wanted = bound::release_listing(&bound.manifest, &bound.closure);
    let intention = Intention {
        module: bound.manifest.id.clone(),
        host: bound.manifest.host.clone(),
        pr: Some(bound.approval.pr),
        head: Some(bound.approval.head),
        merge: Some(bound.approval.merge),
        policy: bound.policy_blob,
        closure: bound.closure.digest,
        effective: bound.closure.effective,
        override_: None,
        model: None,
        last_applied: bound.last.as_ref().and_then(|last| last.last_apply_sha),
        changes: files::changes(&wanted, &observed.live),
        exceptions: Vec::new(),
    };
    let digest = json::digest(&intention)?;
    Ok(Plan { bound, observed, wanted, intention, digest })
}
