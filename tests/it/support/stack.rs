//! A repository with one compose module, and a host for it that is reached over ssh: the real sshd and engine that
//! tests/lab starts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use super::{repo::Repo, site::Site};

/// The lab. A test that needs it never passes without it, and must be in the group of those that do.
pub(crate) fn lab() -> PathBuf {
    let lab = std::env::var_os("PLATFORMCTL_LAB")
        .expect("needs a real sshd and engine: run it under tests/lab, and see that .config/nextest.toml has it in the group `lab`");
    let lab = PathBuf::from(lab);
    // Only nextest knows groups.
    let group = std::env::var("NEXTEST_TEST_GROUP");
    assert!(
        group.is_err() || group.as_deref() == Ok("lab"),
        "this test needs the lab: add it to the group `lab` in .config/nextest.toml"
    );
    if let Some(name) = std::thread::current().name() {
        drop(fs::write(lab.join("asked").join(name), ""));
    }
    lab
}

/// Runs docker on the lab's engine and returns what it printed.
pub(crate) fn docker(args: &[&str]) -> String {
    lab();
    let output = Command::new("docker").args(["-H", "unix:///var/run/docker.sock"]).args(args).output().unwrap();
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A repository whose module `app` runs in a compose project of its own.
pub(crate) struct Stack {
    pub(crate) site: Site,
    pub(crate) project: String,
    root: PathBuf,
}

impl Drop for Stack {
    fn drop(&mut self) {
        let filter = format!("label=com.docker.compose.project={}", self.project);
        for (list, remove) in [(["ps", "-aq"], ["rm", "-fv"]), (["network", "ls"], ["network", "rm"])] {
            let mut args = list.to_vec();
            args.extend(["--filter", &filter]);
            if list[0] == "network" {
                args.push("-q");
            }
            let ids = docker(&args);
            for id in ids.lines() {
                drop(Command::new("docker").args(["-H", "unix:///var/run/docker.sock"]).args(remove).arg(id).output());
            }
        }
    }
}

impl Stack {
    /// On the lab over ssh.
    pub(crate) fn new() -> Self {
        Self::on("    transport: ssh\n    destination: lab\n", "")
    }

    /// With these lines for the host, and these at the end of the policy.
    pub(crate) fn on(transport: &str, policy: &str) -> Self {
        let repo = Repo::new();
        let root = repo.path("root");
        Self::of(repo, transport, policy, &root)
    }

    /// With its root elsewhere: on a machine of its own.
    pub(crate) fn at(transport: &str, policy: &str, root: &Path) -> Self {
        Self::of(Repo::new(), transport, policy, root)
    }

    fn of(repo: Repo, transport: &str, policy: &str, root: &Path) -> Self {
        lab();
        let project: String =
            repo.path("").display().to_string().chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        let project = format!("t{}", project[project.len() - 6..].to_lowercase());
        let text = format!(
            "schema: platform/1\nhosts:\n  box:\n{transport}    root: {}\n    mutations: enabled\n{policy}",
            root.display()
        );
        repo.write("platform.yaml", &text);
        repo.commit("policy");
        repo.publish();
        let site = Site::of(repo);
        fs::create_dir_all(root.join("secrets")).unwrap();
        let stack = Self { site, project, root: root.to_owned() };
        stack.manifest("");
        stack
    }

    /// Writes the manifest, with more lines; without health of its own it settles at once.
    pub(crate) fn manifest(&self, more: &str) {
        let health = if more.contains("health:") { "" } else { "health: {settle_s: 0, deadline_s: 30}\n" };
        self.site.repo.write(
            "modules/app/module.yaml",
            &format!(
                "schema: module/2\nid: app\ntitle: App\nowner: ola\nhost: box\nruntime:\n  driver: compose\n  project: {}\n  \
                 compose_files: [compose/app.yaml]\n{health}{more}",
                self.project
            ),
        );
    }

    /// Writes the compose file: its services, each with its lines.
    pub(crate) fn compose(&self, services: &[(&str, &str)]) {
        let mut text = "services:\n".to_owned();
        for (name, lines) in services {
            let image = if lines.contains("image:") { "" } else { "    image: local/busybox:1\n" };
            text += &format!("  {name}:\n{image}");
            for line in lines.lines() {
                text += &format!("    {line}\n");
            }
        }
        self.site.repo.write("compose/app.yaml", &text);
    }

    /// Opens and merges pull request `n` with what `edit` writes.
    pub(crate) fn change(&self, n: u64, edit: impl FnOnce(&Self)) {
        let repo = &self.site.repo;
        let kept: Vec<(&str, Option<String>)> = ["modules/app/module.yaml", "compose/app.yaml"]
            .map(|path| (path, fs::read_to_string(repo.work().join(path)).ok()))
            .into();
        repo.branch(&format!("pr{n}"), "main");
        if n == 1 {
            kept.iter().for_each(|(path, text)| text.iter().for_each(|text| repo.write(path, text)));
        }
        edit(self);
        repo.commit(&format!("change {n}"));
        repo.propose(n);
        repo.merge(n, &format!("pr{n}"));
    }

    /// Runs the binary in the clone, `minutes` after the clock of the test began.
    pub(crate) fn run(&self, minutes: i64, args: &str) -> String {
        self.site.run(minutes, args).replace(&self.project, "<project>")
    }

    pub(crate) fn json(&self, minutes: i64, args: &str) -> serde_json::Value {
        self.site.json(minutes, args)
    }

    /// The exit code, and nothing else.
    pub(crate) fn exit(&self, minutes: i64, args: &str) -> String {
        self.run(minutes, args).lines().next().unwrap_or_default().to_owned()
    }

    /// The binary, started and left alone.
    pub(crate) fn start(&self, minutes: i64, args: &str) -> std::process::Child {
        let args: Vec<&str> = args.split(' ').collect();
        let mut command = self.site.binary(&self.site.repo.work(), minutes, &args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Ids of the containers of a service, sorted.
    pub(crate) fn ids(&self, service: &str) -> Vec<String> {
        let filters = [
            format!("label=com.docker.compose.project={}", self.project),
            format!("label=com.docker.compose.service={service}"),
        ];
        let ids = docker(&["ps", "-aq", "--no-trunc", "--filter", &filters[0], "--filter", &filters[1]]);
        let mut ids: Vec<String> = ids.lines().map(str::to_owned).collect();
        ids.sort();
        ids
    }

    /// What `docker inspect` says of a service's only container.
    pub(crate) fn inspect(&self, service: &str, format: &str) -> String {
        let ids = self.ids(service);
        assert_eq!(ids.len(), 1, "{service}");
        docker(&["inspect", "--format", format, &ids[0]])
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.root.clone()
    }

    /// A secret file on the host.
    pub(crate) fn secret(&self, file: &str, text: &str) {
        let path = self.root().join("secrets").join(file);
        fs::write(&path, text).unwrap();
        Command::new("chmod").arg("600").arg(path).status().unwrap();
    }
}

/// Waits until something holds, at most half a minute.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..300 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what}: not within 30 s");
}

/// Every file below a folder with its content, but those that `skip` names.
pub(crate) fn everything_below(dir: &Path, skip: &[&str]) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if skip.iter().any(|skip| path.ends_with(skip)) {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                found.push((path, bytes));
            }
        }
    }
    found
}
