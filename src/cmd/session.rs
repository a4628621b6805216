//! A session: the repository that a command was started in, and the ports to everything it may ask.

use std::{cell::RefCell, path::PathBuf};

use crate::{
    cli::Globals,
    config::Config,
    io::{clock::SystemClock, env::Env, git::Git, local::Local, remote::GitRemote, ssh::Ssh},
    model::{
        ids::ModuleId,
        policy::{HostPolicy, Transport},
    },
    port::{Answer, Host, Ledger as _, Ports, Source as _, Step},
    tree::{manifests, snapshot::Snapshot},
    ui::{Printer, Steps},
};

/// What a command works with.
pub(super) struct Session {
    /// The environment.
    pub env: Env,
    /// The repository.
    pub git: Git,
    /// Its remote.
    pub remote: GitRemote,
    /// Names of remote and base branch.
    pub config: Config,
    /// Time.
    pub clock: SystemClock,
    /// Where to print.
    pub printer: Printer,
    path: String,
    home: Option<String>,
    /// A host that is being connected to, and the entry that it was reached by.
    warm: RefCell<Option<(HostPolicy, Ssh)>>,
}

impl Session {
    /// Opens the repository at `-C` or around here.
    ///
    /// # Errors
    /// There is none, or one that is not supported.
    pub(super) fn open(globals: &Globals, env: &Env, printer: Printer) -> Answer<Self> {
        let git = Git::open(env.cwd(), "origin", env)?;
        let config = Config::choose(globals.remote.as_deref(), globals.base.as_deref(), |name| git.setting(name));
        let remote = GitRemote::new(PathBuf::from(git.common_dir()), &config.remote, &config.base, env)?;
        let remote = remote.configured(git.remote(&config.remote));
        let clock = SystemClock::new(env);
        let path = env.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin").to_owned();
        let home = env.get("HOME").map(str::to_owned);
        let git = git.with_remote(&config.remote).with_base(&config.base);
        Ok(Self { env: env.clone(), git, remote, config, clock, printer, path, home, warm: RefCell::default() })
    }

    /// Reaches a host by its entry in the policy.
    ///
    /// # Errors
    /// Never yet: nothing is connected before something is asked.
    pub(super) fn host(&self, policy: &HostPolicy) -> Answer<Box<dyn Host>> {
        match policy.transport {
            Transport::Local => Ok(Box::new(Local::new(self.path.clone(), self.home.clone()))),
            Transport::Ssh => {
                let warm = self.warm.borrow_mut().take().filter(|(entry, _)| entry == policy);
                Ok(Box::new(warm.map_or_else(|| self.ssh(policy), |(_, ssh)| ssh)))
            }
        }
    }

    fn ssh(&self, policy: &HostPolicy) -> Ssh {
        let host_keys: Vec<String> = policy.host_keys.iter().map(ToString::to_string).collect();
        Ssh::new(policy.destination.as_deref().unwrap_or_default(), &host_keys, &self.env)
    }

    /// Begins to connect to the host that a module had when the base was fetched last, while the remote is asked for a newer one.
    /// Only a connection whose entry in the policy is still the same is used then; whatever fails here is told there.
    pub(super) fn warm(&self, module: &ModuleId) {
        if let Some(policy) = self.last_host(module).ok().flatten().filter(|host| host.transport == Transport::Ssh) {
            let ssh = self.ssh(&policy);
            ssh.begin();
            *self.warm.borrow_mut() = Some((policy, ssh));
        }
    }

    fn last_host(&self, module: &ModuleId) -> Answer<Option<HostPolicy>> {
        let Some((base, _)) = self.git.base()? else { return Ok(None) };
        let snapshot = Snapshot::lazy(&self.git, self.git.commit(base)?.tree);
        let manifest = manifests::manifest(&snapshot, module)?.and_then(Result::ok);
        let policy = manifests::policy(&snapshot)?.ok();
        Ok(manifest.zip(policy).and_then(|(manifest, at)| at.policy.hosts.get(&manifest.host).cloned()))
    }

    /// The world that the verbs ask.
    pub(super) fn ports<'a>(
        &'a self,
        host: &'a dyn Fn(&HostPolicy) -> Answer<Box<dyn Host>>,
        tell: &'a dyn Fn(Step),
    ) -> Ports<'a> {
        Ports {
            source: &self.git,
            ledger: &self.git,
            checkout: &self.git,
            remote: &self.remote,
            base: &self.config.base,
            clock: &self.clock,
            host,
            tell,
            ci: self.env.get("CI").is_some(),
        }
    }

    /// Lends the ports to a verb. A person who waits is told who is asked.
    pub(super) fn with<T>(&self, act: impl FnOnce(&Ports<'_>) -> T) -> T {
        let host = |policy: &_| self.host(policy);
        let tell = |step: Step| self.printer.waits_for(&step, &self.config.remote);
        act(&self.ports(&host, &tell))
    }

    /// The same for a verb that changes something: a person is told of each step.
    pub(super) fn with_steps<T>(&self, act: impl FnOnce(&Ports<'_>) -> T) -> T {
        let steps = Steps::new(self.printer, &self.clock, &self.config.remote);
        let host = |policy: &_| self.host(policy);
        let tell = |step: Step| steps.tell(&step);
        act(&self.ports(&host, &tell))
    }
}
