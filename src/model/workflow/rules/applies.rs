//! E4: a workflow that changes hosts: one run at a time, never cancelled, and only of what is merged.

use super::{
    super::{
        super::{text::shown, yaml::Node},
        document::{Event, Job, Workflow, is_bool},
        expression::{Expr, Part, Path, path, touches},
        script,
    },
    report::Found,
};

/// Verbs of platformctl that change a host, or end a run that did.
const VERBS: &[&str] = &["apply", "resume", "abandon", "rollback", "remove", "prune", "adopt"];

/// Options of platformctl that are followed by a value.
const VALUED: &[&str] = &["-C", "--remote", "--base"];

pub(super) fn check(workflow: &Workflow, found: &mut Found<'_>) {
    let Some(what) = workflow.jobs().into_iter().find_map(applies) else { return };
    concurrency(workflow, &what, found);
    for event in workflow.events() {
        event_of(workflow, &event, &what, found);
    }
    if workflow.starts_on("workflow_dispatch") {
        for job in workflow.jobs().into_iter().filter(|job| applies(*job).is_some() && !is_guarded(workflow, *job)) {
            let fact =
                format!("whoever starts this by hand chooses the branch whose file runs, and this runs `{what}`");
            let fix = format!(
                "add `if: forgejo.ref == 'refs/heads/{}'` to the job: it stops mistakes, not attacks",
                workflow.base
            );
            found.advise((job.key.line, job.key.column), fact, fix);
        }
    }
}

/// The command of a job that changes hosts, if it has one.
fn applies(job: Job<'_>) -> Option<String> {
    job.scripts().find_map(|(_, _, text)| {
        let ours = script::calls(text, "platformctl").into_iter().find_map(|words| {
            let verb = verb(&words)?;
            VERBS.contains(&verb).then(|| format!("platformctl {verb}"))
        });
        ours.or_else(|| {
            let docker = script::calls(text, "docker");
            let joined = docker.into_iter().map(|words| words.join(" "));
            joined.into_iter().find_map(|words| {
                let up = words.starts_with("compose ") && words.split(' ').any(|word| matches!(word, "up" | "down"));
                (up || words.starts_with("stack deploy")).then(|| format!("docker {}", shown(&words)))
            })
        })
    })
}

/// The verb of a call of platformctl: its first word that is no option.
pub(super) fn verb(words: &[String]) -> Option<&str> {
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if VALUED.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            return Some(word);
        }
    }
    None
}

fn concurrency(workflow: &Workflow, what: &str, found: &mut Found<'_>) {
    let Some(said) = workflow.root.get("concurrency") else {
        let place = workflow.root.place(&["jobs"]);
        let fact = format!("two runs of `{what}` may overlap: the workflow has no `concurrency`");
        return found.at(place, fact, "add `concurrency: {group: apply, cancel-in-progress: false}` at the top");
    };
    let group = said.get("group");
    match said.get("cancel-in-progress") {
        Some(cancel) if is_bool(cancel, false) => {}
        Some(cancel) => found.on(
            cancel,
            format!("a newer run kills a running `{what}` without a signal that it could catch"),
            "write `cancel-in-progress: false`",
        ),
        None => found.at(
            workflow.root.place(&["concurrency"]),
            "without `cancel-in-progress: false` a newer push kills this run, and dispatched runs overlap",
            "write `cancel-in-progress: false` beside `group`",
        ),
    }
    let Some(group) = group else {
        return found.at(
            workflow.root.place(&["concurrency"]),
            "`concurrency` has no `group`, so runs do not wait for each other",
            "write `group: apply` beside `cancel-in-progress: false`",
        );
    };
    for used in workflow.expressions(group) {
        let own = ["github.run_id", "github.run_number", "github.run_attempt", "github.sha", "inputs"].map(path);
        let alone =
            used.expr.is_some_and(|expr| expr.flows().iter().any(|found| own.iter().any(|one| touches(found, one))));
        if alone {
            found.at(used.place, "each run has a `concurrency` group of its own", "write a fixed name: `group: apply`");
        }
    }
}

fn event_of(workflow: &Workflow, event: &Event<'_>, what: &str, found: &mut Found<'_>) {
    let base = &workflow.base;
    match event.name {
        "push" => {
            let branches = event.node.and_then(|node| node.get("branches")).map(list).unwrap_or_default();
            if branches.is_empty() || branches.iter().any(|branch| branch != base) {
                let fact = format!("a push to any branch but {} starts `{what}`", shown(base));
                found.at(event.place, fact, format!("limit it: `push: {{branches: [{}]}}`", shown(base)));
            }
        }
        "workflow_dispatch" | "schedule" | "workflow_call" => {}
        name => {
            let fact =
                format!("`{}` starts `{what}` with what is not merged, or by anyone who can write there", shown(name));
            found.at(event.place, fact, "start it by `workflow_dispatch`, or by a push to the base branch");
        }
    }
}

/// A value that is one text or a list of them.
fn list(node: &Node) -> Vec<String> {
    node.text().into_iter().chain(node.items().iter().filter_map(Node::text)).map(str::to_owned).collect()
}

/// Whether the job, or each of its steps that has a command, asks for the base branch.
fn is_guarded(workflow: &Workflow, job: Job<'_>) -> bool {
    let condition = job.node.get("if").and_then(|node| workflow.condition(node));
    let is_ref = |path: &Path| {
        matches!(path.as_slice(), [Part::Name(first), Part::Name(second)]
            if first == "github" && (second == "ref" || second == "ref_name"))
    };
    condition.is_some_and(|condition| {
        condition.demands().into_iter().any(|demand| {
            let Expr::Equal(true, left, right) = demand else { return false };
            [(left, right), (right, left)].into_iter().any(|(one, other)| match (&**one, &**other) {
                (Expr::Context(path, _), Expr::Text(text)) => {
                    is_ref(path) && text.strip_prefix("refs/heads/").unwrap_or(text) == workflow.base
                }
                _ => false,
            })
        })
    })
}
