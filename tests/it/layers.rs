//! Who may name whom, and where each outside crate lives. The table is the architecture (docs/architecture.md).

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A room, and the rooms that it may name. A row names earlier rows alone, so the table cannot hold a cycle.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("config", &["model"]),
    ("cli", &["model"]),
    ("port", &["model"]),
    ("ledger", &["model", "port"]),
    ("runtime", &["model", "port"]),
    ("flow", &["model", "port", "ledger", "runtime"]),
    ("io", &["model", "config", "port"]),
    ("error", &["model", "config", "cli", "port", "ledger", "runtime", "flow", "io"]),
    ("ui", &["model", "ledger", "error"]),
    ("cmd", &["model", "config", "cli", "port", "ledger", "runtime", "flow", "io", "error", "ui"]),
];

/// Stages of the sentence, in order: each may name only those before it.
const STAGES: &[&str] =
    &["approve", "bind", "observe", "plan", "gate", "open", "ship", "run", "verify", "close", "apply"];

/// Crates with one home. Those that are not listed (serde, serde_json, thiserror, std) may be used anywhere.
const HOMES: &[(&str, &[&str])] = &[
    ("gix", &["io/git/"]),
    ("clap", &["cli.rs"]),
    ("anstyle", &["ui/"]),
    ("unicode_width", &["ui/"]),
    ("rustix", &["io/"]),
    ("openssh", &["io/ssh.rs", "io/ssh/"]),
    ("tokio", &["io/ssh.rs", "io/ssh/"]),
    ("tar", &["io/archive.rs"]),
    ("tempfile", &["io/"]),
    ("chrono", &["model/time.rs", "io/clock.rs"]),
    ("sha2", &["model/digest.rs"]),
    ("serde_yaml", &["model/yaml/"]),
    ("serde_saphyr", &["model/yaml/"]),
    ("granit_parser", &["model/yaml/"]),
];

const LINES_MAX: usize = 400;

fn source() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                files.push((name, code(&fs::read_to_string(&path).unwrap())));
            }
        }
    }
    assert!(files.len() > 50, "the source was found");
    files
}

/// A file before its tests, without comments.
fn code(text: &str) -> String {
    let before = text.split("\n#[cfg(test)]\n").next().unwrap();
    before.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The words of a file: what stands between characters that no path holds.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + name.len()..];
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '"') && after.starts_with("::")
    })
}

/// The rooms that a file names: `crate::room`, also in a nested `use crate::{room::…, …}`.
fn rooms_of(code: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(block) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in block.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.push(std::mem::take(&mut word)),
                    _ if depth == 0 => word.push(c),
                    _ => {}
                }
            }
            found.push(word);
        } else {
            found.push(rest.to_owned());
        }
    }
    let first =
        |path: &String| path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    found.iter().map(first).filter(|room| !room.is_empty()).collect()
}

/// What is wrong with one file, by the tables.
fn wrong(file: &str, code: &str) -> Vec<String> {
    let room = file.split('/').next().unwrap().trim_end_matches(".rs");
    let mut wrong = Vec::new();
    if let Some((_, may)) = ROOMS.iter().find(|(name, _)| *name == room) {
        for named in rooms_of(code) {
            if named != room && !may.contains(&named.as_str()) {
                wrong.push(format!("{file} names {named}"));
            }
        }
    } else if !["main", "lib"].contains(&room) {
        wrong.push(format!("{file} is in no room"));
    }
    if let Some(stage) = file.strip_prefix("flow/").and_then(|name| name.strip_suffix(".rs"))
        && let Some(at) = STAGES.iter().position(|name| *name == stage)
    {
        for later in &STAGES[at + 1..] {
            if names(code, later) || code.contains(&format!("flow::{later}")) {
                wrong.push(format!("{file} names the later stage {later}"));
            }
        }
    }
    for (krate, homes) in HOMES {
        if names(code, krate) && !homes.iter().any(|home| file.starts_with(home)) {
            wrong.push(format!("{file} uses {krate}"));
        }
    }
    if code.lines().count() > LINES_MAX {
        wrong.push(format!("{file} has {} lines before its tests", code.lines().count()));
    }
    wrong
}

#[test]
fn the_table_has_no_cycle() {
    for (row, (room, may)) in ROOMS.iter().enumerate() {
        for named in *may {
            assert!(ROOMS[..row].iter().any(|(earlier, _)| earlier == named), "{room} names {named}");
        }
    }
}

#[test]
fn the_source_obeys_the_tables() {
    let found: Vec<String> = source().iter().flat_map(|(file, code)| wrong(file, code)).collect();
    assert_eq!(found, Vec::<String>::new());
}

/// The checks can fail.
#[test]
fn planted_violations_are_found() {
    let found = |file, code: &str| wrong(file, code).join("; ");
    assert_eq!(found("model/x.rs", "use crate::port::Source;"), "model/x.rs names port");
    assert_eq!(found("flow/x.rs", "use crate::{\n model::{ids::Oid, time},\n io::git,\n};"), "flow/x.rs names io");
    assert_eq!(found("io/x.rs", "let x = crate::flow::approve::approve();"), "io/x.rs names flow");
    assert_eq!(found("flow/x.rs", "gix::open(x)"), "flow/x.rs uses gix");
    assert_eq!(
        found("flow/gate.rs", "use crate::flow::{ship};\nship::ship()"),
        "flow/gate.rs names the later stage ship"
    );
    assert_eq!(found("utils/x.rs", ""), "utils/x.rs is in no room");
    assert_eq!(found("io/x.rs", &"\n".repeat(401)), "io/x.rs has 401 lines before its tests");
    assert_eq!(found("io/git/x.rs", "use gix::x; use crate::model::x;"), "");
}

/// A test file that nobody names is never run.
#[test]
fn every_test_file_is_named() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        assert!(module == "main" || main.contains(&format!("mod {module};")), "{name} is not named in main.rs");
    }
}
