//! Findings about approvals, plans and the checkout.

use std::{collections::BTreeSet, fs, os::unix::fs::symlink, path::Path};

use super::{code, shadowed, with};
use crate::support::{
    forge::{Fault, Forge},
    repo::Repo,
    site::Site,
    stack::{Stack, docker, everything_below},
};

const PAGE: &str = "modules/site/public/index.html";
const NOTHING: &str = "entity not found";

/// Finding: approved sha not bound to checkout, plan or module
/// Decided: src/flow/bind/mod.rs: an approval is bound to one module, to the files on disk and to what a plan file promises
#[test]
fn approved_sha_not_bound_to_checkout_plan_or_module() {
    let site = Site::new();
    let one = site.repo.id("main");
    let plan = site.repo.path("plan.json").display().to_string();
    assert!(site.run(0, &format!("plan site --pr 1 -o {plan}")).starts_with("exit 0\n"));
    site.repo.pull(2, "notes", "x\n");
    let other = site.repo.merge(2, "pr2");
    assert_eq!(code(&site, 0, &format!("apply site --approved {other}")), "7 never_changed_by_pr");
    let three = site.change(3, "three\n");
    assert_eq!(code(&site, 0, &format!("apply {plan} --approved {three}")), "7 plan_stale");
    site.repo.git(&["checkout", "-q", "--detach", &one.to_string()]);
    assert_eq!(code(&site, 0, &format!("apply site --approved {three}")), "7 checkout_differs");
    assert_eq!((site.live().as_str(), site.log().len()), (NOTHING, 0));
    site.repo.git(&["checkout", "-q", "main"]);
    assert_eq!(code(&site, 0, &format!("apply site --approved {three}")), "0 applied");
    assert_eq!(site.live(), "three\n");
}

/// Finding: plan with an error exit still applied
/// Decided: src/flow/mod.rs: a stage that stops gives no product, and no later stage can begin without it
#[test]
fn plan_with_an_error_exit_still_applied() {
    let site = Site::new();
    let plan = site.repo.path("plan.json").display().to_string();
    site.repo.write(PAGE, "dirty\n");
    assert!(site.run(0, &format!("plan site --pr 1 -o {plan}")).starts_with("exit 7\n"));
    site.repo.git(&["checkout", "-q", "."]);
    assert_eq!(code(&site, 0, &format!("apply {plan} --pr 1")), "7 plan_errored");
    // Nor does an apply go on when its own look at the host fails.
    let path = shadowed(&site, "sh", "case \"$*\" in *files-look*) exit 1 ;; esac");
    let (exit, said) = with(&site, &site.repo.work(), "apply site --pr 1", &[("PATH", &path)]);
    assert!(exit == 9 && said.contains("Nothing was changed"), "{said}");
    assert_eq!((site.live().as_str(), site.log().len()), (NOTHING, 0));
    assert_eq!(code(&site, 0, "apply site --pr 1"), "0 applied");
}

/// Finding: plan without changes still runs compose
/// Decided: src/verb/apply.rs: a plan without changes ends before an intent is recorded, and asks the host for nothing more
#[test]
fn plan_without_changes_still_runs_compose() {
    let stack = Stack::new();
    stack.change(1, |stack| stack.compose(&[("app", "")]));
    let now = || docker(&["info", "--format", "{{.SystemTime}}"]);
    let events = |since: &str| {
        let filter = format!("label=com.docker.compose.project={}", stack.project);
        docker(&["events", "--since", since, "--until", &now(), "--filter", &filter, "--filter", "type=container"])
    };
    let begun = now();
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    assert_ne!(events(&begun), "", "the test sees what compose does");
    let seen = || (stack.inspect("app", "{{.Id}} {{.State.StartedAt}}"), everything_below(&stack.root(), &[]).len());
    let (before, begun) = (seen(), now());
    let said = stack.run(1, "apply app --pr 1");
    assert!(said.starts_with("exit 0\n") && said.contains("nothing to change"), "{said}");
    assert_eq!((events(&begun).as_str(), seen()), ("", before));
}

/// Finding: scan of the first 500 pull requests or files
/// Decided: src/flow/approve/candidates.rs: candidates are found by the listing of all refs and by commits, never by pages
#[test]
fn scan_of_the_first_500_pull_requests_or_files() {
    let site = Site::empty("");
    // 1200 other pull requests, as a server keeps them.
    site.repo.pull(9999, "never", "merged\n");
    let never = site.repo.id("pr9999");
    let others = (1..=600).chain(602..=1201).map(|n| format!("{never} refs/pull/{n}/head\n"));
    fs::write(site.repo.path("remote.git/packed-refs"), others.collect::<String>()).unwrap();
    site.repo.branch("pr601", "main");
    site.manifest("");
    // More than 500 files are listed before those of the module.
    (0..600).for_each(|n| site.repo.write(&format!("a/{n}"), "x\n"));
    site.repo.write("modules/site/public/zzz", "the last\n");
    site.repo.commit("many files");
    site.repo.propose(601);
    site.repo.merge(601, "pr601");
    site.repo.write("modules/site/public/zzz", "dirty\n");
    assert_eq!(code(&site, 0, "apply site --pr 601"), "7 checkout_dirty");
    site.repo.git(&["checkout", "-q", "."]);
    assert_eq!(code(&site, 0, "apply site --pr 601"), "0 applied");
    assert_eq!(fs::read_to_string(site.repo.path("root/live/site/zzz")).unwrap(), "the last\n");
    // A push without a review that touches the last file alone.
    site.repo.write("modules/site/public/zzz", "pushed\n");
    site.repo.commit("direct push");
    site.repo.publish();
    site.change(1300, "page\n");
    assert_eq!(code(&site, 1, "apply site --pr 1300"), "6 unreviewed_change");
}

/// A site on a private forge that is asked for its word; pull request 1 is merged there. With somebody's token.
fn hosted() -> (Site, Forge, String) {
    let site = Site::of(Repo::new());
    let forge = Forge::start(&site.repo.path("remote.git"), "ops", "platform");
    let token = forge.user("robot").token;
    let policy = format!(
        "schema: platform/1\napproval: {{source: forgejo, forge: {}, required_approvals: 0}}\nhosts:\n  box: {{transport: local, root: {}, mutations: enabled}}\n",
        forge.url(),
        site.repo.path("root").display()
    );
    site.repo.write("platform.yaml", &policy);
    site.repo.commit("policy");
    site.repo.publish();
    let merge = site.change(1, "hello\n").to_string();
    forge.user("alice");
    forge.open(1, "alice", "Page 1");
    forge.merged_as(1, &merge, "alice");
    forge.private();
    (site, forge, token)
}

/// Finding: missing token reported as "not merged"
/// Decided: src/io/forgejo/failures.rs: every failure of the forge has a code of its own; "not merged" is an answer of it
#[test]
fn missing_token_reported_as_not_merged() {
    let (site, forge, token) = hosted();
    let ask = |token: &str, pr: u64| {
        let args = format!("apply site --pr {pr} --json");
        let (exit, said) = with(&site, &site.repo.work(), &args, &[("PLATFORMCTL_FORGEJO_TOKEN", token)]);
        let json: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
        let code = json["code"].as_str().or(json["outcome"].as_str()).unwrap().to_owned();
        assert_eq!(said.contains("not merged"), code == "head_not_merged", "{said}");
        format!("{exit} {code}")
    };
    assert_eq!(ask("", 1), "9 forge_not_found");
    assert_eq!(ask("0123456789abcdef0123456789abcdef01234567", 1), "9 credentials_refused");
    forge.fault("/repos/", Fault::Says(401, serde_json::json!({"message": "token is required"})));
    assert_eq!(ask("", 1), "9 credentials_missing");
    forge.heal();
    assert_eq!(ask(&token, 1), "0 applied");
    site.repo.pull(2, PAGE, "two\n");
    forge.open(2, "alice", "Page 2");
    site.repo.git(&["checkout", "-q", "main"]);
    assert_eq!(ask(&token, 2), "6 head_not_merged");
}

/// Finding: four token names, one of them an agent's
/// Decided: src/io/token.rs: our own variable or file, else git's helper, else the automatic token in a run of Actions
#[test]
fn four_token_names_one_of_them_an_agents() {
    let (site, forge, token) = hosted();
    for name in ["FORGEJO_TOKEN", "GITEA_TOKEN", "GITHUB_TOKEN", "FORGE_TOKEN", "PLATFORMCTL_TOKEN", "AGENT_TOKEN"] {
        forge.requests();
        let (exit, said) = with(&site, &site.repo.work(), "apply site --pr 1", &[(name, &token)]);
        assert!(exit == 9 && said.contains("forge_not_found"), "{name}: {said}");
        let seen = forge.requests();
        assert!(!seen.is_empty() && !format!("{seen:?}").contains(&token), "{name} is sent to the forge");
    }
    // The names that the program knows are those of one file, and none is that of an agent's program.
    let is_part = |c: char| c.is_ascii_uppercase() || c == '_';
    let names = |code: &str| -> BTreeSet<String> {
        let quoted =
            code.split(|c| !is_part(c) && c != '"').filter_map(|word| word.strip_prefix('"')?.strip_suffix('"'));
        // What git is handed the token under is set and read by us.
        let names = quoted.filter(|name| name.contains("_TOKEN") && *name != "PLATFORMCTL_GIT_TOKEN");
        names.map(str::to_owned).collect()
    };
    let source = super::source();
    let known = source.iter().find(|(file, _)| file == "io/token.rs").map(|(_, code)| names(code)).unwrap();
    for (file, code) in &source {
        assert!(names(code).is_subset(&known), "{file} has token names of its own: {:?}", names(code));
    }
    let expected = [
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        "FORGEJO_TOKEN",
        "GITEA_TOKEN",
        "GITHUB_TOKEN",
        "PLATFORMCTL_FORGEJO_TOKEN",
        "PLATFORMCTL_FORGEJO_TOKEN_FILE",
    ];
    assert_eq!(known, expected.map(str::to_owned).into());
}

/// Finding: binding skipped when git is missing
/// Decided: src/io/git/checkout.rs: files are hashed by the program itself; a git that is needed and fails ends the command
#[test]
fn binding_skipped_when_git_is_missing() {
    let site = Site::new();
    let dir = site.repo.work();
    let asked = site.repo.path("asked");
    let log = format!("printf '%s\\n' \"$*\" >>'{}'", asked.display());
    let apply = |path: &str| with(&site, &dir, "apply site --pr 1 --json", &[("PATH", path)]);
    site.repo.write(PAGE, "dirty\n");
    assert_eq!(apply(&shadowed(&site, "git", &log)).0, 7);
    // Each of git's commands fails by itself, and the dirty checkout is never applied.
    let asked = fs::read_to_string(asked).unwrap();
    let commands: BTreeSet<&str> = asked.lines().filter_map(command).collect();
    assert!(commands.contains("ls-remote") && commands.contains("fetch"), "{commands:?}");
    for command in commands {
        let fails = format!("for word; do [ \"$word\" != {command} ] || exit 128; done");
        let (exit, said) = apply(&shadowed(&site, "git", &fails));
        assert!([7, 9].contains(&exit), "{command}: {said}");
    }
    // There is none at all.
    let bin = site.repo.path("without");
    fs::create_dir(&bin).unwrap();
    for folder in std::env::split_paths(&std::env::var_os("PATH").unwrap()) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| entry.file_name() != "git") {
            drop(symlink(entry.path(), bin.join(entry.file_name())));
        }
    }
    let (exit, said) = apply(&bin.display().to_string());
    assert!(exit == 9 && said.contains("could not start `git`"), "{said}");
    assert_eq!((site.live().as_str(), site.log().len()), (NOTHING, 0));
    site.repo.git(&["checkout", "-q", "."]);
    assert_eq!(site.json(0, "apply site --pr 1")["checkout"], "bound");
}

/// Which of git's commands a line of arguments is.
fn command(line: &str) -> Option<&str> {
    let mut words = line.split(' ');
    while let Some(word) = words.next() {
        match word {
            "-c" | "-C" => drop(words.next()),
            word if word.starts_with('-') => {}
            word => return Some(word),
        }
    }
    None
}

/// Finding: compose-only PR refused because `module.yaml` did not change
/// Decided: src/tree/footprint.rs: what concerns a module is its effective digest, which has the compose files in it
#[test]
fn compose_only_pr_refused_because_module_yaml_did_not_change() {
    let stack = Stack::new();
    stack.change(1, |stack| stack.compose(&[("app", "environment: {A: '1'}")]));
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    stack.change(2, |stack| stack.compose(&[("app", "environment: {A: '2'}")]));
    let repo = &stack.site.repo;
    assert_eq!(repo.git(&["diff", "--name-only", "main^1", "main"]), "compose/app.yaml");
    assert!(stack.run(1, "pending").contains("#2  app"), "{}", stack.run(1, "pending"));
    assert_eq!(stack.json(1, "apply app --pr 2")["outcome"], "applied");
    assert!(stack.inspect("app", "{{.Config.Env}}").contains("A=2"));
}

/// Finding: no-op compares the head sha with the merge sha
/// Decided: src/flow/bind/bound.rs: both ids lead to one merge result, and its content is compared with what is recorded
#[test]
fn no_op_compares_the_head_sha_with_the_merge_sha() {
    let site = Site::empty("");
    site.repo.branch("pr1", "main");
    site.manifest("");
    site.repo.write(PAGE, "one\n");
    site.repo.commit("page");
    let head = site.repo.propose(1);
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.git(&["merge", "-q", "--squash", "pr1"]);
    site.repo.commit("page (#1)");
    let merge = site.repo.publish();
    assert_ne!(head, merge);
    assert_eq!(code(&site, 0, &format!("apply site --approved {head}")), "0 applied");
    for id in [head, merge] {
        assert_eq!(code(&site, 1, &format!("apply site --approved {id}")), "0 noop");
    }
    let intents = site.log().iter().filter(|subject| subject.starts_with("apply intent")).count();
    assert_eq!(intents, 1, "{:?}", site.log());
    site.change(2, "two\n");
    assert_eq!(code(&site, 2, "apply site --pr 2"), "0 applied");
    assert_eq!(site.live(), "two\n");
}

/// Finding: plan from a dirty checkout
/// Decided: src/flow/bind/mod.rs: a plan reads the tree of the merge result, and a checkout that differs from it is refused
#[test]
fn plan_from_a_dirty_checkout() {
    let site = Site::new();
    let closure = |args: &str| -> String {
        let plan = site.repo.path("plan.json");
        let said = site.run(0, &format!("plan site --pr 1 -o {}{args}", plan.display()));
        assert!(said.starts_with("exit 0\n"), "{said}");
        let plan: serde_json::Value = serde_json::from_slice(&fs::read(plan).unwrap()).unwrap();
        plan["intent"]["closure"].to_string()
    };
    let clean = closure("");
    site.repo.write(PAGE, "dirty\n");
    assert_eq!(code(&site, 0, "plan site --pr 1"), "7 checkout_dirty");
    site.repo.git(&["add", "-A"]);
    assert_eq!(code(&site, 0, "plan site --pr 1"), "7 checkout_dirty", "staged");
    site.repo.git(&["update-index", "--assume-unchanged", PAGE]);
    assert_eq!(code(&site, 0, "plan site --pr 1"), "7 checkout_dirty", "hidden from git");
    assert_eq!(closure(" --no-checkout-binding"), clean, "what was merged is planned, whatever lies here");
    assert_eq!(code(&site, 0, "apply site --pr 1 --no-checkout-binding"), "0 applied");
    assert_eq!(site.live(), "hello\n");
}

/// Finding: upper-case sha
/// Decided: src/model/ids.rs: an id is read in either case and is one value from there on
#[test]
fn upper_case_sha() {
    let site = Site::new();
    let merge = site.repo.id("main").to_string();
    let upper = merge.to_uppercase();
    assert_ne!(merge, upper);
    let applied = site.json(0, &format!("apply site --approved {upper}"));
    assert_eq!((&applied["outcome"], &applied["approved"]["merge"]), (&"applied".into(), &merge.clone().into()));
    let event = site.repo.git_in("remote.git", &["show", "refs/platform/state:event.json"]);
    assert!(event.contains(&merge) && !event.contains(&upper), "{event}");
    assert_eq!(code(&site, 1, &format!("apply site --approved {upper}")), "0 noop");
    assert!(Path::new(&site.live_path()).exists());
}
