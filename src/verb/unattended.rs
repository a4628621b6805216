//! Unattended: what is known before a host is asked of whether a runner may apply something with `--auto`.

use crate::{
    flow::{
        Stage,
        approve::policy::{InForce, Why},
        refuse,
    },
    model::{
        module::{ApplyMode, Manifest},
        policy::ApplyPolicy,
        refusal::{Code, Refusal},
    },
};

/// Refuses where the policy on the base is not the recorded one: only a person may record it.
///
/// # Errors
/// It is not.
pub(super) fn recorded(in_force: &InForce) -> Stage<()> {
    let fact = match in_force.why() {
        Why::Recorded => return Ok(()),
        Why::Baseline => "nothing is recorded yet, and the first policy is recorded by a person",
        Why::Proven { .. } => "the policy on the base changed since the newest record, and a person records that",
    };
    refuse(Code::PolicyWaits, fact, "apply one of the modules yourself: platformctl pending names them")
}

/// Why a runner may not apply a module, by its manifest on the base and the policy's ceiling.
pub(super) fn manual(manifest: &Manifest, policy: ApplyPolicy, pr: Option<u64>) -> Option<Refusal> {
    if manifest.apply.min(policy.ceiling) == ApplyMode::OnMerge {
        return None;
    }
    let id = &manifest.id;
    let what = if manifest.apply == ApplyMode::Manual { "its module.yaml" } else { "apply.ceiling in platform.yaml" };
    let fix = match pr {
        Some(pr) => format!("platformctl apply {id} --pr {pr}"),
        None => "platformctl pending".to_owned(),
    };
    Some(Refusal::new(Code::ApplyManual, format!("{id} is applied by a person: {what} says so"), fix))
}
