//! Steps of a run, printed while they happen.

use std::cell::{Cell, RefCell};

use super::{Printer, list, meanings, plural, seconds, timings::timings, wrapped};
use crate::{
    model::{
        evidence::Evidence,
        plan::{Action, Change},
        text::shown,
    },
    port::{Clock, Step},
};

/// Tells a person of each step, with the time it took.
pub struct Steps<'a> {
    printer: Printer,
    clock: &'a dyn Clock,
    remote: &'a str,
    last_ms: Cell<u64>,
    /// What was printed about the approval. A second look, after an image was pulled, proves it again and prints
    /// nothing new.
    approved: RefCell<Option<String>>,
}

impl<'a> Steps<'a> {
    /// Begins now. `remote`: the name of the remote.
    pub fn new(printer: Printer, clock: &'a dyn Clock, remote: &'a str) -> Self {
        Self { printer, clock, remote, last_ms: Cell::new(clock.ticks_ms()), approved: RefCell::default() }
    }

    /// Tells of a step.
    pub fn tell(&self, step: &Step) {
        let mut unusual: Vec<&str> = Vec::new();
        let (word, text) = match step {
            Step::Began(_) | Step::Looking(_) | Step::Warned(_) => return self.printer.waits_for(step, self.remote),
            Step::Spent(_) if self.printer.is_json() => return,
            Step::Spent(spent) => return timings(spent).iter().for_each(|line| self.printer.say(line)),
            Step::Pulling(_) => {
                self.last_ms.set(self.clock.ticks_ms());
                return self.printer.waits_for(step, self.remote);
            }
            Step::Target { name, at, of } => {
                self.approved.take();
                return self.printer.say(&format!("{name} ({at} of {of})"));
            }
            Step::Waiting { run, now } => {
                let (owner, since) = (shown(&run.owner), run.opened.age(*now));
                let text = format!("waiting for run {} of {owner} on {}, open since {since}", run.run, run.module);
                return wrapped(&text, "").iter().for_each(|line| self.printer.say(line));
            }
            Step::Settled(run) => return self.printer.say(&format!("run {run} had ended on its host: recorded")),
            Step::Approved(approval) => {
                let weak = if approval.weak { ", weak" } else { "" };
                let covers = if approval.covers == [approval.pr] {
                    String::new()
                } else {
                    format!(", covers {}", list(&approval.covers))
                };
                let by: Vec<String> = approval.reviewers().map(shown).collect();
                let by = if by.is_empty() { String::new() } else { format!(", by {}", by.join(" and ")) };
                let text = format!("PR #{}, {}{weak}{by}{covers}", approval.pr, approval.style.as_str());
                if self.approved.replace(Some(text.clone())).as_ref() == Some(&text) {
                    self.last_ms.set(self.clock.ticks_ms());
                    return;
                }
                unusual.extend(approval.weak.then_some("weak"));
                unusual.extend((!covers.is_empty()).then_some("covers"));
                ("approved", text)
            }
            Step::Glass(seq, gates) => ("GLASS", format!("seq {seq} passes {}", gates.join(" "))),
            Step::Intent(seq) => ("intent", format!("seq {seq} recorded")),
            Step::Shipped(files) => {
                ("shipped", format!("{}, verified there", plural(usize::try_from(*files).unwrap_or(0), "file")))
            }
            Step::Pulled(images) => ("pulled", plural(usize::try_from(*images).unwrap_or(0), "image")),
            Step::Changed(changes) => ("changed", changed(changes.as_deref())),
            Step::Healthy(evidence) => ("healthy", healthy(evidence)),
            Step::Recorded(seq) => ("recorded", format!("seq {seq}")),
        };
        let now = self.clock.ticks_ms();
        let took = now.saturating_sub(self.last_ms.replace(now));
        // What takes no time worth a word shows none.
        let took = if took < 100 { String::new() } else { seconds(took) };
        self.printer.say(format!("✓ {word:<9} {text:<34} {took:>6}").trim_end());
        meanings(unusual).iter().for_each(|line| self.printer.say(line));
    }
}

/// What became of the services, in a few words.
fn changed(changes: Option<&[Change]>) -> String {
    let word = |action| match action {
        Action::Create => "created",
        Action::Adopt => "adopted",
        Action::Recreate => "recreated",
        Action::Start => "started",
        Action::Remove => "removed",
        Action::None => "kept",
    };
    match changes {
        None => "switched".to_owned(),
        Some([]) => "nothing: all was as planned".to_owned(),
        Some([one]) => format!("{} {}", shown(&one.service), word(one.action)),
        Some(several) => plural(several.len(), "service"),
    }
}

/// How long it was watched, and what was asked.
fn healthy(evidence: &Evidence) -> String {
    let probes = match usize::try_from(evidence.probes).unwrap_or(0) {
        0 => "no probes".to_owned(),
        probes => format!("{} passed", plural(probes, "probe")),
    };
    if evidence.containers.is_empty() {
        return if evidence.probes == 0 { "there as planned; no probes".to_owned() } else { probes };
    }
    let watched_s = evidence.containers.iter().map(|container| container.healthy_s).min().unwrap_or(0);
    let restarts: u64 = evidence.containers.iter().map(|container| container.restarts).sum();
    format!("{watched_s} s, {}, {probes}", plural(usize::try_from(restarts).unwrap_or(0), "restart"))
}
