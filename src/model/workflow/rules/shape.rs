//! E8: what the server or the runner does not read as it is meant.

use super::{
    super::{
        super::{near::did_you_mean, text::shown, yaml::Node},
        document::{Job, Workflow, scalars},
    },
    report::Found,
};

const WORKFLOW: &[&str] =
    &["name", "run-name", "on", "env", "defaults", "concurrency", "jobs", "permissions", "enable-openid-connect"];
const JOB: &[&str] = &[
    "name",
    "needs",
    "permissions",
    "environment",
    "concurrency",
    "if",
    "runs-on",
    "outputs",
    "env",
    "defaults",
    "steps",
    "timeout-minutes",
    "strategy",
    "continue-on-error",
    "container",
    "services",
    "uses",
    "with",
    "secrets",
    "enable-openid-connect",
];
const STEP: &[&str] = &[
    "id",
    "if",
    "name",
    "uses",
    "run",
    "shell",
    "working-directory",
    "with",
    "env",
    "continue-on-error",
    "timeout-minutes",
];
const CONCURRENCY: &[&str] = &["group", "cancel-in-progress"];
const CONTAINER: &[&str] = &["image", "credentials", "env", "ports", "volumes", "options", "cmd"];
const STRATEGY: &[&str] = &["matrix", "fail-fast", "max-parallel"];
const RUN: &[&str] = &["shell", "working-directory"];
const INPUT: &[&str] = &["description", "required", "default", "type", "options", "deprecationMessage"];
const PUSH: &[&str] = &["branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore", "types"];

pub(super) fn check(workflow: &Workflow, found: &mut Found<'_>) {
    let root = &workflow.root;
    if root.entries().is_empty() {
        return found.on(root, "this is no workflow: its top is not a mapping", "begin with `on:` and `jobs:`");
    }
    keys(root, WORKFLOW, "a workflow", found);
    parts(root, found);
    if workflow.events().is_empty() {
        found.on(root, "nothing starts this workflow: there is no `on`", "add `on:` with an event");
    }
    for event in workflow.events() {
        let Some(node) = event.node else { continue };
        match event.name {
            "push" | "pull_request" | "pull_request_target" => keys(node, PUSH, "an event", found),
            "workflow_dispatch" => {
                keys(node, &["inputs"], "workflow_dispatch", found);
                for (_, input) in node.get("inputs").map(Node::entries).unwrap_or_default() {
                    keys(input, INPUT, "an input", found);
                }
            }
            _ => {}
        }
    }
    if workflow.jobs().is_empty() {
        found.on(root, "this workflow has no job", "add `jobs:` with a job");
    }
    for job in workflow.jobs() {
        of_job(workflow, job, found);
    }
    for value in scalars(root) {
        for used in workflow.expressions(value).into_iter().filter(|used| used.expr.is_none()) {
            let fact = match used.inner {
                "" => "this text is too large, or holds too many expressions".to_owned(),
                inner => format!("this expression is not understood: ${{{{{}", shown(inner)),
            };
            found.at(
                used.place,
                fact,
                "write it as the documentation of Forgejo Actions has it; text stands in single quotes",
            );
        }
    }
}

fn of_job(workflow: &Workflow, job: Job<'_>, found: &mut Found<'_>) {
    let place = (job.key.line, job.key.column);
    let name = shown(&job.key.name);
    keys(job.node, JOB, "a job", found);
    parts(job.node, found);
    let remote = job.node.get("uses").is_some();
    if !remote && job.node.get("runs-on").is_none() {
        found.at(place, format!("the job `{name}` has no `runs-on`"), "add the label of a runner: `runs-on: docker`");
    }
    if !remote && job.steps().is_empty() {
        found.at(place, format!("the job `{name}` has no steps"), "add `steps:`");
    }
    let needs = job.node.get("needs").into_iter().flat_map(scalars);
    for need in needs {
        let jobs = workflow.jobs();
        let known = jobs.iter().map(|job| job.key.name.as_str());
        let text = need.text().unwrap_or_default();
        if !known.clone().any(|known| known == text) {
            let fix = did_you_mean(text, known, "name a job of this file");
            found.on(need, format!("there is no job `{}`", shown(text)), fix);
        }
    }
    for step in job.steps() {
        keys(step, STEP, "a step", found);
        match (step.get("run").is_some(), step.get("uses").is_some()) {
            (true, true) => found.on(step, "a step has either `run` or `uses`", "make it two steps"),
            (false, false) => found.on(step, "a step has `run` or `uses`, and this one has neither", "add one"),
            (true, false) | (false, true) => {}
        }
    }
    for (_, service) in job.node.get("services").map(Node::entries).unwrap_or_default() {
        keys(service, CONTAINER, "a service", found);
    }
}

/// What a workflow and a job both have.
fn parts(node: &Node, found: &mut Found<'_>) {
    let of = |key: &str| node.get(key);
    for (value, known, what) in [
        (of("concurrency"), CONCURRENCY, "concurrency"),
        (of("container"), CONTAINER, "a container"),
        (of("strategy"), STRATEGY, "strategy"),
        (of("defaults"), &["run"], "defaults"),
        (of("defaults").and_then(|defaults| defaults.get("run")), RUN, "defaults.run"),
    ] {
        if let Some(value) = value {
            keys(value, known, what, found);
        }
    }
}

fn keys(node: &Node, known: &[&str], what: &str, found: &mut Found<'_>) {
    for (key, _) in node.entries() {
        if !known.contains(&key.name.as_str()) {
            let name = shown(&key.name);
            let fix = did_you_mean(&key.name, known, &format!("one of: {}", known.join(", ")));
            found.at((key.line, key.column), format!("`{name}` is no key of {what}"), fix);
        }
    }
}
