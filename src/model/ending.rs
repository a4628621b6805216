//! How a run ends. One vocabulary: the host's answer, the record, the result and the exit code all rest on [`Ending`].

use serde::{Deserialize, Serialize};

/// How an attempt to change a host ended. Serialised as the record has it (`Platform-Result`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Changed as planned, and verified.
    Ok,
    /// Changed and failed: the host is left as it is.
    Failed,
    /// Failed, reverted and verified.
    RolledBack,
    /// Ended before anything that runs was touched.
    Aborted,
    /// Nobody knows yet. It is never recorded: the intent stays open.
    #[serde(skip)]
    Unknown,
}

impl Ending {
    /// Every ending.
    pub const ALL: &'static [Self] = &[Self::Ok, Self::Failed, Self::RolledBack, Self::Aborted, Self::Unknown];

    /// The word of the record; `unknown` is never in one.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::RolledBack => "rolled-back",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
        }
    }
}

/// The `outcome` of a result, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Changed, verified and recorded.
    Applied,
    /// Nothing had to change.
    Noop,
    /// Refused, for the reasons in `refusals`.
    Refused,
    /// With `apply --pending`: it waits for a person, or for the end of a freeze.
    Waits,
    /// With `apply --pending`: something that it comes after was not applied.
    NotTried,
    /// Changed and failed; left as it is.
    Held,
    /// Failed, reverted and verified.
    RolledBack,
    /// Ended before anything that runs was touched.
    Aborted,
    /// The link was lost after the change was sent.
    Unknown,
    /// Applied and healthy, but the record is not on the remote yet.
    Unrecorded,
    /// The command failed.
    Error,
    /// A command that changes no host did what it was asked.
    Ok,
}

impl Outcome {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Noop => "noop",
            Self::Refused => "refused",
            Self::Waits => "waits",
            Self::NotTried => "not-tried",
            Self::Held => "held",
            Self::RolledBack => "rolled-back",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
            Self::Unrecorded => "unrecorded",
            Self::Error => "error",
            Self::Ok => "ok",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_ending_is_not_recorded() {
        for ending in Ending::ALL {
            let written = serde_json::to_string(ending);
            let expected = (*ending != Ending::Unknown).then(|| format!("{:?}", ending.as_str()));
            assert_eq!(written.ok(), expected);
        }
        assert!(serde_json::from_str::<Ending>("\"unknown\"").is_err());
        assert_eq!(serde_json::from_str::<Ending>("\"rolled-back\"").unwrap(), Ending::RolledBack);
    }
}
