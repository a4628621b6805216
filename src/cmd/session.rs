//! A session: the repository that a command was started in, and the ports to everything it may ask.

use std::{cell::Cell, path::PathBuf};

use crate::{
    cli::Globals,
    config::Config,
    io::{
        clock::SystemClock, env::Env, forges::Forges, git::Git, hosts::Hosts, logged::Logged, notify::Notifier,
        remote::GitRemote,
    },
    model::{
        ids::{HostName, ModuleId},
        policy::HostPolicy,
    },
    port::{Answer, Host, Ports, Step},
    ui::{Printer, Steps},
    verb::{fetch::known_forge, host::last_known},
};

/// What a command works with.
pub(super) struct Session {
    /// The environment.
    pub env: Env,
    /// The repository.
    pub git: Logged<Git>,
    /// Its remote.
    pub remote: Logged<GitRemote>,
    /// Names of remote and base branch.
    pub config: Config,
    /// Time.
    pub clock: Logged<SystemClock>,
    /// Where to print.
    pub printer: Printer,
    hosts: Hosts,
    notifier: Notifier,
    forges: Forges,
    offline: Cell<bool>,
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
        let configured = git.remote(&config.remote);
        let forges = Forges::new(env, PathBuf::from(git.common_dir()), configured.urls.first().cloned());
        let remote = Logged(remote.configured(configured));
        let clock = Logged(SystemClock::new(env));
        let git = Logged(git.with_remote(&config.remote).with_base(&config.base));
        let session = Self {
            env: env.clone(),
            git,
            remote,
            config,
            clock,
            printer,
            hosts: Hosts::new(env),
            notifier: Notifier::new(env),
            forges,
            offline: Cell::new(false),
        };
        if session.remote.0.takes_credential()
            && let Some(forge) = session.with(known_forge)
        {
            session.remote.0.of_forge(forge);
        }
        Ok(session)
    }

    /// From now on the forge's API is not asked, if a person said so.
    pub(super) fn without_forge(&self, offline: bool) {
        self.offline.set(offline);
    }

    /// Lends the ports to a verb. A person who waits is told who is asked.
    pub(super) fn with<T>(&self, act: impl FnOnce(&Ports<'_>) -> T) -> T {
        self.told(&|step| self.printer.waits_for(&step, &self.config.remote), act)
    }

    /// The same for a verb that changes something: a person is told of each step.
    pub(super) fn with_steps<T>(&self, act: impl FnOnce(&Ports<'_>) -> T) -> T {
        let steps = Steps::new(self.printer, &self.clock, &self.config.remote);
        self.told(&|step| steps.tell(&step), act)
    }

    fn told<T>(&self, tell: &dyn Fn(Step), act: impl FnOnce(&Ports<'_>) -> T) -> T {
        let host = |policy: &HostPolicy| -> Answer<Box<dyn Host>> { Ok(self.hosts.reach(policy)) };
        act(&Ports {
            source: &self.git,
            ledger: &self.git,
            checkout: &self.git,
            remote: &self.remote,
            base: &self.config.base,
            clock: &self.clock,
            host: &host,
            forge: &|rules| self.forges.reach(rules),
            notify: &self.notifier,
            offline: self.offline.get(),
            tell,
            ci: self.env.is_thrown_away(),
        })
    }

    /// Begins to connect to the host that a module had when the base was fetched last, or to its first, while the
    /// remote is asked for a newer one.
    pub(super) fn warm(&self, module: &ModuleId, host: Option<&HostName>) {
        if let Some(policy) = self.with(|ports| last_known(ports, module, host)).ok().flatten() {
            self.hosts.warm(policy);
        }
    }
}
