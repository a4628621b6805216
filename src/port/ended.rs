//! How an attempt to change a host, or to verify a change, ended.

use crate::{
    model::{ending::Ending, evidence::Evidence},
    port::PortError,
};

/// How an attempt ended: with what was seen afterwards, or with why it was not done.
pub type Ended = Result<Evidence, NotDone>;

/// The one word for how an attempt ended.
pub fn ending(ended: &Ended) -> Ending {
    ended.as_ref().map_or_else(NotDone::ending, |_| Ending::Ok)
}

/// An attempt that did not end as planned: how it ended, which is never [`Ending::Ok`], and what failed.
#[derive(Debug)]
pub struct NotDone {
    ending: Ending,
    error: PortError,
}

impl NotDone {
    /// Certainly nothing that runs was touched.
    pub fn aborted(error: PortError) -> Self {
        Self { ending: Ending::Aborted, error }
    }

    /// The change was begun and failed: the host is left as it is.
    pub fn failed(error: PortError) -> Self {
        Self { ending: Ending::Failed, error }
    }

    /// Nobody knows yet: the run stays open.
    pub fn unknown(error: PortError) -> Self {
        Self { ending: Ending::Unknown, error }
    }

    /// How it ended.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// What failed.
    pub fn error(&self) -> &PortError {
        &self.error
    }
}
