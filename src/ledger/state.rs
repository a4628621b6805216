//! A lazy view of the record at one commit: a look at one module costs one path of the tree and one blob, never the
//! history.

use serde::de::DeserializeOwned;

use super::{
    event::Event,
    fold::{self, Files},
    tree,
};
use crate::{
    model::{
        alarm::Alarms,
        ids::{Deployment, HostName, ModuleId, Oid, RunId},
        path::RepoPath,
        refusal::Code,
        status::{HostRecord, HostStatus, ModuleStatus, OpenRun},
        text,
    },
    port::{Answer, Mode, PortError, Source},
};

/// Most bytes of one file of the record.
pub const FILE_BYTES_MAX: u64 = 256 << 10;

/// The record at a commit.
#[derive(Clone, Copy)]
pub struct State<'a> {
    source: &'a dyn Source,
    tip: Oid,
    tree: Oid,
}

impl<'a> State<'a> {
    /// Opens the record at `tip`.
    ///
    /// # Errors
    /// The commit cannot be read.
    pub fn at(source: &'a dyn Source, tip: Oid) -> Answer<Self> {
        let tree = source.commit(tip)?.tree;
        Ok(Self { source, tip, tree })
    }

    /// The commit.
    pub fn tip(&self) -> Oid {
        self.tip
    }

    /// Its tree.
    pub fn tree(&self) -> Oid {
        self.tree
    }

    /// The blob at a path of the record.
    ///
    /// # Errors
    /// The tree cannot be read.
    pub fn blob_id(&self, path: &str) -> Answer<Option<Oid>> {
        let path: RepoPath = path.parse().map_err(|error| broken(path).because(Box::new(error)))?;
        match self.source.entry(self.tree, &path)? {
            // Anything but a plain file could name an object that does not exist.
            Some(entry) if entry.mode != Mode::File => Err(broken(path.as_str())),
            found => Ok(found.map(|entry| entry.id)),
        }
    }

    /// The bytes at a path of the record.
    ///
    /// # Errors
    /// The file is too large or cannot be read.
    pub fn bytes(&self, path: &str) -> Answer<Option<Vec<u8>>> {
        // A file of the record that is too large, or no file, is no file of a record.
        let unfit = |error: PortError| {
            let its_own = [Code::ContentRefused, Code::UnknownId].contains(&error.code);
            if its_own { broken(path).because(error) } else { error }
        };
        self.blob_id(path)?.map(|id| self.source.blob(id, FILE_BYTES_MAX).map_err(unfit)).transpose()
    }

    fn read<T: DeserializeOwned>(&self, path: &str) -> Answer<Option<T>> {
        let Some(bytes) = self.bytes(path)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| broken(path).because(error))
    }

    /// The event of this commit.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn event(&self) -> Answer<Event> {
        self.read(tree::EVENT)?.ok_or_else(|| broken(tree::EVENT))
    }

    /// The first record.
    ///
    /// # Errors
    /// The event cannot be read.
    pub fn genesis(&self) -> Answer<Oid> {
        Ok(self.event()?.genesis.unwrap_or(self.tip))
    }

    /// The status of a module.
    ///
    /// # Errors
    /// Its status cannot be read.
    pub fn module(&self, module: &ModuleId) -> Answer<Option<ModuleStatus>> {
        self.read(&tree::status_path(module))
    }

    /// The status of a module on one host.
    ///
    /// # Errors
    /// The module's status cannot be read.
    pub fn deployment(&self, deployment: &Deployment) -> Answer<Option<HostStatus>> {
        Ok(self.module(&deployment.module)?.and_then(|mut status| status.hosts.remove(&deployment.host)))
    }

    /// The status of a host.
    ///
    /// # Errors
    /// Its status cannot be read.
    pub fn host(&self, host: &HostName) -> Answer<Option<HostRecord>> {
        self.read(&tree::host_path(host))
    }

    /// The files here that the fold of an event which follows reads.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn files(&self, event: &Event) -> Answer<Files> {
        let mut files = Files::new();
        for path in fold::reads(event) {
            if let Some(bytes) = self.bytes(&path)? {
                files.insert(path, bytes);
            }
        }
        Ok(files)
    }

    /// Every module that the record knows, by name.
    ///
    /// # Errors
    /// A status cannot be read.
    pub fn modules(&self) -> Answer<Vec<ModuleStatus>> {
        self.in_folder("modules", ".status.json", tree::status_path)
    }

    /// What people were told of a deployment.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn alarms(&self, deployment: &Deployment) -> Answer<Option<Alarms>> {
        self.read(&tree::alarms_path(deployment))
    }

    /// What people were told of every deployment, by name.
    ///
    /// # Errors
    /// Something of it cannot be read.
    pub fn all_alarms(&self) -> Answer<Vec<Alarms>> {
        self.in_folder("alarms", ".json", |deployment: &Deployment| tree::alarms_path(deployment))
    }

    /// Every open run, the oldest first.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn open_runs(&self) -> Answer<Vec<OpenRun>> {
        self.in_folder("runs/open", ".json", |run: &RunId| tree::open_path(run))
    }

    /// An open run.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open_run(&self, run: &RunId) -> Answer<Option<OpenRun>> {
        self.read(&tree::open_path(run))
    }

    /// The record that opened a run, and its event; `None` if it is not in the chain below this one.
    ///
    /// # Errors
    /// A record on the way cannot be read.
    pub fn intent_of(&self, open: &OpenRun) -> Answer<Option<(Oid, Event)>> {
        let mut next = Some(self.tip);
        while let Some(id) = next {
            let event = State::at(self.source, id)?.event()?;
            if event.seq <= open.fence {
                return Ok((event.seq == open.fence).then_some((id, event)));
            }
            next = self.source.commit(id)?.parents.first().copied();
        }
        Ok(None)
    }

    fn in_folder<N: std::str::FromStr, T: DeserializeOwned>(
        &self,
        folder: &str,
        suffix: &str,
        path: impl Fn(&N) -> String,
    ) -> Answer<Vec<T>> {
        let folder: RepoPath = folder.parse().map_err(|error| broken(folder).because(Box::new(error)))?;
        let mut found = Vec::new();
        for (name, _) in self.source.names(self.tree, Some(&folder))? {
            let name = String::from_utf8(name).ok();
            let name = name.as_deref().and_then(|name| name.strip_suffix(suffix)?.parse::<N>().ok());
            let Some(name) = name else {
                return Err(broken(folder.as_str()));
            };
            found.extend(self.read(&path(&name))?);
        }
        Ok(found)
    }
}

fn broken(path: &str) -> PortError {
    PortError::new(
        Code::StateInvalid,
        format!("`{}` in refs/platform/state is not what platformctl writes", text::shown(path)),
        "platformctl verify reports since when; `platformctl help recovery` explains what to do",
    )
}
