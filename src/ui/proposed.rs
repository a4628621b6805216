//! The plan of a whole pull request, and `check`, rendered.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{
    Last, Render,
    markdown::headline,
    notice, plural,
    report::{cure, failed},
    timings::{durations_ms, timings},
    wrapped,
};
use crate::{
    error::{Class, Failure},
    model::{ending::Outcome, ids::Oid, policy_change::PolicyChange, refusal::Refusal},
    verb::proposed::{Difference, Proposed, Removed},
};

/// How the plan of a pull request is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// Whether a plan that changes something has an exit code of its own.
    pub exit_code: bool,
    /// Whether the timings are printed.
    pub timings: bool,
    /// The Markdown, if it is printed instead of lines.
    pub markdown: Option<&'a str>,
    /// What could not be shown on the forge.
    pub unseen: &'a [String],
}

/// The plan of a pull request, as it was asked for.
pub struct WholePlan<'a>(pub &'a Proposed, pub Asked<'a>);

/// Whether a pull request could be applied.
pub struct Checked<'a>(pub &'a Proposed, pub Asked<'a>);

/// The object of both.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Whole {
    /// The pull request.
    pr: u64,
    /// Its head; null where it is not known.
    head: Option<Oid>,
    /// Its merge result; null while it is not merged.
    merge: Option<Oid>,
    /// A result of each module on each of its hosts, as `plan` of that module prints it.
    targets: Vec<Value>,
    /// What differs in each service, by deployment; values of variables are not shown.
    differences: BTreeMap<String, BTreeMap<String, Vec<Difference>>>,
    /// Deployments that nothing describes after it.
    removed: Vec<Removed>,
    /// What it changes in platform.yaml.
    policy: Vec<PolicyChange>,
    /// How long each phase took, in milliseconds.
    durations_ms: BTreeMap<&'static str, u64>,
}

fn whole(proposed: &Proposed) -> Whole {
    let version = proposed.version.as_ref().ok();
    let named = proposed.targets.iter().filter(|one| !one.differences.is_empty()).map(|one| {
        let host = one.planned.proposal.as_ref().map(|proposal| proposal.intention.host.to_string());
        (format!("{}@{}", one.planned.module, host.unwrap_or_default()), one.differences.clone())
    });
    Whole {
        pr: proposed.pr,
        head: version.map(|version| version.head),
        merge: version.and_then(|version| version.merge),
        targets: proposed.targets.iter().map(|one| one.planned.report().json()).collect(),
        differences: named.collect(),
        removed: proposed.removed.clone(),
        policy: proposed.policy.clone(),
        durations_ms: durations_ms(&proposed.durations_ms),
    }
}

/// Why it could not be applied, if it could not.
fn failure(proposed: &Proposed) -> Option<Failure> {
    if let Err(stop) = &proposed.version {
        return Some(stop.into());
    }
    let refusals = proposed.all_refusals();
    (!refusals.is_empty()).then(|| Failure::refused(refusals))
}

fn warnings(proposed: &Proposed, asked: Asked<'_>) -> Vec<String> {
    let mut warnings = notice::warnings(&proposed.notices);
    for warning in proposed.targets.iter().flat_map(|one| &one.planned.proposal).flat_map(|one| &one.warnings) {
        if !warnings.contains(warning) {
            warnings.push(warning.clone());
        }
    }
    warnings.extend(asked.unseen.iter().cloned());
    warnings
}

impl Render for WholePlan<'_> {
    const COMMAND: &'static str = "plan";

    fn object(&self) -> impl Serialize {
        whole(self.0)
    }

    fn outcome(&self) -> Outcome {
        match failure(self.0) {
            Some(failure) if failure.class.is_refusal() => Outcome::Refused,
            Some(_) => Outcome::Error,
            None if self.0.changes() => Outcome::Ok,
            None => Outcome::Noop,
        }
    }

    fn refusals(&self) -> Vec<Refusal> {
        failure(self.0).map_or_else(Vec::new, |failure| failure.refusals)
    }

    fn class(&self) -> Class {
        match failure(self.0) {
            Some(failure) => failure.class,
            None if self.1.exit_code && self.0.changes() => Class::Differs,
            None => Class::Done,
        }
    }

    fn warnings(&self) -> Vec<String> {
        warnings(self.0, self.1)
    }

    fn text(&self) -> Option<&str> {
        self.1.markdown
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = wrapped(&headline(self.0), "");
        for change in &self.0.policy {
            let none = "nothing".to_owned();
            let (from, to) = (change.from.as_ref().unwrap_or(&none), change.to.as_ref().unwrap_or(&none));
            lines.extend(wrapped(&format!("platform.yaml {}: {from} → {to}", change.key), "  "));
        }
        for one in &self.0.removed {
            let running = if one.running { ", still running there" } else { "" };
            lines.push(format!("nothing describes {} on {} any more{running}", one.module, one.host));
        }
        lines.extend(self.0.targets.iter().flat_map(|one| one.planned.lines()));
        if let (true, Some(failure)) = (self.0.targets.is_empty() || !self.0.refusals.is_empty(), failure(self.0)) {
            lines.extend(failed(&failure));
        }
        if self.1.timings {
            lines.extend(timings(&self.0.durations_ms));
        }
        lines
    }

    fn last(&self) -> Last {
        let merged = self.0.version.as_ref().is_ok_and(|version| version.merge.is_some());
        match failure(self.0) {
            Some(failure) => cure(&failure),
            None if !self.0.changes() => Last::Next("platformctl pending".to_owned()),
            None if merged => Last::Next(format!("platformctl apply --pr {}", self.0.pr)),
            None => Last::Next(format!("review PR #{} and merge it", self.0.pr)),
        }
    }
}

impl Render for Checked<'_> {
    const COMMAND: &'static str = "check";

    fn object(&self) -> impl Serialize {
        whole(self.0)
    }

    fn outcome(&self) -> Outcome {
        WholePlan(self.0, self.1).outcome()
    }

    fn refusals(&self) -> Vec<Refusal> {
        WholePlan(self.0, self.1).refusals()
    }

    fn class(&self) -> Class {
        failure(self.0).map_or(Class::Done, |failure| failure.class)
    }

    fn warnings(&self) -> Vec<String> {
        warnings(self.0, self.1)
    }

    fn lines(&self) -> Vec<String> {
        match failure(self.0) {
            Some(failure) => failed(&failure),
            None => vec![format!(
                "✓ PR #{} can be applied{}: {}",
                self.0.pr,
                if self.0.version.as_ref().is_ok_and(|version| version.merge.is_some()) {
                    ""
                } else {
                    " once it is merged"
                },
                plural(self.0.targets.len(), "module")
            )],
        }
    }

    fn last(&self) -> Last {
        WholePlan(self.0, self.1).last()
    }
}
