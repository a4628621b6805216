//! `doctor`, rendered.

use serde::Serialize;

use super::{Last, Render, plural, wrapped};
use crate::{
    error::Class,
    model::{ending::Outcome, refusal::Refusal, text::escaped_line},
    verb::doctor::{
        Check, Place, Standing,
        diagnosis::{CLONE, Diagnosis, FORGE},
    },
};

impl Render for Diagnosis {
    const COMMAND: &'static str = "doctor";

    fn object(&self) -> impl Serialize {
        self
    }

    fn outcome(&self) -> Outcome {
        if self.fails().is_empty() { Outcome::Ok } else { Outcome::Error }
    }

    fn refusals(&self) -> Vec<Refusal> {
        self.fails().iter().filter_map(|(_, check)| check.refusal()).collect()
    }

    fn class(&self) -> Class {
        // The first one, as a person cures them from above.
        self.refusals().first().map_or(Class::Done, |refusal| Class::of(refusal.code))
    }

    fn warnings(&self) -> Vec<String> {
        let branch = &self.branch;
        let unasked = self.unasked.iter().map(|error| {
            let age = self.base.seen.age(self.now);
            format!("{error}; judged by {branch} as of {age}")
        });
        let broken = self.broken.iter().map(|module| {
            format!("{module} is not valid on {branch}, so what it needs is unknown: platformctl validate")
        });
        unasked.chain(self.notes.iter().cloned()).chain(broken).collect()
    }

    fn lines(&self) -> Vec<String> {
        let clone = if self.clone.is_empty() { Vec::new() } else { block(CLONE, "this repository", &self.clone) };
        let hosts = self.hosts.iter().flat_map(|one| {
            let place = one.destination.as_deref().unwrap_or("this machine");
            block(one.host.as_str(), place, &one.checks)
        });
        let forge = self
            .forge
            .iter()
            .flat_map(|one| block(FORGE, one.url.as_deref().unwrap_or("its address is not known"), &one.checks));
        clone.into_iter().chain(hosts).chain(forge).collect()
    }

    fn last(&self) -> Last {
        match self.fails().as_slice() {
            [] => Last::Next("platformctl pending".to_owned()),
            [(one, check)] => Last::Fix(only(one, check)),
            [_, ..] => Last::Fix("fix each ✗, then run platformctl doctor".to_owned()),
        }
    }
}

/// The only cure, on the line that a person reads last.
fn only(one: &str, check: &Check) -> String {
    match (check.fix.as_deref(), check.place) {
        (Some(fix), Some(place)) if !fix.contains('\n') => match place {
            Place::Words => fix.to_owned(),
            Place::Host | Place::HostRoot | Place::Here | Place::Policy => {
                format!("{} {fix}", header(one, place))
            }
        },
        _ => "fix ✗, then run platformctl doctor".to_owned(),
    }
}

/// Where a cure is done, for a person.
fn header(one: &str, place: Place) -> String {
    match place {
        Place::Host => format!("on {one}:"),
        Place::HostRoot => format!("on {one} as root:"),
        Place::Here => "here:".to_owned(),
        Place::Policy => format!("merge into platform.yaml, hosts.{one}:"),
        Place::Words => String::new(),
    }
}

/// The lines of a host, or of the forge: one for each check, and below it the cure, which is never broken because it is pasted.
fn block(name: &str, place: &str, checks: &[Check]) -> Vec<String> {
    let count = |standing| checks.iter().filter(|check| check.result == standing).count();
    let (warn, fail) = (count(Standing::Warn), count(Standing::Fail));
    let words = match (warn, fail) {
        (0, 0) => "all good".to_owned(),
        (warn, 0) => format!("good, {}", plural(warn, "remark")),
        (_, fail) => format!("{} to cure", plural(fail, "thing")),
    };
    let mut lines = vec![format!("{name} · {place} · {words}")];
    let wide = checks.iter().map(|check| check.id.len()).max().unwrap_or(0);
    let indent = " ".repeat(wide + 4);
    for check in checks {
        let mark = match check.result {
            Standing::Pass => "✓",
            Standing::Warn => "!",
            Standing::Fail => "✗",
        };
        let fact = wrapped(&escaped_line(&check.fact), &indent);
        for (at, line) in fact.iter().enumerate() {
            let head = if at == 0 { format!("{mark} {:<wide$}  ", check.id) } else { indent.clone() };
            lines.push(format!("{head}{}", line.trim_start()));
        }
        if let (Some(fix), Some(place)) = (&check.fix, check.place) {
            lines.extend(cure(name, fix, place));
        }
    }
    lines
}

fn cure(one: &str, fix: &str, place: Place) -> Vec<String> {
    match place {
        Place::Words => {
            // Words come first; what follows them is copied: known_hosts lines.
            let mut parts = fix.split('\n');
            let words = wrapped(&format!("→ {}", parts.next().unwrap_or_default()), "  ");
            words.into_iter().chain(parts.map(|line| format!("    {line}"))).collect()
        }
        Place::Host | Place::HostRoot | Place::Here | Place::Policy => {
            vec![format!("  → {}", header(one, place)), format!("    {fix}")]
        }
    }
}
