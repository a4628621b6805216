//! Speed as ratios in one run: this program against git's own commands doing the same. `cargo bench`;
//! docs/performance.md explains.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark is its own world"
)]

#[path = "../tests/it/support/repo.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod repo;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use platformctl::{
    io::clock::SystemClock,
    ledger::event::{Event, Kind},
    model::{
        approval::{Approval, Style},
        digest::Digest,
        ids::Oid,
    },
    port::{Ledger as _, Sign, Source as _},
    record::{Record, append::Append},
    tree::snapshot::Snapshot,
    verb::validate::validate,
};
use repo::Repo;

/// Wall time and CPU time (own and of ended children), in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    wall_ms: f64,
    cpu_ms: f64,
}

fn cpu_ms() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    // utime, stime, cutime, cstime in ticks of 10 ms (proc(5)).
    fields[11..15].iter().map(|ticks| ticks.parse::<f64>().unwrap() * 10.0).sum()
}

/// The cost of one of `n` rounds.
fn each(n: u32, mut round: impl FnMut(u32)) -> Cost {
    let (begun, cpu) = (Instant::now(), cpu_ms());
    for i in 0..n {
        round(i);
    }
    let wall_ms = begun.elapsed().as_secs_f64() * 1e3 / f64::from(n);
    Cost { wall_ms, cpu_ms: (cpu_ms() - cpu) / f64::from(n) }
}

fn row(what: &str, ours: f64, theirs: f64, unit: &str, bound: &str) {
    println!("| {what} | {ours:.2} {unit} | {theirs:.2} {unit} | {:.2} | {bound} |", ours / theirs);
}

/// Our side of the record, kept on this machine: the append alone, without a network.
fn record<'a>(git: &'a platformctl::io::git::Git, clock: &'a SystemClock) -> Record<'a> {
    Record { source: git, ledger: git, remote: None, clock, pinned: None, sign: Sign::IfConfigured }
}

fn noop(record: &Record<'_>, n: u32) -> Event {
    let digest = |text: String| Digest::of(text.as_bytes());
    let oid = Oid::from_bytes([7; 20]);
    let mut event = record.draft(Kind::ApplyNoop).unwrap();
    event.run = Some(format!("20261122T101530Z-{n:08x}").parse().unwrap());
    event.module = Some(format!("m{}", n % 50).parse().unwrap());
    event.host = Some("box".parse().unwrap());
    event.closure = Some(digest(format!("closure {n}")));
    event.effective = Some(digest(format!("effective {n}")));
    event.plan = Some(digest(format!("plan {n}")));
    event.policy = Some(policy());
    event.checkout = Some(platformctl::model::gate::Binding::Bound);
    event.approved = Some(Approval {
        pr: u64::from(n) + 1,
        head: oid,
        merge: oid,
        tree: oid,
        style: Style::Merge,
        base: oid,
        covers: vec![u64::from(n) + 1],
        weak: false,
        adopted: Vec::new(),
        baseline: None,
        reviews: Vec::new(),
        forge: None,
        server_signed: false,
    });
    event
}

/// The empty blob, which every repository knows.
fn policy() -> Oid {
    "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391".parse().unwrap()
}

/// The first record, and a policy.
fn begin(repo: &Repo, record: &Record<'_>) {
    append(record, &record.draft(Kind::Genesis).unwrap());
    repo.write("empty", "");
    repo.git(&["hash-object", "-w", "empty"]);
    let mut event = record.draft(Kind::Policy).unwrap();
    (event.policy, event.policy_commit) = (Some(policy()), Some(Oid::from_bytes([7; 20])));
    append(record, &event);
}

fn append(record: &Record<'_>, event: &Event) {
    assert!(matches!(record.append(event, None).unwrap(), Append::Done(_)));
}

fn plumbing(repo: &Repo, args: &[&str], stdin: &[u8]) -> String {
    let mut child = Command::new("git")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", repo.path("home"))
        .env("GIT_INDEX_FILE", repo.path("bench-index"))
        .envs([("GIT_AUTHOR_NAME", "Ola"), ("GIT_AUTHOR_EMAIL", "ola@example.org")])
        .envs([("GIT_COMMITTER_NAME", "Ola"), ("GIT_COMMITTER_EMAIL", "ola@example.org")])
        .current_dir(repo.work())
        .args(["-c", "core.fsync=all", "-c", "core.fsyncMethod=fsync"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{args:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The commit that an append writes, written by git's plumbing: the same files, tree, message and ref, as durable.
fn by_plumbing(repo: &Repo, source: &platformctl::io::git::Git, tip: Oid) -> Cost {
    let commit = source.commit(tip).unwrap();
    let parent = commit.parents[0];
    let event = repo.git(&["show", &format!("{tip}:event.json")]) + "\n";
    let path = repo.git(&["diff", "--name-only", &parent.to_string(), &tip.to_string(), "--", "modules"]);
    let status = repo.git(&["show", &format!("{tip}:{path}")]) + "\n";
    // Each round writes other bytes: git writes nothing for an object that it has.
    each(30, |n| {
        let event = plumbing(repo, &["hash-object", "-w", "--stdin"], format!("{event}{n}").as_bytes());
        let status = plumbing(repo, &["hash-object", "-w", "--stdin"], format!("{status}{n}").as_bytes());
        plumbing(repo, &["read-tree", &format!("{parent}^{{tree}}")], b"");
        let add = [format!("100644,{event},event.json"), format!("100644,{status},{path}")];
        plumbing(repo, &["update-index", "--add", "--cacheinfo", &add[0], "--cacheinfo", &add[1]], b"");
        let tree = plumbing(repo, &["write-tree"], b"");
        let written = plumbing(repo, &["commit-tree", &tree, "-p", &parent.to_string()], &commit.message);
        plumbing(repo, &["update-ref", "refs/bench/state", &written], b"");
    })
}

/// A record of `n` events, packed as `git maintenance` leaves it. It grows in memory and is copied to the disk: a disk
/// on which thousands of files were just deleted is slow to make new ones.
fn grown(n: u32) -> Repo {
    let memory = Path::new("/dev/shm");
    let scratch = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let repo = Repo::begin(scratch.unwrap());
    let clock = SystemClock::new(&repo.env());
    let git = repo.open();
    let record = record(&git, &clock);
    begin(&repo, &record);
    for i in 0..n {
        append(&record, &noop(&record, i));
    }
    repo.git(&["repack", "-adq"]);
    let disk = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-a").arg(repo.path(".")).arg(disk.path()).status().unwrap();
    assert!(copied.success());
    Repo::of(disk)
}

fn appends() {
    let repos = [grown(1_000), grown(10_000)];
    let clock = SystemClock::new(&repos[0].env());
    let gits = repos.each_ref().map(Repo::open);
    for git in &gits {
        // Until every folder of objects is there.
        let record = record(git, &clock);
        for i in 0..200 {
            append(&record, &noop(&record, 15_000 + i));
        }
    }
    let mut costs = [Cost::default(); 2];
    const ROUNDS: u32 = 300;
    // Taken in turns, so that a slow moment of the disk meets both.
    for i in 0..ROUNDS {
        for (at, cost) in costs.iter_mut().enumerate() {
            let record = record(&gits[at], &clock);
            let event = noop(&record, 20_000 + i);
            cost.wall_ms += each(1, |_| append(&record, &event)).wall_ms / f64::from(ROUNDS);
        }
    }
    let record = record(&gits[0], &clock);
    let events: Vec<Event> = (0..ROUNDS).map(|i| noop(&record, 30_000 + i)).collect();
    let mut next = events.iter();
    let alone = each(ROUNDS, |_| append(&record, next.next().unwrap()));
    let theirs = by_plumbing(&repos[0], &gits[0], gits[0].tip().unwrap().unwrap());
    row("append one durable record / git plumbing, wall", alone.wall_ms, theirs.wall_ms, "ms", "≤ 0.25");
    row("append one durable record / git plumbing, CPU", alone.cpu_ms, theirs.cpu_ms, "ms", "≤ 0.10");
    row("append at 10,000 records / at 1,000, wall", costs[1].wall_ms, costs[0].wall_ms, "ms", "≤ 1.2");
}

fn statuses() {
    let repo = Repo::new();
    let clock = SystemClock::new(&repo.env());
    let git = repo.open();
    let record = record(&git, &clock);
    begin(&repo, &record);
    for n in 0..500 {
        append(&record, &noop(&record, n));
    }
    repo.git(&["repack", "-adq"]);
    let program = env!("CARGO_BIN_EXE_platformctl");
    let run = |program: &str, args: &[&str]| {
        let status = Command::new(program)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", repo.path("home"))
            .current_dir(repo.work())
            .args(args)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    };
    // Taken in turns, so that a slow moment meets both.
    let (mut ours, mut theirs) = (0.0, 0.0);
    for _ in 0..200 {
        ours += each(1, |_| run(program, &["status", "m7", "--json"])).wall_ms;
        theirs += each(1, |_| run("git", &["cat-file", "blob", "refs/platform/state:modules/m7.status.json"])).wall_ms;
    }
    row("status MODULE --json, cold / git cat-file blob, wall", ours / 200.0, theirs / 200.0, "ms", "≤ 2");
}

fn modules(repo: &Repo, from: u32, to: u32) {
    for n in from..to {
        let id = format!("m{n:04}");
        if n % 2 == 0 {
            let text = format!(
                "schema: module/2\nid: {id}\ntitle: T\nowner: ola\nhost: box\nruntime: {{driver: files, tree: modules/{id}/public}}\n"
            );
            repo.write(&format!("modules/{id}/module.yaml"), &text);
            repo.write(&format!("modules/{id}/public/index.html"), &format!("page {n}\n"));
        } else {
            let text = format!(
                "schema: module/2\nid: {id}\ntitle: T\nowner: ola\nhost: box\nruntime: {{driver: compose, project: p{n}, compose_files: [compose/{id}.yaml]}}\n"
            );
            repo.write(&format!("modules/{id}/module.yaml"), &text);
            repo.write(
                &format!("compose/{id}.yaml"),
                &format!("services:\n  s{n}:\n    image: alpine:3.20\n    environment: {{A: \"{n}\"}}\n    volumes: [\"./conf{n}:/etc/conf:ro\"]\n"),
            );
            repo.write(&format!("compose/conf{n}"), "x\n");
        }
    }
    repo.commit("modules");
}

fn validates() {
    let repo = Repo::new();
    let root = "/opt/platform";
    repo.write("platform.yaml", &format!("schema: platform/1\nhosts:\n  box: {{transport: local, root: {root}}}\n"));
    modules(&repo, 0, 500);
    let half = repo.id("HEAD");
    modules(&repo, 500, 1_000);
    let whole = repo.id("HEAD");
    modules(&repo, 1_000, 2_000);
    let double = repo.id("HEAD");
    repo.git(&["repack", "-adq"]);
    let cost = |at: Oid| {
        each(20, |_| {
            let git = repo.open();
            let snapshot = Snapshot::whole(&git, git.commit(at).unwrap().tree).unwrap();
            let report = validate(&snapshot, &[]).unwrap();
            assert!(report.problems.is_empty(), "{:?}", report.problems.first());
        })
    };
    let (half, whole, double) = (cost(half), cost(whole), cost(double));
    row("validate of 1,000 modules / 1 s, CPU", whole.cpu_ms, 1_000.0, "ms", "≤ 1");
    row("validate of 1,000 modules / of 500, CPU", whole.cpu_ms, half.cpu_ms, "ms", "≈ 2 (linear)");
    row("validate of 2,000 modules / of 1,000, CPU", double.cpu_ms, whole.cpu_ms, "ms", "≈ 2 (linear)");
}

fn main() {
    // `cargo test --benches` runs this too, without `--bench`: it is no test.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    assert!(Path::new("/proc/self/stat").exists(), "CPU time is read from /proc");
    println!("| what | ours | other | ratio | bound |\n| --- | --- | --- | --- | --- |");
    let only = std::env::args().nth(1).unwrap_or_default();
    let all: [(&str, fn()); 3] = [("append", appends), ("status", statuses), ("validate", validates)];
    for (name, bench) in all {
        if only.starts_with('-') || only == name {
            bench();
        }
    }
}
