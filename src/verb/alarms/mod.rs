//! Alarms: tells people who are not here, by the channels of the policy in force. It comes after everything else of a
//! command, and what fails here is a warning.
//!
//! What lasts is told once, whoever sees it: a step in the record claims the telling, and another one says what became of
//! it. A claim that nobody answers is taken over after two minutes, so an alarm may be told twice and is never lost.

mod due;
mod local;
mod note;
mod standing;
mod teller;
mod what;
mod words;

use std::collections::BTreeMap;

use due::{Act, act};
use teller::Teller;

pub use local::{or_tell, tampered};
pub use standing::{Standing, standing};
pub use what::{Done, Ran, Unrecorded};

use crate::{
    ledger::state::State,
    model::{
        alarm::{Alarm, Condition},
        ids::Deployment,
        notify::Also,
    },
    port::{Answer, Ports, Step},
    verb::{
        fetch::{Fetched, newest_record},
        notices::Notice,
    },
};

/// What a command found out, beside what the record shows.
#[derive(Debug, Default)]
pub struct Seen<'a> {
    /// What waits for a person, at most one of a deployment; `None`: this command did not look.
    pub waiting: Option<&'a [Standing]>,
    /// Changes that ended well.
    pub applied: &'a [Done],
    /// Changes whose record is not on the remote.
    pub unrecorded: &'a [Unrecorded],
    /// The address of the comment under a pull request, if there is one.
    pub comment: Option<(u64, &'a str)>,
}

/// Tells people what stands now, what is over, and what this command did. Returns what they could not be told.
pub fn tell(ports: &Ports<'_>, fetched: &Fetched, seen: &Seen<'_>) -> Vec<Notice> {
    let policy = &fetched.policy.policy;
    if policy.notify.channels().is_empty() {
        return Vec::new();
    }
    let mut teller = Teller::new(ports, policy, seen.comment);
    if let Err(error) = everything(&mut teller, seen, &|_| true) {
        teller.warn(format!("people could not be told: {error}"));
    }
    teller.done()
}

/// The same for runs that a command carried out or ended: those whose record is missing, and those that ended well.
pub fn tell_of_runs(ports: &Ports<'_>, fetched: &Fetched, runs: impl IntoIterator<Item = Ran>) -> Vec<Notice> {
    let (applied, unrecorded) = sorted(runs);
    tell(ports, fetched, &Seen { applied: &applied, unrecorded: &unrecorded, ..Seen::default() })
}

/// Runs that ended well, and those whose record is missing.
pub fn sorted(runs: impl IntoIterator<Item = Ran>) -> (Vec<Done>, Vec<Unrecorded>) {
    let (mut applied, mut unrecorded) = (Vec::new(), Vec::new());
    for ran in runs {
        match ran {
            Ran::Done(done) => applied.push(done),
            Ran::Unrecorded(run) => unrecorded.push(run),
        }
    }
    (applied, unrecorded)
}

/// Tells at once that gates of a deployment are passed on purpose, while the change goes on. What people could not be told
/// is said here.
pub fn at_once(ports: &Ports<'_>, fetched: &Fetched, deployment: &Deployment) {
    let policy = &fetched.policy.policy;
    if policy.notify.channels().is_empty() {
        return;
    }
    let mut teller = Teller::new(ports, policy, None);
    let only = |(of, condition): &Key| of == deployment && *condition == Condition::BreakGlass;
    if let Err(error) = everything(&mut teller, &Seen::default(), &only) {
        teller.warn(format!("people could not be told: {error}"));
    }
    for notice in teller.done() {
        if let Notice::Words(words) = notice {
            (ports.tell)(Step::Warned(words));
        }
    }
}

/// One condition of one deployment.
type Key = (Deployment, Condition);

fn everything(teller: &mut Teller<'_>, seen: &Seen<'_>, only: &dyn Fn(&Key) -> bool) -> Answer<()> {
    let Some(checked) = newest_record(teller.ports)? else { return Ok(()) };
    teller.knows(&checked);
    for unrecorded in seen.unrecorded {
        local::unrecorded(teller, unrecorded)?;
    }
    let state = State::at(teller.ports.source, checked.id)?;
    // If an outcome could not be recorded just now, nothing else can be.
    if seen.unrecorded.is_empty() {
        alarms(teller, &state, seen, only)?;
        local::over(teller, &state)?;
    }
    if teller.policy.notify.tells(Also::Applied) {
        seen.applied.iter().for_each(|done| teller.applied(done));
    }
    Ok(())
}

/// Everything that the record has or that stands, in the order of the deployments.
fn alarms(teller: &mut Teller<'_>, state: &State<'_>, seen: &Seen<'_>, only: &dyn Fn(&Key) -> bool) -> Answer<()> {
    let mut stands: BTreeMap<Key, Standing> = BTreeMap::new();
    let found = standing(teller.ports.source, state, teller.now)?;
    let told = seen.waiting.into_iter().flatten().cloned();
    for one in found.into_iter().chain(told) {
        stands.insert((one.deployment.clone(), one.condition), one);
    }
    let mut known: BTreeMap<Key, Alarm> = BTreeMap::new();
    for file in state.all_alarms()? {
        let of = |(condition, alarm)| ((file.deployment.clone(), condition), alarm);
        known.extend(file.alarms.into_iter().map(of));
    }
    let channels: Vec<_> = teller.policy.notify.channels().iter().map(|channel| channel.kind()).collect();
    let keys: std::collections::BTreeSet<&Key> = stands.keys().chain(known.keys()).collect();
    for key in keys.into_iter().filter(|key| only(key)) {
        let (standing, alarm) = (stands.get(key), known.get(key));
        let due = match (standing, alarm) {
            (None, Some(alarm)) if !looked_for(state, key, alarm, seen)? => Act::Nothing,
            _ => act(standing, alarm, &channels, teller.now),
        };
        if due == Act::Nothing {
            continue;
        }
        if !teller.has_time() {
            teller.warn("not everybody was told everything; the next command goes on".to_owned());
            break;
        }
        let (deployment, condition) = key;
        match (due, standing, alarm) {
            (Act::Tell(news, channels), Some(standing), _) => teller.alarm(standing, alarm, news, &channels)?,
            (Act::TellOver(channels), _, Some(alarm)) if condition.has_end() => {
                let text = words::over(state, deployment, *condition, alarm)?;
                teller.over(deployment, *condition, alarm, &text, &channels)?;
            }
            (Act::TellOver(_) | Act::Drop, _, Some(alarm)) => teller.drop(deployment, *condition, alarm)?,
            (Act::Tell(..) | Act::TellOver(_) | Act::Drop | Act::Nothing, _, _) => {}
        }
    }
    Ok(())
}

/// Whether this command would know it if it still stood. What waits is over in any case where something was applied
/// since.
fn looked_for(state: &State<'_>, key: &Key, alarm: &Alarm, seen: &Seen<'_>) -> Answer<bool> {
    Ok(match key.1 {
        Condition::Waits if seen.waiting.is_none() => {
            let running = state.deployment(&key.0)?.and_then(|status| status.running);
            running.is_some_and(|running| running.seq > alarm.seq)
        }
        Condition::Waits
        | Condition::BreakGlass
        | Condition::Held
        | Condition::RolledBack
        | Condition::Drift
        | Condition::Unfinished
        | Condition::Unrecorded
        | Condition::Tampered => true,
    })
}
