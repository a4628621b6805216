//! What reviewers found in the first version of this tool, which was written in another language: a test for each
//! finding, named after it. `docs/lineage.md` is generated from their comments.

mod absent;
mod approval;
mod record;
mod secrets;

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    generated::{commented, page, rust_files},
    support::site::Site,
};

/// Every finding, in the order of the review.
const FINDINGS: &[&str] = &[
    "approved sha not bound to checkout, plan or module",
    "plan with an error exit still applied",
    "plan without changes still runs compose",
    "destructive plan applied under break-glass without executing its content",
    "break-glass reason not stored",
    "scan of the first 500 pull requests or files",
    "missing token reported as \"not merged\"",
    "four token names, one of them an agent's",
    "a workflow sets a variable that nothing reads",
    "binding skipped when git is missing",
    "compose-only PR refused because `module.yaml` did not change",
    "no-op compares the head sha with the merge sha",
    "state only on the runner or in an expiring artifact",
    "audit path moved or its folder missing before apply",
    "stderr redacted in one field and raw in another",
    "broken redaction pattern",
    "remote output kept in an artifact",
    "children inherit secrets",
    "two applies race past the no-op check",
    "fixed temporary file name",
    "success claimed before health",
    "plan from a dirty checkout",
    "tests that inject the checker and so never test the binding",
    "upper-case sha",
    "hard-coded runtime root",
    "no-op without saying when and by whom",
    "noop and applied share an exit code without a word that tells them apart",
];

const INTRODUCTION: &str = "# Lineage\n\n\
    The first version of this tool was written in another language and was reviewed thoroughly. This page lists every finding of those\n\
    reviews, the test that fails if this version has the same fault, and the file in which the question is decided. It is generated from\n\
    the comments of the tests in `tests/it/lineage/`; a test compares it, and fails if a finding has no test.\n\n\
    | finding | test | decided in |\n| --- | --- | --- |\n";

/// The name that the test of a finding has: its words, joined.
fn name_of(finding: &str) -> String {
    let words = finding.replace(['\'', '"', '`'], "").replace(|c: char| !c.is_ascii_alphanumeric(), " ");
    words.to_lowercase().split_whitespace().collect::<Vec<_>>().join("_")
}

#[test]
fn generated_page_has_a_test_for_every_finding() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for path in rust_files(&root.join("tests/it/lineage")) {
        let module = format!("lineage::{}", path.file_stem().unwrap().display());
        found.extend(commented(&module, &fs::read_to_string(path).unwrap(), ["Finding: ", "Decided: "]));
    }
    let mut text = INTRODUCTION.to_owned();
    for finding in FINDINGS {
        let at = found.iter().position(|row| row.first == *finding);
        let row = found.swap_remove(at.unwrap_or_else(|| panic!("no test has `/// Finding: {finding}`")));
        let name = row.test.rsplit("::").next().unwrap();
        assert_eq!(name, name_of(finding), "the test of a finding has its name");
        let (file, clause) = row.second.split_once(": ").unwrap_or_else(|| panic!("FILE: CLAUSE: {}", row.second));
        assert!(root.join(file).is_file(), "{name}: there is no file {file}");
        writeln!(text, "| {finding} | `{}` | `{file}`: {} |", row.test, clause.trim_end_matches('.')).unwrap();
    }
    assert_eq!(found, [], "these are no findings of the list");
    page("docs/lineage.md", &text);
}

/// How a command ended and what it says of it: `7 checkout_dirty`, or the outcome where no code is given: `0 applied`.
fn code(site: &Site, minutes: i64, args: &str) -> String {
    let value = site.json(minutes, args);
    let word = value["code"].as_str().or(value["outcome"].as_str()).unwrap_or_default();
    format!("{} {word}", value["exit"])
}

/// Runs the binary in a folder with more variables: its exit code and both of its streams.
fn with(site: &Site, dir: &Path, args: &str, vars: &[(&str, &str)]) -> (i32, String) {
    let args: Vec<&str> = args.split(' ').collect();
    let output = site.binary(dir, 0, &args).envs(vars.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

/// A PATH on which `program` is a script that does `first`, where `REAL` is the real program, and then becomes that.
fn shadowed(site: &Site, program: &str, first: &str) -> String {
    let path = std::env::var("PATH").unwrap();
    let real = path.split(':').map(|dir| format!("{dir}/{program}")).find(|file| Path::new(file).exists()).unwrap();
    let bin = site.repo.path(&format!("shadow-{program}"));
    fs::create_dir_all(&bin).unwrap();
    let text = format!("#!/bin/sh\n{}\nexec {real} \"$@\"\n", first.replace("REAL", &real));
    fs::write(bin.join(program), text).unwrap();
    fs::set_permissions(bin.join(program), fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{path}", bin.display())
}

/// The text of every source file before its tests, without comments, by its path below `src/`.
fn source() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let code = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let before = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
        let lines: Vec<&str> = before.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (path.strip_prefix(&root).unwrap().display().to_string(), lines.join("\n"))
    };
    let files: Vec<(String, String)> = rust_files(&root).into_iter().map(code).collect();
    assert!(files.len() > 100, "the source was found");
    files
}

/// Every workflow: those of this project, and those that `init` writes.
fn workflows() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in [".forgejo/workflows", "src/verb/init", "src/verb/init/workflows"] {
        for entry in fs::read_dir(root.join(folder)).into_iter().flatten().flatten() {
            let Ok(text) = fs::read_to_string(entry.path()) else { continue };
            if text.lines().any(|line| line.starts_with("jobs:")) {
                found.push((format!("{folder}/{}", entry.file_name().display()), text));
            }
        }
    }
    assert!(!found.is_empty(), "the workflows were found");
    found
}
