//! The host scripts of driver `files`, run for real on this machine.

use std::{fs, path::Path};

use platformctl::{
    io::local::Local,
    model::{digest::Digest, ids::RunId},
    port::{Answer, Host as _, Input, Member, Reply, Script},
    runtime::{
        files::{self, FileState, Listing, Live},
        result::{self, Fate, Step},
    },
};

pub(crate) const RUN: &str = "20261122T101530Z-1a2b3c4d";
pub(crate) const GENESIS: &str = "1111111111111111111111111111111111111111";

/// A host that is this machine, with a root of its own.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    host: Local,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// The programs that `put` writes into a folder come before the machine's own.
    pub(crate) fn with(put: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        put(&bin);
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        Self { dir, host: Local::new(path, None) }
    }

    pub(crate) fn root(&self) -> String {
        self.dir.path().join("root").to_str().unwrap().to_owned()
    }

    pub(crate) fn run(&self, script: &Script, args: &[&str]) -> Reply {
        let mut all = vec![self.root()];
        all.extend(args.iter().map(|&a| a.to_owned()));
        self.host.run(script, &all, Input::Nothing).unwrap()
    }

    pub(crate) fn look(&self) -> Live {
        files::parse_look(&self.run(&files::LOOK, &["site"]).stdout).unwrap().1
    }

    pub(crate) fn ship(&self, release: &str, sent: &[(&str, &str)], said: &[(&str, &str)]) -> Reply {
        let (sums, modes) = files::manifest(&listing(said));
        let head = [("m/sums".to_owned(), sums), ("m/modes".to_owned(), modes)];
        let body = sent.iter().map(|(path, text)| (format!("t/{path}"), (*text).to_owned()));
        let mut members = head
            .into_iter()
            .chain(body)
            .chain([("m/end".to_owned(), String::new())])
            .map(|(path, text)| -> Answer<Member> { Ok(Member { path, mode: 0o644, bytes: text.into_bytes() }) });
        let args = [self.root(), "site".into(), release.into(), "nonce1".into()];
        self.host.run(&files::SHIP, &args, Input::Tar(&mut members)).unwrap()
    }

    pub(crate) fn switch(&self, run: &str, fence: &str, release: &str, expected: &str, commands: &[&str]) -> Fate {
        self.switch_in(GENESIS, run, fence, release, expected, commands)
    }

    /// The same for the record that begins with `genesis`.
    pub(crate) fn switch_in(
        &self,
        genesis: &str,
        run: &str,
        fence: &str,
        release: &str,
        expected: &str,
        commands: &[&str],
    ) -> Fate {
        let witness = format!("{{\"genesis\":\"{genesis}\",\"seq\":{fence},\"commit\":\"{genesis}\"}}");
        let mut args = vec!["site", "site", run, "n", fence, genesis, witness.as_str(), "-", release, expected];
        args.extend(commands);
        let reply = self.run(&files::RUN, &args);
        result::fate(&run.parse().unwrap(), "n", &reply.stdout)
    }
}

fn listing(files: &[(&str, &str)]) -> Listing {
    files
        .iter()
        .map(|(path, text)| {
            let state = FileState { mode: "644".into(), sha256: Digest::of(text.as_bytes()) };
            (path.parse().unwrap(), state)
        })
        .collect()
}

pub(crate) fn done() -> Fate {
    Fate::Ended { rc: 0, step: Step::Done }
}

pub(crate) fn failed(step: &str) -> Fate {
    Fate::Ended { rc: 1, step: serde_json::from_value(step.into()).unwrap() }
}

#[test]
fn release_is_delivered_switched_and_observed() {
    let world = World::new();
    let (one, two) = ("1".repeat(64), "2".repeat(64));
    assert_eq!(world.look(), Live::None);
    assert!(!Path::new(&world.root()).exists(), "looking writes nothing");
    let content = [("a/b.txt", "x"), ("index.html", "hello")];
    assert_eq!(world.ship(&one, &content, &content).stdout, b"shipped new\n");
    assert_eq!(world.look(), Live::None, "delivering does not touch what is live");
    assert_eq!(world.switch(RUN, "3", &one, "none", &["echo $PWD >\"$HOME_OUT\"; true"]), done());
    let expected = Live::Release { name: one.clone(), files: listing(&content), odd: 0 };
    assert_eq!(world.look(), expected);
    let live = Path::new(&world.root()).join("live/site");
    assert_eq!(fs::read_to_string(live.join("index.html")).unwrap(), "hello");
    assert_eq!(world.ship(&one, &content, &content).stdout, b"shipped reused\n");
    // Somebody edits the live release: seen, and never used again.
    fs::write(live.join("index.html"), "evil").unwrap();
    assert_ne!(world.look(), expected);
    assert_eq!(world.ship(&one, &content, &content).stdout, b"failed altered\n");
    // The link is only moved from what the plan saw.
    assert_eq!(world.ship(&two, &[("i", "2")], &[("i", "2")]).rc, 0);
    assert_eq!(world.switch("20261122T101530Z-00000002", "4", &two, "none", &[]), failed("expected"));
    assert_eq!(world.switch("20261122T101530Z-00000003", "4", &two, &one, &[]), done());
    let tmp: Vec<_> = fs::read_dir(Path::new(&world.root()).join("tmp")).unwrap().collect();
    assert!(tmp.is_empty(), "nothing is left in tmp");
}

#[test]
fn delivery_with_wrong_content_is_discarded() {
    let world = World::new();
    let release = "1".repeat(64);
    for (sent, said) in [
        (vec![("a", "x")], vec![("a", "y")]),
        (vec![("a", "x")], vec![("a", "x"), ("b", "x")]),
        (vec![("a", "x"), ("b", "x")], vec![("a", "x")]),
    ] {
        assert_eq!(world.ship(&release, &sent, &said).stdout, b"failed content\n");
    }
    let releases: Vec<_> = fs::read_dir(Path::new(&world.root()).join("releases/site")).unwrap().collect();
    assert!(releases.is_empty());
}

#[test]
fn run_is_not_repeated_or_run_after_a_newer_one() {
    let world = World::new();
    let release = "1".repeat(64);
    world.ship(&release, &[("a", "x")], &[("a", "x")]);
    let count = format!("echo once >>{}/count", world.dir.path().display());
    assert_eq!(world.switch(RUN, "7", &release, "none", &[&count]), done());
    assert_eq!(world.switch(RUN, "7", &release, "none", &[&count]), done(), "told again, not done again");
    assert_eq!(fs::read_to_string(world.dir.path().join("count")).unwrap(), "once\n");
    let older = "20261122T101530Z-00000002";
    assert_eq!(world.switch(older, "6", &release, &release, &[]), failed("fence"));
    let bad = "20261122T101530Z-00000003";
    assert_eq!(world.switch(bad, "8", &release, &release, &["exit 3"]), failed("activate"));
}

/// The number counts within one record: another record begins anew, and a witness never goes back within one.
#[test]
fn fence_and_witness_are_per_record() {
    let world = World::new();
    let release = "1".repeat(64);
    world.ship(&release, &[("a", "x")], &[("a", "x")]);
    let run = |n: u32| format!("20261122T101530Z-{n:08x}");
    let witness = || fs::read_to_string(world.dir.path().join("root/witness.json")).unwrap();
    assert_eq!(world.switch(&run(1), "7", &release, "none", &[]), done());
    assert!(witness().contains("\"seq\":7,"));
    let other = "2".repeat(40);
    assert_eq!(world.switch_in(&other, &run(2), "3", &release, &release, &[]), done());
    assert!(witness().contains(&other) && witness().contains("\"seq\":3,"));
    assert_eq!(world.switch_in(&other, &run(3), "3", &release, &release, &[]), failed("fence"));
    assert_eq!(world.switch(&run(4), "7", &release, &release, &[]), failed("fence"), "the first one goes on counting");
    assert_eq!(world.switch_in("", &run(5), "9", &release, &release, &[]), failed("orders"));
    // A run of another scope left a newer witness meanwhile.
    let newer = format!("{{\"genesis\":\"{GENESIS}\",\"seq\":90,\"commit\":\"{GENESIS}\"}}\n");
    fs::write(world.dir.path().join("root/witness.json"), &newer).unwrap();
    assert_eq!(world.switch(&run(6), "8", &release, &release, &[]), done());
    assert_eq!(witness(), newer, "it never goes back");
    assert_eq!(world.switch(&run(7), "91", &release, &release, &[]), done());
    assert!(witness().contains("\"seq\":91,"));
}

/// What stands in witness.json is one line of the answer, whatever it is, and never taken for none.
#[test]
fn unreadable_witness_is_reported() {
    let world = World::new();
    let machine = || platformctl::runtime::machine::parse(&world.run(&platformctl::runtime::machine::LOOK, &[]).stdout);
    assert_eq!((machine().unwrap().witness, machine().unwrap().witness_is_garbage), (None, false));
    fs::create_dir_all(world.root()).unwrap();
    let path = Path::new(&world.root()).join("witness.json");
    for text in ["", "garbage", "{}", "{\"seq\":1}\nwritable no\nfree_kb 0\n", "\u{1b}[2J\u{e4}"] {
        fs::write(&path, text).unwrap();
        let seen = machine().unwrap();
        assert!(seen.witness.is_none() && seen.witness_is_garbage && seen.writable && seen.free_bytes > 0, "{text:?}");
    }
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    assert!(machine().unwrap().witness_is_garbage);
}

#[test]
fn tombstone_prevents_a_run_from_starting() {
    let world = World::new();
    let release = "1".repeat(64);
    world.ship(&release, &[("a", "x")], &[("a", "x")]);
    let run: RunId = RUN.parse().unwrap();
    let fate = |script: &Script| result::fate(&run, "n", &world.run(script, &["site", RUN]).stdout);
    assert_eq!(fate(&result::RESULT), Fate::Never);
    assert_eq!(fate(&result::TOMBSTONE), Fate::Tombstone);
    assert_eq!(fate(&result::RESULT), Fate::Tombstone);
    assert_ne!(world.switch(RUN, "1", &release, "none", &[]), done());
    assert_eq!(world.look(), Live::None);
    // A disk that was full left an empty result: it is none, and the run can be ended.
    let run: RunId = "20261122T101531Z-1a2b3c4d".parse().unwrap();
    let fate = |script: &Script| result::fate(&run, "n", &world.run(script, &["site", &run.to_string()]).stdout);
    let folder = world.dir.path().join("root/runs").join(run.to_string());
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("result.json"), "").unwrap();
    assert_eq!(fate(&result::RESULT), Fate::Begun);
    assert_eq!(fate(&result::TOMBSTONE), Fate::Tombstone);
    assert_eq!(fate(&result::RESULT), Fate::Tombstone);
}
