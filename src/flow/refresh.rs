//! Refresh: the world that the verbs ask, and what one question and one fetch bring of it.

use crate::{
    flow::{
        candidates::Forge,
        close::Tell,
        content::Content,
        policy::{self, InForce, Recorded, Verdict, Why},
        record::{Record, remembered},
        repository::{self, PolicyAt},
        request::Request,
        stage::{Stage, Stop, refuse, unless},
    },
    ledger::{
        chain::{self, Checked},
        state::State,
    },
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
    /// The policy that is in force: P's where it is proven, else the recorded one.
    pub policy: PolicyAt,
    /// P's policy as what is in force, or why it is not: then only reading goes on.
    in_force: Result<InForce, Vec<Refusal>>,
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
    // What this clone knows to be in force says where the record is; P's own word counts only where nothing is recorded.
    let known = known_policy(world)?;
    let newest = policy_at(world, p);
    let (settings, newest) = match (&known, newest) {
        (Some(known), newest) => (known.policy.clone(), newest),
        (None, newest) => newest.map(|newest| (newest.policy.clone(), Ok(newest)))?,
    };
    let mut record = record(world, &settings);
    if known.is_none() && refs.state.is_some() {
        // A pin that nobody proved is compared below, once it is known who wrote it.
        record.pinned = None;
    }
    if record.remote.is_none() {
        alone(world, &refs)?;
    }
    let mut checked = record.sync(&refs)?;
    let (policy, in_force) = decided(world, &refs, (p, newest), checked.as_ref(), known.is_some())?;
    pinned(&policy.policy, checked.as_ref())?;
    let delivered = record.deliver()? + record.settle()?;
    if delivered > 0 {
        checked = newest_record(world)?;
    }
    Ok(Fresh { refs, p, policy, in_force, checked, delivered })
}

impl Fresh {
    /// The policy for what acts.
    ///
    /// # Errors
    /// Every reason why P's policy is not in force: what only reads goes on with the recorded one.
    pub fn acting(&self) -> Stage<&InForce> {
        self.in_force.as_ref().map_err(|refusals| Stop::Refused(refusals.clone()))
    }

    /// Why the recorded policy is used although the base has another one, for a reader.
    pub fn notes(&self) -> Vec<String> {
        notes(&self.in_force)
    }

    /// Whether the policy is the first one, which nothing proves.
    pub fn is_baseline(&self) -> bool {
        self.in_force.as_ref().is_ok_and(|in_force| *in_force.why() == Why::Baseline)
    }
}

/// The same of what is in force.
pub(super) fn notes(in_force: &Result<InForce, Vec<Refusal>>) -> Vec<String> {
    let Err(refusals) = in_force else { return Vec::new() };
    let first = |fact: &str| fact.lines().next().unwrap_or_default().trim_end_matches(':').to_owned();
    let mut notes: Vec<String> = refusals.iter().map(|refusal| first(&refusal.fact)).collect();
    notes.push("the recorded policy is used here; apply refuses until that is cured".to_owned());
    notes
}

/// The policy in force in the newest record that this clone verified.
///
/// # Errors
/// It cannot be read.
pub(super) fn known_policy(world: &World<'_>) -> Answer<Option<PolicyAt>> {
    let tip = match remembered(world.ledger)? {
        Some(seen) if world.source.has(seen.tip)? => Some(seen.tip),
        Some(_) | None => None,
    };
    Ok(recorded(world, tip)?.and_then(|recorded| recorded.at))
}

fn recorded(world: &World<'_>, tip: Option<Oid>) -> Answer<Option<Recorded>> {
    match tip {
        Some(tip) => policy::recorded(&State::at(world.source, tip)?),
        None => Ok(None),
    }
}

/// The policy to go on with, and whether what acts may. `trusted`: this clone knew the record before it asked.
///
/// # Errors
/// There is no policy to go on with.
pub(super) fn decided(
    world: &World<'_>,
    refs: &RemoteRefs,
    (p, newest): (Oid, Stage<PolicyAt>),
    checked: Option<&Checked>,
    trusted: bool,
) -> Stage<(PolicyAt, Result<InForce, Vec<Refusal>>)> {
    let before = recorded(world, checked.map(|checked| checked.id))?;
    let forge = Forge { source: world.source, remote: Some(world.remote), refs, base: p, styles: &[], adopt: &[] };
    let refusals = match newest.and_then(|newest| policy::judge(&forge, before.as_ref(), newest)) {
        Ok(Verdict::InForce(in_force)) => return Ok((in_force.at().clone(), Ok(*in_force))),
        // A record whose policy this base never had may be anybody's: not even a host is asked by what it says.
        Ok(Verdict::Foreign(_)) if !trusted => {
            return refuse(
                Code::StateForked,
                "the record on the remote has a policy that was never on this base branch: it may be a forged one",
                "find out who replaced the record or rewrote the base branch; `platformctl help recovery` says how to go on",
            );
        }
        Ok(Verdict::Foreign(refusal)) => vec![refusal],
        Ok(Verdict::Unproven(refusals)) | Err(Stop::Refused(refusals)) => refusals,
        Err(Stop::World(error)) => return Err(error.into()),
    };
    match before.and_then(|before| before.at) {
        Some(before) => Ok((before, Err(refusals))),
        None => Err(Stop::Refused(refusals)),
    }
}

/// Holds the record to the first record that the policy in force pins.
fn pinned(policy: &Policy, checked: Option<&Checked>) -> Stage<()> {
    let pin: Option<Oid> = policy.state.genesis.parse().ok();
    match (pin, checked) {
        (Some(pin), Some(checked)) if pin != checked.genesis => refuse(
            Code::StateForked,
            format!("the record begins with {}, platform.yaml pins {pin}", checked.genesis),
            "this is another record than the reviewed one; `platformctl help recovery` says how to go on",
        ),
        (Some(_) | None, _) => Ok(()),
    }
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
    if approval.remote.as_deref() == Some("none") {
        refusals.push(Refusal::new(
            Code::DriverNotYet,
            "platform.yaml says approval.remote: none (the local base branch approves), which this version does not do",
            "name the remote whose pull requests approve, or leave it out",
        ));
    }
    let names = [
        ("remote", "approval.remote", &approval.remote, world.remote.name()),
        ("base", "approval.base", &approval.base, world.base),
        // A record that is kept elsewhere than the policy says would be nobody's.
        ("remote", "state.remote", &policy.policy.state.remote, world.remote.name()),
    ];
    for (option, key, named, used) in names {
        let none = option == "remote" && named.as_deref() == Some("none");
        if let Some(named) = named.as_deref().filter(|named| *named != used && !none) {
            refusals.push(Refusal::new(
                Code::PolicyInvalid,
                format!("platform.yaml says {key}: {}, in use is {}", shown(named), shown(used)),
                format!("say --{option} {}, or correct platform.yaml by a pull request", shown(named)),
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
pub fn newest_record(world: &World<'_>) -> Answer<Option<Checked>> {
    world.ledger.tip()?.map(|tip| chain::trusted(world.source, tip)).transpose()
}
