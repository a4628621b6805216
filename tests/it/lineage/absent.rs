//! Findings about what this version does not have: shown by reading its source, its workflows and its tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_yaml::Value;

use crate::generated::rust_files;

/// The variables of ours that a text names.
fn variables(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_uppercase() || c == '_';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("PLATFORMCTL_"));
    words.map(str::to_owned).collect()
}

/// What `env:` of a mapping sets.
fn sets(at: &Value) -> Vec<String> {
    let env = at.get("env").and_then(Value::as_mapping);
    env.into_iter().flatten().filter_map(|(name, _)| name.as_str().map(str::to_owned)).collect()
}

/// Finding: a workflow sets a variable that nothing reads
/// Decided: docs/reviews.md: the variables of the forge; a name stands in the code and in a page, or in neither
#[test]
fn a_workflow_sets_a_variable_that_nothing_reads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // What the program reads, with its tests where they are the reader, and names that begin with what it asks for.
    let mut code: BTreeSet<String> = BTreeSet::new();
    for (file, text) in super::source() {
        let text = if file == "laws.rs" { fs::read_to_string(root.join("src/laws.rs")).unwrap() } else { text };
        let quoted = variables(&text).into_iter().filter(|name| text.contains(&format!("\"{name}\"")));
        code.extend(quoted);
    }
    let reads = |name: &str| code.iter().any(|read| name == read || read.ends_with('_') && name.starts_with(read));
    assert!(reads("PLATFORMCTL_FORGEJO_TOKEN") && !reads("PLATFORMCTL_NOBODY"), "{code:?}");
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()) {
        let lineage = entry.file_stem().is_some_and(|name| name == "lineage");
        if let Some(text) = fs::read_to_string(&entry).ok().filter(|_| !lineage) {
            pages.insert(entry.display().to_string(), text);
        }
    }
    for (page, text) in &pages {
        for name in variables(text) {
            // A secret of the repository is named by a workflow and is no variable.
            assert!(reads(&name) || text.contains(&format!("secrets.{name}")), "{page} names {name}: nothing reads it");
        }
    }
    for name in code.iter().filter(|name| !name.starts_with("PLATFORMCTL_TEST_") && !name.ends_with('_')) {
        // What git is handed the token under is set and read by us.
        let documented = name == "PLATFORMCTL_GIT_TOKEN" || pages.values().any(|text| variables(text).contains(name));
        assert!(documented, "no page has {name}, which the program reads");
    }
    // Of a workflow: every variable is used in a script that can see it, or is the program's.
    for (name, text) in super::workflows() {
        let workflow: Value = serde_yaml::from_str(&text.replace('@', "_")).unwrap();
        let scripts = |steps: &[&Value]| -> String {
            let runs = steps.iter().filter_map(|step| step.get("run").and_then(Value::as_str));
            runs.collect::<Vec<_>>().join("\n")
        };
        let jobs: Vec<&Value> = workflow["jobs"].as_mapping().unwrap().values().collect();
        let mut steps: Vec<Vec<&Value>> = Vec::new();
        for job in &jobs {
            steps.push(job.get("steps").and_then(Value::as_sequence).into_iter().flatten().collect());
        }
        let mut seen = vec![(sets(&workflow), scripts(&steps.concat()))];
        seen.extend(jobs.iter().zip(&steps).map(|(job, steps)| (sets(job), scripts(steps))));
        seen.extend(steps.concat().into_iter().map(|step| (sets(step), scripts(&[step]))));
        for (variables, script) in seen {
            for variable in variables {
                assert!(!variable.starts_with("PLATFORMCTL_TEST_"), "{name} sets {variable}");
                let used = [format!("${variable}"), format!("${{{variable}")].iter().any(|word| script.contains(word));
                let program = reads(&variable) && script.contains("platformctl");
                assert!(used || program, "{name} sets {variable}, which its script does not use:\n{script}");
            }
        }
    }
}

/// Finding: tests that inject the checker and so never test the binding
/// Decided: CONTRIBUTING.md: nothing of git or ssh is mocked, and the forge of the tests is a server that answers over HTTP
#[test]
fn tests_that_inject_the_checker_and_so_never_test_the_binding() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Ports that a proof or the binding rests on, and the tests' own versions of them: each has the real one inside.
    let wrappers = [
        "impl Checkout for Faulty<'_, Git>",
        "impl Source for Faulty<'_, Git>",
        "impl Remote for Faulty<'_, dyn Remote>",
        "impl Remote for Faulty<'_>",
        "impl Remote for Lagging<'_>",
        "impl Remote for Counted<'_>",
        "impl Merger for Faulty<'_, Git>",
    ];
    let mut found = Vec::new();
    for path in rust_files(&root.join("tests/it")).into_iter().chain(rust_files(&root.join("src"))) {
        let text = fs::read_to_string(&path).unwrap();
        let is_test = path.starts_with(root.join("tests"));
        let tests =
            if is_test { text.as_str() } else { text.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests) };
        for line in tests.lines().map(|line| line.trim().trim_end_matches(" {").trim_end_matches('{')) {
            let port = ["Forge", "Source", "Checkout", "Remote", "Merger"]
                .iter()
                .any(|port| line.starts_with("impl") && line.contains(&format!(" {port} for ")));
            // The stages are taken from the program, never written again beside a test.
            let stage = ["approve", "bind", "gate"].iter().any(|stage| {
                [format!("fn {stage}("), format!("fn {stage}<")].iter().any(|begin| line.contains(begin.as_str()))
            });
            if port && !wrappers.contains(&line) || stage && line.contains("Approved") {
                found.push(format!("{}: {line}", path.display()));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
    // And the program has no switch for tests that opens one: the clock, a planted panic, and nothing else.
    let switches: BTreeSet<String> = super::source().iter().flat_map(|(_, code)| variables(code)).collect();
    let switches: Vec<&String> = switches.iter().filter(|name| name.contains("_TEST_")).collect();
    assert_eq!(switches, ["PLATFORMCTL_TEST_CLOCK", "PLATFORMCTL_TEST_PANIC"]);
    let cfgs = super::source().iter().map(|(_, code)| code.matches("debug_assertions").count()).sum::<usize>();
    assert_eq!(cfgs, 2, "these two alone exist in debug builds");
}
