//! Watching a module with driver `files`: its files are looked at, then its probes are asked until all have passed
//! without a break for the settle window, and then its files are looked at once more.

use crate::{
    model::{evidence::Evidence, refusal::Code},
    port::{Answer, PortError, Reply},
    runtime::{
        driver::{Next, Order, Target, Watch},
        files::{Listing, Live, look, seen},
        probe,
    },
};

/// Milliseconds between two rounds of probes.
const PAUSE_MS: u64 = 250;

/// The default settle window, in seconds.
const SETTLE_S: u64 = 10;

/// A watch.
pub(super) struct Watching<'a> {
    target: Target<'a>,
    wanted: Listing,
    at: At,
    deadline_ms: u64,
    /// Since when every probe passes.
    good_since_ms: Option<u64>,
}

/// What is done next, or was asked last.
enum At {
    /// The files are looked at before the probes.
    First,
    /// The probe of this number is asked.
    Probe(usize),
    /// A pause, then the first probe again.
    Pause,
    /// The files are looked at after the probes.
    Last,
    /// Everything was as planned.
    Done,
    /// Something was not.
    Failed(Option<PortError>),
}

impl<'a> Watching<'a> {
    pub(super) fn new(target: Target<'a>, wanted: Listing) -> Self {
        Self { target, wanted, at: At::First, deadline_ms: 0, good_since_ms: None }
    }

    /// Probes that are asked from the host.
    fn probes(&self) -> Vec<(usize, Vec<String>)> {
        let probes = self.target.module.manifest.health.probes.iter().enumerate();
        probes.filter_map(|(at, probe)| Some((at, probe::args(probe)?))).collect()
    }

    fn compared(&self, live: &Live) -> Result<(), PortError> {
        let release = self.target.module.closure.digest.hex();
        if matches!(live, Live::Release { name, files, odd: 0 } if *name == release && *files == self.wanted) {
            return Ok(());
        }
        let (root, id) = (&self.target.host.root, &self.target.module.manifest.id);
        Err(PortError::new(
            Code::HostFailed,
            format!("{root}/live/{id} is not the planned release"),
            "inspect it on the host: someone or something changes it",
        ))
    }

    /// What follows a round of probes. `failed` names the one that did not pass.
    fn judged(&mut self, failed: Option<String>, now_ms: u64) -> At {
        let health = &self.target.module.manifest.health;
        let settle_ms = health.settle_s.unwrap_or(SETTLE_S).saturating_mul(1000);
        if failed.is_none() {
            let since_ms = *self.good_since_ms.get_or_insert(now_ms);
            if now_ms.saturating_sub(since_ms) >= settle_ms {
                return At::Last;
            }
        } else {
            self.good_since_ms = None;
        }
        if now_ms < self.deadline_ms {
            return At::Pause;
        }
        let why = failed
            .unwrap_or_else(|| format!("it was not good for {} s without a break (health.settle_s)", settle_ms / 1000));
        At::Failed(Some(PortError::new(
            Code::ProbeFailed,
            format!("not healthy within {} s: {why}", health.deadline_s),
            "look at the module on its host, then merge a fix",
        )))
    }
}

impl Watch for Watching<'_> {
    fn next(&mut self, _now_ms: u64) -> Next {
        match &mut self.at {
            At::First | At::Last => Next::Ask(look(self.target)),
            At::Pause => {
                self.at = At::Probe(0);
                Next::Sleep(PAUSE_MS)
            }
            At::Probe(number) => {
                let number = *number;
                let args = self.probes().into_iter().nth(number).map(|(_, args)| args);
                Next::Ask(Order::new(probe::PROBE, args.unwrap_or_default()))
            }
            At::Done => Next::Done(Evidence {
                files: self.wanted.len() as u64,
                probes: self.target.module.manifest.health.probes.len() as u64,
                ..Evidence::default()
            }),
            At::Failed(error) => Next::Failed(error.take().unwrap_or_else(|| {
                PortError::new(Code::Bug, "a watch went on after it had failed", "please report this")
            })),
        }
    }

    fn answer(&mut self, reply: &Reply, now_ms: u64) -> Answer<()> {
        self.at = match self.at {
            At::First | At::Last => match self.compared(&seen(reply)?.1) {
                Err(error) => At::Failed(Some(error)),
                Ok(()) if matches!(self.at, At::First) && !self.probes().is_empty() => {
                    let deadline_s = self.target.module.manifest.health.deadline_s;
                    self.deadline_ms = now_ms.saturating_add(deadline_s.saturating_mul(1000));
                    At::Probe(0)
                }
                Ok(()) => At::Done,
            },
            At::Probe(number) => {
                let probes = self.probes();
                let failed = probe::verdict(&reply.stdout).err().map(|why| {
                    let words = probes.get(number).map(|(at, args)| (at + 1, args[..2.min(args.len())].join(" ")));
                    let (at, words) = words.unwrap_or_default();
                    format!("probe {at} ({words}): {why}")
                });
                if failed.is_none() && number + 1 < probes.len() {
                    At::Probe(number + 1)
                } else {
                    self.judged(failed, now_ms)
                }
            }
            At::Pause | At::Done | At::Failed(_) => return Ok(()),
        };
        Ok(())
    }
}
