//! Resume and abandon: how an open run is ended later. Resume asks and records, and never changes a host.

use crate::{
    flow::{Stage, Stop, close::outcome, gate::host::Which, observe, open, refuse, unless, verify},
    ledger::{
        event::{Event, Kind},
        state::State,
    },
    model::{
        ending::Ending,
        ids::{Oid, RunId},
        policy::HostPolicy,
        refusal::Code,
        status::OpenRun,
        text::shown,
    },
    port::{Answer, Ended, Guard, Host, Input, NotDone, PortError, Ports, Script, ending},
    record::{Appended, Record, unsent::lock_name},
    runtime::{
        driver::Target,
        result::{self, Fate},
    },
    tree::{manifests, snapshot::Snapshot},
    verb::{
        fetch::{Fetched, record},
        host,
        left::Left,
    },
};

/// What became of an open run.
#[derive(Debug)]
pub struct Resumed {
    /// The run.
    pub open: OpenRun,
    /// The pull request of its intent.
    pub pr: Option<u64>,
    /// How many things its intent changes.
    pub changes: u64,
    /// How it ended.
    pub ended: Ended,
    /// Its outcome, unless it stays open.
    pub record: Option<Appended>,
    /// What a release that is held left behind.
    pub left: Option<Left>,
}

/// The open runs of the record, the oldest first.
///
/// # Errors
/// The record cannot be read.
pub fn open_runs(ports: &Ports<'_>, fetched: &Fetched) -> Answer<Vec<OpenRun>> {
    match &fetched.checked {
        Some(checked) => State::at(ports.source, checked.id)?.open_runs(),
        None => Ok(Vec::new()),
    }
}

/// Finds an open run.
///
/// # Errors
/// There is none of that id.
pub fn find(ports: &Ports<'_>, fetched: &Fetched, run: &RunId) -> Stage<OpenRun> {
    match open_runs(ports, fetched)?.into_iter().find(|open| open.run == *run) {
        Some(open) => Ok(open),
        None => refuse(Code::UnknownRun, format!("no open run {run}"), "platformctl status lists the open runs"),
    }
}

/// The intent that opened a run, and its event.
fn intent(ports: &Ports<'_>, fetched: &Fetched, open: &OpenRun) -> Stage<(Oid, Event)> {
    let found = match &fetched.checked {
        Some(checked) => State::at(ports.source, checked.id)?.intent_of(open)?,
        None => None,
    };
    match found {
        Some(found) => Ok(found),
        None => refuse(
            Code::StateInvalid,
            format!("the intent of run {} is not in the record", open.run),
            "platformctl verify",
        ),
    }
}

/// What the host reports about a run, and how many seconds ago it ended.
fn ask(host: &dyn Host, script: &Script, policy: &HostPolicy, open: &OpenRun) -> Answer<(Fate, Option<u64>)> {
    let args = [policy.root.to_string(), open::lock_of(open), open.run.to_string()];
    let reply = host.run(script, &args, Input::Nothing).map_err(PortError::harmless)?;
    Ok((result::fate(&open.run, &open.nonce, &reply.stdout), result::ended_s_ago(&reply.stdout)))
}

/// Refuses while the process of this clone that began the run, or another one about it, is at work.
fn alone(record: &Record<'_>, open: &OpenRun) -> Stage<Box<dyn Guard>> {
    match record.ledger.lock(&lock_name(&open.scope), 0) {
        Ok(guard) => Ok(guard),
        Err(error) if error.code == Code::Busy => refuse(
            Code::Busy,
            format!("another platformctl of this clone is still at work on {}, run {}", open.module, open.run),
            "wait for it to end: it records the outcome itself",
        ),
        Err(error) => Err(error.into()),
    }
}

/// How long a process may deliver files before its host is told to change, in seconds: after that, a run that never
/// began is ended.
const DELIVERS_WITHIN_S: i64 = 300;

/// Refuses while the process that began a run may still deliver its files.
fn undelivered(ports: &Ports<'_>, open: &OpenRun) -> Stage<()> {
    let until = open.opened.plus_s(DELIVERS_WITHIN_S);
    let now = ports.clock.now();
    if until <= now {
        return Ok(());
    }
    let left_s = until.unix_s().saturating_sub(now.unix_s());
    refuse(
        Code::Busy,
        format!(
            "run {} has not begun on {}, and {} may still deliver its files",
            open.run,
            open.host,
            shown(&open.owner)
        ),
        format!("wait up to {left_s} s, then: platformctl resume {}", open.run),
    )
}

/// Longest time that the process which began a run needs to record the outcome after the host is done, besides
/// watching, in seconds.
const RECORDS_WITHIN_S: u64 = 60;

/// Refuses while a process in another clone may still watch what the run changed: it ended on its host less than the
/// module's deadline ago. After its expiry no process does, and the process of this clone is known to have ended.
fn unwatched(
    ports: &Ports<'_>,
    record: &Record<'_>,
    open: &OpenRun,
    fate: &Fate,
    ago: Option<u64>,
    event: &Event,
) -> Stage<()> {
    let (Fate::Ended { rc, .. }, Some(ago)) = (fate, ago) else { return Ok(()) };
    if open.expires < ports.clock.now() || record.was_sent(&open.run)? {
        return Ok(());
    }
    let watches_s = match (&event.module, &event.approved) {
        (Some(module), Some(approval)) if *rc == 0 => {
            let found = manifests::manifest(&Snapshot::lazy(ports.source, approval.tree), module)?;
            found.and_then(Result::ok).map_or(0, |manifest| manifest.health.deadline_s)
        }
        _ => 0,
    };
    let left_s = watches_s.saturating_add(RECORDS_WITHIN_S).saturating_sub(ago);
    if left_s == 0 {
        return Ok(());
    }
    refuse(
        Code::Busy,
        format!("run {} ended on {} {ago} s ago, and {} may still watch it", open.run, open.host, shown(&open.owner)),
        format!("wait up to {left_s} s for the outcome, then: platformctl resume {}", open.run),
    )
}

/// Whether waiting may help: the run is still running, or its host did not answer. Only a person can end one that was
/// killed.
pub fn may_pass(stop: &Stop) -> bool {
    match stop {
        Stop::Refused(refusals) => {
            refusals.iter().all(|refusal| refusal.code == Code::Busy && !refusal.fix.starts_with("platformctl abandon"))
        }
        Stop::Failed(error) => [Code::Busy, Code::HostUnreachable, Code::RemoteUnreachable].contains(&error.code),
    }
}

fn host_of<'f>(fetched: &'f Fetched, open: &OpenRun) -> Stage<&'f HostPolicy> {
    match fetched.policy.policy.hosts.get(&open.host) {
        Some(policy) => Ok(policy),
        None => refuse(
            Code::UnknownHost,
            format!("platform.yaml on the base no longer has a host `{}`", open.host),
            "merge a pull request that names it again, until the run is ended",
        ),
    }
}

/// An open run whose host may be asked: it is the machine that the policy names, it was shown no newer record, and no
/// other process of this clone is at work on the run.
struct Looked<'a> {
    record: Record<'a>,
    intent: (Oid, Event),
    policy: &'a HostPolicy,
    host: Box<dyn Host>,
    alone: Box<dyn Guard>,
}

fn looked<'a>(ports: &Ports<'a>, fetched: &'a Fetched, open: &OpenRun) -> Stage<Looked<'a>> {
    let record = record(ports, &fetched.policy.policy);
    let intent = intent(ports, fetched, open)?;
    let policy = host_of(fetched, open)?;
    let alone = alone(&record, open)?;
    let host = (ports.host)(policy)?;
    let which = Which { name: &open.host, policy };
    unless(host::look(ports, fetched.checked.as_ref(), which, host.as_ref())?)?;
    Ok(Looked { record, intent, policy, host, alone })
}

/// Asks the host what became of a run, verifies what it did, and records the outcome.
///
/// # Errors
/// The host gave no answer, or the run cannot be ended this way; it stays open.
pub fn resume(ports: &Ports<'_>, fetched: &Fetched, open: OpenRun) -> Stage<Resumed> {
    let Looked { record, intent: (id, event), policy, host, alone: _alone } = looked(ports, fetched, &open)?;
    let (mut fate, ago) = ask(host.as_ref(), &result::RESULT, policy, &open)?;
    unwatched(ports, &record, &open, &fate, ago, &event)?;
    if fate == Fate::Never {
        undelivered(ports, &open)?;
        // From here on it cannot begin, whoever still tries; if it has begun meanwhile, the host says so.
        fate = ask(host.as_ref(), &result::TOMBSTONE, policy, &open)?.0;
    }
    let ended = match fate {
        Fate::Never | Fate::Begun => {
            return refuse(
                Code::Busy,
                format!("the host reports that run {} began and was killed: only a person can end it", open.run),
                format!("platformctl abandon {} --reason \"…\"", open.run),
            );
        }
        Fate::Running => {
            return refuse(Code::Busy, format!("run {} is still running", open.run), "wait, then resume again");
        }
        Fate::Ended { .. } | Fate::Tombstone | Fate::NotAnAnswer => {
            match result::verdict(fate, &policy.root, &open.run) {
                Ok(()) => verified(ports, fetched, policy, host.as_ref(), &event)?,
                Err(not_done) => Err(not_done),
            }
        }
    };
    let record = match outcome(record.draft(event.kind.outcome().unwrap_or(Kind::ApplyOutcome))?, id, &event, &ended) {
        Some(event) => Some(record.append_or_spool(&event)?),
        None => None,
    };
    let left = left(ports, fetched, policy, host, &event, ending(&ended));
    let (pr, changes) = (event.approved.as_ref().map(|approved| approved.pr), event.change_count());
    Ok(Resumed { open, pr, changes, ended, record, left })
}

/// What a release that is held left behind, where its content can still be read.
fn left(
    ports: &Ports<'_>,
    fetched: &Fetched,
    policy: &HostPolicy,
    host: Box<dyn Host>,
    event: &Event,
    ending: Ending,
) -> Option<Left> {
    let (module, approval) = event.module.as_ref().zip(event.approved.as_ref())?;
    let found = manifests::module(&Snapshot::lazy(ports.source, approval.tree), module).ok()??.ok()?;
    let name = event.host.as_ref()?;
    let target = Target { module: &found, before: None, name, host: policy, sacred: &fetched.policy.policy.sacred };
    Left::of(ending, target, host)
}

/// Looks at what an ended run left, against the content that its intent names.
fn verified(ports: &Ports<'_>, fetched: &Fetched, policy: &HostPolicy, host: &dyn Host, event: &Event) -> Stage<Ended> {
    let (Some(module), Some(name), Some(approval)) = (&event.module, &event.host, &event.approved) else {
        return refuse(Code::StateInvalid, "the intent names no module, host or approval", "platformctl verify");
    };
    let snapshot = Snapshot::lazy(ports.source, approval.tree);
    let Some(Ok(found)) = manifests::module(&snapshot, module)? else {
        return refuse(
            Code::ManifestInvalid,
            format!("{module} cannot be read in {}", approval.merge),
            "git fetch, then resume again",
        );
    };
    let target = Target { module: &found, before: None, name, host: policy, sacred: &fetched.policy.policy.sacred };
    let view = observe::look(host, target, ports.source, ports.clock)?;
    Ok(match view.seen.watch(target) {
        Ok(mut watch) => verify::watched(watch.as_mut(), host, ports.clock),
        Err(error) => Err(NotDone::failed(error)),
    })
}

/// Ends a run for good: first on its host, under the lock, then in the record. A run that has a result is resumed
/// instead.
///
/// # Errors
/// The host gave no answer: the run stays open.
pub fn abandon(ports: &Ports<'_>, fetched: &Fetched, open: OpenRun, reason: &str) -> Stage<Appended> {
    let Looked { record, intent: (id, _), policy, host, alone: _alone } = looked(ports, fetched, &open)?;
    match ask(host.as_ref(), &result::TOMBSTONE, policy, &open)?.0 {
        Fate::Tombstone => {}
        Fate::Ended { .. } => {
            return refuse(
                Code::Busy,
                format!("run {} has ended on its host", open.run),
                format!("platformctl resume {}", open.run),
            );
        }
        Fate::Running => {
            return refuse(Code::Busy, format!("run {} is still running", open.run), "wait, then try again");
        }
        Fate::Begun | Fate::Never | Fate::NotAnAnswer => {
            return refuse(
                Code::HostUnreachable,
                "the host's answer cannot be parsed; the run stays open",
                "inspect the host",
            );
        }
    }
    let mut event = record.draft(Kind::Takeover)?;
    event.run = Some(open.run);
    event.module = Some(open.module);
    event.host = Some(open.host);
    event.intent = Some(id);
    event.reason = Some(reason.to_owned());
    Ok(record.append_or_spool(&event)?)
}
