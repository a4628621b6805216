//! Refresh: the world that the verbs ask, and what one question and one fetch bring of it.

use crate::{
    flow::{
        Stage, Stop,
        approve::{
            candidates::Candidates,
            policy::{self, InForce, Recorded, Verdict, Why},
            request::Request,
        },
        refuse, unless,
    },
    ledger::{chain, fault::Checked, state::State},
    model::{
        ids::Oid,
        policy::{ApprovalSource, Policy, SignPolicy},
        problem::Problem,
        refusal::{Code, Refusal},
        text::shown,
    },
    port::{Answer, Ports, RemoteRefs, Sign, Want},
    record::{Record, remembered},
    tree::{manifests, module::PolicyAt, snapshot::Snapshot},
};

/// What was fetched and checked in this run.
pub struct Fetched {
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
pub fn record<'a>(ports: &Ports<'a>, policy: &Policy) -> Record<'a> {
    let local = policy.state.remote.as_deref() == Some("none");
    Record {
        source: ports.source,
        ledger: ports.ledger,
        remote: (!local).then_some(ports.remote),
        clock: ports.clock,
        pinned: policy.state.genesis.parse().ok(),
        sign: if policy.state.sign == SignPolicy::Required { Sign::Required } else { Sign::IfConfigured },
    }
}

/// One question and one fetch: the base, the record, and the pull requests that are asked for. Then the policy at P is read, the
/// record verified, and what waits in the spool delivered.
///
/// # Errors
/// No answer, no policy that holds, or a record that does not.
pub fn refresh(ports: &Ports<'_>, request: &Request) -> Stage<Fetched> {
    let refs = ports.remote.refs(true)?;
    let p = base_of(ports, &refs)?;
    let mut wants = vec![Want::Base];
    wants.extend(refs.state.map(|_| Want::State));
    let asked: Option<Oid> = request.approved.as_deref().and_then(|text| text.parse().ok());
    for (pr, head) in &refs.pulls {
        if (Some(*pr) == request.pr || Some(*head) == asked) && !ports.source.has(*head)? {
            wants.push(Want::Pull(*pr));
        }
    }
    ports.remote.fetch(&wants)?;
    ports.ledger.set_note("fetched-at", Some(format!("{} {}", ports.clock.now(), ports.base).as_bytes()))?;
    // What this clone knows to be in force says where the record is; P's own word counts only where nothing is recorded.
    let known = known_policy(ports)?;
    let newest = policy_at(ports, p);
    let (settings, newest) = match (&known, newest) {
        (Some(known), newest) => (known.policy.clone(), newest),
        (None, newest) => newest.map(|newest| (newest.policy.clone(), Ok(newest)))?,
    };
    let mut record = record(ports, &settings);
    if known.is_none() && refs.state.is_some() {
        // A pin that nobody proved is compared below, once it is known who wrote it.
        record.pinned = None;
    }
    if record.remote.is_none() {
        alone(ports, &refs)?;
    }
    let mut checked = record.sync(&refs)?;
    let (policy, in_force) = decided(ports, &refs, (p, newest), checked.as_ref(), known.is_some())?;
    pinned(&policy.policy, checked.as_ref())?;
    let delivered = record.deliver()? + record.settle()?;
    if delivered > 0 {
        checked = newest_record(ports)?;
    }
    Ok(Fetched { refs, p, policy, in_force, checked, delivered })
}

impl Fetched {
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
pub(crate) fn notes(in_force: &Result<InForce, Vec<Refusal>>) -> Vec<String> {
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
pub(crate) fn known_policy(ports: &Ports<'_>) -> Answer<Option<PolicyAt>> {
    let tip = match remembered(ports.ledger)? {
        Some(seen) if ports.source.has(seen.tip)? => Some(seen.tip),
        Some(_) | None => None,
    };
    Ok(recorded(ports, tip)?.and_then(|recorded| recorded.at))
}

fn recorded(ports: &Ports<'_>, tip: Option<Oid>) -> Answer<Option<Recorded>> {
    match tip {
        Some(tip) => policy::recorded(&State::at(ports.source, tip)?),
        None => Ok(None),
    }
}

/// The policy to go on with, and whether what acts may. `trusted`: this clone knew the record before it asked.
///
/// # Errors
/// There is no policy to go on with.
pub(crate) fn decided(
    ports: &Ports<'_>,
    refs: &RemoteRefs,
    (p, newest): (Oid, Stage<PolicyAt>),
    checked: Option<&Checked>,
    trusted: bool,
) -> Stage<(PolicyAt, Result<InForce, Vec<Refusal>>)> {
    let before = recorded(ports, checked.map(|checked| checked.id))?;
    let candidates =
        Candidates { source: ports.source, remote: Some(ports.remote), refs, base: p, styles: &[], adopt: &[] };
    let refusals = match newest.and_then(|newest| policy::judge(&candidates, before.as_ref(), newest)) {
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
        Err(Stop::Failed(error)) => return Err(error.into()),
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
pub(crate) fn base_of(ports: &Ports<'_>, refs: &RemoteRefs) -> Stage<Oid> {
    let Some(p) = refs.base else {
        let fact = format!("the remote `{}` has no branch `{}`", shown(ports.remote.name()), shown(ports.base));
        return refuse(Code::UnknownId, fact, "name the base branch: --base, or git config platformctl.base");
    };
    Ok(p)
}

/// Refuses a record that is kept here alone where it would be lost or fork.
fn alone(ports: &Ports<'_>, refs: &RemoteRefs) -> Stage<()> {
    if ports.ci {
        return refuse(
            Code::PolicyInvalid,
            "platform.yaml says state.remote: none, and this is CI: the record would be thrown away with the machine",
            "keep the record on the remote: remove state.remote",
        );
    }
    let Some(theirs) = refs.state else { return Ok(()) };
    let contained = match ports.ledger.tip()? {
        Some(tip) => ports.source.has(theirs)? && ports.source.is_ancestor(theirs, tip)?,
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
pub fn policy_at(ports: &Ports<'_>, p: Oid) -> Stage<PolicyAt> {
    let snapshot = Snapshot::lazy(ports.source, ports.source.commit(p)?.tree);
    let policy = manifests::policy(&snapshot)?
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
        ("remote", "approval.remote", &approval.remote, ports.remote.name()),
        ("base", "approval.base", &approval.base, ports.base),
        // A record that is kept elsewhere than the policy says would be nobody's.
        ("remote", "state.remote", &policy.policy.state.remote, ports.remote.name()),
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
pub fn newest_record(ports: &Ports<'_>) -> Answer<Option<Checked>> {
    ports.ledger.tip()?.map(|tip| chain::trusted(ports.source, tip)).transpose()
}
