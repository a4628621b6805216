//! A session: the repository that a command was started in, and the ports to everything it may ask.

use std::{cell::RefCell, path::PathBuf};

use crate::{
    cli::Globals,
    config::Config,
    error::Failure,
    flow::{Stage, approve::request::Request, gate::host::SKEW_MAX_S},
    io::{
        clock::SystemClock,
        env::Env,
        git::Git,
        local::Local,
        logged::{Logged, LoggedHost},
        remote::GitRemote,
        ssh::Ssh,
    },
    model::{
        ids::{HostName, ModuleId},
        policy::{HostPolicy, Transport},
    },
    port::{Answer, Clock as _, Host, Ledger as _, Ports, Remote, Sign, Source as _, Step},
    record::Record,
    tree::{manifests, snapshot::Snapshot},
    ui::{Printer, Report},
    verb::fetch::{Fetched, refresh},
};

/// Longest reason that is recorded, in bytes.
const REASON_BYTES_MAX: usize = 2_000;

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
    path: String,
    home: Option<String>,
    /// A host that is being connected to, and the entry that it was reached by.
    warm: RefCell<Option<(HostPolicy, Ssh)>>,
}

/// A world without hosts and without anybody who is told of steps, for commands that only read.
pub(super) fn silent(_: Step) {}

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
        let clock = Logged(SystemClock::new(env));
        let path = env.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin").to_owned();
        let home = env.get("HOME").map(str::to_owned);
        let git = git.with_remote(&config.remote).with_base(&config.base);
        let (git, remote) = (Logged(git), Logged(remote));
        Ok(Self { env: env.clone(), git, remote, config, clock, printer, path, home, warm: RefCell::default() })
    }

    /// Reaches a host by its entry in the policy.
    ///
    /// # Errors
    /// Never yet: nothing is connected before something is asked.
    pub(super) fn host(&self, policy: &HostPolicy) -> Answer<Box<dyn Host>> {
        match policy.transport {
            Transport::Local => {
                let local = Local::new(self.path.clone(), self.home.clone());
                Ok(Box::new(LoggedHost::new(local, "local")))
            }
            Transport::Ssh => {
                let warm = self.warm.borrow_mut().take().filter(|(entry, _)| entry == policy);
                let ssh = warm.map_or_else(|| self.ssh(policy), |(_, ssh)| ssh);
                Ok(Box::new(LoggedHost::new(ssh, policy.destination.as_deref().unwrap_or_default())))
            }
        }
    }

    fn ssh(&self, policy: &HostPolicy) -> Ssh {
        let host_keys: Vec<String> = policy.host_keys.iter().map(ToString::to_string).collect();
        Ssh::new(policy.destination.as_deref().unwrap_or_default(), &host_keys, &self.env)
    }

    /// Begins to connect to the host that a module had when the base was fetched last, or to its first, while the remote is asked for a
    /// newer one. Only a connection whose entry in the policy is still the same is used then; whatever fails here is told there.
    pub(super) fn warm(&self, module: &ModuleId, host: Option<&HostName>) {
        if let Some(policy) =
            self.last_host(module, host).ok().flatten().filter(|host| host.transport == Transport::Ssh)
        {
            let ssh = self.ssh(&policy);
            ssh.begin();
            *self.warm.borrow_mut() = Some((policy, ssh));
        }
    }

    fn last_host(&self, module: &ModuleId, host: Option<&HostName>) -> Answer<Option<HostPolicy>> {
        let Some((base, _)) = self.git.base()? else { return Ok(None) };
        let snapshot = Snapshot::lazy(&self.git, self.git.commit(base)?.tree);
        let manifest = manifests::manifest(&snapshot, module)?.and_then(Result::ok);
        let host = host.cloned().or_else(|| manifest?.hosts().first().cloned());
        let policy = manifests::policy(&snapshot)?.ok();
        Ok(host.zip(policy).and_then(|(host, at)| at.policy.hosts.get(&host).cloned()))
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

    /// The record as this clone has it, to be checked without asking anybody.
    pub(super) fn record<'a>(&'a self, remote: Option<&'a dyn Remote>) -> Record<'a> {
        let sign = Sign::IfConfigured;
        Record { source: &self.git, ledger: &self.git, remote, clock: &self.clock, pinned: None, sign }
    }

    /// One question and one fetch.
    ///
    /// # Errors
    /// As [`refresh`].
    pub(super) fn refresh(&self, ports: &Ports<'_>, request: &Request) -> Stage<Fetched> {
        self.printer.waiting(&format!("asking {}", self.config.remote));
        refresh(ports, request)
    }
}

/// Refuses a reason that says nothing, or that a record cannot carry.
pub(super) fn reason(text: &str) -> Result<(), Failure> {
    let fix = "say why, on one line, for whoever reads the record: --reason \"…\"";
    if text.trim().is_empty() {
        return Err(Failure::usage("the reason is empty", fix));
    }
    if text.len() > REASON_BYTES_MAX {
        return Err(Failure::usage(
            format!("the reason is too long to be recorded: {} of {REASON_BYTES_MAX} characters", text.len()),
            fix,
        ));
    }
    Ok(())
}

/// What somebody should look at: a record from the future, and results that can never be recorded.
pub(super) fn notices(session: &Session, report: &mut Report, fetched: &Fetched) {
    let now = session.clock.now();
    let newest = fetched.checked.as_ref().map(|checked| checked.event.time);
    if let Some(time) = newest.filter(|time| *time > now.plus_s(SKEW_MAX_S)) {
        report.warn(format!(
            "the newest record is from the future: it says {time}, the clock here {now}; later records take its time"
        ));
    }
    let aside = session.git.notes("undelivered").unwrap_or_default();
    if !aside.is_empty() {
        let count = crate::ui::plural(aside.len(), "result");
        report.warn(format!(
            "{count} that can never be recorded: look into .git/platformctl/undelivered, then move it away"
        ));
    }
}

/// What every result that rests on a record says, until its first record is pinned.
pub(super) fn warn(report: &mut Report, fetched: &Fetched) {
    if fetched.delivered > 0 {
        report.warn(format!("{} delivered that had waited here", crate::ui::plural(fetched.delivered, "record")));
    }
    fetched.notes().into_iter().for_each(|note| report.warn(note));
    pin(report, fetched, fetched.checked.as_ref().map(|checked| checked.genesis));
}

/// Advises to pin the first record.
pub(super) fn pin(report: &mut Report, fetched: &Fetched, genesis: Option<crate::model::ids::Oid>) {
    let local = fetched.policy.policy.state.remote.as_deref() == Some("none");
    if let Some(genesis) = genesis.filter(|_| fetched.policy.policy.state.genesis.is_empty() && !local) {
        report.warn(format!("the record is not pinned; in platform.yaml set state.genesis: {genesis}"));
    }
}
