//! The command line of `apply`.

use clap::Args;

use super::{Approving, Waive};
use crate::model::{glass::Reason, ids::HostName};

/// `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// Modules, or plan files (containing `/` or ending in `.json`) [default: the modules that the pull request
    /// changed]
    #[arg(value_name = "MODULE|PLAN")]
    pub targets: Vec<String>,
    /// One host of the modules [default: each of their hosts, in the order of the manifest; the first that fails ends
    /// it]
    #[arg(long, value_name = "HOST")]
    pub host: Option<HostName>,
    /// The approval.
    #[command(flatten)]
    pub approving: Approving,
    /// Apply the same release again, for instance after a host was lost or a secret changed
    #[arg(long, conflicts_with_all = ["approved", "pr"], requires = "targets")]
    pub again: bool,
    /// Apply everything that is merged and not applied; what dead runs left is ended first
    #[arg(long, conflicts_with_all = ["approved", "pr", "again", "targets"])]
    pub pending: bool,
    /// With --pending, for runners: apply only what module.yaml and the policy allow without a person
    #[arg(long, requires = "pending", conflicts_with_all = ["retry", "allow_older", "no_checkout_binding", "break_glass", "during_freeze"])]
    pub auto: bool,
    /// If another run is open, wait for it, at most so long: seconds, or 10m
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = super::seconds)]
    pub wait: u64,
    /// If the release is held, print its containers' last log lines (default on a terminal); secret values are masked
    #[arg(long)]
    pub logs: bool,
    /// Afterwards, show the outcome on the forge: in the comment under the pull request, and as the status
    /// platformctl/apply/MODULE on its merge result
    #[arg(long)]
    pub comment: bool,
    /// Print where the time of this command went; --json always has it, as durations_ms
    #[arg(long)]
    pub timings: bool,
    /// Checks that can be waived.
    #[command(flatten)]
    pub waive: Waive,
    /// Apply although a freeze is in force (recorded with the reason)
    #[arg(long, requires = "reason")]
    pub during_freeze: bool,
    /// In an emergency: pass missing reviews and statuses, scope, a newer merge, data at risk, a freeze, and a forge that is
    /// down (recorded with the reason before anything is changed)
    #[arg(long, requires_all = ["reason", "targets"], conflicts_with = "pending")]
    pub break_glass: bool,
    /// The reason, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<Reason>,
}
