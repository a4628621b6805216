//! Markdown for a page of the forge: the plan of a pull request, and what became of it.
//!
//! Foreign text stands in code alone: there it is no link, no image, no mention of anybody and no HTML, whatever it is.

use super::{plural, wrapped};
use crate::{
    error::Failure,
    model::{
        ending::Outcome,
        plan::{Action, Change, Data, Downtime},
        refusal::Refusal,
        text::escaped_line,
    },
    ui::Render as _,
    verb::{
        apply::Applied,
        batch::Target,
        comment::{COMMENT_BYTES_MAX, MARKER},
        proposed::{Concerned, Difference, Proposed},
    },
};

/// What is kept for the lines that are never cut.
const KEPT_BYTES: usize = COMMENT_BYTES_MAX - MARKER.len() - 1_000;
/// Most bytes of the reasons, which are said before everything else.
const REASONS_BYTES: usize = 24_000;
/// Most characters of one foreign text.
const TEXT_MAX: usize = 200;

/// Foreign text as code in a line.
pub(super) fn code(text: &str) -> String {
    let text = escaped_line(text).replace('`', "'");
    let cut: String = text.chars().take(TEXT_MAX).collect();
    let more = if cut == text { "" } else { "…" };
    if cut.trim().is_empty() { "` `".to_owned() } else { format!("`{cut}{more}`") }
}

/// Foreign text of several lines as a block of code.
fn block(text: &str) -> String {
    let lines = text.split('\n').flat_map(|line| wrapped(&escaped_line(line), "    "));
    lines.map(|line| line + "\n").collect()
}

/// What happens, for a phone: one sentence on what merging (or applying) does, and one on data.
pub fn headline(proposed: &Proposed) -> String {
    let verb = if is_merged(proposed) { "Applying" } else { "Merging" };
    let refusals = proposed.all_refusals();
    if !refusals.is_empty() {
        let first = refusals.first().map(|one| one.code.slug()).unwrap_or_default();
        let more = refusals.len() - 1;
        let more = if more == 0 { String::new() } else { format!(" and {} more", plural(more, "reason")) };
        return format!("This cannot be applied: {first}{more}.");
    }
    let mut parts = Vec::new();
    for one in &proposed.targets {
        let Ok(proposal) = &one.planned.proposal else { continue };
        let host = proposal.intention.host.as_str();
        let changes = &proposal.intention.changes;
        for (word, which) in WORDS {
            let names: Vec<&str> = changes.iter().filter(|one| which(one)).map(|one| one.service.as_str()).collect();
            parts.extend((!names.is_empty()).then(|| format!("{word} {} on {host}", some(&names))));
        }
    }
    parts.extend(
        proposed
            .removed
            .iter()
            .filter(|one| one.running)
            .map(|one| format!("leaves {} on {} running, which nothing describes any more", one.module, one.host)),
    );
    parts.extend((!proposed.policy.is_empty()).then(|| "changes the policy".to_owned()));
    let Some(last) = parts.pop() else { return format!("{verb} changes nothing that runs.") };
    let what = if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) };
    format!("{verb} {what}. {}", data(proposed))
}

fn is_merged(proposed: &Proposed) -> bool {
    proposed.version.as_ref().is_ok_and(|version| version.merge.is_some())
}

type Which = fn(&Change) -> bool;

/// The verbs of changes, the ones that hurt first.
const WORDS: [(&str, Which); 5] = [
    ("removes", |change| change.action == Action::Remove),
    ("stops and replaces", |change| replaces(change) && change.downtime == Downtime::StopFirst),
    ("restarts", |change| replaces(change) && change.downtime == Downtime::Restart),
    ("changes", |change| replaces(change) && change.downtime == Downtime::None),
    ("starts", |change| matches!(change.action, Action::Create | Action::Start)),
];

fn replaces(change: &Change) -> bool {
    matches!(change.action, Action::Recreate | Action::Adopt)
}

/// Up to three names.
fn some(names: &[&str]) -> String {
    let shown = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    if names.len() > 3 { format!("{shown} and {} more", names.len() - 3) } else { shown }
}

fn data(proposed: &Proposed) -> String {
    let at_risk = proposed.targets.iter().filter_map(|one| one.planned.proposal.as_ref().ok()).flat_map(|proposal| {
        proposal
            .intention
            .changes
            .iter()
            .filter(|change| change.data == Data::AtRisk)
            .map(|change| change.service.as_str())
    });
    let at_risk: Vec<&str> = at_risk.collect();
    match (at_risk.is_empty(), is_merged(proposed)) {
        (false, _) => format!("DATA AT RISK: {}.", some(&at_risk)),
        (true, true) => "No data at risk.".to_owned(),
        (true, false) => "No data at risk is known before the merge.".to_owned(),
    }
}

/// The whole plan, without the marker, at most [`COMMENT_BYTES_MAX`] bytes with it.
pub fn plan(proposed: &Proposed) -> String {
    let mut text = format!("**{}**\n", headline(proposed));
    if let Ok(version) = &proposed.version {
        let state = version.merge.map_or_else(|| "not merged".to_owned(), |merge| format!("merged as `{merge}`"));
        text += &format!("\nplatformctl plan of PR {}, head `{}`, {state}.\n", proposed.pr, version.head);
    }
    text += &reasons(&proposed.all_refusals());
    if !proposed.policy.is_empty() {
        text += "\n### platform.yaml\n\nOnly a reviewed pull request changes what this says.\n\n";
    }
    let mut rest: Vec<String> = proposed.policy.iter().map(policy).collect();
    for one in &proposed.removed {
        let running = if one.running { "It keeps running until it is removed." } else { "Nothing of it runs." };
        rest.push(format!("\n### {} on {}\n\nNothing describes it any more. {running}\n", one.module, one.host));
    }
    rest.extend(proposed.targets.iter().flat_map(target));
    let foot = foot(proposed);
    let mut cut = 0;
    for part in rest {
        if cut > 0 || text.len() + part.len() + foot.len() > KEPT_BYTES {
            cut += 1;
        } else {
            text += &part;
        }
    }
    if cut > 0 {
        text += &format!("\n{} left out here: `platformctl plan --pr {}` prints all of it.\n", parts(cut), proposed.pr);
    }
    text + &foot
}

fn parts(cut: usize) -> String {
    if cut == 1 { "1 part is".to_owned() } else { format!("{cut} parts are") }
}

fn reasons(refusals: &[Refusal]) -> String {
    let mut text = String::new();
    for (at, refusal) in refusals.iter().enumerate() {
        let one = format!("\n**{}**\n\n{}\nfix:\n\n{}", refusal.code.slug(), block(&refusal.fact), block(&refusal.fix));
        if text.len() + one.len() > REASONS_BYTES {
            text += &format!("\n… and {} more.\n", plural(refusals.len() - at, "reason"));
            break;
        }
        text += &one;
    }
    text
}

fn policy(change: &crate::model::policy_change::PolicyChange) -> String {
    let key = code(&change.key);
    let door = change.key == "sacred.allow" && change.to.is_some();
    let words = match (&change.from, &change.to) {
        (None, Some(to)) if door => format!("opens a door: {}", code(to)),
        (None, Some(to)) => format!("{key} becomes {}", code(to)),
        (Some(from), None) => format!("{key} no longer has {}", code(from)),
        (Some(from), Some(to)) => format!("{key}: {} → {}", code(from), code(to)),
        (None, None) => key,
    };
    format!("- {words}\n")
}

/// The parts of one module on one host; each may be left out alone.
fn target(one: &Concerned) -> Vec<String> {
    let name = one.planned.module.to_string();
    let Ok(proposal) = &one.planned.proposal else {
        return vec![format!("\n### {name}\n\nThere is no plan for it.\n")];
    };
    let intent = &proposal.intention;
    let mut parts = vec![format!("\n### {name} on {}\n\n", intent.host)];
    if proposal.done {
        parts[0] += "Nothing to change.\n";
        return parts;
    }
    for change in intent.changes.iter().filter(|change| change.action != Action::None) {
        parts.push(service(change, one.differences.get(&change.service).map(Vec::as_slice).unwrap_or_default()));
    }
    let mut more = String::new();
    if !intent.exceptions.is_empty() {
        let doors: Vec<String> = intent.exceptions.iter().map(|door| code(door)).collect();
        more += &format!("- doors: {}\n", doors.join(", "));
    }
    if !one.beside.is_empty() {
        let names: Vec<&str> = one.beside.iter().map(|id| id.as_str()).collect();
        more += &format!("- in the same Compose project: {}\n", names.join(", "));
    }
    let back = if intent.last_applied.is_some() {
        "to go back, merge a pull request that reverts this one, and apply that"
    } else {
        "it was never applied here, so there is nothing to go back to"
    };
    more += &format!("- {back}\n");
    parts.push(more);
    parts
}

fn service(change: &Change, differences: &[Difference]) -> String {
    let action = match change.action {
        Action::Create => "is created",
        Action::Adopt => "is taken over and replaced",
        Action::Recreate => "is replaced",
        Action::Start => "is started",
        Action::Remove => "is removed",
        Action::None => "stays",
    };
    let cost = match (change.data, change.downtime) {
        (Data::AtRisk, _) => ", DATA AT RISK",
        (Data::None, Downtime::None) => "",
        (Data::None, Downtime::Restart) => ", restarts",
        (Data::None, Downtime::StopFirst) => ", stops first",
    };
    let reasons: Vec<String> = change.reasons.iter().map(|reason| code(&reason.to_string())).collect();
    let mut text = format!("- {} {action}{cost}: {}\n", code(&change.service), reasons.join(", "));
    for difference in differences {
        let words = match (&difference.from, &difference.to) {
            (Some(from), Some(to)) => format!("{} → {}", code(from), code(to)),
            (None, Some(to)) => format!("new: {}", code(to)),
            (Some(from), None) => format!("no longer {}", code(from)),
            (None, None) => "differs".to_owned(),
        };
        text += &format!("  - {}: {words}\n", code(&difference.key));
    }
    text
}

/// Totals and what is not known: never cut.
fn foot(proposed: &Proposed) -> String {
    let changes: usize = proposed
        .targets
        .iter()
        .filter_map(|one| one.planned.proposal.as_ref().ok())
        .map(|proposal| proposal.intention.changes.iter().filter(|change| change.action != Action::None).count())
        .sum();
    let total =
        format!("{} in {}. {}", plural(changes, "change"), plural(proposed.targets.len(), "module"), data(proposed));
    let unknown = if is_merged(proposed) || proposed.targets.is_empty() {
        ""
    } else {
        "\nNot known before the merge, because nothing unmerged reaches a host: the rendered model, image ids, and what \
         runs there now.\n"
    };
    format!("\n---\n{total}\n{unknown}")
}

/// What became of a pull request: one line for each deployment, with its record.
pub fn timeline(
    targets: &[&Target],
    stopped: Option<&Failure>,
    commit: impl Fn(crate::model::ids::Oid) -> String,
) -> String {
    let mut text = String::from("**Applied by platformctl**\n\n");
    for target in targets {
        text += &format!("- {}\n", ended(target, &commit));
    }
    if let Some(stop) = stopped {
        text += &reasons(&stop.refusals);
    }
    text
}

fn ended(target: &Target, commit: &impl Fn(crate::model::ids::Oid) -> String) -> String {
    let outcome = word(target.outcome());
    let record = match &target.applied {
        Ok(Applied::Run(run)) => run.carried.record.as_ref(),
        Ok(Applied::Noop(noop)) => noop.record.as_ref(),
        Err(_) => None,
    };
    let host = match &target.applied {
        Ok(Applied::Run(run)) => format!(" on {}", run.summary.host),
        Ok(Applied::Noop(noop)) => format!(" on {}", noop.summary.host),
        Err(_) => String::new(),
    };
    let seq = record.map_or_else(String::new, |record| {
        let url = commit(record.commit);
        format!(", seq {} [`{}`]({url})", record.seq, record.commit)
    });
    let why: Vec<String> =
        target.refusals().iter().map(|one| format!("{}: {}", one.code.slug(), code(&one.fact))).collect();
    let why = if why.is_empty() { String::new() } else { format!(" — {}", why.join("; ")) };
    format!("{}{host}: **{outcome}**{seq}{why}", target.module)
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Applied | Outcome::Ok => "applied",
        Outcome::Noop => "nothing to change",
        Outcome::Refused => "refused",
        Outcome::Waits => "waits",
        Outcome::NotTried => "not tried",
        Outcome::Held => "HELD: it failed and was left as it is",
        Outcome::RolledBack => "rolled back",
        Outcome::Unknown => "UNKNOWN: the link was lost",
        Outcome::Unrecorded => "applied, not recorded yet",
        Outcome::Aborted => "aborted, nothing changed",
        Outcome::Error => "failed",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Attack: a name, path or message in a pull request is Markdown: a mention, a link, an image, HTML, or our own
        /// marker.
        /// Defence: foreign text is printed as code alone, and cannot end it.
        #[test]
        fn foreign_text_cannot_leave_its_code(text in "[ -~\n\t`@#<>!\\[\\]()é\u{202e}]{0,80}") {
            let span = code(&text);
            prop_assert!(span.starts_with('`') && span.ends_with('`'));
            prop_assert_eq!(span.matches('`').count(), 2);
            prop_assert!(!span.contains('\n'));
            for line in block(&text).lines() {
                prop_assert!(line.starts_with("    "), "{:?}", line);
            }
        }
    }
}
