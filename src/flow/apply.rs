//! Apply: the sentence. `approve → bind → observe → plan → gate → open → ship → run → verify → close`.

use crate::{
    flow::{
        append::{Append, Appended},
        approve::{Forge, approve},
        bind::{Bind, Waivers, bind},
        bound::Bound,
        close::{Carried, Step, Tell, carry_out},
        content::Content,
        gate::{Check, Facts, Permit, gate},
        observe,
        open::{self, Opened},
        plan::{self, Plan},
        record::Record,
        repository::{self, PolicyAt},
        request::Request,
        stage::{Stage, Stop, refuse, unless},
    },
    ledger::{chain::Checked, event::Kind, state::State, tree},
    model::{
        digest::Digest,
        ids::{ModuleId, Oid, RunId},
        json::CanonicalError,
        module::Driver,
        policy::{ApprovalSource, HostPolicy, Policy, SignPolicy},
        problem::Problem,
        refusal::{Code, Refusal},
        status::ModuleStatus,
        text::shown,
    },
    port::{Answer, Checkout, Clock, Host, Ledger, PortError, Remote, RemoteRefs, Sign, Source, Want},
};

/// How often a plan is made again because the record moved, before it is called contention.
const ROUNDS: u32 = 5;

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
}

/// What a person asked to apply.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The module.
    pub module: ModuleId,
    /// By which approval; neither given with `again`.
    pub request: Request,
    /// `--again`: what is applied, once more.
    pub again: bool,
    /// What is waived.
    pub waivers: Waivers,
    /// `--retry`: a release that failed here may be tried again.
    pub retry: bool,
    /// A plan file's digest, which must be that of the plan made now.
    pub claim: Option<Digest>,
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
    /// What the record said of the module before: since when it is so, and by which pull request.
    pub since: Option<ModuleStatus>,
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
}

/// What of a plan a result shows.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The approval.
    pub approval: crate::model::approval::Approval,
    /// The host.
    pub host: crate::model::ids::HostName,
    /// What changes.
    pub changes: Vec<crate::model::plan::Change>,
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
    let Some(p) = refs.base else {
        let fact = format!("the remote `{}` has no branch `{}`", shown(world.remote.name()), shown(world.base));
        return refuse(Code::UnknownId, fact, "name the base branch: --base, or git config platformctl.base");
    };
    let mut wants = vec![Want::Base];
    wants.extend(refs.state.map(|_| Want::State));
    let asked: Option<Oid> = request.approved.as_deref().and_then(|text| text.parse().ok());
    for (pr, head) in &refs.pulls {
        if (Some(*pr) == request.pr || Some(*head) == asked) && !world.source.has(*head)? {
            wants.push(Want::Pull(*pr));
        }
    }
    world.remote.fetch(&wants)?;
    world.ledger.set_note("fetched-at", Some(world.clock.now().to_string().as_bytes()))?;
    let policy = policy_at(world, p)?;
    let record = record(world, &policy.policy);
    if record.remote.is_none() {
        alone(world, &refs)?;
    }
    let mut checked = record.sync(&refs)?;
    if record.deliver()? > 0 {
        let tip = world.ledger.tip()?;
        checked = tip.map(|tip| crate::ledger::chain::trusted(world.source, tip)).transpose()?;
    }
    Ok(Fresh { refs, p, policy, checked })
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
    for (key, named, used) in names {
        if let Some(named) = named.as_deref().filter(|named| *named != used && *named != "none") {
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

/// Approves one module's request and binds it.
///
/// # Errors
/// Either stage's reasons.
pub fn bound(world: &World<'_>, fresh: &Fresh, ask: &Ask) -> Stage<Bound> {
    let state = fresh.checked.as_ref().map(|checked| State::at(world.source, checked.id)).transpose()?;
    let request = if ask.again { again(state.as_ref(), &ask.module)? } else { ask.request.clone() };
    let forge = forge(world, fresh);
    let approved = approve(&forge, &request)?;
    let question = Bind {
        forge,
        policy: &fresh.policy,
        state,
        checkout: world.checkout,
        module: &ask.module,
        waivers: ask.waivers,
    };
    let bound = bind(&question, approved)?;
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
    }
}

/// Observes and plans what was bound.
///
/// # Errors
/// The host gave no answer, or the plan is not the one that a plan file claims.
pub fn planned(world: &World<'_>, bound: Bound, claim: Option<Digest>) -> Stage<(Plan, Box<dyn Host>)> {
    let module = bound.manifest().id.clone();
    if bound.manifest().runtime.driver != Driver::Files {
        return refuse(
            Code::DriverNotYet,
            format!("{module} has driver compose, which this version validates and plans from git but does not apply"),
            "apply it with a later version",
        );
    }
    let host = (world.host)(&bound.host)?;
    let observed = observe::files(host.as_ref(), &bound.host.root, &module)?;
    let unfit = |error: CanonicalError| {
        PortError::new(Code::Bug, "the plan has no canonical form", "please report this").because(error)
    };
    let plan = plan::plan(bound, observed).map_err(unfit)?;
    if claim.is_some_and(|claim| claim != plan.digest()) {
        return refuse(
            Code::PlanStale,
            format!("the plan file promises something else than what would happen now ({})", plan.digest()),
            format!("look at it and plan again: platformctl plan {module} -o FILE"),
        );
    }
    Ok((plan, host))
}

fn again(state: Option<&State<'_>>, module: &ModuleId) -> Stage<Request> {
    let last = state.map(|state| state.module(module)).transpose()?.flatten();
    match last.and_then(|last| Some((last.last_apply_sha?, last.last_apply_pr?))) {
        Some((sha, pr)) => Ok(Request { approved: Some(sha.to_string()), pr: Some(pr) }),
        None => refuse(Code::NoState, format!("{module} was never applied"), "apply a pull request first: --pr N"),
    }
}

/// What the gate knows beside a plan.
///
/// # Errors
/// The record cannot be read.
pub fn facts(world: &World<'_>, checked: Option<&Checked>, plan: &Plan, retry: bool) -> Answer<Facts> {
    let at_witness = match (&plan.observed().witness, checked) {
        (Some(witness), Some(checked)) => {
            let seen = witness.commit;
            let contained = world.source.has(seen)? && world.source.is_ancestor(seen, checked.id)?;
            // Contained in the record: it is the one at its seq. Else the record has another there, or none.
            contained.then_some(seen).or((checked.event.seq >= witness.seq).then_some(checked.id))
        }
        (Some(_) | None, _) => None,
    };
    Ok(Facts {
        genesis: checked.map(|checked| checked.genesis),
        seq: checked.map(|checked| checked.event.seq),
        at_witness,
        retry,
    })
}

/// Applies one module.
///
/// # Errors
/// Nothing was touched: a stage refused, or the world failed before the intent was recorded.
pub fn apply(world: &World<'_>, ask: &Ask) -> Stage<Applied> {
    let mut fresh = refresh(world, &ask.request)?;
    let record = record(world, &fresh.policy.policy);
    for _ in 0..ROUNDS {
        busy(world, &fresh, ask)?;
        let (plan, host) = planned(world, bound(world, &fresh, ask)?, ask.claim)?;
        let tip = fresh.checked.as_ref().map(|checked| checked.id);
        let status = match tip {
            Some(tip) => State::at(world.source, tip)?.blob_id(&tree::status_path(&ask.module))?,
            None => None,
        };
        if plan.is_done() && !ask.again {
            match noop(world, &record, &fresh, &plan, status)? {
                Some(done) => return Ok(done),
                None => {
                    fresh.checked = newest(world)?;
                    continue;
                }
            }
        }
        let facts = facts(world, fresh.checked.as_ref(), &plan, ask.retry)?;
        let permit = gate(plan, &facts).map_err(|closed| Stop::Refused(closed.refusals))?;
        let summary = Summary::of(permit.plan());
        let checks = permit.checks.clone();
        if let Some(intent) = opened(&record, &fresh, permit, status)? {
            (world.tell)(Step::Intent(intent.seq()));
            let carried = carry_out(&intent, &record, host.as_ref(), world.tell)?;
            let (run, intent) = (intent.run().clone(), intent.commit());
            return Ok(Applied::Run(Box::new(Run { run, intent, checks, summary, carried })));
        }
        fresh.checked = newest(world)?;
    }
    refuse(Code::Contention, "the record of this module kept moving", "run the same command again")
}

fn newest(world: &World<'_>) -> Answer<Option<Checked>> {
    world.ledger.tip()?.map(|tip| crate::ledger::chain::trusted(world.source, tip)).transpose()
}

fn opened(record: &Record<'_>, fresh: &Fresh, permit: Permit, status: Option<Oid>) -> Stage<Option<Box<open::Intent>>> {
    record.ready(&fresh.policy, fresh.p)?;
    match open::open(record, permit, status)? {
        Opened::Intent(intent) => Ok(Some(intent)),
        Opened::Moved(_) => Ok(None),
    }
}

fn noop(
    world: &World<'_>,
    record: &Record<'_>,
    fresh: &Fresh,
    plan: &Plan,
    status: Option<Oid>,
) -> Stage<Option<Applied>> {
    let since = plan.bound().last().cloned();
    let summary = Summary::of(plan);
    let noop = |record| Applied::Noop(Box::new(Noop { summary, since: since.clone(), record }));
    let merge = plan.bound().approval().merge;
    if since.as_ref().and_then(|since| since.last_apply_sha) == Some(merge) {
        return Ok(Some(noop(None)));
    }
    record.ready(&fresh.policy, fresh.p)?;
    let intention = plan.intention();
    let mut event = record.draft(Kind::ApplyNoop)?;
    let chance = world.clock.chance();
    event.run = Some(RunId::new(event.time, [chance[0], chance[1], chance[2], chance[3]]));
    event.module = Some(intention.module.clone());
    event.host = Some(intention.host.clone());
    event.approved = Some(plan.bound().approval().clone());
    event.closure = Some(intention.closure);
    event.effective = Some(intention.effective);
    event.plan = Some(plan.digest());
    event.policy = Some(intention.policy);
    event.checkout = Some(plan.bound().checkout().to_owned());
    let preconditions = record.preconditions(&intention.module, &intention.host, status)?;
    Ok(match record.append(&event, Some(&preconditions))? {
        Append::Done(done) => Some(noop(Some(done))),
        Append::Moved(_) => None,
    })
}

/// Refuses while a run of the same scope is open: who, what, since when.
fn busy(world: &World<'_>, fresh: &Fresh, ask: &Ask) -> Stage<()> {
    let Some(checked) = &fresh.checked else { return Ok(()) };
    let state = State::at(world.source, checked.id)?;
    let open = state.open_runs()?.into_iter().find(|open| open.module == ask.module);
    let Some(open) = open else { return Ok(()) };
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
