//! The binary itself, as its user meets it; what it says with ids, times and folders made the same on every machine.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use super::site::Site;

/// When the clock of a test begins, seconds since 1970.
pub(crate) const CLOCK: i64 = 1_790_000_000;

impl Site {
    /// The binary in a folder, `minutes` after the clock of the test began.
    pub(crate) fn binary(&self, dir: &Path, minutes: i64, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_platformctl"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.repo.path("home"))
            // What a kill leaves stays in the lab.
            .env("TMPDIR", std::env::temp_dir())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "Ola"), ("GIT_AUTHOR_EMAIL", "ola@example.org")])
            .env("PLATFORMCTL_TEST_CLOCK", (CLOCK + minutes * 60).to_string())
            .current_dir(dir)
            .stdin(Stdio::null())
            .args(args);
        command
    }

    /// Runs the binary in the clone; what it says, with its exit code first.
    pub(crate) fn run(&self, minutes: i64, args: &str) -> String {
        let args: Vec<&str> = args.split(' ').filter(|arg| !arg.is_empty()).collect();
        let output = self.binary(&self.repo.work(), minutes, &args).output().unwrap();
        self.told(&output)
    }

    /// The same, with `--json`, as the one object that it must be.
    pub(crate) fn json(&self, minutes: i64, args: &str) -> serde_json::Value {
        let args: Vec<&str> = args.split(' ').filter(|arg| !arg.is_empty()).chain(["--json"]).collect();
        let output = self.binary(&self.repo.work(), minutes, &args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(value["schema"], "platformctl.result/1");
        if let Some(error) = result_schema().iter_errors(&value).next() {
            panic!("{error} at {}: {text}", error.instance_path());
        }
        assert_eq!(value["exit"], output.status.code().unwrap(), "{text}");
        value
    }

    /// An ending, made the same everywhere.
    pub(crate) fn told(&self, output: &Output) -> String {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code().map_or_else(|| "killed".to_owned(), |code| code.to_string());
        let dir = self.repo.path("").display().to_string();
        let text = format!("exit {code}\n{text}{said}").replace(dir.trim_end_matches('/'), "<dir>");
        same(&text)
    }
}

/// What every result holds to, as it is published.
fn result_schema() -> &'static jsonschema::Validator {
    static SCHEMA: std::sync::OnceLock<jsonschema::Validator> = std::sync::OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut schema: serde_json::Value = serde_json::from_str(include_str!("../../../schema/result.json")).unwrap();
        // A script may meet fields that a later version adds. This version prints those of its schema and no others.
        schema["unevaluatedProperties"] = false.into();
        jsonschema::validator_for(&schema).unwrap()
    })
}

/// Ids as `<40>`, digests as `<64>`, random ends of runs as `<run>`, seconds that were measured as `<s>`.
fn same(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() {
            word.push(c);
            continue;
        }
        match word.len() {
            40 => out.push_str("<40>"),
            64 => out.push_str("<64>"),
            _ => out.push_str(&word),
        }
        word.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    let lines = out.lines().map(|line| {
        let measured = line.starts_with("✓ ") && line.ends_with(" s");
        let line = if measured { line.rsplit_once("  ").map_or(line, |(before, _)| before.trim_end()) } else { line };
        if line.starts_with("done ") { "done <s>".to_owned() } else { line.to_owned() }
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}
