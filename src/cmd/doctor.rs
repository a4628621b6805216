//! `doctor`: whether everything is there that an apply needs on a host, and what cures what is not. Changes and records nothing.

use serde_json::json;

use super::session::{Session, silent};
use crate::{
    cli::Doctor,
    error::{Class, Failure},
    model::{
        ids::HostName,
        refusal::{Code, Refusal},
        text::escaped_line,
    },
    port::Clock as _,
    ui::{Last, Report, plural, wrapped},
    verb::doctor::{self, Base, Check, Place, Standing},
};

/// A host, and what was found.
struct Examined {
    host: HostName,
    destination: String,
    checks: Vec<Check>,
}

pub(super) fn run(session: &Session, args: &Doctor) -> Result<Report, Failure> {
    let host = |policy: &_| session.host(policy);
    let ports = session.ports(&host, &silent);
    session.printer.waiting(&format!("asking {}", session.config.remote));
    let base = doctor::base(&ports)?;
    let hosts = &base.policy.policy.hosts;
    let names: Vec<HostName> = args.host.clone().map_or_else(|| hosts.keys().cloned().collect(), |name| vec![name]);
    if names.is_empty() {
        let fact = "platform.yaml on the base names no host";
        let fix = "merge a pull request that adds one under hosts:";
        return Err(Failure::refused(vec![Refusal::new(Code::UnknownHost, fact, fix)]));
    }
    let mut found = Vec::new();
    for host in names {
        session.printer.waiting(&format!("looking at {host}"));
        let checks = doctor::examine(&ports, &base, &host)?;
        let destination = hosts.get(&host).and_then(|policy| policy.destination.as_deref());
        let destination = destination.unwrap_or("this machine").to_owned();
        found.push(Examined { host, destination, checks });
    }
    Ok(report(session, &base, &found))
}

fn report(session: &Session, base: &Base, found: &[Examined]) -> Report {
    let fails: Vec<(&Examined, &Check)> = found
        .iter()
        .flat_map(|one| one.checks.iter().map(move |check| (one, check)))
        .filter(|(_, check)| check.result == Standing::Fail)
        .collect();
    let last = match fails.as_slice() {
        [] => Last::Next("platformctl pending".to_owned()),
        [(one, check)] => Last::Fix(once(one, check)),
        [_, ..] => Last::Fix("do what each ✗ says, then platformctl doctor".to_owned()),
    };
    let outcome = if fails.is_empty() { "ok" } else { "error" };
    let refusals: Vec<Refusal> = fails.iter().filter_map(|(_, check)| check.refusal()).collect();
    let class = refusals.first().map_or(Class::Done, |refusal| Class::of(refusal.code));
    let hosts: Vec<_> = found.iter().map(|one| json!({"host": one.host, "checks": one.checks})).collect();
    let mut report = Report::done("doctor", outcome, last)
        .refused(refusals)
        .ends_in(class)
        .lines(found.iter().flat_map(told))
        .with("hosts", hosts)
        .with("base", json!({"commit": base.p, "seen": base.seen}));
    let branch = &session.config.base;
    if let Some(error) = &base.unasked {
        let age = base.seen.age(session.clock.now());
        report.warn(format!("{error}; judged by {branch} as of {age}"));
    }
    base.notes.iter().for_each(|note| report.warn(note));
    for module in &base.broken {
        report.warn(format!("{module} does not hold on {branch}, so what it needs is not known: platformctl validate"));
    }
    report
}

/// The one cure, on the one line that a person reads last.
fn once(one: &Examined, check: &Check) -> String {
    match (check.fix.as_deref(), check.place) {
        (Some(fix), Some(place)) if !fix.contains('\n') => match place {
            Place::Words => fix.to_owned(),
            Place::Host | Place::HostRoot | Place::Here | Place::Policy => {
                format!("{} {fix}", header(one, place))
            }
        },
        _ => "do what ✗ says, then platformctl doctor".to_owned(),
    }
}

/// Where a cure is done, for a person.
fn header(one: &Examined, place: Place) -> String {
    match place {
        Place::Host => format!("on {}:", one.host),
        Place::HostRoot => format!("on {} as root:", one.host),
        Place::Here => "here:".to_owned(),
        Place::Policy => format!("merge into platform.yaml, hosts.{}:", one.host),
        Place::Words => String::new(),
    }
}

/// A host's lines: one a check, and below it the cure, which is never broken: it is pasted.
fn told(one: &Examined) -> Vec<String> {
    let count = |standing| one.checks.iter().filter(|check| check.result == standing).count();
    let (warn, fail) = (count(Standing::Warn), count(Standing::Fail));
    let words = match (warn, fail) {
        (0, 0) => "all good".to_owned(),
        (warn, 0) => format!("good, {}", plural(warn, "remark")),
        (_, fail) => format!("{} to cure", plural(fail, "thing")),
    };
    let mut lines = vec![format!("{} · {} · {words}", one.host, one.destination)];
    let wide = one.checks.iter().map(|check| check.id.len()).max().unwrap_or(0);
    let indent = " ".repeat(wide + 4);
    for check in &one.checks {
        let mark = match check.result {
            Standing::Pass => "✓",
            Standing::Warn => "!",
            Standing::Fail => "✗",
        };
        let fact = wrapped(&escaped_line(&check.fact), &indent);
        for (at, line) in fact.iter().enumerate() {
            let head = if at == 0 { format!("{mark} {:<wide$}  ", check.id) } else { indent.clone() };
            lines.push(format!("{head}{}", line.trim_start()));
        }
        if let (Some(fix), Some(place)) = (&check.fix, check.place) {
            lines.extend(cure(one, fix, place));
        }
    }
    lines
}

fn cure(one: &Examined, fix: &str, place: Place) -> Vec<String> {
    match place {
        Place::Words => {
            // Words come first; what follows them is to be copied: known_hosts lines.
            let mut parts = fix.split('\n');
            let words = wrapped(&format!("→ {}", parts.next().unwrap_or_default()), "  ");
            words.into_iter().chain(parts.map(|line| format!("    {line}"))).collect()
        }
        Place::Host | Place::HostRoot | Place::Here | Place::Policy => {
            vec![format!("  → {}", header(one, place)), format!("    {fix}")]
        }
    }
}
