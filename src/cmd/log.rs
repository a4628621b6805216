//! `log`: the record, newest first. Reads git alone.

use super::session::Session;
use crate::{
    cli::Log,
    error::Failure,
    ui::{Render as _, Report},
    verb::log::log,
};

pub(super) fn run(session: &Session, args: &Log) -> Result<Report, Failure> {
    Ok(session.with(|ports| log(ports, args.module.as_ref(), args.count))?.report())
}
