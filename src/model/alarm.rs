//! Alarms: what people are told of as long as it lasts, and what the record keeps of what they were told, so that ten
//! runners do not tell it ten times.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{digest::Digest, ids::Deployment, notify::ChannelKind, time::Timestamp};

/// The schema of `alarms/<module>@<host>.json`.
pub const SCHEMA: &str = "platform-alarms/1";

/// What people are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// A release failed and was left as it is.
    Held,
    /// A release failed and the one before it was activated again.
    RolledBack,
    /// What runs differs from the record for more than ten minutes.
    Drift,
    /// Something that was merged is not applied by itself: a person must decide.
    Waits,
    /// A gate was passed on purpose.
    BreakGlass,
    /// A run is open although its time is over: nobody recorded how it ended.
    Unfinished,
    /// A change was made, and its record is not on the remote.
    Unrecorded,
    /// The record was rewound, forked or removed, or is not valid.
    Tampered,
}

impl Condition {
    /// Every condition.
    pub const ALL: &'static [Self] = &[
        Self::Held,
        Self::RolledBack,
        Self::Drift,
        Self::Waits,
        Self::BreakGlass,
        Self::Unfinished,
        Self::Unrecorded,
        Self::Tampered,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::RolledBack => "rolled-back",
            Self::Drift => "drift",
            Self::Waits => "waits",
            Self::BreakGlass => "break-glass",
            Self::Unfinished => "unfinished",
            Self::Unrecorded => "unrecorded",
            Self::Tampered => "tampered",
        }
    }

    /// Whether the record can say what was told of it. It cannot where it is itself what is wrong.
    pub const fn is_recorded(self) -> bool {
        !matches!(self, Self::Unrecorded | Self::Tampered)
    }

    /// Whether people are told that it is over. What waits for a person ends by what that person does.
    pub const fn has_end(self) -> bool {
        !matches!(self, Self::Waits | Self::BreakGlass)
    }
}

/// How far the telling of an alarm is. A runner records what it is about to do, tells, and records what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlarmStep {
    /// A runner is about to tell it.
    Telling,
    /// It was told, as far as the channels took it.
    Told,
    /// A runner is about to tell that it is over.
    Ending,
    /// It is over.
    Ended,
}

impl AlarmStep {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Telling => "telling",
            Self::Told => "told",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }

    /// Whether it answers a step before it, and so is about the same.
    pub const fn answers(self) -> bool {
        !matches!(self, Self::Telling)
    }
}

/// One step, as an event of kind `observe` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telling {
    /// What is told of the deployment.
    pub condition: Condition,
    /// What exactly it is about, as a digest: of a release what concerns the module in it, of a run its
    /// id, of what waits the number of its pull request. Another one is another alarm.
    pub about: Digest,
    /// The pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr: Option<u64>,
    /// Since when it lasts.
    pub since: Timestamp,
    /// How far it is.
    pub step: AlarmStep,
    /// The event of the step before, of the same condition; absent if the record has no alarm of it. Of two runners that
    /// decide at once one is refused by this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Chance: 32 hexadecimal digits. Two runners of one account that decide within one second would otherwise write the
    /// same commit, which a remote takes from both.
    pub nonce: String,
    /// The channels that took the message, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delivered: Vec<ChannelKind>,
}

/// An alarm of a deployment, as it was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// What exactly it is about.
    pub about: Digest,
    /// The pull request, or null.
    pub pr: Option<u64>,
    /// Since when it lasts.
    pub since: Timestamp,
    /// How far it is.
    pub step: AlarmStep,
    /// When its newest event was.
    pub at: Timestamp,
    /// Its newest event.
    pub seq: u64,
    /// When a channel last took a message about it, or null.
    pub told: Option<Timestamp>,
    /// The channels that took one, sorted.
    pub delivered: Vec<ChannelKind>,
}

/// `alarms/<module>@<host>.json`: what people were told of a deployment. There is no file without an alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarms {
    /// [`SCHEMA`].
    pub schema: String,
    /// The deployment.
    pub deployment: Deployment,
    /// At most one of each condition.
    pub alarms: BTreeMap<Condition, Alarm>,
}

impl Alarms {
    /// A deployment of which nothing was told.
    pub fn new(deployment: &Deployment) -> Self {
        Self { schema: SCHEMA.to_owned(), deployment: deployment.clone(), alarms: BTreeMap::new() }
    }

    /// What a step makes of them.
    pub fn follow(&mut self, step: &Telling, at: Timestamp, seq: u64) {
        let before = self.alarms.remove(&step.condition).filter(|before| before.about == step.about);
        if step.step == AlarmStep::Ended {
            return;
        }
        let mut told = before.as_ref().and_then(|before| before.told);
        if !step.delivered.is_empty() {
            told = Some(at);
        }
        let mut delivered = before.map(|before| before.delivered).unwrap_or_default();
        delivered.extend(&step.delivered);
        delivered.sort_unstable();
        delivered.dedup();
        let Telling { about, pr, since, step: now, condition, .. } = *step;
        self.alarms.insert(condition, Alarm { about, pr, since, step: now, at, seq, told, delivered });
    }
}
