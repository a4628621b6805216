//! `resume`: what became of open runs. Asks and records, never changes a host.

use super::session::Session;
use crate::{
    cli::Resume,
    error::Failure,
    port::Ports,
    ui::{Render as _, Report},
    verb::reopened::resume,
};

pub(super) fn run(session: &Session, args: &Resume) -> Result<Report, Failure> {
    let logs = session.printer.logs(args.logs);
    let ask = |ports: &Ports<'_>| resume(ports, args.run.as_ref(), logs, args.wait);
    // Who waits is told what for.
    let reopened = if args.wait > 0 { session.with_steps(ask) } else { session.with(ask) };
    Ok(reopened?.report())
}
