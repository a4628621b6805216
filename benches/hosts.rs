//! Speed over ssh as ratios in one run: this program against what a person would type. `tests/lab cargo bench --bench
//! hosts`; docs/performance.md explains.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark is its own world"
)]

#[path = "../tests/it/support/pulls.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod pulls;
#[path = "../tests/it/support/repo.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod repo;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use repo::Repo;

/// Rounds of each measure; the middle one counts.
const ROUNDS: usize = 9;

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn row(what: &str, ours: f64, theirs: f64, unit: &str, bound: &str) {
    println!("| {what} | {ours:.0} {unit} | {theirs:.0} {unit} | {:.2} | {bound} |", ours / theirs);
}

fn ms(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64() * 1e3
}

/// What a person types: a connection of its own, and Compose over it.
fn ssh(line: &str) {
    let output = Command::new("ssh").args(["lab", line]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A repository whose module runs on the lab, and the same service by hand beside it.
struct Bench {
    repo: Repo,
    by_hand: PathBuf,
    n: u64,
}

impl Bench {
    fn new(extra: &str, edit: impl FnOnce(&Repo)) -> Self {
        let repo = Repo::new();
        let root = repo.path("root").display().to_string();
        repo.write(
            "platform.yaml",
            &format!(
                "schema: platform/1\nhosts:\n  box: {{transport: ssh, destination: lab, root: '{root}', mutations: enabled}}\n"
            ),
        );
        repo.write(
            "modules/app/module.yaml",
            "schema: module/2\nid: app\ntitle: App\nowner: ola\nhost: box\nruntime:\n  driver: compose\n  project: bench-ours\n  \
             compose_files: [compose/app.yaml]\nhealth: {settle_s: 0, deadline_s: 60}\n",
        );
        repo.commit("policy");
        repo.publish();
        edit(&repo);
        let by_hand = repo.path("by-hand");
        fs::create_dir_all(&by_hand).unwrap();
        let mut bench = Self { repo, by_hand, n: 0 };
        bench.next(extra);
        bench.apply(0);
        bench
    }

    fn compose(&self, extra: &str) -> String {
        format!("services:\n  app:\n    image: local/busybox:1\n    environment: {{N: '{}'}}\n{extra}", self.n)
    }

    /// One more version is merged, and lies in the folder by hand.
    fn next(&mut self, extra: &str) {
        self.n += 1;
        let n = self.n;
        self.repo.branch(&format!("pr{n}"), "main");
        let text = self.compose(extra);
        self.repo.write("compose/app.yaml", &text);
        fs::write(self.by_hand.join("compose.yaml"), &text).unwrap();
        self.repo.commit(&format!("change {n}"));
        self.repo.propose(n);
        self.repo.merge(n, &format!("pr{n}"));
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_platformctl"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.repo.path("home"))
            .envs([("GIT_AUTHOR_NAME", "Ola"), ("GIT_AUTHOR_EMAIL", "ola@example.org")])
            .current_dir(self.repo.work())
            .args(["apply", "app", "--json", "--pr", &self.n.to_string()])
            .stdin(Stdio::null());
        command
    }

    /// Applies the newest version; what it says, and the most memory it used in KiB.
    fn apply(&self, exit: i32) -> (serde_json::Value, u64) {
        let out = self.repo.path("out.json");
        let mut child = self.command().stdout(fs::File::create(&out).unwrap()).stderr(Stdio::null()).spawn().unwrap();
        let status = PathBuf::from(format!("/proc/{}/status", child.id()));
        let mut most_kib = 0;
        let ended = loop {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
            most_kib = most_kib.max(kib);
            if let Some(ended) = child.try_wait().unwrap() {
                break ended;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let said = fs::read_to_string(&out).unwrap();
        assert_eq!(ended.code(), Some(exit), "{said}");
        (serde_json::from_str(&said).unwrap(), most_kib)
    }

    fn up(&self) {
        ssh(&format!("cd {} && docker compose -p bench-hand up -d --wait", self.by_hand.display()));
    }
}

fn gone() {
    for project in ["bench-ours", "bench-hand"] {
        ssh(&format!(
            "ids=$(docker ps -aq --filter label=com.docker.compose.project={project}); [ -z \"$ids\" ] || docker rm -f $ids; \
             docker network rm {project}_default || :"
        ));
    }
}

/// The same changes by us and by hand, in turns.
fn applies(remote: &str, bound: &str) {
    let mut bench = Bench::new("", |_| {});
    if remote == "ssh" {
        let url = format!("ssh://lab{}", bench.repo.path("remote.git").display());
        bench.repo.git(&["remote", "set-url", "origin", &url]);
    }
    bench.up();
    let (mut noop, mut noop_hand, mut change, mut change_hand) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        noop.push(ms(|| drop(bench.apply(0))));
        noop_hand.push(ms(|| bench.up()));
        bench.next("");
        change.push(ms(|| drop(bench.apply(0))));
        change_hand.push(ms(|| bench.up()));
    }
    let what = |what: &str| format!("{what}, {remote} remote / `ssh host docker compose up -d --wait`, wall");
    let least = if remote == "file" { "≤ 1.0" } else { "–" };
    row(&what("no-op apply"), middle(noop), middle(noop_hand), "ms", least);
    row(&what("one service changed"), middle(change), middle(change_hand), "ms", bound);
    gone();
}

fn random(path: &Path, bytes: usize) {
    let status = Command::new("dd")
        .args(["if=/dev/urandom", &format!("of={}", path.display()), &format!("bs={bytes}"), "count=1", "status=none"])
        .status();
    assert!(status.unwrap().success());
}

/// A hundred files of a megabyte: what it takes to bring them, and how much memory.
fn ships() {
    let extra = "    volumes: ['./big:/big:ro']\n";
    let big = |repo: &Repo| {
        fs::create_dir_all(repo.work().join("compose/big")).unwrap();
        (0..100).for_each(|n| random(&repo.work().join(format!("compose/big/{n}")), 1 << 20));
    };
    let (mut ours, mut theirs, mut most_kib) = (vec![], vec![], 0);
    for _ in 0..3 {
        let mut bench = Bench::new("", |_| {});
        big(&bench.repo);
        bench.next(extra);
        let (said, kib) = bench.apply(0);
        most_kib = most_kib.max(kib);
        ours.push(said["durations_ms"]["ship"].as_f64().unwrap());
        let from = bench.repo.work().join("compose/big").display().to_string();
        let to = bench.repo.path("to").display().to_string();
        theirs.push(ms(|| {
            let line = format!("tar -C {from} -c . | ssh lab 'mkdir {to} && tar -C {to} -x && sync -f {to}'");
            assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
        }));
        gone();
    }
    row(
        "100 MB of mounted files shipped, checked and durable / `tar | ssh tar`, wall",
        middle(ours),
        middle(theirs),
        "ms",
        "≤ 1.25",
    );
    row("memory of that apply / 64 MB", most_kib as f64 / 1024.0, 64.0, "MB", "≤ 1");
}

fn main() {
    // `cargo test --benches` runs this too, without `--bench`: it is no test.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    assert!(std::env::var_os("PLATFORMCTL_LAB").is_some(), "run it in the lab: tests/lab cargo bench --bench hosts");
    println!("| what | ours | by hand | ratio | bound |\n| --- | --- | --- | --- | --- |");
    applies("file", "≤ 1.2");
    applies("ssh", "≤ 1.7");
    ships();
}
