//! Left: what a release that is held left on its host, for the person who has to understand it.

use std::fmt;

use crate::{
    flow::{no_blob, send},
    model::{ending::Ending, policy::HostPolicy},
    port::{Answer, Host, PortError},
    runtime::{self, driver::Target, logs},
    tree::module::Module,
};

pub use crate::runtime::logs::{Said, Words};

/// Most lines of a container's own.
const LINES: u64 = 20;

/// What is asked of containers that a held release left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logs {
    /// Nothing.
    Nothing,
    /// How they ended.
    Endings,
    /// How they ended, and their own last lines.
    Lines,
}

/// What was answered.
#[derive(Debug)]
pub struct Told {
    /// The output of the containers, or why it could not be read.
    pub words: Answer<Words>,
    /// Whether their own lines were asked for.
    pub logs: bool,
}

/// A module whose release is held, and its host.
pub struct Left {
    host: Box<dyn Host>,
    policy: HostPolicy,
    module: Module,
}

impl Left {
    /// Where `ending` left something behind that can be asked.
    pub fn of(ending: Ending, target: Target<'_>, host: Box<dyn Host>) -> Option<Self> {
        let driver = runtime::driver(target.module.manifest.runtime.driver);
        let asked = ending == Ending::Failed && driver.logs(target.module, target.host, 0).is_some();
        asked.then(|| Self { host, policy: target.host.clone(), module: target.module.clone() })
    }

    /// Reads as much of the containers' output as `logs` allows.
    pub fn told(&self, logs: Logs) -> Option<Told> {
        let lines = match logs {
            Logs::Nothing => return None,
            Logs::Endings => 0,
            Logs::Lines => LINES,
        };
        Some(Told { words: self.words(lines), logs: lines > 0 })
    }

    /// The state of its containers, the output of their health checks, and the last `lines` lines of each. Text from
    /// outside: it is shown to people and never recorded.
    ///
    /// # Errors
    /// The host gave no answer.
    pub fn words(&self, lines: u64) -> Answer<Words> {
        let driver = runtime::driver(self.module.manifest.runtime.driver);
        let Some(order) = driver.logs(&self.module, &self.policy, lines) else { return Ok(Words::default()) };
        let reply = send(self.host.as_ref(), order, &no_blob).map_err(PortError::harmless)?;
        let mut words = logs::parse(&reply.stdout);
        for said in &mut words.containers {
            said.job = self.module.manifest.jobs.iter().any(|job| job.as_str() == said.service);
        }
        Ok(words)
    }
}

impl fmt::Debug for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Left").field("module", &self.module.manifest.id).finish_non_exhaustive()
    }
}
