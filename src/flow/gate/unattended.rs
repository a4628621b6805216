//! Unattended: what a runner may apply with `--auto`, when no person looks at the plan.

use serde_json::json;

use super::List;
use crate::{
    flow::plan::Plan,
    model::{
        module::ApplyMode,
        plan::Data,
        refusal::{Code, Refusal},
        text::shown,
    },
    tree::doors,
};

pub(super) fn judge(plan: &Plan, ceiling: ApplyMode, list: &mut List<'_>) {
    let module = &plan.intention().module;
    let by_hand = format!(
        "platformctl plan {module} --pr {pr}, then platformctl apply {module} --pr {pr}",
        pr = plan.bound().approval().pr
    );
    let wanted = plan.bound().manifest().apply;
    let mut reasons = Vec::new();
    if wanted.min(ceiling) == ApplyMode::Manual {
        let what = if wanted == ApplyMode::Manual { "its module.yaml" } else { "the ceiling in platform.yaml" };
        reasons.push(Refusal::new(
            Code::ApplyManual,
            format!("{module} is applied by a person: {what} says so"),
            by_hand.clone(),
        ));
    }
    if plan.bound().approval().baseline.is_some() {
        reasons.push(Refusal::new(
            Code::ApplyManual,
            format!(
                "{module} is applied here for the first time, and nothing proves what it was before its pull request"
            ),
            by_hand.clone(),
        ));
    }
    list.all("apply", json!({"module": wanted, "ceiling": ceiling}), reasons);
    let risky: Vec<&str> = plan
        .changes()
        .iter()
        .filter(|change| change.data == Data::AtRisk)
        .map(|change| change.service.as_str())
        .collect();
    let refusal = (!risky.is_empty()).then(|| {
        Refusal::new(
            Code::DataAtRisk,
            format!("data of {} is at risk, and only a person applies that", shown(&risky.join(", "))),
            by_hand.clone(),
        )
    });
    list.ask("data_unattended", json!({"services": risky.len()}), refusal);
    let target = plan.bound().target();
    let opened = doors::new((target.module, target.before), (target.sacred, target.host), &plan.intention().exceptions);
    let refusal = (!opened.is_empty()).then(|| {
        Refusal::new(
            Code::NewDoor,
            format!(
                "{module} would open what its applied release does not: {}",
                opened.iter().map(|door| shown(door)).collect::<Vec<_>>().join(", ")
            ),
            by_hand.clone(),
        )
    });
    list.ask("new_doors", json!({"new": opened.len()}), refusal);
    let failed = plan.bound().last().and_then(|last| last.unsettled());
    let refusal = failed.map(|failed| {
        Refusal::new(
            Code::HeldRelease,
            format!(
                "the last release failed here at {} (PR #{}, seq {}) and may be what runs",
                failed.at, failed.pr, failed.seq
            ),
            by_hand,
        )
    });
    list.ask("settled", json!({"failed": failed.map(|failed| failed.seq)}), refusal);
}
