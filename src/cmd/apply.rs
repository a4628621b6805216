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
        due::apply_pending,
    },
};

pub(super) fn run(session: &Session, args: &Apply) -> Result<Report, Failure> {
    interrupt::watch();
    session.without_forge(args.approving.offline);
    let asked = Asked {
        again: args.again,
        glass: args.reason.clone().filter(|_| args.break_glass),
        during_freeze: args.reason.clone().filter(|_| args.during_freeze),
        ..asked(args.host.as_ref(), &args.approving, &args.waive)
    };
    let how = How { wait_s: args.wait, logs: session.printer.logs(args.logs), timings: args.timings };
    if args.reason.is_some() && !args.break_glass && !args.during_freeze {
        return Err(Failure::usage("--reason is for --break-glass and --during-freeze", "say which, or leave it out"));
    }
    if args.pending {
        return Ok(session.with_steps(|ports| apply_pending(ports, &asked, args.auto, how)).report());
    }
    let read = |path: &str| file::read(&session.env.cwd().join(path), claim::FILE_BYTES_MAX);
    let asks = asked.of_all(&args.targets, session.clock.now(), read);
    if let Ok([only]) = asks.as_deref() {
        session.warm(&only.module, only.host.as_ref());
    }
    Ok(session.with_steps(|ports| apply_all(ports, &asked, asks, how)).report())
}

/// What is asked for, whichever modules it is about.
pub(super) fn asked(host: Option<&HostName>, approving: &Approving, waive: &Waive) -> Asked {
    Asked {
        host: host.cloned(),
        request: Request { approved: approving.approved.clone(), pr: approving.pr },
        again: false,
        waivers: Waivers { checkout: waive.no_checkout_binding, older: waive.allow_older, transport: false },
        retry: waive.retry,
        glass: None,
        during_freeze: None,
    }
}
