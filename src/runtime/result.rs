//! What became of a run, as the host keeps it in `<root>/runs/<run>/result.json`.

use serde::Deserialize;

use crate::{model::ids::RunId, port::Script};

/// Asks what became of a run.
pub const RESULT: Script =
    Script { name: "run-result", text: include_str!("scripts/run-result.sh"), mutates: false, deadline_s: 30 };

/// Makes sure that a run can never change anything again.
pub const TOMBSTONE: Script =
    Script { name: "run-tombstone", text: include_str!("scripts/run-tombstone.sh"), mutates: true, deadline_s: 60 };

/// What the host says of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It ended: exit code 0 and the step `done`, or the step that failed.
    Ended {
        /// 0 if everything was done.
        rc: i64,
        /// The last step: `done`, or what failed.
        step: String,
    },
    /// It holds its lock and goes on.
    Running,
    /// It began, holds no lock and left no result: it was killed.
    Begun,
    /// The host never saw it.
    Never,
    /// A person ended it for good.
    Tombstone,
    /// The answer is not one, or carries another run's nonce: it says nothing.
    NotAnAnswer,
}

#[derive(Deserialize)]
struct Written {
    run: String,
    nonce: String,
    rc: i64,
    step: String,
}

/// Steps that a script of ours may name; anything else is not its answer.
const STEPS: &[&str] = &[
    "done",
    "lock",
    "tombstone",
    "counter",
    "fence",
    "expected",
    "witness",
    "link",
    "switch",
    "activate",
    "orders",
    "render",
    "up",
    "remove",
];

/// How many seconds ago the run ended, where the host says so.
pub fn ended_s_ago(stdout: &[u8]) -> Option<u64> {
    let line = stdout.strip_prefix(b"age ")?.split(|b| *b == b'\n').next()?;
    // A host whose clock was set back has results from the future: they ended just now.
    std::str::from_utf8(line).ok()?.parse::<i64>().ok().map(|seconds| u64::try_from(seconds).unwrap_or(0))
}

/// Reads the answer about `run`. Somebody else's nonce is no answer.
pub fn fate(run: &RunId, nonce: &str, stdout: &[u8]) -> Fate {
    let stdout = match stdout.strip_prefix(b"age ").and_then(|rest| rest.iter().position(|b| *b == b'\n')) {
        Some(at) => stdout.get("age ".len() + at + 1..).unwrap_or_default(),
        None => stdout,
    };
    match stdout.trim_ascii() {
        b"running" => return Fate::Running,
        b"begun" | b"unfinished" | b"again" => return Fate::Begun,
        b"never" => return Fate::Never,
        b"tombstone" => return Fate::Tombstone,
        _ => {}
    }
    match serde_json::from_slice::<Written>(stdout) {
        Ok(w) if w.run == run.as_str() && w.nonce == nonce && STEPS.contains(&w.step.as_str()) => {
            Fate::Ended { rc: w.rc, step: w.step }
        }
        _ => Fate::NotAnAnswer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn result_with_another_nonce_is_refused() {
        let run: RunId = "20261122T101530Z-1a2b3c4d".parse().unwrap();
        let line = br#"{"run":"20261122T101530Z-1a2b3c4d","nonce":"n","rc":0,"step":"done","release":"x"}"#;
        assert_eq!(fate(&run, "n", line), Fate::Ended { rc: 0, step: "done".into() });
        assert_eq!(fate(&run, "m", line), Fate::NotAnAnswer);
        let aged = [b"age 12\n", line.as_slice()].concat();
        assert_eq!(fate(&run, "n", &aged), Fate::Ended { rc: 0, step: "done".into() });
        assert_eq!((ended_s_ago(&aged), ended_s_ago(line), ended_s_ago(b"age -3\n{}")), (Some(12), None, Some(0)));
        assert_eq!(fate(&run, "n", b"\x1b[2J"), Fate::NotAnAnswer);
        assert_eq!(fate(&run, "n", b"never\n"), Fate::Never);
    }

    proptest! {
        #[test]
        fn arbitrary_answers_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let run: RunId = "20261122T101530Z-1a2b3c4d".parse().unwrap();
            let ended = matches!(fate(&run, "n", &bytes), Fate::Ended { .. });
            prop_assert!(!ended);
        }
    }
}
