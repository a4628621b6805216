//! The lines of an outcome that is not on the remote: where it is kept, and what brings it there.

use super::wrapped;
use crate::{model::ending::Ending, port::ending, verb::apply::Run};

/// Where the outcome is kept that is not on the remote. `thrown_away`: not here, whatever was written here.
pub(super) fn unrecorded(run: &Run, thrown_away: bool) -> Vec<String> {
    let carried = &run.carried;
    if carried.is_recorded() {
        return Vec::new();
    }
    let mut lines: Vec<String> =
        carried.lost.iter().map(|error| format!("! the outcome could not be kept here: {error}")).collect();
    let resume = format!("platformctl resume {}", carried.run);
    if thrown_away {
        let (host, run) = (&run.summary.host, &carried.run);
        let root = &carried.permit.plan().bound().target().host.root;
        let kept = match ending(&carried.ended) {
            Ending::Aborted => format!("the record has run {run} as open; nothing that runs on {host} was changed"),
            Ending::Ok | Ending::Failed | Ending::RolledBack | Ending::Unknown => {
                format!("the outcome stays on {host}, in {root}/runs/{run}/result.json")
            }
        };
        let words = format!("{kept}; `{resume}` records it from any clone or run, and needs nothing of this one");
        lines.extend(wrapped(&words, "  "));
        if let Some(first) = lines.iter_mut().find(|line| line.starts_with("  ")) {
            first.replace_range(..1, "!");
        }
    } else if carried.lost.is_some() {
        lines.push(format!("! {resume}"));
    } else {
        lines.push("! the outcome waits here and is delivered by the next command".to_owned());
    }
    lines
}
