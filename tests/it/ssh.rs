//! Hosts over ssh: a real sshd, also where it is odd. Each refusal is clear, and the host is untouched.

use std::{fs, process::Command};

use snapbox::{assert_data_eq, str};

use crate::support::{
    site::Site,
    sshd::Sshd,
    stack::{Stack, lab, until},
};

/// A site whose module of driver files lies on a host behind ssh.
fn files(transport: &str) -> Site {
    lab();
    let site = Site::empty("");
    site.repo.git(&["checkout", "-q", "main"]);
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    site.repo.write("platform.yaml", &policy.replace("    transport: local\n", transport));
    site.repo.commit("over ssh");
    site.repo.publish();
    site.change(1, "hello\n");
    site
}

#[test]
fn jump_hosts_and_noisy_shells_work() {
    let (_rc, line) = Sshd::rc("echo welcome; printf 'PC1 begin\\n'; echo talk >&2\n");
    let banner = tempfile::NamedTempFile::new().unwrap();
    fs::write(banner.path(), "UNAUTHORISED ACCESS\nPC1 n rc=0\n").unwrap();
    let chatty = Sshd::start(&format!("{line}\nBanner {}", banner.path().display()), true);
    // What would take the script or its input away.
    chatty.config("StdinNull yes\n  SessionType none\n  RemoteCommand false");
    for transport in [
        "    transport: ssh\n    destination: lab\n",
        "    transport: ssh\n    destination: jumped\n",
        &chatty.transport(),
    ] {
        let site = files(transport);
        let said = site.run(0, "apply site --pr 1");
        assert!(said.starts_with("exit 0\n"), "{transport}{said}");
        assert_eq!(site.live(), "hello\n");
        assert!(site.run(1, "apply site --pr 1").contains("nothing to change"));
    }
    // Nothing of a connection is left when we are gone.
    let left =
        Command::new("pgrep").args(["-f", &format!("ssh -T -N -o BatchMode.* -- {}", chatty.name)]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}

#[test]
fn ssh_remote_is_logged_into_once() {
    lab();
    let sshd = Sshd::start("", true);
    let site = Site::new();
    let url = format!("ssh://{}{}", sshd.name, site.repo.path("remote.git").display());
    site.repo.git(&["remote", "set-url", "origin", &url]);
    let said = site.run(0, "apply site --pr 1");
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert_eq!((site.live().as_str(), sshd.logins()), ("hello\n", 1), "a fetch and two pushes");
    let left = || {
        let found = Command::new("pgrep").args(["-fa", &format!("ssh.*pctl.*{}", sshd.name)]).output().unwrap();
        String::from_utf8(found.stdout).unwrap()
    };
    until("the connection ends", || left().is_empty());

    // A machine on the way is passed, and never asked in the other's place; a push may go elsewhere than a fetch comes
    // from.
    let (jump, forge) = (Sshd::start("", true), Sshd::start("", true));
    forge.config(&format!("ProxyJump {}", jump.name));
    let url = |host: &str| format!("ssh://{host}{}", site.repo.path("remote.git").display());
    site.repo.git(&["remote", "set-url", "origin", &url(&forge.name)]);
    let said = site.run(1, "apply site --again");
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert_eq!((jump.logins(), forge.logins()), (1, 1));
    assert_eq!((jump.sessions(), forge.sessions()), (0, 4), "two questions and two pushes");
    site.repo.git(&["remote", "set-url", "--push", "origin", &url(&jump.name)]);
    assert!(site.run(1, "apply site --again").starts_with("exit 0\n"));
    assert_eq!((jump.sessions(), forge.sessions()), (2, 8), "each push is looked for where the record is fetched from");

    site.repo.git(&["config", "--unset", "remote.origin.pushurl"]);
    site.repo.git(&["remote", "set-url", "origin", &url(&sshd.name)]);

    // Who shares connections himself has a reason, like a second factor: his is used, and left alone.
    let own = sshd.socket();
    sshd.config(&format!("ControlMaster auto\n  ControlPath {}\n  ControlPersist 60", own.display()));
    assert!(site.run(1, "apply site --again").starts_with("exit 0\n"));
    assert!(site.run(2, "apply site --again").starts_with("exit 0\n"));
    assert_eq!((sshd.logins(), own.exists()), (2, true));
    let ended = Command::new("ssh").args(["-O", "exit", &sshd.name]).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn unknown_and_changed_host_keys_are_refused() {
    let mut sshd = Sshd::start("", false);
    let site = files(&sshd.transport());
    let said = site.json(0, "apply site --pr 1");
    assert_eq!((said["exit"].as_i64(), said["code"].as_str()), (Some(9), Some("host_key_unknown")));
    let fix = said["refusals"][0]["fix"].as_str().unwrap();
    assert!(fix.ends_with(&sshd.key()), "{fix}");
    assert_eq!(site.live(), "entity not found");

    let other = Sshd::start("", false);
    let wrong = other.key().replace(&other.port.to_string(), &sshd.port.to_string());
    sshd.known(&wrong);
    let said = site.json(1, "apply site --pr 1");
    assert_eq!((said["exit"].as_i64(), said["code"].as_str()), (Some(9), Some("host_key_changed")));
    assert!(said["refusals"][0]["fix"].as_str().unwrap().ends_with(&sshd.key()));

    // The line, where a runner has none of its own.
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    let key = format!("    host_keys: [\"{}\"]\n    mutations", sshd.key());
    site.repo.branch("pr2", "main");
    site.repo.write("platform.yaml", &policy.replace("    mutations", &key));
    site.repo.commit("key");
    site.repo.propose(2);
    site.repo.merge(2, "pr2");
    let said = site.run(2, "apply site --pr 1");
    assert!(said.starts_with("exit 0\n"), "{said}");
    sshd.stop();
    let said = site.json(3, "apply site --again");
    assert_eq!((said["exit"].as_i64(), said["code"].as_str()), (Some(9), Some("host_unreachable")));
}

#[test]
fn ssh_login_failures_and_timeouts_are_reported() {
    let nobody = Sshd::start("AllowUsers nobody", true);
    let said = files(&nobody.transport()).json(0, "apply site --pr 1");
    assert_eq!((said["exit"].as_i64(), said["code"].as_str()), (Some(9), Some("credentials_refused")), "{said}");
    // sshd runs only what nobody else can write to, all the way up.
    let script = std::path::Path::new("/run/hang.sh");
    fs::write(script, "#!/bin/sh\nexec sleep 22\n").unwrap();
    Command::new("chmod").arg("755").arg(script).status().unwrap();
    let hanging = Sshd::start(
        &format!("AuthorizedKeysFile none\nAuthorizedKeysCommand {}\nAuthorizedKeysCommandUser root", script.display()),
        true,
    );
    let site = files(&hanging.transport());
    let said = site.run(0, "apply site --pr 1");
    assert_data_eq!(
        said.replace(&hanging.name, "<host>"),
        str![[r#"
exit 9
✓ approved  PR #1, merge
UNREACHABLE host_unreachable (9). Nothing was changed.
the host <host> did not answer: it hangs after the
connection was opened (in authentication, or in the shell's
start-up files)
fix: make `ssh -o BatchMode=yes <host> true` work, then run the same command again

"#]]
    );
}

#[test]
fn unfit_host_is_reported_and_unchanged() {
    // Another machine than the policy says.
    let site = files("    transport: ssh\n    destination: lab\n    machine_id: ffffffffffffffffffffffffffffffff\n");
    let said = site.run(0, "apply site --pr 1");
    assert!(said.contains("another machine answers as box"), "{said}");
    assert!(said.starts_with("exit 9\n") && site.live() == "entity not found");
    // Without tar.
    let bin = tempfile::tempdir().unwrap();
    let script = format!(
        "for f in /bin/* /usr/bin/*; do case $f in */tar) ;; *) ln -sf $f {}/ ;; esac; done",
        bin.path().display()
    );
    Command::new("sh").args(["-c", &script]).status().unwrap();
    let (_rc, line) = Sshd::rc(&format!("PATH={}\n", bin.path().display()));
    let bare = Sshd::start(&line, true);
    let site = files(&bare.transport());
    let said = site.run(0, "apply site --pr 1");
    assert!(said.contains("box has no tar"), "{said}");
    assert_eq!(site.live(), "entity not found");
    // A disk that fills up while something is delivered.
    let small = Stack::new();
    let root = small.root();
    let mount = |args: &[&str]| assert!(Command::new("mount").args(args).arg(&root).status().unwrap().success());
    mount(&["-t", "tmpfs", "-o", "size=20m", "tmpfs"]);
    small.change(1, |stack| {
        stack.compose(&[("app", "volumes: ['./big:/big:ro']")]);
        stack.site.repo.write("compose/big", &"x".repeat(1 << 20));
    });
    let said = small.run(0, "apply app --pr 1");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let before = small.ids("app");
    fs::write(root.join("fill"), vec![0; 17 << 20]).unwrap();
    small.change(2, |stack| stack.site.repo.write("compose/big", &"y".repeat(1 << 20)));
    let said = small.run(1, "apply app --pr 2");
    assert!(said.contains("MiB are free on box") && said.contains("Nothing was changed."), "{said}");
    fs::remove_file(root.join("fill")).unwrap();
    assert_eq!(small.ids("app"), before);
    assert_eq!(small.exit(2, "apply app --pr 2"), "exit 0");
    drop(Command::new("umount").arg("-l").arg(&root).status());
}

#[test]
fn hostile_host_output_is_refused() {
    // Floods, control characters, somebody else's nonce: whatever the account's shell says before or instead of our
    // script.
    for (rc, code) in [
        ("head -c 100000000 /dev/zero\n", "host_unreachable"),
        ("printf '\\033[2J\\033]0;gotcha\\007'; exit 0\n", "host_unreachable"),
        (
            "printf '\\nPC1 00000000000000000000000000000000 begin\\nlive none\\n\\nPC1 00000000000000000000000000000000 rc=0\\n'; exit 0\n",
            "host_unreachable",
        ),
    ] {
        let (_rc, line) = Sshd::rc(rc);
        let odd = Sshd::start(&line, true);
        let site = files(&odd.transport());
        let said = site.json(0, "apply site --pr 1");
        assert_eq!((said["exit"].as_i64(), said["code"].as_str()), (Some(9), Some(code)), "{rc}: {said}");
        assert!(!said.to_string().contains("gotcha"));
        assert_eq!(site.live(), "entity not found");
    }
    // A host that lies about a digest: its sha256sum says what it is told to.
    let bin = tempfile::tempdir().unwrap();
    let liar = bin.path().join("sha256sum");
    fs::write(&liar, "#!/bin/sh\n/usr/bin/sha256sum \"$@\" | sed 's/^......../00000000/'\n").unwrap();
    Command::new("chmod").arg("755").arg(&liar).status().unwrap();
    let (_rc, line) = Sshd::rc(&format!("PATH={}:$PATH\n", bin.path().display()));
    let lying = Sshd::start(&line, true);
    let site = files(&lying.transport());
    let said = site.run(0, "apply site --pr 1");
    assert!(
        said.replace('\n', " ").contains("what arrived is not what was sent")
            && said.contains("Nothing that runs was changed."),
        "{said}"
    );
    assert_eq!(site.live(), "entity not found");
}

#[test]
fn killed_command_leaves_no_connection() {
    let stack = Stack::new();
    stack.change(1, |stack| {
        stack.compose(&[("app", "")]);
        stack.manifest("health: {settle_s: 20, deadline_s: 60}\n");
    });
    let mut child = stack.start(0, "apply app --pr 1");
    let children = |parent: &str, name: &str| {
        let found = Command::new("pgrep").args(["-P", parent, name]).output().unwrap();
        String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let watches = || {
        let found = Command::new("pgrep").args(["-f", "compose-watch ROOT"]).output().unwrap();
        String::from_utf8(found.stdout).unwrap().lines().count()
    };
    until("it watches", || !stack.ids("app").is_empty() && watches() > 0);
    // A shell holds it: it waits for our end, which is the end of its input.
    let holders = children(&child.id().to_string(), "sh");
    let master: Vec<String> = holders.iter().flat_map(|holder| children(holder, "ssh")).collect();
    assert_eq!(master.len(), 1, "one connection");
    child.kill().unwrap();
    child.wait().unwrap();
    // The lab's first process does not bury the dead.
    let gone =
        |pid: &String| fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
    until("the connection ends", || master.iter().all(gone));
    until("what only reads ends with the link", || watches() == 0);
    assert_eq!(stack.exit(1, "resume"), "exit 0");
}

/// An account of the lab, with this login shell, that the lab's key opens.
fn account(name: &str, shell: &str) {
    let line = format!("{name}:x:0:0::{}:{shell}\n", lab().join("home").display());
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    // The first entry of an id is root's; the name decides the shell.
    fs::write("/etc/passwd", passwd + &line).unwrap();
    let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
    assert!(!shadow.contains(name));
}

#[test]
fn account_without_command_execution_is_reported() {
    lab();
    let nologin = "/usr/sbin/nologin";
    for (lines, says) in [
        (format!("ForceCommand {nologin}"), "its login shell is nologin"),
        ("ForceCommand /bin/false".to_owned(), "as /bin/false does"),
        ("ForceCommand internal-sftp".to_owned(), "it may only use sftp"),
        ("ForceCommand /usr/lib/openssh/sftp-server".to_owned(), "another program than its login shell"),
        ("MaxSessions 0".to_owned(), "MaxSessions in sshd_config"),
    ] {
        let odd = Sshd::start(&lines, true);
        let site = files(&odd.transport());
        for command in ["apply site --pr 1", "doctor"] {
            let said = site.run(0, command);
            let joined = said.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.starts_with("exit 9\n") && joined.contains(says), "{lines}: {command}: {said}");
        }
        assert_eq!(site.live(), "entity not found");
    }
}

#[test]
fn max_sessions_1_is_enough() {
    let single = Sshd::start("MaxSessions 1", true);
    let stack = Stack::on(&single.transport(), "");
    stack.change(1, |stack| stack.compose(&[("app", "")]));
    let said = stack.run(0, "apply app --pr 1");
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert_eq!(single.logins(), 1, "over one connection");
}

#[test]
fn non_posix_login_shells_are_supported() {
    lab();
    let tcsh = ["/usr/bin/tcsh", "/bin/tcsh"].into_iter().find(|path| std::path::Path::new(path).exists());
    let tcsh = tcsh.expect("needs tcsh: tests/run");
    let odd = Sshd::start("", true);
    account(&odd.name, tcsh);
    odd.config("IdentitiesOnly yes");
    let policy = odd.transport().replace(&odd.name, &format!("{0}@{0}", odd.name));
    let stack = Stack::on(&policy, "");
    stack.change(1, |stack| {
        stack.compose(&[("app", "volumes: ['./big:/big:ro']")]);
        stack.site.repo.write("compose/big", &"it's a \"big\" one!\n".repeat(100_000));
    });
    let said = stack.run(0, "doctor");
    assert!(!said.contains("✗ ssh") && said.contains("✓ ssh"), "{said}");
    let said = stack.run(0, "apply app --pr 1");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let ids = stack.ids("app");
    stack.change(2, |stack| stack.site.repo.write("compose/big", "small\n"));
    assert_eq!(stack.exit(1, "apply app --pr 2"), "exit 0");
    assert_ne!(stack.ids("app"), ids);
}

#[test]
fn ssh_messages_before_the_last_line_are_shown() {
    let odd = Sshd::start("", true);
    odd.config("ProxyCommand sh -c 'printf \"the gateway is\\033[2J closed\\n\" >&2; exit 1'");
    let said = files(&odd.transport()).run(0, "apply site --pr 1").replace('\n', " ");
    assert!(said.starts_with("exit 9 ") && said.contains("the gateway is\\u{1b}[2J closed;"), "{said}");
}
