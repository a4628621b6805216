//! `show`, rendered.

use serde::Serialize;

use super::{Last, Render, list, meanings, plan::changes, plural, short, table, wrapped};
use crate::{
    model::{evidence::ContainerEvidence, forge::CountedReview, text::shown},
    verb::show::{Entry, InFull},
};

impl Render for InFull {
    const COMMAND: &'static str = "show";

    fn object(&self) -> impl Serialize {
        self
    }

    fn lines(&self) -> Vec<String> {
        self.records.iter().flat_map(lines).collect()
    }

    fn last(&self) -> Last {
        Last::Next("platformctl log".to_owned())
    }
}

/// What was seen of a container, as cells of a table.
fn container(seen: &ContainerEvidence) -> [String; 4] {
    let health = seen.health.as_deref().map(|health| format!(", {}", shown(health))).unwrap_or_default();
    let watched = if seen.healthy_s == 0 { String::new() } else { format!("for {} s", seen.healthy_s) };
    let restarts =
        if seen.restarts == 0 { String::new() } else { plural(usize::try_from(seen.restarts).unwrap_or(0), "restart") };
    let image = seen.image.strip_prefix("sha256:").map_or(seen.image.as_str(), short);
    [
        format!("  {}{health}", shown(&seen.state)),
        shown(&seen.service).to_string(),
        format!("image {}", shown(image)),
        [watched, restarts].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", "),
    ]
}

fn lines(Entry { commit, event }: &Entry) -> Vec<String> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: &str, value: Option<String>| rows.extend(value.map(|value| vec![format!("  {name}"), value]));
    row("record", Some(commit.to_string()));
    row("time", Some(event.time.to_string()));
    row("by", Some(format!("{} <{}>", event.actor.name, event.actor.email)));
    row("via", event.actor.via.as_ref().map(|via| format!("{via}, by the runner's word")));
    row("module", event.module.as_ref().map(ToString::to_string));
    row("host", event.host.as_ref().map(ToString::to_string));
    row("run", event.run.as_ref().map(ToString::to_string));
    row("result", event.result.map(|result| result.as_str().to_owned()));
    if let Some(approved) = &event.approved {
        let weak = if approved.weak { ", weak" } else { "" };
        let covers = list(&approved.covers);
        row("approved", Some(format!("PR #{}, {}{weak}, covers {covers}", approved.pr, approved.style.as_str())));
        let by = |review: &CountedReview| {
            let pr = review.pr.map_or_else(String::new, |pr| format!(" of #{pr}"));
            format!("{}{pr} at {} (review {})", shown(&review.user), review.at, review.id)
        };
        for review in &approved.reviews {
            row("reviewed by", Some(by(review)));
        }
        if let Some(forge) = &approved.forge {
            let who = forge.merged_by.as_deref().map_or_else(|| "an account that is gone".to_owned(), shown);
            row("merged by", Some(format!("{who} at {}", forge.merged_at)));
            row("said by", Some(forge.url.to_string()));
        }
        row("signed by", approved.server_signed.then(|| "the server (approval.server_key)".to_owned()));
        row("head", Some(approved.head.to_string()));
        row("merged as", Some(approved.merge.to_string()));
    }
    row("release", event.closure.map(|digest| digest.to_string()));
    row("plan", event.plan.map(|digest| digest.to_string()));
    row("checkout", event.checkout.map(|binding| binding.as_str().to_owned()));
    row("waived", (!event.waived.is_empty()).then(|| event.waived.join(" ")));
    if let Some(evidence) = &event.evidence {
        row("files", Some(evidence.files.to_string()));
        row("probes", Some(evidence.probes.to_string()));
        row("failed", evidence.failed.clone());
    }
    let containers = event.evidence.iter().flat_map(|evidence| &evidence.containers).map(container);
    let secrets = event.evidence.iter().flat_map(|evidence| evidence.secrets.keys());
    let secrets: Vec<String> = secrets.map(|file| shown(file).to_string()).collect();
    row("secrets", (!secrets.is_empty()).then(|| secrets.join(" ")));
    let mut lines = vec![format!("seq {}  {}", event.seq, event.kind.as_str())];
    lines.extend(table(&rows));
    let approved = event.approved.as_ref();
    let weak = approved.is_some_and(|approved| approved.weak).then_some("weak");
    let covers = approved.is_some_and(|approved| approved.covers != [approved.pr]).then_some("covers");
    lines.extend(meanings(weak.into_iter().chain(covers).chain(event.waived.iter().map(String::as_str))));
    lines.extend(changes(&event.changes));
    lines.extend(event.changed.as_ref().map(|many| format!("  {} changes, {}", many.count, many.digest)));
    lines.extend(table(&containers.collect::<Vec<_>>()));
    let why = event.evidence.as_ref().and_then(|evidence| evidence.why.as_deref());
    for text in [event.reason.as_deref(), why].into_iter().flatten() {
        lines.extend(wrapped(text, "  "));
    }
    lines
}
