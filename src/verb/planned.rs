//! Plan, as a command asks for it: a proposal, or why there is none.

use crate::{
    flow::{Stage, approve::request::Request, refuse},
    model::{
        ids::{HostName, ModuleId, Oid},
        refusal::Code,
        time::Timestamp,
    },
    port::{Answer, Phase, Ports},
    verb::{
        apply::Ask,
        fetch::refresh,
        notices::{self, Notice},
        plan::{Proposal, Which, propose},
        targets,
        timings::Timings,
    },
};

/// How long a plan file may be used, in seconds.
pub const GOOD_FOR_S: i64 = 24 * 3_600;

/// What would change.
#[derive(Debug)]
pub struct Plans {
    /// The plan; of a module on several hosts one for each.
    pub targets: Vec<Planned>,
    /// What an operator should know, where there are several.
    pub notices: Vec<Notice>,
    /// Where the time went: milliseconds by phase.
    pub durations_ms: Vec<(Phase, u64)>,
    /// How it was asked for.
    pub how: How,
}

/// What would change on one host.
#[derive(Debug)]
pub struct Planned {
    /// The module.
    pub module: ModuleId,
    /// The host, where it was named or the module has several.
    pub host: Option<HostName>,
    /// What would be done, or why there is no plan.
    pub proposal: Stage<Proposal>,
    /// What an operator should know.
    pub notices: Vec<Notice>,
    /// When it was planned.
    pub at: Timestamp,
}

/// How a plan is asked for.
#[derive(Debug, Clone, Default)]
pub struct How {
    /// The file that the plan is written to.
    pub file: Option<String>,
    /// Whether a plan that changes something has an exit code of its own.
    pub exit_code: bool,
    /// Whether the timings are printed.
    pub timings: bool,
}

/// Plans a module on each of its hosts, as `apply` without a host treats them: the commit `at`, what the request
/// approves, or the newest merge that changed it.
pub fn plan(ports: &Ports<'_>, ask: &Ask, at: Answer<Option<Oid>>, how: How) -> Plans {
    let timings = Timings::new(ports.clock);
    let (targets, notices) = timings.measured(ports, |ports| match each(ports, ask, at, &how) {
        Ok(planned) => planned,
        Err(stop) => (vec![Planned::of(ports, ask, Err(stop), &[])], Vec::new()),
    });
    Plans { targets, notices, durations_ms: timings.take(), how }
}

impl Planned {
    fn of(ports: &Ports<'_>, ask: &Ask, proposal: Stage<Proposal>, notices: &[Notice]) -> Self {
        let (module, host) = (ask.module.clone(), ask.host.clone());
        let notices = if proposal.is_ok() { notices.to_vec() } else { Vec::new() };
        Self { module, host, proposal, notices, at: ports.clock.now() }
    }
}

fn each(ports: &Ports<'_>, ask: &Ask, at: Answer<Option<Oid>>, how: &How) -> Stage<(Vec<Planned>, Vec<Notice>)> {
    let which = match at? {
        Some(commit) => Which::At(commit),
        None if ask.request == Request::default() => Which::Newest,
        None => Which::Request(ask.request.clone()),
    };
    let fetched = refresh(ports, &ask.request)?;
    let asks = targets::spread(ports.source, fetched.p, std::slice::from_ref(ask))?;
    if let (Some(file), [Ask { host: Some(first), module, .. }, _, ..]) = (&how.file, asks.as_slice()) {
        let fix = format!("platformctl plan {module} --host {first} -o {file}");
        return refuse(Code::Usage, format!("a plan file is for one host, and {module} has several"), fix);
    }
    let notices = notices::all(ports, &fetched);
    let planned = |ask: &Ask| Planned::of(ports, ask, propose(ports, &fetched, ask, &which), &notices);
    Ok((asks.iter().map(planned).collect(), notices.clone()))
}
