//! `status`: what is applied and how it ended. Reads git alone.

use serde_json::json;

use super::session::Session;
use crate::{
    cli::Status,
    error::Failure,
    ledger::state::State,
    model::{
        ids::{HostName, ModuleId},
        near::did_you_mean,
        refusal::{Code, Refusal},
        status::{HostStatus, ModuleStatus, OpenRun},
        time::Timestamp,
    },
    port::{Answer, Clock as _, Ledger as _, Source as _},
    tree::{manifests, snapshot::Snapshot},
    ui::{Last, Report, plural, table},
    verb::pending,
};

/// The record as this clone has it.
///
/// # Errors
/// There is none here.
pub(super) fn local(session: &Session) -> Result<State<'_>, Failure> {
    match session.git.tip()? {
        Some(tip) => Ok(State::at(&session.git, tip)?),
        None => {
            let (fact, fix) = match session.git.base()? {
                Some(_) => ("nothing was ever applied: there is no record yet", "platformctl pending"),
                None => ("this clone has not fetched the record yet", "platformctl state fetch"),
            };
            Err(Failure::refused(vec![Refusal::new(Code::NoState, fact, fix)]))
        }
    }
}

pub(super) fn run(session: &Session, args: &Status) -> Result<Report, Failure> {
    let state = local(session)?;
    match &args.module {
        Some(module) => one(session, &state, module),
        None => all(session, &state),
    }
}

/// A module of which the record says nothing: one that was never applied, or that does not exist.
pub(super) fn absent(session: &Session, state: &State<'_>, module: &ModuleId) -> Failure {
    match known(session, state) {
        Ok((_, there)) if there.contains(module) => Failure::usage(
            format!("the record says nothing of {module}: it was never applied"),
            "platformctl status shows what was applied, platformctl pending what was not",
        ),
        Ok((recorded, there)) => {
            let fix = "platformctl status shows what was applied, platformctl pending what was not";
            let fix = did_you_mean(module.as_str(), recorded.iter().chain(&there).map(ModuleId::as_str), fix);
            let fact = format!("there is no module {module}, in the record or on {}", session.config.base);
            Failure::refused(vec![Refusal::new(Code::UnknownModule, fact, fix)])
        }
        Err(error) => error.into(),
    }
}

/// The modules of the record, and those of the base as it was fetched last.
fn known(session: &Session, state: &State<'_>) -> Answer<(Vec<ModuleId>, Vec<ModuleId>)> {
    let recorded = state.modules()?.into_iter().map(|status| status.module).collect();
    let there = match session.git.base()? {
        Some((base, _)) => manifests::module_ids(&Snapshot::lazy(&session.git, session.git.commit(base)?.tree))?.0,
        None => Vec::new(),
    };
    Ok((recorded, there))
}

/// `✓`, `!` or `✗`, and in words.
fn standing(status: &HostStatus, now: Timestamp) -> (&'static str, String) {
    match (status.unsettled(), &status.running, &status.removed) {
        (Some(held), ..) => ("✗", format!("#{} HELD, failed here {}", held.pr, held.at.age(now))),
        (None, Some(running), _) => ("✓", format!("#{} ok, {}", running.pr, running.at.age(now))),
        (None, None, Some(removed)) => ("✓", format!("#{} removed it, {}", removed.pr, removed.at.age(now))),
        (None, None, None) => {
            ("!", format!("never applied; the last try ended: {}", status.last.result.as_deref().unwrap_or("not yet")))
        }
    }
}

/// What is said of a module on one host.
fn deployment(module: &ModuleId, host: &HostName, status: &HostStatus, now: Timestamp) -> Vec<String> {
    let (mark, words) = standing(status, now);
    let mut lines = vec![format!("{mark} {module} on {host}  {words}")];
    let Some(running) = &status.running else { return lines };
    let good = if status.unsettled().is_some() {
        lines.push(format!("  the last that went well is #{}; what failed may be what runs", running.pr));
        "last good "
    } else {
        ""
    };
    lines.push(format!("  {good}merged as {}", running.merge));
    lines.push(format!("  {good}release   {}", running.closure.hex()));
    lines
}

fn one(session: &Session, state: &State<'_>, module: &ModuleId) -> Result<Report, Failure> {
    let now = session.clock.now();
    let Some(status) = state.module(module)? else {
        return Err(absent(session, state, module));
    };
    let seen = session.git.base()?.map(|(_, at)| at);
    let held = status.hosts.values().any(|status| status.unsettled().is_some());
    let next = if held { format!("platformctl show {module}") } else { "platformctl pending".to_owned() };
    let lines = status.hosts.iter().flat_map(|(host, status)| deployment(module, host, status, now));
    let seen_line = seen.map(|seen| format!("  the remote was last asked {}", seen.age(now)));
    Ok(Report::done("status", "ok", Last::Next(next))
        .lines(lines)
        .lines(seen_line)
        .with("module", module)
        .with("status", &status)
        .with("record", json!({"commit": state.tip()}))
        .with("seen", seen))
}

fn all(session: &Session, state: &State<'_>) -> Result<Report, Failure> {
    let now = session.clock.now();
    let modules = state.modules()?;
    let mut rows = Vec::new();
    for module in &modules {
        rows.extend(module.hosts.iter().map(|(host, status)| row(module, host, status)));
    }
    rows.sort_by_key(|(host, settled, module, _)| (*host, *settled, *module));
    let open = state.open_runs()?;
    let base = session.git.base()?;
    let waiting = match base {
        Some((base, _)) => Some(pending::pending(&session.git, Some(state), base)?.len()),
        None => None,
    };
    let held = rows.iter().filter(|(_, settled, ..)| !settled).count();
    let mut lines = Vec::new();
    let mut hosts: Vec<&HostName> = rows.iter().map(|(host, ..)| *host).collect();
    hosts.dedup();
    let seen = base.map_or_else(|| "never seen".to_owned(), |(_, at)| format!("seen {}", at.age(now)));
    for host in hosts {
        let here = rows.iter().filter(|(on, ..)| *on == host);
        lines.push(format!("{host} · {seen} · {}", plural(here.clone().count(), "module")));
        let cells = here.map(|(_, _, module, status)| {
            let (mark, words) = standing(status, now);
            vec![format!("{mark} {module}"), words]
        });
        lines.extend(table(&cells.collect::<Vec<_>>()));
    }
    lines.extend(open.iter().flat_map(|run| running(run, now)));
    let count = waiting.map_or_else(|| "?".to_owned(), |n| n.to_string());
    lines.push(format!("pending {count} · held {held} · open runs {}", open.len()));
    let worst = rows.iter().find(|(_, settled, ..)| !settled);
    let next = match (open.first(), worst, waiting) {
        (Some(run), _, _) => format!("platformctl resume {}", run.run),
        (None, Some((_, _, module, _)), _) => format!("platformctl show {module}"),
        (None, None, Some(1..)) => "platformctl pending".to_owned(),
        (None, None, Some(0) | None) => "platformctl log".to_owned(),
    };
    Ok(Report::done("status", "ok", Last::Next(next))
        .lines(lines)
        .with("modules", &modules)
        .with("open_runs", &open)
        .with("pending", waiting)
        .with("record", json!({"commit": state.tip()}))
        .with("seen", base.map(|(_, at)| at)))
}

/// A deployment as it is sorted: by its host, what is held before what is settled, by its module.
fn row<'a>(
    module: &'a ModuleStatus,
    host: &'a HostName,
    status: &'a HostStatus,
) -> (&'a HostName, bool, &'a ModuleId, &'a HostStatus) {
    (host, status.unsettled().is_none(), &module.module, status)
}

fn running(run: &OpenRun, now: Timestamp) -> [String; 2] {
    let expired = if run.expires < now { ", expired" } else { "" };
    [
        format!("! {}  run open since {}{expired}", run.deployment(), run.opened.age(now)),
        format!("  {} by {}", run.run, run.owner),
    ]
}
