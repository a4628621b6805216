//! E6: secrets that reach more than the one step that needs them.

use std::collections::BTreeSet;

use super::{
    super::{
        super::{text::shown, yaml::Node},
        document::{Job, Used, Workflow, is_automatic, is_whole_context, scalars, secret},
        expression::{Expr, Part},
        script::{self, Command},
    },
    report::Found,
};

/// Commands of the shell itself: their arguments are in no list of processes.
const BUILTINS: &[&str] = &[
    "echo", "printf", "[", "[[", "test", "export", "read", ":", "case", "local", "declare", "readonly", "umask", "set",
    "unset", "trap", "return", "true", "false",
];

pub(super) fn check(workflow: &Workflow, found: &mut Found<'_>) {
    wide(workflow, &workflow.root, "workflow", found);
    whole_contexts(workflow, found);
    for job in workflow.jobs() {
        wide(workflow, job.node, "job", found);
        if let Some(container) = job.node.get("container") {
            wide(workflow, container, "container", found);
        }
        on_pull_requests(workflow, job, found);
        for (step, run, text) in job.scripts() {
            written_out(workflow, run, found);
            let names = secret_names(workflow, job, step);
            traced(workflow, run, step, text, found);
            for command in script::commands(text) {
                printed(workflow, run, &command, &names, found);
            }
        }
    }
}

/// The first secret in a value.
fn secret_in(expr: &Expr) -> Option<String> {
    expr.flows().into_iter().find_map(|path| secret(path))
}

/// Secrets in an environment that every step has.
fn wide(workflow: &Workflow, node: &Node, what: &str, found: &mut Found<'_>) {
    for (_, value) in node.get("env").map(Node::entries).unwrap_or_default() {
        for Used { expr, place, .. } in workflow.expressions(value) {
            if let Some(name) = expr.as_ref().and_then(secret_in) {
                let fact = format!(
                    "every step of the {what}, and every action in it, gets the secret {}",
                    shown(&name.to_uppercase())
                );
                found.at(place, fact, "move it to the `env:` of the one step that needs it");
            }
        }
    }
}

/// `toJSON(github)` and the like hold the token; `toJSON(secrets)` all secrets.
fn whole_contexts(workflow: &Workflow, found: &mut Found<'_>) {
    for value in scalars(&workflow.root) {
        for Used { expr, place, .. } in workflow.expressions(value) {
            let whole = expr.iter().flat_map(Expr::flows).find(|path| is_whole_context(path)).cloned();
            if let Some(whole) = whole {
                let name = super::super::expression::written(&whole);
                let fact = format!("the whole context `{name}` holds secrets or the token of the run");
                found.at(place, fact, "name the one value that is needed");
            }
        }
    }
}

/// Secrets in a job that runs what a pull request says.
fn on_pull_requests(workflow: &Workflow, job: Job<'_>, found: &mut Found<'_>) {
    if workflow.pull_request_events().is_empty() || excludes_pull_requests(workflow, job.node) {
        return;
    }
    let own = job.node.entries().iter().filter(|(key, _)| key.name != "steps").map(|(_, value)| value);
    let steps = job.steps().iter().filter(|step| !excludes_pull_requests(workflow, step));
    for value in own.chain(steps).flat_map(scalars) {
        for Used { expr, place, .. } in workflow.expressions(value) {
            let names = expr.iter().flat_map(Expr::mentions).filter_map(|path| secret(path));
            if let Some(name) = names.into_iter().find(|name| !is_automatic(name)) {
                let fact = format!(
                    "a pull request of this repository runs this file as it changed it, and reads {}",
                    shown(&name.to_uppercase())
                );
                found.at(
                    place,
                    fact,
                    "use the token of the run alone here; keep secrets to workflows of the base branch",
                );
            }
        }
    }
}

/// Whether an `if` keeps pull requests out: `event_name != 'pull_request'`, or equal to another event.
fn excludes_pull_requests(workflow: &Workflow, node: &Node) -> bool {
    let condition = node.get("if").and_then(|node| workflow.condition(node));
    condition.is_some_and(|condition| {
        condition.demands().into_iter().any(|demand| {
            let Expr::Equal(equal, left, right) = demand else { return false };
            [(left, right), (right, left)].into_iter().any(|(one, other)| match (&**one, &**other) {
                (Expr::Context(path, _), Expr::Text(text)) => {
                    let pull = text.starts_with("pull_request");
                    let only = workflow.pull_request_events().iter().all(|event| event.name == text);
                    path.last() == Some(&Part::Name("event_name".to_owned())) && if *equal { !pull } else { only }
                }
                _ => false,
            })
        })
    })
}

/// A secret in the text of a script: it is in a file, in its error messages, and in a list of processes.
fn written_out(workflow: &Workflow, run: &Node, found: &mut Found<'_>) {
    for Used { expr, place, .. } in workflow.expressions(run) {
        if let Some(name) = expr.as_ref().and_then(secret_in) {
            let fact = format!("the secret {} becomes part of the script's text", shown(&name.to_uppercase()));
            found.at(place, fact, "put it into `env:` of this step, and write \"$NAME\" here");
        }
    }
}

/// The variables of a step that hold a secret.
fn secret_names(workflow: &Workflow, job: Job<'_>, step: &Node) -> BTreeSet<String> {
    let scopes = [&workflow.root, job.node, step];
    let values = scopes.into_iter().filter_map(|scope| scope.get("env")).flat_map(Node::entries);
    let held = values.filter(|(_, value)| {
        workflow.expressions(value).iter().filter_map(|used| used.expr.as_ref()).any(|expr| secret_in(expr).is_some())
    });
    let automatic = ["FORGEJO_TOKEN", "GITHUB_TOKEN", "GITEA_TOKEN"].map(str::to_owned);
    held.map(|(key, _)| key.name.clone()).chain(automatic).collect()
}

/// `set -x` prints every command with the values of its variables.
fn traced(workflow: &Workflow, run: &Node, step: &Node, text: &str, found: &mut Found<'_>) {
    const FIX: &str = "remove it: a script that prints its commands prints the values in them";
    let traces = |words: &[String]| {
        let flag = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.contains('x');
        match words.first().map(String::as_str) {
            Some("set") => words.iter().any(|word| flag(word) || word == "xtrace"),
            Some("bash" | "sh" | "dash") => words.get(1).is_some_and(flag),
            _ => false,
        }
    };
    for command in script::commands(text).iter().filter(|command| traces(&command.words)) {
        let place = workflow.place_of(run, &command.words.join(" "), 0);
        found.at(place, "this prints every command with its values", FIX);
    }
    if let Some(shell) = step.get("shell") {
        let words: Vec<String> = shell.text().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        if traces(&words) {
            found.on(shell, "this shell prints every command with its values", FIX);
        }
    }
}

/// A secret that a command prints, or that stands in its arguments.
fn printed(workflow: &Workflow, run: &Node, command: &Command, names: &BTreeSet<String>, found: &mut Found<'_>) {
    let assigns = |word: &String| {
        let name = word.split('=').next().unwrap_or_default();
        word.contains('=') && !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let begin = command.words.iter().position(|word| !assigns(word));
    let Some((program, args)) = begin.and_then(|begin| command.words[begin..].split_first()) else { return };
    for name in names {
        let Some(word) = args.iter().find(|word| script::uses(&unquoted_single(word), name)) else { continue };
        let place = workflow.place_of(run, word, 0);
        let public = command.target.as_deref().is_some_and(|target| {
            ["OUTPUT", "ENV", "STEP_SUMMARY", "STATE"].iter().any(|end| target.contains(&format!("_{end}")))
                || target.contains("/dev/std")
        });
        let prints = matches!(script::bare(program).as_str(), "echo" | "printf");
        if prints && args.iter().any(|word| word.contains("::add-mask::")) {
            continue;
        }
        if prints && (!command.redirected || public) {
            let fact = format!("the value of {name} is printed, or kept for other steps");
            found.at(place, fact, "remove it; to give it to a program, use its environment or standard input");
        } else if !BUILTINS.contains(&script::bare(program).as_str()) {
            let fact =
                format!("the value of {name} is in the arguments of {}, which every process can read", shown(program));
            found.at(place, fact, "give it by the environment, a file of mode 0600, or standard input");
        }
    }
}

/// A word without what stands in single quotes, which no shell expands.
fn unquoted_single(word: &str) -> String {
    word.split('\'').step_by(2).collect::<Vec<_>>().join("")
}
