//! `status`, rendered.

use serde::Serialize;

use super::{Last, Render, glass, notice, plural, table};
use crate::{
    model::{
        ids::{HostName, ModuleId},
        status::{HostStatus, OpenRun},
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
            Self::One(one) if one.status.hosts.values().any(|status| !is_settled(status)) => {
                format!("platformctl show {}", one.module)
            }
            Self::One(_) => "platformctl pending".to_owned(),
            Self::All(all) => {
                let rows = rows(all);
                let worst = rows.iter().find(|row| !row.settled);
                match (all.open_runs.first(), worst, all.pending) {
                    (Some(run), _, _) => format!("platformctl resume {}", run.run),
                    (None, Some(row), _) => format!("platformctl show {}", row.module),
                    (None, None, Some(1..)) => "platformctl pending".to_owned(),
                    (None, None, Some(0) | None) => "platformctl log".to_owned(),
                }
            }
        })
    }
}

/// A deployment, as a line of the table.
struct Row<'a> {
    host: &'a HostName,
    module: &'a ModuleId,
    status: &'a HostStatus,
    settled: bool,
}

/// Whether no person has to look at it.
fn is_settled(status: &HostStatus) -> bool {
    status.unsettled().is_none() && status.glass.is_empty()
}

/// By host, what is held before what is settled, by module.
fn rows(all: &All) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for module in &all.modules {
        rows.extend(module.hosts.iter().map(|(host, status)| Row {
            host,
            module: &module.module,
            status,
            settled: is_settled(status),
        }));
    }
    rows.sort_by_key(|row| (row.host, row.settled, row.module));
    rows
}

/// `✓`, `!` or `✗`, and in words.
fn standing(status: &HostStatus, now: Timestamp) -> (&'static str, String) {
    if let (None, Some(words)) = (status.unsettled(), glass::standing(status, now)) {
        return ("!", words);
    }
    match (status.unsettled(), &status.running, &status.removed) {
        (Some(held), ..) => ("✗", format!("#{} HELD, failed here {}", held.pr, held.at.age(now))),
        (None, Some(running), _) => ("✓", format!("#{} ok, {}", running.pr, running.at.age(now))),
        (None, None, Some(removed)) => ("✓", format!("#{} removed it, {}", removed.pr, removed.at.age(now))),
        (None, None, None) => {
            ("!", format!("never applied; the last try ended: {}", status.last.result.as_deref().unwrap_or("not yet")))
        }
    }
}

/// The lines about a module on one host.
fn deployment(module: &ModuleId, host: &HostName, status: &HostStatus, now: Timestamp) -> Vec<String> {
    let (mark, words) = standing(status, now);
    let mut lines = vec![format!("{mark} {module} on {host}  {words}")];
    lines.extend(glass::in_full(status));
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

fn of_one(one: &One) -> Vec<String> {
    let hosts = one.status.hosts.iter();
    let lines = hosts.flat_map(|(host, status)| deployment(&one.module, host, status, one.now));
    lines.chain(one.seen.map(|seen| format!("  the remote was last asked {}", seen.age(one.now)))).collect()
}

fn of_all(all: &All) -> Vec<String> {
    let (now, all_rows) = (all.now, rows(all));
    let held = all_rows.iter().filter(|row| row.status.unsettled().is_some()).count();
    let mut lines = Vec::new();
    let mut hosts: Vec<&HostName> = all_rows.iter().map(|row| row.host).collect();
    hosts.dedup();
    let seen = all.seen.map_or_else(|| "never seen".to_owned(), |at| format!("seen {}", at.age(now)));
    for host in hosts {
        let here = all_rows.iter().filter(|row| row.host == host);
        lines.push(format!("{host} · {seen} · {}", plural(here.clone().count(), "module")));
        let cells = here.map(|row| {
            let (mark, words) = standing(row.status, now);
            [format!("{mark} {}", row.module), words]
        });
        lines.extend(table(&cells.collect::<Vec<_>>()));
    }
    lines.extend(all.open_runs.iter().flat_map(|run| running(run, now)));
    let count = all.pending.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let glass = match all_rows.iter().filter(|row| !row.status.glass.is_empty()).count() {
        0 => String::new(),
        some => format!(" · break-glass {some}"),
    };
    lines.push(format!("pending {count} · held {held}{glass} · open runs {}", all.open_runs.len()));
    lines
}

fn running(run: &OpenRun, now: Timestamp) -> [String; 2] {
    let expired = if run.expires < now { ", expired" } else { "" };
    [
        format!("! {}  run open since {}{expired}", run.deployment(), run.opened.age(now)),
        format!("  {} by {}", run.run, run.owner),
    ]
}
