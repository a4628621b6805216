//! Plan: a pure function of what was bound and what was seen. Carrying it out makes no choices.

use crate::{
    flow::{
        bind::bound::Present,
        observe::{Observed, View, clocks::Clocks},
    },
    model::{
        digest::Digest,
        json::{self, CanonicalError},
        plan::{Change, Intention},
    },
    runtime::{driver::Work, machine::Machine},
};

/// The exact steps from what is recorded and observed to what M wants.
#[derive(Debug)]
#[must_use]
pub struct Plan {
    bound: Present,
    machine: Machine,
    clocks: Clocks,
    work: Box<dyn Work>,
    intention: Intention,
    digest: Digest,
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

    /// Whether nothing is left to do: nothing differs on the host, and the record says that this content runs there and
    /// never failed there. Files that merely lie there are not enough: their activation may have failed, or never
    /// begun. What could not be rendered is never done.
    pub fn is_done(&self) -> bool {
        let effective = self.intention.effective;
        let last = self.bound.last();
        let running = last.and_then(|last| last.running.as_ref());
        self.work.is_known()
            && self.intention.changes.is_empty()
            && running.is_some_and(|running| running.effective == effective)
            && last.is_none_or(|last| last.failure_of(effective).is_none())
    }

    /// What it was bound to.
    pub fn bound(&self) -> &Present {
        &self.bound
    }

    /// Images that the host does not have, by name.
    pub fn missing_images(&self) -> Vec<String> {
        self.work.missing_images()
    }

    /// What a reader must know of the watch, besides.
    pub fn warnings(&self) -> Vec<String> {
        self.work.warnings(self.bound.target())
    }

    /// The host, as it was seen.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Our clock and the host's.
    pub fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// What the driver will do.
    pub(crate) fn work(&self) -> &dyn Work {
        self.work.as_ref()
    }
}

/// Plans a module. `again`: jobs are run once more although nothing changed.
///
/// # Errors
/// Only if the plan cannot be written as canonical JSON, which its types rule out.
pub fn plan(observed: Observed, again: bool) -> Result<Plan, CanonicalError> {
    let (bound, View { machine, clocks, seen }) = observed.parts();
    let work = seen.diff(bound.target(), again);
    let made = work.made();
    let approval = bound.approval();
    let intention = Intention {
        module: bound.deployment().module.clone(),
        host: bound.deployment().host.clone(),
        pr: Some(approval.pr),
        head: Some(approval.head),
        merge: Some(approval.merge),
        policy: bound.policy_blob(),
        closure: bound.closure().digest,
        effective: bound.closure().effective,
        override_: made.override_,
        model: made.model,
        last_applied: bound.last().and_then(|last| Some(last.running.as_ref()?.merge)),
        changes: work.changes().to_vec(),
        exceptions: work.exceptions(bound.target()),
    };
    let digest = json::digest(&intention)?;
    Ok(Plan { bound, machine, clocks, work, intention, digest })
}
