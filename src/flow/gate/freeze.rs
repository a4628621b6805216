//! Freeze: whether the policy lets a run begin now. A run that began before a freeze ends as it would without one.

use serde_json::json;

use super::{Facts, List};
use crate::{
    flow::plan::Plan,
    model::{
        freeze::Freeze,
        gate::{CheckResult, GateCheck},
        refusal::{Code, Refusal},
        text::shown,
    },
};

const ID: &str = "freeze";

/// Whether a person passed a freeze.
pub(super) fn is_waived(check: &GateCheck) -> bool {
    check.id == ID && check.result == CheckResult::Waived
}

pub(super) fn judge(plan: &Plan, facts: &Facts, list: &mut List<'_>) {
    let (module, host) = (&plan.intention().module, &plan.intention().host);
    let found = Freeze::in_force(&facts.freezes, module, host, facts.now);
    let evidence = json!({
        "now": facts.now,
        "until": found.map(|freeze| freeze.until),
        "reason": found.map(|freeze| shown(&freeze.reason)),
    });
    if found.is_some() && facts.during_freeze.is_some() {
        list.checks.push(GateCheck { id: ID, result: CheckResult::Waived, evidence });
        return;
    }
    let refusal = found.map(|freeze| {
        Refusal::new(
            Code::Frozen,
            format!("{module} on {host} is frozen until {}: {}", freeze.until, shown(&freeze.reason)),
            "wait for its end; if it cannot wait, say --during-freeze --reason \"…\", which is recorded",
        )
    });
    list.ask(ID, evidence, refusal);
}
