//! Gate: the last stage that can refuse.
//!
//! Pure: it takes a plan and facts of the record, and has no port. It never stops at the first reason: an operator who
//! has to fix three things should read three lines.

pub mod host;

use serde_json::{Value, json};

use crate::{
    flow::{
        gate::host::{Known, Which},
        plan::Plan,
    },
    model::{
        gate::{CheckResult, GateCheck},
        module::DataAction,
        policy::Mutations,
        refusal::{Code, Refusal},
        shell::word,
        text::{mib, mib_needed},
    },
};

/// What the gate knows beside the plan.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The record.
    pub known: Known,
    /// Whether a release that failed here may be tried again.
    pub retry: bool,
}

/// A plan that may be carried out.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    plan: Plan,
    checks: Vec<GateCheck>,
}

impl Permit {
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
    let mut list = List::default();
    everything(&plan, facts, &mut list);
    place(&plan, &mut list);
    space(&plan, &mut list);
    if list.refusals.is_empty() {
        Ok(Permit { plan, checks: list.checks })
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
    let mut list = List::default();
    if last == Some(plan.bound().approval().merge) {
        identity(&plan, facts, &mut list);
    } else {
        everything(&plan, facts, &mut list);
    }
    let stays = list.refusals.iter().all(|refusal| refusal.code == Code::MutationsDisabled);
    match (list.refusals.is_empty(), last == Some(plan.bound().approval().merge)) {
        (true, false) => Ok(Nothing::Advance(Box::new(Permit { plan, checks: list.checks }))),
        _ if stays => Ok(Nothing::Stay(Box::new(plan), list.checks)),
        _ => Err(Box::new(Closed { refusals: list.refusals, checks: list.checks })),
    }
}

/// Whether this is the right machine, and the record the one that it was shown.
fn identity(plan: &Plan, facts: &Facts, list: &mut List) {
    let which = Which { name: &plan.intention().host, policy: plan.bound().target().host };
    let machine = plan.machine();
    let checked = !plan.bound().target().host.machine_id.is_empty();
    list.ask("machine", json!({"checked": checked}), host::machine(which, machine));
    let seq = machine.witness.as_ref().map(|witness| witness.seq);
    list.ask("witness", json!({"seq": seq}), host::witness(which, machine, &facts.known));
}

fn everything(plan: &Plan, facts: &Facts, list: &mut List) {
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

#[derive(Default)]
struct List {
    checks: Vec<GateCheck>,
    refusals: Vec<Refusal>,
}

impl List {
    fn ask(&mut self, id: &'static str, evidence: Value, refusal: Option<Refusal>) {
        self.all(id, evidence, refusal.into_iter().collect());
    }

    fn all(&mut self, id: &'static str, evidence: Value, refusals: Vec<Refusal>) {
        self.checks.push(GateCheck { id, result: CheckResult::of(refusals.len()), evidence });
        self.refusals.extend(refusals);
    }
}

fn mutations(plan: &Plan, list: &mut List) {
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
fn moved(plan: &Plan, list: &mut List) {
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

fn tools(plan: &Plan, list: &mut List) {
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

fn place(plan: &Plan, list: &mut List) {
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

fn space(plan: &Plan, list: &mut List) {
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

fn held(plan: &Plan, facts: &Facts, list: &mut List) {
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
