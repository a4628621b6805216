//! `apply`: carries out what merged pull requests say. One module is one run; several are one command.

use super::session::Session;
use crate::{
    cli::{Apply, Approving, Waive},
    error::Failure,
    flow::{approve::request::Request, bind::Waivers},
    io::{file, git::interrupt},
    model::{claim, ids::HostName},
    port::Clock as _,
    ui::{Render as _, Report},
    verb::{
        asked::Asked,
        batch::{How, apply_all},
    },
};

pub(super) fn run(session: &Session, args: &Apply) -> Result<Report, Failure> {
    interrupt::watch();
    session.without_forge(args.approving.offline);
    let asked = Asked { again: args.again, ..asked(args.host.as_ref(), &args.approving, &args.waive) };
    let read = |path: &str| file::read(&session.env.cwd().join(path), claim::FILE_BYTES_MAX);
    let asks = asked.of_all(&args.targets, session.clock.now(), read);
    if let Ok([only]) = asks.as_deref() {
        session.warm(&only.module, only.host.as_ref());
    }
    let how = How { wait_s: args.wait, logs: session.printer.logs(args.logs), timings: args.timings };
    Ok(session.with_steps(|ports| apply_all(ports, &asked, asks, how)).report())
}

/// What is asked for, whichever modules it is about.
pub(super) fn asked(host: Option<&HostName>, approving: &Approving, waive: &Waive) -> Asked {
    Asked {
        host: host.cloned(),
        request: Request { approved: approving.approved.clone(), pr: approving.pr },
        again: false,
        waivers: Waivers { checkout: waive.no_checkout_binding, older: waive.allow_older },
        retry: waive.retry,
    }
}
