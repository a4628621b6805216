//! The table of rules, and what runs it.

use std::fmt::Write as _;

use super::{
    super::{document::Workflow, finding::Finding},
    applies, checkout, effect, gates, inject, pins,
    report::Found,
    secrets, shape,
};

/// A rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name, which never changes.
    pub id: &'static str,
    /// What it finds.
    pub what: &'static str,
    /// Why that is wrong.
    pub why: &'static str,
    /// What cures it.
    pub fix: &'static str,
    check: fn(&Workflow, &mut Found<'_>),
}

/// Declares the rules.
macro_rules! rules {
    ($($id:literal $check:path: $what:literal, $why:literal, $fix:literal)*) => {
        /// Every rule.
        pub const RULES: &[Rule] =
            &[$(Rule { id: $id, what: $what, why: $why, fix: $fix, check: $check },)*];
    };
}

rules! {
    "E1" inject::check:
        "An expression with text that others choose in `run`, `shell`, `working-directory` or the script of an action: inputs, titles, bodies, branch names, messages, names of people. Values are followed through `env`, `needs` and `matrix`.",
        "The runner puts the text into the script before the shell reads it: a pull request named `$(curl …)` runs a command with the secrets of the job. The server checks neither the type nor the choices of an input.",
        "Put the expression into `env:` of the step and write `\"$NAME\"` in the script."
    "E2" pins::check:
        "`uses:` that is not `https://HOST/OWNER/NAME@COMMIT` with 40 or 64 hexadecimal digits, or an image without `@sha256:`.",
        "Whoever can move the tag runs code in the job. A name without a host is looked up wherever the server's `DEFAULT_ACTIONS_URL` says.",
        "Write the whole address and the commit; for an image its digest. Files of this repository (`./…`) are fine."
    "E3" effect::check:
        "`environment:`, `permissions:`, and `concurrency:` of a job.",
        "Forgejo accepts these keys and does nothing: nobody is asked for approval, the token keeps its rights, and jobs overlap.",
        "Remove them; `concurrency:` works at the top of the file."
    "E4" applies::check:
        "A workflow that changes hosts (`platformctl apply`, `resume`, …, `docker compose up`) without `concurrency: {group: …, cancel-in-progress: false}`; one that a pull request starts, or a push to another branch than the base. Advice: a dispatched job without `if: forgejo.ref == 'refs/heads/main'`.",
        "Without the explicit `false`, dispatched runs overlap, and a newer push kills a running apply without a signal that it could catch. The branch of a dispatch is the choice of who starts it.",
        "Write both keys of `concurrency`; start it by `workflow_dispatch` or by a push to the base branch."
    "E5" checkout::check:
        "`actions/checkout` without `persist-credentials: false`; with a `ref` that the starter of the run chooses, in a job with secrets; with the head of a pull request under `pull_request_target`.",
        "The token of the run may write to the repository, and would lie in a file that every later step can read. Code that a stranger chose would run beside secrets.",
        "Write `persist-credentials: false` and `ref: main`; platformctl hands git the token by itself."
    "E6" secrets::check:
        "A secret in the `env:` of a workflow, job or container, in a job that pull requests start, in the text of a script, in the arguments of a program; `echo` of a secret, `set -x`, and the whole contexts `github` and `secrets`.",
        "Every step, and every action in it, would have the secret; every process of the machine can read arguments; logs are kept. A pull request from a branch of the repository runs the workflow as it changed it.",
        "Give a secret to one step by its `env:`, and to a program by its environment, a file or standard input."
    "E7" gates::check:
        "Names of secrets that the server does not accept (`FORGEJO_…`, `GITEA_…`, `GITHUB_…`, digits); `secrets: inherit` for a workflow of another repository; `continue-on-error` and `|| true` where others rely on the result; no `timeout-minutes`; labels of bare machines or labels that an input chooses.",
        "A secret of such a name is always empty. A check that may fail silently is no check. A run that hangs holds up every later one of its group for hours.",
        "Rename the secret, let the step fail, and give each job `timeout-minutes`."
    "E8" shape::check:
        "A file that is not YAML, keys that are there twice or are not known, expressions that are not understood, a job without steps or label; and workflows in a folder that the server does not look at.",
        "A file that the server cannot read starts nothing, without a word on the pull request. Of `.forgejo/workflows`, `.gitea/workflows` and `.github/workflows` only the first that exists counts.",
        "Correct the place that is named; keep all workflows in one folder."
}

/// What the rules find in one file, by place. `base` is the base branch.
pub fn lint(file: &str, bytes: &[u8], base: &str) -> Vec<Finding> {
    let shown = super::super::super::text::shown(file);
    let workflow = match Workflow::parse(&shown, bytes, base) {
        Ok(workflow) => workflow,
        Err(error) => {
            let mut found = Found { file: &shown, rule: "E8", findings: Vec::new() };
            found.at((error.line, error.column), error.message, "correct the file: the server starts nothing of it");
            return found.findings;
        }
    };
    let of = |rule: &Rule| {
        let mut found = Found { file: &workflow.file, rule: rule.id, findings: Vec::new() };
        (rule.check)(&workflow, &mut found);
        found.findings
    };
    let mut findings: Vec<Finding> = RULES.iter().flat_map(of).collect();
    findings.sort();
    findings.dedup();
    findings
}

/// The folders in which a server looks for workflows: the first that exists, and no other.
pub const FOLDERS: &[&str] = &[".forgejo/workflows", ".gitea/workflows", ".github/workflows"];

/// The finding for a file in a folder that another one hides.
pub fn shadowed(file: &str, by: &str) -> Finding {
    let mut found = Found { file, rule: "E8", findings: Vec::new() };
    let fact = format!("this workflow never runs: {by} exists, so the server does not look here");
    found.at((1, 1), fact, format!("move it to {by}, or remove it"));
    found.findings.remove(0)
}

/// The page about the rules, `docs/lint.md`.
pub fn page() -> String {
    let mut page = "# Rules of the linter\n\nGenerated from `src/model/workflow/rules/table.rs`; a test compares it.\n\n\
         `platformctl lint` reads the workflows of this repository (`.forgejo/workflows/*.yaml` and `*.yml`, also of\n\
         `.gitea` and `.github`), or the files that are named. It asks nobody, and needs no repository for files that are\n\
         named. If a rule finds something, it exits with 3; what is only advice does not count. `--json` has `findings`\n\
         with rule, file, line, column, fact and fix.\n\n\
         `forge`, `forgejo`, `gitea` and `github` name one context, in upper or lower case.\n"
        .to_owned();
    for Rule { id, what, why, fix, check: _ } in RULES {
        write!(page, "\n## {id}\n\n{what}\n\n**Why:** {why}\n\n**Fix:** {fix}\n").unwrap_or_default();
    }
    page
}
