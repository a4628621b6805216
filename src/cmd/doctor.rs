//! `doctor`: whether everything is there that an apply needs on a host, and what cures what is not. Changes and records
//! nothing.

use super::session::Session;
use crate::{
    cli::Doctor,
    error::Failure,
    ui::{Render as _, Report},
    verb::doctor::diagnosis::doctor,
};

pub(super) fn run(session: &Session, args: &Doctor) -> Result<Report, Failure> {
    Ok(session.with(|ports| doctor(ports, args.host.as_ref()))?.report())
}
