//! Standing: whether a host is the one it should be, and the record and the clocks are where they should be. Compared before anything is
//! recorded, by every verb that asks a host.

use serde_json::{Value, json};

use crate::{
    flow::refresh::World,
    ledger::{chain::Checked, recover},
    model::{
        ids::{HostName, Oid},
        path::HostPath,
        policy::HostPolicy,
        refusal::{Code, Refusal},
        text::shown,
        time::Timestamp,
    },
    port::{Answer, Clock, Host, Input, PortError},
    runtime::ground::{self, Ground, Witness},
};

/// Clocks that are further apart than this are wrong, in seconds.
pub const SKEW_MAX_S: i64 = 300;

/// Ours and a host's clock, as one answer showed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Ours, when the answer was there.
    pub ours: Timestamp,
    /// The host's, somewhere between question and answer.
    pub theirs: Timestamp,
    /// How many seconds the host's is ahead, as far as that does not come from the time that the answer took.
    pub apart_s: i64,
}

impl Clocks {
    /// Asks, and notes how long it took.
    ///
    /// # Errors
    /// As the question.
    pub fn around<T>(clock: &dyn Clock, ask: impl FnOnce() -> Answer<T>) -> Answer<(T, Asked)> {
        let begun = clock.ticks_ms();
        let answer = ask()?;
        let took_ms = clock.ticks_ms().saturating_sub(begun);
        let took_s = i64::try_from(took_ms.div_ceil(1000)).unwrap_or(i64::MAX);
        Ok((answer, Asked { ours: clock.now(), took_s }))
    }
}

/// When an answer was there, and how long it took.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    ours: Timestamp,
    took_s: i64,
}

impl Asked {
    /// Compares with what the host's clock said in that answer.
    pub fn compared(self, clock: &dyn Clock, ground: &Ground) -> Clocks {
        let theirs = clock.heard(ground.now_s);
        // Whole seconds: each of the two may have just begun its own.
        let earliest = self.ours.plus_s(self.took_s.saturating_add(1).saturating_neg());
        let nearest = theirs.clamp(earliest, self.ours.plus_s(1));
        Clocks { ours: self.ours, theirs, apart_s: theirs.unix_s() - nearest.unix_s() }
    }
}

/// What is known of the record.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The first record, if there is one.
    pub genesis: Option<Oid>,
    /// The place of the newest verified record, if there is one.
    pub seq: Option<u64>,
    /// Its time.
    pub newest: Option<Timestamp>,
    /// The record at the host's witness' seq, where the host has one and the chain reaches it.
    pub at_witness: Option<Oid>,
}

/// What is known of the record for a look at a host.
///
/// # Errors
/// The record cannot be read.
pub fn known(world: &World<'_>, checked: Option<&Checked>, witness: Option<&Witness>) -> Answer<Known> {
    let at_witness = match (witness, checked) {
        (Some(witness), Some(checked)) => {
            let seen = witness.commit;
            let contained = world.source.has(seen)? && recover::contains(world.source, checked.id, seen)?;
            // Contained in the record: it is the one at its seq. Else the record has another there, or none.
            contained.then_some(seen).or((checked.event.seq >= witness.seq).then_some(checked.id))
        }
        (Some(_) | None, _) => None,
    };
    Ok(Known {
        genesis: checked.map(|checked| checked.genesis),
        seq: checked.map(|checked| checked.event.seq),
        newest: checked.map(|checked| checked.event.time),
        at_witness,
    })
}

/// A host, by its name and its entry in the policy.
#[derive(Debug, Clone, Copy)]
pub struct Which<'a> {
    /// Its name.
    pub name: &'a HostName,
    /// Its entry.
    pub policy: &'a HostPolicy,
}

/// Another machine answers than the one that the policy names.
pub fn machine(which: Which<'_>, ground: &Ground) -> Option<Refusal> {
    let wanted = &which.policy.machine_id;
    let seen = ground.machine_id.as_deref();
    (!wanted.is_empty() && seen != Some(wanted.as_str())).then(|| {
        Refusal::new(
            Code::HostUnreachable,
            format!(
                "another machine answers as {}: machine_id is {}, platform.yaml says {}",
                which.name,
                seen.unwrap_or("not there"),
                shown(wanted)
            ),
            "find out which machine answers; if it was replaced, merge its new machine_id",
        )
    })
}

/// The host was shown a record that the record here does not contain, or something that nobody can read.
pub fn witness(which: Which<'_>, ground: &Ground, known: &Known) -> Option<Refusal> {
    if ground.witness_is_garbage {
        return Some(garbage(which.name, &which.policy.root));
    }
    let seen = ground.witness.as_ref()?;
    let forked = known.genesis.is_some_and(|genesis| genesis != seen.genesis)
        || known.at_witness.is_some_and(|commit| commit != seen.commit);
    let behind = known.seq.is_none_or(|seq| seq < seen.seq);
    let code = if forked { Code::StateForked } else { Code::StateRewound };
    (forked || behind).then(|| {
        Refusal::new(
            code,
            format!(
                "{} was shown record {} (seq {}), which the record here does not contain",
                which.name, seen.commit, seen.seq
            ),
            "find out who rewrote refs/platform/state; `platformctl help recovery` says how to go on",
        )
    })
}

fn garbage(host: &HostName, root: &HostPath) -> Refusal {
    Refusal::new(
        Code::HostUnfit,
        format!(
            "{root}/witness.json on {host} is not what platformctl writes, so a rewound record could not be noticed"
        ),
        format!(
            "see that `platformctl verify` says the same in every clone; then on {host}: mv {root}/witness.json {root}/witness.json.old"
        ),
    )
}

/// What the clocks show, for the gate's list.
pub fn clock_evidence(clocks: &Clocks, known: &Known) -> Value {
    json!({"apart_s": clocks.apart_s, "newest_record": known.newest})
}

/// Our clock and the host's are more than five minutes apart: both times, and whose seems to be wrong. The newest record is a third
/// witness; alone it stops nobody.
pub fn clock(host: &HostName, clocks: &Clocks, known: &Known) -> Option<Refusal> {
    if clocks.apart_s.abs() <= SKEW_MAX_S {
        return None;
    }
    let Clocks { ours, theirs, .. } = *clocks;
    let behind = |time: Timestamp| known.newest.is_some_and(|newest| newest > time.plus_s(SKEW_MAX_S));
    let set = "timedatectl set-ntp true";
    let (whose, fix) = match (behind(ours), behind(theirs)) {
        (true, false) => {
            ("this machine's clock seems to be behind: the newest record is later", format!("here: {set}"))
        }
        (false, true) => {
            ("the host's clock seems to be behind: the newest record is later", format!("on {host}: {set}"))
        }
        (true, true) | (false, false) => (
            "one of them is wrong",
            format!("compare both with another clock (date -u), then where it is wrong: {set}"),
        ),
    };
    let fact = format!("the clock of this machine says {ours}, the one of {host} says {theirs}; {whose}");
    Some(Refusal::new(Code::ClockSkew, fact, fix))
}

/// A look at a host before something about one of its runs is recorded.
///
/// # Errors
/// The host gave no answer. Reasons not to record are data.
pub fn look(world: &World<'_>, checked: Option<&Checked>, which: Which<'_>, host: &dyn Host) -> Answer<Vec<Refusal>> {
    let args = [which.policy.root.to_string()];
    let (reply, asked) =
        Clocks::around(world.clock, || host.run(&ground::LOOK, &args, Input::Nothing)).map_err(PortError::harmless)?;
    let seen = ground::parse(&reply.stdout).map_err(|error| {
        let what = "the host's answer to ground makes no sense";
        PortError::new(Code::HostUnreachable, what, "look at the host by hand; nothing was changed").because(error)
    })?;
    let known = known(world, checked, seen.witness.as_ref())?;
    let clocks = asked.compared(world.clock, &seen);
    let found = [machine(which, &seen), witness(which, &seen, &known), clock(which.name, &clocks, &known)];
    Ok(found.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(s: i64) -> Timestamp {
        Timestamp::from_unix_s(1_790_000_000 + s)
    }

    #[test]
    fn the_newest_record_tells_whose_clock_is_wrong() {
        let host: HostName = "box".parse().unwrap();
        let said = |ours: i64, theirs: i64, newest: Option<i64>| {
            let clocks = Clocks { ours: time(ours), theirs: time(theirs), apart_s: theirs - ours };
            let known = Known { newest: newest.map(time), ..Known::default() };
            clock(&host, &clocks, &known).map(|refusal| refusal.fact)
        };
        assert_eq!(said(0, 300, None), None);
        assert_eq!(said(0, 0, Some(90_000)), None, "a record from the future alone stops nobody");
        let both = "the clock of this machine says 2026-09-21T14:13:20Z, the one of box says 2026-09-21T15:13:20Z; ";
        assert_eq!(said(0, 3600, None).unwrap(), format!("{both}one of them is wrong"));
        let ours = "this machine's clock seems to be behind: the newest record is later";
        assert_eq!(said(0, 3600, Some(3500)).unwrap(), format!("{both}{ours}"));
        assert!(
            said(0, -3600, Some(-10))
                .unwrap()
                .ends_with("the host's clock seems to be behind: the newest record is later")
        );
        assert!(said(0, 3600, Some(90_000)).unwrap().ends_with("one of them is wrong"));
    }
}
