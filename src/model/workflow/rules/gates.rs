//! E7: what makes a gate open silently, a run hang, or a secret unreadable.

use super::{
    super::{
        super::{text::shown, yaml::Node},
        document::{Job, Workflow, is_automatic, is_bool, scalars, secret},
        expression::Expr,
        script,
    },
    report::Found,
};

/// Words of steps and commands that others rely on.
const GATES: &[&str] = &["validate", "lint", "test", "tests", "check", "verify", "plan", "apply", "gate"];

/// Labels that name no container.
const BARE: &[&str] = &["host", "self-hosted", "native", "bare-metal"];

pub(super) fn check(workflow: &Workflow, found: &mut Found<'_>) {
    names(workflow, found);
    for job in workflow.jobs() {
        inherited(job, found);
        timeout(job, found);
        labels(workflow, job, found);
        if let Some(go_on) = job.node.get("continue-on-error").filter(|go_on| !is_bool(go_on, false)) {
            found.on(go_on, GOES_ON, "remove `continue-on-error`");
        }
        for step in job.steps().iter().filter(|step| is_gate(step)) {
            if let Some(go_on) = step.get("continue-on-error").filter(|go_on| !is_bool(go_on, false)) {
                found.on(go_on, GOES_ON, "remove `continue-on-error`");
            }
        }
        for (_, run, text) in job.scripts() {
            forgiven(workflow, run, text, found);
        }
    }
}

const GOES_ON: &str = "the run is green although this failed";

/// Secrets whose name the server does not accept, so that they are always empty or something else.
fn names(workflow: &Workflow, found: &mut Found<'_>) {
    for value in scalars(&workflow.root) {
        for used in workflow.expressions(value) {
            let names = used.expr.iter().flat_map(Expr::mentions).filter_map(|path| secret(path));
            for name in names.filter(|name| !is_automatic(name)) {
                let reserved = ["forgejo_", "gitea_", "github_"].iter().any(|prefix| name.starts_with(prefix));
                if reserved || name.starts_with(|c: char| c.is_ascii_digit()) {
                    let upper = shown(&name.to_uppercase());
                    let fact =
                        format!("no secret can be named {upper}: the prefix is reserved, so this is always empty");
                    found.at(used.place, fact, "give the secret another name, such as PLATFORMCTL_TOKEN");
                }
            }
        }
    }
}

/// All secrets for a workflow of somebody else.
fn inherited(job: Job<'_>, found: &mut Found<'_>) {
    let remote = job.node.get("uses").and_then(Node::text).is_some_and(|uses| !uses.starts_with("./"));
    if let Some(secrets) = job.node.get("secrets").filter(|secrets| remote && secrets.text() == Some("inherit")) {
        found.on(secrets, "a workflow of another repository gets every secret", "name the secrets that it needs");
    }
}

fn timeout(job: Job<'_>, found: &mut Found<'_>) {
    let each = !job.steps().is_empty() && job.steps().iter().all(|step| step.get("timeout-minutes").is_some());
    if job.node.get("timeout-minutes").is_none() && job.node.get("uses").is_none() && !each {
        let fact = format!("the job `{}` may hang for hours: it has no `timeout-minutes`", shown(&job.key.name));
        found.at((job.key.line, job.key.column), fact, "add `timeout-minutes:` to the job");
    }
}

fn labels(workflow: &Workflow, job: Job<'_>, found: &mut Found<'_>) {
    let Some(runs_on) = job.node.get("runs-on") else { return };
    let labels = runs_on.get("labels").unwrap_or(runs_on);
    for label in scalars(labels) {
        let text = label.text().unwrap_or_default();
        if BARE.contains(&text) || text.ends_with(":host") {
            let fact = format!(
                "`{}` names a machine, not a container: what one run leaves is there for the next",
                shown(text)
            );
            found.on(label, fact, "use a label of a container, such as `docker`");
        }
        if let Some(used) = workflow
            .expressions(label)
            .into_iter()
            .find(|used| used.expr.as_ref().is_none_or(|expr| expr.flows().iter().any(|path| chosen(path))))
        {
            found.at(used.place, "whoever starts the run chooses the machine", "write the label itself");
        }
    }
}

fn chosen(path: &[super::super::expression::Part]) -> bool {
    ["inputs", "github.event"]
        .iter()
        .any(|one| super::super::expression::touches(path, &super::super::expression::path(one)))
}

/// Whether others rely on how a step ends: by its name, or by a command in it.
fn is_gate(step: &Node) -> bool {
    let words = ["name", "id"].iter().filter_map(|key| step.get(key)?.text());
    let named = words.flat_map(|text| text.split(|c: char| !c.is_alphanumeric())).any(is_gate_word);
    let text = step.get("run").and_then(Node::text).unwrap_or_default();
    named || script::commands(text).iter().any(|command| gates(&command.words))
}

fn is_gate_word(word: &str) -> bool {
    GATES.contains(&word.to_lowercase().as_str())
}

/// Whether a command is a gate: platformctl, or a program that is told to check something.
fn gates(words: &[String]) -> bool {
    let ours = words.iter().any(|word| {
        let word = script::bare(word);
        word == "platformctl" || word.ends_with("/platformctl") || word.contains("$(platformctl ")
    });
    // `test` as a program is the shell's own.
    ours || words.iter().skip(1).any(|word| is_gate_word(&script::bare(word)))
}

/// Failures that a script does not look at.
fn forgiven(workflow: &Workflow, run: &Node, text: &str, found: &mut Found<'_>) {
    for command in script::commands(text).iter().filter(|command| gates(&command.words)) {
        let otherwise = command.otherwise.as_deref().unwrap_or_default().join(" ");
        if matches!(otherwise.as_str(), "true" | ":" | "exit 0" | "/bin/true") {
            let place = workflow.place_of(run, &command.words.join(" "), 0);
            let fact = format!(
                "`{}` may fail, and the run is green: `{otherwise}` stands behind it",
                shown(&command.words.join(" "))
            );
            found.at(
                place,
                fact,
                "let it fail; for `--exit-code`, name the one code that is no failure: `|| [ $? = 4 ]`",
            );
        }
    }
    let mut off = false;
    for command in script::commands(text) {
        let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
        off = match words.as_slice() {
            ["set", "+e", ..] | ["set", "+o", "errexit", ..] => true,
            ["set", "-e", ..] | ["set", "-o", "errexit", ..] => false,
            _ => off,
        };
        if off && gates(&command.words) {
            let place = workflow.place_of(run, &command.words.join(" "), 0);
            return found.at(place, "after `set +e` the script goes on although this failed", "remove `set +e`");
        }
    }
}
