//! Preview: a plan from git and the record alone. Unmerged content never reaches a host, and compose is not rendered
//! anywhere.

use crate::{
    flow::{Stage, Stop, refuse},
    ledger::state::State,
    model::{
        ids::{Deployment, HostName, ModuleId, Oid},
        plan::Intention,
        policy::Mutations,
        problem::Problem,
        refusal::{Code, Refusal},
    },
    port::{PortError, Source},
    runtime,
    tree::{doors, leaks, manifests, module::PolicyAt, snapshot::Snapshot},
};

/// What is previewed.
#[derive(Debug, Clone, Copy)]
pub struct Version {
    /// The tree.
    pub tree: Oid,
    /// The pull request, if it is one.
    pub pr: Option<u64>,
    /// Its head.
    pub head: Option<Oid>,
    /// Its merge result, if it is merged.
    pub merge: Option<Oid>,
}

/// Plans a module of a tree against what is applied according to the record, with the reasons why it could not be
/// applied after a merge and the warnings about secrets in it.
///
/// # Errors
/// The module is not valid, or objects cannot be read.
pub fn preview(
    source: &dyn Source,
    state: Option<&State<'_>>,
    policy: &PolicyAt,
    version: &Version,
    (id, host): (&ModuleId, Option<&HostName>),
) -> Stage<(Intention, Vec<Refusal>, Vec<String>)> {
    let snapshot = Snapshot::lazy(source, version.tree);
    let module = match manifests::module(&snapshot, id)? {
        Some(Ok(module)) => module,
        Some(Err(problems)) => return Err(Stop::Refused(problems.into_iter().map(Problem::into_refusal).collect())),
        None => {
            let fix = format!("the modules are the folders below modules/; if {id} is in a pull request: --pr N");
            return Err(manifests::unknown(&snapshot, id, format!("there is no module `{id}` in it"), &fix)?.into());
        }
    };
    let Some(host) = host.or(module.manifest.hosts().first()) else {
        return refuse(Code::UnknownHost, format!("{id} names no host"), "merge a pull request that names one");
    };
    let deployment = Deployment::new(id, host);
    let last = state.map(|state| state.deployment(&deployment)).transpose()?.flatten();
    let last = last.and_then(|last| Some(last.running?.merge));
    let applied = match last {
        Some(merge) if source.has(merge)? => {
            let snapshot = Snapshot::lazy(source, source.commit(merge)?.tree);
            manifests::module(&snapshot, id)?.and_then(Result::ok)
        }
        Some(_) | None => None,
    };
    let driver = runtime::driver(module.manifest.runtime.driver);
    let changes = driver.preview(&module, applied.as_ref()).map_err(|error| {
        PortError::new(Code::Bug, "a service has no canonical form", "please report this").because(error)
    })?;
    let mut refusals: Vec<Refusal> = closed(policy, host).into_iter().collect();
    refusals.extend(doors::reaches(&module, policy, host).into_iter().map(Problem::into_refusal));
    let intention = Intention {
        module: id.clone(),
        host: host.clone(),
        pr: version.pr,
        head: version.head,
        merge: version.merge,
        policy: policy.blob,
        closure: module.closure.digest,
        effective: module.closure.effective,
        override_: None,
        model: None,
        last_applied: last,
        changes,
        exceptions: Vec::new(),
    };
    let root = policy.policy.hosts.get(host).map_or("ROOT", |host| host.root.as_str());
    let warnings = leaks::warnings(&snapshot, &module, root)?;
    Ok((intention, refusals, warnings))
}

/// Why the policy lets nothing change on a host.
fn closed(policy: &PolicyAt, host: &HostName) -> Option<Refusal> {
    match policy.policy.hosts.get(host) {
        None => {
            let fact = format!("platform.yaml has no host `{host}`");
            Some(Refusal::new(Code::UnknownHost, fact, "add it under hosts: in this pull request, or name another"))
        }
        Some(entry) if entry.mutations == Mutations::Disabled => Some(Refusal::new(
            Code::MutationsDisabled,
            format!("host {host} has `mutations: disabled` in platform.yaml"),
            format!("merge a pull request that sets `mutations: enabled` for {host}"),
        )),
        Some(_) => None,
    }
}
