//! `platformctl lint`: a corpus that each rule is held to, what the command prints, and the project's own workflows.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use platformctl::model::workflow::{
    finding::Level,
    rules::{RULES, lint},
};
use proptest::prelude::*;
use snapbox::str;

const CHECKOUT: &str = "https://data.forgejo.org/actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683";

/// A workflow that no rule objects to, with one step of these lines.
fn step(lines: &str) -> String {
    let lines = lines.trim_matches('\n').lines().map(|line| format!("        {line}\n")).collect::<String>();
    let lines = lines.replacen("        ", "      - ", 1);
    format!("on: push\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 5\n    steps:\n{lines}")
}

/// One with a script.
fn run(script: &str) -> String {
    step(&format!("run: {}", serde_json::to_string(script).unwrap()))
}

/// One with these keys of a job, and these at the top.
fn job(top: &str, job: &str, script: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!(
        "{top}\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 5\n{job}\n    steps:\n      - run: {script}\n"
    )
}

/// One that applies, with this at its top.
fn applies(top: &str) -> String {
    job(top, "    if: github.ref == 'refs/heads/main'", "platformctl apply --pr 1")
}

/// What the rules find in a text, as `E1 3:4`.
fn found(text: &str) -> Vec<String> {
    let all = lint("x.yaml", text.as_bytes(), "main");
    let errors = all.iter().filter(|finding| finding.level == Level::Error);
    errors.map(|finding| format!("{} {}:{}", finding.rule, finding.line, finding.column)).collect()
}

/// The rules of a corpus: each text of `bad` breaks this rule and no other, each of `good` none.
fn holds(rule: &str, bad: &[String], good: &[String]) {
    assert!(!bad.is_empty() && !good.is_empty());
    for text in bad {
        let found = found(text);
        assert!(!found.is_empty(), "{rule} finds nothing in\n{text}");
        let others: Vec<_> = found.iter().filter(|found| !found.starts_with(rule)).collect();
        assert!(others.is_empty(), "{rule}, not {others:?} in\n{text}");
    }
    for text in good {
        assert_eq!(found(text), [] as [&str; 0], "{rule}: nothing is wrong with\n{text}");
    }
}

/// Attack: the title of a pull request, `$(curl …)`, is put into a script by the runner and runs with the job's secrets
/// Defence: rule E1 of `platformctl lint` finds such expressions in every form in which they can be written
#[test]
fn e1_text_of_others_in_scripts() {
    let forms = [
        "inputs.module",
        "github.event.inputs.module",
        "INPUTS.Module",
        "github.event.pull_request.title",
        "forge.event.pull_request.body",
        "forgejo.event.pull_request.head.ref",
        "gitea.event.pull_request.head.label",
        "github.head_ref",
        "github['head_ref']",
        "github.ref_name",
        "github.ref",
        "github.actor",
        "github.event.comment.body",
        "github.event['pull_request']['title']",
        "github.event.pull_request['Title']",
        "github.event.commits[0].message",
        "github.event.head_commit.message",
        "format('{0}', github.event.pull_request.title)",
        "join(github.event.commits.*.message)",
        "join(github.event.commits.*.message, ', ')",
        "toJSON(github.event)",
        "toJSON(github.event.pull_request)",
        "github.event[inputs.x]",
        "github.ref_name || 'x'",
        "true && github.head_ref",
        "fromJSON(toJSON(inputs)).x",
        "inputs",
    ];
    let mut bad: Vec<String> = forms.iter().map(|form| run(&format!("echo '${{{{ {form} }}}}'"))).collect();
    bad.extend([
        step("run: echo\nshell: bash -c '${{ inputs.x }}'"),
        step("run: echo\nworking-directory: ${{ inputs.x }}"),
        step(&format!(
            "uses: {}\nwith: {{script: 'x(\"${{{{ inputs.x }}}}\")'}}",
            CHECKOUT.replace("checkout", "script")
        )),
        job("on: push\ndefaults: {run: {working-directory: '${{ inputs.d }}'}}", "", "ls"),
        // Through the environment, a matrix, and another job.
        step("env: {T: '${{ github.event.pull_request.title }}'}\nrun: echo ${{ env.T }}"),
        job("on: push\nenv: {T: '${{ inputs.t }}'}", "", "echo ${{ env.t }}"),
        job("on: push", "    strategy: {matrix: {x: ['${{ inputs.x }}']}}", "echo ${{ matrix.x }}"),
        job("on: push", "    outputs: {t: '${{ github.head_ref }}'}\n    needs: [a]", "echo ${{ needs.a.outputs.t }}"),
    ]);
    let mut good: Vec<String> = [
        "github.sha",
        "github.event.pull_request.number",
        "github.event.pull_request.head.sha",
        "github.run_id",
        "github.ref == 'refs/heads/main'",
        "contains(github.event.pull_request.title, '[skip]')",
        "startsWith(github.head_ref, 'x') && 'yes' || 'no'",
        "steps.x.outputs.y",
        "vars.NAME",
        "runner.temp",
        "'github.head_ref'",
    ]
    .iter()
    .map(|form| run(&format!("echo '${{{{ {form} }}}}'")))
    .collect();
    good.extend([
        step("env: {T: '${{ github.event.pull_request.title }}'}\nrun: echo \"$T\""),
        step("env: {T: '${{ github.sha }}'}\nrun: echo ${{ env.T }}"),
        step("name: ${{ inputs.x }}\nif: inputs.x == 'y'\nrun: echo"),
        job("on: push", "    strategy: {matrix: {x: [1, 2]}}", "echo ${{ matrix.x }}"),
    ]);
    holds("E1", &bad, &good);
}

/// Attack: an action's tag is moved to other code
/// Defence: rule E2 asks for the whole address and a commit, and for the digest of an image
#[test]
fn e2_code_that_is_not_pinned() {
    let sha = "a".repeat(40);
    let digest = "b".repeat(64);
    let uses = |uses: &str| step(&format!("uses: {uses}"));
    let container = |key: &str| job("on: push", key, "ls");
    let bad = [
        uses("actions/setup@v4"),
        uses(&format!("actions/setup@{sha}")),
        uses("https://data.forgejo.org/actions/setup@v4"),
        uses("https://data.forgejo.org/actions/setup@main"),
        uses("https://data.forgejo.org/actions/setup@aaaaaaa"),
        uses("https://data.forgejo.org/actions/setup"),
        uses(&format!("http://data.forgejo.org/actions/setup@{sha}")),
        uses(&format!("https://data.forgejo.org/setup@{sha}")),
        uses("docker://alpine:3"),
        uses("./../other"),
        uses("${{ vars.ACTION }}"),
        container("    container: {image: 'alpine:3'}"),
        container("    container: alpine:3"),
        container("    services: {db: {image: 'postgres:16'}}"),
        "on: push\njobs: {a: {uses: o/r/.forgejo/workflows/x.yaml@main}}\n".to_owned(),
    ];
    let good = [
        uses(&format!("https://data.forgejo.org/actions/setup@{sha}")),
        uses(&format!("https://code.forgejo.org/o/r/sub/action@{}", "c".repeat(64))),
        uses("./.forgejo/actions/x"),
        uses(&format!("docker://alpine@sha256:{digest}")),
        container(&format!("    container: {{image: 'alpine@sha256:{digest}'}}")),
        container(&format!("    services: {{db: {{image: 'r.example/postgres:16@sha256:{digest}'}}}}")),
        "on: push\njobs: {a: {uses: ./.forgejo/workflows/x.yaml}}\n".to_owned(),
    ];
    holds("E2", &bad, &good);
}

#[test]
fn e3_keys_without_effect() {
    let bad = [
        job("on: push", "    environment: production", "ls"),
        job("on: push", "    environment: {name: production}", "ls"),
        job("on: push\npermissions: {contents: read}", "", "ls"),
        job("on: push", "    permissions: read-all", "ls"),
        job("on: push", "    concurrency: x", "ls"),
    ];
    let good = [job("on: push\nconcurrency: {group: x, cancel-in-progress: true}", "", "ls")];
    holds("E3", &bad, &good);
}

/// Attack: a push while an apply runs cancels it halfway, without a signal
/// Defence: rule E4 asks every workflow that applies for a group and an explicit `cancel-in-progress: false`
#[test]
fn e4_workflows_that_apply() {
    let one = "concurrency: {group: apply, cancel-in-progress: false}";
    let bad = [
        applies("on: workflow_dispatch"),
        applies("on: workflow_dispatch\nconcurrency: apply"),
        applies("on: workflow_dispatch\nconcurrency: {group: apply}"),
        applies("on: workflow_dispatch\nconcurrency: {group: apply, cancel-in-progress: true}"),
        applies("on: workflow_dispatch\nconcurrency: {cancel-in-progress: false}"),
        applies("on: workflow_dispatch\nconcurrency: {group: '${{ github.run_id }}', cancel-in-progress: false}"),
        applies(&format!("on: push\n{one}")),
        applies(&format!("on: {{push: {{branches: [main, dev]}}}}\n{one}")),
        applies(&format!("on: {{push: {{branches: ['**']}}}}\n{one}")),
        applies(&format!("on: [pull_request]\n{one}")),
        applies(&format!("on: {{pull_request_target: {{types: [opened]}}}}\n{one}")),
        applies(&format!("on: issue_comment\n{one}")),
        job("on: push", "", "cd x && ./bin/platformctl -C y --remote origin resume"),
        job("on: push", "", "x=\"$(platformctl apply site --json)\""),
        job("on: push", "", "docker compose -f x.yaml up -d"),
    ];
    let good = [
        applies(&format!("on: workflow_dispatch\n{one}")),
        applies(&format!(
            "on: {{workflow_dispatch: {{}}, push: {{branches: [main]}}, schedule: [{{cron: '0 3 * * *'}}]}}\n{one}"
        )),
        applies(&format!("on: {{push: {{branches: main}}}}\n{one}")),
        job("on: [push, pull_request]", "", "platformctl plan --pr 1; platformctl help apply; docker compose config"),
    ];
    holds("E4", &bad, &good);
    // What only prevents mistakes is advice, and no reason to fail.
    let unguarded = job(&format!("on: workflow_dispatch\n{one}"), "", "platformctl apply --pr 1");
    let all = lint("x.yaml", unguarded.as_bytes(), "main");
    assert_eq!((all.len(), all[0].rule, all[0].level), (1, "E4", Level::Advice));
    for guard in ["forgejo.ref == 'refs/heads/main'", "${{ always() && github.ref_name == 'main' }}"] {
        let guarded =
            job(&format!("on: workflow_dispatch\n{one}"), &format!("    if: {guard}"), "platformctl apply --pr 1");
        assert_eq!(lint("x.yaml", guarded.as_bytes(), "main"), [], "{guard}");
        assert_eq!(lint("x.yaml", guarded.as_bytes(), "trunk").len(), 1, "{guard}");
    }
}

#[test]
fn e5_checkouts() {
    let with = |event: &str, with: &str, more: &str| {
        format!(
            "on: {event}\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 5\n    steps:\n      - uses: {CHECKOUT}\n        \
             with: {{{with}}}\n      - run: ls\n{more}"
        )
    };
    let secret = "        env: {T: '${{ secrets.DEPLOY }}'}\n";
    let safe = "persist-credentials: false";
    let bad = [
        step(&format!("uses: {CHECKOUT}")),
        step(&format!("uses: {}", CHECKOUT.replace("data.forgejo.org", "github.com"))),
        with("push", "fetch-depth: 0", ""),
        with("push", "persist-credentials: true", ""),
        with("push", "persist-credentials: '${{ vars.X }}'", ""),
        with("workflow_dispatch", &format!("{safe}, ref: '${{{{ inputs.ref }}}}'"), secret),
        with("workflow_dispatch", &format!("{safe}, ref: '${{{{ github.event.inputs.ref }}}}'"), secret),
        with("pull_request_target", &format!("{safe}, ref: '${{{{ github.event.pull_request.head.sha }}}}'"), ""),
        with("pull_request_target", &format!("{safe}, ref: 'refs/pull/${{{{ github.event.number }}}}/head'"), ""),
        with(
            "pull_request_target",
            &format!("{safe}, repository: '${{{{ github.event.pull_request.head.repo.full_name }}}}'"),
            "",
        ),
    ];
    let good = [
        with("push", safe, secret),
        with("push", "persist-credentials: 'false'", ""),
        with("workflow_dispatch", &format!("{safe}, ref: main"), secret),
        with("workflow_dispatch", &format!("{safe}, ref: '${{{{ inputs.ref }}}}'"), ""),
        with("pull_request", &format!("{safe}, ref: '${{{{ github.event.pull_request.head.sha }}}}'"), ""),
        step("uses: ./checkout"),
    ];
    holds("E5", &bad, &good);
}

/// Attack: a workflow hands a secret to every step, prints it, or puts it where every process of the machine reads it
/// Defence: rule E6 finds secrets in wide environments, arguments, URLs, traces and output
#[test]
fn e6_secrets_that_reach_too_far() {
    let env = "env: {TOKEN: '${{ secrets.DEPLOY }}'}";
    let with = |script: &str| step(&format!("{env}\nrun: {}", serde_json::to_string(script).unwrap()));
    let bad = [
        job(&format!("on: push\n{env}"), "", "ls"),
        job("on: push", &format!("    {env}"), "ls"),
        job("on: push", "    env: {TOKEN: '${{ github.token }}'}", "ls"),
        with("echo \"$TOKEN\""),
        with("echo ${TOKEN}"),
        with("printf '%s' \"$TOKEN\" >>\"$GITHUB_OUTPUT\""),
        with("set -x"),
        with("set -eux"),
        with("set -o xtrace"),
        with("bash -x ./deploy"),
        with("curl -H \"Authorization: token $TOKEN\" https://forge.example"),
        with("git push \"https://x:$TOKEN@forge.example/o/r.git\""),
        run("echo \"$GITHUB_TOKEN\""),
        run("echo '${{ secrets.DEPLOY }}'"),
        run("curl -u 'x:${{ github.token }}' https://forge.example"),
        run("echo '${{ toJSON(secrets) }}'"),
        run("echo '${{ secrets[vars.NAME] }}'"),
        step("env: {ALL: '${{ toJSON(github) }}'}\nrun: ls"),
        step("env: {ALL: '${{ toJSON(forgejo) }}'}\nrun: ls"),
        step("env: {ALL: '${{ ToJson( Secrets ) }}'}\nrun: ls"),
        step("run: ls\nshell: bash -ex {0}"),
        job("on: pull_request", "", "ls").replace("- run", "- env: {T: '${{ secrets.DEPLOY }}'}\n        run"),
        job("on: {push: {}, pull_request_target: {}}", "", "ls")
            .replace("- run", "- env: {T: '${{ secrets.DEPLOY }}'}\n        run"),
    ];
    let good = [
        with("printf '%s\\n' \"$TOKEN\" >\"$file\""),
        with("printf '%s' \"$TOKEN\" | docker login --password-stdin"),
        with("export OTHER=\"$TOKEN\"; deploy"),
        with("OTHER=\"$TOKEN\" deploy"),
        with("deploy <<<\"$TOKEN\""),
        with("[ -n \"$TOKEN\" ] || exit 1; echo '$TOKEN'"),
        with("echo \"::add-mask::$TOKEN\""),
        with("set -eu"),
        job("on: pull_request", "", "ls").replace("- run", "- env: {T: '${{ secrets.FORGEJO_TOKEN }}'}\n        run"),
        job("on: [push, pull_request]", "    if: github.event_name == 'push'", "ls")
            .replace("- run", "- env: {T: '${{ secrets.DEPLOY }}'}\n        run"),
        job("on: [push, pull_request]", "", "ls").replace(
            "- run",
            "- if: github.event_name != 'pull_request'\n        env: {T: '${{ secrets.DEPLOY }}'}\n        run",
        ),
    ];
    holds("E6", &bad, &good);
}

#[test]
fn e7_gates_that_open_silently() {
    let secret = |name: &str| step(&format!("env: {{T: '${{{{ secrets.{name} }}}}'}}\nrun: ls"));
    let label = |label: &str| {
        format!("on: push\njobs:\n  a:\n    runs-on: {label}\n    timeout-minutes: 5\n    steps: [{{run: ls}}]\n")
    };
    let bad = [
        secret("FORGEJO_TOKEN_DEPLOY"),
        secret("github_deploy"),
        secret("Gitea_x"),
        "on: push\njobs:\n  a:\n    runs-on: docker\n    steps: [{run: ls}]\n".to_owned(),
        step("name: Validate\ncontinue-on-error: true\nrun: ./x"),
        step("run: platformctl validate\ncontinue-on-error: true"),
        job("on: push", "    continue-on-error: true", "ls"),
        run("platformctl validate || true"),
        run("platformctl plan site --exit-code || :"),
        run("cargo test || exit 0"),
        run("platformctl validate ; true"),
        run("set +e\nplatformctl validate\n"),
        run("make lint||true"),
        label("self-hosted"),
        label("[docker, 'x:host']"),
        label("'${{ inputs.runner }}'"),
        format!(
            "on: push\njobs: {{a: {{uses: 'https://forge.example/o/r/.forgejo/workflows/x.yaml@{}', secrets: inherit}}}}\n",
            "a".repeat(40)
        ),
    ];
    let good = [
        secret("PLATFORMCTL_TOKEN"),
        secret("FORGEJO_TOKEN"),
        "on: push\njobs:\n  a:\n    runs-on: docker\n    steps: [{run: ls, timeout-minutes: 5}]\n".to_owned(),
        run("platformctl plan site --exit-code || [ $? = 4 ]"),
        run("docker rm -f x || true"),
        step("name: Cache\ncontinue-on-error: true\nrun: ./x"),
        label("[docker]"),
        "on: push\njobs: {a: {uses: ./.forgejo/workflows/x.yaml, secrets: inherit}}\n".to_owned(),
    ];
    holds("E7", &bad, &good);
}

#[test]
fn e8_files_that_are_not_read_as_meant() {
    let bad = [
        "on: push\njobs: [\n".to_owned(),
        "on: push\non: push\njobs: {}\n".to_owned(),
        run("ls").replace("on: push", "on: push\nenvs: {A: b}"),
        run("ls").replace("runs-on", "run-on"),
        step("run: ls\nworkdir: x"),
        step(&format!("run: ls\nuses: https://data.forgejo.org/a/b@{}", "a".repeat(40))),
        step("name: nothing"),
        run("ls").replace("on: push", "name: x"),
        "on: push\njobs: {}\n".to_owned(),
        job("on: push", "    needs: b", "ls"),
        run("echo '${{ inputs. }}'"),
        run("echo '${{ open'"),
        run("echo '${{ \"double\" }}'"),
        job("on: {workflow_dispatch: {inputs: {pr: {requird: true}}}}", "", "ls"),
        "- a\n".to_owned(),
        String::new(),
        "\u{0}".to_owned(),
        "on: push\n---\non: push\n".to_owned(),
    ];
    let good = [
        run("ls"),
        job("on: push", "    x-y: 1", "ls").replace("    x-y: 1\n", ""),
        "on: push\nenv: &e {A: b}\njobs:\n  a: {runs-on: docker, timeout-minutes: 1, env: *e, steps: [{run: ls}]}\n"
            .to_owned(),
        job("on: {workflow_dispatch: {inputs: {pr: {required: true, type: string, default: ''}}}}", "", "ls"),
        job("on: push\nenable-openid-connect: true\nrun-name: x", "    enable-openid-connect: true", "ls"),
    ];
    holds("E8", &bad, &good);
}

/// Attack: a workflow with a YAML bomb makes the linter use up the machine
/// Defence: the readers of YAML have a budget for values, aliases and depth; what is beyond it is a finding
#[test]
fn hostile_workflows_are_findings() {
    let mut laughs = "on: push\na0: &a0 [x]\n".to_owned();
    for n in 1..30 {
        laughs += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","));
    }
    let deep = format!("on: {}", "[".repeat(100_000));
    let large = format!("on: push\n# {}\n", "x".repeat(2 << 20));
    let brackets = run(&format!("echo ${{{{ {} }}}}", "(".repeat(200_000)));
    let shell = run(&"$(".repeat(100_000));
    let quotes = run(&"\"'".repeat(100_000));
    let many = run(&"${{ ' }}".repeat(100_000));
    for bomb in [laughs, deep, large, brackets, shell, quotes, many] {
        assert!(found(&bomb).iter().any(|found| found.starts_with("E8")), "{}", &bomb[..60]);
    }
    for text in ["$(".repeat(30_000), "\"'".repeat(30_000), "${{ '}}".repeat(1_000), "a|".repeat(30_000)] {
        drop(found(&run(&text)));
    }
}

#[test]
fn findings_point_to_the_expression_itself() {
    let text = "on: push\njobs:\n  a:\n    runs-on: docker\n    timeout-minutes: 5\n    steps:\n      - run: |\n          echo ok ${{ github.sha }}\n          \
                echo é ${{ inputs.x }} ${{ inputs.x }}\n      - run: 'echo ${{ github.head_ref }}'\n";
    assert_eq!(found(text), ["E1 9:18", "E1 9:34", "E1 10:20"]);
    assert_eq!(found("on: push\njobs: {a: {b: c, b: d}}\n"), ["E8 2:18"]);
}

#[test]
fn every_rule_has_a_test_with_its_name() {
    let text = include_str!("lint.rs");
    let ids: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids, BTreeSet::from(["E1", "E2", "E3", "E4", "E5", "E6", "E7", "E8"]));
    for rule in RULES {
        assert!(text.contains(&format!("fn {}_", rule.id.to_lowercase())), "{}", rule.id);
        assert!(text.contains(&format!("holds(\"{}\"", rule.id)), "{}", rule.id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any mixture of what workflows are made of is linted without a panic, and each finding has a place.
    #[test]
    fn any_mixture_is_linted(parts in prop::collection::vec(prop::sample::select(vec![
        "on: push\n", "jobs:\n", "  a:\n", "    steps:\n", "      - run: ", "|\n          ", "uses: ", "env: {", "}", "[", "]",
        "${{ ", " }}", "inputs.x", "github.event", "['title']", "format('{0}', ", ")", "'", "\"", "$(", "|| true", "\n", "echo $T ",
        "set -x", "<<E", "&a ", "*a", "<<: ", "!x ", "é\u{202e}", "\t", "concurrency: ", "runs-on: docker\n", "    ", ": ", "- ",
    ]), 0..40)) {
        let text = parts.concat();
        for finding in lint("x.yaml", text.as_bytes(), "main") {
            prop_assert!(finding.line > 0 && finding.column > 0);
            prop_assert!(!finding.fact.is_empty() && !finding.fix.is_empty());
        }
    }
}

fn platformctl(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_platformctl")).args(args).current_dir(dir).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

#[test]
fn the_command_says_where_and_how_to_cure() {
    let bad = run("echo ${{ inputs.pr }}");
    let dir = folder(&[(".forgejo/workflows/a.yaml", bad.as_str()), (".forgejo/workflows/README", "no workflow")]);
    let (exit, said) = platformctl(dir.path(), &["lint"]);
    assert_eq!(exit, Some(3));
    snapbox::assert_data_eq!(
        said,
        str![[r#"
INVALID (3): 1 finding
✗ .forgejo/workflows/a.yaml:7:20  E1
  `run` contains inputs.pr, whose text others choose:
  inputs.pr
  → put it into `env:` of this step, as
  `X: ${{ inputs.pr }}`, and write "$X" here
fix: cure each (the rules: platformctl help lint), then lint again

"#]]
    );
    let (exit, said) = platformctl(dir.path(), &["lint", ".forgejo/workflows/a.yaml", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&said).unwrap();
    let finding = &object["findings"][0];
    assert_eq!((exit, &object["exit"], &object["code"]), (Some(3), &3.into(), &"workflow_invalid".into()));
    assert_eq!((&finding["rule"], &finding["line"], &finding["column"]), (&"E1".into(), &7.into(), &20.into()));
    assert_eq!(object["refusals"].as_array().unwrap().len(), 1);
    // From a folder below, and with nothing to find.
    fs::create_dir_all(dir.path().join(".git")).unwrap();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    assert_eq!(platformctl(&dir.path().join("a/b"), &["lint"]).0, Some(3));
    fs::write(dir.path().join(".forgejo/workflows/a.yaml"), run("ls")).unwrap();
    assert_eq!(platformctl(&dir.path().join("a/b"), &["lint"]).0, Some(0));
    assert_eq!(platformctl(dir.path(), &["lint", "nosuch.yaml"]).0, Some(2));
    let (exit, said) = platformctl(folder(&[]).path(), &["lint", "--json"]);
    assert!(exit == Some(0) && said.contains("\"noop\""), "{said}");
}

/// Attack: a check in `.github/workflows` never runs, because a folder that the server prefers exists
/// Defence: `platformctl lint` (E8) names each workflow that another folder hides
#[test]
fn e8_workflows_that_another_folder_hides() {
    let fine = run("ls");
    let fine = fine.as_str();
    for (files, hidden) in [
        (
            vec![
                (".forgejo/workflows/a.yaml", fine),
                (".github/workflows/b.yml", fine),
                (".gitea/workflows/c.yml", fine),
            ],
            2,
        ),
        (vec![(".forgejo/workflows/.keep", ""), (".github/workflows/b.yml", fine)], 1),
        (vec![(".gitea/workflows/a.yaml", fine), (".github/workflows/b.yml", fine)], 1),
        (vec![(".github/workflows/b.yml", fine)], 0),
    ] {
        let (exit, said) = platformctl(folder(&files).path(), &["lint"]);
        assert_eq!(said.matches("never runs").count(), hidden, "{files:?}: {said}");
        assert_eq!(exit, Some(if hidden > 0 { 3 } else { 0 }));
    }
}

#[test]
fn own_workflows_are_clean() {
    let (exit, said) = platformctl(Path::new(env!("CARGO_MANIFEST_DIR")), &["lint", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((exit, object["findings"].as_array().map(Vec::len)), (Some(0), Some(0)), "{said}");
    assert!(!object["files"].as_array().unwrap().is_empty(), "{said}");
}
