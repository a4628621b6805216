//! `hook`: what git calls before it pushes.

use super::session::Session;
use crate::{
    cli::Hook,
    error::Failure,
    io::{file, remote},
    model::text,
    port::Ledger as _,
    ui::{Render as _, Report},
    verb::{
        fetch::unasked,
        prepush::{HOOK, Installed, MayPush, judge, updates},
    },
};

/// Most bytes that git gives the hook.
const STDIN_BYTES_MAX: u64 = 16 << 20;

pub(super) fn run(session: &Session, verb: &Hook) -> Result<Report, Failure> {
    match verb {
        Hook::Install => install(session),
        Hook::PrePush { to, .. } => pre_push(session, to),
    }
}

fn install(session: &Session) -> Result<Report, Failure> {
    let path = session.git.hook_path("pre-push").display().to_string();
    if session.git.install_hook("pre-push", HOOK)? {
        return Ok(Installed { path }.report());
    }
    Err(Failure::usage(
        format!("there is another hook at {}, and it is left as it is", text::shown(&path)),
        "add this line to it: platformctl hook pre-push \"$@\"",
    ))
}

fn pre_push(session: &Session, to: &str) -> Result<Report, Failure> {
    let bytes = file::stdin(STDIN_BYTES_MAX)?;
    let updates = updates(&String::from_utf8_lossy(&bytes))
        .map_err(|error| Failure::usage(error.to_string(), "let git call it: platformctl hook install"))?;
    let base = session.git.base()?.map(|(base, _)| base);
    let checked = session.with(|ports| judge(&unasked(ports), base, &updates))?;
    Ok(MayPush { checked, to: remote::shown(to) }.report())
}
