//! `pending`: what is merged but not applied, and which command applies it. Reads git alone.

use serde_json::json;

use super::session::Session;
use crate::{
    error::Failure,
    flow::pending::{self, Pending},
    ledger::state::State,
    model::{
        refusal::{Code, Refusal},
        text::shown,
    },
    port::{Clock as _, Ledger as _},
    ui::{Last, Report, plural, table},
};

pub(super) fn run(session: &Session) -> Result<Report, Failure> {
    let Some((base, at)) = session.git.base()? else {
        let fact = format!("this clone has not asked the remote for {} yet", shown(&session.config.base));
        return Err(Failure::refused(vec![Refusal::new(Code::NoState, fact, "platformctl state fetch")]));
    };
    let state = session.git.tip()?.map(|tip| State::at(&session.git, tip)).transpose()?;
    let found = pending::pending(&session.git, state.as_ref(), base)?;
    let age = at.age(session.clock.now());
    let branch = &session.config.base;
    let fields: Vec<_> = found
        .iter()
        .map(|one| json!({"module": one.module, "host": one.host, "commit": one.commit, "pr": one.pr, "last": one.last, "held": one.held, "valid": one.valid}))
        .collect();
    let (head, next) = match found.first() {
        None => (format!("✓ everything merged is applied ({branch} as of {age})"), "platformctl status".to_owned()),
        Some(first) => {
            (format!("{} merged, not applied ({branch} as of {age})", plural(found.len(), "module")), command(first))
        }
    };
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|one| {
            let pr = one.pr.map_or_else(|| " ?".to_owned(), |pr| format!(" #{pr}"));
            let what = match (one.valid, one.held, one.last) {
                (false, _, _) => "STOP: it does not hold, see validate",
                (true, Some(true), _) => "HELD: it failed there; merge a fix, or apply --retry",
                (true, Some(false), _) => "not what failed there: HELD until it is applied",
                (true, None, None) => "never applied",
                (true, None, Some(_)) => "its content changed",
            };
            vec![pr, one.module.to_string(), one.host.to_string(), what.to_owned()]
        })
        .collect();
    let open = state.as_ref().map(State::open_runs).transpose()?.unwrap_or_default();
    let next = open.first().map_or(next, |open| format!("platformctl resume {}", open.run));
    let runs = open.iter().flat_map(|open| {
        let since = open.opened.age(session.clock.now());
        [format!("! {}  run open since {since}", open.module), format!("  {} by {}", open.run, shown(&open.owner))]
    });
    Ok(Report::done("pending", "ok", Last::Next(next))
        .lines([head])
        .lines(table(&rows))
        .lines(runs)
        .with("open_runs", &open)
        .with("pending", fields)
        .with("base", json!({"commit": base, "seen": at})))
}

fn command(one: &Pending) -> String {
    match (one.valid, one.pr, one.commit) {
        (false, _, _) => format!("platformctl validate {}", one.module),
        (true, Some(pr), _) => format!("platformctl plan {} --pr {pr}", one.module),
        (true, None, Some(commit)) => format!("platformctl plan {} --approved {commit}", one.module),
        (true, None, None) => format!("platformctl plan {}", one.module),
    }
}
