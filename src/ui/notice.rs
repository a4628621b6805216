//! Notices as warnings.

use super::plural;
use crate::verb::notices::Notice;

/// The warning of a notice.
fn warning(notice: &Notice) -> String {
    match notice {
        Notice::Delivered(count) => format!("{} delivered that had waited here", plural(*count, "record")),
        Notice::Policy(note) | Notice::Words(note) => note.clone(),
        Notice::Baseline => {
            "this policy was recorded as the first one, the baseline: no review of it is proven".to_owned()
        }
        Notice::Unpinned(genesis) => {
            format!("the record is not pinned; in platform.yaml set state.genesis: {genesis}")
        }
        Notice::Future { record, now } => format!(
            "the newest record is from the future: its time is {record}, the clock here shows {now}; later records take its time"
        ),
        Notice::Undeliverable(count) => format!(
            "{} that can never be recorded: look into .git/platformctl/undelivered, then move it away",
            plural(*count, "result")
        ),
    }
}

/// The warnings of notices.
pub(super) fn warnings(notices: &[Notice]) -> Vec<String> {
    notices.iter().map(warning).collect()
}
