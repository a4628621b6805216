//! `hook`: what git calls.

use super::session::Session;
use crate::{cli::Hook, error::Failure, ui::Report};

pub(super) fn run(_: &Session, _: &Hook) -> Result<Report, Failure> {
    Err(Failure::usage("not yet", "later"))
}
