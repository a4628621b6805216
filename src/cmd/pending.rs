//! `pending`: what is merged but not applied, and which command applies it. Asks the remote, and no host.

use super::session::Session;
use crate::{
    cli,
    error::{Class, Failure},
    ui::{Render as _, Report},
    verb::unapplied::unapplied,
};

pub(super) fn run(session: &Session, args: &cli::Pending) -> Result<Report, Failure> {
    let no_answer = |code| Class::of(code) == Class::Unreachable;
    Ok(session.with(|ports| unapplied(ports, args.offline, no_answer))?.report())
}
