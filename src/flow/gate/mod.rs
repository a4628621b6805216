//! Gate: the last stage that can refuse.
//!
//! Pure: it takes a plan and facts of the record, and has no port. It never stops at the first reason: an operator who
//! has to fix three things should read three lines.

mod freeze;
pub mod host;
mod unattended;

use serde_json::{Value, json};

use crate::{
    flow::{
        gate::host::{Known, Which},
        plan::Plan,
    },
    model::{
        freeze::Freeze,
        gate::{CheckResult, GateCheck},
        glass::{Glass, Reason, Waived, sorted},
        module::{ApplyMode, DataAction},
        policy::Mutations,
        refusal::{Code, Refusal},
        shell::word,
        text::{mib, mib_needed},
        time::Timestamp,
    },
};

/// What the gate knows beside the plan.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The record.
    pub known: Known,
    /// Whether a release that failed here may be tried again.
    pub retry: bool,
    /// This machine's time.
    pub now: Timestamp,
    /// The freezes of the policy in force.
    pub freezes: Vec<Freeze>,
    /// `--during-freeze`: a freeze does not stop this, for this reason.
    pub during_freeze: Option<Reason>,
    /// That a person breaks the glass.
    pub glass: Option<Glass>,
    /// `--auto`: no person looks at this, and up to where the policy allows that.
    pub unattended: Option<ApplyMode>,
}

/// A plan that may be carried out.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    plan: Plan,
    checks: Vec<GateCheck>,
    glass: Vec<Waived>,
    good_for_s: i64,
    reason: Option<Reason>,
}

impl Permit {
    /// What break-glass passed, in every stage.
    pub fn glass(&self) -> &[Waived] {
        &self.glass
    }

    /// For how many seconds the record of that is good.
    pub(super) fn good_for_s(&self) -> i64 {
        self.good_for_s
    }

    /// Why a person passed a freeze or other gates.
    pub fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }

    fn new(plan: Plan, facts: &Facts, list: List<'_>) -> Self {
        let mut glass = plan.bound().glass().to_vec();
        glass.extend(list.waived);
        let during = facts.during_freeze.as_ref().filter(|_| list.checks.iter().any(freeze::is_waived));
        let broken = facts.glass.as_ref().filter(|_| !glass.is_empty());
        let reason = broken.map(Glass::reason).or(during).cloned();
        Self { plan, checks: list.checks, glass, good_for_s: broken.map_or(0, Glass::for_s), reason }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The gate's list, all passed or waived.
    pub fn checks(&self) -> &[GateCheck] {
        &self.checks
    }

    /// The plan, of a permit that is not carried out.
    pub fn into_parts(self) -> (Plan, Vec<GateCheck>) {
        (self.plan, self.checks)
    }
}

/// Why not: the refusals, and the list they come from.
#[derive(Debug)]
pub struct Closed {
    /// Every reason.
    pub refusals: Vec<Refusal>,
    /// The complete list.
    pub checks: Vec<GateCheck>,
}

/// Judges a plan.
///
/// # Errors
/// Every reason at once.
pub fn gate(plan: Plan, facts: &Facts) -> Result<Permit, Box<Closed>> {
    let mut list = List::new(&plan, facts);
    everything(&plan, facts, &mut list);
    freeze::judge(&plan, facts, &mut list);
    if let Some(ceiling) = facts.unattended {
        unattended::judge(&plan, ceiling, &mut list);
    }
    place(&plan, &mut list);
    space(&plan, &mut list);
    if list.refusals.is_empty() {
        Ok(Permit::new(plan, facts, list))
    } else {
        Err(Box::new(Closed { refusals: list.refusals, checks: list.checks }))
    }
}

/// A plan without changes, judged.
#[derive(Debug)]
#[must_use]
pub enum Nothing {
    /// The record has to be told that the module is at a newer merge result.
    Advance(Box<Permit>),
    /// Nothing is to be recorded either.
    Stay(Box<Plan>, Vec<GateCheck>),
}

/// Judges a plan without changes. If something has to be recorded, every question of the gate is asked except those
/// about disk space and rights, which only a delivery needs. Otherwise only the machine and the witness are checked.
/// For a host on which nothing may be changed nothing is recorded.
///
/// # Errors
/// Every reason at once.
pub fn nothing(plan: Plan, facts: &Facts) -> Result<Nothing, Box<Closed>> {
    let last = plan.bound().last().and_then(|last| Some(last.running.as_ref()?.merge));
    let mut list = List::new(&plan, facts);
    // What break-glass brought is confirmed by a record of its own, although it runs already.
    let confirms = plan.bound().last().is_some_and(|last| !last.glass.is_empty());
    let same = last == Some(plan.bound().approval().merge) && !confirms;
    if same {
        identity(&plan, facts, &mut list);
    } else {
        everything(&plan, facts, &mut list);
    }
    let stays = list.refusals.iter().all(|refusal| refusal.code == Code::MutationsDisabled);
    match (list.refusals.is_empty(), same) {
        (true, false) => Ok(Nothing::Advance(Box::new(Permit::new(plan, facts, list)))),
        _ if stays => Ok(Nothing::Stay(Box::new(plan), list.checks)),
        _ => Err(Box::new(Closed { refusals: list.refusals, checks: list.checks })),
    }
}

/// Whether this is the right machine, and the record the one that it was shown.
fn identity(plan: &Plan, facts: &Facts, list: &mut List<'_>) {
    let which = Which { name: &plan.intention().host, policy: plan.bound().target().host };
    let machine = plan.machine();
    let checked = !plan.bound().target().host.machine_id.is_empty();
    list.ask("machine", json!({"checked": checked}), host::machine(which, machine));
    let seq = machine.witness.as_ref().map(|witness| witness.seq);
    list.ask("witness", json!({"seq": seq}), host::witness(which, machine, &facts.known));
}

fn everything(plan: &Plan, facts: &Facts, list: &mut List<'_>) {
    mutations(plan, list);
    moved(plan, list);
    identity(plan, facts, list);
    tools(plan, list);
    let clocks = plan.clocks();
    let skew = host::clock(&plan.intention().host, clocks, &facts.known);
    list.ask("clock", host::clock_evidence(clocks, &facts.known), skew);
    held(plan, facts, list);
    for (id, evidence, refusals) in plan.work().judge(plan.bound().target()) {
        list.all(id, evidence, refusals);
    }
}

struct List<'a> {
    glass: Option<&'a Glass>,
    checks: Vec<GateCheck>,
    refusals: Vec<Refusal>,
    waived: Vec<Waived>,
}

impl<'a> List<'a> {
    /// Begins with what break-glass passed in the stages before.
    fn new(plan: &Plan, facts: &'a Facts) -> Self {
        let passed = plan.bound().glass().iter().map(|waived| GateCheck {
            id: waived.gate().as_str(),
            result: CheckResult::Waived,
            evidence: json!({"refused": [waived.refusal()]}),
        });
        Self { glass: facts.glass.as_ref(), checks: passed.collect(), refusals: Vec::new(), waived: Vec::new() }
    }

    fn ask(&mut self, id: &'static str, evidence: Value, refusal: Option<Refusal>) {
        self.all(id, evidence, refusal.into_iter().collect());
    }

    fn all(&mut self, id: &'static str, evidence: Value, refusals: Vec<Refusal>) {
        let refused = !refusals.is_empty();
        let (waived, firm) = sorted(self.glass, refusals);
        let result = if firm.is_empty() && refused { CheckResult::Waived } else { CheckResult::of(firm.len()) };
        let mut evidence = evidence;
        if let (Some(evidence), false) = (evidence.as_object_mut(), waived.is_empty()) {
            evidence.insert("refused".to_owned(), json!(waived.iter().map(Waived::refusal).collect::<Vec<_>>()));
        }
        self.checks.push(GateCheck { id, result, evidence });
        self.refusals.extend(firm);
        self.waived.extend(waived);
    }
}

fn mutations(plan: &Plan, list: &mut List<'_>) {
    let host = &plan.intention().host;
    let closed = plan.bound().target().host.mutations == Mutations::Disabled;
    let refusal = closed.then(|| {
        Refusal::new(
            Code::MutationsDisabled,
            format!("host {host} has `mutations: disabled` in platform.yaml"),
            format!("merge a pull request that sets `mutations: enabled` for {host}"),
        )
    });
    list.ask("mutations", json!({"enabled": !closed}), refusal);
}

/// A module that moves leaves what runs where it was.
fn moved(plan: &Plan, list: &mut List<'_>) {
    let module = &plan.intention().module;
    let left = plan.bound().left();
    let acknowledged = plan.bound().target().acknowledges(module.as_str(), DataAction::Leave);
    let refusal = left.first().filter(|_| !acknowledged).map(|left| {
        Refusal::new(
            Code::DataAtRisk,
            format!("{module} was applied on {left} and would now run on {}: what runs on {left} stays there, with its data", plan.intention().host),
            format!("take care of {left} yourself, and add to its module.yaml by a pull request: acknowledge: [{{data: {module}, action: leave, reason: …}}]"),
        )
    });
    list.ask("host", json!({"left": left, "acknowledged": acknowledged}), refusal);
}

fn tools(plan: &Plan, list: &mut List<'_>) {
    let host = &plan.intention().host;
    let missing = &plan.machine().missing;
    let refusal = (!missing.is_empty()).then(|| {
        Refusal::new(
            Code::HostUnfit,
            format!("{host} has no {}", missing.join(", no ")),
            "platformctl doctor lists the packages to install there",
        )
    });
    list.ask("tools", json!({"missing": missing}), refusal);
}

fn place(plan: &Plan, list: &mut List<'_>) {
    let root = &plan.bound().target().host.root;
    let module = &plan.intention().module;
    let foreign = plan.work().is_foreign();
    let refusal = foreign.then(|| {
        Refusal::new(
            Code::AlreadyRunningElsewhere,
            format!("{root}/live/{module} is there and is not platformctl's"),
            format!(
                "look at it, then move it away: mv {live} {live}.old",
                live = word(&format!("{root}/live/{module}"))
            ),
        )
    });
    list.ask("place", json!({"foreign": foreign}), refusal);
    let refusal = (!plan.machine().writable).then(|| {
        Refusal::new(
            Code::HostUnfit,
            format!("{root} may not be written to"),
            format!("on the host: install -d -o \"$USER\" {}", word(root.as_str())),
        )
    });
    list.ask("root", json!({"writable": plan.machine().writable}), refusal);
}

/// Free space that stays free, beside twice the release: 16 MiB.
const SPARE_BYTES: u64 = 16 << 20;

fn space(plan: &Plan, list: &mut List<'_>) {
    let needs: u64 = plan.bound().closure().files.iter().map(|file| file.size_bytes).sum();
    let needs = needs.saturating_mul(2).saturating_add(SPARE_BYTES);
    let free = plan.machine().free_bytes;
    let refusal = (free < needs).then(|| {
        Refusal::new(
            Code::HostUnfit,
            format!("{} are free on {}, {} are needed", mib(free), plan.intention().host, mib_needed(needs)),
            "make room on the host",
        )
    });
    list.ask("space", json!({"enough": free >= needs}), refusal);
}

fn held(plan: &Plan, facts: &Facts, list: &mut List<'_>) {
    let held = plan.bound().last().and_then(|last| last.failure_of(plan.intention().effective));
    let same = held.is_some();
    let result = held.filter(|_| !facts.retry).map(|held| {
        Refusal::new(
            Code::HeldRelease,
            format!("this release failed here at {} (PR #{}, seq {})", held.at, held.pr, held.seq),
            "merge a fix, or try the same again with --retry",
        )
    });
    let waived = same && facts.retry;
    list.ask("held", json!({"held": same, "retry": facts.retry}), result);
    if waived && let Some(check) = list.checks.last_mut() {
        check.result = CheckResult::Waived;
    }
}
