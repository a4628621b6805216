//! Break-glass, as an apply asks for it: whether the policy allows it, what it does not pass, and who is told.

use crate::{
    flow::{Stage, Stop, gate::Permit, open::Declared, refuse},
    model::{
        glass::{Gate, Glass, Reason, names, why_not},
        refusal::{Code, Refusal},
    },
    port::{Ports, Step},
    verb::fetch::Fetched,
};

/// That a person breaks the glass, if they ask for it and the policy in force allows it.
///
/// # Errors
/// The policy does not allow it.
pub(super) fn broken(ports: &Ports<'_>, fetched: &Fetched, asked: Option<&Reason>) -> Stage<Option<Glass>> {
    let Some(reason) = asked else { return Ok(None) };
    Ok(Some(Glass::allowed(reason, &fetched.policy.policy.break_glass, ports.ci)?))
}

/// What break-glass does not pass says why, in words.
pub(super) fn explained<T>(asked: Option<&Reason>, stage: Stage<T>) -> Stage<T> {
    match stage {
        Err(Stop::Refused(refusals)) if asked.is_some() => {
            let said = |refusal: Refusal| match (Gate::of(refusal.code), refusal.code) {
                (Some(_), _) | (None, Code::GlassNotAllowed | Code::Interrupted) => refusal,
                (None, code) => Refusal { fact: format!("{}\n{}", refusal.fact, why_not(code)), ..refusal },
            };
            Err(Stop::Refused(refusals.into_iter().map(said).collect()))
        }
        other => other,
    }
}

/// Refuses to break the glass for a change that is none.
pub(super) fn changes_nothing(asked: Option<&Reason>, name: &str) -> Stage<()> {
    match asked {
        None => Ok(()),
        Some(_) => refuse(
            Code::GlassNotAllowed,
            format!("nothing would change for {name}: break-glass is not needed"),
            "say it without --break-glass",
        ),
    }
}

/// Refuses to break the glass where every gate is open.
pub(super) fn is_needed(asked: Option<&Reason>, permit: &Permit) -> Stage<()> {
    match asked {
        Some(_) if permit.glass().is_empty() => refuse(
            Code::GlassNotAllowed,
            format!("no gate refuses this apply of {}: break-glass is not needed", permit.plan().bound().deployment()),
            "say it without --break-glass",
        ),
        Some(_) | None => Ok(()),
    }
}

/// Tells whoever runs this that the glass was broken: the record is on the remote, and nothing was touched yet. Others
/// are told once the intent is recorded, because that event would move the deployment's entry.
pub(super) fn told(ports: &Ports<'_>, declared: &Declared) {
    if let Some(seq) = declared.seq() {
        (ports.tell)(Step::Glass(seq, names(declared.permit().glass())));
    }
}
