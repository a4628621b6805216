//! Refresh: the world that the verbs ask, and what one question and one fetch bring of it.

use crate::{
    flow::{
        close::Tell,
        content::Content,
        record::Record,
        repository::{self, PolicyAt},
        request::Request,
        stage::{Stage, Stop, refuse, unless},
    },
    ledger::chain::{self, Checked},
    model::{
        ids::Oid,
        policy::{ApprovalSource, HostPolicy, Policy, SignPolicy},
        problem::Problem,
        refusal::{Code, Refusal},
        text::shown,
    },
    port::{Answer, Checkout, Clock, Host, Ledger, Remote, RemoteRefs, Sign, Source, Want},
};

/// Everything that the sentence may ask.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Objects.
    pub source: &'a dyn Source,
    /// The local side of the record.
    pub ledger: &'a dyn Ledger,
    /// The checkout.
    pub checkout: &'a dyn Checkout,
    /// The remote; `None` where the policy says so on purpose.
    pub remote: &'a dyn Remote,
    /// The base branch in use.
    pub base: &'a str,
    /// Time and chance.
    pub clock: &'a dyn Clock,
    /// Reaches a host by its entry in the policy.
    pub host: &'a dyn Fn(&HostPolicy) -> Answer<Box<dyn Host>>,
    /// Told of each step.
    pub tell: Tell<'a>,
    /// Whether this runs in CI, on a machine that is thrown away.
    pub ci: bool,
}

/// What was fetched and checked in this run.
pub struct Fresh {
    /// What the remote has.
    pub refs: RemoteRefs,
    /// P.
    pub p: Oid,
    /// The policy at P.
    pub policy: PolicyAt,
    /// The newest record, verified.
    pub checked: Option<Checked>,
    /// How many records were delivered that had waited in the spool.
    pub delivered: usize,
}

/// The record under a policy.
pub fn record<'a>(world: &World<'a>, policy: &Policy) -> Record<'a> {
    let local = policy.state.remote.as_deref() == Some("none");
    Record {
        source: world.source,
        ledger: world.ledger,
        remote: (!local).then_some(world.remote),
        clock: world.clock,
        pinned: policy.state.genesis.parse().ok(),
        sign: if policy.state.sign == SignPolicy::Required { Sign::Required } else { Sign::IfConfigured },
    }
}

/// One question and one fetch: the base, the record, and the pull requests that are asked for. Then the policy at P is read, the
/// record verified, and what waits in the spool delivered.
///
/// # Errors
/// No answer, no policy that holds, or a record that does not.
pub fn refresh(world: &World<'_>, request: &Request) -> Stage<Fresh> {
    let refs = world.remote.refs(true)?;
    let p = base_of(world, &refs)?;
    let mut wants = vec![Want::Base];
    wants.extend(refs.state.map(|_| Want::State));
    let asked: Option<Oid> = request.approved.as_deref().and_then(|text| text.parse().ok());
    for (pr, head) in &refs.pulls {
        if (Some(*pr) == request.pr || Some(*head) == asked) && !world.source.has(*head)? {
            wants.push(Want::Pull(*pr));
        }
    }
    world.remote.fetch(&wants)?;
    world.ledger.set_note("fetched-at", Some(format!("{} {}", world.clock.now(), world.base).as_bytes()))?;
    let policy = policy_at(world, p)?;
    let record = record(world, &policy.policy);
    if record.remote.is_none() {
        alone(world, &refs)?;
    }
    let mut checked = record.sync(&refs)?;
    let delivered = record.deliver()? + record.settle()?;
    if delivered > 0 {
        checked = newest(world)?;
    }
    Ok(Fresh { refs, p, policy, checked, delivered })
}

/// P, by what the remote said.
///
/// # Errors
/// The remote has no such branch.
pub(super) fn base_of(world: &World<'_>, refs: &RemoteRefs) -> Stage<Oid> {
    let Some(p) = refs.base else {
        let fact = format!("the remote `{}` has no branch `{}`", shown(world.remote.name()), shown(world.base));
        return refuse(Code::UnknownId, fact, "name the base branch: --base, or git config platformctl.base");
    };
    Ok(p)
}

/// Refuses a record that is kept here alone where it would be lost or fork.
fn alone(world: &World<'_>, refs: &RemoteRefs) -> Stage<()> {
    if world.ci {
        return refuse(
            Code::PolicyInvalid,
            "platform.yaml says state.remote: none, and this is CI: the record would be thrown away with the machine",
            "keep the record on the remote: remove state.remote",
        );
    }
    let Some(theirs) = refs.state else { return Ok(()) };
    let contained = match world.ledger.tip()? {
        Some(tip) => world.source.has(theirs)? && world.source.is_ancestor(theirs, tip)?,
        None => false,
    };
    if contained {
        return Ok(());
    }
    refuse(
        Code::StateForked,
        format!(
            "platform.yaml says state.remote: none, but the remote has a record ({theirs}) that is not contained here"
        ),
        "platformctl state fetch, or remove state.remote from platform.yaml",
    )
}

/// The policy at P, if it holds and is about the remote and branch in use.
///
/// # Errors
/// It does not hold.
pub fn policy_at(world: &World<'_>, p: Oid) -> Stage<PolicyAt> {
    let content = Content::lazy(world.source, world.source.commit(p)?.tree);
    let policy = repository::policy(&content)?
        .map_err(|problems| Stop::Refused(problems.into_iter().map(Problem::into_refusal).collect()))?;
    let approval = &policy.policy.approval;
    let mut refusals = Vec::new();
    let names = [("remote", &approval.remote, world.remote.name()), ("base", &approval.base, world.base)];
    if approval.remote.as_deref() == Some("none") {
        refusals.push(Refusal::new(
            Code::DriverNotYet,
            "platform.yaml says approval.remote: none (the local base branch approves), which this version does not do",
            "name the remote whose pull requests approve, or leave it out",
        ));
    }
    for (key, named, used) in names {
        let none = key == "remote" && named.as_deref() == Some("none");
        if let Some(named) = named.as_deref().filter(|named| *named != used && !none) {
            refusals.push(Refusal::new(
                Code::PolicyInvalid,
                format!("platform.yaml says approval.{key}: {}, in use is {}", shown(named), shown(used)),
                format!("say --{key} {}, or correct platform.yaml by a pull request", shown(named)),
            ));
        }
    }
    if approval.source == ApprovalSource::Forgejo {
        refusals.push(Refusal::new(
            Code::DriverNotYet,
            "platform.yaml asks for reviews of a Forgejo (approval.source: forgejo), which this version cannot ask",
            "use a later version; until then `source: git` says: merged; who approved is not known",
        ));
    }
    unless(refusals)?;
    Ok(policy)
}

/// The record as this process left it.
///
/// # Errors
/// It cannot be read.
pub fn newest(world: &World<'_>) -> Answer<Option<Checked>> {
    world.ledger.tip()?.map(|tip| chain::trusted(world.source, tip)).transpose()
}
