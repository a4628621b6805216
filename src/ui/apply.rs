//! `apply`, rendered: of one module, and of several.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Last, Render, glass, held, notice,
    report::{cure, failed, object, outcome_of},
    seconds,
    timings::durations_ms,
    unrecorded::unrecorded,
    wrapped,
};
use crate::{
    error::{Class, Failure, outcome},
    model::{
        approval::Approval,
        ending::Outcome,
        gate::{Binding, GateCheck},
        ids::{HostName, ModuleId, Oid, RunId},
        plan::Change,
        refusal::{Code, Refusal},
        result::Failed,
        time::Timestamp,
    },
    port::ending,
    verb::{
        apply::{Applied, Noop, Run},
        batch::{Batch, Target},
        recorded::Recorded,
    },
};

/// The object of an apply of one module.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct One {
    /// The module.
    module: ModuleId,
    /// Its host.
    host: HostName,
    /// The run; null where nothing had to change.
    run: Option<RunId>,
    /// The record of the intent.
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<Oid>,
    /// The proof.
    approved: Approval,
    /// How the files here were compared with what is applied.
    checkout: Binding,
    /// What changes, in order.
    changes: Vec<Change>,
    /// What was asked before the change.
    gate: Vec<GateCheck>,
    /// When it last changed, on a no-op; null where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Option<Since>>,
    /// The record of it; null where there is none.
    record: Option<Recorded>,
    /// How long each phase took, in milliseconds.
    durations_ms: BTreeMap<&'static str, u64>,
}

/// When a module was changed last.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Since {
    /// When.
    at: Timestamp,
    /// By which pull request.
    pr: u64,
    /// Its place in the record.
    seq: u64,
}

/// The object of an apply of several modules.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Several {
    /// A result of each.
    targets: Vec<Value>,
    /// Where there was none: how long each phase took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    durations_ms: Option<BTreeMap<&'static str, u64>>,
}

fn since(noop: &Noop) -> Option<Since> {
    let running = noop.since.as_ref()?.running.as_ref()?;
    Some(Since { at: running.at, pr: running.pr, seq: running.seq })
}

impl One {
    fn noop(target: &Target, noop: &Noop) -> Self {
        Self {
            module: target.module.clone(),
            host: noop.summary.host.clone(),
            run: None,
            intent: None,
            approved: noop.summary.approval.clone(),
            checkout: noop.summary.checkout,
            changes: Vec::new(),
            gate: noop.checks.clone(),
            since: Some(since(noop)),
            record: noop.record.as_ref().map(Recorded::delivered),
            durations_ms: durations_ms(&target.durations_ms),
        }
    }

    fn run(target: &Target, run: &Run) -> Self {
        Self {
            module: target.module.clone(),
            host: run.summary.host.clone(),
            run: Some(run.carried.run.clone()),
            intent: Some(run.carried.intent),
            approved: run.summary.approval.clone(),
            checkout: run.summary.checkout,
            changes: run.summary.changes.clone(),
            gate: run.carried.permit.checks().to_vec(),
            since: None,
            record: run.carried.record.as_ref().map(Recorded::delivered),
            durations_ms: durations_ms(&target.durations_ms),
        }
    }
}

/// How a run ended, and why it did not end well.
fn ended(run: &Run) -> (Outcome, Option<Refusal>) {
    let recorded = run.carried.is_recorded();
    let outcome = outcome(ending(&run.carried.ended), recorded);
    let resume = || format!("platformctl resume {}", run.carried.run);
    let refusal = match &run.carried.ended {
        Ok(_) if recorded => None,
        Ok(_) => {
            let fact = "applied and healthy, but the record is not on the remote yet";
            Some(Refusal::new(Code::Unrecorded, fact, resume()))
        }
        Err(not_done) => {
            let error = not_done.error();
            let fix = if outcome == Outcome::Unknown { resume() } else { error.fix.clone() };
            Some(Refusal::new(error.code, error.what.clone(), fix))
        }
    };
    (outcome, refusal)
}

impl Render for Target {
    const COMMAND: &'static str = "apply";

    fn object(&self) -> impl Serialize {
        match &self.applied {
            Ok(Applied::Noop(noop)) => object(&One::noop(self, noop)),
            Ok(Applied::Run(run)) => object(&One::run(self, run)),
            Err(stop) => object(&Failed {
                module: Some(self.module.clone()),
                host: None,
                causes: Failure::from(stop).causes,
                durations_ms: Some(durations_ms(&self.durations_ms)),
            }),
        }
    }

    fn outcome(&self) -> Outcome {
        match &self.applied {
            Ok(Applied::Noop(_)) => Outcome::Noop,
            Ok(Applied::Run(run)) => ended(run).0,
            Err(stop) => outcome_of(&stop.into()),
        }
    }

    fn refusals(&self) -> Vec<Refusal> {
        match &self.applied {
            Ok(Applied::Noop(_)) => Vec::new(),
            Ok(Applied::Run(run)) => ended(run).1.into_iter().collect(),
            Err(stop) => Failure::from(stop).refusals,
        }
    }

    fn class(&self) -> Class {
        Class::of_apply(&self.applied)
    }

    fn warnings(&self) -> Vec<String> {
        notice::warnings(&self.notices)
    }

    fn beside(&self) -> Vec<String> {
        held::lines(self.told.as_ref())
    }

    fn lines(&self) -> Vec<String> {
        match &self.applied {
            Ok(Applied::Noop(noop)) => {
                let since =
                    since(noop).map_or_else(String::new, |since| format!(" since {}, PR #{}", since.at, since.pr));
                vec![format!("✓ {}: nothing to change{since}", self.module)]
            }
            Ok(Applied::Run(run)) => {
                let mut lines = match ended(run) {
                    (_, None) => vec![format!("done {}", seconds(self.took_ms))],
                    (outcome, Some(refusal)) => stopped(outcome, self.class(), &refusal),
                };
                lines.extend(glass::passed(run.carried.permit.glass()));
                lines.extend(unrecorded(run, self.thrown_away));
                lines.extend(held::lines(self.told.as_ref()));
                lines
            }
            Err(stop) => failed(&stop.into()),
        }
    }

    fn last(&self) -> Last {
        match &self.applied {
            Ok(Applied::Noop(_)) => Last::Next(format!("platformctl show {}", self.module)),
            Ok(Applied::Run(run)) => match ended(run).1 {
                None => Last::Next(format!("platformctl status {}", self.module)),
                Some(refusal) => Last::Fix(refusal.fix),
            },
            Err(stop) => cure(&stop.into()),
        }
    }
}

/// A run that did not end well, in the words of its class.
fn stopped(outcome: Outcome, class: Class, refusal: &Refusal) -> Vec<String> {
    let word = match outcome {
        Outcome::Held => "HELD",
        Outcome::Unknown => "UNKNOWN",
        Outcome::Unrecorded => "UNRECORDED",
        Outcome::Applied
        | Outcome::Noop
        | Outcome::Refused
        | Outcome::Waits
        | Outcome::NotTried
        | Outcome::RolledBack
        | Outcome::Aborted
        | Outcome::Error
        | Outcome::Ok => "✗ aborted:",
    };
    let untouched = class.is_untouched() || outcome == Outcome::Aborted;
    let world = if untouched { "Nothing that runs was changed." } else { class.world() };
    let mut lines = vec![format!("{word} {} ({}). {world}", refusal.code.slug(), class.exit())];
    lines.extend(wrapped(&refusal.fact, ""));
    lines
}

/// How the command for several modules ended.
enum Whole<'a> {
    /// It is not known which modules are asked for.
    Stopped(Failure),
    /// There was nothing to do.
    Nothing,
    /// One module was asked for.
    One(&'a Target),
    /// All are done.
    Done,
    /// Nothing was applied before the first failure, which tells everything.
    Failed(&'a Target),
    /// Some are done, and then one failed.
    Partial(&'a [Target], &'a Target),
}

impl Batch {
    fn whole(&self) -> Whole<'_> {
        if let Some(stop) = &self.stopped {
            return Whole::Stopped(stop.into());
        }
        match (self.asked.as_slice(), self.targets.split_last()) {
            ([_], Some((only, []))) => Whole::One(only),
            (_, None) => Whole::Nothing,
            (_, Some((last, _))) if last.class() == Class::Done => Whole::Done,
            (_, Some((last, []))) => Whole::Failed(last),
            (_, Some((last, done))) => Whole::Partial(done, last),
        }
    }

    /// What was not tried.
    fn left(&self) -> impl Iterator<Item = String> {
        self.asked.iter().skip(self.targets.len()).map(|name| format!("! {name} not tried"))
    }

    fn results(&self) -> Map<String, Value> {
        let durations_ms = self.targets.is_empty().then(|| durations_ms(&self.durations_ms));
        object(&Several { targets: self.targets.iter().map(|target| target.report().json()).collect(), durations_ms })
    }
}

impl Render for Batch {
    const COMMAND: &'static str = "apply";

    fn object(&self) -> impl Serialize {
        match self.whole() {
            Whole::Stopped(failure) => object(&Failed {
                causes: failure.causes,
                durations_ms: Some(durations_ms(&self.durations_ms)),
                ..Failed::default()
            }),
            Whole::One(target) => object(&target.object()),
            Whole::Failed(target) => object(&target.object()).into_iter().chain(self.results()).collect(),
            Whole::Nothing | Whole::Done | Whole::Partial(..) => self.results(),
        }
    }

    fn outcome(&self) -> Outcome {
        match self.whole() {
            Whole::Stopped(failure) => outcome_of(&failure),
            Whole::Nothing => Outcome::Noop,
            Whole::Done => Outcome::Applied,
            Whole::One(target) | Whole::Failed(target) => target.outcome(),
            Whole::Partial(..) => Outcome::Error,
        }
    }

    fn refusals(&self) -> Vec<Refusal> {
        match self.whole() {
            Whole::Stopped(failure) => failure.refusals,
            Whole::One(target) | Whole::Failed(target) => target.refusals(),
            Whole::Nothing | Whole::Done | Whole::Partial(..) => Vec::new(),
        }
    }

    fn code(&self) -> Option<Code> {
        match self.whole() {
            Whole::Stopped(failure) => failure.refusals.first().map(|refusal| refusal.code),
            Whole::One(target) | Whole::Failed(target) | Whole::Partial(_, target) => target.code(),
            Whole::Nothing | Whole::Done => None,
        }
    }

    fn class(&self) -> Class {
        match self.whole() {
            Whole::Stopped(failure) => failure.class,
            Whole::Nothing | Whole::Done => Class::Done,
            Whole::One(target) | Whole::Failed(target) => target.class(),
            Whole::Partial(..) => Class::Partial,
        }
    }

    fn warnings(&self) -> Vec<String> {
        let own = match self.whole() {
            Whole::One(target) | Whole::Failed(target) => target.warnings(),
            Whole::Stopped(_) | Whole::Nothing | Whole::Done | Whole::Partial(..) => Vec::new(),
        };
        own.into_iter().chain(self.unseen.iter().cloned()).chain(notice::warnings(&self.notices)).collect()
    }

    fn beside(&self) -> Vec<String> {
        self.targets.iter().flat_map(Render::beside).collect()
    }

    fn lines(&self) -> Vec<String> {
        match self.whole() {
            Whole::Stopped(failure) => failed(&failure),
            Whole::Nothing => vec!["✓ this pull request changed no module".to_owned()],
            Whole::Done => self.asked.iter().map(|name| format!("✓ {name}")).collect(),
            Whole::One(target) => target.lines(),
            Whole::Failed(target) => target.lines().into_iter().chain(self.left()).collect(),
            Whole::Partial(done, last) => {
                let mut lines = last.lines();
                lines.extend(done.iter().map(|target| format!("✓ {}", target.name)));
                lines.push(format!("✗ {} (exit {})", last.name, last.class().exit()));
                lines.extend(self.left());
                lines
            }
        }
    }

    fn last(&self) -> Last {
        match self.whole() {
            Whole::Stopped(failure) => cure(&failure),
            Whole::Nothing => Last::Next("platformctl pending".to_owned()),
            Whole::Done => Last::Next("platformctl status".to_owned()),
            Whole::One(target) | Whole::Failed(target) => target.last(),
            Whole::Partial(_, target) => match target.last() {
                Last::Next(text) | Last::Fix(text) | Last::Undo(text) => Last::Fix(text),
            },
        }
    }
}
