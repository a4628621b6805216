//! `apply`: carries out what merged pull requests say. One module is one run; several are one command.

use std::collections::BTreeMap;

use super::session::Session;
use crate::{
    cli::{Apply, Approving, Waive},
    error::{Class, Failure},
    flow::{approve::request::Request, bind::Waivers},
    io::{file, git::interrupt},
    model::{
        claim,
        forge::StatusState,
        ids::{HostName, Oid},
    },
    port::{Clock as _, Ports},
    ui::{Render as _, Report, markdown},
    verb::{
        asked::Asked,
        batch::{How, Target, apply_all},
        comment::{self, Comment, Notes},
        due::apply_pending,
        fetch::known_policy,
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
        return Ok(pending(session, &asked, args, how));
    }
    let read = |path: &str| file::read(&session.env.cwd().join(path), claim::FILE_BYTES_MAX);
    let asks = asked.of_all(&args.targets, session.clock.now(), read);
    if let Ok([only]) = asks.as_deref() {
        session.warm(&only.module, only.host.as_ref());
    }
    let mut batch = session.with_steps(|ports| apply_all(ports, &asked, asks, how));
    if args.comment {
        // After everything else: what is shown decides nothing and delays nothing.
        let targets: Vec<&Target> = batch.targets.iter().collect();
        batch.unseen =
            session.with(|ports| show_applied(ports, &[(targets, batch.stopped.as_ref().map(Failure::from))]));
    }
    Ok(batch.report())
}

/// What is merged and not applied, and the same for each of its pull requests.
fn pending(session: &Session, asked: &Asked, args: &Apply, how: How) -> Report {
    let mut due = session.with_steps(|ports| apply_pending(ports, asked, args.auto, how));
    if args.comment {
        let groups: Vec<_> = due.by_pull().into_values().map(|targets| (targets, None)).collect();
        let unseen = session.with(|ports| show_applied(ports, &groups));
        due.unseen = unseen;
    }
    due.report()
}

/// Shows what became of pull requests on the forge; what cannot be shown is a warning.
fn show_applied(ports: &Ports<'_>, groups: &[(Vec<&Target>, Option<Failure>)]) -> Vec<String> {
    let rules = match known_policy(ports) {
        Ok(known) => known.map(|known| known.policy.approval).unwrap_or_default(),
        Err(error) => return vec![format!("nothing is shown on the forge: {error}")],
    };
    let forge = (ports.forge)(&rules).ok();
    let link = |id: Oid| forge.as_ref().map_or_else(String::new, |forge| forge.url().commit(id));
    let notes = groups.iter().flat_map(|(targets, stopped)| {
        let text = markdown::timeline(targets, stopped.as_ref(), link);
        outcomes(targets, &text)
    });
    notes.flat_map(|notes| comment::show(ports, &rules, &notes)).collect()
}

/// What is shown of each pull request: the timeline, and a status for each module.
fn outcomes(targets: &[&Target], text: &str) -> Vec<Notes> {
    let mut found: BTreeMap<u64, Notes> = BTreeMap::new();
    for target in targets {
        let Some(approval) = target.approval() else { continue };
        let good = target.class() == Class::Done;
        let state = if good { StatusState::Success } else { StatusState::Failure };
        let words = if good { "applied and healthy" } else { "not applied: see the comment" };
        let status = comment::status(&format!("platformctl/apply/{}", target.name), state, words);
        let comment = Some(Comment { text: text.to_owned(), begins: true });
        let notes = Notes { pr: approval.pr, comment, statuses: Vec::new() };
        found.entry(approval.pr).or_insert(notes).statuses.push((approval.merge, status));
    }
    found.into_values().collect()
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
