//! Apply: the sentence. `approve → bind → observe → plan → gate → open → ship → run → verify → close`.

use crate::{
    flow::{
        Stage, Stop,
        approve::{Candidates, approve, policy::InForce, request::Request, witness::Witness},
        bind::{
            Bind, Waivers, bind,
            bound::{Bound, Present},
        },
        close::{Carried, carry_out},
        gate::{Facts, Nothing, Permit, gate, nothing},
        observe,
        open::{self, Declaring, Opened},
        plan::{self, Plan},
        refuse,
    },
    ledger::{event::Kind, state::State},
    model::{
        approval::Approval,
        claim::Claim,
        gate::{Binding, GateCheck},
        glass::{Glass, Reason},
        ids::{Deployment, HostName, ModuleId},
        json::{self, CanonicalError},
        plan::{Change, Intention},
        policy::ApprovalSource,
        refusal::Code,
        status::HostStatus,
    },
    port::{Answer, Host, Phase, PortError, Ports, Step, ending},
    record::{Appended, Record, append::Append},
    runtime,
    verb::{
        alarms,
        busy::{busy, shared},
        fetch::{Fetched, newest_record, record},
        glass,
        left::Left,
        pull::pull,
        unattended,
    },
};

/// How often a plan is made again because the record moved, before it is called contention.
const ROUNDS: u32 = 5;

/// What a person asked to apply.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The module.
    pub module: ModuleId,
    /// Its host; `None`: the only one that it has.
    pub host: Option<HostName>,
    /// By which approval; neither given with `again`.
    pub request: Request,
    /// `--again`: what is applied, once more.
    pub again: bool,
    /// What is waived.
    pub waivers: Waivers,
    /// `--retry`: a release that failed here may be tried again.
    pub retry: bool,
    /// `--break-glass`: gates are passed, for this reason.
    pub glass: Option<Reason>,
    /// `--during-freeze`: a freeze is passed, for this reason.
    pub during_freeze: Option<Reason>,
    /// `--auto`: no person looks at it.
    pub auto: bool,
    /// What a plan file promises, which must be what is planned now.
    pub claim: Option<Box<Claim>>,
}

impl Ask {
    /// What is asked for: the deployment where the host is named, else the module.
    pub fn name(&self) -> String {
        match &self.host {
            Some(host) => Deployment::new(&self.module, host).to_string(),
            None => self.module.to_string(),
        }
    }
}

/// What apply did.
#[derive(Debug)]
pub enum Applied {
    /// Nothing to do.
    Noop(Box<Noop>),
    /// A run.
    Run(Box<Run>),
}

impl Applied {
    /// Whether all is as it was asked for, and recorded.
    pub fn is_done(&self) -> bool {
        match self {
            Self::Noop(_) => true,
            Self::Run(run) => run.carried.ended.is_ok() && run.carried.is_recorded(),
        }
    }
}

/// Nothing had to change.
#[derive(Debug)]
pub struct Noop {
    /// The plan without changes.
    pub summary: Summary,
    /// The gate's list.
    pub checks: Vec<GateCheck>,
    /// The deployment's entry in the record before: since when it is so, and by which pull request.
    pub since: Option<HostStatus>,
    /// The record that advances the module to a newer merge result, if one was needed.
    pub record: Option<Appended>,
}

/// A run that was carried out.
#[derive(Debug)]
pub struct Run {
    /// What was planned.
    pub summary: Summary,
    /// How it went.
    pub carried: Carried,
    /// What a release that is held left behind.
    pub left: Option<Left>,
}

/// What of a plan a result shows.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The approval.
    pub approval: Approval,
    /// The host.
    pub host: HostName,
    /// What changes.
    pub changes: Vec<Change>,
    /// How the checkout was bound.
    pub checkout: Binding,
}

impl Summary {
    /// Of a plan.
    pub fn of(plan: &Plan) -> Self {
        Self {
            approval: plan.bound().approval().clone(),
            host: plan.intention().host.clone(),
            changes: plan.changes().to_vec(),
            checkout: plan.bound().checkout(),
        }
    }
}

/// Approves one module's request and binds it.
///
/// # Errors
/// Either stage's reasons.
pub fn bound(ports: &Ports<'_>, fetched: &Fetched, ask: &Ask, glass: Option<&Glass>) -> Stage<Present> {
    (ports.tell)(Step::Began(Phase::Approve));
    let state = fetched.checked.as_ref().map(|checked| State::at(ports.source, checked.id)).transpose()?;
    let request = if ask.again { again(state.as_ref(), ask)? } else { ask.request.clone() };
    let candidates = Candidates { glass, ..candidates(ports, fetched) };
    let approved = approve(&candidates, &request)?;
    (ports.tell)(Step::Began(Phase::Bind));
    let question = Bind {
        candidates,
        policy: &fetched.policy,
        state,
        checkout: ports.checkout,
        module: &ask.module,
        host: ask.host.as_ref(),
        waivers: ask.waivers,
    };
    let bound = match bind(&question, approved)? {
        Bound::Present(bound) => *bound,
        Bound::Absent(absent) => return Err(absent.refusal().into()),
    };
    (ports.tell)(Step::Approved(Box::new(bound.approval().clone())));
    Ok(bound)
}

/// What approve works on.
pub fn candidates<'a>(ports: &Ports<'a>, fetched: &'a Fetched) -> Candidates<'a> {
    let rules = &fetched.policy.policy.approval;
    let heard = &fetched.heard;
    let witness = Witness { forge: ports.forge, rules, base: ports.base, heard, offline: ports.offline };
    Candidates {
        source: ports.source,
        remote: Some(ports.remote),
        refs: &fetched.refs,
        base: fetched.p,
        styles: &rules.styles,
        adopt: &rules.adopt,
        witness: (rules.source == ApprovalSource::Forgejo).then_some(witness),
        glass: None,
    }
}

/// Observes and plans what was bound. `again`: jobs are run once more although nothing changed.
///
/// # Errors
/// The host gave no answer.
pub fn planned(ports: &Ports<'_>, bound: Present, again: bool) -> Stage<(Plan, Box<dyn Host>)> {
    (ports.tell)(Step::Began(Phase::Observe));
    let host = (ports.host)(bound.target().host)?;
    let observed = observe::observe(host.as_ref(), bound, ports.source, ports.clock)?;
    (ports.tell)(Step::Began(Phase::Plan));
    let plan = plan::plan(observed, again).map_err(unfit)?;
    Ok((plan, host))
}

fn unfit(error: CanonicalError) -> PortError {
    PortError::new(Code::Bug, "the plan has no canonical form", "please report this").because(error)
}

/// Holds a plan to what a plan file claims. `before`: what was planned, and held, before this command brought images
/// that the host did not have; only what follows from their ids may differ from it.
fn held_to(claim: Option<&Claim>, plan: &Plan, before: Option<&Intention>) -> Stage<()> {
    let Some(claim) = claim else { return Ok(()) };
    let mut intention = plan.intention().clone();
    let mut digest = plan.digest();
    if let Some(before) = before {
        (intention.override_, intention.model) = (before.override_, before.model);
        digest = json::digest(&intention).map_err(unfit)?;
    }
    claim.differs(&intention, digest).map_or(Ok(()), |stale| Err(stale.into()))
}

/// The approval by which what runs was applied. Of a module with one deployment that runs the host need not be named.
fn again(state: Option<&State<'_>>, ask: &Ask) -> Stage<Request> {
    let status = state.map(|state| state.module(&ask.module)).transpose()?.flatten();
    let runs = |(host, _): &(&HostName, _)| ask.host.as_ref().is_none_or(|asked| asked == *host);
    let mut running = status.iter().flat_map(|status| status.runs_on()).filter(runs).map(|(_, running)| running);
    match (running.next(), running.next()) {
        (Some(only), None) => Ok(Request { approved: Some(only.merge.to_string()), pr: Some(only.pr) }),
        (Some(_), Some(_)) => {
            let fact = format!("{} runs on several hosts", ask.module);
            refuse(Code::UnknownHost, fact, "name one of them: --host HOST")
        }
        (None, _) => {
            refuse(Code::NoState, format!("{} was never applied", ask.name()), "apply a pull request first: --pr N")
        }
    }
}

/// What the gate knows beside a plan.
///
/// # Errors
/// The record cannot be read.
pub fn facts(ports: &Ports<'_>, fetched: &Fetched, plan: &Plan, ask: &Ask, glass: Option<Glass>) -> Answer<Facts> {
    (ports.tell)(Step::Began(Phase::Gate));
    let policy = &fetched.policy.policy;
    Ok(Facts {
        known: crate::verb::host::known(ports, fetched.checked.as_ref(), plan.machine().witness.as_ref())?,
        retry: ask.retry,
        now: ports.clock.now(),
        freezes: policy.freeze.clone(),
        during_freeze: ask.during_freeze.clone(),
        glass,
        unattended: ask.auto.then_some(policy.apply.ceiling),
    })
}

/// Applies one module. `fresh` is brought up to date with what is recorded meanwhile.
///
/// # Errors
/// Nothing was touched: a stage refused, or something failed before the intent was recorded.
pub fn apply(ports: &Ports<'_>, fetched: &mut Fetched, ask: &Ask) -> Stage<Applied> {
    glass::explained(ask.glass.as_ref(), attempt(ports, fetched, ask))
}

fn attempt(ports: &Ports<'_>, fetched: &mut Fetched, ask: &Ask) -> Stage<Applied> {
    if let Some(claim) = &ask.claim {
        ours(ports, ask, claim)?;
    }
    let in_force = fetched.acting()?.clone();
    if ask.auto {
        unattended::recorded(&in_force)?;
    }
    let broken = glass::broken(ports, fetched, ask.glass.as_ref())?;
    // What this command itself recorded since, for other modules.
    fetched.checked = newest_record(ports)?;
    let record = record(ports, &fetched.policy.policy);
    let mut before: Option<Intention> = None;
    for _ in 0..ROUNDS {
        busy(ports, fetched, &ask.module, ask.host.as_ref())?;
        let bound = bound(ports, fetched, ask, broken.as_ref())?;
        shared(ports, fetched, &bound)?;
        let (plan, host) = planned(ports, bound, ask.again)?;
        held_to(ask.claim.as_deref(), &plan, before.as_ref())?;
        let facts = facts(ports, fetched, &plan, ask, broken.clone())?;
        if plan.is_done() && !ask.again {
            glass::changes_nothing(ask.glass.as_ref(), &ask.name())?;
            let judged = nothing(plan, &facts).map_err(|closed| Stop::Refused(closed.refusals))?;
            if matches!(judged, Nothing::Advance(_)) {
                (ports.tell)(Step::Began(Phase::Open));
            }
            match noop(&record, &in_force, judged)? {
                Some(done) => return Ok(done),
                None => {
                    fetched.checked = newest_record(ports)?;
                    continue;
                }
            }
        }
        if ports.clock.interrupted() {
            return refuse(Code::Interrupted, "you asked to stop, before anything was recorded", "run it again");
        }
        let (images, policy) = (plan.missing_images(), plan.bound().target().host.clone());
        let driver = plan.bound().manifest().runtime.driver;
        let intention = plan.intention().clone();
        let permit = match gate(plan, &facts) {
            Ok(permit) => permit,
            Err(closed) if before.is_some() => return Err(Stop::Refused(closed.refusals)),
            Err(closed) => {
                let driver = runtime::driver(driver);
                pull(ports, *closed, &images, driver.pull(&policy, &images), host.as_ref())?;
                before = Some(intention);
                continue;
            }
        };
        glass::is_needed(ask.glass.as_ref(), &permit)?;
        (ports.tell)(Step::Began(Phase::Open));
        if let Some(intent) = opened(ports, &record, &in_force, permit)? {
            (ports.tell)(Step::Intent(intent.seq()));
            if ask.glass.is_some() {
                alarms::at_once(ports, fetched, intent.plan().bound().deployment());
            }
            let carried = carry_out(*intent, &record, host.as_ref(), ports.tell);
            let plan = carried.permit.plan();
            let left = Left::of(ending(&carried.ended), plan.bound().target(), host);
            let summary = Summary::of(plan);
            return Ok(Applied::Run(Box::new(Run { summary, carried, left })));
        }
        fetched.checked = newest_record(ports)?;
    }
    refuse(Code::Contention, "the record of this module kept changing", "run the same command again")
}

/// Refuses a plan file that is about something else.
fn ours(ports: &Ports<'_>, ask: &Ask, claim: &Claim) -> Stage<()> {
    let intent = claim.intent();
    if ask.host.as_ref().is_some_and(|host| *host != intent.host) {
        return refuse(
            Code::PlanForeign,
            format!("the plan file is for {}, not for {}", intent.host, ask.name()),
            "give the plan file of this host",
        );
    }
    if intent.module != ask.module {
        return refuse(
            Code::PlanForeign,
            format!("the plan file is for {}, not for {}", intent.module, ask.module),
            "give the plan file of this module",
        );
    }
    match intent.merge {
        None => refuse(
            Code::PlanErrored,
            format!("the plan file is a preview of {} and was never merged", intent.module),
            "plan again when it is merged",
        ),
        Some(merge) if !ports.source.has(merge)? => refuse(
            Code::PlanForeign,
            format!("this repository has no commit {merge}, which the plan file is about"),
            "apply it where it was planned, or plan again",
        ),
        Some(_) => Ok(()),
    }
}

fn opened(
    ports: &Ports<'_>,
    record: &Record<'_>,
    in_force: &InForce,
    permit: Permit,
) -> Stage<Option<Box<open::Intent>>> {
    record.ready(in_force)?;
    let Declaring::Done(declared) = open::declare(record, permit)? else { return Ok(None) };
    glass::told(ports, &declared);
    match open::open(record, *declared)? {
        Opened::Intent(intent) => Ok(Some(intent)),
        Opened::Moved(_) => Ok(None),
    }
}

fn noop(record: &Record<'_>, in_force: &InForce, judged: Nothing) -> Stage<Option<Applied>> {
    let noop = |plan: &Plan, checks, record| {
        let since = plan.bound().last().cloned();
        Applied::Noop(Box::new(Noop { summary: Summary::of(plan), checks, since, record }))
    };
    let (plan, checks) = match judged {
        Nothing::Stay(plan, checks) => return Ok(Some(noop(&plan, checks, None))),
        Nothing::Advance(permit) => permit.into_parts(),
    };
    record.ready(in_force)?;
    let (event, _) = record.about(Kind::ApplyNoop, &plan)?;
    let preconditions = record.preconditions(plan.bound())?;
    Ok(match record.append(&event, Some(&preconditions))? {
        Append::Done(done) => Some(noop(&plan, checks, Some(done))),
        Append::Moved(_) => None,
    })
}
