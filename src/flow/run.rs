//! Run: the host is told to change, once.

use crate::{
    flow::{
        observe::{self, Compose, Running},
        open::{self, Intent},
        ship::Shipped,
    },
    model::{digest::Digest, ids::RunId, path::HostPath, plan::Action, refusal::Code, shell},
    port::{Host, Input, Member, NotDone, PortError},
    runtime::{
        compose,
        files::{self, Live},
        result::{self, Fate},
    },
};

/// A release that was activated, by the host's own word.
#[derive(Debug)]
#[must_use]
pub struct Ran<'a> {
    pub(crate) shipped: Shipped<'a>,
}

/// Activates a release.
///
/// # Errors
/// See [`NotDone`]; an answer that did not come is asked for again before it is called unknown.
pub fn run<'a>(shipped: Shipped<'a>, host: &dyn Host) -> Result<Ran<'a>, NotDone> {
    let intent = shipped.intent;
    let plan = &intent.permit.plan;
    let answer = match &plan.observed.running {
        Running::Files(live) => host.run(&files::RUN, &switch(intent, live), Input::Nothing),
        Running::Compose(compose) => {
            let (args, members) = orders(intent, compose);
            host.run(&compose::RUN, &args, Input::Tar(&mut members.into_iter().map(Ok)))
        }
    };
    let fate = match answer {
        Ok(reply) => result::fate(&intent.run, &intent.nonce, &reply.stdout),
        Err(error) if error.code == Code::HostUnreachable => return Err(NotDone::aborted(error)),
        Err(error) => look_again(&shipped, host, error)?,
    };
    judge(fate, &plan.bound.host.root, &intent.run).map(|()| Ran { shipped })
}

/// ROOT MODULE SCOPE RUN NONCE FENCE RELEASE: the first arguments of every script that changes something.
fn head(intent: &Intent) -> Vec<String> {
    let plan = &intent.permit.plan;
    vec![
        plan.bound.host.root.to_string(),
        plan.intention.module.to_string(),
        open::lock(&plan.bound.module.manifest),
        intent.run.to_string(),
        intent.nonce.clone(),
        intent.seq.to_string(),
        plan.intention.closure.hex(),
    ]
}

/// The arguments by which driver files switches.
fn switch(intent: &Intent, live: &Live) -> Vec<String> {
    let expected = match live {
        Live::Release { name, .. } => name.clone(),
        Live::None => "none".to_owned(),
        Live::Foreign => "foreign".to_owned(),
    };
    let mut args = head(intent);
    args.extend([expected, intent.witness.clone(), intent.genesis.to_string()]);
    let activate = &intent.permit.plan.bound.module.manifest.runtime.activate;
    args.extend(activate.iter().map(|argv| shell::quoted(argv)));
    args
}

/// The arguments and files by which driver compose changes: how to render, what must come out of it, and what is to be done.
fn orders(intent: &Intent, compose: &Compose) -> (Vec<String>, Vec<Member>) {
    let plan = &intent.permit.plan;
    let target = plan.bound.target();
    let mut members = observe::orders(target);
    if let Some((overlay, looked)) = &compose.seen {
        let changed = plan.intention.changes.iter().filter(|change| change.action != Action::Remove);
        // A folder of data that is not there yet is made where its name says.
        let root = looked.sacred.last().cloned().flatten();
        let data = format!("{}/data/", plan.bound.host.root);
        let made = |path: &String| Some(format!("{}/data/{}", root.as_ref()?, path.strip_prefix(&data)?));
        let reals = compose.binds.iter().zip(&looked.reals);
        let reals = reals.filter_map(|(path, real)| Some(format!("{}\n{path}", real.clone().or_else(|| made(path))?)));
        members.extend([
            Member { path: "p/override.json".to_owned(), mode: 0o600, bytes: overlay.bytes.clone() },
            compose::text("p/salt", format!("{}\n", compose.salt)),
            compose::text("p/final", format!("{}\n", looked.final_)),
            compose::lines("p/changed", changed.map(|change| &change.service)),
            compose::lines("p/anew", &plan.anew),
            compose::lines("p/remove", &plan.remove),
            compose::lines("p/reals", reals),
        ]);
    }
    members.push(compose::text("p/genesis", format!("{}\n", intent.genesis)));
    members.push(compose::text("p/witness", format!("{}\n", intent.witness)));
    members.push(compose::library());
    // As `sha256sum` lists them: the host checks that it has all of them, whole.
    let line = |member: &Member| {
        let name = member.path.strip_prefix("p/").unwrap_or(&member.path);
        format!("{}  {name}\n", Digest::of(&member.bytes).hex())
    };
    let listing: String = members.iter().map(line).collect();
    let digest = Digest::of(listing.as_bytes()).hex();
    members.push(compose::text("p/orders", listing));
    let mut args = head(intent);
    args.extend(compose::args(&plan.bound.module.manifest, &plan.bound.host, "").split_off(3));
    args.push(digest);
    (args, members)
}

/// After an answer that did not come: looks, and where the host never began, makes sure that it never will.
fn look_again(shipped: &Shipped<'_>, host: &dyn Host, lost: PortError) -> Result<Fate, NotDone> {
    let intent = shipped.intent;
    let plan = &intent.permit.plan;
    let lock = open::lock(&plan.bound.module.manifest);
    let args = [plan.bound.host.root.to_string(), lock, intent.run.to_string()];
    let ask = |script| host.run(script, &args, Input::Nothing);
    let fate = |stdout: &[u8]| result::fate(&intent.run, &intent.nonce, stdout);
    match ask(&result::RESULT).map(|reply| fate(&reply.stdout)) {
        Ok(Fate::Never) => match ask(&result::TOMBSTONE).map(|reply| fate(&reply.stdout)) {
            Ok(fate @ (Fate::Tombstone | Fate::Ended { .. })) => Ok(fate),
            Ok(Fate::Running | Fate::Begun | Fate::Never | Fate::NotAnAnswer) | Err(_) => Err(NotDone::unknown(lost)),
        },
        Ok(fate @ (Fate::Ended { .. } | Fate::Tombstone)) => Ok(fate),
        Ok(Fate::Running | Fate::Begun | Fate::NotAnAnswer) | Err(_) => Err(NotDone::unknown(lost)),
    }
}

/// What the host's word means: every step before the switch leaves what runs as it was. The run's folder is below `root`.
pub fn judge(fate: Fate, root: &HostPath, run: &RunId) -> Result<(), NotDone> {
    let error = |code, what: &str, fix: &str| PortError::new(code, what, fix);
    let dir = format!("{root}/runs/{run}");
    match fate {
        Fate::Ended { rc: 0, step } if step == "done" => Ok(()),
        Fate::Ended { step, .. } => match step.as_str() {
            "activate" => Err(NotDone::failed(error(
                Code::HostFailed,
                "the release is live, but an activation command failed",
                &format!("look at {dir}/log on the host, then merge a fix"),
            ))),
            "expected" => Err(NotDone::aborted(error(
                Code::PlanStale,
                "something on the host is not what it was when the plan was made",
                "run the same command again",
            ))),
            "lock" => Err(NotDone::aborted(error(
                Code::Busy,
                "another run holds the host's lock",
                "wait for it, then run the same command again",
            ))),
            "fence" => Err(NotDone::aborted(error(
                Code::StateRewound,
                "the host has already carried out a newer run of this module, or of another one of its compose project",
                "fetch the record and look: platformctl state fetch; platformctl log",
            ))),
            "counter" => Err(NotDone::aborted(error(
                Code::HostUnfit,
                "the number of the newest run that the host keeps for this project or module cannot be read",
                &format!("on the host, look at it and move it away: ls -l {root}/locks/*.fence"),
            ))),
            "tombstone" => Err(NotDone::aborted(error(
                Code::Interrupted,
                "a person ended this run before it began",
                "run the same command again if it is still wanted",
            ))),
            "up" | "remove" => Err(NotDone::failed(error(
                Code::HostFailed,
                "Compose could not make the change; it may be half done",
                &format!("look at {dir}/up on the host (a port that is taken?), then merge a fix"),
            ))),
            "render" | "orders" => Err(NotDone::aborted(error(
                Code::DeliveryFailed,
                "the host could not render the release again; what runs is as it was",
                "look for a full disk, then run the same command again",
            ))),
            _ => Err(NotDone::aborted(error(
                Code::DeliveryFailed,
                "the host could not switch to the release; what was live is live",
                "look for a full disk and at the rights of the root folder",
            ))),
        },
        Fate::Tombstone => Err(NotDone::aborted(error(
            Code::HostUnreachable,
            "the link was lost before the host began; it was told never to begin this run",
            "run the same command again",
        ))),
        Fate::Running | Fate::Begun | Fate::Never | Fate::NotAnAnswer => Err(NotDone::unknown(error(
            Code::LinkLost,
            "the host gave no result for the run",
            "run `platformctl resume`: it asks the host how the run ended",
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ending::Ending;

    #[test]
    fn only_a_completed_step_counts_as_done() {
        let judge = |fate| judge(fate, &"/srv/p".parse().unwrap(), &"20261122T101530Z-1a2b3c4d".parse().unwrap());
        let ending = |judged: Result<(), NotDone>| judged.unwrap_err().ending();
        let ended = |rc, step: &str| judge(Fate::Ended { rc, step: step.into() });
        assert!(ended(0, "done").is_ok());
        assert_eq!(ending(ended(1, "done")), Ending::Aborted);
        assert_eq!(ending(ended(0, "activate")), Ending::Failed);
        assert_eq!(ending(ended(1, "switch")), Ending::Aborted);
        let failed = ended(1, "up").unwrap_err();
        let fix = &failed.error().fix;
        assert_eq!(failed.ending(), Ending::Failed);
        assert!(fix.contains("/srv/p/runs/20261122T101530Z-1a2b3c4d/up"), "a path to paste: {fix}");
        assert_eq!(ending(judge(Fate::Running)), Ending::Unknown);
        assert_eq!(ending(judge(Fate::NotAnAnswer)), Ending::Unknown);
    }
}
