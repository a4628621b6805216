//! Around the sentence: init, the hook, the demo.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use snapbox::{assert_data_eq, str};

use crate::support::{repo::Repo, site::Site, stack::lab};

fn piped(site: &Site, args: &[&str], stdin: &str) -> Output {
    let mut command = site.binary(&site.repo.work(), 0, args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn init_only_adds_a_branch() {
    let site = Site::of(Repo::new());
    site.repo.write("platform.yaml", "# mine\n");
    site.repo.commit("mine");
    site.repo.write("uncommitted", "x\n");
    let before = (site.repo.id("HEAD"), site.repo.git(&["status", "--porcelain"]));
    assert_data_eq!(
        site.run(0, "init"),
        str![[r#"
exit 0
✓ branch platformctl-init; your files are as they were
  adds  allowed_signers
  adds  hooks/pre-push
  adds  modules/hello/module.yaml
  adds  modules/hello/public/index.html
  keeps platform.yaml, which is there already
look at it: git show platformctl-init
check it:   platformctl validate --at platformctl-init
then push it, open a pull request, and merge it
next: git push origin platformctl-init

"#]]
    );
    assert_eq!(before, (site.repo.id("HEAD"), site.repo.git(&["status", "--porcelain"])));
    assert_eq!(site.repo.git(&["show", "platformctl-init:platform.yaml"]), "# mine");
    assert!(site.repo.git(&["ls-tree", "platformctl-init", "hooks/pre-push"]).starts_with("100755"));
    assert_data_eq!(
        site.run(0, "init"),
        str![[r#"
exit 2
USAGE usage (2). Nothing was changed.
the branch `platformctl-init` exists already and was not
changed
fix: give another: --branch NAME

"#]]
    );
    assert_data_eq!(
        site.run(0, "init --branch a..b"),
        str![[r#"
exit 2
USAGE usage (2). Nothing was changed.
`a..b` is not a name of a branch
  because: Reference name cannot contain repeated dots
  because: Validation
fix: give another: --branch NAME

"#]]
    );
    site.repo.git(&["merge", "-q", "platformctl-init"]);
    assert_data_eq!(
        site.run(0, "init --branch another"),
        str![[r#"
exit 0
✓ everything is there already; nothing was changed
next: platformctl validate

"#]]
    );
}

/// What init writes holds, in a repository without a commit too, and is applied as soon as the host is enabled.
#[test]
fn files_from_init_can_be_applied() {
    let site = Site::of(Repo::new());
    site.repo.git(&["checkout", "-q", "--orphan", "fresh"]);
    site.repo.git(&["rm", "-rqf", "."]);
    let made = site.run(0, "init --host h1");
    assert!(made.starts_with("exit 0"), "{made}");
    site.repo.git(&["checkout", "-q", "main"]);
    let made = site.run(0, "init --host h1 --branch begin");
    assert!(made.ends_with("next: git push origin begin\n"), "{made}");
    assert_data_eq!(
        site.run(0, "validate --at begin"),
        str![[r#"
exit 0
✓ platform.yaml and 1 module are valid
next: platformctl plan hello

"#]]
    );
    assert_data_eq!(
        site.run(0, "validate --at platformctl-init"),
        str![[r#"
exit 0
✓ platform.yaml and 1 module are valid
next: platformctl plan hello

"#]]
    );
    site.repo.git(&["checkout", "-q", "begin"]);
    site.repo.propose(1);
    site.repo.merge(1, "begin");
    // Who may not write to /opt is told that as well.
    let said = site.run(0, "apply --pr 1");
    assert!(said.starts_with("exit 5\n✓ approved  PR #1, merge\nREFUSED "), "{said}");
    assert!(
        said.contains("mutations_disabled") && said.contains("host h1 has `mutations: disabled` in platform.yaml"),
        "{said}"
    );
    let root = site.repo.path("root");
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    let policy = policy.replace("mutations: disabled", "mutations: enabled");
    site.repo.branch("pr2", "main");
    site.repo.write("platform.yaml", &policy.replace("/opt/platform ", &format!("{} ", root.display())));
    site.repo.commit("enable");
    site.repo.propose(2);
    site.repo.merge(2, "pr2");
    assert_data_eq!(
        site.run(0, "pending"),
        str![[r#"
exit 0
1 module merged, not applied (main as of 0 s ago)
 #1  hello  h1  never applied
next: platformctl plan hello --pr 1

"#]]
    );
    // The policy is that of the tip: enabling a host supersedes nothing.
    let applied = site.run(0, "apply --pr 1");
    assert!(applied.starts_with("exit 0"), "{applied}");
    assert!(root.join("live/hello/index.html").exists());
}

#[test]
fn pre_push_hook_checks_the_record_and_changed_modules() {
    let site = Site::new();
    site.run(0, "apply site --pr 1");
    assert_data_eq!(
        site.run(0, "hook install"),
        str![[r#"
exit 0
✓ <dir>/work/.git/hooks/pre-push: every push is checked
undo: rm <dir>/work/.git/hooks/pre-push

"#]]
    );
    let bin = Path::new(env!("CARGO_BIN_EXE_platformctl")).parent().unwrap().display().to_string();
    let push = |args: &[&str]| {
        let output = Command::new("git")
            .env_clear()
            .env("PATH", format!("{bin}:{}", std::env::var("PATH").unwrap()))
            .env("HOME", site.repo.path("home"))
            .current_dir(site.repo.work())
            .args(["push", "-q"])
            .args(args)
            .output()
            .unwrap();
        (output.status.success(), site.told(&output))
    };
    let old = site.repo.git(&["rev-parse", "refs/platform/state~1"]);
    let (pushed, said) = push(&["--force", "origin", &format!("{old}:refs/platform/state")]);
    assert!(!pushed && said.contains("state_forked"), "{said}");
    let (pushed, said) = push(&["origin", ":refs/platform/state"]);
    assert!(!pushed && said.contains("state_missing"), "{said}");
    let (pushed, said) = push(&["origin", "HEAD:refs/platform/other"]);
    assert!(!pushed && said.contains("state_invalid"), "{said}");
    // A commit that is no record.
    let junk = site.repo.git(&["commit-tree", "-p", "refs/platform/state", "-m", "junk", "refs/platform/state^{tree}"]);
    let (pushed, said) = push(&["origin", &format!("{junk}:refs/platform/state")]);
    assert!(!pushed && said.replace('\n', " ").contains("is not valid"), "{said}");
    // A module that is not valid; one that never was is not checked when something else is pushed.
    site.repo.branch("broken", "main");
    site.repo.write("modules/site/module.yaml", "schema: module/2\n");
    site.repo.commit("broken");
    let (pushed, said) = push(&["origin", "broken"]);
    assert!(!pushed && said.contains("manifest_invalid"), "{said}");
    site.repo.git(&["push", "-q", "--no-verify", "origin", "broken"]);
    site.repo.write("elsewhere", "x\n");
    site.repo.commit("elsewhere");
    let (pushed, said) = push(&["origin", "broken"]);
    assert!(pushed, "{said}");
    // The record grows by the tool and by a plain push.
    let hook = site.repo.work().join(".git/hooks/pre-push");
    let text = fs::read_to_string(&hook).unwrap();
    fs::remove_file(&hook).unwrap();
    site.change(2, "two\n");
    assert!(site.run(1, "hook install").starts_with("exit 0"));
    assert_eq!(fs::read_to_string(&hook).unwrap(), text);
    assert!(site.run(1, "apply site --pr 2").starts_with("exit 0"));
    assert!(push(&["origin", "refs/platform/state"]).0);
    fs::write(site.repo.work().join(".git/hooks/pre-push"), "#!/bin/sh\n").unwrap();
    // Lines break where the folder's name makes them.
    let said = site.run(0, "hook install").replace('\n', " ");
    let expected = "there is another hook at <dir>/work/.git/hooks/pre-push, and it is left as it is fix: add this line to it: \
                    platformctl hook pre-push \"$@\" ";
    assert!(said.starts_with("exit 2 ") && said.ends_with(expected), "{said}");
}

#[test]
fn pre_push_hook_rejects_malformed_input() {
    let site = Site::new();
    for text in ["x", "a b c d\n", "a  b c\n", "\u{0}\n"] {
        assert_eq!(piped(&site, &["hook", "pre-push", "origin"], text).status.code(), Some(2), "{text:?}");
    }
    assert_eq!(piped(&site, &["hook", "pre-push", "origin"], "").status.code(), Some(0));
    let none = "0".repeat(40);
    let unknown = format!("refs/platform/state {} refs/platform/state {none}\n", "1".repeat(40));
    let code = piped(&site, &["hook", "pre-push", "origin"], &unknown).status.code();
    assert_ne!(code, Some(0), "a record that is not here cannot be checked");
}

#[test]
fn demo_prints_the_documented_output() {
    let site = Site::new();
    // Without an engine, and with the lab's.
    let nowhere = "unix:///nonexistent/docker.sock";
    let mut without = site.binary(&site.repo.path("."), 0, &["demo"]);
    let output = without.env("DOCKER_HOST", nowhere).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("✓ 12 steps, each did what it announced") && said.contains("No Docker engine"), "{said}");
    lab();
    let output = site.binary(&site.repo.path("."), 0, &["demo"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("✓ 19 steps, each did what it announced"), "{said}");
    assert!(said.contains("✓ the greeter was recreated") && said.contains("HELD probe_failed (11)"), "{said}");
    let kept = site.repo.path("kept");
    let kept = kept.to_str().unwrap();
    let mut keeping = site.binary(&site.repo.path("."), 0, &["demo", "--keep", kept, "--json"]);
    let output = keeping.env("DOCKER_HOST", nowhere).output().unwrap();
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let exits: Vec<_> = result["steps"].as_array().unwrap().iter().filter_map(|step| step["exit"].as_i64()).collect();
    assert_eq!(exits, [0, 0, 0, 0, 0, 0, 6, 5, 20, 0]);
    // What it proposes to try works there.
    for command in ["pending", "show edge-site", "apply edge-site --again"] {
        if command.starts_with("apply") {
            fs::remove_dir_all(Path::new(kept).join("host/live")).unwrap();
        }
        let args: Vec<&str> = command.split(' ').collect();
        let mut child = site.binary(&Path::new(kept).join("work"), 1, &args);
        let output = child.env_remove("PLATFORMCTL_TEST_CLOCK").output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stdout));
    }
    let again = site.binary(&site.repo.path("."), 0, &["demo", "--keep", kept]).output().unwrap();
    assert_eq!(again.status.code(), Some(2), "what lies there is not touched");
}

/// What the demo works with is this project's own description, all of it.
#[test]
fn demo_embeds_the_whole_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec!["allowed_signers".to_owned(), "platform.yaml".to_owned()];
    let mut folders = vec![root.join("modules"), root.join("compose")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    let embedded: Vec<&str> = platformctl::verb::demo::FILES.iter().map(|(path, _)| *path).collect();
    assert_eq!(embedded, found);
}
