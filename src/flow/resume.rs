//! Resume and abandon: what becomes of a run that nobody ended. Resume asks and records, and never changes a host.

use crate::{
    flow::{
        append::Appended,
        bound::{self, Target},
        close::{Ending, outcome, settled},
        content::Content,
        left::Left,
        observe::{self, Running},
        open, plan,
        refresh::{Fresh, World, record},
        repository,
        run::{self, NotRan},
        stage::{Stage, refuse},
        verify::{self, Expected, What},
    },
    ledger::{
        event::{Event, Kind},
        state::State,
    },
    model::{
        ids::{Oid, RunId},
        module::Driver,
        policy::HostPolicy,
        refusal::Code,
        status::OpenRun,
    },
    port::{Answer, Host, Input, PortError, Script},
    runtime::result::{self, Fate},
};

/// What became of an open run.
#[derive(Debug)]
pub struct Resumed {
    /// The run.
    pub open: OpenRun,
    /// How it ended.
    pub ending: Ending,
    /// Its outcome, unless it stays open.
    pub record: Option<Appended>,
    /// What a release that is held left behind.
    pub left: Option<Left>,
}

/// The open runs of the record, the oldest first.
///
/// # Errors
/// The record cannot be read.
pub fn open_runs(world: &World<'_>, fresh: &Fresh) -> Answer<Vec<OpenRun>> {
    match &fresh.checked {
        Some(checked) => State::at(world.source, checked.id)?.open_runs(),
        None => Ok(Vec::new()),
    }
}

/// Finds an open run.
///
/// # Errors
/// There is none of that id.
pub fn find(world: &World<'_>, fresh: &Fresh, run: &RunId) -> Stage<OpenRun> {
    match open_runs(world, fresh)?.into_iter().find(|open| open.run == *run) {
        Some(open) => Ok(open),
        None => refuse(Code::UnknownRun, format!("no open run {run}"), "platformctl status lists the open runs"),
    }
}

/// The intent that opened a run, and its event.
fn intent(world: &World<'_>, fresh: &Fresh, open: &OpenRun) -> Stage<(Oid, Event)> {
    let found = match &fresh.checked {
        Some(checked) => State::at(world.source, checked.id)?.intent_of(open)?,
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

fn ask(host: &dyn Host, script: &Script, policy: &HostPolicy, open: &OpenRun) -> Answer<Fate> {
    let args = [policy.root.to_string(), open::lock_of(open), open.run.to_string()];
    let reply = host.run(script, &args, Input::Nothing).map_err(PortError::harmless)?;
    Ok(result::fate(&open.run, &open.nonce, &reply.stdout))
}

fn host_of<'f>(fresh: &'f Fresh, open: &OpenRun) -> Stage<&'f HostPolicy> {
    match fresh.policy.policy.hosts.get(&open.host) {
        Some(policy) => Ok(policy),
        None => refuse(
            Code::UnknownHost,
            format!("platform.yaml on the base has no host `{}` any more", open.host),
            "merge a pull request that names it again, until the run is ended",
        ),
    }
}

/// Asks the host what became of a run, verifies what it did, and records the outcome.
///
/// # Errors
/// The host gave no answer, or the run cannot be ended this way; it stays open.
pub fn resume(world: &World<'_>, fresh: &Fresh, open: OpenRun) -> Stage<Resumed> {
    let record = record(world, &fresh.policy.policy);
    let (id, event) = intent(world, fresh, &open)?;
    let policy = host_of(fresh, &open)?;
    let host = (world.host)(policy)?;
    let fate = ask(host.as_ref(), &result::RESULT, policy, &open)?;
    let ending = match fate {
        Fate::Never | Fate::Begun => {
            let what = if fate == Fate::Never { "never began" } else { "began and was killed" };
            return refuse(
                Code::Busy,
                format!("the host says that run {} {what}: only a person can end it", open.run),
                format!("platformctl abandon {} --reason \"…\"", open.run),
            );
        }
        Fate::Running => {
            return refuse(Code::Busy, format!("run {} is still running", open.run), "wait, then resume again");
        }
        Fate::Ended { .. } | Fate::Tombstone | Fate::NotAnAnswer => match run::judge(fate, &policy.root, &open.run) {
            Ok(()) => verified(world, fresh, policy, host.as_ref(), &event)?,
            Err(NotRan::Untouched(error)) => Ending::Aborted(error),
            Err(NotRan::Failed(error)) => Ending::Failed(error),
            Err(NotRan::Unknown(error)) => Ending::Unknown(error),
        },
    };
    let record = match outcome(record.draft(Kind::ApplyOutcome)?, id, &event, &ending) {
        Some(event) => Some(record.append_or_spool(&event)?),
        None => None,
    };
    let left = left(world, fresh, policy, host, &event, &ending);
    Ok(Resumed { open, ending, record, left })
}

/// What a release that is held left behind, where its content can still be read.
fn left(
    world: &World<'_>,
    fresh: &Fresh,
    policy: &HostPolicy,
    host: Box<dyn Host>,
    event: &Event,
    ending: &Ending,
) -> Option<Left> {
    let (module, approval) = event.module.as_ref().zip(event.approved.as_ref())?;
    let found = repository::module(&Content::lazy(world.source, approval.tree), module).ok()??.ok()?;
    let target = Target { module: &found, before: None, host: policy, sacred: &fresh.policy.policy.sacred };
    Left::of(ending, target, host)
}

/// Looks at what an ended run left, against the content that its intent names.
fn verified(world: &World<'_>, fresh: &Fresh, policy: &HostPolicy, host: &dyn Host, event: &Event) -> Stage<Ending> {
    let (Some(module), Some(approval)) = (&event.module, &event.approved) else {
        return refuse(Code::StateInvalid, "the intent names no module or approval", "platformctl verify");
    };
    let content = Content::lazy(world.source, approval.tree);
    let Some(Ok(found)) = repository::module(&content, module)? else {
        return refuse(
            Code::ManifestInvalid,
            format!("{module} cannot be read in {}", approval.merge),
            "git fetch, then resume again",
        );
    };
    let target = Target { module: &found, before: None, host: policy, sacred: &fresh.policy.policy.sacred };
    let expected = match found.manifest.runtime.driver {
        Driver::Files => {
            let files = bound::release_listing(&found.manifest, &found.closure);
            return Ok(settled(verify::verify(&Expected { target, what: What::Files(&files) }, host, world.clock)));
        }
        Driver::Compose => {
            let seen = observe::observe(host, target, world.source, world.clock)?;
            match &seen.running {
                Running::Compose(compose) => plan::expected(&found.manifest.jobs, compose),
                Running::Files(_) => Vec::new(),
            }
        }
    };
    if expected.len() != found.rendering.services.len() {
        let error = PortError::new(
            Code::HostFailed,
            "the release cannot be rendered on the host any more as it was applied",
            "look at the secrets and images on the host, then apply again",
        );
        return Ok(Ending::Failed(error));
    }
    Ok(settled(verify::verify(&Expected { target, what: What::Compose(&expected) }, host, world.clock)))
}

/// Ends a run for good: first on its host, under the lock, then in the record. A run that has a result is resumed instead.
///
/// # Errors
/// The host gave no answer: the run stays open.
pub fn abandon(world: &World<'_>, fresh: &Fresh, open: OpenRun, reason: &str) -> Stage<Appended> {
    let record = record(world, &fresh.policy.policy);
    let (id, _) = intent(world, fresh, &open)?;
    let policy = host_of(fresh, &open)?;
    let host = (world.host)(policy)?;
    match ask(host.as_ref(), &result::TOMBSTONE, policy, &open)? {
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
                "the host's answer makes no sense; the run stays open",
                "look at the host by hand",
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
