//! Pages that the code writes: compared here, rewritten with `UPDATE=1`.

use std::{fmt::Write as _, fs, path::Path};

use platformctl::{
    error::Class,
    model::{doors::DOORS, refusal::Code},
};

/// Compares a page with what the code says, or rewrites it.
fn page(path: &str, text: &str) {
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
fn doors_are_as_documented() {
    let mut text = "| key | opens |\n| --- | --- |\n".to_owned();
    for (key, what) in DOORS {
        writeln!(text, "| `{key}` | {what} |").unwrap();
    }
    section("docs/compose.md", "doors", &text);
}

#[test]
fn kinds_of_records_are_as_documented() {
    section("docs/state-format.md", "kinds", &platformctl::ledger::shape::table());
}

#[test]
fn exit_codes_are_as_documented() {
    let mut text = "# Exit codes\n\nGenerated from `src/error.rs`; a test compares it. The number tells which world you are in.\n\n\
                    | code | class | the world is |\n| --- | --- | --- |\n"
        .to_owned();
    for class in Class::ALL {
        writeln!(text, "| {} | {} | {} |", class.exit(), class.name(), class.world()).unwrap();
    }
    text += "\nWhere several reasons are given at once, the exit code is the first present of 20, 8, 6, 7, 5, 3.\n\n\
             ## Reasons\n\n`code` in every refusal and error is one of these; they are never renamed.\n\n\
             | code | exit | meaning |\n| --- | --- | --- |\n";
    for code in Code::ALL {
        writeln!(text, "| `{}` | {} | {} |", code.slug(), Class::of(*code).exit(), code.meaning()).unwrap();
    }
    page("docs/exit-codes.md", &text);
}

#[test]
fn commands_are_as_documented() {
    page("docs/cli.md", &platformctl::cli::reference());
}
