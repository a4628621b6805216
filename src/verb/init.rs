//! Init: the files to begin with. They go to a branch of their own, and nothing that exists is changed.

pub mod workflows;

use serde::Serialize;

use crate::{
    flow::{Stage, refuse},
    model::{
        ids::{HostName, Oid},
        refusal::Code,
        text::shown,
        workflow::rules::FOLDERS,
    },
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
    /// Where to push it.
    #[serde(skip)]
    pub to: To,
    /// The host that a person named and that is taken for this machine, because ssh does not know it.
    #[serde(skip)]
    pub taken_for_here: Option<HostName>,
    /// The folder with workflows that the server no longer looks at, because there is one that it prefers now.
    #[serde(skip)]
    pub hidden: Option<&'static str>,
}

/// Where a branch is to be pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct To {
    /// The remote.
    pub remote: String,
    /// The base branch.
    pub base: String,
    /// Whether the remote has the base branch, so that a pull request can be opened.
    pub based: bool,
}

/// How the first host is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// Nobody named one: an example, which is this machine.
    Example,
    /// ssh knows a machine of that name.
    Ssh,
    /// ssh does not know it: it is taken for this machine.
    Here,
}

impl Init {
    /// The result of making `branch`, to be pushed; `None`: every file was there already.
    /// `hidden`: see [`Made::hidden`].
    pub fn of(
        made: Option<NewBranch>,
        branch: &str,
        to: To,
        (host, reached): (&HostName, Reached),
        hidden: Option<&'static str>,
    ) -> Self {
        let taken_for_here = (reached == Reached::Here).then(|| host.clone());
        made.map_or(Self::Nothing {}, |NewBranch { commit, added, kept }| {
            Self::Made(Box::new(Made { branch: branch.to_owned(), commit, added, kept, to, taken_for_here, hidden }))
        })
    }
}

/// Whether the remote has the base branch: as this clone knows (`tracked`), or else by its own word. A remote that does
/// not answer is taken to have one.
///
/// # Errors
/// It has none, and there is no commit here to begin it with: no pull request could ever be opened.
pub fn based(ports: &Ports<'_>, head: Option<Oid>, tracked: bool) -> Stage<bool> {
    let based = tracked || ports.remote.refs(false).map_or(true, |refs| refs.base.is_some());
    if based || head.is_some() {
        return Ok(based);
    }
    let (remote, base) = (shown(ports.remote.name()), shown(ports.base));
    refuse(
        Code::Usage,
        format!("{remote} has no branch {base} yet and this repository no commit: a pull request needs a base branch"),
        format!("git commit --allow-empty -m begin && git push {remote} HEAD:refs/heads/{base}"),
    )
}

/// The files to begin with, for a host and a base branch, with the workflows of Forgejo Actions if they are wanted. A
/// repository that has modules gets no example of one.
///
/// # Errors
/// `head` cannot be read, or no workflow can name the base branch.
pub fn files(
    ports: &Ports<'_>,
    head: Option<Oid>,
    (host, reached): (&HostName, Reached),
    forgejo: bool,
) -> Stage<Vec<NewFile>> {
    let file = |path, text| NewFile { path, text, executable: false };
    let transport = match reached {
        Reached::Example | Reached::Here => {
            format!("    transport: local     # this machine; ssh: `destination: deploy@{host}`")
        }
        Reached::Ssh => {
            format!("    transport: ssh\n    destination: {host}  # as ssh knows it; or ssh://user@host:port")
        }
    };
    let policy = include_str!("init/platform.yaml").replace("@HOST@", host.as_str()).replace("@BASE@", ports.base);
    let mut files = vec![
        file("platform.yaml", policy.replace("@TRANSPORT@", &transport)),
        file("allowed_signers", include_str!("init/allowed_signers").to_owned()),
        NewFile { executable: true, ..file("hooks/pre-push", HOOK.to_owned()) },
    ];
    if !has_modules(ports, head)? {
        let manifest = include_str!("init/module.yaml").replace("@HOST@", host.as_str());
        files.push(file("modules/hello/module.yaml", manifest));
        files.push(file("modules/hello/public/index.html", include_str!("init/index.html").to_owned()));
    }
    if forgejo {
        files.extend(workflows::of(ports.base)?.into_iter().map(|(path, text)| file(path, text)));
    }
    Ok(files)
}

/// The folder with the workflows of `head` that new ones in the folder that a server prefers would hide.
///
/// # Errors
/// `head` cannot be read.
pub fn hidden(ports: &Ports<'_>, head: Option<Oid>) -> Answer<Option<&'static str>> {
    let Some(head) = head else { return Ok(None) };
    let tree = ports.source.commit(head)?.tree;
    for folder in FOLDERS {
        let found = folder.parse().ok().map(|path| ports.source.entry(tree, &path)).transpose()?.flatten();
        if found.is_some() {
            return Ok((*folder != FOLDERS[0]).then_some(*folder));
        }
    }
    Ok(None)
}

/// Whether `head` has modules, valid or not.
fn has_modules(ports: &Ports<'_>, head: Option<Oid>) -> Answer<bool> {
    let Some(head) = head else { return Ok(false) };
    let snapshot = Snapshot::lazy(ports.source, ports.source.commit(head)?.tree);
    let (ids, problems) = manifests::module_ids(&snapshot)?;
    Ok(!ids.is_empty() || !problems.is_empty())
}
