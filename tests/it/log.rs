//! The log of `-v` and `-vv`, and what a panic tells.

use std::{fs, process::Output};

use snapbox::{assert_data_eq, str};

use crate::support::site::Site;

/// Runs the binary in the clone, with more variables; standard output and standard error apart.
fn run(site: &Site, vars: &[(&str, &str)], args: &str) -> Output {
    let args: Vec<&str> = args.split(' ').collect();
    site.binary(&site.repo.work(), 1, &args).envs(vars.iter().copied()).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// What each line of a log is about: its level and its first word.
fn events(log: &str) -> Vec<String> {
    let event = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        format!("{} {}", words.next().unwrap_or_default(), words.next().unwrap_or_default())
    };
    log.lines().map(event).collect()
}

#[test]
fn log_goes_to_standard_error_only() {
    let site = Site::new();
    run(&site, &[], "plan site");
    for args in ["plan site", "plan site --json", "pending", "status --json"] {
        let quiet = run(&site, &[], args);
        assert_eq!(stderr(&quiet), "", "{args}");
        for flag in ["-v", "-vv"] {
            let logged = run(&site, &[], &format!("{flag} {args}"));
            let (one, other) = (stdout(&quiet), stdout(&logged));
            assert_eq!(strip(one), strip(other), "{flag} {args}");
            assert!(stderr(&logged).lines().count() > 2, "{flag} {args}: {}", stderr(&logged));
        }
    }
}

/// An answer without the milliseconds that were measured.
fn strip(answer: &str) -> String {
    match answer.split_once("\"durations_ms\":{") {
        Some((before, after)) => format!("{before}{}", after.split_once('}').map_or("", |(_, rest)| rest)),
        None => answer.to_owned(),
    }
}

#[test]
fn v_logs_calls_and_vv_logs_commands() {
    let site = Site::new();
    let calls = run(&site, &[], "-v plan site");
    let calls = stderr(&calls);
    assert!(calls.lines().next().unwrap().contains("INFO platformctl plan version="), "{calls}");
    assert!(events(calls).iter().all(|event| event.starts_with("INFO ")), "{calls}");
    for call in ["INFO remote.refs", "INFO remote.fetch", "INFO source.commit", "INFO ledger.note", "INFO host.run"] {
        assert!(events(calls).iter().any(|event| event == call), "{call}: {calls}");
    }
    let look = calls.lines().find(|line| line.contains("host.run")).unwrap();
    assert!(
        look.contains("host=local script=files-look outcome=ok ms=") && look.contains(" rc=0 stdout_bytes="),
        "{look}"
    );

    for (vars, args) in [(vec![], "-vv plan site"), (vec![("PLATFORMCTL_LOG", "debug")], "plan site")] {
        let commands = run(&site, &vars, args);
        let commands = stderr(&commands);
        assert!(commands.contains(" DEBUG child in=") && commands.contains(" ls-remote --refs origin "), "{commands}");
        assert!(commands.contains(" DEBUG child ended program=git rc=0 stdout_bytes="), "{commands}");
        assert!(
            commands.contains(" DEBUG host command host=local script=files-look input=nothing args="),
            "{commands}"
        );
        // Scripts are logged as their sizes and digests.
        assert!(commands.contains(" <text bytes=") && !commands.contains("realpath"), "{commands}");
    }
}

#[test]
fn failures_are_logged_with_their_codes() {
    let site = Site::new();
    let gone = site.repo.path("remote.git");
    fs::rename(&gone, site.repo.path("gone.git")).unwrap();
    let output = run(&site, &[], "-v pending");
    let log = stderr(&output);
    assert!(log.contains("remote.refs remote=origin pulls=true outcome=remote_unreachable ms="), "{log}");
    assert!(log.contains(" error='"), "{log}");
}

#[test]
fn unknown_log_level_is_a_usage_error() {
    let site = Site::new();
    let output = run(&site, &[("PLATFORMCTL_LOG", "trace")], "status");
    assert_data_eq!(
        site.told(&output),
        str![[r#"
exit 2
USAGE usage (2). Nothing was changed.
PLATFORMCTL_LOG is `trace`, which is not a level of the log
fix: set PLATFORMCTL_LOG to off, info or debug, or unset it

"#]]
    );
    let hostile = run(&site, &[("PLATFORMCTL_LOG", "a\u{1b}[2J")], "status");
    assert!(stdout(&hostile).contains("`a\\u{1b}[2J`"), "{}", stdout(&hostile));
    let off = run(&site, &[("PLATFORMCTL_LOG", "off")], "validate");
    assert_eq!((off.status.code(), stderr(&off)), (Some(0), ""));
}

/// Attack: a file name contains control characters, to forge log lines or to control the reader's terminal.
/// Defence: every log line is escaped as a whole before it is written.
#[test]
fn log_lines_are_escaped() {
    let site = Site::new();
    let dir = site.repo.path("w\u{1b}[2J\n 0.000 INFO forged");
    fs::rename(site.repo.work(), &dir).unwrap();
    let output = site.binary(&dir, 1, &["-vv", "validate"]).output().unwrap();
    let log = stderr(&output);
    assert!(log.contains("w\\u{1b}[2J\\n 0.000 INFO forged"), "{log}");
    assert!(
        !log.contains('\u{1b}') && !log.lines().any(|line| line.trim_start().starts_with("0.000 INFO forged")),
        "{log}"
    );
}

/// Attack: a token from the environment or from git's configuration is part of a logged argument or path.
/// Defence: every log line is masked like every message: secrets from the environment and the remote's configuration are replaced.
#[test]
fn tokens_are_not_logged() {
    const TOKEN: &str = "tok3n-0f-the-forge";
    const HEADER: &str = "he4der-0f-the-forge";
    let site = Site::new();
    site.repo.git(&["config", "http.extraHeader", &format!("X-Key: {HEADER}")]);
    let dir = site.repo.path(&format!("{TOKEN} {HEADER}"));
    fs::rename(site.repo.work(), &dir).unwrap();
    let log = |vars: &[(&str, &str)]| {
        let output = site.binary(&dir, 1, &["-vv", "plan", "site"]).envs(vars.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{}", site.told(&output));
        stderr(&output).to_owned()
    };
    let masked = log(&[("FORGE_TOKEN", TOKEN)]);
    assert!(!masked.contains(TOKEN) && masked.contains("ls-remote"), "{masked}");
    // Known as soon as the configuration of the remote was read, before the first transfer.
    let transfers: Vec<&str> = masked.lines().filter(|line| line.contains("argv=git")).collect();
    assert!(!transfers.is_empty() && transfers.iter().all(|line| line.contains("/*** ***")), "{transfers:#?}");
    assert!(!masked.contains(HEADER), "{masked}");
    assert!(log(&[]).contains(TOKEN), "the test sees what is not known to be a secret");
}

#[test]
fn panic_names_its_location_and_asks_for_a_report() {
    let site = Site::new();
    let output = run(&site, &[("PLATFORMCTL_TEST_PANIC", "text")], "status");
    let place = format!("at src/cmd/bug.rs:{}", line_of("panic!(\"a planted panic\")"));
    assert_data_eq!(
        site.told(&output).replace(&place, "at <place>").replace(env!("CARGO_PKG_VERSION"), "<version>"),
        str![[r#"
exit 1
BUG bug (1). Internal error, state unknown: please report.
platformctl <version> (status) panicked at <place>: a
planted panic
fix: report this output; if it happens again, run it with
  -vv and attach the log
  platformctl status prints what is recorded

"#]]
    );
    let json = run(&site, &[("PLATFORMCTL_TEST_PANIC", "text")], "status --json");
    let value: serde_json::Value = serde_json::from_str(stdout(&json)).unwrap();
    assert_eq!((value["exit"].as_u64(), value["code"].as_str()), (Some(1), Some("bug")));
    assert_eq!(stderr(&json), "", "no backtrace unless it is asked for");
    let vars = [("PLATFORMCTL_TEST_PANIC", "text"), ("RUST_BACKTRACE", "1")];
    let traced = run(&site, &vars, "status --json");
    assert!(stderr(&traced).contains("platformctl::cmd::bug::planted"), "{}", stderr(&traced));
    assert_eq!(stdout(&traced), stdout(&json));
}

/// Attack: a library panics and quotes the text that it was parsing, which contains a secret.
/// Defence: a panic report contains only the source location, and the message only if it is a literal in the source.
#[test]
fn panic_message_contains_no_values() {
    let site = Site::new();
    let vars = [("PLATFORMCTL_TEST_PANIC", "c4n4ry-0f-a-s3cret"), ("RUST_BACKTRACE", "1")];
    for args in ["status", "-vv status --json"] {
        let told = site.told(&run(&site, &vars, args));
        assert!(told.starts_with("exit 1") && told.contains("src/cmd/bug.rs:") && !told.contains("c4n4ry"), "{told}");
    }
}

/// The line of a source file on which a text stands.
fn line_of(text: &str) -> usize {
    include_str!("../../src/cmd/bug.rs").lines().position(|line| line.contains(text)).unwrap() + 1
}
