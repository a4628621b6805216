//! Left: what a release that is held left on its host, for the person who has to understand it.

use std::fmt;

use crate::{
    flow::bind::bound::Target,
    model::{ending::Ending, module::Manifest, policy::HostPolicy},
    port::{Answer, Host, Input, PortError},
    runtime::compose::{
        self,
        logs::{self, Words},
    },
};

/// A compose module whose release is held, and its host.
pub struct Left {
    host: Box<dyn Host>,
    policy: HostPolicy,
    manifest: Manifest,
    services: Vec<String>,
}

impl Left {
    /// Where `ending` left containers behind that can be asked.
    pub fn of(ending: Ending, target: Target<'_>, host: Box<dyn Host>) -> Option<Self> {
        let services = &target.module.rendering.services;
        (ending == Ending::Failed && !services.is_empty()).then(|| Self {
            host,
            policy: target.host.clone(),
            manifest: target.module.manifest.clone(),
            services: services.iter().map(ToString::to_string).collect(),
        })
    }

    /// How its containers are, what their health checks said, and the last `lines` lines of each. Foreign text: shown to people, and
    /// never recorded.
    ///
    /// # Errors
    /// The host gave no answer.
    pub fn words(&self, lines: u64) -> Answer<Words> {
        let list = |items: Vec<&str>| items.join("\n");
        let args = [
            self.policy.root.to_string(),
            self.manifest.runtime.project.as_ref().map(ToString::to_string).unwrap_or_default(),
            compose::engine(&self.policy),
            lines.to_string(),
            list(self.services.iter().map(String::as_str).collect()),
            list(self.manifest.secrets.iter().map(|secret| secret.file.as_str()).collect()),
        ];
        let reply = self.host.run(&compose::LOGS, &args, Input::Nothing).map_err(PortError::harmless)?;
        let mut words = logs::parse(&reply.stdout);
        for said in &mut words.containers {
            said.job = self.manifest.jobs.iter().any(|job| job.as_str() == said.service);
        }
        Ok(words)
    }
}

impl fmt::Debug for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Left").field("services", &self.services).finish_non_exhaustive()
    }
}
