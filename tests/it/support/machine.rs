//! A host of a test's own, which can be switched off: namespaces with their own engine, reached by a real sshd inside
//! them.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use super::stack::{lab, until};

/// Whether a process is gone, buried or not.
fn is_gone(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

/// A machine. Its disk outlives its power; everything goes away with this value.
pub(crate) struct Machine {
    pub(crate) name: String,
    dir: tempfile::TempDir,
    init: Option<Child>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.power_off();
        drop(fs::remove_file(lab().join("ssh.d").join(&self.name)));
    }
}

impl Machine {
    /// A machine that is on, with the image local/busybox:1.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("m").tempdir().unwrap();
        let name = dir.path().file_name().unwrap().to_str().unwrap().to_lowercase();
        for sub in ["disk", "docker"] {
            fs::create_dir(dir.path().join(sub)).unwrap();
        }
        let mut machine = Self { name, dir, init: None };
        let base = machine.dir.path().to_owned();
        let path = |name: &str| base.join(name).display().to_string();
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path("key")]).status();
        assert!(made.unwrap().success());
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nUsePAM no\nStrictModes no\nUseDNS no\nPidFile none\n",
            path("key"),
            path("authorized_keys")
        );
        fs::write(path("config"), config).unwrap();
        // It has a /run of its own, in which the lab is not.
        fs::copy(lab().join("home/.ssh/authorized_keys"), path("authorized_keys")).unwrap();
        let key = fs::read_to_string(path("key.pub")).unwrap();
        let key: Vec<&str> = key.split(' ').take(2).collect();
        fs::write(path("known"), format!("{} {}\n", machine.name, key.join(" "))).unwrap();
        // ssh meets the real sshd inside the machine; while that is off, nobody answers.
        let door = format!(
            "#!/bin/sh\n[ -e {0}/closed ] && exit 1\nexec nsenter -t $(cat {0}/pid) --all -- /usr/sbin/sshd -i -e -f {0}/config 2>>{0}/sshd.log\n",
            path("").trim_end_matches('/')
        );
        fs::write(path("door"), door).unwrap();
        Command::new("chmod").args(["755", &path("door")]).status().unwrap();
        let alias = format!(
            "Host {0}\n  HostName {0}\n  User root\n  IdentityFile {1}\n  IdentitiesOnly yes\n  UserKnownHostsFile {2}\n  ProxyCommand {3}\n",
            machine.name,
            lab().join("id").display(),
            path("known"),
            path("door")
        );
        fs::write(lab().join("ssh.d").join(&machine.name), alias).unwrap();
        machine.power_on();
        let image = format!("docker -H unix:///var/run/docker.sock save local/busybox:1 -o {}", path("image"));
        assert!(Command::new("sh").args(["-c", &image]).status().unwrap().success());
        machine.docker(&["load", "-q", "-i", &path("image")]);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Its disk, which is the root's parent.
    pub(crate) fn disk(&self) -> PathBuf {
        self.path("disk")
    }

    /// What its sshd and its engine said last.
    pub(crate) fn words(&self) -> String {
        let tail = |name: &str| {
            let text = fs::read_to_string(self.path(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(12)..].join("\n")
        };
        format!("{}\n{}\n{}", tail("sshd.log"), tail("dockerd.log"), tail("init.log"))
    }

    /// Switches it on, and waits for its engine.
    pub(crate) fn power_on(&mut self) {
        let dir = self.dir.path().display();
        let script = format!(
            "mount -t tmpfs tmpfs /run && mkdir -p /run/sshd {home} && ip link set lo up && hostname {name} && \
             trap '' HUP; while :; do [ -e {dir}/no-engine ] || dockerd --cgroup-parent /{group} --data-root {dir}/docker --exec-root /run/docker \
             --pidfile /run/docker.pid >>{dir}/dockerd.log 2>&1; sleep 0.2; done",
            name = self.name,
            group = fs::read_to_string(lab().join("cgroup")).unwrap().trim_end(),
            home = lab().join("home").display()
        );
        let child = Command::new("unshare")
            .args([
                "--net",
                "--pid",
                "--mount",
                "--uts",
                "--ipc",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "sh",
                "-c",
                &script,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.path("init.log")).unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        let parent = child.id();
        self.init = Some(child);
        let first = || {
            let found = Command::new("pgrep").args(["-P", &parent.to_string()]).output().unwrap();
            String::from_utf8(found.stdout).unwrap().lines().next().map(str::to_owned)
        };
        until("the machine has a first process", || first().is_some());
        fs::write(self.path("pid"), first().unwrap()).unwrap();
        until("its engine answers", || self.try_docker(&["version"]).is_some());
    }

    /// The power is cut: nothing of it goes on.
    pub(crate) fn power_off(&mut self) {
        if let Some(mut init) = self.init.take() {
            if let Ok(pid) = fs::read_to_string(self.path("pid")) {
                drop(Command::new("kill").args(["-9", &pid]).status());
            }
            drop(init.kill());
            drop(init.wait());
        }
    }

    /// A way to cut the power from within a call.
    pub(crate) fn switch(&self) -> impl Fn() + Send + 'static {
        let pid = self.path("pid");
        move || {
            let pid = fs::read_to_string(&pid).unwrap();
            drop(Command::new("kill").args(["-9", &pid]).status());
            until("the power is off", || is_gone(&pid));
        }
    }

    /// A way to stop the engine, with what it runs, and to keep it away.
    pub(crate) fn engine_off(&self) -> impl Fn() + Send + 'static {
        let (no, pid) = (self.path("no-engine"), self.path("pid"));
        move || {
            fs::write(&no, "").unwrap();
            let pid = fs::read_to_string(&pid).unwrap();
            let kill = "pid=$(cat /run/docker.pid) && kill $pid && while [ -e /proc/$pid ]; do sleep 0.1; done";
            drop(Command::new("nsenter").args(["-t", &pid, "--mount", "--pid", "--", "sh", "-c", kill]).status());
        }
    }

    /// A way to cut every connection to it, and to let nobody in.
    pub(crate) fn cut(&self) -> impl Fn() + Send + 'static {
        let (closed, pid) = (self.path("closed"), self.path("pid"));
        move || {
            fs::write(&closed, "").unwrap();
            let pid = fs::read_to_string(&pid).unwrap();
            drop(Command::new("nsenter").args(["-t", &pid, "--pid", "--mount", "--", "pkill", "-9", "sshd"]).status());
        }
    }

    /// Everything is as it should be again.
    pub(crate) fn mend(&mut self) {
        for file in ["closed", "no-engine"] {
            drop(fs::remove_file(self.path(file)));
        }
        if is_gone(&fs::read_to_string(self.path("pid")).unwrap()) {
            self.power_off();
            self.power_on();
        }
        for _ in 0..300 {
            if self.try_docker(&["version"]).is_some() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("its engine is not back: {}", self.words());
    }

    fn try_docker(&self, args: &[&str]) -> Option<String> {
        let pid = fs::read_to_string(self.path("pid")).ok()?;
        let output = Command::new("nsenter")
            .args(["-t", &pid, "--all", "--", "docker", "-H", "unix:///var/run/docker.sock"])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
    }

    /// Runs docker in it.
    pub(crate) fn docker(&self, args: &[&str]) -> String {
        self.try_docker(args).unwrap_or_else(|| panic!("docker {args:?}"))
    }
}
