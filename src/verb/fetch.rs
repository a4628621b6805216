//! Fetch: what every verb needs first. One question to the remote, one fetch, the policy in force, and the verified
//! record.

use crate::{
    flow::{
        Stage, Stop,
        approve::{
            candidates::Candidates,
            policy::{self, InForce, Recorded, Verdict, Why},
            request::Request,
            witness::{Heard, Witness},
        },
        refuse, unless,
    },
    ledger::{chain, fault::Checked, state::State},
    model::{
        forge::ForgeUrl,
        ids::Oid,
        policy::{ApprovalPolicy, Policy, RemoteName, SignPolicy},
        problem::Problem,
        refusal::{Code, Refusal},
        text::shown,
    },
    port::{Answer, Phase, Ports, RemoteRefs, Sign, Step, Want},
    record::{Record, remembered},
    tree::{manifests, module::PolicyAt, snapshot::Snapshot},
};

/// What was fetched and verified in this run.
pub struct Fetched {
    /// The refs of the remote.
    pub refs: RemoteRefs,
    /// P.
    pub p: Oid,
    /// The policy in force: the one at P if it is proven, else the recorded one.
    pub policy: PolicyAt,
    /// The policy at P if it is in force, or the reasons why it is not: then only verbs that read may go on.
    in_force: Result<InForce, Vec<Refusal>>,
    /// The newest record, verified.
    pub checked: Option<Checked>,
    /// How many records were delivered from the spool.
    pub delivered: usize,
    /// What the forge answered in this run.
    pub heard: Heard,
}

/// The record, with the settings of a policy.
pub fn record<'a>(ports: &Ports<'a>, policy: &Policy) -> Record<'a> {
    Record {
        source: ports.source,
        ledger: ports.ledger,
        remote: (!policy.state.is_local()).then_some(ports.remote),
        clock: ports.clock,
        pinned: policy.state.genesis.parse().ok(),
        sign: if policy.state.sign == SignPolicy::Required { Sign::Required } else { Sign::IfConfigured },
    }
}

/// The record as this clone has it, to be checked without asking anybody.
pub fn unasked<'a>(ports: &Ports<'a>) -> Record<'a> {
    let sign = Sign::IfConfigured;
    Record { source: ports.source, ledger: ports.ledger, remote: None, clock: ports.clock, pinned: None, sign }
}

/// Fetches the base, the record and the requested pull requests, with one question and one fetch. Then reads the policy
/// at P, verifies the record, and delivers the spool.
///
/// # Errors
/// The remote gave no answer, no policy is valid, or the record is not.
pub fn refresh(ports: &Ports<'_>, request: &Request) -> Stage<Fetched> {
    (ports.tell)(Step::Began(Phase::Fetch));
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
    // The policy that this clone knows to be in force decides where the record is; P's own counts only if nothing is
    // recorded.
    let known = known_policy(ports)?;
    let newest = policy_at(ports, p);
    let (settings, newest) = match (&known, newest) {
        (Some(known), newest) => (known.policy.clone(), newest),
        (None, newest) => newest.map(|newest| (newest.policy.clone(), Ok(newest)))?,
    };
    let mut record = record(ports, &settings);
    if known.is_none() && refs.state.is_some() {
        // A pin that is not proven is compared below, once the policy that holds it is judged.
        record.pinned = None;
    }
    if record.remote.is_none() {
        alone(ports, &refs)?;
    }
    let mut checked = record.sync(&refs)?;
    let heard = Heard::default();
    let (policy, in_force) = decided(ports, &heard, &refs, (p, newest), checked.as_ref(), known.is_some())?;
    pinned(&policy.policy, checked.as_ref())?;
    let delivered = record.deliver()? + record.settle()?;
    if delivered > 0 {
        checked = newest_record(ports)?;
    }
    Ok(Fetched { refs, p, policy, in_force, checked, delivered, heard })
}

impl Fetched {
    /// The policy for verbs that change something.
    ///
    /// # Errors
    /// Every reason why the policy at P is not in force. Verbs that only read go on with the recorded one.
    pub fn acting(&self) -> Stage<&InForce> {
        self.in_force.as_ref().map_err(|refusals| Stop::Refused(refusals.clone()))
    }

    /// Why the recorded policy is used although the base has another one.
    pub fn notes(&self) -> Vec<String> {
        notes(&self.in_force)
    }

    /// Whether the policy is the baseline, which nothing proves.
    pub fn is_baseline(&self) -> bool {
        self.in_force.as_ref().is_ok_and(|in_force| *in_force.why() == Why::Baseline)
    }
}

/// The same, before anything is fetched.
pub(crate) fn notes(in_force: &Result<InForce, Vec<Refusal>>) -> Vec<String> {
    let Err(refusals) = in_force else { return Vec::new() };
    let first = |fact: &str| fact.lines().next().unwrap_or_default().trim_end_matches(':').to_owned();
    let mut notes: Vec<String> = refusals.iter().map(|refusal| first(&refusal.fact)).collect();
    notes.push("the recorded policy is used here; apply refuses until this is fixed".to_owned());
    notes
}

/// The policy in force in the newest record that this clone has verified.
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

/// Where the policy says that the forge is, as this clone knows it before it asks: the policy in force, else that of the
/// base that was fetched last, else that of the checkout. What cannot be read says nothing; whoever needs it reports it.
pub fn known_forge(ports: &Ports<'_>) -> Option<ForgeUrl> {
    if let Some(known) = known_policy(ports).ok().flatten() {
        return known.policy.approval.forge;
    }
    let base = ports.ledger.base().ok()?.map(|(base, _)| base);
    let commit = base.or_else(|| ports.checkout.head().ok()?)?;
    let snapshot = Snapshot::lazy(ports.source, ports.source.commit(commit).ok()?.tree);
    manifests::policy(&snapshot).ok()?.ok()?.policy.approval.forge
}

/// The policy in force where the fetched record stops to be valid, if the base as fetched has the same: for a clone that has
/// verified none before. What counts is on the base and was recorded by valid records.
///
/// # Errors
/// The record cannot be read.
pub(crate) fn last_valid_policy(ports: &Ports<'_>) -> Answer<Option<PolicyAt>> {
    let (Some(tip), Some((p, _))) = (ports.ledger.fetched()?, ports.ledger.base()?) else { return Ok(None) };
    let records = ports.source.first_parents(tip, None)?;
    let (valid, _) = unasked(ports).prefix(None, &records, &mut |_| {})?;
    let recorded = recorded(ports, valid.map(|checked| checked.id))?.and_then(|recorded| recorded.at);
    let path = crate::model::policy::PATH.parse().ok();
    let tree = ports.source.commit(p)?.tree;
    let on_base = path.map(|path| ports.source.entry(tree, &path)).transpose()?.flatten();
    Ok(recorded.filter(|recorded| on_base.is_some_and(|entry| entry.id == recorded.blob)))
}

fn recorded(ports: &Ports<'_>, tip: Option<Oid>) -> Answer<Option<Recorded>> {
    match tip {
        Some(tip) => policy::recorded(&State::at(ports.source, tip)?),
        None => Ok(None),
    }
}

/// The policy to go on with, and whether verbs that change something may. `trusted`: this clone knew the record before
/// it asked.
///
/// # Errors
/// There is no policy to go on with.
pub(crate) fn decided(
    ports: &Ports<'_>,
    heard: &Heard,
    refs: &RemoteRefs,
    (p, newest): (Oid, Stage<PolicyAt>),
    checked: Option<&Checked>,
    trusted: bool,
) -> Stage<(PolicyAt, Result<InForce, Vec<Refusal>>)> {
    let before = recorded(ports, checked.map(|checked| checked.id))?;
    // The rules in force before each change decide whether the forge is asked.
    let rules = ApprovalPolicy::default();
    let witness = Witness { forge: ports.forge, rules: &rules, base: ports.base, heard, offline: ports.offline };
    let candidates = Candidates {
        source: ports.source,
        remote: Some(ports.remote),
        refs,
        base: p,
        styles: &[],
        adopt: &[],
        witness: Some(witness),
        glass: None,
    };
    let refusals = match newest.and_then(|newest| policy::judge(&candidates, before.as_ref(), newest)) {
        Ok(Verdict::InForce(in_force)) => return Ok((in_force.at().clone(), Ok(*in_force))),
        // Anybody may have written a record whose policy this base never had: not even a host is asked because of it.
        Ok(Verdict::Foreign(_)) if !trusted => {
            return refuse(
                Code::StateForked,
                "the record on the remote has a policy that was never on this base branch: the record may be forged",
                "find out who replaced the record or rewrote the base branch; `platformctl help recovery` explains what to do",
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

/// Compares the first record with the one that the policy in force pins.
fn pinned(policy: &Policy, checked: Option<&Checked>) -> Stage<()> {
    let pin: Option<Oid> = policy.state.genesis.parse().ok();
    match (pin, checked) {
        (Some(pin), Some(checked)) if pin != checked.genesis => refuse(
            Code::StateForked,
            format!("the record begins with {}, platform.yaml pins {pin}", checked.genesis),
            "this is not the record that was reviewed; `platformctl help recovery` explains what to do",
        ),
        (Some(_) | None, _) => Ok(()),
    }
}

/// P, the tip of the base branch on the remote.
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

/// Refuses a local-only record (`state.remote: none`) where it would be lost or would fork.
fn alone(ports: &Ports<'_>, refs: &RemoteRefs) -> Stage<()> {
    if ports.ci {
        return refuse(
            Code::PolicyInvalid,
            "platform.yaml has state.remote: none, and this is CI: the record would be lost with the machine",
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
            "platform.yaml has state.remote: none, but the remote has a record ({theirs}) that this clone does not contain"
        ),
        "platformctl state fetch, or remove state.remote from platform.yaml",
    )
}

/// The policy at P, if it is valid and names the remote and branch in use.
///
/// # Errors
/// It is not valid.
pub fn policy_at(ports: &Ports<'_>, p: Oid) -> Stage<PolicyAt> {
    let snapshot = Snapshot::lazy(ports.source, ports.source.commit(p)?.tree);
    let policy = manifests::policy(&snapshot)?
        .map_err(|problems| Stop::Refused(problems.into_iter().map(Problem::into_refusal).collect()))?;
    let approval = &policy.policy.approval;
    let mut refusals = Vec::new();
    if approval.remote == Some(RemoteName::None) {
        refusals.push(Refusal::new(
            Code::DriverNotYet,
            "platform.yaml has approval.remote: none (the local base branch approves), which this version does not support",
            "name the remote whose pull requests approve, or leave it out",
        ));
    }
    let name = |remote: Option<_>| remote.and_then(RemoteName::name);
    let names = [
        ("remote", "approval.remote", name(approval.remote.as_ref()), ports.remote.name()),
        ("base", "approval.base", approval.base.as_deref(), ports.base),
        // A record that is kept elsewhere than the policy says would not be found.
        ("remote", "state.remote", name(policy.policy.state.remote.as_ref()), ports.remote.name()),
    ];
    for (option, key, named, used) in names {
        if let Some(named) = named.filter(|named| *named != used) {
            refusals.push(Refusal::new(
                Code::PolicyInvalid,
                format!("platform.yaml has {key}: {}, but {} is in use", shown(named), shown(used)),
                format!("use --{option} {}, or correct platform.yaml in a pull request", shown(named)),
            ));
        }
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
