//! `resume`: what became of open runs. Asks and records, never changes a host.

use super::session::Session;
use crate::{
    cli::Resume,
    error::Failure,
    ui::{Render as _, Report},
    verb::reopened::resume,
};

pub(super) fn run(session: &Session, args: &Resume) -> Result<Report, Failure> {
    let logs = session.printer.logs(args.logs);
    Ok(session.with(|ports| resume(ports, args.run.as_ref(), logs))?.report())
}
