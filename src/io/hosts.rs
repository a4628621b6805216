//! Hosts: reached by their entries in the policy, each call of theirs logged.

use std::cell::RefCell;

use super::{env::Env, local::Local, logged::LoggedHost, ssh::Ssh};
use crate::{
    model::policy::{HostPolicy, Transport},
    port::Host,
};

/// How hosts are reached from here.
pub struct Hosts {
    env: Env,
    path: String,
    home: Option<String>,
    /// A host that is being connected to, and the entry that it is reached by.
    warm: RefCell<Option<(HostPolicy, Ssh)>>,
}

impl Hosts {
    /// By the programs and keys of this environment.
    pub fn new(env: &Env) -> Self {
        let path = env.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin").to_owned();
        let home = env.get("HOME").map(str::to_owned);
        Self { env: env.clone(), path, home, warm: RefCell::default() }
    }

    /// Reaches a host. Nothing is connected before something is asked.
    pub fn reach(&self, policy: &HostPolicy) -> Box<dyn Host> {
        match policy.transport {
            Transport::Local => {
                let local = Local::new(self.path.clone(), self.home.clone());
                Box::new(LoggedHost::new(local, "local"))
            }
            Transport::Ssh => {
                let warm = self.warm.borrow_mut().take().filter(|(entry, _)| entry == policy);
                let ssh = warm.map_or_else(|| self.ssh(policy), |(_, ssh)| ssh);
                Box::new(LoggedHost::new(ssh, policy.destination.as_deref().unwrap_or_default()))
            }
        }
    }

    /// Begins to connect to a host that is expected to be asked soon. Only a connection whose entry in the policy is
    /// still the same is used then; a failure here is reported there.
    pub fn warm(&self, policy: HostPolicy) {
        if policy.transport == Transport::Ssh {
            let ssh = self.ssh(&policy);
            ssh.begin();
            *self.warm.borrow_mut() = Some((policy, ssh));
        }
    }

    fn ssh(&self, policy: &HostPolicy) -> Ssh {
        let host_keys: Vec<String> = policy.host_keys.iter().map(ToString::to_string).collect();
        Ssh::new(policy.destination.as_deref().unwrap_or_default(), &host_keys, &self.env)
    }
}
