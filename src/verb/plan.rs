//! Proposal: what an apply would do, as far as that is known without doing it, and every reason against it.

use serde_json::{Value, json};

use crate::{
    flow::{
        Stage, Stop,
        approve::{relation, request::Request},
        gate::{Nothing, gate, nothing},
        refuse,
    },
    ledger::state::State,
    model::{
        approval::{Approval, Style},
        digest::Digest,
        gate::GateCheck,
        ids::{Deployment, Oid},
        json,
        plan::Intention,
        policy::ApprovalSource,
        problem::Problem,
        refusal::{Code, Refusal},
        status::HostStatus,
        text::shown,
    },
    port::{Answer, Merge, Phase, PortError, Ports, Step},
    tree::{leaks, manifests, snapshot::Snapshot},
    verb::{
        apply::{self, Ask, bound, planned},
        busy,
        fetch::Fetched,
        pending,
        preview::{Version, preview},
    },
};

/// Which version of a module is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The newest merge of the base that changed it.
    Newest,
    /// What a request approves; or would, once its pull request is merged.
    Request(Request),
    /// A commit, as `--at` names it.
    At(Oid),
}

/// What would be done.
#[derive(Debug)]
pub struct Proposal {
    /// What is promised.
    pub intention: Intention,
    /// The digest of what is promised.
    pub digest: Digest,
    /// Why it may not be applied.
    pub refusals: Vec<Refusal>,
    /// The gate's list, where the plan came so far.
    pub checks: Vec<GateCheck>,
    /// The approval, where there is one.
    pub approval: Option<Approval>,
    /// What was seen on the host, as names and digests.
    pub observed: Value,
    /// Whether nothing is left to do.
    pub done: bool,
    /// What a reader must know, besides.
    pub warnings: Vec<String>,
    /// Of a pull request that is not merged: the ways of merging it that will be accepted.
    pub styles: Vec<Style>,
}

/// Plans a module.
///
/// # Errors
/// There is no plan: a stage refused before there could be one.
pub fn propose(ports: &Ports<'_>, fetched: &Fetched, ask: &Ask, which: &Which) -> Stage<Proposal> {
    let state = fetched.checked.as_ref().map(|checked| State::at(ports.source, checked.id)).transpose()?;
    let request = match which {
        Which::At(commit) => {
            let version =
                Version { tree: ports.source.commit(*commit)?.tree, pr: None, head: Some(*commit), merge: None };
            let warning = format!("a preview of {commit}: only what is merged can be applied");
            return previewed(ports, fetched, state.as_ref(), &version, ask, warning);
        }
        Which::Newest => newest(ports, fetched, ask)?,
        Which::Request(request) => request.clone(),
    };
    let ask = Ask { request: request.clone(), ..ask.clone() };
    let bound = match bound(ports, fetched, &ask, None) {
        Ok(bound) => bound,
        Err(Stop::Refused(refusals)) => {
            let unmerged = refusals.iter().all(|refusal| refusal.code == Code::HeadNotMerged);
            return match request.pr.filter(|_| unmerged && request.approved.is_none()) {
                Some(pr) => {
                    let version = merged(ports, fetched, pr)?;
                    let warning = format!("PR #{pr} is not merged: this is what merging it now would change");
                    let mut proposal = previewed(ports, fetched, state.as_ref(), &version, &ask, warning)?;
                    proposal.warnings.extend(trap(ports, fetched, &version)?);
                    proposal.styles.clone_from(&fetched.policy.policy.approval.styles);
                    Ok(proposal)
                }
                None => Err(Stop::Refused(refusals)),
            };
        }
        Err(failed) => return Err(failed),
    };
    let (plan, _) = planned(ports, bound, ask.again)?;
    let snapshot = Snapshot::lazy(ports.source, plan.bound().approval().tree);
    let leaks = leaks::warnings(&snapshot, plan.bound().target().module, plan.bound().target().host.root.as_str())?;
    let images = plan.missing_images();
    let done = plan.is_done();
    let (intention, digest) = (plan.intention().clone(), plan.digest());
    let approval = Some(plan.bound().approval().clone());
    let seen = plan.machine();
    let observed = json!({"machine_id": seen.machine_id, "free_bytes": seen.free_bytes, "witness": seen.witness});
    let unseen = if done { Vec::new() } else { plan.warnings() };
    let facts = apply::facts(ports, fetched, &plan, &ask, None)?;
    let judged = if done && !ask.again {
        nothing(plan, &facts).map(|judged| match judged {
            Nothing::Advance(permit) => permit.checks().to_vec(),
            Nothing::Stay(_, checks) => checks,
        })
    } else {
        gate(plan, &facts).map(|permit| permit.checks().to_vec())
    };
    let (checks, refusals) = match judged {
        Ok(checks) => (checks, Vec::new()),
        Err(closed) => (closed.checks, closed.refusals),
    };
    // Images are brought by apply itself.
    let refusals: Vec<Refusal> = refusals.into_iter().filter(|refusal| refusal.code != Code::ImageMissing).collect();
    let mut warnings: Vec<String> = open_run(ports, fetched, &ask)?.into_iter().collect();
    let missing =
        images.iter().map(|image| format!("the host does not have the image {}: apply pulls it", shown(image)));
    warnings.extend(missing.chain(unseen).chain(leaks));
    let styles = Vec::new();
    Ok(Proposal { intention, digest, refusals, checks, approval, observed, done, warnings, styles })
}

/// An open run that an apply would have to wait for.
fn open_run(ports: &Ports<'_>, fetched: &Fetched, ask: &Ask) -> Stage<Option<String>> {
    let open = busy::holder(ports, fetched, &ask.module, ask.host.as_ref())?;
    Ok(open.map(|open| {
        format!("run {} of {} is open, and apply waits for it: platformctl resume {}", open.run, open.module, open.run)
    }))
}

fn previewed(
    ports: &Ports<'_>,
    fetched: &Fetched,
    state: Option<&State<'_>>,
    version: &Version,
    ask: &Ask,
    warning: String,
) -> Stage<Proposal> {
    (ports.tell)(Step::Began(Phase::Plan));
    let which = (&ask.module, ask.host.as_ref());
    // What is merged brings its policy along: a host or a door that it adds is there then.
    let proposed = manifests::policy(&Snapshot::lazy(ports.source, version.tree))?.ok();
    let policy = proposed.as_ref().unwrap_or(&fetched.policy);
    let (intention, refusals, leaks) = preview(ports.source, state, policy, version, which)?;
    let mut warnings = vec![warning];
    let deployment = Deployment::new(&intention.module, &intention.host);
    let last = state.map(|state| state.deployment(&deployment)).transpose()?.flatten();
    if let Some(held) = last.as_ref().and_then(HostStatus::unsettled) {
        warnings.push(format!(
            "PR #{} failed on the host and may be what runs there: this compares with the last release that went well",
            held.pr
        ));
    }
    let digest = json::digest(&intention).map_err(|error| {
        PortError::new(Code::Bug, "the plan has no canonical form", "please report this").because(error)
    })?;
    // Where a release failed the host is not known to be at the last good one.
    let done = intention.changes.is_empty() && warnings.len() == 1;
    warnings.extend(leaks);
    Ok(Proposal {
        done,
        intention,
        digest,
        refusals,
        checks: Vec::new(),
        approval: None,
        observed: Value::Null,
        warnings,
        styles: Vec::new(),
    })
}

/// The newest commit of the base that changed a deployment, as a request.
fn newest(ports: &Ports<'_>, fetched: &Fetched, ask: &Ask) -> Stage<Request> {
    let id = &ask.module;
    let snapshot = Snapshot::lazy(ports.source, ports.source.commit(fetched.p)?.tree);
    let manifest = match manifests::manifest(&snapshot, id)? {
        Some(Ok(manifest)) => manifest,
        Some(Err(problems)) => return Err(Stop::Refused(problems.into_iter().map(Problem::into_refusal).collect())),
        None => {
            let fact = format!("there is no module `{id}` on the base ({})", fetched.p);
            let fix = "the modules are the folders below modules/; for one that is not merged say --pr N";
            return Err(manifests::unknown(&snapshot, id, fact, fix)?.into());
        }
    };
    let host = match (&ask.host, manifest.hosts()) {
        (None, [only]) => Some(only),
        (host, _) => host.as_ref(),
    };
    match pending::newest(ports.source, id, host, fetched.p, None)? {
        Some(commit) => Ok(Request { approved: Some(commit.to_string()), pr: None }),
        None => refuse(
            Code::NoPullRef,
            format!("the newest change of {id} is too old to be searched for"),
            "name one: --pr N, or --approved <id>",
        ),
    }
}

/// A merge style that looks harmless and will not be accepted: what cannot be fixed after a merge is reported before
/// it.
fn trap(ports: &Ports<'_>, fetched: &Fetched, version: &Version) -> Answer<Option<String>> {
    let rules = &fetched.policy.policy.approval;
    // With the forge's word a fast-forward is as strong as any other style.
    let moved = rules.styles.contains(&Style::FastForward) || rules.source == ApprovalSource::Forgejo;
    let Some(head) = version.head.filter(|_| !moved) else { return Ok(None) };
    let up_to_date = ports.source.is_ancestor(fetched.p, head)?;
    Ok(up_to_date.then(|| {
        "do not merge it with \"rebase then fast-forward\": its branch is up to date, so git could not tell that from a direct push"
            .to_owned()
    }))
}

/// What merging a pull request into the base now would give.
pub(super) fn merged(ports: &Ports<'_>, fetched: &Fetched, pr: u64) -> Stage<Version> {
    let head = fetched.refs.pulls.iter().find(|(n, _)| *n == pr).map(|(_, head)| *head);
    let Some(head) = head else {
        return refuse(Code::UnknownId, format!("the remote has no pull request {pr}"), "check the number");
    };
    match relation::merged_now(ports.source, fetched.p, head)? {
        Merge::Clean(tree) => Ok(Version { tree, pr: Some(pr), head: Some(head), merge: None }),
        Merge::Conflict(paths) => refuse(
            Code::HeadNotMerged,
            format!("PR #{pr} cannot be merged: conflicts in {}", shown(&paths.join(", "))),
            "merge the base into its branch first",
        ),
    }
}
