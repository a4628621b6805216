//! `status`: what is applied and how it ended. Reads git alone.

use super::session::Session;
use crate::{
    cli::Status,
    error::Failure,
    ui::{Render as _, Report},
    verb::status::status,
};

pub(super) fn run(session: &Session, args: &Status) -> Result<Report, Failure> {
    Ok(session.with(|ports| status(ports, args.module.as_ref()))?.report())
}
