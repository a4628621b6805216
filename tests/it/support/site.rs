//! A repository with one module of driver `files`, a host root, and everything that `apply` may ask.

use std::{cell::RefCell, fs, path::PathBuf, rc::Rc};

use platformctl::{
    flow::{Stage, Stop, approve::request::Request, bind::Waivers},
    io::{clock::SystemClock, git::Git, local::Local, notify::Notifier, remote::GitRemote},
    model::{
        ids::Oid,
        policy::{ApprovalPolicy, HostPolicy},
        refusal::Code,
    },
    port::{Answer, Forge, Host, PortError, Ports, Step},
    verb::{
        apply::{Applied, Ask, apply},
        fetch::refresh,
    },
};

use super::repo::Repo;

/// The repository, with its own host.
pub(crate) struct Site {
    pub(crate) repo: Repo,
    activate: RefCell<String>,
}

/// The ports of one process.
pub(crate) struct Real {
    pub(crate) git: Git,
    pub(crate) remote: GitRemote,
    pub(crate) clock: SystemClock,
    pub(crate) notifier: Notifier,
    pub(crate) steps: RefCell<Vec<Step>>,
}

pub(crate) fn local() -> Local {
    Local::new(std::env::var("PATH").unwrap(), None)
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that Ports asks for")]
pub(crate) fn host(_: &HostPolicy) -> Answer<Box<dyn Host>> {
    Ok(Box::new(local()))
}

/// The request for a pull request's module `site`.
pub(crate) fn ask(pr: u64) -> Ask {
    Ask {
        module: "site".parse().unwrap(),
        host: None,
        request: Request { approved: None, pr: Some(pr) },
        again: false,
        waivers: Waivers::default(),
        retry: false,
        glass: None,
        during_freeze: None,
        auto: false,
        claim: None,
    }
}

impl Site {
    /// The policy on main; pull request 1, which adds the module, is merged.
    pub(crate) fn new() -> Self {
        let site = Self::empty("");
        site.change(1, "hello\n");
        site
    }

    /// The policy alone, with more lines for the host.
    pub(crate) fn empty(more: &str) -> Self {
        let repo = Repo::new();
        let root = repo.path("root");
        let policy = format!(
            "schema: platform/1\nhosts:\n  box:\n    transport: local\n    root: {}\n    mutations: enabled\n{more}",
            root.display()
        );
        repo.write("platform.yaml", &policy);
        repo.commit("policy");
        repo.publish();
        Self::of(repo)
    }

    /// Of a repository as it is.
    pub(crate) fn of(repo: Repo) -> Self {
        Self { repo, activate: RefCell::default() }
    }

    /// Opens and merges pull request `n`, which writes the page.
    pub(crate) fn change(&self, n: u64, page: &str) -> Oid {
        self.repo.branch(&format!("pr{n}"), "main");
        self.manifest("");
        self.repo.write("modules/site/public/index.html", page);
        self.repo.commit(&format!("page for {n}"));
        self.repo.propose(n);
        self.repo.merge(n, &format!("pr{n}"))
    }

    /// Writes the manifest, with more lines.
    pub(crate) fn manifest(&self, more: &str) {
        let activate = self.activate.borrow();
        let text = format!(
            "schema: module/2\nid: site\ntitle: Site\nowner: ola\nhost: box\n\
             runtime: {{driver: files, tree: modules/site/public{activate}}}\n{more}"
        );
        self.repo.write("modules/site/module.yaml", &text);
    }

    /// Opens pull request `n` with this page, and with these commands as they stand after `public` in the manifest.
    pub(crate) fn activating(&self, n: u64, page: &str, activate: &str) {
        self.repo.branch(&format!("pr{n}"), "main");
        self.manifest("");
        let text = fs::read_to_string(self.repo.work().join("modules/site/module.yaml")).unwrap();
        self.repo.write("modules/site/module.yaml", &text.replace("public}", &format!("public{activate}}}")));
        self.repo.write("modules/site/public/index.html", page);
        self.repo.commit("x");
        self.repo.propose(n);
    }

    /// From now on manifests have these commands, as YAML.
    pub(crate) fn activates(&self, argvs: &str) {
        *self.activate.borrow_mut() = format!(", activate: {argvs}");
    }

    pub(crate) fn real(&self) -> Real {
        Real {
            git: self.repo.open(),
            remote: self.repo.remote(),
            clock: SystemClock::new(&self.repo.env()),
            notifier: Notifier::new(&self.repo.env()),
            steps: RefCell::default(),
        }
    }

    pub(crate) fn apply(&self, ask: &Ask) -> Stage<Applied> {
        let real = self.real();
        let tell = |step| real.steps.borrow_mut().push(step);
        let ports = real.ports(&tell);
        let mut fetched = refresh(&ports, &ask.request)?;
        apply(&ports, &mut fetched, ask)
    }

    /// Applies and says in one line how it went.
    pub(crate) fn says(&self, ask: &Ask) -> String {
        said(self.apply(ask))
    }

    pub(crate) fn live(&self) -> String {
        fs::read_to_string(self.live_path()).unwrap_or_else(|error| error.kind().to_string())
    }

    pub(crate) fn live_path(&self) -> PathBuf {
        self.repo.path("root/live/site/index.html")
    }

    /// The subjects of the record on the remote, newest first.
    pub(crate) fn log(&self) -> Vec<String> {
        let log = self.repo.git_in("remote.git", &["log", "--format=%s", "--glob=refs/platform/stat[e]"]);
        log.lines().map(str::to_owned).collect()
    }
}

/// These repositories are on no forge.
fn no_forge(_: &ApprovalPolicy) -> Answer<Rc<dyn Forge>> {
    Err(PortError::new(Code::ForgeUnknown, "no forge here", "use one"))
}

impl Real {
    pub(crate) fn ports<'a>(&'a self, tell: &'a dyn Fn(Step)) -> Ports<'a> {
        Ports {
            source: &self.git,
            ledger: &self.git,
            checkout: &self.git,
            remote: &self.remote,
            base: "main",
            clock: &self.clock,
            host: &host,
            forge: &no_forge,
            notify: &self.notifier,
            offline: false,
            tell,
            ci: false,
        }
    }
}

/// How an apply went, in one line.
pub(crate) fn said(stage: Stage<Applied>) -> String {
    match stage {
        Ok(Applied::Noop(noop)) => format!("noop, recorded: {}", noop.record.is_some()),
        Ok(Applied::Run(run)) => {
            let recorded = run.carried.record.as_ref().map(|record| record.on_remote);
            let ending = match &run.carried.ended {
                Ok(evidence) => format!("ok, {} files", evidence.files),
                Err(not_done) => format!("{}: {}", not_done.ending().as_str(), not_done.error().code.slug()),
            };
            let covers = &run.summary.approval.covers;
            format!("{ending}, covers {covers:?}, recorded: {recorded:?}")
        }
        Err(Stop::Refused(refusals)) => refusals.iter().map(|r| r.code.slug()).collect::<Vec<_>>().join(" "),
        Err(Stop::Failed(error)) => format!("world: {} {error}", error.code.slug()),
    }
}
