//! What a module is held against: whatever changes what runs changes its effective digest, and what concerns others
//! alone does not.

use std::{
    cell::Cell,
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use platformctl::{
    model::{ids::Oid, refusal::Code},
    port::Source as _,
    tree::{footprint::Footprints, manifests, snapshot::Snapshot},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{
    repo::Repo,
    site::Site,
    stack::{Stack, docker, lab},
};

const POLICY: &str = "schema: platform/1\nhosts:\n  box: {transport: local, root: /opt/platform, mutations: enabled}\n";

fn manifest(services: &str) -> String {
    format!(
        "schema: module/2\nid: app\ntitle: T\nowner: ola\nhost: box\nruntime:\n  driver: compose\n  project: p\n  compose_files: [compose/one.yaml, compose/two.yaml]\n  \
         services: {services}\n  env_files: [compose/vars]\n  vars: {{V: '1'}}\nsecrets: [{{file: s.env}}]\n"
    )
}

/// The effective digest of the module `app` in the work tree, and whether the module is valid.
fn counted(repo: &Repo) -> (String, bool) {
    let git = repo.open();
    let tree = git.snapshot().unwrap();
    let id = "app".parse().unwrap();
    let both = [Snapshot::lazy(&git, tree), Snapshot::whole(&git, tree).unwrap()].map(|snapshot| {
        let counted = manifests::counted(&snapshot, &id).unwrap().map(|counted| counted.effective.to_string());
        (counted.unwrap_or_default(), manifests::module(&snapshot, &id).unwrap().is_some_and(|found| found.is_ok()))
    });
    assert_eq!(both[0], both[1], "lazy and whole see the same");
    both[0].clone()
}

/// A module `app` with the service `a`, which shares two files with the service `b` of somebody else.
fn shared() -> Repo {
    let repo = Repo::new();
    repo.write("platform.yaml", POLICY);
    repo.write("modules/app/module.yaml", &manifest("[a]"));
    repo.write(
        "compose/one.yaml",
        "x-base: &base {restart: always}\nx-other: {restart: never}\nservices:\n  a:\n    <<: *base\n    image: i:1\n    env_file: [a.env, {path: maybe.env, required: false}]\n    \
         volumes: ['./conf:/conf:ro', 'v:/v', {type: volume, source: w, target: /w}]\n    configs: [c, {source: d, target: /d}]\n    secrets: [s]\n    networks: {n: {}, m: {}}\n    \
         depends_on: {b: {condition: service_started, required: false}}\n    extends: {service: base}\n    label_file: [labels]\n  base: {image: i:1, environment: {B: '1'}}\n  \
         b: {image: b:1, volumes: ['./other:/o:ro'], configs: [o]}\n  e: {image: e:1}\n",
    );
    repo.write(
        "compose/two.yaml",
        "services:\n  a: {environment: {A: \"${W}\", N: 0440}, ports: ['8080:80']}\n  b: {environment: {X: '1'}}\nvolumes: {v: {}, w: {name: w1}, u: {name: u1}}\n\
         configs: {c: {file: ./c.json}, d: {content: d1}, o: {file: ./o.json}}\nsecrets: {s: {file: ./s.txt}}\nnetworks: {n: {internal: true}, m: {}, k: {internal: true}, default: {attachable: true}}\n",
    );
    for (path, text) in [
        ("vars", "W=1\n"),
        ("a.env", "E=1\n"),
        ("labels", "l=1\n"),
        ("conf/x", "x\n"),
        ("other/x", "x\n"),
        ("c.json", "{}\n"),
        ("o.json", "{}\n"),
        ("s.txt", "s\n"),
    ] {
        repo.write(&format!("compose/{path}"), text);
    }
    repo
}

/// Replaces a text of a file, or adds one at its end; what is returned undoes it.
fn replace(repo: &Repo, path: &str, from: &str, to: &str) -> impl FnOnce() + use<> {
    let file = repo.work().join(path);
    let old = fs::read_to_string(&file).ok();
    let text = old.clone().unwrap_or_default();
    assert!(from.is_empty() || text.contains(from), "{path} has {from}");
    repo.write(path, &if from.is_empty() { format!("{text}{to}") } else { text.replacen(from, to, 1) });
    move || match old {
        Some(old) => fs::write(file, old).unwrap(),
        None => fs::remove_file(file).unwrap(),
    }
}

/// Attack: an unreviewed commit changes something that the module uses indirectly: a definition in another listed file, a
/// network in a second file, a file of a config, or the spelling of a number.
/// Defence: the effective digest covers all listed files except entries that are known to belong to other modules only.
#[test]
fn effective_digest_covers_everything_that_runs() {
    let (one, two) = ("compose/one.yaml", "compose/two.yaml");
    let repo = shared();
    let before = counted(&repo);
    assert!(before.1, "the module is valid");
    for (path, from, to, differs) in [
        (two, "w1", "w2", true),
        (two, "d1", "d2", true),
        (two, "./c.json", "./o.json", true),
        (two, "n: {internal: true}", "n: {internal: false}", true),
        (two, "attachable: true", "attachable: false", true),
        (two, "0440", "440", true),
        (two, "0440", "'0440'", true),
        (two, "A: \"${W}\"", "A: \"${V}\"", true),
        (two, "['8080:80']", "!override ['8080:80']", true),
        (two, "services:\n", "name: q\nservices:\n", true),
        (two, "  b: {environment", "  base: {labels: {x: y}}\n  b: {environment", true),
        (one, "x-base: &base {restart: always}", "x-base: &base {restart: no}", true),
        (one, "B: '1'", "B: '2'", true),
        (one, "b: {image: b:1,", "b: {image: b:1, profiles: [p],", true),
        ("compose/vars", "W=1", "W=2", true),
        ("compose/a.env", "E=1", "E=2", true),
        ("compose/maybe.env", "", "F=1\n", true),
        ("compose/labels", "l=1", "l=2", true),
        ("compose/conf/x", "x", "y", true),
        ("compose/conf/new", "", "y", true),
        ("compose/c.json", "{}", "[]", true),
        ("compose/s.txt", "s", "t", true),
        ("modules/app/module.yaml", "V: '1'", "V: '2'", true),
        ("modules/app/module.yaml", "one.yaml, compose/two.yaml", "two.yaml, compose/one.yaml", true),
        ("modules/app/module.yaml", "project: p", "project: q", true),
        // What concerns others alone.
        (one, "x-other: {restart: never}", "x-other: {restart: always}", false),
        (one, "b:1", "b:2", false),
        (one, "e: {image: e:1}", "e: {image: e:2}", false),
        (two, "X: '1'", "X: '2'", false),
        (two, "u1", "u2", false),
        (two, "k: {internal: true}", "k: {internal: false}", false),
        ("compose/other/x", "x", "y", false),
        ("compose/o.json", "{}", "[]", false),
        ("modules/app/module.yaml", "title: T", "title: Other", false),
        (one, "  e: {image", "  # said\n  e: {image", false),
    ] {
        let back = replace(&repo, path, from, to);
        let after = counted(&repo);
        back();
        assert!(after.1, "still valid: {path} {from} {to}");
        assert_eq!(before.0 != after.0, differs, "{path}: {from} becomes {to}");
    }
    // A mode, of what is mounted and of what another mounts.
    let executable = |path: &str| {
        fs::set_permissions(repo.work().join(path), fs::Permissions::from_mode(0o755)).unwrap();
        counted(&repo)
    };
    assert_eq!(executable("compose/other/x"), before);
    assert_ne!(executable("compose/conf/x"), before);
}

/// Attack: a service names a config, network, volume or service through a variable, and an unreviewed commit changes its target.
/// Defence: a reference through a variable makes every listed file, and every file that they name, part of the effective digest.
#[test]
fn reference_through_a_variable_counts_all_files() {
    let repo = shared();
    for (from, to) in [
        ("configs: [c, {source: d, target: /d}]", "configs: ['${C:-c}']"),
        ("networks: {n: {}, m: {}}", "networks: ['${N:-n}']"),
        ("{type: volume, source: w, target: /w}", "{type: volume, source: '${W:-w}', target: /w}"),
        ("{type: volume, source: w, target: /w}", "{type: '${T:-volume}', source: w, target: /w}"),
        ("'v:/v'", "'${V:-v:/v}'"),
        ("extends: {service: base}", "extends: {service: '${S:-base}'}"),
        ("secrets: [s]", "secrets: [{source: '${S:-s}', target: /s}]"),
    ] {
        let back = replace(&repo, "compose/one.yaml", from, to);
        let before = counted(&repo);
        // `'${V:-v:/v}'` is refused as a bind that nobody reviews; it counts all the same.
        assert!(before.1 || from == "'v:/v'", "{to}");
        for (path, old, new) in [
            ("compose/two.yaml", "u1", "u2"),
            ("compose/one.yaml", "b:1", "b:2"),
            ("compose/o.json", "{}", "[]"),
            ("compose/other/x", "x", "y"),
        ] {
            let back = replace(&repo, path, old, new);
            assert_ne!(counted(&repo).0, before.0, "{to}: {path}");
            back();
        }
        back();
    }
}

/// Attack: an unreviewed commit changes an included or extended file, or the `.env` that Compose reads beside an included file.
/// Defence: included and extended files, every file that they name, and that `.env` are part of the effective digest as a whole.
#[test]
fn included_and_extended_files_count_whole() {
    let repo = shared();
    drop(replace(&repo, "compose/two.yaml", "services:\n", "include: [{path: [sub/i.yaml, j.yaml]}]\nservices:\n"));
    drop(replace(&repo, "compose/one.yaml", "extends: {service: base}", "extends: {file: base.yaml, service: base}"));
    for (path, text) in [
        ("base.yaml", "services:\n  base: {extends: {file: sub/deep.yaml, service: deep}}\n"),
        ("sub/deep.yaml", "services: {deep: {image: 'i:1', volumes: ['./deep:/deep:ro']}}\n"),
        ("sub/deep/x", "x\n"),
        ("sub/i.yaml", "services: {i: {image: 'i:${DOT:-1}', env_file: [i.env]}}\n"),
        // Relative paths of the second file of an include are taken from the folder of the first.
        ("j.yaml", "services: {i: {volumes: ['./j:/j:ro']}}\n"),
        ("sub/j/x", "x\n"),
        ("sub/i.env", "I=1\n"),
        ("sub/.env", "DOT=2\n"),
    ] {
        repo.write(&format!("compose/{path}"), text);
    }
    assert!(counted(&repo).1);
    for (path, text) in [
        ("base.yaml", "services:\n  base: {extends: {file: sub/deep.yaml, service: deep}, labels: {a: b}}\n"),
        ("sub/deep.yaml", "services: {deep: {image: 'i:2', volumes: ['./deep:/deep:ro']}}\n"),
        ("sub/deep/x", "y\n"),
        ("sub/i.yaml", "services: {i: {image: 'k:${DOT:-1}', env_file: [i.env]}}\n"),
        ("j.yaml", "services: {i: {volumes: ['./j:/k:ro']}}\n"),
        ("sub/j/x", "y\n"),
        ("sub/i.env", "I=2\n"),
        ("sub/.env", "DOT=3\n"),
    ] {
        let before = counted(&repo);
        repo.write(&format!("compose/{path}"), text);
        let after = counted(&repo);
        assert!(after.1 && before.0 != after.0, "{path}");
    }
}

fn at(repo: &Repo) -> impl Fn(Oid) -> platformctl::tree::footprint::Footprint {
    let git = repo.open();
    move |commit| {
        let module = "app".parse().unwrap();
        Footprints::new(&git, &module, None).at(commit).unwrap()
    }
}

/// Attack: a typo makes the module invalid, and in the meantime an unreviewed commit changes what it runs.
/// Defence: the digest of an invalid module covers the raw content of every file that it names, or the whole tree if these are unknown.
#[test]
fn invalid_manifest_hides_no_change() {
    let valid = |repo: &Repo| repo.commit("valid");
    for (path, from, to, hidden) in [
        ("modules/app/module.yaml", "title:", "tilte:", "compose/one.yaml"),
        ("modules/app/module.yaml", "title:", "tilte:", "compose/conf/x"),
        ("compose/two.yaml", "services:", "services", "compose/conf/x"),
        ("compose/two.yaml", "services:", "services", "compose/s.txt"),
        ("compose/one.yaml", "image: i:1", "imgae: i:1", "compose/c.json"),
        ("compose/one.yaml", "image: i:1", "imgae: i:1", "compose/two.yaml"),
        ("compose/one.yaml", "./conf:/conf:ro", "./conf:/conf", "compose/conf/x"),
        ("compose/one.yaml", "[a.env,", "[gone.env, a.env,", "compose/a.env"),
    ] {
        let repo = shared();
        let good = valid(&repo);
        drop(replace(&repo, path, from, to));
        assert!(!counted(&repo).1, "{to}");
        let typo = repo.commit("typo");
        drop(replace(&repo, hidden, "", "\n# changed\n"));
        let hides = repo.commit("hidden");
        let at = at(&repo);
        assert_ne!(at(good), at(typo), "{to}");
        assert_ne!(at(typo), at(hides), "{to} hides {hidden}");
    }
    // What is known to be none of its files is no change of an invalid module, where that can be known.
    let repo = shared();
    drop(replace(&repo, "compose/one.yaml", "image: i:1", "imgae: i:1"));
    let typo = repo.commit("typo");
    repo.write("README", "more\n");
    let elsewhere = repo.commit("elsewhere");
    assert_eq!(at(&repo)(typo), at(&repo)(elsewhere));
    drop(replace(&repo, "modules/app/module.yaml", "title:", "tilte:"));
    let hidden = repo.commit("typo in the manifest");
    repo.write("README", "again\n");
    let elsewhere = repo.commit("elsewhere");
    let at = at(&repo);
    assert_ne!(at(hidden).effective, at(elsewhere).effective, "it could name anything");
    assert_eq!(at(hidden).near, at(elsewhere).near, "and is none of the modules that this changed");
}

/// Attack: somebody pushes an `acknowledge` entry without a review, so that the next reviewed change may drop data.
/// Defence: `acknowledge` entries are part of the effective digest, although they do not change what runs.
#[test]
fn acknowledgement_must_be_reviewed() {
    let repo = shared();
    let good = repo.commit("good");
    drop(replace(&repo, "modules/app/module.yaml", "", "acknowledge: [{data: p_v, action: drop, reason: x}]\n"));
    let taken = repo.commit("taken");
    let at = at(&repo);
    assert_eq!(at(good).effective, at(taken).effective);
    assert_ne!(at(good), at(taken));

    let site = Site::new();
    assert!(site.run(0, "apply --pr 1").starts_with("exit 0\n"));
    let repo = &site.repo;
    let path = "modules/site/module.yaml";
    drop(replace(repo, path, "", "acknowledge: [{data: site, action: leave, reason: x}]\n"));
    repo.commit("straight to the base");
    repo.publish();
    repo.pull(2, "modules/site/public/index.html", "two\n");
    repo.merge(2, "pr2");
    let said = site.run(1, "apply --pr 2");
    assert!(said.starts_with("exit 6\n") && said.contains("unreviewed_change"), "{said}");
}

/// Attack: one version of a module's file is too large to be read by accident, and a later commit repairs it.
/// Defence: the oversized version counts as invalid; the history walk continues, and the repaired module can be applied.
#[test]
fn oversized_file_in_history_counts_as_an_invalid_version() {
    let large = format!("# {}\n", "x".repeat(2 << 20));
    for path in ["modules/app/module.yaml", "compose/one.yaml", "compose/vars"] {
        let repo = shared();
        let good = repo.commit("good");
        drop(replace(&repo, path, "", &large));
        let bad = repo.commit("too large");
        drop(replace(&repo, path, "# x", "# y"));
        let other = repo.commit("too large otherwise");
        let at = at(&repo);
        assert!(at(good) != at(bad) && at(bad) != at(other), "{path}");
    }
    let site = Site::new();
    assert!(site.run(0, "apply --pr 1").starts_with("exit 0\n"));
    let manifest = site.repo.work().join("modules/site/module.yaml");
    let good = fs::read_to_string(&manifest).unwrap();
    for (n, text) in [(2, format!("{good}{large}")), (3, good.replace("title: ", "title: Repaired "))] {
        site.repo.pull(n, "modules/site/module.yaml", &text);
        site.repo.merge(n, &format!("pr{n}"));
    }
    let said = site.run(1, "apply --pr 3");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let said = site.run(2, "validate");
    assert!(said.starts_with("exit 0\n"), "{said}");
}

/// One large file is the fault of its module, and the others are validated all the same.
#[test]
fn oversized_file_fails_only_its_own_module() {
    let repo = shared();
    drop(replace(&repo, "compose/one.yaml", "", &format!("# {}\n", "x".repeat(2 << 20))));
    repo.write("modules/wrong/module.yaml", "schema: module/2\n");
    let git = repo.open();
    let snapshot = Snapshot::whole(&git, git.snapshot().unwrap()).unwrap();
    let report = platformctl::verb::validate::validate(&snapshot, &[]).unwrap();
    let files: BTreeSet<&str> = report.problems.iter().map(|problem| problem.file.as_str()).collect();
    assert_eq!(files.into_iter().collect::<Vec<_>>(), ["compose/one.yaml", "modules/wrong/module.yaml"]);
}

/// Writes a tree as it is given, whatever git thinks of it.
fn tree(repo: &Repo, entries: &[(&str, &[u8], Oid)]) -> Oid {
    let mut raw = Vec::new();
    for (mode, name, id) in entries {
        raw.extend([mode.as_bytes(), b" ", name, b"\0"].concat());
        let hex = id.to_string();
        raw.extend((0..20).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()));
    }
    let mut child = Command::new("git")
        .args(["hash-object", "-t", "tree", "-w", "--literally", "--stdin"])
        .current_dir(repo.work())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&raw).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().parse().unwrap()
}

/// Attack: somebody pushes a tree with duplicate entries, unsorted entries, or an entry that a file system equates with `.git`.
/// Defence: every tree is checked by the rules of `git fsck --strict` when it is read, and refused if it breaks them.
#[test]
fn tree_that_fails_git_fsck_is_refused() {
    let repo = shared();
    repo.commit("all");
    let blob = repo.id("HEAD:platform.yaml");
    let other = repo.id("HEAD:compose/vars");
    let folder = repo.id("HEAD:compose");
    let null: Oid = "0".repeat(40).parse().unwrap();
    let mut trees: Vec<Oid> = [
        vec![("100644", &b"a"[..], blob), ("100644", b"a", other)],
        vec![("100644", b"a", blob), ("40000", b"a", folder)],
        vec![("100644", b"a", blob), ("100644", b"a.b", blob), ("40000", b"a", folder)],
        vec![("100644", b"b", blob), ("100644", b"a", blob)],
        vec![("40000", b"a", folder), ("100644", b"a.b", blob)],
        vec![("100664", b"a", blob)],
        vec![("040000", b"a", folder)],
        vec![("100600", b"a", blob)],
        vec![("100644", b"", blob)],
        vec![("100644", b"a/b", blob)],
        vec![("40000", b".", folder)],
        vec![("40000", b"..", folder)],
        vec![("100644", b"a", null)],
        vec![("120000", b".gitmodules", blob)],
        vec![("120000", b".GitModules", blob)],
        vec![("120000", b"GITMOD~2", blob)],
        vec![("120000", b"gi7eba~9", blob)],
        vec![("120000", b"x\\.gitmodules", blob)],
        vec![("100644", b".gitmodules", blob), ("120000", b"a", blob)],
        vec![("100644", b"a", blob), ("40000", b"b", folder), ("160000", b"c", blob)],
    ]
    .iter()
    .map(|entries| tree(&repo, entries))
    .collect();
    // Names like .git, as a person or a machine would try them.
    let names = [
        ".git",
        ".GIT",
        ".Git",
        "git~1",
        "GIT~1",
        "git~2",
        "git~11",
        ".git ",
        ".git.",
        ".git. .",
        ".git:",
        ".git::$INDEX_ALLOCATION",
        ".git:x",
        ".gitx",
        ".git x",
        "git",
        ".gi\u{200c}t",
        "\u{feff}.git",
        ".g\u{206f}it",
        ".g\u{2069}it",
        ".git\u{200f}",
        "x\\.git",
        "x\\git~1",
        ".git\\x",
        "x\\y\\.git ",
        "\\.git",
        ".git\\",
        ".\u{200d}.",
        "ｇit~1",
        ".ɢit",
        "x.git",
        "git~1.x",
        ".gitignore",
        ".gi t",
    ];
    trees.extend(names.map(|name| tree(&repo, &[("40000", name.as_bytes(), folder)])));
    let output =
        Command::new("git").args(["fsck", "--strict", "--no-dangling"]).current_dir(repo.work()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let git = repo.open();
    let mut refused = 0;
    for (at, tree) in trees.iter().enumerate() {
        let theirs = said.contains(&format!("error in tree {tree}"));
        let ours = git.list(*tree, None);
        // The last ones name a blob as a submodule's commit, which is nobody's fault.
        assert_eq!(
            theirs,
            ours.as_ref().is_err_and(|error| error.code == Code::ContentRefused),
            "{at}: {ours:?}\n{said}"
        );
        refused += usize::from(theirs);
    }
    assert!(refused > 30, "{refused} of {}", trees.len());
    // Such a tree in the past is an invalid version, and stops nothing.
    let root = tree(&repo, &[("100644", b"platform.yaml", blob), ("100644", b"platform.yaml", other)]);
    let bad: Oid = repo.git(&["commit-tree", "-p", "HEAD", "-m", "bad", &root.to_string()]).parse().unwrap();
    let at = at(&repo);
    assert_ne!(at(bad), at(repo.id("HEAD")));
}

/// A small source of choices: the same for a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
    fn of<'t>(&mut self, all: &[&'t str]) -> &'t str {
        all[self.roll(all.len())]
    }
}

/// What a service may say, one line each.
const SAID: &[&str] = &[
    "environment: {A: 1, B: \"${V}\", C: 0440}",
    "environment: [\"A=${W:-2}\", B]",
    "env_file: [a.env]",
    "env_file: [{path: b.env, required: false}, {path: a.env}]",
    "volumes: ['./f:/f:ro', 'v:/v']",
    "volumes: [{type: volume, source: w, target: /w}, {type: bind, source: ./g/x, target: /g, read_only: true}]",
    "volumes: [{type: volume, source: \"${D}\", target: /w}]",
    "configs: [c, {source: d, target: /d, mode: 0440}]",
    "configs: [\"${C}\"]",
    "secrets: [s]",
    "secrets: [{source: t, target: /t}]",
    "networks: [n]",
    "networks: {m: {aliases: [z]}, n: }",
    "networks: [\"${N}\"]",
    "depends_on: {d: {condition: service_started, required: false}}",
    "depends_on: [c]",
    "extends: {service: e}",
    "extends: {file: sub/base.yaml, service: k}",
    "network_mode: service:d",
    "label_file: [a.env]",
    "labels: {l: \"${L:-1}\"}",
    "command: [run, '1', \"${V}\"]",
    "ports: ['8${V}:80', '81:81']",
    "ports: !override ['82:82']",
    "volumes: !reset []",
    "environment: {A: !reset null}",
    "configs: !override [d]",
    "profiles: [p]",
    "<<: *x",
    "<<: [*x, *y]",
    "deploy: {replicas: 2}",
    "cpus: 1.50",
    "x-a: *y",
    "user: '10'",
];

/// Writes a repository with two listed compose files that say things of the services a to e.
fn generated(dice: &mut Dice, repo: &Repo) {
    repo.write("platform.yaml", POLICY);
    let own = dice.of(&["[a]", "[a, b]", "[b]", "[a, e]"]);
    repo.write("modules/app/module.yaml", &manifest(own));
    for (at, file) in ["one", "two"].iter().enumerate() {
        let mut text =
            "x-x: &x {labels: {l: 1}, stop_signal: a}\nx-y: &y {stop_signal: b, init: true}\nservices:\n".to_owned();
        for service in ["a", "b", "c", "d", "e"] {
            if at == 1 && dice.roll(3) > 0 && service != "a" {
                continue;
            }
            writeln!(text, "  {service}:").unwrap();
            writeln!(text, "    image: {service}:{}", dice.of(&["1", "${V}", "2"])).unwrap();
            let mut keys = BTreeSet::new();
            for _ in 0..dice.roll(5) {
                let line = dice.of(SAID);
                let key = line.split(':').next().unwrap();
                let extends = key == "extends" && service == "e";
                let depends = matches!(key, "depends_on" | "network_mode") && !matches!(service, "a" | "b");
                let mode = matches!(key, "network_mode" | "networks");
                let never = extends
                    || depends
                    || (at == 0 && line.contains("!reset"))
                    || (at == 1 && line.contains("service: e"));
                if !never && keys.insert(if mode { "networks" } else { key }) {
                    writeln!(text, "    {line}").unwrap();
                }
            }
        }
        for section in [
            "volumes:\n  v:\n    labels: {l: '1'}\n  w:\n    name: v1",
            "networks:\n  n:\n    internal: true\n    labels: {l: '1', k: '22'}\n  m:\n    labels: {l: '2'}\n  default:\n    attachable: true\n    labels: {l: '3', k: '44'}",
            "configs:\n  c:\n    file: ./f/x\n  d:\n    content: \"d${V}\"",
            "secrets:\n  s:\n    file: ./g/y\n  t:\n    environment: V",
        ] {
            if at == 0 || dice.roll(2) == 0 {
                writeln!(text, "{section}").unwrap();
            }
        }
        if dice.roll(6) == 0 {
            text += "include: [sub/inc.yaml]\n";
        }
        repo.write(&format!("compose/{file}.yaml"), &text);
    }
    for (path, text) in [
        ("vars", "W=3\nC=c\nN=n\nD=v\n"),
        ("a.env", "E=1\nF=${V}\n"),
        ("f/x", "x\n"),
        ("g/x", "x\n"),
        ("g/y", "y\n"),
        ("sub/base.yaml", "services:\n  k: {image: k:1, volumes: ['./h:/h:ro'], env_file: [k.env]}\n"),
        ("sub/inc.yaml", "services:\n  i: {image: \"i:${DOT:-1}\", env_file: [k.env]}\n"),
        ("sub/k.env", "K=1\n"),
        ("sub/.env", "DOT=2\n"),
        ("sub/h/x", "x\n"),
    ] {
        repo.write(&format!("compose/{path}"), text);
    }
}

/// What Compose makes of the module: its services, what they use, and the content of every file of the repository that
/// they get.
fn rendered(repo: &Repo) -> Option<Value> {
    let git = repo.open();
    let snapshot = Snapshot::lazy(&git, git.snapshot().unwrap());
    let manifest = manifests::manifest(&snapshot, &"app".parse().unwrap()).unwrap()?.ok()?;
    let (work, runtime) = (repo.work(), manifest.runtime);
    let vars: String = runtime.vars.iter().map(|(key, value)| format!("{key}='{value}'\n")).collect();
    let generated = repo.path("vars");
    fs::write(&generated, vars).unwrap();
    let mut command = Command::new("docker");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", repo.path("home"));
    command.env("COMPOSE_DISABLE_ENV_FILE", "1");
    let folder =
        runtime.compose_files.first()?.parent().map_or_else(|| work.clone(), |folder| work.join(folder.as_str()));
    command.args(["compose", "-p", runtime.project.as_deref()?, "--project-directory"]).arg(folder);
    for path in &runtime.env_files {
        command.arg("--env-file").arg(work.join(path.as_str()));
    }
    command.arg("--env-file").arg(&generated);
    for path in &runtime.compose_files {
        command.arg("-f").arg(work.join(path.as_str()));
    }
    let output = command
        .args(["config", "--format", "json"])
        .args(runtime.services.iter().map(|name| name.as_str()))
        .output()
        .unwrap();
    let mut model: Value = serde_json::from_slice(&output.stdout).ok().filter(|_| output.status.success())?;
    let services = model["services"].as_object_mut()?;
    services.retain(|name, _| runtime.services.iter().any(|own| own == name));
    let mut kept = json!({"services": services});
    let mut files = Vec::new();
    for service in kept["services"].as_object()?.values() {
        for mount in service["volumes"].as_array().into_iter().flatten() {
            files.extend(mount["source"].as_str().filter(|_| mount["type"] == "bind").map(str::to_owned));
        }
    }
    for kind in ["volumes", "networks", "configs", "secrets"] {
        for (name, definition) in model[kind].as_object().into_iter().flatten() {
            let services = kept["services"].as_object()?.values();
            let used = services.flat_map(|service| match &service[kind] {
                Value::Object(map) => map.keys().cloned().collect::<Vec<_>>(),
                Value::Array(all) => all.iter().filter_map(|one| one["source"].as_str().map(str::to_owned)).collect(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
            });
            if used.collect::<BTreeSet<_>>().contains(name) {
                files.extend(definition["file"].as_str().map(str::to_owned));
                kept[kind][name] = definition.clone();
            }
        }
    }
    let mut delivered = Vec::new();
    for file in files {
        for path in [std::path::PathBuf::from(&file)].into_iter().chain(below(file.as_ref())) {
            let mode = fs::metadata(&path).ok().map(|found| found.permissions().mode() & 0o111);
            delivered.push(json!([path.display().to_string(), fs::read(&path).ok(), mode]));
        }
    }
    kept["delivered"] = Value::Array(delivered);
    Some(kept)
}

fn below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// What a byte may become: names that there are, numbers, and what means something to YAML or Compose.
const BYTES: &[u8] = b"abcdensvwxp0123/.$! -#:\"\n&*{";

/// Attack: an unreviewed commit changes any single byte of the repository.
/// Defence: whenever the module's rendered model or a delivered byte changes, its effective digest changes too.
#[test]
fn any_byte_that_changes_the_module_changes_its_effective_digest() {
    lab();
    let (compared, same) = (Cell::new(0), Cell::new(0));
    let cases = std::env::var("DIGEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(24);
    let config = ProptestConfig { cases, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let repo = Repo::new();
    let git = repo.open();
    let app = "app".parse().unwrap();
    let effective = || {
        let snapshot = Snapshot::lazy(&git, git.snapshot().unwrap());
        manifests::counted(&snapshot, &app).unwrap().map(|counted| counted.effective)
    };
    let ran = runner.run(&any::<u64>(), |seed| {
        let mut dice = Dice(seed);
        let tries = (0..9).find_map(|_| {
            generated(&mut dice, &repo);
            rendered(&repo)
        });
        let Some(before) = tries else { return Ok(()) };
        let digest = effective();
        let paths = repo.git(&["ls-files", "-co", "--exclude-standard"]);
        let paths: Vec<&str> = paths.lines().filter(|path| *path != "README").collect();
        for _ in 0..24 {
            // Most often in a compose file; every line is as likely as another, and so is what leaves it a compose
            // file.
            let path = match dice.roll(6) {
                0 | 1 => "compose/one.yaml",
                2 | 3 => "compose/two.yaml",
                _ => dice.of(&paths),
            };
            let path = repo.work().join(path);
            let old = fs::read(&path).unwrap();
            let lines: Vec<&[u8]> = old.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
            let line = lines[dice.roll(lines.len())];
            let begin = line.as_ptr() as usize - old.as_ptr() as usize;
            let digits: Vec<usize> = (0..old.len()).filter(|at| old[*at].is_ascii_digit()).collect();
            let line: Vec<usize> = (begin..begin + line.len()).filter(|at| old[*at] != b' ').collect();
            let places = if digits.is_empty() || dice.roll(2) == 0 { line } else { digits };
            let place = places[dice.roll(places.len())];
            let mut new = old.clone();
            new[place] = match old[place] {
                b'0'..=b'9' => b'0' + u8::try_from(dice.roll(10)).unwrap(),
                b'a'..=b'z' if dice.roll(2) == 0 => b"abcdemnstvwxk"[dice.roll(13)],
                _ => BYTES[dice.roll(BYTES.len())],
            };
            fs::write(&path, &new).unwrap();
            let after = effective();
            compared.set(compared.get() + 1);
            if digest == after {
                same.set(same.get() + 1);
                if let Some(model) = rendered(&repo) {
                    prop_assert_eq!(
                        &before,
                        &model,
                        "seed {}: {}\n{}\nbecame\n{}",
                        seed,
                        path.display(),
                        String::from_utf8_lossy(&old),
                        String::from_utf8_lossy(&new)
                    );
                }
            }
            fs::write(&path, &old).unwrap();
        }
        Ok(())
    });
    let (compared, same) = (compared.get(), same.get());
    ran.unwrap_or_else(|error| panic!("{error}"));
    assert!(compared > 100 && same > compared / 20, "{same} of {compared} changes concerned others");
}

/// Compose's own words `!reset`, `!override` and `required: false` do on the host what they do for Compose.
#[test]
fn yaml_tags_and_optional_env_files_match_compose() {
    let stack = Stack::new();
    let two = "services:\n  app:\n    env_file: [{path: app.env, required: false}]\n    ports: !reset []\n    privileged: !reset null\n    \
               environment: !override {B: '2'}\n    volumes: !override ['./two:/two:ro']\n  gone: !reset null\n";
    stack.change(1, |stack| {
        stack.compose(&[
            ("app", "environment: {A: '1'}\nports: ['127.0.0.1:2222:80']\nprivileged: true\nvolumes: ['/etc:/etc:ro', './one:/one']"),
            ("gone", "volumes: ['./nowhere:/x:ro']"),
        ]);
        stack.site.repo.write("compose/two.yaml", two);
        stack.site.repo.write("compose/two/x", "x\n");
        let manifest = fs::read_to_string(stack.site.repo.work().join("modules/app/module.yaml")).unwrap();
        let both = manifest.replace("[compose/app.yaml]", "[compose/app.yaml, compose/two.yaml]");
        stack.site.repo.write("modules/app/module.yaml", &both);
    });
    let said = stack.run(0, "validate");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let said = stack.run(0, "apply app --pr 1");
    assert!(said.starts_with("exit 0\n"), "{said}");
    let env = stack.inspect("app", "{{json .Config.Env}}");
    assert!(env.contains("B=2") && !env.contains("A=1"), "{env}");
    assert_eq!(
        stack.inspect("app", "{{.HostConfig.Privileged}} {{len .HostConfig.PortBindings}} {{len .Mounts}}"),
        "false 0 1"
    );
    assert_eq!(stack.ids("gone"), [] as [String; 0]);
    let delivered = crate::support::stack::everything_below(&stack.root().join("releases"), &[]);
    let (_, bytes) = delivered.iter().find(|(path, _)| path.ends_with("compose/two.yaml")).unwrap();
    assert_eq!(bytes, two.as_bytes(), "delivered as it is written");
    // The file comes: that is a change, and it counts.
    stack.change(2, |stack| stack.site.repo.write("compose/app.env", "C=3\n"));
    let said = stack.run(1, "apply app --pr 2");
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert!(stack.inspect("app", "{{json .Config.Env}}").contains("C=3"));
}

/// A port that a service of the same plan gives up, because it is removed or made anew, is free for another one.
#[test]
fn port_released_by_the_same_plan_is_free() {
    let stack = Stack::new();
    let port = |inner: &str| format!("ports: ['127.0.0.1:{inner}:80']");
    let (one, two) = (port("18080"), port("18081"));
    let write = |stack: &Stack, services: &[(&str, &str)]| stack.compose(services);
    stack.change(1, |stack| write(stack, &[("app", &one), ("other", &two)]));
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    // Changed for each other.
    stack.change(2, |stack| write(stack, &[("app", &two), ("other", &one)]));
    let said = stack.run(1, "apply app --pr 2");
    assert!(said.starts_with("exit 0\n"), "{said}");
    // Taken over from one that goes.
    stack.change(3, |stack| write(stack, &[("new", &one), ("app", &two)]));
    let said = stack.run(2, "apply app --pr 3");
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert!(stack.inspect("new", "{{json .NetworkSettings.Ports}}").contains("18080"));
    // Of one that stays as it is, or is not the module's, it is not free.
    let by_hand = docker(&["run", "-d", "-p", "127.0.0.1:18082:80", "local/busybox:1"]);
    for (n, (taken, of)) in [(&two, "app"), (&port("18082"), "by hand")].into_iter().enumerate() {
        let n = n as u64 + 4;
        stack.change(n, |stack| write(stack, &[("new", taken), ("app", &two)]));
        let said = stack.run(n as i64, &format!("apply app --pr {n}"));
        assert!(said.starts_with("exit 5\n") && said.contains("already_running_elsewhere"), "{of}: {said}");
    }
    docker(&["rm", "-f", &by_hand]);
}

/// A container is made for one network by its id; when that was made again while it was stopped, only a new container
/// can start.
#[test]
fn container_on_a_recreated_network_is_recreated() {
    let stack = Stack::new();
    let network = format!("{}_default", stack.project);
    stack.change(1, |stack| stack.compose(&[("app", "volumes: [/kept]"), ("other", "network_mode: none")]));
    assert_eq!(stack.exit(0, "apply app --pr 1"), "exit 0");
    let other = stack.ids("other");
    for (minutes, again) in [(1, true), (3, false)] {
        let before = stack.ids("app");
        docker(&["exec", &before[0], "sh", "-c", "echo kept > /kept/x"]);
        docker(&["stop", "-t", "0", &before[0]]);
        docker(&["network", "rm", &network]);
        if again {
            let label = format!("com.docker.compose.project={}", stack.project);
            docker(&[
                "network",
                "create",
                "--label",
                &label,
                "--label",
                "com.docker.compose.network=default",
                &network,
            ]);
        }
        let planned = stack.json(minutes, "plan app");
        assert_eq!(planned["changes"][0]["action"], "recreate", "{planned}");
        assert_eq!(planned["changes"][0]["reasons"].to_string(), r#"["network:default"]"#);
        let said = stack.run(minutes, "apply app --again");
        assert!(said.starts_with("exit 0\n"), "{said}");
        assert_ne!(stack.ids("app"), before);
        assert_eq!(
            docker(&["exec", &stack.ids("app")[0], "cat", "/kept/x"]),
            "kept",
            "its anonymous volume went along"
        );
        assert!(stack.run(minutes + 1, "apply app --pr 1").contains("nothing to change"));
    }
    assert_eq!(stack.ids("other"), other);
}
