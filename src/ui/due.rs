//! `apply --pending`, rendered.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Last, Render, notice,
    report::{cure, failed, object, outcome_of},
    resume::{self, Run},
    timings::durations_ms,
    wrapped,
};
use crate::{
    error::{Class, Failure},
    model::{
        ending::Outcome,
        ids::{HostName, ModuleId, Oid},
        refusal::{Code, Refusal},
        result::Failed,
    },
    verb::due::{Became, Due, Each},
};

/// The object of `apply --pending`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Swept {
    /// Whether it was asked for with `--auto`.
    auto: bool,
    /// The newest commit of the base, whose modules are listed.
    base: Option<Oid>,
    /// Runs that were open before, and what became of them.
    resumed: Vec<Run>,
    /// A result of each deployment that is merged and not applied, in the order in which they were tried.
    targets: Vec<Value>,
    /// How long each phase took before the first of them, in milliseconds.
    durations_ms: BTreeMap<&'static str, u64>,
}

/// What a deployment that was not tried adds to its result.
#[derive(Debug, Serialize)]
struct Untried {
    module: ModuleId,
    host: HostName,
}

impl Render for Each {
    const COMMAND: &'static str = "apply";

    fn object(&self) -> impl Serialize {
        match &self.became {
            Became::Tried(target) => object(&target.object()),
            Became::Waits(_) | Became::NotTried(_) => {
                object(&Untried { module: self.module.clone(), host: self.host.clone() })
            }
        }
    }

    fn outcome(&self) -> Outcome {
        match &self.became {
            Became::Tried(target) => target.outcome(),
            Became::Waits(_) => Outcome::Waits,
            Became::NotTried(_) => Outcome::NotTried,
        }
    }

    fn refusals(&self) -> Vec<Refusal> {
        match &self.became {
            Became::Tried(target) => target.refusals(),
            Became::Waits(refusals) => refusals.clone(),
            Became::NotTried(refusal) => vec![refusal.clone()],
        }
    }

    fn class(&self) -> Class {
        match &self.became {
            Became::Tried(target) => target.class(),
            Became::Waits(_) | Became::NotTried(_) => Class::Done,
        }
    }

    fn warnings(&self) -> Vec<String> {
        match &self.became {
            Became::Tried(target) => target.warnings(),
            Became::Waits(_) | Became::NotTried(_) => Vec::new(),
        }
    }

    fn beside(&self) -> Vec<String> {
        match &self.became {
            Became::Tried(target) => target.beside(),
            Became::Waits(_) | Became::NotTried(_) => Vec::new(),
        }
    }

    fn lines(&self) -> Vec<String> {
        let pr = self.pr.map_or_else(String::new, |pr| format!(" #{pr}"));
        let refusals = self.refusals();
        let code = refusals.first().map_or("", |refusal| refusal.code.slug());
        let outcome = self.outcome();
        let (mark, words) = match &self.became {
            Became::Waits(_) => ("!", format!("waits: {code}")),
            Became::NotTried(_) => ("!", "not tried".to_owned()),
            Became::Tried(_) if self.class() == Class::Done => ("✓", outcome.as_str().to_owned()),
            Became::Tried(_) => ("✗", format!("{}: {code} ({})", outcome.as_str(), self.class().exit())),
        };
        let mut lines = vec![format!("{mark} {}{pr} {words}", self.name)];
        for refusal in &refusals {
            lines.extend(wrapped(&refusal.fact, "  "));
            lines.extend(wrapped(&format!("→ {}", refusal.fix), "  "));
        }
        if let Became::Tried(target) = &self.became {
            lines.extend(target.beside());
        }
        lines
    }

    fn last(&self) -> Last {
        match self.refusals().into_iter().next() {
            Some(refusal) => Last::Fix(refusal.fix),
            None => Last::Next("platformctl status".to_owned()),
        }
    }
}

impl Due {
    /// What ended otherwise than it should: its class, outcome and reasons.
    fn failures(&self) -> Vec<(Class, Outcome, Vec<Refusal>)> {
        let resumed = self.ended.iter().filter_map(resume::failure).map(|(class, refusals)| {
            let outcome = if class == Class::Held { Outcome::Held } else { Outcome::Error };
            (class, outcome, refusals)
        });
        let tried = self.each.iter().map(|each| (each.class(), each.outcome(), each.refusals()));
        resumed.chain(tried).filter(|(class, ..)| *class != Class::Done).collect()
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.each.iter().filter(|each| each.outcome() == outcome).count()
    }
}

impl Render for Due {
    const COMMAND: &'static str = "apply";

    fn object(&self) -> impl Serialize {
        let swept = Swept {
            auto: self.auto,
            base: self.base,
            resumed: self.ended.iter().map(Run::of).collect(),
            targets: self.each.iter().map(result).collect(),
            durations_ms: durations_ms(&self.durations_ms),
        };
        match &self.stopped {
            None => object(&swept),
            Some(stop) => object(&Failed {
                causes: Failure::from(stop).causes,
                durations_ms: Some(durations_ms(&self.durations_ms)),
                ..Failed::default()
            }),
        }
    }

    fn outcome(&self) -> Outcome {
        if let Some(stop) = &self.stopped {
            return outcome_of(&stop.into());
        }
        let failures = self.failures();
        match failures.first() {
            Some((class, outcome, _)) if failures.iter().all(|(other, ..)| other == class) => *outcome,
            Some(_) => Outcome::Error,
            None if self.count(Outcome::Applied) > 0 => Outcome::Applied,
            None if self.count(Outcome::Waits) > 0 => Outcome::Waits,
            None => Outcome::Noop,
        }
    }

    fn refusals(&self) -> Vec<Refusal> {
        match &self.stopped {
            Some(stop) => Failure::from(stop).refusals,
            None => self.failures().into_iter().flat_map(|(.., refusals)| refusals).collect(),
        }
    }

    fn class(&self) -> Class {
        if let Some(stop) = &self.stopped {
            return Failure::from(stop).class;
        }
        let classes: BTreeSet<Class> = self.failures().into_iter().map(|(class, ..)| class).collect();
        match (classes.len(), classes.first()) {
            (0, _) | (_, None) => Class::Done,
            (1, Some(class)) => *class,
            (_, Some(_)) => Class::Partial,
        }
    }

    fn code(&self) -> Option<Code> {
        self.refusals().first().map(|refusal| refusal.code)
    }

    fn warnings(&self) -> Vec<String> {
        notice::warnings(&self.notices).into_iter().chain(self.unseen.iter().cloned()).collect()
    }

    fn beside(&self) -> Vec<String> {
        self.each.iter().flat_map(Render::beside).collect()
    }

    fn lines(&self) -> Vec<String> {
        if let Some(stop) = &self.stopped {
            return failed(&stop.into());
        }
        let mut lines: Vec<String> = self.ended.iter().flat_map(resume::lines_of).collect();
        lines.extend(self.each.iter().flat_map(Render::lines));
        let (applied, waits, not_tried) =
            (self.count(Outcome::Applied), self.count(Outcome::Waits), self.count(Outcome::NotTried));
        let failed = self.each.iter().filter(|each| each.class() != Class::Done).count();
        lines.push(match self.each.len() {
            0 => "✓ everything merged is applied".to_owned(),
            _ => format!("applied {applied} · waits {waits} · failed {failed} · not tried {not_tried}"),
        });
        lines
    }

    fn last(&self) -> Last {
        if let Some(stop) = &self.stopped {
            return cure(&stop.into());
        }
        match self.failures().into_iter().flat_map(|(.., refusals)| refusals).next() {
            Some(refusal) => Last::Fix(refusal.fix),
            None if self.count(Outcome::Waits) > 0 => Last::Next("platformctl pending".to_owned()),
            None => Last::Next("platformctl status".to_owned()),
        }
    }
}

/// The result of one, with the deployment that it is about also where nothing was tried.
fn result(each: &Each) -> Value {
    let mut value = each.report().json();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("host".to_owned(), json!(each.host));
        fields.insert("pr".to_owned(), json!(each.pr));
    }
    value
}
