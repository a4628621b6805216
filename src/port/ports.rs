//! All ports as one value, which is lent to the stages and verbs.

use crate::{
    model::{
        approval::Approval,
        evidence::Evidence,
        ids::{HostName, RunId},
        plan::Change,
        policy::HostPolicy,
        status::OpenRun,
        time::Timestamp,
    },
    port::{Answer, Checkout, Clock, Host, Ledger, Notify, ReachForge, Remote, Source},
};

/// Everything that the sentence may ask.
#[derive(Clone, Copy)]
pub struct Ports<'a> {
    /// Objects.
    pub source: &'a dyn Source,
    /// The local side of the record.
    pub ledger: &'a dyn Ledger,
    /// The checkout.
    pub checkout: &'a dyn Checkout,
    /// The remote.
    pub remote: &'a dyn Remote,
    /// The base branch in use.
    pub base: &'a str,
    /// Time and chance.
    pub clock: &'a dyn Clock,
    /// Reaches a host by its entry in the policy.
    pub host: &'a dyn Fn(&HostPolicy) -> Answer<Box<dyn Host>>,
    /// Reaches the forge's API, by the rules in force.
    pub forge: ReachForge<'a>,
    /// Tells people who are not here.
    pub notify: &'a dyn Notify,
    /// Whether the forge's API is not asked, because a person said so.
    pub offline: bool,
    /// Told of each step.
    pub tell: Tell<'a>,
    /// Whether this runs in CI, on a machine that is thrown away.
    pub ci: bool,
}

/// What a command spends its time on, in the order in which an apply comes through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The remote is asked and the record is checked.
    Fetch,
    /// Another run is waited for (`--wait`).
    Wait,
    /// The approval is proven.
    Approve,
    /// The content is bound to the checkout.
    Bind,
    /// The host is looked at.
    Observe,
    /// The plan is made.
    Plan,
    /// The plan is judged.
    Gate,
    /// Images are brought to the host.
    Pull,
    /// The intent is recorded.
    Open,
    /// Files are delivered.
    Ship,
    /// The host changes what runs.
    Run,
    /// The change is watched.
    Verify,
    /// The outcome is recorded.
    Close,
}

impl Phase {
    /// Its name in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Wait => "wait",
            Self::Approve => "approve",
            Self::Bind => "bind",
            Self::Observe => "observe",
            Self::Plan => "plan",
            Self::Gate => "gate",
            Self::Pull => "pull",
            Self::Open => "open",
            Self::Ship => "ship",
            Self::Run => "run",
            Self::Verify => "verify",
            Self::Close => "close",
        }
    }
}

/// What is going on, for a person who waits: what begins (to be measured), who is asked, or what is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A phase begins.
    Began(Phase),
    /// A host is asked.
    Looking(HostName),
    /// One of several things that were asked for is begun.
    Target {
        /// Its name.
        name: String,
        /// Its place among them, from 1.
        at: usize,
        /// How many they are.
        of: usize,
    },
    /// A run is open and waited for.
    Waiting {
        /// The run.
        run: Box<OpenRun>,
        /// Now.
        now: Timestamp,
    },
    /// A run that was waited for had ended on its host, and that is recorded now.
    Settled(RunId),
    /// Where the time went, if a person asked for it: milliseconds by phase since the last report.
    Spent(Vec<(Phase, u64)>),
    /// The approval is proven.
    Approved(Box<Approval>),
    /// Images are brought to the host: how many.
    Pulling(u64),
    /// They are there.
    Pulled(u64),
    /// Break-glass is recorded: seq, and the gates that are passed.
    Glass(u64, Vec<String>),
    /// The intent is recorded: seq.
    Intent(u64),
    /// Delivered and verified on the host: files.
    Shipped(u64),
    /// Activated: the services that changed; `None` if the release was switched as a whole.
    Changed(Option<Vec<Change>>),
    /// Verified: what was seen.
    Healthy(Box<Evidence>),
    /// The outcome is recorded: seq.
    Recorded(u64),
    /// Something that should be known, where the command ends without a result that has warnings.
    Warned(String),
}

/// Called for each step.
pub type Tell<'a> = &'a dyn Fn(Step);
