//! `verify`: the whole record, from its first commit, and that the remote has the same.

use super::session::Session;
use crate::{
    cli::Verify,
    error::Failure,
    ui::{Render as _, Report},
    verb::verify::verify,
};

pub(super) fn run(session: &Session, args: &Verify) -> Result<Report, Failure> {
    Ok(session.with(|ports| verify(ports, args.offline))?.report())
}
