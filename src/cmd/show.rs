//! `show`: one module, run or record in full. Reads git alone.

use super::session::Session;
use crate::{
    cli::Show,
    error::Failure,
    ui::{Render as _, Report},
    verb::show::show,
};

pub(super) fn run(session: &Session, args: &Show) -> Result<Report, Failure> {
    Ok(session.with(|ports| show(ports, args.what.as_deref()))?.report())
}
