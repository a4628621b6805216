//! `doctor`: whether everything is there that an apply needs on a host, and what cures what is not. Changes and records
//! nothing.

use super::session::Session;
use crate::{
    cli::Doctor,
    error::Failure,
    ui::{Render as _, Report},
    verb::doctor::diagnosis::{Which, doctor},
};

pub(super) fn run(session: &Session, args: &Doctor) -> Result<Report, Failure> {
    let which = match (args.forge, args.host.as_ref()) {
        (true, _) => Which::Forge { try_rewrite: args.try_rewrite },
        (false, Some(host)) => Which::Host(host),
        (false, None) => Which::Hosts,
    };
    Ok(session.with(|ports| doctor(ports, which))?.report())
}
