//! Output tells the truth: what could not be printed, what is named, and what an operator can follow anywhere.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use platformctl::cli::topics;

use crate::support::site::Site;

/// The text of every source file before its tests, without comments: what the program may say.
fn source() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, mut folders) = (Vec::new(), vec![root]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let before = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
            let code = before.lines().map(|line| line.split("//").next().unwrap_or_default());
            files.push((path.display().to_string(), code.collect::<Vec<_>>().join("\n")));
        }
    }
    assert!(files.len() > 100, "the source was found");
    files
}

/// Runs the binary where there is no repository.
fn platformctl(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_platformctl")).args(args).current_dir("/").output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// Attack: a message points an operator to a file that exists only in the source repository of this project
/// Defence: messages name `platformctl help TOPIC`; the pages are compiled into the binary
#[test]
fn messages_do_not_refer_to_repository_files() {
    let mut found = Vec::new();
    for (file, code) in source() {
        for line in code.lines().filter(|line| line.contains("docs/") && !line.contains("include_str!")) {
            found.push(format!("{file}: {line}"));
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

/// What an operator pastes is a path, and sizes are told in one unit.
#[test]
fn messages_contain_real_paths_and_mib() {
    let mut found = Vec::new();
    for (file, code) in source() {
        for line in code.lines().filter(|_| file.ends_with(".rs")) {
            let placeholder = ["<root>", "<run>", "<module>/"].iter().any(|word| line.contains(word));
            let unit = [" bytes are", "} bytes", " MB", " KB", " GB"].iter().any(|word| line.contains(word));
            if placeholder || unit {
                found.push(format!("{file}: {line}"));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn help_topics_in_messages_exist() {
    let (mut named, marker) = (0, "platformctl help ");
    for (file, code) in source() {
        for (at, _) in code.match_indices(marker) {
            let word = |c: char| c.is_ascii_lowercase() || c == '-';
            let topic: String = code[at + marker.len()..].chars().take_while(|c| word(*c)).collect();
            if topic.is_empty() || code[at + marker.len()..].starts_with("lists") {
                continue;
            }
            named += 1;
            let (code, text) = platformctl(&["help", &topic]);
            assert!(code == Some(0) && text.starts_with("# "), "{file}: {topic}: {text}");
        }
    }
    assert!(named > 4);
    let (_, list) = platformctl(&["help"]);
    for topic in topics::ALL {
        assert!(list.contains(&format!("\n  {} ", topic.name)), "{list}");
        let (code, text) = platformctl(&["help", topic.name]);
        assert!(code == Some(0) && !text.contains(".md)"), "{text}");
    }
}

/// Every page is a topic, but for those that only who changes this program needs.
#[test]
fn every_operator_page_is_a_help_topic() {
    let pages = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap();
    for page in pages.map(|page| page.unwrap().path()).filter(|path| path.is_file()) {
        let name = page.file_stem().unwrap().to_str().unwrap();
        let other = ["architecture", "cli", "fuzzing", "lineage", "performance", "releasing"].contains(&name);
        assert!(other || topics::Topic::find(name).is_some(), "{name} is no topic (src/cli/topics.rs)");
    }
}

#[test]
fn help_suggests_the_nearest_command() {
    let (code, text) = platformctl(&["help", "apply"]);
    assert!(code == Some(0) && text.contains("Usage: platformctl apply"), "{text}");
    let (code, text) = platformctl(&["help", "state", "push"]);
    assert!(code == Some(0) && text.contains("Usage: platformctl state push"), "{text}");
    let (code, text) = platformctl(&["help", "recovry"]);
    assert_eq!((code, text.lines().last()), (Some(2), Some("fix: platformctl help recovery")));
    let (code, text) = platformctl(&["stauts"]);
    assert!(code == Some(2) && text.contains("'status'"), "{text}");
    let (code, text) = platformctl(&["help", "recovery", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, object["text"].as_str().unwrap().starts_with("# ")), (Some(0), true));
}

/// Attack: a full disk drops the output of a command, and the calling script continues
/// Defence: output that cannot be written is an error (exit code 1)
#[test]
fn an_answer_that_cannot_be_printed_is_an_error() {
    let site = Site::new();
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    for args in ["status", "status --json", "log", "help recovery", "schema module", "--version", "--help"] {
        let args: Vec<&str> = args.split(' ').collect();
        let mut command = site.binary(&site.repo.work(), 1, &args);
        let full = fs::File::create("/dev/full").unwrap();
        let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("not all of the answer could be printed: No space left"), "{args:?}: {said}");
        // A reader who is gone knows that; the script still learns that it has not seen everything.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.as_str()), (Some(1), ""), "{args:?}");
    }
    // What went wrong before that keeps its own code, and a run is carried out all the same.
    let mut command = site.binary(&site.repo.work(), 2, &["apply", "site", "--pr", "77"]);
    let output = command.stdout(fs::File::create("/dev/full").unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    site.change(2, "two\n");
    let mut command = site.binary(&site.repo.work(), 3, &["apply", "site", "--pr", "2"]);
    let output = command.stdout(fs::File::create("/dev/full").unwrap()).output().unwrap();
    assert_eq!((output.status.code(), site.live().as_str()), (Some(1), "two\n"));
    assert!(site.run(4, "status").contains("open runs 0"));
}

#[test]
fn unknown_names_get_a_suggestion() {
    let site = Site::new();
    let said = site.run(0, "status");
    assert!(said.starts_with("exit 9\nSTOPPED no_state (9). Nothing was changed."), "nobody was asked: {said}");
    for (command, exit) in [("plan sitte", 2), ("apply sitte --pr 1", 2), ("validate sitte", 2)] {
        let said = site.run(0, command);
        assert!(
            said.starts_with(&format!("exit {exit}\n")) && said.contains("did you mean `site`?"),
            "{command}: {said}"
        );
    }
    let said = site.run(0, "doctor --host bax");
    assert!(said.starts_with("exit 2\n") && said.contains("did you mean `box`?"), "{said}");
    assert!(site.run(0, "apply site --pr 1").starts_with("exit 0\n"));
    for command in ["log nosuch", "status nosuch", "show nosuch"] {
        let said = site.run(1, command);
        assert!(said.contains("there is no module nosuch"), "{command}: {said}");
        let code = site.json(1, command)["code"].as_str().map(str::to_owned);
        assert_eq!(code.as_deref(), Some("unknown_module"), "{command}");
        let near = site.run(1, &command.replace("nosuch", "siet"));
        assert!(near.contains("fix: did you mean `site`?"), "{near}");
    }
    // One that exists and was never applied is not called missing.
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.write("modules/other/public/x", "x");
    let manifest = fs::read_to_string(site.repo.work().join("modules/site/module.yaml")).unwrap();
    site.repo.write("modules/other/module.yaml", &manifest.replace("site", "other"));
    site.repo.commit("another module");
    site.repo.publish();
    assert!(site.run(2, "state fetch").starts_with("exit 0\n"));
    assert!(site.run(2, "log other").contains("never applied"));
}

/// What a word of ours means stands where it appears.
#[test]
fn our_terms_are_explained() {
    let site = Site::empty("approval: {styles: [merge, fast-forward]}\n");
    site.repo.branch("pr1", "main");
    site.manifest("");
    site.repo.write("modules/site/public/index.html", "one\n");
    site.repo.commit("page");
    let head = site.repo.propose(1);
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo.git(&["merge", "-q", "--ff-only", "pr1"]);
    site.repo.publish();
    let weak = "  weak: by a fast-forward, which git alone cannot tell from\n  a push without a pull request\n";
    for command in [format!("plan site --approved {head} --pr 1"), format!("apply site --approved {head} --pr 1")] {
        let said = site.run(0, &command);
        assert!(said.starts_with("exit 0\n") && said.contains(weak), "{said}");
    }
    let said = site.run(1, "show");
    assert!(said.contains("fast-forward, weak, covers #1") && said.contains(weak), "{said}");
    // Two pull requests by one apply, and a newer one that is passed over.
    site.change(2, "two\n");
    site.change(3, "three\n");
    site.change(4, "four\n");
    let said = site.run(2, "apply site --pr 3 --allow-older --no-checkout-binding");
    assert!(said.contains("covers #2 #3") && said.contains("  covers: the pull requests"), "{said}");
    let said = site.run(3, "show 4");
    for word in ["covers", "superseded", "checkout"] {
        assert!(said.contains(&format!("\n  {word}: ")), "{word}: {said}");
    }
}
