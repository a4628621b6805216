//! E5: the action that puts the repository into the workspace.

use super::{
    super::{
        super::yaml::Node,
        document::{Job, Workflow, is_bool, scalars, secret},
        expression::{path, touches},
    },
    report::Found,
};

/// What a starter of the run, or the author of a pull request, chooses.
const CHOSEN: &[&str] = &[
    "inputs",
    "github.event.inputs",
    "github.head_ref",
    "github.ref",
    "github.ref_name",
    "github.event.pull_request.head",
    "github.event.client_payload",
    "github.event.comment",
    "github.event.issue",
];

pub(super) fn check(workflow: &Workflow, found: &mut Found<'_>) {
    for job in workflow.jobs() {
        for step in job.steps().iter().filter(|step| is_checkout(step)) {
            credentials(step, found);
            reference(workflow, job, step, found);
        }
    }
}

/// Whether a step is the action `actions/checkout`, wherever it is taken from.
fn is_checkout(step: &Node) -> bool {
    let uses = step.get("uses").and_then(Node::text).unwrap_or_default().to_lowercase();
    let address = uses.split('@').next().unwrap_or_default().trim_end_matches('/').trim_end_matches(".git");
    address == "actions/checkout" || address.ends_with("/actions/checkout")
}

fn credentials(step: &Node, found: &mut Found<'_>) {
    let kept = step.get("with").and_then(|with| with.get("persist-credentials"));
    if kept.is_some_and(|kept| is_bool(kept, false)) {
        return;
    }
    let place = kept.or_else(|| step.get("uses")).unwrap_or(step);
    let fact = "the checkout leaves the token of the run in a file that every later step can read";
    found.on(place, fact, "write `with: {persist-credentials: false}`; platformctl hands git the token itself");
}

fn reference(workflow: &Workflow, job: Job<'_>, step: &Node, found: &mut Found<'_>) {
    let with = step.get("with");
    let values = ["ref", "repository"].into_iter().filter_map(|key| with?.get(key));
    let target = workflow.starts_on("pull_request_target");
    for value in values {
        let chosen = workflow.expressions(value).into_iter().find(|used| {
            let Some(expr) = &used.expr else { return true };
            let flows = expr.flows();
            flows.iter().any(|found| CHOSEN.iter().any(|one| touches(found, &path(one))))
        });
        let pull = value.text().is_some_and(|text| text.contains("refs/pull/"));
        let place = chosen.as_ref().map_or((value.line, value.column), |used| used.place);
        if target && (chosen.is_some() || pull) {
            let fact =
                "`pull_request_target` has the secrets of the repository, and this checks out what a stranger wrote";
            found.at(place, fact, "use `pull_request`, or do not check out the head of the pull request");
        } else if chosen.is_some() && has_secrets(workflow, job) {
            let fact = "whoever starts the run chooses the code, and this job has secrets";
            found.at(place, fact, format!("write `ref: {}`; name what to apply to platformctl instead", workflow.base));
        }
    }
}

/// Whether anything in the job, or in the environment of the workflow, is a secret; also the token of the run.
fn has_secrets(workflow: &Workflow, job: Job<'_>) -> bool {
    let values = workflow.root.get("env").into_iter().chain([job.node]).flat_map(scalars);
    let used = values.flat_map(|value| workflow.expressions(value)).filter_map(|used| used.expr);
    used.into_iter().any(|expr| expr.mentions().into_iter().any(|path| secret(path).is_some()))
}
