//! Status: what is applied and how it ended. Reads git alone.

use serde::Serialize;

use crate::{
    flow::Stage,
    ledger::state::State,
    model::{
        ids::{ModuleId, Oid},
        status::{ModuleStatus, OpenRun},
        time::Timestamp,
    },
    port::{Answer, Ports},
    tree::{manifests, snapshot::Snapshot},
    verb::{
        fetch::known_policy,
        history::{absent, local},
        notices::{Notice, advice},
        pending::pending,
        recorded::Tip,
    },
};

/// The status.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Status {
    /// Of every module.
    All(Box<All>),
    /// Of one module.
    One(Box<One>),
}

/// The status of every module.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct All {
    /// The modules.
    #[cfg_attr(test, schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>"))]
    pub modules: Vec<ModuleStatus>,
    /// Runs that are open.
    #[cfg_attr(test, schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>"))]
    pub open_runs: Vec<OpenRun>,
    /// How many modules are merged and not applied, by the base that was fetched last; null where none was.
    pub pending: Option<usize>,
    /// The newest record.
    pub record: Tip,
    /// When the remote was last asked.
    pub seen: Option<Timestamp>,
    /// When this was looked at.
    #[serde(skip)]
    pub now: Timestamp,
    /// What an operator should know.
    #[serde(skip)]
    pub notices: Vec<Notice>,
}

/// The status of one module.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct One {
    /// The module.
    pub module: ModuleId,
    /// Its entry in the record.
    #[cfg_attr(test, schemars(with = "serde_json::Map<String, serde_json::Value>"))]
    pub status: ModuleStatus,
    /// The newest record.
    pub record: Tip,
    /// When the remote was last asked.
    pub seen: Option<Timestamp>,
    /// When this was looked at.
    #[serde(skip)]
    pub now: Timestamp,
}

/// The status of one module, or of every module, from this clone's record.
///
/// # Errors
/// There is no record, or it does not mention the module.
pub fn status(ports: &Ports<'_>, module: Option<&ModuleId>) -> Stage<Status> {
    let state = local(ports)?;
    let (record, now, base) = (Tip { commit: state.tip() }, ports.clock.now(), ports.ledger.base()?);
    let seen = base.map(|(_, at)| at);
    let Some(module) = module else {
        let modules = state.modules()?;
        let waiting = match base {
            Some((base, _)) => Some(pending(ports.source, Some(&state), base)?.len()),
            None => None,
        };
        let notices = pin(ports, &state, base.map(|(base, _)| base))?.into_iter().collect();
        let open_runs = state.open_runs()?;
        return Ok(Status::All(Box::new(All { modules, open_runs, pending: waiting, record, seen, now, notices })));
    };
    match state.module(module)? {
        Some(status) => Ok(Status::One(Box::new(One { module: module.clone(), status, record, seen, now }))),
        None => Err(absent(ports, &state, module)),
    }
}

/// Advises to pin the first record, by the policy of the base that was fetched last, else by the recorded one.
fn pin(ports: &Ports<'_>, state: &State<'_>, base: Option<Oid>) -> Answer<Option<Notice>> {
    let fetched = match base {
        Some(base) => manifests::policy(&Snapshot::lazy(ports.source, ports.source.commit(base)?.tree))?.ok(),
        None => None,
    };
    let policy = match fetched {
        Some(policy) => Some(policy),
        None => known_policy(ports)?,
    };
    let genesis = state.genesis()?;
    Ok(policy.and_then(|policy| advice(&policy.policy.state, genesis)))
}
