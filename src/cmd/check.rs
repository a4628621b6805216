//! `check`: whether a pull request could be applied once it is merged.

use super::{
    plan::{Shown, shown},
    session::Session,
};
use crate::{
    cli::Check,
    error::Failure,
    flow::approve::request::Request,
    ui::{Checked, Render as _, Report, WholeAsked},
    verb::{asked::Asked, proposed::proposed},
};

pub(super) fn run(session: &Session, args: &Check) -> Result<Report, Failure> {
    let request = Request { approved: None, pr: Some(args.pr) };
    let asked = Asked { request, ..Asked::default() };
    let found = session.with(|ports| proposed(ports, args.pr, &asked));
    let unseen = if args.status { shown(session, &found, Shown::Status) } else { Vec::new() };
    Ok(Checked(&found, WholeAsked { unseen: &unseen, ..WholeAsked::default() }).report())
}
