//! Runs: locks that are held now, and what a run that was killed left behind.

use crate::{
    flow::open::lock_of,
    model::{ids::RunId, shell, status::OpenRun},
    runtime::doctor::Seen,
    verb::doctor::{Case, Check, Fix},
};

pub(crate) fn judge(case: &Case<'_>, seen: &Seen) -> Vec<Check> {
    let mut checks = vec![Check::pass(
        "locks",
        match seen.locks.as_slice() {
            [] => "none is held".to_owned(),
            held => format!("held right now, so a run is at work: {}", held.join(", ")),
        },
    )];
    let open: Vec<&OpenRun> = case.base.open.iter().filter(|open| open.host == *case.name).collect();
    let mut told: Vec<Check> = seen.runs.iter().map(|run| begun(case, seen, run, &open)).collect();
    // Open in the record, and ended or never begun here: resume asks which.
    let others = open.iter().filter(|open| !seen.runs.contains(&open.run));
    told.extend(others.map(|open| {
        let fact = format!("run {} of {} is open in the record; here it has ended or not begun", open.run, open.module);
        Check::warn("runs", fact, Fix::here(format!("platformctl resume {}", open.run)))
    }));
    if told.is_empty() {
        told.push(Check::pass("runs", "none was left behind"));
    }
    checks.extend(told);
    checks
}

/// A run that began here and left neither a result nor a tombstone.
fn begun(case: &Case<'_>, seen: &Seen, run: &RunId, open: &[&OpenRun]) -> Check {
    match open.iter().find(|open| open.run == *run) {
        Some(open) if seen.locks.contains(&lock_of(open)) => {
            Check::pass("runs", format!("run {run} of {} is at work", open.module))
        }
        Some(open) => Check::warn(
            "runs",
            format!("run {run} of {} began here and was killed", open.module),
            Fix::here(format!("platformctl abandon {run} --reason \"killed on {}\"", case.name)),
        ),
        None if !case.base.current || !seen.locks.is_empty() => Check::warn(
            "runs",
            format!("run {run} left no result, and the record here does not know it as open"),
            Fix::here("platformctl state fetch"),
        ),
        None => Check::warn(
            "runs",
            format!("run {run} left no result, and the record does not know it as open"),
            Fix::host(format!("ls -la {}", shell::word(&format!("{}/runs/{run}", case.policy.root)))),
        ),
    }
}
