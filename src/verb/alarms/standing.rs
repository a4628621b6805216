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
    /// A merged pull request that is not applied by itself. `why`: for instance `it opens a door: cap_add NET_ADMIN`.
    pub fn waits(deployment: Deployment, pr: u64, merge: Oid, since: Timestamp, why: &str) -> Self {
        let text = format!("PR #{pr} is merged and is not applied on {} by itself: {}.", deployment.host, shown(why));
        let (about, fix) = (Digest::of(merge.to_string().as_bytes()), format!("platformctl apply --pr {pr}"));
        Self { deployment, condition: Condition::Waits, about, pr: Some(pr), since, text, fix }
    }

    /// Gates that a person, `who`, passed on purpose in a run, with a reason.
    pub fn glass(
        deployment: Deployment,
        (run, since): (&RunId, Timestamp),
        (who, reason): (&str, &str),
        waived: &[String],
    ) -> Self {
        let gates = waived.iter().map(|gate| shown(gate)).collect::<Vec<_>>().join(", ");
        let text = format!("{} passed {gates} on {} on purpose: {}", shown(who), deployment.host, shown(reason));
        let fix = format!("platformctl show {run}");
        Self { deployment, condition: Condition::BreakGlass, about: about_run(run), pr: None, since, text, fix }
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
    let event = Some(seq.saturating_sub(failed.seq)).filter(|steps| *steps <= BACK_MAX).and_then(|steps| {
        // Words are an extra: without them the message is as true.
        let id = back(source, tip, steps).ok()??;
        State::at(source, id).ok()?.event().ok()
    });
    if let Some(why) = event.as_ref().and_then(why) {
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
