//! Results: each command returns one typed value, which is rendered as lines and as the object of the published schema.

use std::{fs, path::Path};

use crate::support::site::Site;

/// `Site::json` compares each object with `schema/result.json`, and refuses a field that the schema does not have.
#[test]
fn every_command_prints_an_object_of_the_schema() {
    let site = Site::new();
    let ends = |minutes, command: &str, outcome: &str| {
        let object = site.json(minutes, command);
        assert_eq!(object["outcome"], outcome, "{command}: {object}");
        assert_eq!(object["command"], command.split(' ').next().unwrap());
        object
    };
    // Before there is a record.
    ends(0, "status", "error");
    ends(0, "verify", "ok");
    ends(0, "pending", "ok");
    ends(0, "state fetch", "ok");
    ends(0, "state push", "error");
    ends(0, "doctor", "ok");
    ends(0, "validate", "ok");
    ends(0, "plan site --pr 1", "ok");
    ends(0, "plan site --pr 77", "refused");
    ends(0, "plan site --at nosuch", "error");
    // One apply, and what reads it.
    ends(1, "apply site", "error");
    let applied = ends(1, "apply site --pr 1", "applied");
    assert_eq!((&applied["checkout"], &applied["gate"][0]["result"]), (&"bound".into(), &"pass".into()));
    ends(2, "apply site --pr 1", "noop");
    ends(2, "apply --pr 1", "noop");
    ends(2, "plan site", "noop");
    for command in ["status", "status site", "log", "log site", "show", "show site", "show 1", "pending --offline"] {
        ends(2, command, "ok");
    }
    let run = applied["run"].as_str().unwrap();
    ends(2, &format!("show {run}"), "ok");
    for command in ["verify", "verify --offline", "state push", "state fetch", "resume"] {
        ends(2, command, "ok");
    }
    ends(2, "state recover --reason why", "error");
    ends(2, &format!("resume {run}"), "error");
    ends(2, &format!("abandon {run} --reason why"), "error");
    // What a person asks of this clone.
    ends(3, "init", "ok");
    ends(3, "hook install", "ok");
    ends(3, "hook pre-push origin", "ok");
    for command in ["help", "help recovery", "schema", "schema result"] {
        ends(3, command, "ok");
    }
    ends(3, "schema nosuch", "error");
    // A second pull request, whose manifest is not valid.
    let manifest = site.repo.work().join("modules/site/module.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("{text}unknown: 1\n")).unwrap();
    let invalid = ends(4, "validate", "refused");
    assert_eq!((&invalid["exit"], &invalid["code"]), (&3.into(), &"manifest_invalid".into()));
}

/// The advice to pin the record is given where it can be followed: by the apply that wrote the first record, and by
/// what looks at the record as a whole.
#[test]
fn the_unpinned_record_is_told_of_by_status_and_verify_alone() {
    let site = Site::new();
    let advice = |minutes, command: &str| site.run(minutes, command).contains("the record is not pinned");
    for command in ["verify", "pending", "plan site --pr 1"] {
        assert!(!advice(0, command), "{command}: there is no record yet");
    }
    assert!(advice(0, "apply site --pr 1"), "this apply writes the first record");
    site.change(2, "two\n");
    for command in ["apply site --pr 2", "plan site", "pending", "state fetch", "resume", "log", "show", "status site"]
    {
        assert!(!advice(1, command), "{command}");
    }
    assert!(advice(2, "status") && advice(2, "verify"));
    // A pin on the base ends it, for `status` as soon as it was fetched.
    let genesis = site.repo.git(&["rev-list", "--max-parents=0", "refs/platform/state"]);
    let policy = fs::read_to_string(site.repo.work().join("platform.yaml")).unwrap();
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.write("platform.yaml", &format!("{policy}state: {{genesis: {}}}\n", genesis.trim()));
    site.repo.commit("pin the record");
    site.repo.publish();
    assert!(site.run(3, "state fetch").starts_with("exit 0\n"));
    assert!(!advice(3, "status"));
}

/// A rendering of a typed result rests on the value alone: nothing in `ui` opens a file, asks git, or reads the clock
/// of this machine.
#[test]
fn ui_names_no_effects() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ui");
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("\n#[cfg(test)]\n").next().unwrap();
        for effect in ["Ports", "dyn Source", "dyn Ledger", "dyn Remote", "dyn Host", "std::fs", "SystemTime"] {
            assert!(!code.contains(effect), "{} names {effect}", path.display());
        }
    }
}
