//! Driver compose over a real ssh, on a real engine with real Compose: what runs is what was merged, and what is said
//! is what happened.

use std::{cell::Cell, fs, rc::Rc};

use platformctl::{
    error::Failure,
    io::ssh::Ssh,
    port::{Answer, Host, Input, Ports, Remote, Reply, Script, Step},
    verb::{
        apply::{Ask, apply},
        fetch::refresh,
    },
};
use snapbox::{assert_data_eq, str};

use crate::support::{
    faulty::{Fault, Faulty, FaultyHost, Fuse},
    registry::Registry,
    site::{ask, said},
    sshd::Sshd,
    stack::{Stack, docker, everything_below, until},
};

const HEALTHY: &str = "healthcheck: {test: [CMD, test, '!', -e, /tmp/bad], interval: 1s, timeout: 1s, retries: 1}\n";

#[test]
fn a_change_recreates_exactly_its_service() {
    let stack = Stack::new();
    stack.change(1, |stack| {
        stack.compose(&[
            ("one", "volumes: ['./one.conf:/etc/one.conf:ro', './pages:/www:ro']"),
            ("two", "environment: {A: '1'}\nconfigs: [{source: c, target: /etc/c}]\nvolumes: ['data:/data']"),
        ]);
        let compose = fs::read_to_string(stack.site.repo.work().join("compose/app.yaml")).unwrap();
        stack.site.repo.write(
            "compose/app.yaml",
            &format!("{compose}configs: {{c: {{file: ./c.conf}}}}\nvolumes: {{data: {{}}}}\n"),
        );
        stack.site.repo.write("compose/one.conf", "one\n");
        stack.site.repo.write("compose/pages/index.html", "page\n");
        stack.site.repo.write("compose/c.conf", "c\n");
    });
    assert_data_eq!(
        stack.run(0, "plan app"),
        str![[r#"
exit 0
plan for app on box, PR #1
  merged as <40>
  create  one  new
  create  two  new
2 changes
next: platformctl apply app --approved <40> --pr 1

"#]]
    );
    assert_data_eq!(
        stack.run(0, "apply app --pr 1"),
        str![[r#"
exit 0
✓ approved  PR #1, merge
✓ intent    seq 2 recorded
✓ shipped   4 files, verified there
✓ changed   2 services
✓ healthy   0 s, 0 restarts, no probes
✓ recorded  seq 3
done <s>
warning: this policy was recorded as the first one, the
baseline: no review of it is proven
warning: the record is not pinned; in platform.yaml set
state.genesis: <40>
next: platformctl status app

"#]]
    );
    assert_data_eq!(
        stack.run(1, "apply app --pr 1"),
        str![[r#"
exit 0
✓ approved  PR #1, merge
✓ app: nothing to change since 2026-09-21T14:13:20Z, PR #1
next: platformctl show app

"#]]
    );
    let (one, two) = (stack.ids("one"), stack.ids("two"));
    assert_eq!(docker(&["exec", &one[0], "cat", "/etc/one.conf", "/www/index.html"]), "one\npage");
    assert_eq!(docker(&["exec", &two[0], "cat", "/etc/c"]), "c");

    // The content of a mounted file: exactly the service that mounts it.
    stack.change(2, |stack| stack.site.repo.write("compose/one.conf", "two\n"));
    assert_data_eq!(
        stack.run(2, "plan app"),
        str![[r#"
exit 0
plan for app on box, PR #2
  merged as <40>
  replace  one  config:compose/one.conf  restarts
1 change
next: platformctl apply app --approved <40> --pr 2

"#]]
    );
    assert_eq!(stack.exit(2, "apply app --pr 2"), "exit 0");
    assert_eq!(stack.ids("two"), two);
    assert_ne!(stack.ids("one"), one);
    let one = stack.ids("one");
    assert_eq!(docker(&["exec", &one[0], "cat", "/etc/one.conf"]), "two");

    // A file of a mounted folder, and the content of a config: Compose by itself would say "Running" to both.
    stack.change(3, |stack| {
        stack.site.repo.write("compose/pages/more.html", "more\n");
        stack.site.repo.write("compose/c.conf", "d\n");
    });
    let planned = stack.json(3, "plan app");
    let reasons: Vec<_> =
        planned["changes"].as_array().unwrap().iter().map(|change| change["reasons"].to_string()).collect();
    assert_eq!(reasons, ["[\"config:compose/pages\"]", "[\"config:compose/c.conf\"]"]);
    assert_eq!(stack.exit(3, "apply app --pr 3"), "exit 0");
    assert_eq!(docker(&["exec", &stack.ids("two")[0], "cat", "/etc/c"]), "d");

    // A variable: named, without its value.
    stack.change(4, |stack| {
        let compose = fs::read_to_string(stack.site.repo.work().join("compose/app.yaml")).unwrap();
        stack.site.repo.write("compose/app.yaml", &compose.replace("{A: '1'}", "{A: 'other', B: 'x'}"));
    });
    let planned = stack.json(4, "plan app");
    assert_eq!(planned["changes"][0]["reasons"].to_string(), "[\"env:A\",\"env:B\"]");
    assert_eq!(stack.exit(4, "apply app --pr 4"), "exit 0");
    assert_eq!(stack.inspect("two", "{{json .Config.Env}}").matches("A=other").count(), 1);

    // A service that goes away, in a merged pull request, is removed; its volume stays.
    stack.change(5, |stack| stack.compose(&[("one", "volumes: ['./one.conf:/etc/one.conf:ro', './pages:/www:ro']")]));
    assert_eq!(stack.json(5, "plan app")["changes"][0]["action"], "remove");
    assert_eq!(stack.exit(5, "apply app --pr 5"), "exit 0");
    assert_eq!(stack.ids("two"), [] as [String; 0]);
    assert!(docker(&["volume", "ls", "-q"]).contains(&format!("{}_data", stack.project)));
    assert_eq!(stack.exit(6, "verify"), "exit 0");
    docker(&["volume", "rm", &format!("{}_data", stack.project)]);
}

#[test]
fn crash_loop_is_held() {
    let stack = Stack::new();
    // (services, manifest, what is said)
    let cases: [(&str, &str, &str); 7] = [
        (
            "command: [sh, -c, 'exit 3']\nrestart: always",
            "health: {settle_s: 2, deadline_s: 20}\n",
            "ends again and again",
        ),
        ("command: [sh, -c, 'sleep 3; exit 3']", "health: {settle_s: 5, deadline_s: 20}\n", "ended with 3"),
        ("command: [sh, -c, 'exit 0']", "health: {settle_s: 1, deadline_s: 5}\n", "ended with 0"),
        (
            // Three addresses in a row: at least one of them lives, and one does not.
            "command: [sh, -c, 'case $$(hostname -i) in *[13579]) sleep 60;; *) exit 1;; esac']\nscale: 3\nrestart: always",
            "health: {settle_s: 2, deadline_s: 15}\n",
            "app",
        ),
        (
            "command: [sh, -c, 'sleep 3; touch /tmp/bad; sleep 60']\nhealthcheck: {test: [CMD, test, '!', -e, /tmp/bad], interval: 1s, retries: 1}",
            "health: {settle_s: 8, deadline_s: 12}\n",
            "is unhealthy",
        ),
        (
            "command: [sh, -c, 'exit 4']",
            "jobs: [app]\nhealth: {settle_s: 0, deadline_s: 10}\n",
            "the job app ended with 4",
        ),
        ("", "health: {settle_s: 0, deadline_s: 2, probes: [{tcp: '127.0.0.1:1'}]}\n", "probe 1: no connection"),
    ];
    for (n, (service, manifest, says)) in cases.iter().enumerate() {
        let n = n as u64 + 1;
        stack.change(n, |stack| {
            // A mark of its own makes each a change of its own.
            stack.compose(&[("app", &format!("{service}\nlabels: {{n: '{n}'}}"))]);
            stack.manifest(manifest);
        });
        let said = stack.run(n as i64, &format!("apply app --pr {n}"));
        assert!(said.starts_with("exit 11\n") && said.contains(says), "{service}: {said}");
        assert!(said.contains("HELD probe_failed (11)"), "{said}");
    }
    // Not tried again by itself; a fix is applied.
    assert!(stack.run(20, "apply app --pr 7").contains("held_release"));
    stack.change(8, |stack| {
        stack.compose(&[("app", HEALTHY)]);
        stack.manifest("");
    });
    assert_eq!(stack.exit(21, "apply app --pr 8"), "exit 0");
    let status = stack.json(22, "status app");
    assert_eq!(status["status"]["hosts"]["box"]["services"]["app"]["health"], "healthy");
    assert_eq!(
        status["status"]["hosts"]["box"]["failed"].as_array().map(Vec::len),
        Some(7),
        "releases that failed before are not forgotten"
    );
}

#[test]
fn completed_job_is_not_run_again() {
    let stack = Stack::new();
    let out = stack.site.repo.path("out");
    fs::create_dir(&out).unwrap();
    stack.change(1, |stack| {
        stack.compose(&[(
            "app",
            &format!("command: [sh, -c, 'echo ran >> /out/log']\nvolumes: ['{}:/out']", out.display()),
        )]);
        stack.manifest("jobs: [app]\n");
    });
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    let ran = || fs::read_to_string(out.join("log")).unwrap_or_default().lines().count();
    assert_eq!(ran(), 1);
    assert!(stack.run(1, "apply app --pr 1").contains("nothing to change"));
    assert_eq!(ran(), 1, "a finished job is not run again");
    assert_eq!(stack.exit(2, "apply app --again"), "exit 0");
    assert_eq!(ran(), 2, "unless somebody says so");
    let evidence = &stack.json(3, "show")["records"][0]["event"]["evidence"]["containers"][0];
    assert_eq!((evidence["state"].as_str(), evidence["service"].as_str()), (Some("exited"), Some("app")));
}

#[test]
fn moved_tags_and_missing_images_are_detected() {
    let stack = Stack::new();
    let tag = format!("local/{}:1", stack.project);
    docker(&["tag", "local/busybox:1", &tag]);
    stack.change(1, |stack| stack.compose(&[("app", &format!("image: {tag}"))]));
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    let before = stack.inspect("app", "{{.Image}}");
    assert!(stack.run(1, "apply app --pr 1").contains("nothing to change"));
    docker(&["tag", "local/busybox:2", &tag]);
    let planned = stack.json(2, "plan app");
    assert_eq!(planned["changes"][0]["reasons"][0], "image");
    assert_eq!(stack.exit(2, "apply app --again"), "exit 0");
    assert_ne!(stack.inspect("app", "{{.Image}}"), before);
    let (running, ids) = (stack.inspect("app", "{{.Image}}"), stack.ids("app"));
    assert_eq!(stack.json(3, "status app")["status"]["hosts"]["box"]["services"]["app"]["image"], running);

    docker(&["rmi", &tag]);
    stack.change(2, |stack| stack.compose(&[("app", "image: localhost:1/none:1")]));
    assert!(stack.json(4, "plan app")["warnings"].to_string().contains("does not have the image localhost:1/none:1"));
    let said = stack.run(4, "apply app --pr 2");
    assert!(said.contains("REFUSED image_missing (5). Nothing was changed."), "{said}");
    let joined = said.replace('\n', " ");
    assert!(joined.contains("Docker reports: Error response from daemon:") && joined.contains("localhost:1"), "{said}");
    assert_eq!(stack.ids("app"), ids, "a failed pull leaves the old running");
}

#[test]
fn images_are_pulled_before_any_change() {
    let stack = Stack::new();
    let registry = Registry::start();
    let (first, second) = (registry.holds("web:1", "local/busybox:1"), registry.holds("web:2", "local/busybox:2"));
    stack.change(1, |stack| stack.compose(&[("app", &format!("image: {first}")), ("other", "")]));
    assert_data_eq!(
        stack.run(0, "apply app --pr 1").replace(&registry.at, "<registry>"),
        str![[r#"
exit 0
✓ approved  PR #1, merge
✓ pulled    1 image
✓ intent    seq 2 recorded
✓ shipped   1 file, verified there
✓ changed   2 services
✓ healthy   0 s, 0 restarts, no probes
✓ recorded  seq 3
done <s>
warning: this policy was recorded as the first one, the
baseline: no review of it is proven
warning: the record is not pinned; in platform.yaml set
state.genesis: <40>
next: platformctl status app

"#]]
    );
    let other = stack.ids("other");
    stack.change(2, |stack| stack.compose(&[("app", &format!("image: {second}")), ("other", "")]));
    let file = stack.site.repo.path("plan.json").display().to_string();
    assert_eq!(stack.exit(1, &format!("plan app -o {file}")), "exit 0");
    let said = stack.run(2, &format!("apply {file} --pr 2"));
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert_eq!(stack.inspect("app", "{{.Config.Image}}").len(), "sha256:".len() + 64);
    assert_eq!(stack.ids("other"), other);
    // What else is different is told, also where an image is brought.
    docker(&["rmi", "-f", &first]);
    stack.change(3, |stack| stack.compose(&[("app", &format!("image: {first}")), ("other", "")]));
    assert_eq!(stack.exit(3, &format!("plan app -o {file}")), "exit 0");
    docker(&["rm", "-f", &other[0]]);
    let said = stack.run(4, &format!("apply {file} --pr 3"));
    assert!(said.starts_with("exit 7\n") && said.contains("plan_stale"), "{said}");
    for image in [&first, &second] {
        docker(&["rmi", "-f", image]);
    }
}

#[test]
fn containers_of_the_project_are_adopted() {
    let stack = Stack::new();
    let by_hand = stack.site.repo.path("by-hand");
    fs::create_dir_all(&by_hand).unwrap();
    fs::write(by_hand.join("compose.yaml"), "services: {app: {image: 'local/busybox:1', volumes: ['data:/data']}, other: {image: 'local/busybox:1'}}\nvolumes: {data: {}}\n").unwrap();
    let file = by_hand.join("compose.yaml").display().to_string();
    docker(&["compose", "-p", &stack.project, "-f", &file, "up", "-d"]);
    let other = stack.ids("other");
    docker(&["exec", &stack.ids("app")[0], "sh", "-c", "echo kept > /data/x"]);
    stack.change(1, |stack| {
        stack.compose(&[("app", "volumes: ['data:/data']")]);
        let compose = fs::read_to_string(stack.site.repo.work().join("compose/app.yaml")).unwrap();
        stack.site.repo.write("compose/app.yaml", &format!("{compose}volumes: {{data: {{}}}}\n"));
    });
    let planned = stack.json(0, "plan app");
    assert_eq!(planned["changes"][0]["action"], "adopt", "{planned}");
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    assert_eq!(docker(&["exec", &stack.ids("app")[0], "cat", "/data/x"]), "kept");
    assert_eq!(stack.ids("other"), other, "what the module does not name is left alone");
    // Data goes only where a reviewed change says so.
    stack.change(2, |stack| stack.compose(&[("app", "environment: {A: '1'}")]));
    let said = stack.run(1, "apply app --pr 2");
    assert!(said.contains("REFUSED data_at_risk (5)") && said.contains("action: drop"), "{said}");
    stack.change(3, |stack| {
        stack.manifest(&format!("acknowledge: [{{data: {}_data, action: drop, reason: moved}}]\n", stack.project));
    });
    assert_eq!(stack.exit(2, "apply app --pr 3"), "exit 0");
    docker(&["volume", "rm", &format!("{}_data", stack.project)]);
}

#[test]
fn host_settings_do_not_affect_rendering_and_secrets_stay_there() {
    let stack = Stack::new();
    const CANARY: &str = "c4n4ry-0f-a-s3cret";
    stack.change(1, |stack| {
        stack.compose(&[("app", "env_file: ['${PLATFORM_SECRETS}/app.env']\nenvironment: {TAG: '${TAG:-reviewed}'}\nvolumes: ['./app.conf:/etc/app.conf:ro']")]);
        stack.site.repo.write("compose/app.conf", "x\n");
        stack.manifest("secrets: [{file: app.env, keys: [PASSWORD]}]\n");
    });
    stack.secret("app.env", &format!("PASSWORD='{CANARY}$x'\n"));
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    let env = stack.inspect("app", "{{json .Config.Env}}");
    assert!(env.contains(&format!("PASSWORD={CANARY}$x")) && env.contains("TAG=reviewed"), "{env}");

    // What lies beside the release, and in the account's own files.
    let release =
        fs::read_dir(stack.root().join("releases/app")).unwrap().next().unwrap().unwrap().path().join("compose");
    fs::write(release.join(".env"), "TAG=host\nCOMPOSE_PROJECT_NAME=else\n").unwrap();
    fs::write(release.join("compose.override.yaml"), "services: {app: {privileged: true}}\n").unwrap();
    let again = stack.run(1, "apply app --again");
    assert!(again.contains("delivery_failed") && again.contains("altered"), "{again}");
    fs::remove_file(release.join(".env")).unwrap();
    fs::remove_file(release.join("compose.override.yaml")).unwrap();

    // A secret that changed is a change, and nothing tells what it is.
    stack.secret("app.env", &format!("PASSWORD='{CANARY}2'\n"));
    let said = stack.run(2, "-vv plan app");
    assert!(said.contains("replace  app") && !said.contains(CANARY), "{said}");
    let json = stack.run(2, "-vv apply app --again --json");
    for logged in ["INFO host.run", "script=compose-run", "DEBUG host command", "DEBUG ssh session"] {
        assert!(json.contains(logged), "{logged}: {json}");
    }
    let shown = stack.json(3, "show").to_string();
    assert!(shown.contains("app.env") && !shown.contains(CANARY) && !json.contains(CANARY));
    for (path, bytes) in everything_below(&stack.site.repo.path(""), &["secrets"]) {
        let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert!(!found, "{}", path.display());
    }
    for object in stack.site.repo.git(&["rev-list", "--objects", "--all"]).lines() {
        let id = object.split(' ').next().unwrap();
        assert!(!stack.site.repo.git(&["cat-file", "-p", id]).contains(CANARY));
    }
    // What Compose would change without a word, and what is not there.
    stack.secret("app.env", "PASSWORD=a$b\n");
    assert!(stack.run(4, "apply app --again").contains("secret_missing"));
    stack.secret("app.env", "OTHER=1\n");
    assert!(stack.json(4, "apply app --again").to_string().contains("has no PASSWORD"));
    // A file that is only mounted comes as it is.
    stack.secret("app.env", "PASSWORD=a\n");
    stack.secret("app.ini", "key = $x\n");
    stack.change(2, |stack| {
        stack.compose(&[(
            "app",
            "env_file: ['${PLATFORM_SECRETS}/app.env']\nvolumes: ['${PLATFORM_SECRETS}/app.ini:/app.ini:ro']",
        )]);
        stack.manifest("secrets: [{file: app.env, keys: [PASSWORD]}, {file: app.ini}]\n");
    });
    assert_eq!(stack.exit(5, "apply app --pr 2"), "exit 0");
    let said = stack.run(6, "show app");
    assert!(said.contains("secrets    app.env app.ini\n") && said.contains("running  app  image "), "{said}");
}

#[test]
fn account_settings_do_not_affect_scripts() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".docker")).unwrap();
    let config = r#"{"proxies": {"default": {"httpProxy": "http://evil:1"}}, "currentContext": "nowhere"}"#;
    fs::write(home.path().join(".docker/config.json"), config).unwrap();
    fs::write(home.path().join(".env"), "TAG=host\n").unwrap();
    let (_rc, line) = Sshd::rc(&format!(
        "export HOME={} COMPOSE_FILE=/nonexistent.yaml COMPOSE_PROFILES=debug COMPOSE_PROJECT_NAME=else COMPOSE_ENV_FILES=/nonexistent \
         COMPOSE_REMOVE_ORPHANS=1 DOCKER_CONTEXT=nowhere DOCKER_HOST=tcp://127.0.0.1:1 DOCKER_DEFAULT_PLATFORM=linux/arm64 \
         HTTP_PROXY=http://evil:1 http_proxy=http://evil:1 TAG=host LC_ALL=de_DE.UTF-8 TAR_OPTIONS=--verbose GREP_OPTIONS=-v \
         POSIXLY_CORRECT=1 IFS=x PS4=x CDPATH=/\nset -x 2>/dev/null\ncd\n",
        home.path().display()
    ));
    let sshd = Sshd::start(&line, true);
    let stack = Stack::on(&sshd.transport(), "");
    let orphan = docker(&[
        "run",
        "-d",
        &format!("--label=com.docker.compose.project={}", stack.project),
        "--label=com.docker.compose.service=orphan",
        "--label=com.docker.compose.oneoff=False",
        "local/busybox:1",
    ]);
    stack.change(1, |stack| {
        stack.compose(&[("app", "environment: {TAG: '${TAG:-reviewed}'}"), ("debugger", "profiles: [debug]")]);
    });
    let said = stack.run(0, "apply app --pr 1");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let env = stack.inspect("app", "{{json .Config.Env}}");
    assert!(env.contains("TAG=reviewed") && !env.contains("evil"), "{env}");
    assert_eq!(stack.ids("debugger"), [] as [String; 0]);
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &orphan]), "true");
    assert!(stack.run(1, "apply app --pr 1").contains("nothing to change"));
    docker(&["rm", "-f", &orphan]);
}

#[test]
fn binds_are_judged_by_their_real_path() {
    let stack = Stack::new();
    let sacred = stack.site.repo.path("link-to-etc");
    std::os::unix::fs::symlink("/etc", &sacred).unwrap();
    let open = stack.site.repo.path("open");
    fs::create_dir_all(open.join("inner")).unwrap();
    let absent = stack.site.repo.path("absent");
    let cases = [
        (format!("volumes: ['{}:/x:ro']", sacred.display()), "sacred_path"),
        (format!("volumes: ['{}/passwd:/x:ro']", sacred.display()), "sacred_path"),
        (format!("volumes: ['{}:/x']", absent.display()), "bind_missing"),
        ("privileged: true".to_owned(), "capability"),
        ("network_mode: host".to_owned(), "capability"),
        ("use_api_socket: true".to_owned(), "capability"),
        ("volumes: ['/var/run/docker.sock:/x:ro']".to_owned(), "sacred_path"),
        ("ports: ['127.0.0.1:2222:80']".to_owned(), "already_running_elsewhere"),
        ("volumes: ['disguised:/x']".to_owned(), "sacred_path"),
        ("networks: [outside]".to_owned(), "capability"),
        // Only the host's own rendering shows what these are; a path is not let through that far.
        ("volumes: ['${WHERE:-/srv}${MORE:-/../etc}:/x:ro']".to_owned(), "closure_incomplete"),
        ("privileged: '${HOW:-true}'".to_owned(), "capability"),
        ("volumes_from: ['container:${WHOSE:-other}']".to_owned(), "capability"),
    ];
    for (n, (service, code)) in cases.iter().enumerate() {
        let n = n as u64 + 1;
        stack.change(n, |stack| {
            stack.compose(&[("app", service)]);
            let compose = fs::read_to_string(stack.site.repo.work().join("compose/app.yaml")).unwrap();
            let more = "volumes: {disguised: {driver_opts: {type: none, o: bind, device: /etc}}}\nnetworks: {outside: {external: true, name: bridge}}\n";
            stack.site.repo.write("compose/app.yaml", &format!("{compose}{more}"));
        });
        let said = stack.run(n as i64, &format!("apply app --pr {n}"));
        assert!(said.starts_with("exit 5\n") && said.contains(code), "{service}: {said}");
        assert_eq!(stack.ids("app"), [] as [String; 0]);
    }
    // Below a folder that a container can write: it could lead anywhere tomorrow.
    let bind = format!("{}:/w", open.display());
    let writer = docker(&["run", "-d", "--rm", "-v", &bind, "local/busybox:1"]);
    stack.change(20, |stack| stack.compose(&[("app", &format!("volumes: ['{}/inner:/x:ro']", open.display()))]));
    // Docker chooses the container's name at random, and where the message wraps depends on the name's length.
    let said = stack.run(20, "apply app --pr 20").split_whitespace().collect::<Vec<_>>().join(" ");
    docker(&["rm", "-f", &writer]);
    assert!(said.contains("sacred_path") && said.contains("can write: it could lead anywhere"), "{said}");
    assert_eq!(stack.exit(21, "apply app --pr 20"), "exit 0");
}

#[test]
fn a_killed_run_is_resumed() {
    let stack = Stack::new();
    let slow = "stop_grace_period: 4s\nstop_signal: SIGUSR1\n";
    stack.change(1, |stack| stack.compose(&[("app", slow)]));
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    let before = stack.ids("app");
    stack.change(2, |stack| stack.compose(&[("app", &format!("{slow}environment: {{A: '2'}}"))]));
    let mut child = stack.start(1, "apply app --pr 2");
    let runs = || fs::read_dir(stack.root().join("runs")).map_or(0, Iterator::count);
    until("the host is told", || runs() == 2);
    until("Compose is at it", || {
        everything_below(&stack.root().join("runs"), &[])
            .iter()
            .any(|(path, bytes)| path.ends_with("up") && !bytes.is_empty())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(stack.run(2, "apply app --pr 2").starts_with("exit 8\n"), "a second one waits");
    until("the host went on by itself", || stack.run(3, "resume").starts_with("exit 0\n"));
    assert_ne!(stack.ids("app"), before);
    assert_eq!(stack.json(4, "status app")["status"]["last_apply_pr"], 2);
    assert!(stack.run(5, "apply app --pr 2").contains("nothing to change"));
    assert_eq!(stack.exit(6, "verify"), "exit 0");
}

#[test]
fn run_stays_open_while_compose_outlives_its_shell() {
    let stack = Stack::new();
    // It is asked to end by a signal that it does not hear.
    let slow = "command: [sleep, '86400']\nstop_grace_period: 8s\n";
    stack.change(1, |stack| stack.compose(&[("app", slow)]));
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    stack.change(2, |stack| stack.compose(&[("app", &format!("{slow}environment: {{A: '2'}}"))]));
    let mut child = stack.start(1, "apply app --pr 2");
    until("Compose is at it", || {
        everything_below(&stack.root().join("runs"), &[])
            .iter()
            .any(|(path, bytes)| path.ends_with("up") && String::from_utf8_lossy(bytes).contains("Recreate"))
    });
    let run = stack.json(1, "status")["open_runs"][0]["run"].as_str().unwrap().to_owned();
    // The ids of runs are the same in every test; the root is not.
    let step = format!("{}/runs/{run}/step.sh", stack.root().display());
    let killed = std::process::Command::new("pkill").args(["-9", "-f", &step]).status();
    assert!(killed.unwrap().success());
    child.kill().unwrap();
    child.wait().unwrap();
    let ended = |minutes| stack.run(minutes, &format!("abandon {run} --reason killed"));
    until("the host lets go", || ended(3).starts_with("exit 0\n"));
    let env = stack.inspect("app", "{{json .Config.Env}}");
    assert!(env.contains("A=2"), "what was under way is over, and nothing comes after: {env}");
    assert_eq!(stack.exit(4, "apply app --pr 2"), "exit 0");
}

#[test]
fn apply_uses_few_remote_calls() {
    let stack = Stack::new();
    stack.change(1, |stack| stack.compose(&[("app", "")]));
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    let counted = |pr: u64| {
        let real = stack.site.real();
        let env = stack.site.repo.env();
        let fuse = Rc::new(Fuse::new(usize::MAX, Fault::Before));
        let remote: &dyn Remote = &real.remote;
        let remote = Faulty { port: remote, fuse: &fuse };
        let reach = |_: &_| -> Answer<Box<dyn Host>> {
            Ok(Box::new(FaultyHost { host: Box::new(Ssh::new("lab", &[], &env)), fuse: Rc::clone(&fuse) }))
        };
        let tell = |_: Step| {};
        let ports = Ports { remote: &remote, host: &reach, ..real.ports(&tell) };
        let ask = Ask { module: "app".parse().unwrap(), ..ask(pr) };
        let mut fetched = refresh(&ports, &ask.request).map_err(|stop| Failure::from(stop).refusals).unwrap();
        let said = said(apply(&ports, &mut fetched, &ask));
        let names = fuse.names.borrow();
        let count = |prefix: &str| names.iter().filter(|name| name.starts_with(prefix)).count();
        let counts = ["remote.refs", "remote.fetch", "remote.push", "compose-"].map(count);
        (said, counts)
    };
    let (said, counts) = counted(1);
    assert!(said.starts_with("noop"), "{said}");
    assert_eq!(counts, [1, 1, 0, 2], "one question, one fetch, no push, two remote commands");
    stack.change(2, |stack| {
        stack.compose(&[("app", "environment: {A: '2'}")]);
        stack.manifest("health: {settle_s: 1}\n");
    });
    let (said, counts) = counted(2);
    assert!(said.starts_with("ok"), "{said}");
    assert_eq!(counts, [1, 1, 2, 6], "one question, one fetch, two pushes, six remote commands");
}

#[test]
fn data_at_risk_needs_an_acknowledgement() {
    let stack = Stack::new();
    let with = |stack: &Stack, volume: &str| {
        stack.compose(&[("app", "volumes: ['data:/data']")]);
        let compose = fs::read_to_string(stack.site.repo.work().join("compose/app.yaml")).unwrap();
        stack.site.repo.write("compose/app.yaml", &format!("{compose}volumes: {{data: {{name: {volume}}}}}\n"));
    };
    let names = ["a", "b"].map(|end| format!("{}-{end}", stack.project));
    stack.change(1, |stack| with(stack, &names[0]));
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    // Compose's own hash knows the volume's key in the file alone.
    stack.change(2, |stack| with(stack, &names[1]));
    let said = stack.run(1, "apply app --pr 2");
    assert!(said.contains("REFUSED data_at_risk (5)") && said.contains("action: replace"), "{said}");
    stack.change(3, |stack| {
        stack.manifest(&format!("acknowledge: [{{data: {}, action: replace, reason: copied}}]\n", names[0]));
    });
    assert_eq!(stack.exit(2, "apply app --pr 3"), "exit 0");
    assert!(stack.inspect("app", "{{json .Mounts}}").contains(&names[1]));
    // An entry was for its own time.
    stack.change(4, |stack| with(stack, &names[0]));
    assert_eq!(stack.exit(3, "apply app --pr 4"), "exit 5");
    // Another project would be a second one, without the data.
    stack.change(5, |stack| {
        with(stack, &names[1]);
        let manifest = fs::read_to_string(stack.site.repo.work().join("modules/app/module.yaml")).unwrap();
        stack.site.repo.write("modules/app/module.yaml", &manifest.replace(&stack.project, "elsewhere"));
    });
    let said = stack.run(4, "apply app --pr 5");
    assert!(said.contains("✗ already_running_elsewhere") && said.contains("without its data"), "{said}");
    // A major version of an image that keeps data.
    let images = [1, 2].map(|major| format!("local/{}:{major}", stack.project));
    for image in &images {
        docker(&["tag", "local/busybox:1", image]);
    }
    let stack = Stack::new();
    let with = |stack: &Stack, image: &str| {
        stack.compose(&[("app", &format!("image: {image}\nvolumes: ['data:/data']"))]);
        let compose = fs::read_to_string(stack.site.repo.work().join("compose/app.yaml")).unwrap();
        stack.site.repo.write("compose/app.yaml", &format!("{compose}volumes: {{data: {{}}}}\n"));
    };
    stack.change(1, |stack| with(stack, &images[0]));
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    stack.change(2, |stack| with(stack, &images[1]));
    let said = stack.run(1, "apply app --pr 2");
    assert!(said.contains("REFUSED data_at_risk (5)") && said.contains("data: app, action: upgrade"), "{said}");
    stack.change(3, |stack| stack.manifest("acknowledge: [{data: app, action: upgrade, reason: read the notes}]\n"));
    assert_eq!(stack.exit(2, "apply app --pr 3"), "exit 0");
}

#[test]
fn content_already_on_the_host_is_not_sent() {
    let stack = Stack::new();
    let page = |n: usize| format!("{n} {}\n", "x".repeat(100_000));
    stack.change(1, |stack| {
        stack.compose(&[("app", "volumes: ['./pages:/www:ro']")]);
        (0..20).for_each(|n| stack.site.repo.write(&format!("compose/pages/{n}"), &page(n)));
    });
    let sent = |pr: u64| {
        let real = stack.site.real();
        let env = stack.site.repo.env();
        let bytes = Rc::new(Cell::new(0));
        let reach = |_: &_| -> Answer<Box<dyn Host>> {
            Ok(Box::new(Counting { host: Ssh::new("lab", &[], &env), bytes: Rc::clone(&bytes) }))
        };
        let tell = |_: Step| {};
        let ports = Ports { host: &reach, ..real.ports(&tell) };
        let ask = Ask { module: "app".parse().unwrap(), ..ask(pr) };
        let mut fetched = refresh(&ports, &ask.request).map_err(|stop| Failure::from(stop).refusals).unwrap();
        let said = said(apply(&ports, &mut fetched, &ask));
        (said, bytes.get())
    };
    let (said, all) = sent(1);
    assert!(said.starts_with("ok"), "{said}");
    assert!(all > 2_000_000, "{all}");
    stack.change(2, |stack| stack.site.repo.write("compose/pages/7", "new\n"));
    let (said, one) = sent(2);
    assert!(said.starts_with("ok"), "{said}");
    assert!(one < 50_000, "{one} of {all} bytes for one small file");
    assert_eq!(
        docker(&["exec", &stack.ids("app")[0], "sh", "-c", "cat /www/7; cat /www/* | wc -c"]).lines().next(),
        Some("new")
    );
    // What somebody altered there is not copied.
    let contents = everything_below(&stack.root().join("files"), &[]);
    let (altered, _) = contents.iter().find(|(path, bytes)| path.ends_with("3") && !bytes.is_empty()).unwrap();
    for (path, _) in contents.iter().filter(|(path, _)| path.file_name() == altered.file_name()) {
        fs::write(path, "altered").unwrap();
    }
    stack.change(3, |stack| stack.site.repo.write("compose/pages/8", "newer\n"));
    let (said, _) = sent(3);
    assert!(said.starts_with("aborted: delivery_failed"), "{said}");
}

/// A host that counts what is delivered to it.
struct Counting {
    host: Ssh,
    bytes: Rc<Cell<usize>>,
}

impl Host for Counting {
    fn run(&self, script: &Script, args: &[String], input: Input<'_>) -> Answer<Reply> {
        match input {
            Input::Nothing => self.host.run(script, args, Input::Nothing),
            Input::Tar(members) => {
                let mut counted = members.inspect(|member| {
                    self.bytes.set(self.bytes.get() + member.as_ref().map_or(0, |member| member.bytes.len()));
                });
                self.host.run(script, args, Input::Tar(&mut counted))
            }
        }
    }
}
