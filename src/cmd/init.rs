//! `init`: the files to begin with, on a branch of their own. Nothing that exists is changed.

use super::session::Session;
use crate::{
    cli::Init,
    error::Failure,
    model::{ids::HostName, text::shown},
    port::Clock as _,
    ui::{Render as _, Report},
    verb::init,
};

pub(super) fn run(session: &Session, args: &Init) -> Result<Report, Failure> {
    let host: HostName = args.host.parse().map_err(|_| {
        Failure::usage(format!("`{}` is no name of a host", shown(&args.host)), "use letters, digits, - and .")
    })?;
    let head = session.git.head_commit()?;
    let files = session.with(|ports| init::files(ports, head, &host))?;
    let made = session.git.new_branch(&args.branch, &files, init::MESSAGE, session.clock.now())?;
    Ok(init::Init::of(made, &args.branch, &session.config.remote).report())
}
