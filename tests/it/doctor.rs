//! The doctor on a real host over a real ssh: what is wrong is said, and the command that it prints is what cures it.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use serde_json::Value;
use snapbox::{assert_data_eq, str};

use crate::support::{
    site::Site,
    stack::{Stack, docker, everything_below, lab},
};

const LAB: &str = "    transport: ssh\n    destination: lab\n";
const PINNED: &str = "    machine_id: 0123456789abcdef0123456789abcdef\n";

/// On the lab's machine, with more lines for the host; root and secrets as they must be.
fn stack(more: &str) -> Stack {
    let stack = Stack::on(&format!("{LAB}{more}"), "");
    mode(&stack.root().join("secrets"), 0o700);
    stack
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The binary by the real clock.
fn doctor(stack: &Stack, args: &[&str]) -> (i32, String) {
    let mut command = stack.site.binary(&stack.site.repo.work(), 0, args);
    let output = command.env_remove("PLATFORMCTL_TEST_CLOCK").output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn json(stack: &Stack) -> Value {
    let (code, text) = doctor(stack, &["doctor", "--json"]);
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(value["exit"], code);
    value
}

/// The checks of an id on the only host.
fn checks<'a>(found: &'a Value, id: &str) -> Vec<&'a Value> {
    found["hosts"][0]["checks"].as_array().unwrap().iter().filter(|check| check["id"] == id).collect()
}

/// The one check of an id.
fn check<'a>(found: &'a Value, id: &str) -> &'a Value {
    let found = checks(found, id);
    assert_eq!(found.len(), 1, "{id}: {found:?}");
    found[0]
}

/// Which checks do not pass.
fn wrong(found: &Value) -> Vec<String> {
    let checks = found["hosts"][0]["checks"].as_array().unwrap();
    let wrong = checks.iter().filter(|check| check["result"] != "pass");
    wrong.map(|check| format!("{} {}", check["result"].as_str().unwrap(), check["id"].as_str().unwrap())).collect()
}

/// Runs the printed command as the host's root would.
fn cure(check: &Value, stdin: &str) {
    assert_eq!(check["where"], "host", "{check}");
    let command = check["fix"].as_str().unwrap().replace("sudo ", "");
    let mut child = Command::new("sh").args(["-c", &command]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{command}");
}

/// An account of the lab beside its own, which ssh reaches by its name.
fn account(name: &str, uid: u32) {
    let lab = lab();
    let home = lab.join(name);
    fs::create_dir_all(&home).unwrap();
    let line = format!("{name}:*:{uid}:{uid}::{}:/bin/bash\n", home.display());
    OpenOptions::new().append(true).open("/etc/passwd").unwrap().write_all(line.as_bytes()).unwrap();
    let lab = lab.display();
    let entry = format!(
        "Host {name}\n  User {name}\n  IdentityFile {lab}/id\n  IdentitiesOnly yes\n  HostName 127.0.0.1\n  Port 2222\n  \
         UserKnownHostsFile {lab}/known_hosts\n"
    );
    fs::write(format!("{lab}/ssh.d/{name}"), entry).unwrap();
    std::os::unix::fs::chown(&home, Some(uid), Some(uid)).unwrap();
}

#[test]
fn healthy_host_passes_every_check() {
    let stack = stack(&format!("{PINNED}    networks: [bridge]\n"));
    let before: Vec<_> = everything_below(&stack.root(), &[]);
    let (code, said) = doctor(&stack, &["doctor"]);
    assert_data_eq!(
        format!("exit {code}\n{said}"),
        str![[r#"
exit 0
clone · this repository · all good
✓ identity  Ola <ola@example.org>
✓ history   complete
✓ push      the remote lets you push; its hooks run for a
            real push only
box · lab · all good
✓ ssh      answers after 0.[..] s
✓ machine  the one that platform.yaml names
✓ clock    0 s apart
✓ tools    all there
✓ root     there, and root's own
✓ space    [..] free
✓ docker   engine [..]
✓ compose  [..]
✓ network  bridge there
✓ secrets  the folder is closed to others
✓ locks    none is held
✓ runs     none was left behind
next: platformctl pending

"#]]
    );
    assert_eq!(everything_below(&stack.root(), &[]), before, "nothing is left there");
    assert_eq!(stack.site.log(), [] as [String; 0], "nothing is recorded");
    // A chatty start-up file changes nothing.
    account("chatty", 4321);
    fs::write(lab().join("chatty/.bashrc"), "echo welcome; printf 'PC1 x begin\\n'; echo oh >&2\n").unwrap();
    let chatty = Stack::on("    transport: ssh\n    destination: chatty\n", "");
    assert_eq!(check(&json(&chatty), "ssh")["result"], "pass");
}

#[test]
fn printed_fix_works() {
    let stack = stack("");
    let network = format!("{}_outside", stack.project);
    stack.change(1, |stack| {
        stack.compose(&[("app", "")]);
        stack.manifest("secrets: [{file: app.env, keys: [PASSWORD, TOKEN]}, {file: sub/it s.env}]\n");
    });
    let policy = fs::read_to_string(stack.site.repo.work().join("platform.yaml")).unwrap();
    stack.change(2, |stack| {
        let networks =
            format!("{policy}    networks: [{network}]\n").replace("mutations: enabled", "mutations: disabled");
        stack.site.repo.write("platform.yaml", &networks);
    });
    let root = stack.root();
    fs::remove_dir_all(&root).unwrap();
    fs::write(&root, "a file\n").unwrap();

    let found = json(&stack);
    let expected =
        ["warn mutations", "warn machine", "fail root", "fail network", "fail secrets", "fail secret", "fail secret"];
    assert_eq!(wrong(&found), expected);
    assert_eq!((&found["exit"], &found["code"], &found["outcome"]), (&9.into(), &"host_unfit".into(), &"error".into()));
    assert_eq!(check(&found, "mutations")["fix"], "mutations: enabled");
    assert_eq!(check(&found, "machine")["fix"], "machine_id: 0123456789abcdef0123456789abcdef");
    assert_eq!(check(&found, "machine")["where"], "policy");
    let at = root.display();
    assert_eq!(
        check(&found, "root")["fix"],
        format!("mv -nT {at} {at}.old && install -d -o root -g root -m 0755 {at}")
    );
    cure(check(&found, "root"), "");
    assert_eq!(check(&json(&stack), "root")["result"], "pass");

    assert_eq!(check(&found, "network")["fix"], format!("docker network create {network}"));
    cure(check(&found, "network"), "");
    assert_eq!(check(&json(&stack), "network")["result"], "pass");

    cure(check(&found, "secrets"), "");
    assert_eq!(check(&json(&stack), "secrets")["result"], "pass");
    mode(&root.join("secrets"), 0o755);
    let found = json(&stack);
    assert_eq!(check(&found, "secrets")["fix"], format!("install -d -o root -g root -m 0700 {at}/secrets"));
    assert_eq!((&found["exit"], &found["code"]), (&5.into(), &"secret_missing".into()));
    cure(check(&found, "secrets"), "");
    assert_eq!(check(&json(&stack), "secrets")["result"], "pass");

    // A file that is not there, is open, has no key, has a value that Compose would change.
    cure(checks(&found, "secret")[0], "TOKEN=c4n4ry$x\n");
    cure(checks(&found, "secret")[1], "anything\n");
    assert_eq!(
        checks(&found, "secret")[1]["fix"],
        format!("(umask 077 && install -D -m 600 /dev/stdin '{at}/secrets/sub/it s.env')")
    );
    mode(&root.join("secrets/app.env"), 0o640);
    let found = json(&stack);
    let facts: Vec<_> = checks(&found, "secret").iter().map(|check| check["fact"].to_string()).collect();
    for (fact, says) in facts.iter().zip(["can be read by others", "dollar sign", "has no PASSWORD"]) {
        assert!(fact.contains(says), "{facts:?}");
    }
    assert_eq!(facts.len(), 3);
    assert!(!found.to_string().contains("c4n4ry"));
    cure(checks(&found, "secret")[0], "");
    stack.secret("app.env", "TOKEN='c4n4ry$x'\nexport PASSWORD=b\n");
    let found = json(&stack);
    assert_eq!(wrong(&found), ["warn mutations", "warn machine"]);
    assert_eq!(check(&found, "secret")["fact"], "declared files 2, keys 2: all there");
    assert_eq!(found["exit"], 0);
    // What it says is good is good: the apply goes through.
    stack.change(3, |stack| {
        stack.site.repo.write("platform.yaml", &format!("{policy}    networks: [{network}]\n"));
    });
    assert_eq!(stack.exit(1, "apply app --pr 1"), "exit 0");
    assert_eq!(wrong(&json(&stack)), ["warn machine"]);
    docker(&["network", "rm", &network]);
}

#[test]
fn missing_permissions_print_commands_for_root() {
    account("deploy", 4322);
    let stack = Stack::on("    transport: ssh\n    destination: deploy\n", "");
    stack.change(1, |stack| {
        stack.compose(&[("app", "")]);
        stack.manifest("secrets: [{file: app.env}]\n");
    });
    stack.secret("app.env", "A=1\n");
    // The account may walk there, and no more.
    mode(&stack.site.repo.path(""), 0o755);
    mode(&stack.root().join("secrets"), 0o755);
    let found = json(&stack);
    assert_eq!(wrong(&found), ["warn machine", "fail root", "fail docker", "fail secrets", "fail secret"]);
    let commands: Vec<String> = ["root", "docker", "secrets", "secret"]
        .map(|id| check(&found, id)["fix"].as_str().unwrap().replace("sudo ", ""))
        .into();
    let at = stack.root().display().to_string();
    let group = docker_group();
    assert_eq!(commands[0], format!("install -d -o deploy -g 4322 -m 0755 {at}"));
    assert!(commands[1].contains(&format!("usermod -aG {group} deploy")), "{}", commands[1]);
    assert_eq!(commands[2], format!("install -d -o deploy -g 4322 -m 0700 {at}/secrets"));
    assert_eq!(commands[3], format!("chown deploy {at}/secrets/app.env"));
    let place = check(&found, "root")["where"].as_str().unwrap();
    assert_eq!(place == "host-root", !Path::new("/usr/bin/sudo").exists(), "without sudo it says that it takes root");
    for command in [&commands[0], &commands[2], &commands[3]] {
        assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
    }
    assert_eq!(wrong(&json(&stack)), ["warn machine", "fail docker"]);
    assert!(check(&found, "docker")["fact"].to_string().contains("does not let deploy in"), "{found}");
    // A root that is not there, where the account may not make it.
    fs::remove_dir_all(stack.root()).unwrap();
    let found = json(&stack);
    assert_eq!(check(&found, "root")["result"], "fail");
    let command = check(&found, "root")["fix"].as_str().unwrap().replace("sudo ", "");
    assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
    assert_eq!(check(&json(&stack), "root")["result"], "pass");
}

/// The group that joins an account to the engine.
fn docker_group() -> String {
    let output = Command::new("stat").args(["-c", "%G", "/var/run/docker.sock"]).output().unwrap();
    let group = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    if group == "root" { "docker".to_owned() } else { group }
}

#[test]
fn missing_engine_is_reported() {
    let stack = stack(&format!("{PINNED}    docker_host: unix:///nonexistent.sock\n"));
    let (code, said) = doctor(&stack, &["doctor", "--host", "box"]);
    assert_eq!(code, 9, "{said}");
    assert!(said.contains("✗ docker   no engine answers at `unix:///nonexistent.sock`"), "{said}");
    let cure = "fix: merge into platform.yaml, hosts.box: docker_host: unix:///var/run/docker.sock\n";
    assert!(said.ends_with(cure), "{said}");
    assert!(said.contains("✓ compose  2."), "the plugin is looked at all the same: {said}");
    let (code, said) = doctor(&stack, &["doctor", "--host", "other"]);
    assert!(code == 2 && said.contains("unknown_host") && said.ends_with("fix: it has: box\n"), "{said}");
}

#[test]
fn wrong_host_clock_is_reported() {
    let site = Site::new();
    for (ahead, result, exit) in [(30, "✓", 0), (290, "!", 0), (-310, "✗", 9), (700, "✗", 9)] {
        let output =
            site.binary(&site.repo.work(), 0, &["doctor"]).env("PATH", site.repo.dated(ahead)).output().unwrap();
        let said = site.told(&output);
        let line = said.lines().find(|line| line.contains(" clock ")).unwrap();
        assert!(line.starts_with(result) && said.starts_with(&format!("exit {exit}\n")), "{ahead}: {said}");
        let way = if ahead > 0 { "ahead of" } else { "behind" };
        assert!(ahead == 30 || (line.contains(way) && said.contains("timedatectl set-ntp true")), "{said}");
    }
}

#[test]
fn ssh_failures_are_classified() {
    let lab = lab().display().to_string();
    let entry = |name: &str, port: &str, known: &str, key: &str| {
        let text = format!(
            "Host {name}\n  User root\n  IdentityFile {key}\n  IdentitiesOnly yes\n  IdentityAgent none\n  HostName 127.0.0.1\n  Port {port}\n  \
             UserKnownHostsFile {known}\n"
        );
        fs::write(format!("{lab}/ssh.d/{name}"), text).unwrap();
    };
    let id = format!("{lab}/id");
    entry("dr-refused", "1", &format!("{lab}/known_hosts"), &id);
    entry("dr-unknown", "2222", "/dev/null", &id);
    entry("dr-keyless", "2222", &format!("{lab}/known_hosts"), "/dev/null");
    let other = format!("{lab}/dr-other-known");
    let offered = fs::read_to_string(format!("{lab}/known_hosts")).unwrap();
    let key = fs::read_to_string(format!("{lab}/id.pub")).unwrap();
    let name = offered.split(' ').next().unwrap();
    fs::write(&other, format!("{name} {}\n", key.rsplit_once(' ').unwrap().0)).unwrap();
    entry("dr-changed", "2222", &other, &id);
    for (host, code, says) in [
        ("dr-refused", "host_unreachable", "Connection refused"),
        ("dr-unknown", "host_key_unknown", offered.trim_end()),
        ("dr-changed", "host_key_changed", offered.trim_end()),
        ("dr-keyless", "credentials_refused", "ssh -o BatchMode=yes dr-keyless true"),
    ] {
        let stack = Stack::on(&format!("    transport: ssh\n    destination: {host}\n"), "");
        let found = json(&stack);
        assert_eq!((&found["exit"], &found["code"]), (&9.into(), &code.into()), "{found}");
        assert_eq!(wrong(&found), ["fail ssh"], "what nobody could ask is not told");
        let (_, said) = doctor(&stack, &["doctor"]);
        assert!(said.contains(says), "{host}: {said}");
        assert!(said.lines().last().unwrap().starts_with("fix: "), "{said}");
    }
}

#[test]
fn open_runs_and_locks_are_reported() {
    let stack = stack(PINNED);
    stack.change(1, |stack| stack.compose(&[("app", "")]));
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    assert_eq!(wrong(&json(&stack)), [] as [String; 0]);
    let run = "20261122T101530Z-1a2b3c4d";
    fs::create_dir(stack.root().join("runs").join(run)).unwrap();
    symlink("/etc", stack.root().join("runs/$(id)")).unwrap();
    let lock = stack.root().join("locks").join(format!("compose.{}", stack.project));
    let mut held = Command::new("flock").arg("--no-fork").arg(&lock).args(["sleep", "60"]).spawn().unwrap();
    crate::support::stack::until("the lock is told", || {
        check(&json(&stack), "locks")["fact"].to_string().contains("held right now")
    });
    let found = json(&stack);
    assert_eq!(wrong(&found), ["warn runs"]);
    assert!(check(&found, "locks")["fact"].to_string().contains(&format!("compose.{}", stack.project)));
    assert!(check(&found, "runs")["fact"].to_string().contains(run), "{found}");
    held.kill().unwrap();
    held.wait().unwrap();
    // A run that is open in the record, and was killed on the host.
    stack.change(2, |stack| stack.compose(&[("app", "environment: {A: '2'}")]));
    let mut child = stack.start(1, "apply app --pr 2");
    let runs = || fs::read_dir(stack.root().join("runs")).map_or(0, Iterator::count);
    crate::support::stack::until("the host is told", || runs() == 4);
    child.kill().unwrap();
    child.wait().unwrap();
    crate::support::stack::until("the host went on by itself", || {
        let found = json(&stack);
        let fixes: Vec<_> = checks(&found, "runs").iter().map(|check| check["fix"].to_string()).collect();
        fixes.iter().any(|fix| fix.contains("platformctl resume "))
    });
    let open = checks(&json(&stack), "runs")
        .iter()
        .find_map(|check| check["fix"].as_str()?.strip_prefix("platformctl resume ").map(str::to_owned));
    let open = open.unwrap();
    fs::remove_file(stack.root().join("runs").join(&open).join("result.json")).unwrap();
    let found = json(&stack);
    let abandon = format!("platformctl abandon {open} --reason \"killed on box\"");
    assert!(checks(&found, "runs").iter().any(|check| check["fix"] == abandon.as_str()), "{found}");
    assert!(stack.run(3, "resume").contains(&format!("platformctl abandon {open}")), "resume says the same");
    let args = ["abandon", &open, "--reason", "killed on box"];
    assert!(stack.site.binary(&stack.site.repo.work(), 4, &args).status().unwrap().success());
    let found = json(&stack);
    assert!(!checks(&found, "runs").iter().any(|check| check["fact"].to_string().contains(&open)), "{found}");
}

#[test]
fn doctor_uses_the_last_fetched_base_when_the_remote_is_unreachable() {
    let stack = stack(PINNED);
    let away = stack.site.repo.path("away.git");
    fs::rename(stack.site.repo.path("remote.git"), &away).unwrap();
    let (code, said) = doctor(&stack, &["doctor"]);
    assert!(code == 9 && said.starts_with("UNREACHABLE"), "never fetched: {said}");
    fs::rename(&away, stack.site.repo.path("remote.git")).unwrap();
    assert_eq!(doctor(&stack, &["doctor"]).0, 0);
    fs::rename(stack.site.repo.path("remote.git"), &away).unwrap();
    let (code, said) = doctor(&stack, &["doctor"]);
    assert!(code == 0 && said.contains("warning: ") && said.contains("judged by main as of"), "{said}");
    fs::rename(&away, stack.site.repo.path("remote.git")).unwrap();
    stack.change(1, |stack| {
        stack.compose(&[("app", "")]);
        stack.site.repo.write("modules/bad/module.yaml", "schema: module/2\n");
    });
    let (code, said) = doctor(&stack, &["doctor"]);
    assert!(code == 0 && said.contains("warning: bad is not valid on main"), "{said}");
}

#[test]
fn missing_tools_are_reported_with_their_package() {
    let lab = lab();
    account("bare", 4323);
    let bin = lab.join("bare/bin");
    fs::create_dir(&bin).unwrap();
    let tools = "tar sha256sum stat find xargs mv setsid readlink realpath timeout df sort sed sh id env date head dirname grep mktemp mkdir rm cat ln apt-cache";
    for tool in tools.split(' ') {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().unwrap();
        symlink(String::from_utf8(found.stdout).unwrap().trim(), bin.join(tool)).unwrap();
    }
    fs::write(lab.join("bare/.bashrc"), format!("export PATH={}\n", bin.display())).unwrap();
    let stack = Stack::on("    transport: ssh\n    destination: bare\n", "");
    let found = json(&stack);
    let tools = check(&found, "tools");
    assert_eq!(tools["fact"], "no flock, no cmp", "{found}");
    assert!(tools["fix"].as_str().unwrap().ends_with("apt-get install -y diffutils util-linux"), "{tools}");
    assert_eq!(check(&found, "docker")["code"], "engine_unreachable");
    assert!(check(&found, "docker")["fact"].to_string().contains("no `docker`"), "{found}");
    assert_eq!(checks(&found, "compose").len(), 0, "without a client nobody can ask");
    // Without stat and df the rest is told all the same.
    fs::remove_file(bin.join("df")).unwrap();
    fs::remove_file(bin.join("stat")).unwrap();
    let found = json(&stack);
    assert_eq!(check(&found, "tools")["fact"], "no stat, no flock, no df, no cmp", "{found}");
    assert_eq!(checks(&found, "space").len(), 0);
    // A machine that lies gets no word of its own into a command.
    fs::remove_file(bin.join("id")).unwrap();
    fs::write(bin.join("id"), "#!/bin/sh\necho '0;reboot'\n").unwrap();
    mode(&bin.join("id"), 0o755);
    let found = json(&stack);
    assert_eq!(wrong(&found), ["fail look"]);
    assert_eq!(check(&found, "look")["code"], "host_unreachable");

    // A module that needs no engine does not ask for one.
    stack.change(1, |stack| {
        stack.site.manifest("");
        stack.site.repo.write("modules/site/public/index.html", "x\n");
        fs::remove_dir_all(stack.site.repo.work().join("modules/app")).unwrap();
    });
    fs::write(bin.join("id"), "#!/bin/sh\ncase $1 in -u | -g) echo 4323 ;; *) echo bare ;; esac\n").unwrap();
    let found = json(&stack);
    assert_eq!(check(&found, "docker")["result"], "pass", "{found}");
}

#[test]
fn old_compose_and_hanging_engine_are_reported() {
    let lab = lab();
    account("oldie", 4324);
    let plugins = lab.join("oldie/.docker/cli-plugins");
    fs::create_dir_all(&plugins).unwrap();
    let plugin = "#!/bin/sh\ncase $1 in docker-cli-plugin-metadata)\n\
                  echo '{\"SchemaVersion\":\"0.1.0\",\"Vendor\":\"x\",\"Version\":\"v2.19.1\"}' ;; *) echo 2.19.1 ;; esac\n";
    fs::write(plugins.join("docker-compose"), plugin).unwrap();
    mode(&plugins.join("docker-compose"), 0o755);
    let socket = lab.join("oldie/hang.sock");
    // Connections are taken by the system, and nobody answers.
    let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    mode(&socket, 0o777);
    let host = format!("    transport: ssh\n    destination: oldie\n    docker_host: unix://{}\n", socket.display());
    let stack = Stack::on(&host, "");
    let found = json(&stack);
    let compose = check(&found, "compose");
    assert_eq!((&compose["code"], &compose["result"]), (&"compose_too_old".into(), &"fail".into()), "{found}");
    assert!(compose["fact"].to_string().contains("2.19.1"), "{compose}");
    assert!(compose["fix"].to_string().contains("ompose"), "{compose}");
    assert!(check(&found, "docker")["fact"].to_string().contains("did not answer within 20 s"), "{found}");
    assert!(check(&found, "docker")["fix"].to_string().contains("systemctl restart docker"), "{found}");
}

#[test]
fn full_and_read_only_file_systems_are_reported() {
    let stack = stack(PINNED);
    let root = stack.root().display().to_string();
    let mount = |options: &str| {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs", &root]).status().unwrap();
        assert!(mounted.success());
        mode(&stack.root(), 0o755);
    };
    let unmount = || assert!(Command::new("umount").arg(&root).status().unwrap().success());
    for (size, result) in [("size=2000m", "pass"), ("size=500m", "warn"), ("size=50m", "fail")] {
        mount(size);
        let found = json(&stack);
        unmount();
        assert_eq!(check(&found, "space")["result"], result, "{found}");
    }
    mount("size=2000m");
    assert!(Command::new("mount").args(["-o", "remount,ro", &root]).status().unwrap().success());
    let found = json(&stack);
    unmount();
    assert_eq!(check(&found, "root")["fix"], format!("findmnt -T {root}"), "{found}");
    assert_eq!(wrong(&found), ["fail root"]);
}

#[test]
fn all_hosts_are_checked_and_the_first_failure_sets_the_exit_code() {
    let more = "  last:\n    transport: local\n    root: /nonexistent\n    docker_host: unix:///nonexistent.sock\n";
    let stack = Stack::on("    transport: ssh\n    destination: nobody@dr-nowhere.invalid\n", more);
    let found = json(&stack);
    let hosts: Vec<_> = found["hosts"].as_array().unwrap().iter().map(|host| host["host"].as_str().unwrap()).collect();
    assert_eq!(hosts, ["box", "last"]);
    assert_eq!((&found["code"], &found["exit"]), (&"host_unreachable".into(), &9.into()));
    let codes: Vec<_> = found["refusals"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["host_unreachable", "engine_unreachable"]);
    let (_, said) = doctor(&stack, &["doctor", "--host", "last"]);
    assert!(said.contains("✓ ssh        not needed: it is this machine"), "{said}");
    assert!(said.contains("! root       /nonexistent is not there; the first apply\n"), "{said}");
    assert!(!Path::new("/nonexistent").exists(), "nothing was made");
}
