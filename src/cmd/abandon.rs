//! `abandon`: ends a run for good, on its host first.

use super::session::Session;
use crate::{
    cli::Abandon,
    error::Failure,
    model::reason::Reason,
    ui::{Render as _, Report},
    verb::abandon::abandon,
};

pub(super) fn run(session: &Session, args: &Abandon) -> Result<Report, Failure> {
    let reason = Reason::parse(&args.reason)?;
    Ok(session.with(|ports| abandon(ports, &args.run, &reason))?.report())
}
