//! E1: text that others choose, put into a script by the runner before the shell sees it.

use super::{
    super::{
        super::{text::shown, yaml::Node},
        document::{Job, Used, Workflow},
        expression::{Expr, Part, Path, path, touches, written},
    },
    report::Found,
};

/// Keys of the forge's context that nobody can put a script into: ids, numbers, and what the server or the runner set.
const SAFE: &[&str] = &[
    "sha",
    "run_id",
    "run_number",
    "run_attempt",
    "event_name",
    "server_url",
    "api_url",
    "graphql_url",
    "workspace",
    "action",
    "action_path",
    "job",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "actor_id",
    "event_path",
    "ref_type",
    "ref_protected",
    "workflow_sha",
    "retention_days",
    "token",
    "output",
    "env",
    "path",
    "state",
];

/// Ends of paths into the event that hold no text of anybody.
const SAFE_ENDS: &[&str] = &[
    "number",
    "id",
    "sha",
    "before",
    "after",
    "node_id",
    "merge_commit_sha",
    "merge_base",
    "created_at",
    "updated_at",
    "closed_at",
    "merged_at",
    "merged",
    "draft",
    "mergeable",
    "additions",
    "deletions",
    "changed_files",
    "comments",
    "action",
    "created",
    "deleted",
    "forced",
];

/// How far values are followed through `env`, `needs` and `matrix`.
const HOPS_MAX: usize = 8;

/// Inputs of actions that are scripts.
const SCRIPTS: &[&str] = &["script", "run", "command", "cmd", "inline-script"];

pub(super) fn check(workflow: &Workflow, found: &mut Found<'_>) {
    defaults(workflow, None, &workflow.root, found);
    for job in workflow.jobs() {
        defaults(workflow, Some(job), job.node, found);
        for step in job.steps() {
            let of_step = ["run", "shell", "working-directory"].iter().filter_map(|key| Some((*key, step.get(key)?)));
            let with = step.get("with").map(Node::entries).unwrap_or_default();
            let scripts = with.iter().filter(|(key, _)| SCRIPTS.contains(&key.name.to_lowercase().as_str()));
            let scripts = scripts.map(|(key, value)| (key.name.as_str(), value));
            for (key, value) in of_step.chain(scripts) {
                place(workflow, Some(job), Some(step), key, value, found);
            }
        }
    }
}

fn defaults(workflow: &Workflow, job: Option<Job<'_>>, node: &Node, found: &mut Found<'_>) {
    let run = node.get("defaults").and_then(|defaults| defaults.get("run"));
    for (key, value) in run.map(Node::entries).unwrap_or_default() {
        place(workflow, job, None, &key.name, value, found);
    }
}

/// Judges one text that a shell reads.
fn place(
    workflow: &Workflow,
    job: Option<Job<'_>>,
    step: Option<&Node>,
    key: &str,
    value: &Node,
    found: &mut Found<'_>,
) {
    let tainted = Tainted { workflow, job, step };
    for Used { inner, expr, place } in workflow.expressions(value) {
        let Some(expr) = expr else { continue };
        if let Some(source) = tainted.source(&expr, 0) {
            let fact = format!("`{key}` contains {}, whose text others choose: {}", source, shown(inner.trim()));
            let fix = format!(
                "put it into `env:` of this step, as `X: ${{{{ {} }}}}`, and write \"$X\" here",
                shown(inner.trim())
            );
            found.at(place, fact, fix);
        }
    }
}

/// Follows values to where they come from.
struct Tainted<'w> {
    workflow: &'w Workflow,
    job: Option<Job<'w>>,
    step: Option<&'w Node>,
}

impl Tainted<'_> {
    /// The first context in the value whose text others choose.
    fn source(&self, expr: &Expr, hops: usize) -> Option<String> {
        expr.flows().into_iter().find_map(|path| self.of_path(path, hops))
    }

    fn of_path(&self, found: &Path, hops: usize) -> Option<String> {
        let [Part::Name(context), rest @ ..] = found.as_slice() else { return None };
        match context.as_str() {
            "github" => is_chosen(found).then(|| written(found)),
            "inputs" => Some(written(found)),
            "env" | "needs" | "matrix" if hops >= HOPS_MAX => Some(written(found)),
            "env" => {
                let scopes = [self.step, self.job.map(|job| job.node), Some(&self.workflow.root)];
                let values = scopes.into_iter().flatten().filter_map(|scope| scope.get("env")).flat_map(Node::entries);
                let named = values.filter(|(key, _)| is_at(rest, &key.name)).map(|(_, value)| value);
                self.of_values(found, named.collect(), hops)
            }
            "needs" => {
                let [job, _, output @ ..] = rest else { return None };
                let jobs = self.workflow.jobs();
                let jobs = jobs.iter().filter(|other| is_at(std::slice::from_ref(job), &other.key.name));
                let outputs = jobs.filter_map(|job| job.node.get("outputs")).flat_map(Node::entries);
                let named = outputs.filter(|(key, _)| is_at(output, &key.name)).map(|(_, value)| value);
                self.of_values(found, named.collect(), hops)
            }
            "matrix" => {
                let matrix = self.job?.node.get("strategy")?.get("matrix")?;
                self.of_values(found, super::super::document::scalars(matrix), hops)
            }
            _ => None,
        }
    }

    fn of_values(&self, from: &Path, values: Vec<&Node>, hops: usize) -> Option<String> {
        let expressions = values.into_iter().flat_map(|value| self.workflow.expressions(value));
        let chosen = expressions.filter_map(|used| used.expr).find_map(|expr| self.source(&expr, hops + 1));
        chosen.map(|source| format!("{} ({source})", written(from)))
    }
}

/// Whether the next part of a path leads to a key; keys of contexts have no case.
fn is_at(rest: &[Part], key: &str) -> bool {
    match rest.first() {
        Some(Part::Name(name)) => *name == key.to_lowercase(),
        Some(Part::Any) | None => true,
    }
}

/// Whether a path of the forge's context holds text that somebody chooses: everything but what is known to be safe.
fn is_chosen(found: &Path) -> bool {
    let event = path("github.event");
    if touches(found, &event) && found.len() > 1 {
        let last = found.last();
        return !matches!(last, Some(Part::Name(name)) if found.len() > 2 && SAFE_ENDS.contains(&name.as_str()))
            || touches(found, &path("github.event.inputs"));
    }
    !matches!(found.get(1), Some(Part::Name(name)) if SAFE.contains(&name.as_str()))
}
