//! What an apply is bound to: the content of M, the policy at P, and what is applied according to the record.

use crate::{
    model::{
        approval::Approval,
        closure::Closure,
        gate::Binding,
        glass::Waived,
        ids::{Deployment, HostName, ModuleId, Oid},
        module::Manifest,
        policy::{HostPolicy, SacredPolicy},
        refusal::{Code, Refusal},
        status::HostStatus,
    },
    runtime::driver::Target,
    tree::module::Module,
};

/// What an approval is bound to: what the base wants of one deployment, and everything that is needed to bring it
/// about. All of it is read from objects and none from a working tree.
#[derive(Debug)]
#[must_use]
pub enum Bound {
    /// The base has a manifest that names this host.
    Present(Box<Present>),
    /// The base no longer wants it, but according to the record it was here.
    Absent(Box<Absent>),
}

/// Why the base wants nothing of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// The module no longer exists.
    Deleted,
    /// The module is there, and runs on these hosts only.
    Moved(Vec<HostName>),
    /// The module continues under another name.
    Renamed(ModuleId),
}

/// A deployment that the base no longer wants.
#[derive(Debug)]
#[must_use]
pub struct Absent {
    pub(super) approval: Approval,
    pub(super) deployment: Deployment,
    pub(super) why: Absence,
    pub(super) last: HostStatus,
}

impl Absent {
    /// The approval of its removal.
    pub fn approval(&self) -> &Approval {
        &self.approval
    }

    /// The deployment that is no longer wanted.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Why.
    pub fn why(&self) -> &Absence {
        &self.why
    }

    /// Its entry in the record.
    pub fn last(&self) -> &HostStatus {
        &self.last
    }

    /// What is said while nothing can be removed yet.
    pub fn refusal(&self) -> Refusal {
        gone(&self.deployment, &self.why, self.approval.merge)
    }
}

/// The refusal for a deployment that the base no longer wants.
pub(crate) fn gone(deployment: &Deployment, why: &Absence, merge: Oid) -> Refusal {
    let Deployment { module, host } = deployment;
    let (code, fact) = match why {
        Absence::Deleted => (Code::UnknownModule, format!("the module `{module}` no longer exists in {merge}")),
        Absence::Moved(hosts) => {
            let hosts = hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ");
            (Code::UnknownHost, format!("{module} runs on {hosts} in {merge}, and no longer on {host}"))
        }
        Absence::Renamed(to) => (Code::UnknownModule, format!("the module `{module}` is `{to}` in {merge}")),
    };
    Refusal::new(
        code,
        format!("{fact}; according to the record it still runs on {host}"),
        format!("this version cannot remove it: stop it on {host} yourself, or add it again in a pull request"),
    )
}

/// A deployment that the base wants: approval, snapshot, policy and parent state.
#[derive(Debug)]
#[must_use]
pub struct Present {
    pub(super) approval: Approval,
    pub(super) deployment: Deployment,
    pub(super) module: Module,
    pub(super) before: Option<Module>,
    pub(super) host: HostPolicy,
    pub(super) sacred: SacredPolicy,
    pub(super) policy_blob: Oid,
    pub(super) last: Option<HostStatus>,
    /// Hosts where the module runs according to the record, but which the manifest no longer names.
    pub(super) left: Vec<HostName>,
    pub(super) checkout: Binding,
    pub(super) waived: Vec<String>,
    pub(super) glass: Vec<Waived>,
}

impl Present {
    /// The approval that it depends on.
    pub fn approval(&self) -> &Approval {
        &self.approval
    }

    /// The module and its host.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// The manifest at M.
    pub fn manifest(&self) -> &Manifest {
        &self.module.manifest
    }

    /// The closure at M.
    pub fn closure(&self) -> &Closure {
        &self.module.closure
    }

    /// What is applied to what host: everything that a driver works with.
    pub fn target(&self) -> Target<'_> {
        Target {
            module: &self.module,
            before: self.before.as_ref(),
            name: &self.deployment.host,
            host: &self.host,
            sacred: &self.sacred,
        }
    }

    /// The blob of the policy in force.
    pub fn policy_blob(&self) -> Oid {
        self.policy_blob
    }

    /// Hosts where the module still runs although its manifest no longer names them.
    pub fn left(&self) -> &[HostName] {
        &self.left
    }

    /// The deployment's entry in the record.
    pub fn last(&self) -> Option<&HostStatus> {
        self.last.as_ref()
    }

    /// Gates that were passed by waiver.
    pub fn waived(&self) -> &[String] {
        &self.waived
    }

    /// What break-glass passed.
    pub fn glass(&self) -> &[Waived] {
        &self.glass
    }

    /// How the checkout was bound.
    pub fn checkout(&self) -> Binding {
        self.checkout
    }
}
