//! Laws: what must be true of everything here that reads what others wrote, whatever they wrote. A law takes bytes, and
//! panics where they break it. The fuzz targets (`fuzz/`) and the tests below check the same functions;
//! `docs/fuzzing.md` says how to run them.
#![expect(clippy::unwrap_used, reason = "a law that is broken panics; none of this is in the program")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use crate::io::git::laws::{git_answer, git_commit, git_person, git_tree};
use crate::{
    ledger::{
        event::Event,
        fold::{self, Files},
        message, tree,
    },
    model::{
        alarm::Alarms,
        claim::Claim,
        compose,
        digest::Digest,
        frame,
        ids::{ModuleId, Oid, RunId},
        json, leaks,
        module::Manifest,
        names::{
            ComposeName, Destination, GitName, ImageName, KeyName, KnownHost, NtfyTopic, ProjectName, TokenVar, VarName,
        },
        notify::NotifyUrl,
        path::{HostPath, RepoPath},
        policy::Policy,
        problem::Problem,
        projection,
        status::{HostRecord, ModuleStatus, OpenRun},
        text,
        time::{self, Timestamp},
        variable, workflow as workflows, yaml,
    },
    runtime::{
        compose::{look, render, watch},
        doctor::{self, Asked},
        files, logs, machine, probe, pull, result,
    },
    verb::prepush,
};

/// A law: its name, which is that of its fuzz target and of its folder of seeds, and its check.
pub type Law = (&'static str, fn(&[u8]));

macro_rules! laws {
    ($($name:ident)*) => { &[$((stringify!($name), $name)),*] };
}

/// Every law.
pub const LAWS: &[Law] = laws!(
    event status json_canonical manifest policy yaml_compose yaml_outline workflow projection_model plan_file
    host_files host_compose host_doctor host_result pre_push names words git_tree git_commit git_person git_answer
);

/// Text that is shown to a person: nothing in it steers a terminal or hides.
fn is_shown(what: &str) {
    assert!(!what.chars().any(|c| c != '\n' && text::is_harmful(c)), "{what:?}");
}

fn are_shown(problems: &[Problem]) {
    assert!(!problems.is_empty(), "a refusal has a reason");
    for problem in problems {
        is_shown(&problem.message);
        is_shown(&problem.fix);
    }
}

fn string(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn own() -> BTreeSet<String> {
    BTreeSet::from(["web".to_owned()])
}

/// `event.json`: what is read is written back the same way each time, and its message cannot be forged by one of its
/// fields.
pub fn event(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Event>(bytes) else { return };
    let Ok(written) = json::canonical(&event) else { return };
    let again: Event = serde_json::from_slice(&written).unwrap();
    assert_eq!(again, event);
    assert_eq!(json::canonical(&again).unwrap(), written);
    drop(fold::fold(&event, &Files::new()));
    let Ok(message) = message::render(&event, Digest::of(&written)) else { return };
    assert!(message.ends_with('\n') && !message.chars().any(|c| c != '\n' && text::is_harmful(c)), "{message:?}");
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let mut keys: Vec<&str> = last.lines().filter_map(|line| line.split(": ").next()).collect();
    assert!(last.lines().all(|line| line.starts_with("Platform-")), "{message}");
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), last.lines().count(), "each trailer once: {message}");
}

/// Status files and open runs: what is read is written back the same way each time.
pub fn status(bytes: &[u8]) {
    fn law<T: serde::de::DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
        let Ok(value) = serde_json::from_slice::<T>(bytes) else { return };
        let Ok(written) = tree::file(&value) else { return };
        let again: T = serde_json::from_slice(&written).unwrap();
        assert_eq!(again, value);
        assert_eq!(tree::file(&again).unwrap(), written);
    }
    law::<ModuleStatus>(bytes);
    law::<OpenRun>(bytes);
    law::<HostRecord>(bytes);
    law::<Alarms>(bytes);
}

/// Canonical JSON is its own canonical form, in whatever order keys come.
pub fn json_canonical(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    let Ok(written) = json::canonical(&value) else { return };
    let again: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(json::canonical(&again).unwrap(), written);
    if let Value::Object(map) = &value {
        let backwards: Vec<(&String, &Value)> = map.iter().rev().collect();
        let sorted: BTreeMap<&String, &Value> = backwards.into_iter().collect();
        assert_eq!(json::canonical(&sorted).unwrap(), written);
    }
}

/// `module.yaml` is read or refused with reasons that may be shown.
pub fn manifest(bytes: &[u8]) {
    let id: ModuleId = "site".parse().unwrap();
    match Manifest::parse("modules/site/module.yaml", &id, bytes) {
        Ok(manifest) => assert_eq!(manifest.id, id),
        Err(problems) => are_shown(&problems),
    }
}

/// `platform.yaml` is read or refused with reasons that may be shown.
pub fn policy(bytes: &[u8]) {
    if let Err(problems) = Policy::parse(bytes) {
        are_shown(&problems);
    }
}

/// A compose file is read or refused, and everything that is said of it may be shown.
pub fn yaml_compose(bytes: &[u8]) {
    let file: RepoPath = "compose/app.yaml".parse().unwrap();
    match yaml::read_compose(bytes) {
        Ok(node) => {
            let scan = compose::scan(&file, file.parent().as_ref(), &node);
            for problem in &scan.problems {
                is_shown(&problem.message);
                is_shown(&problem.fix);
            }
            let names = [String::from("web")];
            drop(compose::concern(&[&node], &[], Some(&names)));
            drop(compose::concern(&[&node], &[&node], None));
            drop(compose::written(&[&node], "web"));
            drop(compose::dropped(&[&node, &node]));
        }
        Err(error) => is_shown(&error.message),
    }
}

/// Any YAML is read for its places or refused; what two readers read is the same or refused.
pub fn yaml_outline(bytes: &[u8]) {
    if let Err(error) = yaml::outline(bytes) {
        is_shown(&error.message);
    }
    if let Err(error) = yaml::read::<BTreeMap<String, String>>(bytes) {
        is_shown(&error.message);
    }
}

/// A workflow is linted, whatever it is, and every finding has a place in it and may be shown.
pub fn workflow(bytes: &[u8]) {
    for finding in workflows::rules::lint(".forgejo/workflows/x.yaml", bytes, "main") {
        is_shown(&finding.fact);
        is_shown(&finding.fix);
        assert!(finding.line > 0 && finding.column > 0, "{finding:?}");
    }
    let text = string(bytes);
    drop(workflows::script::commands(&text));
    drop(workflows::expression::all(&text));
}

/// A model that Compose rendered is read or refused.
pub fn projection_model(bytes: &[u8]) {
    drop(projection::read(bytes, &own()));
    let service = format!("{{\"services\": {{\"web\": {}}}}}", string(bytes));
    if let Ok(model) = projection::read(service.as_bytes(), &own()) {
        drop(format!("{model:?}"));
    }
}

/// A plan file is a claim: it is read or refused with a reason that may be shown.
pub fn plan_file(bytes: &[u8]) {
    if let Err(refusal) = Claim::parse(bytes, Timestamp::from_unix_s(0)) {
        is_shown(&refusal.fact);
        is_shown(&refusal.fix);
    }
}

/// A host's answer about its machine and about driver `files`.
pub fn host_files(bytes: &[u8]) {
    drop(machine::parse(bytes));
    let head = b"time 1790000000\nmachine \nroot ok\nfree_kb 7\nwritable yes\n";
    for answer in [bytes.to_vec(), [head, bytes].concat()] {
        if let Ok((_, files::Live::Release { name, .. })) = files::parse_look(&answer) {
            assert!(name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        }
    }
}

/// A host's answers about Compose.
pub fn host_compose(bytes: &[u8]) {
    let head = b"time 1790000000\nmachine \nroot ok\nfree_kb 7\nwritable yes\n";
    drop((render::parse(bytes, &own()), render::parse(&[head, bytes].concat(), &own())));
    drop((look::parse(bytes, &own()), watch::parse(bytes), pull::parse(bytes)));
    drop(logs::parse(bytes));
}

/// A host's answer to the doctor.
pub fn host_doctor(bytes: &[u8]) {
    let asked = Asked {
        root: "/opt/platform".parse().unwrap(),
        engine: "unix:///var/run/docker.sock".to_owned(),
        files: BTreeSet::from(["a.env".to_owned()]),
        keys: BTreeSet::from([("PASSWORD".to_owned(), "a.env".to_owned())]),
        networks: BTreeSet::from(["proxy".to_owned()]),
    };
    let head: &[u8] = b"time 1790000000\nmachine \nroot ok\nfree_kb 7\nwritable yes\naccount 1000 deploy staff\n\
                        folder root 755 1000\nfolder secrets - -\n";
    drop((doctor::parse(bytes, &asked), doctor::parse(&[head, bytes, b"\nend\n"].concat(), &asked)));
}

/// What a host says of a run counts only with the nonce of that run, and within its frame.
pub fn host_result(bytes: &[u8]) {
    let run: RunId = "20261122T101530Z-1a2b3c4d".parse().unwrap();
    let nonce = "nobody writes this nonce";
    let ended = matches!(result::fate(&run, nonce, bytes), result::Fate::Ended { .. });
    assert!(!ended || string(bytes).contains(nonce), "another nonce was believed");
    assert!(result::ended_s_ago(bytes).is_none() || bytes.starts_with(b"age "));
    if let Err(why) = probe::verdict(bytes) {
        is_shown(why);
    }
    assert!(frame::unframe(nonce, bytes).is_none() || string(bytes).contains(nonce));
    let framed = [b"\nPC1 n begin\n", bytes, b"\nPC1 n rc=3\n"].concat();
    let (rc, _) = frame::unframe("n", &framed).unwrap();
    assert_eq!(rc, 3, "the last end is ours");
}

/// What git gives a pre-push hook: one update a line, or none at all.
pub fn pre_push(bytes: &[u8]) {
    let text = string(bytes);
    if let Ok(updates) = prepush::updates(&text) {
        assert_eq!(updates.len(), text.lines().count());
        assert!(updates.iter().all(|update| !update.remote_ref.contains([' ', '\n'])));
    }
}

/// No name is an option, or more than one word of a shell.
pub fn names(bytes: &[u8]) {
    const HARMFUL: &str = " \n\t'\"`$;|&*?<>(){}\\!#~^,\u{202e}é";
    let text = string(bytes);
    let names = [
        text.parse::<ComposeName>().map(|name| name.to_string()).ok(),
        text.parse::<ProjectName>().map(|name| name.to_string()).ok(),
        text.parse::<VarName>().map(|name| name.to_string()).ok(),
        text.parse::<KeyName>().map(|name| name.to_string()).ok(),
        text.parse::<ImageName>().map(|name| name.to_string()).ok(),
        text.parse::<GitName>().map(|name| name.to_string()).ok(),
        text.parse::<Destination>().map(|name| name.to_string()).ok(),
        text.parse::<ModuleId>().map(|name| name.to_string()).ok(),
        text.parse::<RunId>().map(|name| name.to_string()).ok(),
        text.parse::<Oid>().map(|name| name.to_string()).ok(),
        text.parse::<NtfyTopic>().map(|name| name.to_string()).ok(),
        text.parse::<TokenVar>().map(|name| name.to_string()).ok(),
    ];
    for name in names.into_iter().flatten() {
        assert!(!name.is_empty() && !name.starts_with('-') && !name.contains(|c| HARMFUL.contains(c)), "{name:?}");
    }
    if let Ok(line) = text.parse::<KnownHost>() {
        assert!(!line.to_string().contains('\n'), "one line of known_hosts");
    }
    if let Ok(url) = text.parse::<NotifyUrl>() {
        assert!(!url.as_str().contains(['@', '?', '#', '\\', ' ', '\n']) && url.as_str().is_ascii(), "{url}");
    }
}

/// Paths stay where they belong, and what is escaped may be shown.
pub fn words(bytes: &[u8]) {
    let text = string(bytes);
    let base: RepoPath = "a/b".parse().unwrap();
    for path in [RepoPath::resolve(Some(&base), &text).ok(), text.parse::<RepoPath>().ok()].into_iter().flatten() {
        assert!(path.as_str().parse::<RepoPath>().is_ok() && !path.as_str().split('/').any(|part| part == ".."));
    }
    if let Ok(path) = text.parse::<HostPath>() {
        assert!(path.to_string().starts_with('/') && !path.to_string().split('/').any(|part| part == ".."));
    }
    for shown in [
        text::shown(&text),
        text::escaped_line(&text),
        text::escaped_bytes(bytes),
        text::escaped_lines(&text).replace('\t', " "),
    ] {
        is_shown(&shown);
    }
    drop((time::duration_ms(&text), text.parse::<Timestamp>()));
    drop((variable::missing(&text, &BTreeSet::new()), leaks::is_literal(&text), leaks::in_env_file(&text)));
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the time to spend and the seeds come from outside")]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
        time::{Duration, Instant},
    };

    use proptest::{
        prelude::*,
        test_runner::{Config, TestRunner},
    };

    use super::*;

    /// Words on which these readers branch.
    const WORDS: &[&str] = &[
        "\0",
        "\n",
        "\n\n",
        "\t",
        " ",
        ": ",
        "- ",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "\\u0000",
        "\u{202e}",
        "..",
        "/",
        "~",
        "$",
        "${A:-b}",
        "-",
        "9007199254740993",
        "1e999",
        "-1",
        "null",
        "true",
        "sha256:",
        "refs/platform/state",
        "remote: ",
        "fatal: ",
        "https://a:b@c/",
        "!\t",
        "tree ",
        "gpgsig ",
        "100644 ",
        "40000 ",
        "services:",
        "model\n",
        "PC1 n rc=",
        "end\n",
    ];

    fn folder(law: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(law)
    }

    fn seeds(law: &str) -> Vec<Vec<u8>> {
        let read = |entry: fs::DirEntry| fs::read(entry.path()).unwrap();
        fs::read_dir(folder(law)).unwrap().map(|entry| read(entry.unwrap())).collect()
    }

    /// One change of a text: where (in 1/65536 of its length), which, and with what.
    type Edit = (u16, u8, usize, Vec<u8>);

    fn edited(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
        for (place, kind, word, more) in edits {
            let at = usize::from(*place) * bytes.len() / 65_536;
            match kind % 6 {
                0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= more.first().map_or(1, |more| *more)),
                1 => drop(bytes.drain(at..(at + more.len()).min(bytes.len()))),
                2 => drop(bytes.splice(at..at, WORDS[word % WORDS.len()].bytes())),
                3 => drop(bytes.splice(at..at, more.iter().copied())),
                4 => bytes.truncate(at),
                _ => bytes.extend_from_within(at..(at + 40).min(bytes.len())),
            }
        }
        bytes
    }

    /// Checks one law on random bytes and on its seeds, changed a little: 256 cases, or for `PLATFORMCTL_FUZZ_SECONDS`.
    fn hold(law: &str, check: fn(&[u8])) {
        let seeds = seeds(law);
        assert!(!seeds.is_empty(), "{law} has no seeds");
        seeds.iter().for_each(|seed| check(seed));
        let edit = (any::<u16>(), any::<u8>(), any::<usize>(), prop::collection::vec(any::<u8>(), 0..12));
        let near = (prop::sample::select(seeds), prop::collection::vec(edit, 1..8))
            .prop_map(|(seed, edits)| edited(seed, &edits));
        let far = prop::collection::vec(any::<u8>(), 0..300);
        let input = prop_oneof![4 => near, 1 => far];
        let seconds = std::env::var("PLATFORMCTL_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let (begun, spend) = (Instant::now(), Duration::from_secs(seconds));
        loop {
            let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
            let checked = |bytes: Vec<u8>| {
                check(&bytes);
                Ok(())
            };
            if let Err(error) = runner.run(&input, checked) {
                panic!("{law}: {error}");
            }
            if begun.elapsed() >= spend {
                return;
            }
        }
    }

    macro_rules! each {
        ($($name:ident)*) => {
            $(#[test] fn $name() { hold(stringify!($name), super::$name); })*

            #[test]
            fn every_law_is_run() {
                let run = [$(stringify!($name)),*];
                assert_eq!(LAWS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), run);
            }
        };
    }

    each!(
        event status json_canonical manifest policy yaml_compose yaml_outline workflow projection_model plan_file
        host_files host_compose host_doctor host_result pre_push names words git_tree git_commit git_person git_answer
    );

    /// A law without a target would be tried by no fuzzer.
    #[test]
    fn every_law_has_a_fuzz_target() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let files = fs::read_dir(root.join("fuzz_targets")).unwrap();
        let mut files: Vec<String> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.sort_unstable();
        let mut wanted: Vec<String> = LAWS.iter().map(|(name, _)| format!("{name}.rs")).collect();
        wanted.sort_unstable();
        assert_eq!(files, wanted);
        for (name, _) in LAWS {
            let text = fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(text.contains(&format!("platformctl::laws::{name}(bytes)")), "{name}");
            assert!(
                manifest.contains(&format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")),
                "{name}"
            );
        }
    }
}
