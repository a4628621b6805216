//! `init`: the files to begin with, on a branch of their own. Nothing that exists is changed.

use super::session::Session;
use crate::{
    cli::Init,
    error::Failure,
    io::ssh,
    model::{ids::HostName, text::shown},
    port::Clock as _,
    ui::{Render as _, Report},
    verb::init::{self, Reached},
};

/// The host of who names none.
const EXAMPLE: &str = "box";

pub(super) fn run(session: &Session, args: &Init) -> Result<Report, Failure> {
    let name = args.host.as_deref().unwrap_or(EXAMPLE);
    let host: HostName = name.parse().map_err(|_| {
        Failure::usage(format!("`{}` is no name of a host", shown(name)), "use letters, digits, - and .")
    })?;
    let reached = match &args.host {
        None => Reached::Example,
        Some(_) if ssh::knows(host.as_str(), &session.env) => Reached::Ssh,
        Some(_) => Reached::Here,
    };
    let head = session.git.head_commit()?;
    let tracked = session.git.tracks(&session.config.remote, &session.config.base)?;
    let based = session.with(|ports| init::based(ports, head, tracked))?;
    let files = session.with(|ports| init::files(ports, head, (&host, reached), args.forgejo))?;
    let hidden = if args.forgejo { session.with(|ports| init::hidden(ports, head))? } else { None };
    let made = session.git.new_branch(&args.branch, &files, init::MESSAGE, session.clock.now())?;
    let to = init::To { remote: session.config.remote.clone(), base: session.config.base.clone(), based };
    Ok(init::Init::of(made, &args.branch, to, (&host, reached), hidden).report())
}
