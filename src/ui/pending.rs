//! `pending`, rendered.

use serde::Serialize;

use super::{Last, Render, notice, plural, table};
use crate::{
    model::{
        ids::{HostName, ModuleId, Oid, RunId},
        refusal::{Code, Refusal},
        status::OpenRun,
        text::shown,
    },
    verb::{
        pending::{Pending, Way},
        recorded::BaseSeen,
        unapplied::Unapplied,
    },
};

/// The object of `pending`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Listing {
    /// What is merged and not applied.
    pending: Vec<Row>,
    /// Runs that are open.
    #[cfg_attr(test, schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>"))]
    open_runs: Vec<OpenRun>,
    /// The base.
    base: BaseSeen,
}

/// One module that is merged and not applied.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Row {
    /// The module.
    module: ModuleId,
    /// Its host.
    host: HostName,
    /// The newest commit of the base that changed it.
    commit: Option<Oid>,
    /// The pull request that brings it.
    pr: Option<u64>,
    /// Its merge result, where it is proven.
    merge: Option<Oid>,
    /// The merge result that was applied last.
    last: Option<Oid>,
    /// Where a release failed on the host: whether it is this one.
    held: Option<bool>,
    /// Whether what runs was applied with break-glass, and no merged pull request that passes every gate contains it yet.
    glass: bool,
    /// Whether it can be read at all.
    valid: bool,
    /// What has to be cured before it can be applied.
    refusals: Vec<Refusal>,
    /// The open run that an apply would wait for.
    open_run: Option<RunId>,
}

impl Row {
    fn of((one, way): &(Pending, Option<Way>)) -> Self {
        let (merge, refusals, open_run) = match way {
            Some(Way::Apply { merge, .. }) => (Some(*merge), Vec::new(), None),
            Some(Way::Refused(refusals)) => (None, refusals.clone(), None),
            Some(Way::Open(open)) => (None, Vec::new(), Some(open.run.clone())),
            None => (None, Vec::new(), None),
        };
        Self {
            module: one.module.clone(),
            host: one.host.clone(),
            commit: one.commit,
            pr: pull(one, way.as_ref()),
            merge,
            last: one.last,
            held: one.held,
            glass: one.glass,
            valid: one.valid,
            refusals,
            open_run,
        }
    }
}

impl Render for Unapplied {
    const COMMAND: &'static str = "pending";

    fn object(&self) -> impl Serialize {
        Listing {
            pending: self.pending.iter().map(Row::of).collect(),
            open_runs: self.open_runs.clone(),
            base: self.base,
        }
    }

    fn warnings(&self) -> Vec<String> {
        let unasked = self
            .unasked
            .iter()
            .map(|why| format!("{why}; this is what was fetched last, and pull requests are not proven"));
        unasked.chain(notice::warnings(&self.notices)).collect()
    }

    fn lines(&self) -> Vec<String> {
        let (age, branch) = (self.base.seen.age(self.now), &self.branch);
        let head = match self.pending.len() {
            0 => format!("✓ everything merged is applied ({branch} as of {age})"),
            some => format!("{} merged, not applied ({branch} as of {age})", plural(some, "module")),
        };
        let rows: Vec<[String; 4]> = self.pending.iter().map(row).collect();
        let runs = self.open_runs.iter().flat_map(|open| {
            let since = open.opened.age(self.now);
            [
                format!("! {}  run open since {since}", open.deployment()),
                format!("  {} by {}", open.run, shown(&open.owner)),
            ]
        });
        [head].into_iter().chain(table(&rows)).chain(runs).collect()
    }

    fn last(&self) -> Last {
        // An open run comes first: what waits for it would be refused.
        match self.open_runs.first() {
            Some(open) => Last::Next(format!("platformctl resume {}", open.run)),
            None => last(&self.pending),
        }
    }
}

fn pull(one: &Pending, way: Option<&Way>) -> Option<u64> {
    match way {
        Some(Way::Apply { pr, .. }) => Some(*pr),
        Some(Way::Open(_) | Way::Refused(_)) | None => one.pr,
    }
}

fn row((one, way): &(Pending, Option<Way>)) -> [String; 4] {
    let way = way.as_ref();
    let pr = pull(one, way).map_or_else(|| " -".to_owned(), |pr| format!(" #{pr}"));
    let what = match (one.valid, way, one.held, one.last) {
        (false, ..) => "STOP: invalid, see platformctl validate".to_owned(),
        (true, Some(Way::Open(open)), ..) => format!("a run is open: {}", open.run),
        (true, Some(Way::Refused(refusals)), ..) if one.glass => {
            let code = refusals.iter().map(|refusal| refusal.code).find(|code| *code != Code::GlassOpen);
            format!("BREAK-GLASS, not proven: {}", code.map_or("refused", Code::slug))
        }
        (true, Some(Way::Refused(refusals)), ..) => {
            let code = refusals.first().map_or("refused", |refusal| refusal.code.slug());
            format!("STOP: {code}")
        }
        (true, _, Some(true), _) => "HELD: it failed there; merge a fix, or apply --retry".to_owned(),
        (true, _, Some(false), _) => "not what failed there: HELD until it is applied".to_owned(),
        (true, _, None, _) if one.glass => "BREAK-GLASS, to be confirmed".to_owned(),
        (true, _, None, None) => "never applied".to_owned(),
        (true, _, None, Some(_)) => "its content changed".to_owned(),
    };
    [pr, one.module.to_string(), one.host.to_string(), what]
}

/// What to do next: for the first deployment that something can be done for. A release that failed there is not
/// recommended again.
fn last(rows: &[(Pending, Option<Way>)]) -> Last {
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
        Some((_, Some(Way::Refused(refusals)))) if !refusals.is_empty() => {
            // What break-glass left is cured by what cures the rest.
            let first = refusals.iter().find(|refusal| refusal.code != Code::GlassOpen).unwrap_or(&refusals[0]);
            Last::Fix(first.fix.clone())
        }
        Some((one, _)) if one.held == Some(true) => Last::Next(format!("platformctl show {}", one.module)),
        Some(_) => Last::Next("platformctl pending".to_owned()),
    }
}
