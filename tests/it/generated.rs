//! Pages that the code writes: compared here, rewritten with `UPDATE=1`.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use platformctl::{
    error::Class,
    flow::approve::reviews::Unfit,
    io::forgejo::{FAILURES, Failure},
    model::{doors::DOORS, glass::Gate, refusal::Code, sacred::SACRED},
};

/// Compares a page with what the code says, or rewrites it.
pub(crate) fn page(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, text).unwrap();
    }
    let now = fs::read_to_string(&path).unwrap_or_default();
    snapbox::assert_data_eq!(now, text.to_owned());
}

/// The same for a part of a page, between `<!-- NAME -->` and `<!-- /NAME -->`.
pub(crate) fn section(path: &str, name: &str, text: &str) {
    let now = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let (before, rest) = now.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    page(path, &format!("{before}{begin}{text}{end}{after}"));
}

#[test]
fn documented_capabilities_and_sacred_paths_match_the_code() {
    let mut text = "| key | opens |\n| --- | --- |\n".to_owned();
    for (key, what) in DOORS {
        writeln!(text, "| `{key}` | {what} |").unwrap();
    }
    section("docs/compose.md", "doors", &text);
    let mut text = "| sacred | any module may mount for reading |\n| --- | --- |\n".to_owned();
    for (path, readable) in SACRED {
        let readable: Vec<String> = readable.iter().map(|path| format!("`{path}`")).collect();
        writeln!(text, "| `{path}` | {} |", readable.join(" ")).unwrap();
    }
    section("docs/compose.md", "sacred", &text);
}

#[test]
fn documented_break_glass_gates_match_the_code() {
    let mut text = "| gate | codes | what is passed |\n| --- | --- | --- |\n".to_owned();
    for gate in Gate::ALL {
        let codes: Vec<String> = gate.codes().iter().map(|code| format!("`{}`", code.slug())).collect();
        writeln!(text, "| `{}` | {} | {} |", gate.as_str(), codes.join(" "), gate.meaning()).unwrap();
    }
    section("docs/recovery.md", "gates", &text);
}

#[test]
fn documented_record_kinds_match_the_code() {
    section("docs/state-format.md", "kinds", &platformctl::ledger::shape::table());
}

#[test]
fn documented_exit_codes_match_the_code() {
    let mut text = "# Exit codes\n\nGenerated from `src/error.rs`; a test compares it. The number tells whether a host was changed.\n\n\
                    | code | class | meaning |\n| --- | --- | --- |\n"
        .to_owned();
    for class in Class::ALL {
        writeln!(text, "| {} | {} | {} |", class.exit(), class.name(), class.world()).unwrap();
    }
    text += "\nA successful command exits with 1 instead of 0 if its answer could not be printed: standard output is \
             full, or its reader has exited (`| head`).\n\nIf a command reports several reasons at once, the exit code is the first of 20, 8, 6, 7, 5, 3 among them.\n\n\
             ## Reasons\n\nThe `code` of every refusal and error is one of these names. Names are never changed.\n\n\
             | code | exit | meaning |\n| --- | --- | --- |\n";
    for code in Code::ALL {
        writeln!(text, "| `{}` | {} | {} |", code.slug(), Class::of(*code).exit(), code.meaning()).unwrap();
    }
    page("docs/exit-codes.md", &text);
}

#[test]
fn documented_lint_rules_match_the_code() {
    page("docs/lint.md", &platformctl::model::workflow::rules::page());
}

/// This project's own workflows are those that `init --forgejo` writes.
#[test]
fn own_workflows_are_the_templates() {
    for (path, text) in platformctl::verb::init::workflows::of("main").unwrap() {
        page(path, &text);
    }
}

#[test]
fn documented_reviews_and_failures_of_the_forge_match_the_code() {
    let mut text = String::new();
    for unfit in Unfit::ALL {
        writeln!(text, "- {};", unfit.words()).unwrap();
    }
    section("docs/reviews.md", "unfit", &(text.trim_end_matches(";\n").to_owned() + ".\n"));
    let mut text = "| the server's answer | code | the forge … | what helps |\n| --- | --- | --- | --- |\n".to_owned();
    for Failure { shows, code, means, fix } in FAILURES {
        writeln!(text, "| {shows} | `{}` | {means} | {fix} |", code.slug()).unwrap();
    }
    section("docs/reviews.md", "failures", &text);
}

#[test]
fn documented_commands_match_the_help() {
    page("docs/cli.md", &platformctl::cli::reference());
}

/// What the comment of a test says in two lines, each begun by a word and going on until the other, an attribute or the
/// function.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Commented {
    pub(crate) first: String,
    pub(crate) second: String,
    pub(crate) test: String,
}

/// The tests of one file whose comments have both words; panics at a comment that has only one of them, or no test
/// below it.
pub(crate) fn commented(module: &str, text: &str, begin: [&str; 2]) -> Vec<Commented> {
    let mut found = Vec::new();
    let mut words: [Option<String>; 2] = [None, None];
    let mut at = None;
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            let comment = comment.trim();
            let begun = begin.iter().position(|word| comment.starts_with(word));
            if let Some(begun) = begun {
                at = Some(begun);
                let text = comment.split_once(": ").unwrap().1;
                assert!(words[begun].replace(text.to_owned()).is_none(), "{module}: twice in one comment: {text}");
            } else if let Some(text) = at.and_then(|at| words[at].as_mut()) {
                *text += &format!(" {comment}");
            }
        } else if let Some(rest) = line.strip_prefix("fn ") {
            match std::mem::take(&mut words) {
                [Some(first), Some(second)] => {
                    let name = rest.split('(').next().unwrap();
                    found.push(Commented { first, second, test: format!("{module}::{name}") });
                }
                [None, None] => {}
                one => panic!("{module}: one of {begin:?} without the other: {one:?}"),
            }
            at = None;
        } else if !line.starts_with("#[") {
            at = None;
        }
    }
    assert_eq!(words, [None, None], "{module}: no test below the comment");
    found
}

const ATTACK: [&str; 2] = ["Attack: ", "Defence: "];

/// Every Rust file below a folder.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn documented_attacks_match_the_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for (folder, prefix) in [("tests/it", ""), ("src", "src::")] {
        for path in rust_files(&root.join(folder)) {
            let name = path.strip_prefix(root.join(folder)).unwrap().with_extension("").display().to_string();
            let module = format!("{prefix}{}", name.replace('/', "::"));
            if module != "generated" {
                found.extend(commented(&module, &fs::read_to_string(path).unwrap(), ATTACK));
            }
        }
    }
    found.sort();
    assert!(found.len() >= 10, "the tests were read");
    let mut text = "| attack or accident | defence | test |\n| --- | --- | --- |\n".to_owned();
    for Commented { first: attack, second: defence, test } in &found {
        let cell = |text: &str| text.trim_end_matches('.').replace('|', "\\|");
        writeln!(text, "| {} | {} | `{test}` |", cell(attack), cell(defence)).unwrap();
    }
    section("docs/threat-model.md", "attacks", &text);
}

#[test]
fn attacks_are_parsed_from_test_comments() {
    let text = "/// Attack: a | b\n/// goes on.\n/// Defence: c.\n#[test]\nfn x() {\n}\n/// Plain.\nfn y() {}\n";
    let one = Commented { first: "a | b goes on.".into(), second: "c.".into(), test: "m::x".into() };
    assert_eq!(commented("m", text, ATTACK), [one]);
    let half = std::panic::catch_unwind(|| commented("m", "/// Attack: a\nfn x() {}\n", ATTACK));
    assert!(half.is_err(), "an attack without a defence is no row");
}
