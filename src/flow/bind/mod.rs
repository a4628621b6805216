//! Bind: an approval meets one module. Snapshot is read from M, the policy from P, the parent state from the record;
//! the checkout is compared with M and never read for content.

pub mod bound;
mod checkout;

use crate::{
    flow::{
        Stage, Stop,
        approve::{
            Approved, Candidates,
            coverage::{self, Coverage, Past},
        },
        bind::bound::{Absence, Absent, Bound, Present},
        refuse, unless,
    },
    ledger::state::State,
    model::{
        approval::Approval,
        gate::Binding,
        glass::sorted,
        ids::{Deployment, HostName, ModuleId, Oid},
        problem::Problem,
        refusal::{Code, Refusal},
        status::{HostStatus, ModuleStatus},
    },
    port::{Answer, Checkout, Source},
    tree::{
        doors,
        footprint::Footprints,
        manifests,
        module::{Module, PolicyAt},
        snapshot::Snapshot,
    },
};

/// What a person waives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waivers {
    /// `--no-checkout-binding`.
    pub checkout: bool,
    /// `--allow-older`.
    pub older: bool,
    /// `--auto`: the checkout of a runner may be an older one of the base.
    pub transport: bool,
}

/// What bind works on.
pub struct Bind<'a> {
    /// Objects and the remote.
    pub candidates: Candidates<'a>,
    /// The policy at P.
    pub policy: &'a PolicyAt,
    /// The record.
    pub state: Option<State<'a>>,
    /// The checkout.
    pub checkout: &'a dyn Checkout,
    /// The module.
    pub module: &'a ModuleId,
    /// Its host; `None`: the only one that it has.
    pub host: Option<&'a HostName>,
    /// What is waived.
    pub waivers: Waivers,
}

/// Binds an approval to a deployment.
///
/// # Errors
/// Every reason that bind finds, at once.
pub fn bind(ask: &Bind<'_>, approved: Approved) -> Stage<Bound> {
    let source = ask.candidates.source;
    let relation = approved.relation().clone();
    let snapshot = Snapshot::lazy(source, relation.tree);
    let status = ask.state.map(|state| state.module(ask.module)).transpose()?.flatten();
    let module = match wanted(ask, &snapshot, status.as_ref(), relation.merge)? {
        Wanted::Present(module) => *module,
        Wanted::Absent(gone) => return absent(ask, &approved, status.as_ref(), *gone),
    };
    let host = chosen(ask, &module, relation.merge)?;
    let Some(host_policy) = ask.policy.policy.hosts.get(&host) else {
        return refuse(
            Code::UnknownHost,
            format!("platform.yaml on the base has no host `{host}`"),
            "merge a pull request that adds it",
        );
    };
    let past = Past::of(status.as_ref(), &host);
    let footprints = Footprints::new(source, ask.module, Some(&host));
    let mut refusals: Vec<Refusal> =
        doors::reaches(&module, ask.policy, &host).into_iter().map(Problem::into_refusal).collect();
    let mut waived = Vec::new();
    let scope = taken(coverage::coverage(&ask.candidates, &approved, &footprints, &past), &mut refusals)?;
    match coverage::superseded(&ask.candidates, &approved, &footprints)? {
        Some(_) if ask.waivers.older => waived.push("superseded".to_owned()),
        found => refusals.extend(found),
    }
    let checkout = if ask.checkout.head()?.is_none() {
        Binding::None
    } else if ask.waivers.checkout {
        waived.push("checkout".to_owned());
        Binding::Waived
    } else {
        let (binding, found) = checkout::bound(ask, &approved, &module)?;
        refusals.extend(found);
        binding
    };
    let (more, firm) = sorted(ask.candidates.glass, refusals);
    unless(firm)?;
    let mut scope = scope.unwrap_or_default();
    let mut glass = approved.waived().to_vec();
    glass.append(&mut scope.waived);
    glass.extend(more);
    let approval = proof(&approved, scope);
    let named = |host: &HostName| module.manifest.hosts().contains(host);
    let left = status.iter().flat_map(ModuleStatus::runs_on).map(|(host, _)| host).filter(|host| !named(host));
    let left = left.cloned().collect();
    let last = status.and_then(|mut status| status.hosts.remove(&host));
    let runs = last.as_ref().and_then(|last| last.running.as_ref()).map(|running| running.merge);
    Ok(Bound::Present(Box::new(Present {
        approval,
        deployment: Deployment::new(ask.module, &host),
        before: before(source, ask.module, runs)?,
        module,
        host: host_policy.clone(),
        sacred: ask.policy.policy.sacred.clone(),
        policy_blob: ask.policy.blob,
        last,
        left,
        checkout,
        waived,
        glass,
    })))
}

/// What M wants of a deployment, before anything else is looked at.
enum Wanted {
    Present(Box<Module>),
    Absent(Box<(Deployment, Absence, HostStatus)>),
}

/// Reads what M wants. Where it wants nothing and the record knows of nothing either, that is a mistake of whoever
/// asks.
fn wanted(ask: &Bind<'_>, snapshot: &Snapshot<'_>, status: Option<&ModuleStatus>, merge: Oid) -> Stage<Wanted> {
    let found = manifests::module(snapshot, ask.module)?;
    let known = |host: &HostName| {
        let last = status?.hosts.get(host).filter(|last| last.running.is_some())?;
        Some((Deployment::new(ask.module, host), last.clone()))
    };
    match (found, ask.host) {
        (Some(Err(problems)), _) => Err(Stop::Refused(problems.into_iter().map(Problem::into_refusal).collect())),
        (Some(Ok(module)), Some(host)) if !module.manifest.hosts().contains(host) => match known(host) {
            Some((deployment, last)) => {
                Ok(Wanted::Absent(Box::new((deployment, Absence::Moved(module.manifest.hosts().to_vec()), last))))
            }
            None => {
                let hosts = list(module.manifest.hosts());
                let fact = format!("{} does not run on {host} in {merge}, but on {hosts}", ask.module);
                refuse(Code::UnknownHost, fact, "name one of its hosts, or merge a pull request that adds this one")
            }
        },
        (Some(Ok(module)), _) => Ok(Wanted::Present(Box::new(module))),
        (None, host) => {
            let mut runs = status.iter().flat_map(|status| status.runs_on()).map(|(host, _)| host);
            match host.or_else(|| runs.next()).and_then(known) {
                Some((deployment, last)) => Ok(Wanted::Absent(Box::new((deployment, Absence::Deleted, last)))),
                None => {
                    let fix = "the modules are the folders below modules/; correct the name, or merge the pull request \
                               that adds it";
                    let fact = format!("there is no module `{}` in {merge}", ask.module);
                    Err(manifests::unknown(snapshot, ask.module, fact, fix)?.into())
                }
            }
        }
    }
}

/// The host that is meant: the one that was named, or the only one.
fn chosen(ask: &Bind<'_>, module: &Module, merge: Oid) -> Stage<HostName> {
    match (ask.host, module.manifest.hosts()) {
        (Some(host), _) | (None, [host]) => Ok(host.clone()),
        (None, hosts) => {
            let fact = format!("{} runs on several hosts in {merge}: {}", ask.module, list(hosts));
            let fix = hosts.first().map_or_else(String::new, |first| format!("name one of them: --host {first}"));
            refuse(Code::UnknownHost, fact, fix)
        }
    }
}

fn list(hosts: &[HostName]) -> String {
    hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
}

/// Binds the approval of a removal.
fn absent(
    ask: &Bind<'_>,
    approved: &Approved,
    status: Option<&ModuleStatus>,
    (deployment, why, last): (Deployment, Absence, HostStatus),
) -> Stage<Bound> {
    let footprints = Footprints::new(ask.candidates.source, ask.module, Some(&deployment.host));
    let past = Past::of(status, &deployment.host);
    let mut refusals = Vec::new();
    let scope = taken(coverage::coverage(&ask.candidates, approved, &footprints, &past), &mut refusals)?;
    refusals.extend(coverage::superseded(&ask.candidates, approved, &footprints)?);
    if !refusals.is_empty() {
        refusals.insert(0, bound::gone(&deployment, &why, approved.relation().merge));
    }
    unless(refusals)?;
    let approval = proof(approved, scope.unwrap_or_default());
    Ok(Bound::Absent(Box::new(Absent { approval, deployment, why, last })))
}

/// The module as it is applied, if it can be read; a plan's reasons are differences from it.
fn before(source: &dyn Source, id: &ModuleId, applied: Option<Oid>) -> Answer<Option<Module>> {
    match applied {
        Some(merge) if source.has(merge)? => {
            let snapshot = Snapshot::lazy(source, source.commit(merge)?.tree);
            Ok(manifests::module(&snapshot, id)?.and_then(Result::ok))
        }
        Some(_) | None => Ok(None),
    }
}

/// The approval as it is recorded.
fn proof(approved: &Approved, coverage: Coverage) -> Approval {
    let Coverage { covers, adopted, baseline, reviews, waived: _ } = coverage;
    let mut approval = Approval { baseline, ..approved.recorded(covers, adopted) };
    approval.reviews.extend(reviews);
    approval
}

/// A stage's product, with its reasons collected instead of ending everything.
fn taken<T>(stage: Stage<T>, refusals: &mut Vec<Refusal>) -> Stage<Option<T>> {
    match stage {
        Ok(value) => Ok(Some(value)),
        Err(Stop::Refused(found)) => {
            refusals.extend(found);
            Ok(None)
        }
        Err(failed) => Err(failed),
    }
}
