//! `status`, rendered.

use serde::Serialize;

use super::{Last, Render, notice, plural, table};
use crate::{
    model::{
        status::{ModuleStatus, OpenRun},
        time::Timestamp,
    },
    verb::status::{All, One, Status},
};

impl Render for Status {
    const COMMAND: &'static str = "status";

    fn object(&self) -> impl Serialize {
        self
    }

    fn warnings(&self) -> Vec<String> {
        match self {
            Self::All(all) => notice::warnings(&all.notices),
            Self::One(_) => Vec::new(),
        }
    }

    fn lines(&self) -> Vec<String> {
        match self {
            Self::All(all) => of_all(all),
            Self::One(one) => of_one(one),
        }
    }

    fn last(&self) -> Last {
        Last::Next(match self {
            Self::One(one) if one.status.held.is_some() => format!("platformctl show {}", one.module),
            Self::One(_) => "platformctl pending".to_owned(),
            Self::All(all) => {
                let worst = all.modules.iter().find(|status| status.held.is_some());
                match (all.open_runs.first(), worst, all.pending) {
                    (Some(run), _, _) => format!("platformctl resume {}", run.run),
                    (None, Some(status), _) => format!("platformctl show {}", status.module),
                    (None, None, Some(1..)) => "platformctl pending".to_owned(),
                    (None, None, Some(0) | None) => "platformctl log".to_owned(),
                }
            }
        })
    }
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

fn of_one(one: &One) -> Vec<String> {
    let (status, now) = (&one.status, one.now);
    let (mark, words) = standing(status, now);
    let mut lines = vec![format!("{mark} {} on {}  {words}", one.module, status.host)];
    let good = match (&status.held, status.last_apply_pr) {
        (Some(_), Some(pr)) => {
            lines.push(format!("  the last that went well is #{pr}; what failed may be what runs"));
            "last good "
        }
        (Some(_), None) | (None, _) => "",
    };
    lines.extend(status.last_apply_sha.map(|merge| format!("  {good}merged as {merge}")));
    lines.extend(status.closure.map(|closure| format!("  {good}release   {}", closure.hex())));
    lines.extend(one.seen.map(|seen| format!("  the remote was last asked {}", seen.age(now))));
    lines
}

fn of_all(all: &All) -> Vec<String> {
    let now = all.now;
    let held = all.modules.iter().filter(|status| status.held.is_some()).count();
    let mut lines = Vec::new();
    let mut hosts: Vec<_> = all.modules.iter().map(|status| &status.host).collect();
    hosts.dedup();
    let seen = all.seen.map_or_else(|| "never seen".to_owned(), |at| format!("seen {}", at.age(now)));
    for host in hosts {
        let here: Vec<&ModuleStatus> = all.modules.iter().filter(|status| status.host == *host).collect();
        lines.push(format!("{host} · {seen} · {}", plural(here.len(), "module")));
        let rows = here.iter().map(|status| {
            let (mark, words) = standing(status, now);
            [format!("{mark} {}", status.module), words]
        });
        lines.extend(table(&rows.collect::<Vec<_>>()));
    }
    lines.extend(all.open_runs.iter().flat_map(|run| running(run, now)));
    let count = all.pending.map_or_else(|| "?".to_owned(), |n| n.to_string());
    lines.push(format!("pending {count} · held {held} · open runs {}", all.open_runs.len()));
    lines
}

fn running(run: &OpenRun, now: Timestamp) -> [String; 2] {
    let expired = if run.expires < now { ", expired" } else { "" };
    [
        format!("! {}  run open since {}{expired}", run.module, run.opened.age(now)),
        format!("  {} by {}", run.run, run.owner),
    ]
}
