//! `--timings`: where the time of a command went.

use serde_json::Value;

use crate::support::site::Site;

/// The phases of the table in an output, and whether their times are those of the last line.
fn table(output: &str) -> Vec<String> {
    let mut lines = output.lines().skip_while(|line| *line != "where the time went").skip(1);
    let (mut phases, mut sum) = (Vec::new(), 0);
    loop {
        let line = lines.next().unwrap_or_else(|| panic!("the table has a last line: {output}"));
        assert!(line.starts_with("  ") && line.chars().count() <= 60 && line.ends_with(" %"), "{line}");
        let words: Vec<&str> = line.split_whitespace().collect();
        let [phase, seconds, "s", _, "%"] = words[..] else { panic!("{line}") };
        let ms: u64 = seconds.replace('.', "").parse().unwrap();
        if phase == "total" {
            assert_eq!(ms, sum, "{output}");
            return phases;
        }
        sum += ms;
        phases.push(phase.to_owned());
    }
}

fn measured(value: &Value) -> Vec<&str> {
    value["durations_ms"].as_object().unwrap_or_else(|| panic!("{value}")).keys().map(String::as_str).collect()
}

#[test]
fn apply_timings_are_printed() {
    let site = Site::new();
    let phases = table(&site.run(1, "plan site --timings"));
    assert_eq!(phases, ["fetch", "approve", "bind", "observe", "plan", "gate"]);
    assert!(!site.run(1, "plan site").contains("where the time went"));
    let applied = site.run(1, "apply site --pr 1 --timings");
    assert_eq!(
        table(&applied),
        ["fetch", "approve", "bind", "observe", "plan", "gate", "open", "ship", "run", "verify", "close"]
    );
    let last = applied.lines().last().unwrap();
    assert_eq!(last, "next: platformctl status site", "{applied}");
    let noop = table(&site.run(2, "apply site --pr 1 --timings"));
    assert_eq!(noop, ["fetch", "approve", "bind", "observe", "plan", "gate"]);
}

#[test]
fn json_results_contain_durations() {
    let site = Site::new();
    let plan = site.json(1, "plan site");
    assert_eq!(measured(&plan), ["approve", "bind", "fetch", "gate", "observe", "plan"]);
    let unapproved = site.json(1, &format!("apply site --approved {}", "0".repeat(40)));
    assert_eq!((unapproved["exit"].as_u64(), measured(&unapproved)), (Some(6), vec!["approve", "fetch"]));
    let applied = site.json(1, "apply site --pr 1");
    assert_eq!(
        measured(&applied),
        ["approve", "bind", "close", "fetch", "gate", "observe", "open", "plan", "run", "ship", "verify"]
    );
    let noop = site.json(2, "apply site --pr 1 --timings");
    assert_eq!((noop["outcome"].as_str(), measured(&noop).len()), (Some("noop"), 6));
    // What failed before a module was looked at.
    let usage = site.json(2, "apply site");
    assert_eq!((usage["exit"].as_u64(), measured(&usage)), (Some(2), vec![]));
    // A preview of what is not merged.
    site.repo.branch("pr2", "main");
    site.repo.write("modules/site/public/index.html", "two\n");
    site.repo.commit("two");
    site.repo.propose(2);
    assert_eq!(measured(&site.json(3, "plan site --pr 2")), ["approve", "fetch", "plan"]);
}
