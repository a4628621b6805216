//! `CONTRIBUTING.md` and the pages for developers name files: each of them exists.

use std::{fs, path::Path};

/// Words between backticks that look like a path of the project.
fn paths(text: &str) -> Vec<String> {
    let fenced = text.split("```").step_by(2).collect::<Vec<_>>().join("\n");
    let words = fenced.split('`').skip(1).step_by(2).map(str::trim);
    let is_path = |word: &&str| {
        let roots = ["src/", "tests/", "docs/", "schema/", "fuzz/", "benches/", "hooks/", ".config/", ".ci/"];
        let files = ["Cargo.toml", "Cargo.lock", "CHANGELOG.md", ".clippy.toml"];
        !word.contains(' ') && (roots.iter().any(|root| word.starts_with(root)) || files.contains(word))
    };
    words.filter(is_path).map(str::to_owned).collect()
}

#[test]
fn paths_that_are_named_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // What fuzzing makes, and what a reader fills in.
    let made = ["fuzz/corpus/", "fuzz/artifacts/", "fuzz/seeds/LAW/"];
    for (page, least) in [("CONTRIBUTING.md", 40), ("docs/fuzzing.md", 3), ("docs/releasing.md", 5)] {
        let found = paths(&fs::read_to_string(root.join(page)).unwrap());
        assert!(found.len() >= least, "{page}: {found:?}");
        for path in found.iter().filter(|path| !made.contains(&path.as_str())) {
            assert!(root.join(path).exists(), "{page} names {path}");
        }
    }
}

/// What is promised to be found in one guess is there.
#[test]
fn the_map_leads_to_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    for (wanted, marker) in [
        ("squash", "Style::Squash"),
        ("table of doors", "pub const DOORS"),
        ("the fence", "enter()"),
        ("exit codes", "pub const fn exit"),
        ("what `pending` finds", "pub fn pending"),
        ("what `pending` prints", "impl Render for Unapplied"),
    ] {
        let row = text.lines().find(|line| line.starts_with('|') && line.contains(wanted)).unwrap();
        let files = paths(row.rsplit_once("| ").map_or(row, |(_, last)| last.trim_end_matches('|')));
        let files = if files.is_empty() { paths(row) } else { files };
        let found =
            files.iter().any(|file| fs::read_to_string(root.join(file)).is_ok_and(|text| text.contains(marker)));
        assert!(found, "{wanted}: no `{marker}` in {files:?}");
    }
}
