//! The order of the stages is a compile error to break: what a stage made has private fields, so that nothing else can
//! build one.
//!
//! A copy of the source gets one more file in `flow/`, which takes every field of every stage's product apart. The
//! compiler must refuse each field, and nothing else.

use std::{fs, path::Path, process::Command};

/// The products, and where each is made.
const PRODUCTS: &[(&str, &str)] = &[
    ("approve/approved.rs", "Approved"),
    ("bind/bound.rs", "Present"),
    ("bind/bound.rs", "Absent"),
    ("observe/mod.rs", "Observed"),
    ("plan.rs", "Plan"),
    ("gate/mod.rs", "Permit"),
    ("open.rs", "Declared"),
    ("open.rs", "Intent"),
    ("ship.rs", "Shipped"),
    ("run.rs", "Ran"),
];

/// The names of the fields of a struct, as its source has them.
fn fields(source: &str, name: &str) -> Vec<String> {
    let start = source.find(&format!("pub struct {name}")).unwrap_or_else(|| panic!("there is a struct {name}"));
    let body = &source[start..];
    let body = &body[body.find('{').unwrap() + 1..body.find("\n}").unwrap()];
    let lines = body.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with('#'));
    let names = lines.filter_map(|line| line.split_once(": ").map(|(before, _)| before));
    names.map(|name| name.rsplit(' ').next().unwrap().to_owned()).collect()
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// What the compiler says of the library with one more file in `flow/`: the codes of its errors with their messages.
fn errors(planted: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Always at the same place, below target/: what was built before is used again, and so are the dependencies that
    // lints were run with.
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let copy_of = tmp.join("sealed");
    if copy_of.exists() {
        fs::remove_dir_all(&copy_of).unwrap();
    }
    for entry in fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name();
        if !["target", ".git"].map(Into::into).contains(&name) {
            copy(&root.join(&name), &copy_of.join(&name));
        }
    }
    let stages = copy_of.join("src/flow/mod.rs");
    let text = fs::read_to_string(&stages).unwrap();
    fs::write(&stages, text.replace("pub mod verify;", "pub mod verify;\nmod planted;")).unwrap();
    fs::write(copy_of.join("src/flow/planted.rs"), planted).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet", "--lib", "--message-format=short", "--target-dir"])
        .arg(tmp.parent().unwrap())
        .current_dir(&copy_of)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let errors: Vec<String> = said.lines().filter(|line| line.contains("error")).map(str::to_owned).collect();
    assert_eq!(output.status.success(), errors.is_empty(), "{said}");
    errors
}

#[test]
fn only_a_stage_can_build_its_product() {
    let flow = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/flow");
    let (mut planted, mut wanted) = (String::new(), Vec::new());
    for (file, name) in PRODUCTS {
        let source = fs::read_to_string(flow.join(file)).unwrap();
        let module = file.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
        let fields = fields(&source, name);
        assert!(!fields.is_empty(), "{name} has fields");
        let pattern: String = fields.iter().map(|field| format!("{field}: _, ")).collect();
        let function = format!("fn take_{}(x: super::{module}::{name})", name.to_lowercase());
        planted.push_str(&format!("{function} {{ let super::{module}::{name} {{ {pattern}}} = x; }}\n"));
        wanted.push((*name, fields));
    }
    let found = errors(&planted);
    for (name, fields) in &wanted {
        // The compiler says `bound::Absent` where another type has the same last name.
        let of_it = [format!(" `{name}` "), format!("::{name}` ")];
        let is_of_it = |line: &&String| line.contains("E0451") && of_it.iter().any(|of_it| line.contains(of_it));
        let line = found.iter().find(is_of_it);
        for field in fields {
            assert!(line.is_some_and(|line| line.contains(&format!("`{field}`"))), "{name}.{field}: {found:#?}");
        }
    }
    assert_eq!(found.len(), wanted.len() + 1, "nothing else is wrong with it: {found:#?}");
}
