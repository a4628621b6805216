//! Standing: whether a host is the one it should be, and the record and the clocks are where they should be. Compared
//! before anything is recorded, by every verb that asks a host.

use serde_json::{Value, json};

use crate::{
    flow::observe::clocks::Clocks,
    model::{
        ids::{HostName, Oid},
        path::HostPath,
        policy::HostPolicy,
        refusal::{Code, Refusal},
        text::shown,
        time::Timestamp,
    },
    runtime::machine::Machine,
};

/// Clocks that are further apart than this are wrong, in seconds.
pub const SKEW_MAX_S: i64 = 300;

/// What is known of the record.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The first record, if there is one.
    pub genesis: Option<Oid>,
    /// The place of the newest verified record, if there is one.
    pub seq: Option<u64>,
    /// Its time.
    pub newest: Option<Timestamp>,
    /// The record at the seq of the host's witness, if the host has one and the chain reaches it.
    pub at_witness: Option<Oid>,
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
pub fn machine(which: Which<'_>, machine: &Machine) -> Option<Refusal> {
    let wanted = &which.policy.machine_id;
    let seen = machine.machine_id.as_deref();
    (!wanted.is_empty() && seen != Some(wanted.as_str())).then(|| {
        Refusal::new(
            Code::HostUnreachable,
            format!(
                "another machine answers as {}: its machine_id is {}, platform.yaml has {}",
                which.name,
                seen.unwrap_or("not there"),
                shown(wanted)
            ),
            "find out which machine answers; if it was replaced, merge its new machine_id",
        )
    })
}

/// The host has seen a record that this clone's record does not contain, or its witness cannot be read.
pub fn witness(which: Which<'_>, machine: &Machine, known: &Known) -> Option<Refusal> {
    if machine.witness_is_garbage {
        return Some(garbage(which.name, &which.policy.root));
    }
    let seen = machine.witness.as_ref()?;
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
            "find out who rewrote refs/platform/state; `platformctl help recovery` explains what to do",
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
            "check that `platformctl verify` reports the same in every clone; then on {host}: mv {root}/witness.json {root}/witness.json.old"
        ),
    )
}

/// What the clocks show, for the gate's list.
pub fn clock_evidence(clocks: &Clocks, known: &Known) -> Value {
    json!({"apart_s": clocks.apart_s, "newest_record": known.newest})
}

/// Our clock and the host's are more than five minutes apart: both times, and whose seems to be wrong. The newest
/// record is a third witness; alone it blocks nothing.
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
    let fact = format!("the clock of this machine shows {ours}, the clock of {host} shows {theirs}; {whose}");
    Some(Refusal::new(Code::ClockSkew, fact, fix))
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
        let both =
            "the clock of this machine shows 2026-09-21T14:13:20Z, the clock of box shows 2026-09-21T15:13:20Z; ";
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
