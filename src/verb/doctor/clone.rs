//! This clone: who records would be by, whether its history is complete, and whether the remote takes the record. Nothing
//! is written: what tests the right to push is a dry run of what is there.

use super::{Base, Check, Fix};
use crate::{
    model::{refusal::Code, text::shown},
    port::{Answer, PortError, Ports, Pushed},
    verb::fetch::record,
};

/// What an apply needs of this clone. What the remote says is asked only where it answered before.
///
/// # Errors
/// A program or disk of this machine failed.
pub(super) fn examine(ports: &Ports<'_>, base: &Base) -> Answer<Vec<Check>> {
    let mut checks = vec![identity(ports), history(ports, base)];
    let has_remote = record(ports, &base.policy.policy).remote.is_some();
    if has_remote && base.unasked.is_none() {
        checks.push(push(ports, base)?);
    }
    Ok(checks)
}

fn failed(id: &'static str, error: &PortError) -> Check {
    Check::fail(id, error.code, error.what.clone(), Fix::words(error.fix.clone()))
}

fn identity(ports: &Ports<'_>) -> Check {
    let (name, email) = match ports.ledger.actor() {
        Ok(actor) => actor,
        // The fix is a command as it is.
        Err(error) => return Check::fail("identity", error.code, error.what, Fix::here(error.fix)),
    };
    let via = ports.ledger.via().map(|via| format!(", in {via}, by the runner's word")).unwrap_or_default();
    Check::pass("identity", format!("{} <{}>{via}", shown(&name), shown(&email)))
}

fn history(ports: &Ports<'_>, base: &Base) -> Check {
    match ports.source.is_ancestor(base.p, base.p) {
        Ok(_) => Check::pass("history", "complete"),
        Err(error) => failed("history", &error),
    }
}

/// The record as the remote has it, or where it has none the base, is pushed as a dry run.
fn push(ports: &Ports<'_>, base: &Base) -> Answer<Check> {
    Ok(match ports.remote.try_push(base.state.unwrap_or(base.p))? {
        Pushed::Accepted => {
            let with = ports.remote.credential().map(|source| format!(" (credential: {source})")).unwrap_or_default();
            Check::pass("push", format!("the remote lets you push{with}; its hooks run for a real push only"))
        }
        Pushed::Refused(error) => failed("push", &error),
        Pushed::Rejected(why) => Check::fail(
            "push",
            Code::CredentialsRefused,
            format!("the remote would not take the record: {why}"),
            Fix::words("check that you may push refs/platform/state"),
        ),
        Pushed::Unknown(why) => Check::fail(
            "push",
            Code::RemoteUnreachable,
            format!("the remote did not answer a push: {why}"),
            Fix::words("see that `git push --dry-run` works, then try again"),
        ),
    })
}
