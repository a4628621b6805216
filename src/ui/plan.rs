//! `plan`, rendered: lines, the object, and the plan file.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Last, Render, meanings, notice, plural,
    report::{cure, failed, object, outcome_of},
    table,
    timings::{durations_ms, timings},
    wrapped,
};
use crate::{
    error::{Class, Failure},
    model::{
        approval::{Approval, Style},
        digest::Digest,
        ending::Outcome,
        gate::GateCheck,
        ids::{HostName, ModuleId},
        plan::{self, Action, Change, Data, Downtime, Intention, PlanFile, PlanStatus},
        refusal::Refusal,
        result::Failed,
    },
    verb::{
        plan::Proposal,
        planned::{GOOD_FOR_S, Planned, Plans},
    },
};

/// The object of `plan`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Shown {
    /// The module.
    module: ModuleId,
    /// Its host.
    host: HostName,
    /// The approval; null where there is none yet.
    approved: Option<Approval>,
    /// What would change, in order.
    changes: Vec<Change>,
    /// What an apply would be asked first.
    gate: Vec<GateCheck>,
    /// What is promised.
    plan: Promise,
    /// Of a pull request that is not merged: the ways of merging it that will be accepted.
    styles: Vec<Style>,
    /// How long each phase took, in milliseconds; for several hosts it is the sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    durations_ms: Option<BTreeMap<&'static str, u64>>,
}

/// What a plan promises.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Promise {
    /// The promise.
    intent: Intention,
    /// Its digest.
    digest: Digest,
}

impl Shown {
    fn of(proposal: &Proposal) -> Self {
        let intent = &proposal.intention;
        Self {
            module: intent.module.clone(),
            host: intent.host.clone(),
            approved: proposal.approval.clone(),
            changes: intent.changes.clone(),
            gate: proposal.checks.clone(),
            plan: Promise { intent: intent.clone(), digest: proposal.digest },
            styles: proposal.styles.clone(),
            durations_ms: None,
        }
    }
}

/// Most changes that are shown to a person; `--json` has all of them.
const SHOWN_MAX: usize = 60;

/// One line a change: what, on what, why, and what it costs.
pub(super) fn changes(changes: &[Change]) -> Vec<String> {
    let rows: Vec<Vec<String>> = changes
        .iter()
        .take(SHOWN_MAX)
        .map(|change| {
            let action = match change.action {
                Action::Create => "create",
                Action::Adopt => "adopt",
                Action::Recreate => "replace",
                Action::Start => "start",
                Action::Remove => "remove",
                Action::None => "keep",
            };
            let cost = match (change.data, change.downtime) {
                (Data::AtRisk, _) => "DATA AT RISK",
                (Data::None, Downtime::None) => "",
                (Data::None, Downtime::Restart) => "restarts",
                (Data::None, Downtime::StopFirst) => "stops",
            };
            vec![
                format!("  {action}"),
                change.service.clone(),
                change.reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                cost.to_owned(),
            ]
        })
        .collect();
    let mut lines = table(&rows);
    if changes.len() > SHOWN_MAX {
        lines.push(format!("  … and {} more", changes.len() - SHOWN_MAX));
    }
    lines
}

/// Why a plan may not be applied, or why there is none.
fn failure(planned: &Planned) -> Option<Failure> {
    match &planned.proposal {
        Ok(proposal) if proposal.refusals.is_empty() => None,
        Ok(proposal) => Some(Failure::refused(proposal.refusals.clone())),
        Err(stop) => Some(stop.into()),
    }
}

/// The plan as it is written to a file.
pub fn plan_file(planned: &Planned) -> PlanFile {
    let status = match (failure(planned), &planned.proposal) {
        (None, _) => PlanStatus::Ok,
        (Some(_), Ok(_)) => PlanStatus::Refused,
        (Some(failure), Err(_)) if failure.class.is_refusal() => PlanStatus::Refused,
        (Some(_), Err(_)) => PlanStatus::Error,
    };
    let proposal = planned.proposal.as_ref().ok();
    PlanFile {
        schema: plan::SCHEMA.to_owned(),
        tool: concat!("platformctl ", env!("CARGO_PKG_VERSION")).to_owned(),
        status,
        intent: proposal.map(|proposal| proposal.intention.clone()),
        digest: proposal.map(|proposal| proposal.digest),
        refusals: failure(planned).map_or_else(Vec::new, |failure| failure.refusals),
        observed: proposal.map_or(Value::Null, |proposal| proposal.observed.clone()),
        created: planned.at,
        expires: planned.at.plus_s(GOOD_FOR_S),
    }
}

/// The object of `plan` for a module on several hosts.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Several {
    /// A result for each host.
    targets: Vec<Value>,
    /// How long each phase took, in milliseconds.
    durations_ms: BTreeMap<&'static str, u64>,
}

/// Of one host.
impl Render for Planned {
    const COMMAND: &'static str = "plan";

    fn object(&self) -> impl Serialize {
        match &self.proposal {
            Ok(proposal) => object(&Shown::of(proposal)),
            Err(stop) => object(&Failed {
                module: Some(self.module.clone()),
                host: self.host.clone(),
                causes: Failure::from(stop).causes,
                durations_ms: None,
            }),
        }
    }

    fn outcome(&self) -> Outcome {
        match (failure(self), self.changes()) {
            (Some(failure), _) => outcome_of(&failure),
            (None, false) => Outcome::Noop,
            (None, true) => Outcome::Ok,
        }
    }

    fn refusals(&self) -> Vec<Refusal> {
        failure(self).map_or_else(Vec::new, |failure| failure.refusals)
    }

    fn class(&self) -> Class {
        failure(self).map_or(Class::Done, |failure| failure.class)
    }

    fn warnings(&self) -> Vec<String> {
        let own = self.proposal.iter().flat_map(|proposal| proposal.warnings.iter().cloned());
        notice::warnings(&self.notices).into_iter().chain(own).collect()
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = failure(self).map_or_else(Vec::new, |failure| failed(&failure));
        lines.extend(self.proposal.iter().flat_map(of));
        lines
    }

    fn last(&self) -> Last {
        match (failure(self), &self.proposal) {
            (Some(failure), _) => cure(&failure),
            (None, Ok(proposal)) => Last::Next(next(proposal, self.host.as_ref(), None)),
            (None, Err(_)) => Last::Next("platformctl status".to_owned()),
        }
    }
}

impl Planned {
    fn changes(&self) -> bool {
        self.proposal.as_ref().is_ok_and(|proposal| !proposal.done)
    }
}

impl Plans {
    fn only(&self) -> Option<&Planned> {
        if let [only] = self.targets.as_slice() { Some(only) } else { None }
    }

    /// The one whose reasons the command ends with: the only one, or the first that may not be applied.
    fn decisive(&self) -> Option<&Planned> {
        self.only().or_else(|| self.targets.iter().find(|planned| planned.class() != Class::Done))
    }

    fn changes(&self) -> bool {
        self.targets.iter().any(Planned::changes)
    }
}

impl Render for Plans {
    const COMMAND: &'static str = "plan";

    fn object(&self) -> impl Serialize {
        let durations_ms = durations_ms(&self.durations_ms);
        let mut fields = self.decisive().map_or_else(Map::new, |planned| object(&planned.object()));
        if self.only().is_some() {
            fields.extend(object(&BTreeMap::from([("durations_ms", durations_ms)])));
        } else {
            let targets = self.targets.iter().map(|planned| planned.report().json()).collect();
            fields.extend(object(&Several { targets, durations_ms }));
        }
        fields
    }

    fn outcome(&self) -> Outcome {
        match (self.decisive(), self.changes()) {
            (Some(planned), _) => planned.outcome(),
            (None, true) => Outcome::Ok,
            (None, false) => Outcome::Noop,
        }
    }

    fn refusals(&self) -> Vec<Refusal> {
        self.decisive().map_or_else(Vec::new, Render::refusals)
    }

    fn class(&self) -> Class {
        let class = self.decisive().map_or(Class::Done, Render::class);
        let differs = class == Class::Done && self.how.exit_code && self.changes();
        if differs { Class::Differs } else { class }
    }

    fn warnings(&self) -> Vec<String> {
        if let Some(only) = self.only() {
            return only.warnings();
        }
        let mut warnings: Vec<String> = Vec::new();
        for warning in self.targets.iter().flat_map(|planned| &planned.proposal).flat_map(|one| &one.warnings) {
            if !warnings.contains(warning) {
                warnings.push(warning.clone());
            }
        }
        warnings.into_iter().chain(notice::warnings(&self.notices)).collect()
    }

    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.targets.iter().flat_map(Render::lines).collect();
        let planned = self.only().is_some_and(|only| only.proposal.is_ok());
        let written = self.how.file.as_ref().filter(|_| planned);
        lines.extend(written.map(|file| format!("written to {file}, good for {} h", GOOD_FOR_S / 3_600)));
        if self.how.timings {
            lines.extend(timings(&self.durations_ms));
        }
        lines
    }

    fn last(&self) -> Last {
        match (self.decisive(), self.how.file.as_deref()) {
            (Some(Planned { proposal: Ok(proposal), host, .. }), Some(file)) if proposal.refusals.is_empty() => {
                Last::Next(next(proposal, host.as_ref(), Some(file)))
            }
            (Some(planned), _) => planned.last(),
            (None, _) if self.changes() => Last::Next("platformctl pending".to_owned()),
            (None, _) => Last::Next("platformctl status".to_owned()),
        }
    }
}

/// The lines of a proposal.
fn of(proposal: &Proposal) -> Vec<String> {
    let intent = &proposal.intention;
    let (from, version) = match (intent.pr, intent.merge, intent.head) {
        (Some(pr), Some(merge), _) => (format!(", PR #{pr}"), Some(format!("  merged as {merge}"))),
        (Some(pr), None, Some(head)) => (format!(", PR #{pr}"), Some(format!("  not merged, head {head}"))),
        (_, _, Some(head)) => (String::new(), Some(format!("  at {head}"))),
        (_, _, None) => (String::new(), None),
    };
    let mut lines = vec![format!("plan for {} on {}{from}", intent.module, intent.host)];
    lines.extend(version);
    lines.extend(changes(&intent.changes));
    let adopts = intent.changes.iter().any(|change| change.action == Action::Adopt);
    lines.extend(meanings(adopts.then_some("adopt")));
    let weak = proposal.approval.as_ref().is_some_and(|approval| approval.weak);
    lines.extend(meanings(weak.then_some("weak")));
    if !intent.exceptions.is_empty() {
        lines.extend(wrapped(&format!("opens {}", intent.exceptions.join(", ")), "  "));
    }
    lines.push(if proposal.done { "nothing to change".to_owned() } else { plural(intent.changes.len(), "change") });
    lines
}

/// The command that follows. `host`: as it was named; `file`: where the plan was written to.
fn next(proposal: &Proposal, host: Option<&HostName>, file: Option<&str>) -> String {
    let intent = &proposal.intention;
    match (proposal.done, intent.merge, intent.pr, file) {
        (false, Some(_), Some(pr), Some(file)) => {
            // A path without a slash is taken for a plan file by its ending alone.
            let plain = !file.contains('/') && !file.ends_with(".json");
            format!("platformctl apply {}{file} --pr {pr}", if plain { "./" } else { "" })
        }
        (false, Some(merge), Some(pr), None) => {
            let host = host.map(|host| format!(" --host {host}")).unwrap_or_default();
            format!("platformctl apply {}{host} --approved {merge} --pr {pr}", intent.module)
        }
        (false, None, Some(pr), _) => {
            let styles: Vec<&str> = proposal.styles.iter().map(|style| style.as_str()).collect();
            format!("review PR #{pr} and merge it by one of: {}", styles.join(", "))
        }
        (false, _, None, _) => {
            format!("open a pull request with this commit; `platformctl plan {} --pr N` plans it as N", intent.module)
        }
        (true, ..) => format!("platformctl status {}", intent.module),
    }
}
