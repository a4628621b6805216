//! `pending`: what is merged but not applied, and which command applies it. Asks the remote, and no host.

use serde_json::{Value, json};

use super::session::{Session, silent, warn};
use crate::{
    cli,
    error::{Class, Failure},
    flow::{Stop, approve::request::Request},
    ledger::state::State,
    model::{
        refusal::{Code, Refusal},
        text::shown,
    },
    port::{Clock as _, Ledger as _},
    ui::{Last, Report, plural, table},
    verb::pending::{self, Pending, Way},
};

pub(super) fn run(session: &Session, args: &cli::Pending) -> Result<Report, Failure> {
    let host = |policy: &_| session.host(policy);
    let ports = session.ports(&host, &silent);
    let asked = (!args.offline).then(|| session.refresh(&ports, &Request::default()));
    let mut unasked = None;
    let fetched = match asked {
        None => None,
        Some(Ok(fetched)) => Some(fetched),
        // Without an answer what was fetched last is shown, and said to be old.
        Some(Err(Stop::Failed(error))) if Class::of(error.code) == Class::Unreachable => {
            unasked = Some(error.what);
            None
        }
        Some(Err(stop)) => return Err(stop.into()),
    };
    let Some((base, at)) = session.git.base()? else {
        let fact = format!("this clone has not asked the remote for {} yet", shown(&session.config.base));
        return Err(Failure::refused(vec![Refusal::new(Code::NoState, fact, "platformctl state fetch")]));
    };
    let state = session.git.tip()?.map(|tip| State::at(&session.git, tip)).transpose()?;
    let found = pending::pending(&session.git, state.as_ref(), base)?;
    let mut ways = Vec::new();
    for one in &found {
        ways.push(match &fetched {
            Some(fetched) if one.valid => Some(pending::way(&ports, fetched, one)?),
            Some(_) | None => None,
        });
    }
    let rows: Vec<(&Pending, Option<&Way>)> = found.iter().zip(ways.iter().map(Option::as_ref)).collect();
    let age = at.age(session.clock.now());
    let branch = &session.config.base;
    let head = match found.len() {
        0 => format!("✓ everything merged is applied ({branch} as of {age})"),
        some => format!("{} merged, not applied ({branch} as of {age})", plural(some, "module")),
    };
    let lines: Vec<Vec<String>> = rows.iter().map(|(one, way)| row(one, *way)).collect();
    let fields: Vec<Value> = rows.iter().map(|(one, way)| field(one, *way)).collect();
    let open = state.as_ref().map(State::open_runs).transpose()?.unwrap_or_default();
    // An open run comes first: what waits for it would be refused.
    let next = open.first().map_or_else(|| last(&rows), |open| Last::Next(format!("platformctl resume {}", open.run)));
    let runs = open.iter().flat_map(|open| {
        let since = open.opened.age(session.clock.now());
        [
            format!("! {}  run open since {since}", open.deployment()),
            format!("  {} by {}", open.run, shown(&open.owner)),
        ]
    });
    let mut report = Report::done("pending", "ok", next)
        .lines([head])
        .lines(table(&lines))
        .lines(runs)
        .with("open_runs", &open)
        .with("pending", fields)
        .with("base", json!({"commit": base, "seen": at}));
    if let Some(why) = unasked {
        report.warn(format!("{why}; this is what was fetched last, and pull requests are not proven"));
    }
    if let Some(fetched) = &fetched {
        warn(&mut report, fetched);
    }
    Ok(report)
}

fn pull(one: &Pending, way: Option<&Way>) -> Option<u64> {
    match way {
        Some(Way::Apply { pr, .. }) => Some(*pr),
        Some(Way::Open(_) | Way::Refused(_)) | None => one.pr,
    }
}

fn row(one: &Pending, way: Option<&Way>) -> Vec<String> {
    let pr = pull(one, way).map_or_else(|| " -".to_owned(), |pr| format!(" #{pr}"));
    let what = match (one.valid, way, one.held, one.last) {
        (false, ..) => "STOP: invalid, see platformctl validate".to_owned(),
        (true, Some(Way::Open(open)), ..) => format!("a run is open: {}", open.run),
        (true, Some(Way::Refused(refusals)), ..) => {
            let code = refusals.first().map_or("refused", |refusal| refusal.code.slug());
            format!("STOP: {code}")
        }
        (true, _, Some(true), _) => "HELD: it failed there; merge a fix, or apply --retry".to_owned(),
        (true, _, Some(false), _) => "not what failed there: HELD until it is applied".to_owned(),
        (true, _, None, None) => "never applied".to_owned(),
        (true, _, None, Some(_)) => "its content changed".to_owned(),
    };
    vec![pr, one.module.to_string(), one.host.to_string(), what]
}

fn field(one: &Pending, way: Option<&Way>) -> Value {
    let (merge, refusals, run) = match way {
        Some(Way::Apply { merge, .. }) => (Some(*merge), Vec::new(), None),
        Some(Way::Refused(refusals)) => (None, refusals.clone(), None),
        Some(Way::Open(open)) => (None, Vec::new(), Some(open.run.clone())),
        None => (None, Vec::new(), None),
    };
    json!({
        "module": one.module, "host": one.host, "commit": one.commit, "pr": pull(one, way), "merge": merge, "last": one.last,
        "held": one.held, "valid": one.valid, "refusals": refusals, "open_run": run,
    })
}

/// What to do next: for the first deployment that something can be done for. A release that failed there is not recommended again.
fn last(rows: &[(&Pending, Option<&Way>)]) -> Last {
    let plan = |one: &Pending, pr: u64| format!("platformctl plan {} --pr {pr}", one.args());
    let mut open = rows.iter().filter(|(one, _)| one.held != Some(true));
    let apply = open.find_map(|(one, way)| match way {
        Some(Way::Apply { pr, .. }) => Some(plan(one, *pr)),
        Some(Way::Open(_) | Way::Refused(_)) => None,
        None => one.pr.filter(|_| one.valid).map(|pr| plan(one, pr)),
    });
    if let Some(command) = apply {
        return Last::Next(command);
    }
    match rows.first() {
        None => Last::Next("platformctl status".to_owned()),
        Some((one, _)) if !one.valid => Last::Next(format!("platformctl validate {}", one.module)),
        Some((_, Some(Way::Open(open)))) => Last::Next(format!("platformctl resume {}", open.run)),
        Some((_, Some(Way::Refused(refusals)))) if !refusals.is_empty() => Last::Fix(refusals[0].fix.clone()),
        Some((one, _)) if one.held == Some(true) => Last::Next(format!("platformctl show {}", one.module)),
        Some(_) => Last::Next("platformctl pending".to_owned()),
    }
}
