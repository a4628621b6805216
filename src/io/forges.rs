//! Forges: reached by the rules in force, or by what the remote's URL names.

use std::{cell::RefCell, path::PathBuf, rc::Rc};

use super::{env::Env, forgejo::Forgejo, secrets};
use crate::{
    model::{forge::ForgeUrl, policy::ApprovalPolicy, refusal::Code, text::shown},
    port::{Answer, Forge, PortError},
};

/// How forges are reached from here.
pub struct Forges {
    env: Env,
    git_dir: PathBuf,
    /// The URL that the remote is fetched from.
    remote: Option<String>,
    /// The one that was reached before: its credential is found once.
    reached: RefCell<Option<Rc<Forgejo>>>,
}

impl Forges {
    /// With the credentials of this environment and of the repository at `git_dir`.
    pub fn new(env: &Env, git_dir: PathBuf, remote: Option<String>) -> Self {
        Self { env: env.clone(), git_dir, remote, reached: RefCell::default() }
    }

    /// Reaches the forge that the rules name, or else the one that the remote's URL names. Nothing is asked.
    ///
    /// # Errors
    /// Neither names one.
    pub fn reach(&self, rules: &ApprovalPolicy) -> Answer<Rc<dyn Forge>> {
        let named = self.remote.as_deref().and_then(ForgeUrl::of_remote);
        let Some(url) = rules.forge.clone().or(named) else {
            let remote = self.remote.as_deref().map(|url| shown(&secrets::urls(url)));
            let what = match remote {
                Some(url) => format!("the remote's URL {url} does not name a repository on a forge"),
                None => "the remote has no URL that names a repository on a forge".to_owned(),
            };
            return Err(PortError::new(
                Code::ForgeUnknown,
                what,
                "write its address in platform.yaml, for instance approval.forge: https://git.example.org/ops/platform",
            ));
        };
        let mut reached = self.reached.borrow_mut();
        let same = reached.as_ref().filter(|forge| *forge.url() == url).cloned();
        let forge = same.unwrap_or_else(|| Rc::new(Forgejo::new(url, self.git_dir.clone(), &self.env)));
        *reached = Some(Rc::clone(&forge));
        Ok(forge)
    }
}
