//! What the record itself shows that people should be told of, whoever looks: a runner that was killed before it told
//! anybody leaves nothing untold.

use crate::{
    ledger::{event::Event, fault::back, state::State},
    model::{
        alarm::Condition,
        digest::Digest,
        ids::{Deployment, Oid, RunId},
        status::{Difference, Finding, HostStatus},
        text::shown,
        time::Timestamp,
    },
    port::{Answer, Source},
};

/// How long what runs must differ from the record, by two looks at it, before people are told.
const DRIFTS_S: i64 = 600;
/// How many records back the event of a failure is looked for, for its reason.
const BACK_MAX: u64 = 64;
/// How many differences a message lists.
const LISTED: usize = 5;

/// Something that lasts, with the words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The deployment.
    pub deployment: Deployment,
    /// What it is.
    pub condition: Condition,
    /// What tells it from another of the same condition.
    pub about: Digest,
    /// The pull request.
    pub pr: Option<u64>,
    /// Since when.
    pub since: Timestamp,
    /// What happened, in a few lines.
    pub text: String,
    /// The command that helps.
    pub fix: String,
}

/// The digest that tells a run from another.
pub(super) fn about_run(run: &RunId) -> Digest {
    Digest::of(run.as_str().as_bytes())
}

impl Standing {
    /// A merged change that is not applied by itself, and why; without a pull request, what somebody pushed.
    pub fn waits(deployment: Deployment, pr: Option<u64>, since: Timestamp, why: &str, fix: &str) -> Self {
        let what = pr.map_or_else(|| "What is on the base".to_owned(), |pr| format!("PR #{pr}"));
        let text = format!("{what} is not applied on {} by itself: {}", deployment.host, shown(why));
        let about = Digest::of(pr.map_or_else(|| "base".to_owned(), |pr| format!("PR #{pr}")).as_bytes());
        Self { deployment, condition: Condition::Waits, about, pr, since, text, fix: shown(fix) }
    }
}

/// Everything that the record shows at `now`, deployment by deployment.
///
/// # Errors
/// The record cannot be read.
pub fn standing(source: &dyn Source, state: &State<'_>, now: Timestamp) -> Answer<Vec<Standing>> {
    let mut found = Vec::new();
    let seq = state.event()?.seq;
    for module in state.modules()? {
        for (host, status) in &module.hosts {
            if status.moved_to.is_some() {
                continue;
            }
            let deployment = Deployment::new(&module.module, host);
            found.extend(failure(source, state.tip(), seq, &deployment, status));
            found.extend(drift(&deployment, status));
            found.extend(glass(source, state.tip(), seq, &deployment, status));
        }
    }
    for open in state.open_runs()?.into_iter().filter(|open| open.expires < now) {
        let text = format!(
            "Run {} of {}, opened at {}, should have ended by {}, and nobody recorded how it ended. \
             Nothing else is applied there until it is ended.",
            open.run,
            shown(&open.owner),
            open.opened,
            open.expires
        );
        found.push(Standing {
            deployment: open.deployment(),
            condition: Condition::Unfinished,
            about: about_run(&open.run),
            pr: None,
            since: open.expires,
            text,
            fix: format!("platformctl resume {}", open.run),
        });
    }
    Ok(found)
}

fn failure(source: &dyn Source, tip: Oid, seq: u64, deployment: &Deployment, status: &HostStatus) -> Option<Standing> {
    let failed = status.unsettled()?;
    let (condition, became) = match failed.rolled_back {
        true => (Condition::RolledBack, "the release before it runs again"),
        false => (Condition::Held, "it was left as it is"),
    };
    let mut text = format!("PR #{} failed on {} at {}, and {became}.", failed.pr, deployment.host, failed.at);
    if let Some(why) = event_at(source, tip, seq, failed.seq).as_ref().and_then(why) {
        text += &format!("\n{why}");
    }
    Some(Standing {
        deployment: deployment.clone(),
        condition,
        about: failed.effective,
        pr: Some(failed.pr),
        since: failed.at,
        text,
        fix: format!("platformctl show {}", deployment.module),
    })
}

/// The newest release that was brought with break-glass, until one that passes every gate follows it.
fn glass(source: &dyn Source, tip: Oid, seq: u64, deployment: &Deployment, status: &HostStatus) -> Option<Standing> {
    let broken = status.glass.last()?;
    let who = event_at(source, tip, seq, broken.seq).map_or_else(|| "Somebody".to_owned(), |event| event.actor.name);
    let gates = broken.waived.iter().map(|gate| shown(gate)).collect::<Vec<_>>().join(", ");
    let text = format!(
        "{} applies PR #{} on {} past {gates}: {}\nA merged pull request should contain it by {}.",
        shown(&who),
        broken.pr,
        deployment.host,
        shown(&broken.reason),
        broken.until
    );
    Some(Standing {
        deployment: deployment.clone(),
        condition: Condition::BreakGlass,
        about: about_run(&broken.run),
        pr: Some(broken.pr),
        since: broken.at,
        text,
        fix: format!("platformctl show {}", deployment.module),
    })
}

/// A record that is not far back. Words are an extra: without them a message is as true.
fn event_at(source: &dyn Source, tip: Oid, newest: u64, seq: u64) -> Option<Event> {
    let steps = newest.checked_sub(seq).filter(|steps| *steps <= BACK_MAX)?;
    let id = back(source, tip, steps).ok()??;
    State::at(source, id).ok()?.event().ok()
}

/// What an outcome says of its failure: our own words, which are recorded.
fn why(event: &Event) -> Option<String> {
    let evidence = event.evidence.as_ref()?;
    let code = evidence.failed.as_deref()?;
    Some(match &evidence.why {
        Some(why) => format!("{}: {}", shown(code), shown(why)),
        None => shown(code),
    })
}

/// Two looks, the first of which was at least ten minutes before the second, found differences, and so did every look
/// between them.
fn drift(deployment: &Deployment, status: &HostStatus) -> Option<Standing> {
    let seen = status.observed.as_ref().filter(|seen| !seen.findings.is_empty())?;
    let since = seen.since.filter(|since| seen.at >= since.plus_s(DRIFTS_S))?;
    let listed: Vec<String> = seen.findings.iter().take(LISTED).map(finding).collect();
    let more = seen.findings.len().saturating_sub(LISTED);
    let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
    Some(Standing {
        deployment: deployment.clone(),
        condition: Condition::Drift,
        about: Digest::of(since.to_string().as_bytes()),
        pr: status.running.as_ref().map(|running| running.pr),
        since,
        text: format!(
            "What runs on {} differs from the record since {since}:\n{}{more}",
            deployment.host,
            listed.join("\n")
        ),
        fix: format!("platformctl show {}", deployment.module),
    })
}

fn finding(finding: &Finding) -> String {
    let what = match finding.difference {
        Difference::Missing => "is gone",
        Difference::Stopped => "does not run",
        Difference::Unhealthy => "is not healthy",
        Difference::Image => "runs another image",
        Difference::Config => "runs with another configuration",
        Difference::Content => "has other content",
        Difference::Replicas => "has another number of containers",
        Difference::Foreign => "is there, and no release has it",
    };
    format!("{} {what}", shown(&finding.subject))
}
