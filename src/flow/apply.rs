//! Apply: the sentence. `approve → bind → observe → plan → gate → open → ship → run → verify → close`.

use crate::{
    flow::{
        append::{Append, Appended},
        approve::{Forge, approve},
        bind::{Bind, Waivers, bind},
        bound::{Bound, Present},
        close::{Carried, Step, carry_out},
        content::Content,
        gate::{Check, Facts, Nothing, Permit, gate, nothing},
        left::Left,
        observe,
        open::{self, Opened},
        plan::{self, Plan},
        policy::InForce,
        pull::pull,
        record::Record,
        refresh::{Fresh, World, newest_record, record},
        repository,
        request::Request,
        stage::{Stage, Stop, refuse},
        standing,
    },
    ledger::{chain::Checked, event::Kind, state::State},
    model::{
        approval::Approval,
        claim::Claim,
        ids::{Deployment, HostName, ModuleId, Oid, RunId},
        json::{self, CanonicalError},
        plan::{Change, Intention},
        refusal::Code,
        status::{HostStatus, OpenRun},
        text::shown,
    },
    port::{Answer, Host, PortError},
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

/// Nothing had to change.
#[derive(Debug)]
pub struct Noop {
    /// The plan without changes.
    pub summary: Summary,
    /// The gate's list.
    pub checks: Vec<Check>,
    /// What the record said of the deployment before: since when it is so, and by which pull request.
    pub since: Option<HostStatus>,
    /// The record that advances the module to a newer merge result, if one was needed.
    pub record: Option<Appended>,
}

/// A run that was carried out.
#[derive(Debug)]
pub struct Run {
    /// Its id.
    pub run: RunId,
    /// The record of its intent.
    pub intent: Oid,
    /// The gate's list.
    pub checks: Vec<Check>,
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
    pub checkout: &'static str,
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
pub fn bound(world: &World<'_>, fresh: &Fresh, ask: &Ask) -> Stage<Present> {
    let state = fresh.checked.as_ref().map(|checked| State::at(world.source, checked.id)).transpose()?;
    let request = if ask.again { again(state.as_ref(), ask)? } else { ask.request.clone() };
    let forge = forge(world, fresh);
    let approved = approve(&forge, &request)?;
    let question = Bind {
        forge,
        policy: &fresh.policy,
        state,
        checkout: world.checkout,
        module: &ask.module,
        host: ask.host.as_ref(),
        waivers: ask.waivers,
    };
    let bound = match bind(&question, approved)? {
        Bound::Present(bound) => *bound,
        Bound::Absent(absent) => return Err(absent.refusal().into()),
    };
    (world.tell)(Step::Approved(Box::new(bound.approval().clone())));
    Ok(bound)
}

/// What approve works on.
pub fn forge<'a>(world: &World<'a>, fresh: &'a Fresh) -> Forge<'a> {
    Forge {
        source: world.source,
        remote: Some(world.remote),
        refs: &fresh.refs,
        base: fresh.p,
        styles: &fresh.policy.policy.approval.styles,
        adopt: &fresh.policy.policy.approval.adopt,
    }
}

/// Observes and plans what was bound. `again`: jobs are run once more although nothing changed.
///
/// # Errors
/// The host gave no answer.
pub fn planned(world: &World<'_>, bound: Present, again: bool) -> Stage<(Plan, Box<dyn Host>)> {
    let host = (world.host)(&bound.host)?;
    let observed = observe::observe(host.as_ref(), bound.target(), world.source, world.clock)?;
    let plan = plan::plan(bound, observed, again).map_err(unfit)?;
    Ok((plan, host))
}

fn unfit(error: CanonicalError) -> PortError {
    PortError::new(Code::Bug, "the plan has no canonical form", "please report this").because(error)
}

/// Holds a plan to what a plan file claims. `before`: what was planned, and held, before this command brought images that the host
/// did not have; only what follows from their ids may differ from it.
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
pub fn facts(world: &World<'_>, checked: Option<&Checked>, plan: &Plan, retry: bool) -> Answer<Facts> {
    let known = standing::known(world, checked, plan.observed().ground.witness.as_ref())?;
    Ok(Facts { known, retry })
}

/// Applies one module. `fresh` is brought up to date with what is recorded meanwhile.
///
/// # Errors
/// Nothing was touched: a stage refused, or the world failed before the intent was recorded.
pub fn apply(world: &World<'_>, fresh: &mut Fresh, ask: &Ask) -> Stage<Applied> {
    if let Some(claim) = &ask.claim {
        ours(world, ask, claim)?;
    }
    let in_force = fresh.acting()?.clone();
    // What this command itself recorded since, for other modules.
    fresh.checked = newest_record(world)?;
    let record = record(world, &fresh.policy.policy);
    let mut before: Option<Intention> = None;
    for _ in 0..ROUNDS {
        busy(world, fresh, ask)?;
        let bound = bound(world, fresh, ask)?;
        shared(world, fresh, &bound)?;
        let (plan, host) = planned(world, bound, ask.again)?;
        held_to(ask.claim.as_deref(), &plan, before.as_ref())?;
        let facts = facts(world, fresh.checked.as_ref(), &plan, ask.retry)?;
        if plan.is_done() && !ask.again {
            let judged = nothing(plan, &facts).map_err(|closed| Stop::Refused(closed.refusals))?;
            match noop(&record, &in_force, judged)? {
                Some(done) => return Ok(done),
                None => {
                    fresh.checked = newest_record(world)?;
                    continue;
                }
            }
        }
        if world.clock.interrupted() {
            return refuse(Code::Interrupted, "you asked to stop, before anything was recorded", "run it again");
        }
        let (images, policy) = (plan.missing_images(), plan.bound().host.clone());
        let intention = plan.intention().clone();
        let permit = match gate(plan, &facts) {
            Ok(permit) => permit,
            Err(closed) if before.is_some() => return Err(Stop::Refused(closed.refusals)),
            Err(closed) => {
                pull(world, *closed, &images, &policy, host.as_ref())?;
                before = Some(intention);
                continue;
            }
        };
        let summary = Summary::of(permit.plan());
        let checks = permit.checks.clone();
        if let Some(intent) = opened(&record, &in_force, permit)? {
            (world.tell)(Step::Intent(intent.seq()));
            let carried = carry_out(&intent, &record, host.as_ref(), world.tell);
            let left = Left::of(&carried.ending, intent.permit.plan().bound().target(), host);
            let (run, intent) = (intent.run().clone(), intent.commit());
            return Ok(Applied::Run(Box::new(Run { run, intent, checks, summary, carried, left })));
        }
        fresh.checked = newest_record(world)?;
    }
    refuse(Code::Contention, "the record of this module kept moving", "run the same command again")
}

/// Refuses a plan file that is about something else.
fn ours(world: &World<'_>, ask: &Ask, claim: &Claim) -> Stage<()> {
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
        Some(merge) if !world.source.has(merge)? => refuse(
            Code::PlanForeign,
            format!("this repository has no commit {merge}, which the plan file is about"),
            "apply it where it was planned, or plan again",
        ),
        Some(_) => Ok(()),
    }
}

fn opened(record: &Record<'_>, in_force: &InForce, permit: Permit) -> Stage<Option<Box<open::Intent>>> {
    record.ready(in_force)?;
    match open::open(record, permit)? {
        Opened::Intent(intent) => Ok(Some(intent)),
        Opened::Moved(_) => Ok(None),
    }
}

fn noop(record: &Record<'_>, in_force: &InForce, judged: Nothing) -> Stage<Option<Applied>> {
    let noop = |plan: &Plan, checks, record| {
        let since = plan.bound().last().cloned();
        Applied::Noop(Box::new(Noop { summary: Summary::of(plan), checks, since, record }))
    };
    let Permit { plan, checks } = match judged {
        Nothing::Stay(plan, checks) => return Ok(Some(noop(&plan, checks, None))),
        Nothing::Advance(permit) => *permit,
    };
    record.ready(in_force)?;
    let (event, _) = record.about(Kind::ApplyNoop, &plan)?;
    let preconditions = record.preconditions(plan.bound())?;
    Ok(match record.append(&event, Some(&preconditions))? {
        Append::Done(done) => Some(noop(&plan, checks, Some(done))),
        Append::Moved(_) => None,
    })
}

/// Refuses while a run of the same scope is open: who, what, since when.
fn busy(world: &World<'_>, fresh: &Fresh, ask: &Ask) -> Stage<()> {
    let Some(checked) = &fresh.checked else { return Ok(()) };
    let state = State::at(world.source, checked.id)?;
    match state.open_runs()?.into_iter().find(|open| is_about(open, &ask.module, ask.host.as_ref())) {
        Some(open) => taken(world, &open),
        None => Ok(()),
    }
}

/// Refuses while another module of the same compose project has an open run.
fn shared(world: &World<'_>, fresh: &Fresh, bound: &Present) -> Stage<()> {
    let Some(checked) = &fresh.checked else { return Ok(()) };
    let state = State::at(world.source, checked.id)?;
    match open::holder(&state, &open::scope(&bound.deployment().host, bound.manifest()))? {
        Some(open) => taken(world, &open),
        None => Ok(()),
    }
}

/// Whether an open run is about a module on a host; without a host, on any.
pub fn is_about(open: &OpenRun, module: &ModuleId, host: Option<&HostName>) -> bool {
    open.module == *module && host.is_none_or(|host| open.host == *host)
}

/// The open run that a deployment has to wait for; without a host, any of the module's.
///
/// # Errors
/// The record, or the module on the base, cannot be read.
pub fn holder(world: &World<'_>, fresh: &Fresh, module: &ModuleId, host: Option<&HostName>) -> Answer<Option<OpenRun>> {
    let Some(checked) = &fresh.checked else { return Ok(None) };
    let content = Content::lazy(world.source, world.source.commit(fresh.p)?.tree);
    let manifest = repository::manifest(&content, module)?.and_then(Result::ok);
    let hosts = manifest.iter().flat_map(|manifest| manifest.hosts().iter().map(move |host| (host, manifest)));
    let asked = hosts.filter(|(one, _)| host.is_none_or(|host| host == *one));
    let scopes: Vec<String> = asked.map(|(host, manifest)| open::scope(host, manifest)).collect();
    let holds = |open: &OpenRun| is_about(open, module, host) || scopes.contains(&open.scope);
    Ok(State::at(world.source, checked.id)?.open_runs()?.into_iter().find(holds))
}

fn taken(world: &World<'_>, open: &OpenRun) -> Stage<()> {
    refuse(
        Code::Busy,
        format!(
            "run {} of {} is open for {} since {} ({})",
            open.run,
            shown(&open.owner),
            open.module,
            open.opened,
            open.opened.age(world.clock.now())
        ),
        format!("wait for it; if its machine is gone: platformctl resume {}", open.run),
    )
}
