//! The shell protocol of a run (`src/runtime/scripts/protocol.sh`): lock, tombstone, fence, witness, result.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use platformctl::{
    port::Script,
    runtime::{
        compose, files,
        result::{self, Fate},
    },
};

use crate::host::{GENESIS, RUN, World, done, failed};

const RELEASE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const PAGE: &[(&str, &str)] = &[("index.html", "hello")];

fn fate(world: &World, script: &Script, run: &str) -> Fate {
    result::fate(&run.parse().unwrap(), "n", &world.run(script, &["site", run]).stdout)
}

fn scripts() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/runtime/scripts");
    let read =
        |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap());
    fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect()
}

/// A second copy of a part of the protocol would sooner or later differ from the first.
#[test]
fn only_the_protocol_knows_lock_tombstone_fence_witness_and_result() {
    let words = ["flock", "tombstone", "fence", "result.json", "witness.json", "setsid"];
    // What a file may name beside: its own name, calls of the protocol's functions, and what it only prints or reads
    // for a person.
    let allowed: &[(&str, &str)] = &[
        ("machine.sh", "witness.json"),
        ("machine.sh", "flock"),
        ("machine.sh", "setsid"),
        ("doctor.sh", "flock"),
        ("run.sh", "setsid"),
    ];
    let mut found = Vec::new();
    for (name, text) in scripts().iter().filter(|(name, _)| name != "protocol.sh") {
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let line = line.replace("has_tombstone", "").replace("$dir/tombstone", "").replace("'tombstone\\n'", "");
            let line = line.replace("cat \"$dir/result.json\"", "").replace("stat -c %Y \"$dir/result.json\"", "");
            for word in words.iter().filter(|word| line.contains(**word)) {
                if !allowed.contains(&(name.as_str(), word)) {
                    found.push(format!("{name}: {line}"));
                }
            }
        }
    }
    assert_eq!(found, [] as [String; 0]);
    for script in [&files::RUN, &compose::RUN, &result::RESULT, &result::TOMBSTONE] {
        let protocol = scripts().into_iter().find(|(name, _)| name == "protocol.sh").unwrap().1;
        assert!(script.text.starts_with(&protocol), "{}", script.name);
    }
    for script in [&files::RUN, &compose::RUN] {
        assert_eq!(script.text.matches("\ncarry_out() {").count(), 2, "{}: for itself and for its step", script.name);
    }
}

/// The host's sh is dash on one host, busybox or bash on another.
#[test]
fn the_protocol_works_in_every_shell() {
    for shell in ["dash", "busybox", "bash"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {shell}")]).output().unwrap().stdout;
        let real = String::from_utf8(found).unwrap().trim_end().to_owned();
        assert!(!real.is_empty(), "{shell} is not installed: see tests/run");
        let world = World::with(|bin| symlink(&real, bin.join("sh")).unwrap());
        let run = |n: u32| format!("20261122T101530Z-{n:08x}");
        assert_eq!(world.ship(RELEASE, PAGE, PAGE).stdout, b"shipped new\n", "{shell}");
        assert_eq!(world.ship(RELEASE, PAGE, PAGE).stdout, b"shipped reused\n", "{shell}");
        assert_eq!(fate(&world, &result::RESULT, &run(1)), Fate::Never, "{shell}");
        let out = world.dir.path().join("out");
        let says = format!("readlink /proc/$$/exe >>{}", out.display());
        assert_eq!(world.switch(&run(1), "7", RELEASE, "none", &[&says]), done(), "{shell}");
        let ran = fs::read_to_string(&out).unwrap();
        assert!(ran.ends_with(&format!("/{shell}\n")), "{shell}: {ran}");
        assert_eq!(world.switch(&run(1), "7", RELEASE, "none", &[&says]), done(), "{shell}");
        assert_eq!(fs::read_to_string(&out).unwrap(), ran, "{shell}: not done again");
        assert_eq!(fate(&world, &result::RESULT, &run(1)), done(), "{shell}");
        assert_eq!(world.switch(&run(2), "7", RELEASE, RELEASE, &[]), failed("fence"), "{shell}");
        assert_eq!(fate(&world, &result::TOMBSTONE, &run(3)), Fate::Tombstone, "{shell}");
        assert_ne!(world.switch(&run(3), "9", RELEASE, RELEASE, &[]), done(), "{shell}");
        assert_eq!(world.switch(&run(4), "9", RELEASE, RELEASE, &["exit 3"]), failed("activate"), "{shell}");
    }
}

/// Attack: the lock's place on the host is taken by something that is not a file, so the run cannot take the lock.
/// Defence: the run ends with a result that says so, before it changes anything; it does not stay open.
#[test]
fn a_lock_that_cannot_be_opened_ends_the_run() {
    let world = World::new();
    world.ship(RELEASE, PAGE, PAGE);
    fs::create_dir(Path::new(&world.root()).join("locks/site")).unwrap();
    assert_eq!(world.switch(RUN, "7", RELEASE, "none", &[]), failed("lockfile"));
    assert_eq!(fate(&world, &result::RESULT, RUN), failed("lockfile"));
    assert_eq!(fate(&world, &result::TOMBSTONE, "20261122T101530Z-00000002"), Fate::NotAnAnswer);
}

/// Attack: a run reaches the host with orders from which the fence or the witness cannot be read.
/// Defence: the host refuses it before the first change; the fence and the witness stay as they were.
#[test]
fn orders_without_a_fence_or_a_witness_are_refused() {
    let world = World::new();
    world.ship(RELEASE, PAGE, PAGE);
    let run = |n: u32| format!("20261122T101530Z-{n:08x}");
    let tried = |n: u32, fence: &str, witness: &str| {
        let run = run(n);
        let args = ["site", "site", &run, "n", fence, GENESIS, witness, "-", RELEASE, "none"];
        result::fate(&run.parse().unwrap(), "n", &world.run(&files::RUN, &args).stdout)
    };
    let witness = format!("{{\"genesis\":\"{GENESIS}\",\"seq\":7,\"commit\":\"{GENESIS}\"}}");
    assert_eq!(tried(1, "x", &witness), failed("orders"));
    assert_eq!(tried(2, "", &witness), failed("orders"));
    assert_eq!(tried(3, "7", "{}"), failed("orders"));
    let counter = Path::new(&world.root()).join(format!("locks/site.{GENESIS}.fence"));
    assert!(!counter.exists() && !Path::new(&world.root()).join("witness.json").exists());
    assert_eq!(tried(4, "7", &witness), done());
    assert_eq!(fs::read_to_string(counter).unwrap(), "7\n");
}

/// Two processes that ask about a run at the same time do not take each other for the run.
#[test]
fn asking_for_a_run_is_not_a_run() {
    let world = World::new();
    world.ship(RELEASE, PAGE, PAGE);
    fs::create_dir_all(Path::new(&world.root()).join("runs").join(RUN)).unwrap();
    let lock = Path::new(&world.root()).join("locks/site");
    fs::write(&lock, "").unwrap();
    let asked_while = |mode: &str| {
        let mut held = Command::new("flock").arg(mode).arg(&lock).args(["sleep", "60"]).spawn().unwrap();
        let free = || Command::new("flock").args(["-n", "-x"]).arg(&lock).arg("true").status().unwrap().success();
        while free() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let fate = fate(&world, &result::RESULT, RUN);
        // flock's child holds the lock as well.
        let holders = format!("pkill -9 -P {0}; kill -9 {0}", held.id());
        Command::new("sh").args(["-c", &holders]).status().unwrap();
        held.wait().unwrap();
        fate
    };
    assert_eq!(asked_while("-s"), Fate::Begun, "somebody else asks");
    assert_eq!(asked_while("-x"), Fate::Running);
}

/// Attack: the host's disk fills while the step of a run is written, so that only its beginning arrives.
/// Defence: a step that is not whole is not carried out; nothing that runs is touched.
#[test]
fn half_a_step_is_not_carried_out() {
    let world = World::with(|bin| {
        // `cat` without arguments writes the step.
        let text = "#!/bin/sh\n[ \"$#\" -gt 0 ] && exec /bin/cat \"$@\"\nexec /usr/bin/head -c 3000\n";
        fs::write(bin.join("cat"), text).unwrap();
        fs::set_permissions(bin.join("cat"), fs::Permissions::from_mode(0o755)).unwrap();
    });
    world.ship(RELEASE, PAGE, PAGE);
    assert_eq!(world.switch(RUN, "7", RELEASE, "none", &[]), failed("orders"));
    assert!(!Path::new(&world.root()).join("live/site").exists());
}

/// Attack: a person abandons a run that waits for the host's lock, and the run gets the lock afterwards.
/// Defence: the tombstone is looked for under the lock, before the first change.
#[test]
fn a_run_that_was_abandoned_while_it_waited_changes_nothing() {
    let world = World::new();
    world.ship(RELEASE, PAGE, PAGE);
    let root = world.root();
    let (lock, dir) = (Path::new(&root).join("locks/site"), Path::new(&root).join("runs").join(RUN));
    fs::write(&lock, "").unwrap();
    // Whoever holds the lock writes the tombstone, as `run-tombstone` does, and lets the lock go.
    let text = format!("while ! [ -s {0}/step.sh ]; do sleep 0.1; done; sleep 0.3; : >{0}/tombstone", dir.display());
    let mut holder = Command::new("flock").arg(&lock).args(["sh", "-c", &text]).spawn().unwrap();
    while Command::new("flock").arg("-n").arg(&lock).arg("true").status().unwrap().success() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(world.switch(RUN, "7", RELEASE, "none", &[]), failed("tombstone"));
    assert!(holder.wait().unwrap().success());
    assert!(!Path::new(&root).join("live/site").exists());
}
