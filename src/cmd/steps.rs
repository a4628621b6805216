//! The steps of an apply as they are done, and where its time went.

use std::cell::RefCell;

use super::session::Session;
use crate::{
    model::{
        evidence::Evidence,
        plan::{Action, Change},
        text::shown,
    },
    port::{Clock as _, Step},
    ui::{Report, list, meanings, plural, seconds, timings},
    verb::timings::Timings,
};

/// What was measured, by the names that results have.
pub(super) fn durations_ms(timings: &Timings<'_>) -> Vec<(&'static str, u64)> {
    timings.take().into_iter().map(|(phase, ms)| (phase.as_str(), ms)).collect()
}

/// Tells a person of each step, with the time it took.
pub(super) struct Steps<'a> {
    session: &'a Session,
    last_ms: RefCell<u64>,
    timings: Timings<'a>,
    /// Whether a person asked where the time went.
    show: bool,
    /// What was said of the approval. A second look, after an image was pulled, proves it again and says nothing new.
    approved: RefCell<Option<String>>,
}

impl<'a> Steps<'a> {
    /// Begins to measure. `show`: `--timings`.
    pub(super) fn new(session: &'a Session, show: bool) -> Self {
        let now = RefCell::new(session.clock.ticks_ms());
        Self { session, last_ms: now, timings: Timings::new(&session.clock), show, approved: RefCell::default() }
    }

    /// Another module comes, whose approval is told whatever was told before.
    pub(super) fn next(&self) {
        self.approved.take();
    }

    /// A report with what each phase took since the last one.
    pub(super) fn timed(&self, report: Report) -> Report {
        let durations_ms = durations_ms(&self.timings);
        if self.show && !self.session.printer.is_json() {
            timings(&durations_ms).iter().for_each(|line| self.session.printer.say(line));
        }
        report.durations(&durations_ms)
    }

    /// Tells of a step.
    pub(super) fn tell(&self, step: &Step) {
        if let Step::Began(phase) = step {
            return self.timings.began(*phase);
        }
        let now = self.session.clock.ticks_ms();
        let took = now.saturating_sub(self.last_ms.replace(now));
        let mut unusual: Vec<&str> = Vec::new();
        let (word, text) = match step {
            Step::Began(_) => return,
            Step::Approved(approval) => {
                let weak = if approval.weak { ", weak" } else { "" };
                let covers = if approval.covers == [approval.pr] {
                    String::new()
                } else {
                    format!(", covers {}", list(&approval.covers))
                };
                let text = format!("PR #{}, {}{weak}{covers}", approval.pr, approval.style.as_str());
                if self.approved.replace(Some(text.clone())).as_ref() == Some(&text) {
                    return;
                }
                unusual.extend(approval.weak.then_some("weak"));
                unusual.extend((!covers.is_empty()).then_some("covers"));
                ("approved", text)
            }
            Step::Intent(seq) => ("intent", format!("seq {seq} recorded")),
            Step::Shipped(files) => {
                ("shipped", format!("{}, verified there", plural(usize::try_from(*files).unwrap_or(0), "file")))
            }
            Step::Pulling(images) => {
                let images = plural(usize::try_from(*images).unwrap_or(0), "image");
                self.session.printer.waiting(&format!("the host pulls {images}"));
                return;
            }
            Step::Pulled(images) => ("pulled", plural(usize::try_from(*images).unwrap_or(0), "image")),
            Step::Changed(changes) => ("changed", changed(changes.as_deref())),
            Step::Healthy(evidence) => ("healthy", healthy(evidence)),
            Step::Recorded(seq) => ("recorded", format!("seq {seq}")),
        };
        // What takes no time worth a word shows none.
        let took = if took < 100 { String::new() } else { seconds(took) };
        self.session.printer.say(format!("✓ {word:<9} {text:<34} {took:>6}").trim_end());
        meanings(unusual).iter().for_each(|line| self.session.printer.say(line));
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
