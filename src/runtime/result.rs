//! What became of a run, as the host keeps it in `<root>/runs/<run>/result.json`.

use serde::Deserialize;

use crate::{
    model::{ids::RunId, path::HostPath, refusal::Code},
    port::{NotDone, PortError, Script},
    runtime::script::scripts,
};

/// Asks what became of a run.
pub const RESULT: Script =
    Script { name: "run-result", text: scripts!("protocol", "run-result"), mutates: false, deadline_s: 30 };

/// Makes sure that a run can never change anything again.
pub const TOMBSTONE: Script =
    Script { name: "run-tombstone", text: scripts!("protocol", "run-tombstone"), mutates: true, deadline_s: 60 };

/// What the host reports about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It ended: exit code 0 and the step `done`, or the step that failed.
    Ended {
        /// 0 if everything was done.
        rc: i64,
        /// The last step: [`Step::Done`], or what failed.
        step: Step,
    },
    /// It has its lock and is still running.
    Running,
    /// It began, has no lock and left no result: it was killed.
    Begun,
    /// The host never saw it.
    Never,
    /// A person ended it for good.
    Tombstone,
    /// The answer cannot be parsed, or has another run's nonce: it proves nothing.
    NotAnAnswer,
}

#[derive(Deserialize)]
struct Written {
    run: String,
    nonce: String,
    rc: i64,
    step: Step,
}

/// A step of a script that changes something, as its result names it. A result with another word was not written by our
/// scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Everything was done.
    Done,
    /// The lock is taken.
    Lock,
    /// The file of the lock is opened.
    Lockfile,
    /// A tombstone of the run is looked for.
    Tombstone,
    /// The number of the newest run is read.
    Counter,
    /// The fencing numbers are compared.
    Fence,
    /// What the plan depends on is compared.
    Expected,
    /// The witness is written.
    Witness,
    /// The link is made.
    Link,
    /// The link is switched.
    Switch,
    /// Activation commands run.
    Activate,
    /// The orders are read.
    Orders,
    /// Compose renders the model again.
    Render,
    /// Compose changes services.
    Up,
    /// Containers are removed.
    Remove,
}

/// How many seconds ago the run ended, if the host reports it.
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
        Ok(w) if w.run == run.as_str() && w.nonce == nonce => Fate::Ended { rc: w.rc, step: w.step },
        Ok(_) | Err(_) => Fate::NotAnAnswer,
    }
}

/// What became of what runs: every step before the switch leaves it as it was. The run's folder is below `root`.
///
/// # Errors
/// See [`NotDone`].
pub fn verdict(fate: Fate, root: &HostPath, run: &RunId) -> Result<(), NotDone> {
    let error = |code, what: &str, fix: &str| PortError::new(code, what, fix);
    let dir = format!("{root}/runs/{run}");
    match fate {
        Fate::Ended { rc: 0, step: Step::Done } => Ok(()),
        Fate::Ended { step, .. } => match step {
            Step::Activate => Err(NotDone::failed(error(
                Code::HostFailed,
                "the release is live, but an activation command failed",
                &format!("look at {dir}/log on the host, then merge a fix"),
            ))),
            Step::Expected => Err(NotDone::aborted(error(
                Code::PlanStale,
                "something on the host is not what it was when the plan was made",
                "run the same command again",
            ))),
            Step::Lock => Err(NotDone::aborted(error(
                Code::Busy,
                "another run has the host's lock",
                "wait for it, then run the same command again",
            ))),
            Step::Fence => Err(NotDone::aborted(error(
                Code::StateRewound,
                "the host has already carried out a newer run of this module, or of another one of its compose project",
                "fetch the record and look: platformctl state fetch; platformctl log",
            ))),
            Step::Counter => Err(NotDone::aborted(error(
                Code::HostUnfit,
                "the number of the newest run that the host keeps for this project or module cannot be read",
                &format!("on the host, look at it and move it away: ls -l {root}/locks/*.fence"),
            ))),
            Step::Tombstone => Err(NotDone::aborted(error(
                Code::Interrupted,
                "a person ended this run before it began",
                "run the same command again if it is still wanted",
            ))),
            Step::Up | Step::Remove => Err(NotDone::failed(error(
                Code::HostFailed,
                "Compose could not make the change; it may be half done",
                &format!("look at {dir}/up on the host (a port that is taken?), then merge a fix"),
            ))),
            Step::Render | Step::Orders => Err(NotDone::aborted(error(
                Code::DeliveryFailed,
                "the host could not render the release again; what runs is as it was",
                "look for a full disk, then run the same command again",
            ))),
            Step::Done | Step::Lockfile | Step::Witness | Step::Link | Step::Switch => Err(NotDone::aborted(error(
                Code::DeliveryFailed,
                "the host could not switch to the release; what was live is live",
                "look for a full disk and at the rights of the root folder",
            ))),
        },
        Fate::Tombstone => Err(NotDone::aborted(error(
            Code::HostUnreachable,
            "the connection was lost before the host began; the host will never begin this run",
            "run the same command again",
        ))),
        Fate::Running | Fate::Begun | Fate::Never | Fate::NotAnAnswer => Err(NotDone::unknown(error(
            Code::LinkLost,
            "the host reported no result for the run",
            "run `platformctl resume`: it asks the host how the run ended",
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ending::Ending;

    #[test]
    fn result_with_another_nonce_is_refused() {
        let run: RunId = "20261122T101530Z-1a2b3c4d".parse().unwrap();
        let line = br#"{"run":"20261122T101530Z-1a2b3c4d","nonce":"n","rc":0,"step":"done","release":"x"}"#;
        assert_eq!(fate(&run, "n", line), Fate::Ended { rc: 0, step: Step::Done });
        assert_eq!(fate(&run, "m", line), Fate::NotAnAnswer);
        let aged = [b"age 12\n", line.as_slice()].concat();
        assert_eq!(fate(&run, "n", &aged), Fate::Ended { rc: 0, step: Step::Done });
        assert_eq!((ended_s_ago(&aged), ended_s_ago(line), ended_s_ago(b"age -3\n{}")), (Some(12), None, Some(0)));
        assert_eq!(fate(&run, "n", b"\x1b[2J"), Fate::NotAnAnswer);
        assert_eq!(fate(&run, "n", b"never\n"), Fate::Never);
    }

    #[test]
    fn only_a_completed_step_counts_as_done() {
        let judge = |fate| verdict(fate, &"/srv/p".parse().unwrap(), &"20261122T101530Z-1a2b3c4d".parse().unwrap());
        let ending = |judged: Result<(), NotDone>| judged.unwrap_err().ending();
        let ended = |rc, step| judge(Fate::Ended { rc, step });
        assert!(ended(0, Step::Done).is_ok());
        assert_eq!(ending(ended(1, Step::Done)), Ending::Aborted);
        assert_eq!(ending(ended(0, Step::Activate)), Ending::Failed);
        assert_eq!(ending(ended(1, Step::Switch)), Ending::Aborted);
        let failed = ended(1, Step::Up).unwrap_err();
        let fix = &failed.error().fix;
        assert_eq!(failed.ending(), Ending::Failed);
        assert!(fix.contains("/srv/p/runs/20261122T101530Z-1a2b3c4d/up"), "a path to paste: {fix}");
        assert_eq!(ending(judge(Fate::Running)), Ending::Unknown);
        assert_eq!(ending(judge(Fate::NotAnAnswer)), Ending::Unknown);
    }
}
