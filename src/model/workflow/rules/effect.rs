//! E3: keys that Forgejo accepts and does not carry out.

use super::{super::document::Workflow, report::Found};

/// Key, whether it may stand at the workflow as well, and what one would believe.
const IGNORED: &[(&str, bool, &str)] = &[
    ("environment", false, "nobody is asked before the job runs, and no secret is kept for it"),
    ("permissions", true, "the token of the run may do what it always may"),
    ("concurrency", false, "two runs of the job still overlap"),
];

pub(super) fn check(workflow: &Workflow, found: &mut Found<'_>) {
    let jobs = workflow.jobs();
    let places = jobs.iter().map(|job| (job.node, false)).chain([(&workflow.root, true)]);
    for (node, whole) in places {
        for (key, _) in node.entries() {
            let ignored = IGNORED.iter().find(|(name, both, _)| *name == key.name && (*both || !whole));
            if let Some((name, _, truth)) = ignored {
                let fact = format!("`{name}` has no effect here: {truth}");
                let fix = match *name {
                    "concurrency" => "move it to the top of the file, with `cancel-in-progress: false`",
                    "environment" => "remove it; what must be approved is what platformctl asks reviews for",
                    _ => "remove it; give a step its own narrow token where the automatic one may do too much",
                };
                found.at((key.line, key.column), fact, fix);
            }
        }
    }
}
