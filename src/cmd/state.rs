//! `state`: the record itself, to and from the remote.

use super::session::Session;
use crate::{
    cli::State,
    error::Failure,
    model::reason::Reason,
    ui::{Render as _, Report},
    verb::{
        recover::recover,
        transfer::{fetched, pushed},
    },
};

pub(super) fn run(session: &Session, verb: &State) -> Result<Report, Failure> {
    Ok(match verb {
        State::Fetch => session.with(fetched)?.report(),
        State::Push => session.with(pushed)?.report(),
        State::Recover(args) => {
            let reason = Reason::parse(&args.reason)?;
            session.with(|ports| recover(ports, &reason))?.report()
        }
    })
}
