//! Break-glass, as people read of it.

use super::wrapped;
use crate::model::{
    glass::{self, Waived},
    status::HostStatus,
    time::Timestamp,
};

/// That gates were passed, and what follows from it.
pub(super) fn passed(waived: &[Waived]) -> Vec<String> {
    let gates = glass::names(waived).join(" ");
    if gates.is_empty() {
        return Vec::new();
    }
    wrapped(&format!("! passed {gates} with break-glass: status shows it until a merged pull request confirms it"), "")
}

/// What stands of a deployment, in a few words; `None` where nothing does.
pub(super) fn standing(status: &HostStatus, now: Timestamp) -> Option<String> {
    let newest = status.glass.last()?;
    let late = if newest.until < now { ", OVERDUE" } else { "" };
    Some(format!("#{} BREAK-GLASS, {}{late}", newest.pr, newest.at.age(now)))
}

/// The same in full: what was passed, why, and until when it should be confirmed.
pub(super) fn in_full(status: &HostStatus) -> Vec<String> {
    let mut lines = Vec::new();
    for one in &status.glass {
        lines.extend(wrapped(&format!("seq {} passed {}: {}", one.seq, one.waived.join(" "), one.reason), "  "));
        lines.extend(wrapped(&format!("a merged pull request should contain it by {}", one.until), "  "));
    }
    lines
}
