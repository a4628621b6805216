//! `resume`, rendered.

use serde::Serialize;

use super::{Last, Render, held, notice, plural, wrapped};
use crate::{
    error::{Class, Failure, outcome},
    model::{
        ending::Outcome,
        ids::{ModuleId, RunId},
        refusal::{Code, Refusal},
    },
    port::{NotDone, ending},
    verb::{
        recorded::Recorded,
        reopened::{LookedAt, Reopened},
        resume::Resumed,
    },
};

/// The object of `resume`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Runs {
    /// Each run that was looked at.
    runs: Vec<Run>,
}

/// What became of one run.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(super) enum Run {
    /// It was looked at.
    Known {
        /// The run.
        run: RunId,
        /// Its module.
        module: ModuleId,
        /// How it ended.
        outcome: Outcome,
        /// The record of it; null while the ending is unknown.
        record: Option<Recorded>,
    },
    /// It stays open.
    Open {
        /// The run.
        run: RunId,
        /// Its module.
        module: ModuleId,
        /// That it is open.
        outcome: Open,
        /// Why.
        refusals: Vec<Refusal>,
    },
}

/// A run that stays open.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Open {
    /// It does.
    Open,
}

fn is_recorded(resumed: &Resumed) -> bool {
    resumed.record.as_ref().is_some_and(|record| record.on_remote)
}

fn outcome_of(resumed: &Resumed) -> Outcome {
    outcome(ending(&resumed.ended), is_recorded(resumed))
}

/// The class that the end of a run gives the command, and why; `None` where all that was asked for is done.
pub(super) fn failure(looked: &LookedAt) -> Option<(Class, Vec<Refusal>)> {
    let resumed = match &looked.found {
        Ok(resumed) => resumed,
        Err(stop) => {
            let failure = Failure::from(stop);
            return Some((failure.class, failure.refusals));
        }
    };
    // A run that was aborted is ended now, which is all that was asked for.
    if matches!(outcome_of(resumed), Outcome::Applied | Outcome::Aborted) {
        return None;
    }
    let refusal = match resumed.ended.as_ref().err().map(NotDone::error) {
        Some(error) => Refusal::new(error.code, error.what.clone(), error.fix.clone()),
        None => {
            let fix = format!("platformctl resume {}", looked.open.run);
            Refusal::new(Code::Unrecorded, "the outcome is not on the remote yet", fix)
        }
    };
    Some((Class::of_run(&resumed.ended, is_recorded(resumed)), vec![refusal]))
}

impl Reopened {
    fn worst(&self) -> Option<(Class, Vec<Refusal>)> {
        let (class, refusals) = self.runs.iter().find_map(failure)?;
        // With several runs that ended in several ways the result tells each.
        Some((if self.runs.len() == 1 { class } else { Class::Partial }, refusals))
    }
}

impl Render for Reopened {
    const COMMAND: &'static str = "resume";

    fn object(&self) -> impl Serialize {
        Runs { runs: self.runs.iter().map(Run::of).collect() }
    }

    fn outcome(&self) -> Outcome {
        if self.worst().is_none() { Outcome::Ok } else { Outcome::Error }
    }

    fn refusals(&self) -> Vec<Refusal> {
        self.worst().map_or_else(Vec::new, |(_, refusals)| refusals)
    }

    fn class(&self) -> Class {
        self.worst().map_or(Class::Done, |(class, _)| class)
    }

    fn warnings(&self) -> Vec<String> {
        notice::warnings(&self.notices)
    }

    fn beside(&self) -> Vec<String> {
        self.runs.iter().flat_map(|looked| held::lines(looked.told.as_ref())).collect()
    }

    fn lines(&self) -> Vec<String> {
        let count = match self.runs.len() {
            0 => "✓ no run is open".to_owned(),
            some => format!("{} checked", plural(some, "run")),
        };
        self.runs.iter().flat_map(lines_of).chain([count]).collect()
    }

    fn last(&self) -> Last {
        match self.worst() {
            None => Last::Next("platformctl status".to_owned()),
            Some((_, refusals)) => Last::Fix(refusals.first().map_or_else(String::new, |refusal| refusal.fix.clone())),
        }
    }
}

impl Run {
    pub(super) fn of(looked: &LookedAt) -> Self {
        let (run, module) = (looked.open.run.clone(), looked.open.module.clone());
        match &looked.found {
            Ok(resumed) => {
                let record = resumed.record.as_ref().map(Recorded::of);
                Self::Known { run, module, outcome: outcome_of(resumed), record }
            }
            Err(stop) => Self::Open { run, module, outcome: Open::Open, refusals: Failure::from(stop).refusals },
        }
    }
}

pub(super) fn lines_of(looked: &LookedAt) -> Vec<String> {
    let (run, module) = (&looked.open.run, &looked.open.module);
    let why = failure(looked).and_then(|(_, refusals)| refusals.into_iter().next()).map(|refusal| refusal.fact);
    let Ok(resumed) = &looked.found else {
        return wrapped(&format!("✗ {module}  {}", why.unwrap_or_default()), "");
    };
    let outcome = outcome_of(resumed);
    let mark = match outcome {
        Outcome::Applied | Outcome::Aborted => "✓",
        Outcome::Unrecorded => "!",
        Outcome::Noop
        | Outcome::Refused
        | Outcome::Waits
        | Outcome::NotTried
        | Outcome::Held
        | Outcome::RolledBack
        | Outcome::Unknown
        | Outcome::Error
        | Outcome::Ok => "✗",
    };
    let mut lines = vec![format!("{mark} {module}  run {run} {}", outcome.as_str())];
    lines.extend(why.into_iter().flat_map(|why| wrapped(&why, "  ")));
    lines.extend(held::lines(looked.told.as_ref()));
    lines
}
