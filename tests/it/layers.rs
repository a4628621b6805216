//! Who may name whom, and where each outside crate lives. The table is the architecture (docs/architecture.md).

use std::{
    collections::{BTreeMap, BTreeSet},
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
    ("tree", &["model", "port"]),
    ("runtime", &["model", "port", "tree"]),
    ("record", &["model", "port", "ledger"]),
    ("flow", &["model", "port", "ledger", "tree", "runtime", "record"]),
    ("verb", &["model", "port", "ledger", "tree", "runtime", "record", "flow"]),
    ("io", &["model", "config", "port"]),
    ("error", &["model", "config", "cli", "port", "ledger", "tree", "runtime", "record", "flow", "verb", "io"]),
    ("ui", &["model", "port", "ledger", "verb", "error"]),
    (
        "cmd",
        &["model", "config", "cli", "port", "ledger", "tree", "runtime", "record", "flow", "verb", "io", "error", "ui"],
    ),
    // Not in the program: what fuzz targets check.
    ("laws", &["model", "port", "ledger", "runtime", "verb", "io"]),
];

/// Stages of the sentence, in order: each may name only those before it. `flow/` holds these and nothing else.
const STAGES: &[&str] = &["approve", "bind", "observe", "plan", "gate", "open", "ship", "run", "verify", "close"];

/// The drivers, which stages and verbs know by their interface alone.
const DRIVERS: &[&str] = &["runtime::compose", "runtime::files"];

/// Crates with one home. Those that are not listed (serde, serde_json, thiserror, std) may be used anywhere.
const HOMES: &[(&str, &[&str])] = &[
    ("gix", &["io/git/"]),
    ("clap", &["cli.rs", "cli/"]),
    ("anstyle", &["ui/"]),
    ("unicode_width", &["ui/"]),
    ("rustix", &["io/"]),
    ("openssh", &["io/ssh.rs", "io/ssh/"]),
    ("tokio", &["io/ssh.rs", "io/ssh/"]),
    ("tar", &["io/archive.rs"]),
    ("tempfile", &["io/"]),
    ("tracing", &["io/log.rs"]),
    ("chrono", &["model/time.rs", "io/clock.rs"]),
    ("ureq", &["io/http.rs"]),
    ("sha2", &["model/digest.rs"]),
    ("serde_yaml", &["model/yaml/"]),
    ("serde_saphyr", &["model/yaml/"]),
    ("granit_parser", &["model/yaml/"]),
];

const LINES_MAX: usize = 400;

/// A command reads its arguments, opens the session, calls a verb, and hands the typed result to `ui`.
const COMMAND_LINES_MAX: usize = 120;

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

/// The module that a file is.
fn module_of(file: &str) -> String {
    file.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::")
}

/// The paths of this crate that a file names, from the crate's root: in `use` trees and in the code, with `super`
/// resolved.
fn uses(file: &str, code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            if code[..at].ends_with("::") {
                continue;
            }
            let start = code[..at].rfind(['\n', '{', '(', ' ', '<', '&', ',', '!']).map_or(0, |space| space + 1);
            if start == at || !code[start..at].chars().all(|c| c.is_alphanumeric() || c == '_') {
                tree(&code[at..], &mut String::new(), &mut found);
            }
        }
    }
    let module = module_of(file);
    let inside: Vec<&str> = module.split("::").collect();
    let absolute = |path: &String| {
        if let Some(rest) = path.strip_prefix("crate::") {
            return rest.to_owned();
        }
        let ups = path.matches("super::").count();
        let rest = path.trim_start_matches("super::");
        let base = &inside[..inside.len().saturating_sub(ups)];
        base.iter().copied().chain([rest]).collect::<Vec<_>>().join("::")
    };
    found.iter().map(absolute).collect()
}

/// Reads one path, or one tree of them in braces, from the beginning of `text`; returns how much of it that is.
fn tree(text: &str, prefix: &mut String, found: &mut BTreeSet<String>) -> usize {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let before = prefix.len();
    prefix.push_str(&text[..end]);
    let mut at = end;
    if text[end..].starts_with('{') && prefix.ends_with("::") {
        at += 1;
        while at < text.len() && !text[at..].starts_with('}') {
            let rest = &text[at..];
            if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                at += tree(rest, prefix, found);
            } else {
                at += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
        at += 1;
    } else {
        found.insert(prefix.trim_end_matches("::self").trim_end_matches("::").to_owned());
    }
    prefix.truncate(before);
    at
}

/// Files that name each other, directly or through others: each such ring once, as the sorted names of its files.
fn circles(files: &[(String, String)]) -> BTreeSet<Vec<String>> {
    let modules: BTreeSet<String> = files.iter().map(|(file, _)| module_of(file)).collect();
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, code) in files {
        let module = module_of(file);
        for path in uses(file, code) {
            let mut at = path.as_str();
            // The longest beginning that is a file of its own.
            let found = loop {
                if modules.contains(at) {
                    break Some(at.to_owned());
                }
                match at.rsplit_once("::") {
                    Some((shorter, _)) => at = shorter,
                    None => break None,
                }
            };
            named.entry(module.clone()).or_default().extend(found.filter(|found| *found != module));
        }
    }
    let reach = |from: &String| {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&String> = named.get(from).into_iter().flatten().collect();
        while let Some(module) = next.pop() {
            if seen.insert(module.clone()) {
                next.extend(named.get(module).into_iter().flatten());
            }
        }
        seen
    };
    let reached: BTreeMap<String, BTreeSet<String>> =
        modules.iter().map(|module| (module.clone(), reach(module))).collect();
    let ring = |module: &String| -> Vec<String> {
        let ours = reached[module].iter().filter(|other| reached[*other].contains(module));
        ours.cloned().collect()
    };
    modules.iter().map(ring).filter(|ring| ring.len() > 1).collect()
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
    if let Some(stage) = file.strip_prefix("flow/").map(|name| name.split('/').next().unwrap().trim_end_matches(".rs"))
        && stage != "mod"
    {
        match STAGES.iter().position(|name| *name == stage) {
            None => wrong.push(format!("{file} is no stage")),
            Some(at) => {
                let named = uses(file, code);
                let later = STAGES[at + 1..].iter().filter(|later| {
                    let inside = format!("flow::{later}::");
                    named.iter().any(|path| path.starts_with(&inside) || *path == inside[..inside.len() - 2])
                });
                wrong.extend(later.map(|later| format!("{file} names the later stage {later}")));
            }
        }
    }
    // A driver is known by its interface: only the table in runtime/mod.rs names one.
    if room == "flow" || room == "verb" {
        let named = uses(file, code);
        for driver in DRIVERS {
            let inside = format!("{driver}::");
            if named.iter().any(|path| path.starts_with(&inside) || path == driver) {
                wrong.push(format!("{file} names {driver}"));
            }
        }
        if code.contains("Driver::") {
            wrong.push(format!("{file} tells drivers apart"));
        }
    }
    for (krate, homes) in HOMES {
        if names(code, krate) && !homes.iter().any(|home| file.starts_with(home)) {
            wrong.push(format!("{file} uses {krate}"));
        }
    }
    if room == "cmd" && code.lines().count() >= COMMAND_LINES_MAX {
        wrong.push(format!("{file} has {} lines: what a command does is a verb", code.lines().count()));
    }
    if code.lines().count() > LINES_MAX {
        wrong.push(format!("{file} has {} lines before its tests", code.lines().count()));
    }
    wrong
}

#[test]
fn layer_table_is_acyclic() {
    for (row, (room, may)) in ROOMS.iter().enumerate() {
        for named in *may {
            assert!(ROOMS[..row].iter().any(|(earlier, _)| earlier == named), "{room} names {named}");
        }
    }
}

#[test]
fn source_follows_the_layer_table() {
    let found: Vec<String> = source().iter().flat_map(|(file, code)| wrong(file, code)).collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn source_files_have_no_circular_imports() {
    assert_eq!(circles(&source()), BTreeSet::new());
}

/// The checks can fail.
#[test]
fn circular_imports_are_detected() {
    let file = |name: &str, code: &str| (name.to_owned(), code.to_owned());
    let files = [
        file("a/x.rs", "use crate::{\n    b::{self, y::{Other, Y}},\n    c,\n};"),
        file("b/mod.rs", ""),
        file("b/y.rs", "use super::super::c::Z;"),
        file("c.rs", "fn f() -> crate::a::x::X { }"),
        file("d.rs", "use crate::c;"),
    ];
    let ring = ["a::x", "b::y", "c"].map(str::to_owned).to_vec();
    assert_eq!(circles(&files), BTreeSet::from([ring]));
    assert_eq!(circles(&files[..3]), BTreeSet::new());
}

/// The checks can fail.
#[test]
fn layer_violations_are_detected() {
    let found = |file, code: &str| wrong(file, code).join("; ");
    assert_eq!(found("model/x.rs", "use crate::port::Source;"), "model/x.rs names port");
    assert_eq!(
        found("flow/plan.rs", "use crate::{\n model::{ids::Oid, time},\n io::git,\n};"),
        "flow/plan.rs names io"
    );
    assert_eq!(found("io/x.rs", "let x = crate::flow::approve::approve();"), "io/x.rs names flow");
    assert_eq!(found("flow/plan.rs", "gix::open(x)"), "flow/plan.rs uses gix");
    assert_eq!(found("flow/gate/x.rs", "use crate::flow::{ship};"), "flow/gate/x.rs names the later stage ship");
    assert_eq!(
        found("flow/plan.rs", "use crate::flow::{bind::X, run::{Y}};"),
        "flow/plan.rs names the later stage run"
    );
    assert_eq!(found("flow/words.rs", ""), "flow/words.rs is no stage");
    assert_eq!(found("verb/x.rs", "use crate::runtime::{compose};"), "verb/x.rs names runtime::compose");
    assert_eq!(found("flow/run.rs", "crate::runtime::files::RUN"), "flow/run.rs names runtime::files");
    assert_eq!(found("verb/x.rs", "if driver == Driver::Files {}"), "verb/x.rs tells drivers apart");
    assert_eq!(found("utils/x.rs", ""), "utils/x.rs is in no room");
    assert_eq!(found("io/x.rs", &"\n".repeat(401)), "io/x.rs has 401 lines before its tests");
    assert_eq!(found("cmd/x.rs", &"\n".repeat(120)), "cmd/x.rs has 120 lines: what a command does is a verb");
    assert_eq!(found("io/git/x.rs", "use gix::x; use crate::model::x;"), "");
}

/// A test file that nobody names is never run.
#[test]
fn every_test_file_is_registered() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    let is_code = |path: &Path| path.extension().is_some_and(|kind| kind == "rs");
    let has_code =
        |path: &Path| fs::read_dir(path).is_ok_and(|mut dir| dir.any(|entry| is_code(&entry.unwrap().path())));
    for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        // A folder of data is no module.
        if !is_code(&entry.path()) && !has_code(&entry.path()) {
            continue;
        }
        let name = entry.file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        assert!(module == "main" || main.contains(&format!("mod {module};")), "{name} is not named in main.rs");
    }
}
