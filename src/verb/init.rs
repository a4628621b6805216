//! Init: the files to begin with. They go to a branch of their own, and nothing that exists is changed.

use serde::Serialize;

use crate::{
    model::ids::{HostName, Oid},
    port::{Answer, NewBranch, NewFile, Ports},
    tree::{manifests, snapshot::Snapshot},
    verb::prepush::HOOK,
};

/// The message of the commit that adds the files.
pub const MESSAGE: &str = "platformctl: a policy, an example module and the hook\n\n\
Nothing is applied by merging this: the host's `mutations` are disabled until a\n\
reviewed change enables them.\n";

/// What became of the branch.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Init {
    /// It was made.
    Made(Box<Made>),
    /// Every file is there already, and nothing was changed.
    Nothing {},
}

/// A branch that was made.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Made {
    /// The branch.
    pub branch: String,
    /// Its commit.
    pub commit: Oid,
    /// The files that it adds.
    pub added: Vec<&'static str>,
    /// The files that were there already, and are as they were.
    pub kept: Vec<&'static str>,
    /// The remote to push it to.
    #[serde(skip)]
    pub remote: String,
}

impl Init {
    /// The result of making `branch`, to be pushed to `remote`; `None`: every file was there already.
    pub fn of(made: Option<NewBranch>, branch: &str, remote: &str) -> Self {
        made.map_or(Self::Nothing {}, |NewBranch { commit, added, kept }| {
            Self::Made(Box::new(Made { branch: branch.to_owned(), commit, added, kept, remote: remote.to_owned() }))
        })
    }
}

/// The files to begin with, for a host and a base branch. A repository that has modules gets no example of one.
///
/// # Errors
/// `head` cannot be read.
pub fn files(ports: &Ports<'_>, head: Option<Oid>, host: &HostName) -> Answer<Vec<NewFile>> {
    let file = |path, text| NewFile { path, text, executable: false };
    let policy = include_str!("init/platform.yaml").replace("@HOST@", host.as_str()).replace("@BASE@", ports.base);
    let mut files = vec![
        file("platform.yaml", policy),
        file("allowed_signers", include_str!("init/allowed_signers").to_owned()),
        NewFile { executable: true, ..file("hooks/pre-push", HOOK.to_owned()) },
    ];
    if !has_modules(ports, head)? {
        let manifest = include_str!("init/module.yaml").replace("@HOST@", host.as_str());
        files.push(file("modules/hello/module.yaml", manifest));
        files.push(file("modules/hello/public/index.html", include_str!("init/index.html").to_owned()));
    }
    Ok(files)
}

/// Whether `head` has modules, valid or not.
fn has_modules(ports: &Ports<'_>, head: Option<Oid>) -> Answer<bool> {
    let Some(head) = head else { return Ok(false) };
    let snapshot = Snapshot::lazy(ports.source, ports.source.commit(head)?.tree);
    let (ids, problems) = manifests::module_ids(&snapshot)?;
    Ok(!ids.is_empty() || !problems.is_empty())
}
