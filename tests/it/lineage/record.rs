//! Findings about the record, the run and what a command says of it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    time::Duration,
};

use super::{code, shadowed, with};
use crate::support::{site::Site, stack::until};

const NOTHING: &str = "entity not found";

/// How many runs were opened.
fn intents(site: &Site) -> usize {
    site.log().iter().filter(|subject| subject.starts_with("apply intent")).count()
}

/// Finding: state only on the runner or in an expiring artifact
/// Decided: src/record/append.rs: the record is on the remote's refs/platform/state, and a clone only caches it
#[test]
fn state_only_on_the_runner_or_in_an_expiring_artifact() {
    let site = Site::new();
    assert_eq!(code(&site, 0, "apply site --pr 1"), "0 applied");
    for folder in ["work", "home"] {
        fs::remove_dir_all(site.repo.path(folder)).unwrap();
    }
    fs::create_dir(site.repo.path("home")).unwrap();
    site.repo.git_in(".", &["clone", "-q", "remote.git", "work"]);
    assert!(site.run(1, "state fetch").starts_with("exit 0\n"));
    assert!(site.run(1, "status").contains("✓ site  #1 ok"), "{}", site.run(1, "status"));
    assert_eq!(code(&site, 1, "apply site --pr 1"), "0 noop");
    assert!(site.run(1, "verify").starts_with("exit 0\n"));
    for (name, workflow) in super::workflows() {
        for action in ["upload-artifact", "download-artifact", "actions/cache"] {
            assert!(!workflow.contains(action), "{name} keeps something by {action}");
        }
    }
}

/// Finding: audit path moved or its folder missing before apply
/// Decided: src/flow/open.rs: the intent must be on the remote before the host is touched; its place is no setting
#[test]
fn audit_path_moved_or_its_folder_missing_before_apply() {
    let site = Site::new();
    let folder = site.repo.work().join(".git/platformctl");
    let (remote, moved) = (site.repo.path("remote.git"), site.repo.path("moved.git"));
    let untouched = |why: &str| {
        let said = site.run(0, "apply site --pr 1");
        assert!(said.starts_with("exit 9\n") && said.contains("Nothing was changed"), "{why}: {said}");
        assert_eq!(site.live(), NOTHING, "{why}");
    };
    fs::rename(&remote, &moved).unwrap();
    untouched("the remote was moved");
    fs::rename(&moved, &remote).unwrap();
    let hook = site.repo.trap("hook", "grep -q refs/platform/state && exit 1; exit 0");
    fs::create_dir_all(remote.join("hooks")).unwrap();
    fs::rename(hook, remote.join("hooks/pre-receive")).unwrap();
    untouched("the remote takes no record");
    fs::remove_file(remote.join("hooks/pre-receive")).unwrap();
    drop(fs::remove_dir_all(&folder));
    fs::write(&folder, "").unwrap();
    untouched("a file stands where the clone's own folder was");
    fs::remove_file(&folder).unwrap();
    assert_eq!(code(&site, 0, "apply site --pr 1"), "0 applied");
    assert_eq!(intents(&site), 1);
    assert!(site.log()[0].starts_with("apply ok"), "{:?}", site.log());
}

/// A site whose pull request 2 brings a push with it that nobody reviewed, which removes a page.
fn pushed() -> Site {
    let site = Site::empty("");
    site.repo.write("modules/site/public/old.html", "old\n");
    site.change(1, "one\n");
    assert_eq!(code(&site, 0, "apply site --pr 1"), "0 applied");
    fs::remove_file(site.repo.work().join("modules/site/public/old.html")).unwrap();
    site.repo.commit("pushed without a review");
    site.repo.publish();
    site.change(2, "two\n");
    assert_eq!(code(&site, 1, "apply site --pr 2"), "6 unreviewed_change");
    site
}

const GLASS: &str = "apply site --pr 2 --break-glass --reason outage";

/// Finding: destructive plan applied under break-glass without executing its content
/// Decided: src/flow/verify.rs: with break-glass as without, a run is `ok` only if the host was looked at and is as planned
#[test]
fn destructive_plan_applied_under_break_glass_without_executing_its_content() {
    let site = pushed();
    let old = site.repo.path("root/live/site/old.html");
    assert!(old.exists());
    // A host on which the step that removes it does nothing, and says that all went well.
    let path = shadowed(&site, "mv", "case \"$*\" in */live/*) exit 0 ;; esac");
    let (exit, said) = with(&site, &site.repo.work(), GLASS, &[("PATH", &path)]);
    assert!(exit == 11 && !said.contains("done"), "{said}");
    assert!(old.exists() && !site.log()[0].starts_with("apply ok"), "{:?}", site.log());
    let applied = site.json(2, &format!("{GLASS} --retry"));
    let changes = applied["changes"].as_array().unwrap();
    let removed = changes.iter().any(|change| change["service"] == "old.html" && change["action"] == "remove");
    assert!(applied["outcome"] == "applied" && removed, "{applied}");
    assert_eq!((old.exists(), site.live().as_str()), (false, "two\n"), "all of the plan was carried out");
    assert!(site.log()[0].starts_with("apply ok"), "{:?}", site.log());
}

/// Finding: break-glass reason not stored
/// Decided: src/ledger/shape.rs: a record of kind `break-glass`, pushed before the intent, has the reason and the gates
#[test]
fn break_glass_reason_not_stored() {
    let site = pushed();
    let without = GLASS.replace(" --reason outage", "");
    assert!(site.run(1, &without).starts_with("exit 2\n") && site.live() == "one\n");
    // It cannot be stored: nothing is applied.
    let hooks = site.repo.path("remote.git/hooks");
    fs::create_dir_all(&hooks).unwrap();
    fs::rename(site.repo.trap("hook", "exit 1"), hooks.join("pre-receive")).unwrap();
    assert_eq!(site.json(1, GLASS)["exit"], 9);
    assert_eq!(site.live(), "one\n");
    fs::remove_file(hooks.join("pre-receive")).unwrap();
    assert_eq!(code(&site, 2, GLASS), "0 applied");
    let log = site.log();
    assert!(log[2].starts_with("break glass") && log[1].starts_with("apply intent"), "{log:?}");
    // Anybody who has the repository reads it.
    let event = site.repo.git_in("remote.git", &["show", "refs/platform/state~2:event.json"]);
    let event: serde_json::Value = serde_json::from_str(&event).unwrap();
    let stored = (&event["kind"], &event["reason"], &event["waived"]);
    assert_eq!(stored, (&"break-glass".into(), &"outage".into(), &serde_json::json!(["reviews"])));
    assert!(site.run(3, "status site").contains("passed reviews: outage"), "{}", site.run(3, "status site"));
}

/// Finding: two applies race past the no-op check
/// Decided: src/record/append.rs: an intent is pushed on top of the record that was read, so only one of two is accepted
#[test]
fn two_applies_race_past_the_no_op_check() {
    let site = Site::new();
    assert_eq!(code(&site, 0, "apply site --pr 1"), "0 applied");
    site.change(2, "two\n");
    let other = site.repo.path("other");
    site.repo.git_in(".", &["clone", "-q", "remote.git", "other"]);
    // One has made its plan and is about to push its intent, while the other carries out the same.
    let (at, go) = (site.repo.path("at"), site.repo.path("go"));
    let waits = format!(
        "for word; do if [ \"$word\" = push ]; then : >'{}'; while [ ! -e '{}' ]; do sleep 0.05; done; fi; done",
        at.display(),
        go.display()
    );
    let path = shadowed(&site, "git", &waits);
    let mut late = site.binary(&other, 2, &["apply", "site", "--pr", "2", "--json"]);
    let late = late.env("PATH", path).stdout(Stdio::piped()).spawn().unwrap();
    until("the late one pushes", || at.exists());
    assert_eq!(code(&site, 1, "apply site --pr 2"), "0 applied");
    fs::write(go, "").unwrap();
    let late = late.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&late.stdout);
    assert!(late.status.success() && said.contains("\"outcome\":\"noop\""), "{said}");
    assert_eq!(intents(&site), 2, "one for each pull request: {:?}", site.log());
    assert_eq!(fs::read_dir(site.repo.path("root/runs")).unwrap().count(), 2);
    // And as they come.
    site.change(3, "three\n");
    let start = |dir: &Path, minutes| {
        let mut command = site.binary(dir, minutes, &["apply", "site", "--pr", "3", "--json", "--no-checkout-binding"]);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let both = [start(&other, 3), start(&site.repo.work(), 4)];
    let ends = both.map(|mut child| child.wait().unwrap().code().unwrap());
    assert!(ends.contains(&0) && ends.iter().all(|exit| [0, 8].contains(exit)), "{ends:?}");
    assert_eq!((intents(&site), site.live().as_str()), (3, "three\n"));
}

/// Finding: fixed temporary file name
/// Decided: src/io/file.rs: a file is written under a random name beside its place and then renamed
#[test]
fn fixed_temporary_file_name() {
    let site = Site::new();
    let folder = site.repo.path("out");
    fs::create_dir(&folder).unwrap();
    let plan = folder.join("plan.json");
    let args = ["plan", "site", "--pr", "1", "-o", plan.to_str().unwrap()];
    // Others of this machine wait at the names that somebody might guess.
    let victim = site.repo.path("victim");
    fs::write(&victim, "untouched").unwrap();
    let guesses = ["plan.json.tmp", "plan.tmp", ".plan.json.tmp", ".plan.json", "plan.json~"];
    for guess in guesses {
        std::os::unix::fs::symlink(&victim, folder.join(guess)).unwrap();
    }
    // Where there is none, the first that comes keeps its place.
    assert!(site.run(0, &args.join(" ")).starts_with("exit 0\n"));
    let started: Vec<_> =
        (0..4).map(|_| site.binary(&site.repo.work(), 0, &args).stdout(Stdio::piped()).spawn().unwrap()).collect();
    for child in started {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", site.told(&output));
        let text = fs::read(&plan).unwrap();
        assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok(), "whole whenever somebody reads it");
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), guesses.len() + 1, "nothing is left");
    // On a host: a delivery has a folder of its own, which goes away.
    for n in [2, 3] {
        site.change(n, &format!("{n}\n"));
        assert_eq!(code(&site, n as i64, &format!("apply site --pr {n}")), "0 applied");
    }
    assert_eq!(fs::read_dir(site.repo.path("root/tmp")).unwrap().count(), 0);
    // No name in a folder that all accounts share is written in the source.
    for (file, code) in super::source() {
        assert!(!code.contains("\"/tmp/"), "{file} has a fixed name in /tmp");
    }
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/runtime/scripts");
    for script in fs::read_dir(scripts).unwrap().map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(&script).unwrap();
        let fixed =
            text.lines().find(|line| line.split([' ', '"', '\'', '=', '>']).any(|word| word.starts_with("/tmp")));
        assert_eq!(fixed, None, "{}", script.display());
    }
}

/// An HTTP server that answers with the status that stands there, as soon as one stands there. It says when it is asked.
fn service() -> (u16, Arc<AtomicU16>, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (status, asked) = (Arc::new(AtomicU16::new(0)), Arc::new(AtomicBool::new(false)));
    let (answer, seen) = (status.clone(), asked.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            seen.store(true, Ordering::SeqCst);
            while answer.load(Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_millis(20));
            }
            drop(stream.read(&mut [0; 4096]));
            let status = answer.load(Ordering::SeqCst);
            let text = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            drop(stream.write_all(text.as_bytes()));
        }
    });
    (port, status, asked)
}

/// Finding: success claimed before health
/// Decided: src/flow/close.rs: an outcome is made of the evidence of the watch, after the settle window
#[test]
fn success_claimed_before_health() {
    let site = Site::empty("");
    let (port, status, asked) = service();
    let propose = |n: u64| {
        site.repo.branch(&format!("pr{n}"), "main");
        let probe = format!("{{http: \"http://127.0.0.1:{port}/\"}}");
        site.manifest(&format!("health: {{settle_s: 0, deadline_s: 3, probes: [{probe}]}}\n"));
        site.repo.write("modules/site/public/index.html", &format!("{n}\n"));
        site.repo.commit("page");
        site.repo.propose(n);
        site.repo.merge(n, &format!("pr{n}"));
    };
    propose(1);
    let mut command = site.binary(&site.repo.work(), 0, &["apply", "site", "--pr", "1"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("its health is asked", || asked.load(Ordering::SeqCst));
    // It runs, and nobody has said yet that it is healthy.
    assert_eq!(site.live(), "1\n");
    assert!(child.try_wait().unwrap().is_none());
    assert!(site.log()[0].starts_with("apply intent"), "{:?}", site.log());
    status.store(200, Ordering::SeqCst);
    let output: Output = child.wait_with_output().unwrap();
    assert!(site.told(&output).starts_with("exit 0\n"), "{}", site.told(&output));
    assert!(site.log()[0].starts_with("apply ok"), "{:?}", site.log());
    status.store(503, Ordering::SeqCst);
    propose(2);
    let said = site.run(1, "apply site --pr 2");
    assert!(said.starts_with("exit 11\n") && said.contains("HELD"), "{said}");
    for word in ["done", "✓ healthy", "applied"] {
        assert!(!said.contains(word), "{word}: {said}");
    }
    assert!(!site.log()[0].starts_with("apply ok"), "{:?}", site.log());
    assert!(site.run(2, "status").contains("HELD"));
}

/// Finding: hard-coded runtime root
/// Decided: src/model/policy.rs: the root of a host is an entry of the policy, which every script is given
#[test]
fn hard_coded_runtime_root() {
    let site = Site::empty("");
    let root = site.repo.path("a/root of its own");
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    let before = site.repo.path("root").display().to_string();
    let here = root.display().to_string();
    let quoted = if policy.contains(&before) { format!("\"{here}\"") } else { panic!("{policy}") };
    site.repo.write("platform.yaml", &policy.replace(&before, &quoted));
    site.repo.commit("a root of its own");
    site.repo.publish();
    site.change(1, "hello\n");
    let usual = fs::metadata("/opt/platform").is_ok();
    assert_eq!(code(&site, 0, "apply site --pr 1"), "0 applied");
    assert_eq!(fs::read_to_string(root.join("live/site/index.html")).unwrap(), "hello\n");
    let made = |dir: &Path| {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(made(&root), ["data", "live", "locks", "releases", "runs", "secrets", "tmp", "witness.json"]);
    assert_eq!((made(root.parent().unwrap()).len(), fs::metadata("/opt/platform").is_ok()), (1, usual));
    // In the source the usual root stands only in examples: what `init` writes, and lines that a person is told to write.
    for (file, code) in super::source().into_iter().filter(|(file, _)| file != "laws.rs") {
        let found = code.lines().find(|line| line.contains("/opt/") && !line.contains("Fix::policy("));
        assert_eq!(found, None, "{file}");
    }
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/runtime/scripts");
    let found = Command::new("grep").args(["-rn", "/opt/\\|/srv/"]).arg(scripts).output().unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap(), "");
}

/// Finding: no-op without saying when and by whom
/// Decided: src/ui/apply.rs: a no-op has since when and by which pull request, and leads to the record with the person
#[test]
fn no_op_without_saying_when_and_by_whom() {
    let site = Site::new();
    assert_eq!(code(&site, 0, "apply site --pr 1"), "0 applied");
    let said = site.run(5, "apply site --pr 1");
    assert!(said.contains("nothing to change since 2026-09-21T14:13:20Z, PR #1\n"), "{said}");
    let next = said.lines().last().unwrap().strip_prefix("next: platformctl ").unwrap();
    let shown = site.run(5, next);
    assert!(shown.contains("  by         Ola <ola@example.org>\n"), "{shown}");
    let since = site.json(5, "apply site --pr 1")["since"].clone();
    assert_eq!(since, serde_json::json!({"at": "2026-09-21T14:13:20Z", "pr": 1, "seq": 3}));
    let event = site.json(5, "show 3")["records"][0]["event"].clone();
    assert_eq!((&event["actor"]["name"], &event["approved"]["pr"]), (&"Ola".into(), &1.into()), "{event}");
}

/// Finding: noop and applied share an exit code without a word that tells them apart
/// Decided: src/model/ending.rs: `outcome` of a result is `applied` or `noop`, and both exit with 0
#[test]
fn noop_and_applied_share_an_exit_code_without_a_word_that_tells_them_apart() {
    let site = Site::new();
    let lines = |said: String| -> Vec<String> { said.lines().map(str::to_owned).collect() };
    let applied = lines(site.run(0, "apply site --pr 1"));
    let noop = lines(site.run(1, "apply site --pr 1"));
    assert_eq!((applied[0].as_str(), noop[0].as_str()), ("exit 0", "exit 0"));
    let says = |lines: &[String], word: &str| lines.iter().any(|line| line.contains(word));
    assert!(says(&applied, "changed") && !says(&applied, "nothing to change"), "{applied:?}");
    assert!(says(&noop, "nothing to change") && !says(&noop, "done") && !says(&noop, "healthy"), "{noop:?}");
    site.change(2, "two\n");
    let applied = site.json(2, "apply site --pr 2");
    let noop = site.json(2, "apply site --pr 2");
    assert_eq!((&applied["outcome"], &applied["exit"]), (&"applied".into(), &0.into()));
    assert_eq!((&noop["outcome"], &noop["exit"], &noop["run"]), (&"noop".into(), &0.into(), &serde_json::Value::Null));
}
