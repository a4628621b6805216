//! The workflows that `init --forgejo` writes, run step by step as a runner runs them: a checkout by token, the variables
//! of a run, no git identity, `bash -e`, and a workspace that is gone afterwards.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use clap::Parser as _;
use platformctl::{
    cli::Cli,
    model::{
        workflow::{
            document::{Job, Workflow},
            expression::{self, Expr, written},
        },
        yaml::Node,
    },
    verb::init::workflows::{CHECKOUT, of},
};
use snapbox::{assert_data_eq, str};

use crate::support::{
    cli::CLOCK,
    forge::{self, Fault, Forge},
    ntfy::Ntfy,
    repo::Repo,
    site::Site,
    sshd::Sshd,
    stack::{Stack, everything_below, lab, until},
};

/// The workflows, by name.
fn files() -> BTreeMap<String, String> {
    let name = |path: &str| path.rsplit('/').next().unwrap().trim_end_matches(".yaml").to_owned();
    of("main").unwrap().into_iter().map(|(path, text)| (name(path), text)).collect()
}

/// How a run is started.
#[derive(Clone, Default)]
struct Start<'a> {
    event: &'a str,
    pr: u64,
    inputs: &'a [(&'a str, &'a str)],
    secrets: &'a [(&'a str, String)],
}

impl Start<'_> {
    /// The value of what our own files use; anything else fails the test.
    fn value(&self, expr: &Expr) -> String {
        match expr {
            Expr::Text(text) => text.clone(),
            Expr::Context(path, _) => {
                let path = written(path);
                let find = |list: &[(&str, String)], name: &str| {
                    list.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
                };
                match path.split_once('.').unwrap() {
                    ("inputs", name) => {
                        let inputs: Vec<(&str, String)> =
                            self.inputs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
                        find(&inputs, name).unwrap_or_default()
                    }
                    ("secrets", name) => find(self.secrets, name).unwrap_or_default(),
                    ("github", "ref") if self.event == "pull_request" => format!("refs/pull/{}/head", self.pr),
                    ("github", "ref") => "refs/heads/main".to_owned(),
                    ("github", "event.pull_request.number") => self.pr.to_string(),
                    _ => panic!("a workflow uses {path}, which this runner does not have"),
                }
            }
            Expr::Equal(equal, left, right) => ((self.value(left) == self.value(right)) == *equal).to_string(),
            // `!cancelled()`: these runs are not.
            Expr::Decision(not) if matches!(not.as_slice(), [Expr::Call(name, args)] if name == "cancelled" && args.is_empty()) => {
                "true".to_owned()
            }
            Expr::Constant | Expr::Call(..) | Expr::Decision(_) | Expr::Either(..) => {
                panic!("a workflow uses {expr:?}, which this runner does not know")
            }
        }
    }

    /// A text with its expressions replaced.
    fn filled(&self, text: &str) -> String {
        let mut out = String::new();
        let mut from = 0;
        for found in expression::all(text) {
            out += &text[from..found.at];
            out += &self.value(&found.expr.unwrap());
            from = found.at + 3 + found.inner.len() + 2;
        }
        out + &text[from..]
    }

    /// Whether a step runs, after steps of which one failed or none.
    fn runs(&self, step: &Node, failed: bool) -> bool {
        let Some(text) = step.get("if").and_then(Node::text) else { return !failed };
        let inner = text.trim().trim_start_matches("${{").trim_end_matches("}}");
        self.value(&expression::parse(inner).unwrap()) == "true"
    }
}

/// A runner with a Forgejo.
struct Runner<'s> {
    site: &'s Site,
    forge: Forge,
    automatic: String,
    minutes: i64,
}

/// The folders of one run. They are wiped when it has ended.
struct Workspace {
    dir: tempfile::TempDir,
}

/// A step that was run.
#[derive(Debug)]
struct Step {
    name: String,
    exit: Option<i32>,
    said: String,
}

impl Workspace {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["work", "home", "temp", "tmp"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// The only job of a workflow.
fn job(workflow: &Workflow) -> Job<'_> {
    let jobs = workflow.jobs();
    assert_eq!(jobs.len(), 1);
    jobs[0]
}

impl<'s> Runner<'s> {
    fn new(site: &'s Site) -> Self {
        let forge = Forge::start(&site.repo.path("remote.git"), "ops", "platform");
        forge.private();
        forge.user("alice");
        let automatic = forge.actions();
        Self { site, forge, automatic, minutes: 0 }
    }

    fn git(&self, space: &Workspace, args: &[&str]) -> String {
        let output = Command::new("git")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", space.path("home"))
            .args(args)
            .current_dir(space.path("work"))
            .output()
            .unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// What actions/checkout does with these inputs: the token is used and not kept.
    fn checkout(&self, space: &Workspace, start: &Start<'_>, with: &Node) {
        let known = ["ref", "fetch-depth", "persist-credentials"];
        assert!(with.entries().iter().all(|(key, _)| known.contains(&key.name.as_str())), "{with:?}");
        assert_eq!(with.get("persist-credentials").and_then(Node::text), Some("false"));
        assert_eq!(with.get("fetch-depth").and_then(Node::text), Some("0"));
        let header = format!("http.extraheader=Authorization: token {}", self.automatic);
        self.git(space, &["init", "-q"]);
        self.git(space, &["remote", "add", "origin", &self.forge.url()]);
        let mut fetch =
            vec!["-c", &header, "fetch", "-q", "--prune", "--no-tags", "origin", "+refs/heads/*:refs/remotes/origin/*"];
        let head = format!("+refs/pull/{0}/head:refs/remotes/pull/{0}/head", start.pr);
        if start.event == "pull_request" {
            fetch.push(&head);
        }
        self.git(space, &fetch);
        match with.get("ref").and_then(Node::text) {
            Some(name) => {
                let remote = format!("refs/remotes/origin/{name}");
                self.git(space, &["checkout", "-q", "--force", "-B", name, &remote]);
            }
            None if start.event == "pull_request" => {
                let head = format!("refs/remotes/pull/{}/head", start.pr);
                self.git(space, &["checkout", "-q", "--force", "--detach", &head]);
            }
            None => drop(self.git(space, &["checkout", "-q", "--force", "-B", "main", "refs/remotes/origin/main"])),
        }
        assert!(!self.git(space, &["config", "--list", "--local"]).contains("extraheader"));
    }

    /// The environment of a step, as a runner of Forgejo 15 makes it.
    fn environment(&self, space: &Workspace, start: &Start<'_>) -> BTreeMap<String, String> {
        let pull = start.event == "pull_request";
        let server = self.forge.base();
        let sha = self.git(space, &["rev-parse", "HEAD"]);
        let own = [
            ("ACTOR", "bob".to_owned()),
            ("API_URL", format!("{server}/api/v1")),
            ("EVENT_NAME", start.event.to_owned()),
            ("EVENT_PATH", space.path("temp/event.json").display().to_string()),
            ("HEAD_REF", if pull { format!("pr{}", start.pr) } else { String::new() }),
            ("BASE_REF", if pull { "main".to_owned() } else { String::new() }),
            ("REF", start.filled("${{ github.ref }}")),
            ("REF_NAME", if pull { start.pr.to_string() } else { "main".to_owned() }),
            ("REPOSITORY", "ops/platform".to_owned()),
            ("REPOSITORY_OWNER", "ops".to_owned()),
            ("RUN_ID", "17".to_owned()),
            ("RUN_NUMBER", "5".to_owned()),
            ("RUN_ATTEMPT", "1".to_owned()),
            ("SERVER_URL", server),
            ("SHA", sha),
            ("TOKEN", self.automatic.clone()),
            ("WORKFLOW", "apply".to_owned()),
            ("WORKSPACE", space.path("work").display().to_string()),
            ("OUTPUT", space.path("temp/output").display().to_string()),
            ("ENV", space.path("temp/env").display().to_string()),
            ("ACTIONS", "true".to_owned()),
        ];
        let both = own
            .iter()
            .flat_map(|(name, value)| ["FORGEJO", "GITHUB"].map(|prefix| (format!("{prefix}_{name}"), value.clone())));
        let program = Path::new(env!("CARGO_BIN_EXE_platformctl")).parent().unwrap().display().to_string();
        let rest = [
            ("CI", "true".to_owned()),
            ("HOME", space.path("home").display().to_string()),
            ("PATH", format!("{program}:{}", std::env::var("PATH").unwrap())),
            ("RUNNER_TEMP", space.path("temp").display().to_string()),
            ("TMPDIR", space.path("tmp").display().to_string()),
            ("PLATFORMCTL_TEST_CLOCK", (CLOCK + self.minutes * 60).to_string()),
        ];
        both.chain(rest.map(|(name, value)| (name.to_owned(), value))).collect()
    }

    /// A step's script, as the runner begins it.
    fn begin(&self, space: &Workspace, start: &Start<'_>, step: &Node) -> Child {
        let script = space.path("temp/script.sh");
        fs::write(&script, start.filled(step.get("run").unwrap().text().unwrap())).unwrap();
        let env = step.get("env").map(Node::entries).unwrap_or_default();
        let env = env.iter().map(|(key, value)| (key.name.clone(), start.filled(value.text().unwrap())));
        let event = match start.event {
            "pull_request" => include_str!("forgejo/event-pull_request.json"),
            "push" => include_str!("forgejo/event-push.json"),
            _ => include_str!("forgejo/event-workflow_dispatch.json"),
        };
        fs::write(space.path("temp/event.json"), event).unwrap();
        Command::new("bash")
            .args(["-e", &script.display().to_string()])
            .env_clear()
            .envs(self.environment(space, start))
            .envs(env)
            .current_dir(space.path("work"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap()
    }

    /// Runs a workflow from its file; the workspace is wiped afterwards.
    fn run(&self, name: &str, start: &Start<'_>) -> Vec<Step> {
        let space = Workspace::new();
        let steps = self.run_in(&space, name, start);
        // What a run leaves on its machine: nothing with a secret.
        for (path, bytes) in everything_below(space.dir.path(), &[]) {
            let text = String::from_utf8_lossy(&bytes);
            for (secret, value) in start.secrets.iter().filter(|(_, value)| !value.trim().is_empty()) {
                assert!(!text.contains(value.trim()), "{secret} is left in {}", path.display());
            }
        }
        for step in &steps {
            let secrets = start.secrets.iter().map(|(_, value)| value.trim()).chain([self.automatic.as_str()]);
            for value in secrets.filter(|value| !value.is_empty()) {
                let shown =
                    step.said.lines().filter(|line| !line.starts_with("::add-mask::")).any(|line| line.contains(value));
                assert!(!shown, "a secret is printed by {}: {}", step.name, step.said);
            }
        }
        steps
    }

    fn run_in(&self, space: &Workspace, name: &str, start: &Start<'_>) -> Vec<Step> {
        let text = &files()[name];
        let workflow = Workflow::parse(name, text.as_bytes(), "main").unwrap();
        assert!(workflow.starts_on(start.event), "{name} on {}", start.event);
        let job = job(&workflow);
        if let Some(condition) = job.node.get("if") {
            assert_eq!(start.value(&expression::parse(condition.text().unwrap()).unwrap()), "true");
        }
        let mut done: Vec<Step> = Vec::new();
        for step in job.steps() {
            let failed = done.iter().any(|step| step.exit != Some(0));
            if !start.runs(step, failed) {
                continue;
            }
            if let Some(uses) = step.get("uses").and_then(Node::text) {
                assert!(CHECKOUT.starts_with(uses), "{uses}");
                self.checkout(space, start, step.get("with").unwrap());
                continue;
            }
            let output = self.begin(space, start, step).wait_with_output().unwrap();
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            let run = step.get("run").and_then(Node::text).unwrap();
            let name = step.get("name").and_then(Node::text).unwrap_or(run).to_owned();
            done.push(Step { name, exit: output.status.code(), said });
        }
        done
    }
}

fn exits(steps: &[Step]) -> Vec<Option<i32>> {
    steps.iter().map(|step| step.exit).collect()
}

/// A site on a host behind an sshd that only the policy knows: its address, its port and its key.
fn remote(more: &str) -> (Site, Sshd) {
    behind("", more)
}

/// The same, with lines of sshd_config.
fn behind(lines: &str, more: &str) -> (Site, Sshd) {
    lab();
    let sshd = Sshd::start(lines, false);
    let site = Site::empty(more);
    site.repo.git(&["checkout", "-q", "main"]);
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    let transport = format!(
        "    transport: ssh\n    destination: ssh://root@127.0.0.1:{}\n    host_keys: [\"{}\"]\n",
        sshd.port,
        sshd.key()
    );
    site.repo.write("platform.yaml", &policy.replace("    transport: local\n", &transport));
    for (path, text) in of("main").unwrap() {
        site.repo.write(path, &text);
    }
    site.repo.commit("over ssh, from Actions");
    site.repo.publish();
    site.change(1, "hello\n");
    (site, sshd)
}

/// The private key that the lab's accounts let in.
fn key() -> String {
    fs::read_to_string(lab().join("id")).unwrap()
}

/// Every command line of every workflow, with these inputs, as the program that is called gets it.
fn command_lines(inputs: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let start = Start { event: "workflow_dispatch", pr: 7, inputs, secrets: &[] };
    let dir = tempfile::tempdir().unwrap();
    let stub = "#!/bin/bash\nprintf '%s\\0' \"$#\" \"$@\" >>\"$CALLS\"\n";
    fs::write(dir.path().join("platformctl"), stub).unwrap();
    Command::new("chmod").args(["755", &dir.path().join("platformctl").display().to_string()]).status().unwrap();
    for (name, text) in files() {
        let workflow = Workflow::parse(&name, text.as_bytes(), "main").unwrap();
        for (step, _, script) in job(&workflow).scripts() {
            let calls = dir.path().join("calls");
            drop(fs::remove_file(&calls));
            let env = step.get("env").map(Node::entries).unwrap_or_default();
            let env = env.iter().map(|(key, value)| (key.name.clone(), start.filled(value.text().unwrap())));
            let ended = Command::new("bash")
                .args(["-e", "-c", &start.filled(script)])
                .env_clear()
                .env("PATH", format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap()))
                .env("CALLS", &calls)
                .envs(env)
                .status()
                .unwrap();
            assert!(ended.success(), "{name}: {script}");
            let text = fs::read_to_string(&calls).unwrap();
            let mut words = text.split_terminator('\0').map(str::to_owned);
            while let Some(count) = words.next() {
                let args: Vec<String> = words.by_ref().take(count.parse().unwrap()).collect();
                found.push((name.clone(), args));
            }
        }
    }
    found
}

#[test]
fn every_command_of_a_workflow_is_one_of_the_program() {
    for inputs in [
        &[("pr", "7"), ("module", ""), ("run", ""), ("reason", "x")][..],
        &[("pr", "7"), ("module", "site"), ("run", "20261122T101530Z-1a2b3c4d"), ("reason", "the host burnt down")],
    ] {
        let all = command_lines(inputs);
        assert!(all.len() > 10, "{all:?}");
        for (name, args) in all {
            let parsed = Cli::try_parse_from(["platformctl".to_owned()].into_iter().chain(args.clone()));
            // A run is named where one must be.
            if name == "abandon" && inputs[2].1.is_empty() {
                assert!(parsed.is_err());
            } else {
                drop(parsed.unwrap_or_else(|error| panic!("{name}: {args:?}: {error}")));
            }
        }
    }
}

/// Attack: who may start a workflow gives an option or a command of the shell as an input
/// Defence: inputs go through the environment and stand quoted, behind `=` or `--`, where they are values and nothing else
#[test]
fn inputs_of_workflows_are_values() {
    let marker = std::env::temp_dir().join(format!("platformctl-injected-{}", std::process::id()));
    let hostile = format!("$(touch {0}); `touch {0}` --no-checkout-binding\n\"'", marker.display());
    let inputs = ["pr", "module", "run", "reason"].map(|name| (name, hostile.as_str()));
    for (name, args) in command_lines(&inputs) {
        let given: Vec<&String> = args.iter().filter(|arg| arg.contains("touch")).collect();
        let values = given.iter().all(|arg| **arg == hostile || arg.ends_with(&format!("={hostile}")));
        assert!(values, "{name}: {args:?}");
    }
    assert!(!marker.exists());
    for option in ["--no-checkout-binding", "--allow-older", "-C/"] {
        let inputs = ["pr", "module", "run", "reason"].map(|name| (name, option));
        for (name, args) in command_lines(&inputs) {
            let parsed = Cli::try_parse_from(["platformctl".to_owned()].into_iter().chain(args.clone()));
            let taken = parsed.is_ok_and(|cli| cli.globals.dir.is_some());
            assert!(!taken, "{name}: {args:?}");
            let free = args.iter().position(|arg| arg == option);
            let stop = args.iter().position(|arg| arg == "--");
            assert!(free.is_none_or(|at| stop.is_some_and(|stop| stop < at)), "{name}: {args:?}");
        }
    }
}

#[test]
fn workflows_name_only_what_a_server_has() {
    for (name, text) in files() {
        let workflow = Workflow::parse(&name, text.as_bytes(), "main").unwrap();
        let job = job(&workflow);
        assert!(job.node.get("timeout-minutes").is_some(), "{name}");
        let cancel = workflow.root.get("concurrency").and_then(|said| said.get("cancel-in-progress")).unwrap();
        let changes = ["apply", "apply-merged", "resume", "abandon"].contains(&name.as_str());
        assert_eq!(cancel.text(), Some(if changes { "false" } else { "true" }), "{name}");
        assert_eq!(workflow.pull_request_events().is_empty(), !["plan", "validate"].contains(&name.as_str()), "{name}");
    }
}

/// From the checkout that a run of a pull request has: detached at its head, without a local base.
#[test]
fn pull_request_gets_its_plan_and_its_check() {
    let site = Site::new();
    for (path, text) in of("main").unwrap() {
        site.repo.write(path, &text);
    }
    site.repo.commit("workflows");
    site.repo.publish();
    site.repo.pull(2, "modules/site/public/index.html", "two\n");
    let runner = Runner::new(&site);
    runner.forge.open(2, "alice", "Another page");
    let start = Start { event: "pull_request", pr: 2, ..Start::default() };
    let steps = runner.run("validate", &start);
    assert_eq!(exits(&steps), [Some(0), Some(0)], "{steps:#?}");
    for _ in 0..2 {
        let steps = runner.run("plan", &start);
        assert_eq!(exits(&steps), [Some(0), Some(0)], "{steps:#?}");
    }
    let comments = runner.forge.comments(2);
    assert_eq!((comments.len(), comments[0].poster.as_str()), (1, "forgejo-actions"), "edited in place");
    assert!(comments[0].body.contains("site"), "{}", comments[0].body);
    let statuses = runner.forge.statuses();
    let last = statuses.last().unwrap();
    assert_eq!((last.context.as_str(), last.state.as_str()), ("platformctl/plan", "success"));
    // What could not be applied once merged is red before the merge.
    let manifest = fs::read_to_string(runner.site.repo.work().join("modules/site/module.yaml")).unwrap();
    runner.site.repo.pull(3, "modules/site/module.yaml", &manifest.replace("host: box", "host: nowhere"));
    runner.forge.open(3, "alice", "To nowhere");
    let start = Start { pr: 3, ..start };
    assert_eq!(runner.run("validate", &start)[0].exit, Some(3));
    let steps = runner.run("plan", &start);
    assert!(exits(&steps).iter().all(|exit| *exit != Some(0)), "{steps:#?}");
    assert_eq!(runner.forge.statuses().last().map(|last| last.state.clone()).as_deref(), Some("failure"));
}

/// Everything that is needed from a phone, on a real sshd: apply, apply again, look, resume.
#[test]
fn merged_pull_request_is_applied_from_actions() {
    let (site, sshd) = remote("");
    let runner = Runner::new(&site);
    let secrets = [("PLATFORMCTL_SSH_KEY", key()), ("PLATFORMCTL_TOKEN", String::new())];
    runner.forge.open(1, "alice", "The first page");
    runner.forge.merged_as(1, &runner.site.repo.id("main").to_string(), "bob");
    let start = Start { event: "workflow_dispatch", inputs: &[("pr", "1"), ("module", "")], secrets: &secrets, pr: 0 };
    let steps = runner.run("apply", &start);
    assert_eq!(exits(&steps), [Some(0), Some(0)], "{steps:#?}");
    assert_eq!(runner.forge.comments(1).len(), 1);
    assert!(steps[0].said.contains("✓ no run is open") && steps[1].said.contains("✓ recorded"), "{steps:#?}");
    assert_eq!((runner.site.live().as_str(), runner.site.log().len()), ("hello\n", 4));
    assert!(sshd.logins() > 0);
    // Who pressed the button is the author, by the runner's word.
    let author = runner.site.repo.git_in("remote.git", &["log", "-1", "--format=%an", "refs/platform/state"]);
    assert_eq!(author, "bob");
    let event = runner.site.repo.git_in("remote.git", &["show", "refs/platform/state:event.json"]);
    let event: serde_json::Value = serde_json::from_str(&event).unwrap();
    let via = serde_json::json!({"repository": "ops/platform", "run": "17", "server": runner.forge.base()});
    assert_eq!(event["actor"]["via"], via, "{event}");
    let start = Start { inputs: &[("pr", "1"), ("module", "site")], ..start };
    let steps = runner.run("apply", &start);
    assert!(exits(&steps) == [Some(0), Some(0)] && steps[1].said.contains("nothing to change"), "{steps:#?}");
    let steps = runner.run("status", &start);
    assert_eq!(exits(&steps), [Some(0), Some(0), Some(0)], "{steps:#?}");
    let steps = runner.run("resume", &start);
    assert_eq!(exits(&steps), [Some(0)], "{steps:#?}");
    // One that is not merged is refused, and the job is red.
    runner.site.repo.pull(2, "modules/site/public/index.html", "two\n");
    let steps = runner.run("apply", &Start { inputs: &[("pr", "2"), ("module", "")], ..start });
    assert_eq!(exits(&steps), [Some(0), Some(6)], "{steps:#?}");
    assert_eq!(runner.site.live(), "hello\n");
}

/// A merge is applied by itself where the policy and the module say so, and whatever else is merged waits.
#[test]
fn merge_is_applied_by_itself() {
    let (site, _sshd) = remote("apply: {ceiling: on_merge}\n");
    let merge = |n: u64, apply: &str, page: &str| {
        site.repo.branch(&format!("pr{n}"), "main");
        site.manifest(apply);
        site.repo.write("modules/site/public/index.html", page);
        site.repo.commit(page);
        site.repo.propose(n);
        site.repo.merge(n, &format!("pr{n}"));
    };
    merge(2, "apply: on_merge\n", "two\n");
    let mut runner = Runner::new(&site);
    let secrets = [("PLATFORMCTL_SSH_KEY", key())];
    let push = Start { event: "push", secrets: &secrets, ..Start::default() };
    // The first apply is a person's.
    let steps = runner.run("apply-merged", &push);
    assert!(exits(&steps) == [Some(0), Some(0)] && site.live() != "two\n", "{steps:#?}");
    let by_hand = Start { event: "workflow_dispatch", inputs: &[("pr", "2"), ("module", "")], ..push.clone() };
    assert_eq!(exits(&runner.run("apply", &by_hand)), [Some(0), Some(0)]);
    merge(3, "apply: on_merge\n", "three\n");
    runner.minutes = 1;
    let steps = runner.run("apply-merged", &push);
    assert_eq!((exits(&steps), site.live().as_str()), (vec![Some(0), Some(0)], "three\n"), "{steps:#?}");
    // On the schedule, with nothing to do; and what the module no longer lets happen waits.
    runner.minutes = 2;
    let hourly = Start { event: "schedule", ..push.clone() };
    assert_eq!(exits(&runner.run("apply-merged", &hourly)), [Some(0), Some(0)]);
    merge(4, "apply: manual\n", "four\n");
    let steps = runner.run("apply-merged", &hourly);
    assert_eq!((exits(&steps), site.live().as_str()), (vec![Some(0), Some(0)], "three\n"), "{steps:#?}");
    assert!(steps[1].said.contains("apply_manual"), "{steps:#?}");
}

/// A module of driver compose, on a real engine.
#[test]
fn compose_module_is_applied_from_actions() {
    lab();
    let sshd = Sshd::start("", false);
    let transport = format!(
        "    transport: ssh\n    destination: ssh://root@127.0.0.1:{}\n    host_keys: [\"{}\"]\n",
        sshd.port,
        sshd.key()
    );
    let stack = Stack::on(&transport, "");
    stack.compose(&[("web", "command: [sleep, infinity]\nstop_grace_period: 0s\n")]);
    stack.change(1, |_| {});
    let runner = Runner::new(&stack.site);
    let secrets = [("PLATFORMCTL_SSH_KEY", key())];
    let start = Start { event: "workflow_dispatch", inputs: &[("pr", "1"), ("module", "")], secrets: &secrets, pr: 0 };
    let steps = runner.run("apply", &start);
    assert_eq!(exits(&steps), [Some(0), Some(0)], "{steps:#?}");
    assert_eq!(stack.inspect("web", "{{.State.Status}}"), "running");
    let steps = runner.run("status", &start);
    assert_eq!(exits(&steps), [Some(0), Some(0), Some(0)], "{steps:#?}");
}

/// The whole story, on a real sshd, a real engine and a real ntfy server: a pull request gets its plan, is refused as long
/// as nobody reviewed it, is reviewed, merged and applied by workflows, tells of itself, and verifies.
#[test]
fn compose_change_goes_from_the_pull_request_to_the_phone() {
    lab();
    let (ntfy, sshd) = (Ntfy::start(), Sshd::start("", false));
    let transport = format!(
        "    transport: ssh\n    destination: ssh://root@127.0.0.1:{}\n    host_keys: [\"{}\"]\n",
        sshd.port,
        sshd.key()
    );
    let policy = format!(
        "approval: {{source: forgejo, required_approvals: 1, not_counted: [forgejo-actions]}}\n\
         notify: {{ntfy: {{url: '{}', topic: ops}}, on: [applied]}}\n",
        ntfy.url()
    );
    let stack = Stack::on(&transport, &policy);
    for (path, text) in of("main").unwrap() {
        stack.site.repo.write(path, &text);
    }
    stack.site.repo.git(&["reset", "-q"]);
    stack.site.repo.git(&["add", ".forgejo"]);
    stack.site.repo.git(&["commit", "-q", "-m", "workflows"]);
    stack.site.repo.publish();
    let repo = &stack.site.repo;
    repo.branch("pr1", "main");
    stack.manifest("");
    stack.compose(&[("web", "command: [sleep, infinity]\nstop_grace_period: 0s\n")]);
    repo.commit("the first service");
    repo.propose(1);
    let runner = Runner::new(&stack.site);
    for user in ["bob", "ola"] {
        runner.forge.user(user);
    }
    runner.forge.open(1, "alice", "The first service");

    // Before the merge: the plan under the pull request, with a headline for a phone.
    let proposed = Start { event: "pull_request", pr: 1, ..Start::default() };
    let steps = runner.run("plan", &proposed);
    assert!(exits(&steps).iter().all(|exit| *exit == Some(0)), "{steps:#?}");
    let comment = |n: u64| runner.forge.comments(n).pop().unwrap().body;
    assert!(comment(1).contains("**Merging starts web on box."), "{}", comment(1));

    // Merged without a review it is refused, by name; with one it is applied.
    let secrets = [("PLATFORMCTL_SSH_KEY", key())];
    let apply = Start { event: "workflow_dispatch", inputs: &[("pr", "1"), ("module", "")], secrets: &secrets, pr: 0 };
    runner.forge.approve(1, "ola");
    runner.forge.merge(1, &forge::Style::Squash, "alice");
    let steps = runner.run("apply", &apply);
    assert_eq!(exits(&steps), [Some(0), Some(0)], "{steps:#?}");
    assert_eq!(stack.inspect("web", "{{.State.Status}}"), "running");
    assert!(comment(1).contains("app on box: **applied**, seq "), "{}", comment(1));
    let last = runner.forge.statuses().pop().unwrap();
    assert_eq!((last.context.as_str(), last.state.as_str()), ("platformctl/apply/app", "success"));
    assert!(ntfy.titles("ops").iter().any(|title| title.contains("app on box")), "{:?}", ntfy.titles("ops"));
    let event = repo.git_in("remote.git", &["show", "refs/platform/state~1:event.json"]);
    let event: serde_json::Value = serde_json::from_str(&event).unwrap();
    assert_eq!(event["approved"]["reviews"][0]["user"], "ola", "{event:#}");

    // A change that nobody reviewed stays where it is, and the job is red.
    repo.git(&["fetch", "-q", "origin", "main"]);
    repo.branch("pr2", "FETCH_HEAD");
    stack.compose(&[("web", "command: [sleep, '9999']\nstop_grace_period: 0s\n")]);
    repo.commit("unreviewed");
    repo.propose(2);
    runner.forge.open(2, "alice", "Unreviewed");
    runner.forge.merge(2, &forge::Style::Merge, "alice");
    let refused = Start { inputs: &[("pr", "2"), ("module", "")], ..apply };
    let steps = runner.run("apply", &refused);
    assert!(exits(&steps) == [Some(0), Some(6)] && steps[1].said.contains("not_reviewed"), "{steps:#?}");

    // Everything that happened verifies, from a clone that was not there.
    repo.git_in(".", &["clone", "-q", "remote.git", "later"]);
    let verified = stack.site.binary(&repo.path("later"), 60, &["verify"]).output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// Attack: somebody reads the ssh key of a host from a runner on which a run was cancelled
/// Defence: the key is in the memory of the process alone; after a kill without a signal it is in no file
#[test]
fn cancelled_run_leaves_no_key_and_is_ended_by_the_next() {
    let (site, _sshd) = remote("    activate: [[sleep, \"4\"]]\n");
    site.activates("[[sleep, \"4\"]]");
    site.change(2, "two\n");
    let mut runner = Runner::new(&site);
    let secrets = [("PLATFORMCTL_SSH_KEY", key())];
    let start = Start { event: "workflow_dispatch", inputs: &[("pr", "2"), ("module", "")], secrets: &secrets, pr: 0 };
    let space = Workspace::new();
    let text = &files()["apply"];
    let workflow = Workflow::parse("apply", text.as_bytes(), "main").unwrap();
    let steps = job(&workflow).steps();
    runner.checkout(&space, &start, steps[0].get("with").unwrap());
    let mut child = runner.begin(&space, &start, steps.last().unwrap());
    // The host has been told to change, and does.
    until("the host changes", || runner.site.live() == "two\n");
    let group = format!("-{}", child.id());
    assert!(Command::new("kill").args(["-s", "KILL", "--", &group]).status().unwrap().success());
    child.wait().unwrap();
    let secret = key();
    let line = secret.lines().rev().nth(1).unwrap();
    for (path, bytes) in everything_below(space.dir.path(), &[]) {
        assert!(!String::from_utf8_lossy(&bytes).contains(line), "the key is in {}", path.display());
    }
    drop(space);
    // Whatever that folder held is gone. The next run begins with nothing, and ends what was left.
    std::thread::sleep(std::time::Duration::from_secs(5));
    runner.minutes = 600;
    let steps = runner.run("apply", &start);
    assert_eq!(exits(&steps), [Some(0), Some(0)], "{steps:#?}");
    assert!(steps[0].said.contains("1 run checked") && steps[1].said.contains("nothing to change"), "{steps:#?}");
    assert_eq!(runner.site.log().first().map(String::as_str), Some("apply ok: site on box, PR #2 (1 change)"));
}

/// Cancelled between the intent and the change: nobody has to say that the run is over.
#[test]
fn run_that_never_began_is_ended_by_the_next() {
    let (_rc, slow) = Sshd::rc("sleep 1\n");
    let (site, _sshd) = behind(&slow, "");
    let mut runner = Runner::new(&site);
    let secrets = [("PLATFORMCTL_SSH_KEY", key())];
    let start = Start { event: "workflow_dispatch", inputs: &[("pr", "1"), ("module", "")], secrets: &secrets, pr: 0 };
    let space = Workspace::new();
    let workflow = Workflow::parse("apply", files()["apply"].as_bytes(), "main").unwrap();
    let steps = job(&workflow).steps();
    runner.checkout(&space, &start, steps[0].get("with").unwrap());
    let mut child = runner.begin(&space, &start, steps.last().unwrap());
    until("the intent is recorded", || {
        runner.site.log().first().is_some_and(|subject| subject.starts_with("apply intent"))
    });
    let group = format!("-{}", child.id());
    assert!(Command::new("kill").args(["-s", "KILL", "--", &group]).status().unwrap().success());
    child.wait().unwrap();
    drop(space);
    // Its files may be on their way: a person sees for how long.
    runner.minutes = 1;
    let resume = Start { inputs: &[("run", "")], ..start.clone() };
    let space = Workspace::new();
    runner.checkout(&space, &resume, steps[0].get("with").unwrap());
    let asked = runner.begin(&space, &resume, &step_of("platformctl resume")).wait_with_output().unwrap();
    let said = String::from_utf8([asked.stdout, asked.stderr].concat()).unwrap();
    assert!(asked.status.code() == Some(8) && said.contains("has not begun on box"), "{said}");
    assert!(said.contains("fix: wait up to") && !said.contains("abandon"), "{said}");
    // After that the next run ends it, and applies.
    runner.minutes = 6;
    let steps = runner.run("apply", &start);
    assert_eq!(exits(&steps), [Some(0), Some(0)], "{steps:#?}");
    assert_eq!(runner.site.live(), "hello\n");
    assert!(runner.site.log().iter().any(|subject| subject.contains("aborted")), "{:?}", runner.site.log());
}

/// A step with this script.
fn step_of(script: &str) -> Node {
    let text = format!("run: {script}\nenv: {{PLATFORMCTL_SSH_KEY: '${{{{ secrets.PLATFORMCTL_SSH_KEY }}}}'}}\n");
    platformctl::model::yaml::read_compose(text.as_bytes()).unwrap()
}

/// Attack: the server is gone when an apply ends, and the workspace with the outcome is wiped
/// Defence: the outcome stays on the host, the words say so, and the next run's `resume` records it
#[test]
fn outcome_that_cannot_be_pushed_stays_on_the_host() {
    let (site, _sshd) = remote("    activate: [[sleep, \"3\"]]\n");
    site.activates("[[sleep, \"3\"]]");
    site.change(2, "two\n");
    let mut runner = Runner::new(&site);
    let secrets = [("PLATFORMCTL_SSH_KEY", key())];
    let start = Start { event: "workflow_dispatch", inputs: &[("pr", "2"), ("module", "")], secrets: &secrets, pr: 0 };
    // While the host changes, the server goes.
    let (forge, page) = (&runner.forge, runner.site.live_path());
    let steps = std::thread::scope(|scope| {
        scope.spawn(move || {
            until("the host changes", || fs::read_to_string(&page).is_ok_and(|text| text == "two\n"));
            forge.fault("", Fault::Reset);
        });
        runner.run("apply", &start)
    });
    assert_eq!(exits(&steps), [Some(0), Some(15)], "{steps:#?}");
    let words = steps[1].said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("UNRECORDED") && words.contains("! the outcome stays on box, in"), "{words}");
    assert!(words.contains("records it from any clone or run") && !words.contains("waits here"), "{words}");
    let named = words.split(' ').find(|word| word.contains("/runs/") && word.contains("result.json")).unwrap();
    assert!(Path::new(named.trim_end_matches(';')).exists(), "{named}");
    // The server is back. The folder in which the outcome waited is gone.
    runner.forge.heal();
    runner.minutes = 600;
    let steps = runner.run("resume", &start);
    assert_eq!(exits(&steps), [Some(0)], "{steps:#?}");
    assert_eq!(runner.site.log().first().map(String::as_str), Some("apply ok: site on box, PR #2 (1 change)"));
}

/// The page tells of each workflow, names no other, and its example of a host is one.
#[test]
fn page_about_forgejo_describes_these_workflows() {
    let page = include_str!("../../docs/forgejo.md");
    let rows: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 5).collect();
    let named: Vec<&str> = rows.iter().map(|row| row.split('`').nth(1).unwrap()).collect();
    let files = files();
    let mut sorted = named;
    sorted.sort_unstable();
    assert_eq!(sorted, files.keys().collect::<Vec<_>>());
    for row in rows {
        let name = row.split('`').nth(1).unwrap();
        let key = files[name].contains("secrets.PLATFORMCTL_SSH_KEY");
        assert_eq!(row.ends_with("| key, token |"), key, "{row}");
    }
    let yaml = page.split("```yaml\n").find(|block| block.starts_with("hosts:")).unwrap().split("```").next().unwrap();
    let policy = format!("schema: platform/1\n{}", yaml.replace("AAAA…", "AAAAC3NzaC1lZDI1NTE5"));
    let policy = platformctl::model::policy::Policy::parse(policy.as_bytes()).unwrap();
    assert_eq!(policy.hosts.len(), 1);
}

/// A clone of a repository without a commit, as a forge makes them.
fn empty() -> Site {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("home")).unwrap();
    let repo = Repo::of(dir);
    repo.git_in(".", &["init", "-q", "--bare", "-b", "main", "remote.git"]);
    repo.git_in(".", &["clone", "-q", "remote.git", "work"]);
    Site::of(repo)
}

#[test]
fn init_says_what_an_empty_repository_needs_first() {
    let site = empty();
    assert_data_eq!(
        site.run(0, "init --forgejo"),
        str![[r#"
exit 2
USAGE usage (2). Nothing was changed.
origin has no branch main yet and this repository no commit:
a pull request needs a base branch
fix: git commit --allow-empty -m begin && git push origin HEAD:refs/heads/main

"#]]
    );
    assert_eq!(site.repo.git(&["branch", "--list"]), "");
    // The fix works as it is printed; then a pull request can be opened.
    site.repo.git(&["commit", "-q", "--allow-empty", "-m", "begin"]);
    let said = site.run(0, "init --branch early");
    assert!(
        said.contains("origin has no branch main yet: push that first, because a\npull request needs it"),
        "{said}"
    );
    assert!(said.ends_with("next: git push origin HEAD:refs/heads/main\n"), "{said}");
    site.repo.git(&["push", "-q", "origin", "HEAD:refs/heads/main"]);
    assert_data_eq!(
        site.run(0, "init --forgejo"),
        str![[r#"
exit 0
✓ branch platformctl-init; your files are as they were
  adds  platform.yaml
  adds  allowed_signers
  adds  hooks/pre-push
  adds  modules/hello/module.yaml
  adds  modules/hello/public/index.html
  adds  .forgejo/workflows/validate.yaml
  adds  .forgejo/workflows/plan.yaml
  adds  .forgejo/workflows/apply.yaml
  adds  .forgejo/workflows/apply-merged.yaml
  adds  .forgejo/workflows/resume.yaml
  adds  .forgejo/workflows/abandon.yaml
  adds  .forgejo/workflows/status.yaml
look at it: git show platformctl-init
check it:   platformctl validate --at platformctl-init
then push it, open a pull request, and merge it
next: git push origin platformctl-init

"#]]
    );
    let validated = site.run(0, "validate --at platformctl-init");
    assert!(validated.starts_with("exit 0\n"), "{validated}");
    site.repo.git(&["push", "-q", "origin", "platformctl-init:main"]);
    // Everything is there already.
    site.repo.git(&["checkout", "-q", "platformctl-init"]);
    assert!(site.run(0, "init --forgejo --branch again").contains("everything is there already"));
    let (exit, said) = (site.run(0, "lint"), site.run(0, "lint --json"));
    assert!(exit.starts_with("exit 0\n") && said.contains("\"findings\":[]"), "{said}");
}

/// Attack: a token from a file is printed by a later command of the step, and the runner does not know that it is a secret
/// Defence: in a run, platformctl tells the runner to mask the value before it uses it; outside of one it never prints it
#[test]
fn runner_is_told_to_mask_a_token_from_a_file() {
    let site = Site::new();
    let runner = Runner::new(&site);
    let token = runner.forge.user("carol").token;
    let space = Workspace::new();
    let start = Start { event: "push", ..Start::default() };
    let with = platformctl::model::yaml::read_compose(b"fetch-depth: 0\npersist-credentials: false\n").unwrap();
    runner.checkout(&space, &start, &with);
    fs::write(space.path("temp/token"), &token).unwrap();
    let ask = |runner_says: bool| {
        let mut env = runner.environment(&space, &start);
        env.insert("PLATFORMCTL_FORGEJO_TOKEN_FILE".to_owned(), space.path("temp/token").display().to_string());
        if !runner_says {
            env.retain(|name, _| !name.starts_with("FORGEJO_ACTIONS") && !name.starts_with("GITHUB_ACTIONS"));
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_platformctl"));
        command.args(["pending", "--json", "-vv"]).env_clear().envs(env).current_dir(space.path("work"));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (stdout, stderr) = ask(true);
    drop(serde_json::from_str::<serde_json::Value>(&stdout).unwrap());
    let line = format!("::add-mask::{token}");
    assert_eq!(stderr.lines().filter(|said| *said == line).count(), 1, "{stderr}");
    assert_eq!(stderr.matches(&token).count(), 1, "{stderr}");
    let (stdout, stderr) = ask(false);
    assert!(!stdout.contains(&token) && !stderr.contains(&token), "{stderr}");
}

#[test]
fn preview_is_followed_by_a_pull_request() {
    let site = Site::new();
    site.repo.branch("next", "main");
    site.repo.write("modules/site/public/index.html", "next\n");
    site.repo.commit("next");
    let preview = site.run(0, "plan site --at next");
    assert!(
        preview.ends_with("next: open a pull request with this commit; `platformctl plan site --pr N` plans it as N\n"),
        "{preview}"
    );
}

/// Attack: adding workflows for Forgejo silently turns off the checks in `.github/workflows`
/// Defence: `init --forgejo` warns about a folder of workflows that the server does not look at any more
#[test]
fn init_warns_about_workflows_that_it_hides() {
    let site = Site::of(Repo::new());
    site.repo.write(".github/workflows/ci.yml", "on: push\n");
    site.repo.commit("ci");
    let said = site.run(0, "init --forgejo");
    assert!(said.contains("warning: the server looks at .forgejo/workflows alone now"), "{said}");
    assert!(!site.run(0, "init --branch without").contains("warning"));
    site.repo.write(".forgejo/workflows/ci.yml", "on: push\n");
    site.repo.commit("ci of its own");
    assert!(!site.run(0, "init --forgejo --branch both").contains("warning"));
}

#[test]
fn workflows_have_the_base_branch_of_the_repository() {
    for (path, text) in of("release/2.x").unwrap() {
        assert!(
            !text.contains('@') || text.matches('@').count() == text.matches("checkout@").count(),
            "{path}: {text}"
        );
        let findings = platformctl::model::workflow::rules::lint(path, text.as_bytes(), "release/2.x");
        assert_eq!(findings, [], "{path}");
    }
    let numeric = of("2024").unwrap();
    assert!(numeric.iter().any(|(_, text)| text.contains("ref: \"2024\"")), "a number is quoted");
    assert!(of("it's").is_err());
}

/// A host that ssh knows is another machine, whatever its name.
#[test]
fn init_asks_ssh_whether_a_host_is_another_machine() {
    lab();
    let site = Site::of(Repo::new());
    let policy = |branch: &str| site.repo.git(&["show", &format!("{branch}:platform.yaml")]);
    let said = site.run(0, "init --host lab --branch known");
    assert!(said.starts_with("exit 0\n") && !said.contains("ssh does not know"), "{said}");
    assert!(policy("known").contains("  lab:\n    transport: ssh\n    destination: lab "), "{}", policy("known"));
    assert!(site.run(0, "validate --at known").starts_with("exit 0\n"));
    for name in ["nobody-knows-me", "a"] {
        let said = site.run(0, &format!("init --host {name} --branch unknown-{name}"));
        assert!(said.contains(&format!("ssh does not know {name}, so it is taken for")), "{said}");
        assert!(policy(&format!("unknown-{name}")).contains("transport: local"));
    }
    // Nobody named one: the example is this machine, and ssh is not asked.
    let said = site.run(0, "init --branch example");
    assert!(!said.contains("ssh") && policy("example").contains("  box:\n    transport: local"), "{said}");
}
