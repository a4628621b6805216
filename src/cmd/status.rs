//! `status`: what is applied and how it ended. Reads git alone.

use serde_json::json;

use super::session::Session;
use crate::{
    cli::Status,
    error::Failure,
    ledger::state::State,
    model::{
        ids::ModuleId,
        near::did_you_mean,
        refusal::{Code, Refusal},
        status::{ModuleStatus, OpenRun},
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
fn standing(status: &ModuleStatus, now: Timestamp) -> (&'static str, String) {
    let pr = status.last_apply_pr.map_or_else(String::new, |pr| format!("#{pr} "));
    match (&status.held, status.last_apply_at) {
        (Some(held), _) => ("✗", format!("#{} HELD, failed here {}", held.pr, held.at.age(now))),
        (None, Some(at)) => ("✓", format!("{pr}ok, {}", at.age(now))),
        (None, None) => {
            ("!", format!("never applied; the last try ended: {}", status.last.result.as_deref().unwrap_or("not yet")))
        }
    }
}

fn one(session: &Session, state: &State<'_>, module: &ModuleId) -> Result<Report, Failure> {
    let now = session.clock.now();
    let Some(status) = state.module(module)? else {
        return Err(absent(session, state, module));
    };
    let seen = session.git.base()?.map(|(_, at)| at);
    let (mark, words) = standing(&status, now);
    let next =
        if status.held.is_some() { format!("platformctl show {module}") } else { "platformctl pending".to_owned() };
    let mut lines = vec![format!("{mark} {module} on {}  {words}", status.host)];
    let good = match (&status.held, status.last_apply_pr) {
        (Some(_), Some(pr)) => {
            lines.push(format!("  the last that went well is #{pr}; what failed may be what runs"));
            "last good "
        }
        (Some(_), None) | (None, _) => "",
    };
    lines.extend(status.last_apply_sha.map(|merge| format!("  {good}merged as {merge}")));
    lines.extend(status.closure.map(|closure| format!("  {good}release   {}", closure.hex())));
    lines.extend(seen.map(|seen| format!("  the remote was last asked {}", seen.age(now))));
    Ok(Report::done("status", "ok", Last::Next(next))
        .lines(lines)
        .with("module", module)
        .with("status", &status)
        .with("record", json!({"commit": state.tip()}))
        .with("seen", seen))
}

fn all(session: &Session, state: &State<'_>) -> Result<Report, Failure> {
    let now = session.clock.now();
    let mut modules = state.modules()?;
    modules.sort_by(|a, b| (&a.host, a.held.is_none(), &a.module).cmp(&(&b.host, b.held.is_none(), &b.module)));
    let open = state.open_runs()?;
    let base = session.git.base()?;
    let waiting = match base {
        Some((base, _)) => Some(pending::pending(&session.git, Some(state), base)?.len()),
        None => None,
    };
    let held = modules.iter().filter(|status| status.held.is_some()).count();
    let mut lines = Vec::new();
    let mut hosts: Vec<_> = modules.iter().map(|status| &status.host).collect();
    hosts.dedup();
    let seen = base.map_or_else(|| "never seen".to_owned(), |(_, at)| format!("seen {}", at.age(now)));
    for host in hosts {
        let here: Vec<&ModuleStatus> = modules.iter().filter(|status| status.host == *host).collect();
        lines.push(format!("{host} · {seen} · {}", plural(here.len(), "module")));
        let rows: Vec<Vec<String>> = here
            .iter()
            .map(|status| {
                let (mark, words) = standing(status, now);
                vec![format!("{mark} {}", status.module), words]
            })
            .collect();
        lines.extend(table(&rows));
    }
    lines.extend(open.iter().flat_map(|run| running(run, now)));
    let count = waiting.map_or_else(|| "?".to_owned(), |n| n.to_string());
    lines.push(format!("pending {count} · held {held} · open runs {}", open.len()));
    let worst = modules.iter().find(|status| status.held.is_some());
    let next = match (open.first(), worst, waiting) {
        (Some(run), _, _) => format!("platformctl resume {}", run.run),
        (None, Some(status), _) => format!("platformctl show {}", status.module),
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

fn running(run: &OpenRun, now: Timestamp) -> [String; 2] {
    let expired = if run.expires < now { ", expired" } else { "" };
    [
        format!("! {}  run open since {}{expired}", run.module, run.opened.age(now)),
        format!("  {} by {}", run.run, run.owner),
    ]
}
