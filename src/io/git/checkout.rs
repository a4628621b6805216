//! The checkout: the files on disk, hashed as they are. The index is never asked.
#![expect(clippy::disallowed_methods, reason = "files are read in src/io/")]

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::Path,
};

use gix::{
    bstr::ByteSlice as _,
    objs::{Kind, tree::EntryKind},
};

use super::{Git, failed, ours};
use crate::{
    io::process::{self, Limits},
    model::{ids::Oid, path::RepoPath, refusal::Code},
    port::{Answer, Checkout, Entry, Mode, OnDisk, PortError},
};

impl Checkout for Git {
    fn head(&self) -> Answer<Option<Oid>> {
        if self.repo.workdir().is_none() {
            return Ok(None);
        }
        let id = self.repo.head_id().map_err(failed("could not read HEAD"))?;
        ours(id).map(Some)
    }

    fn on_disk(&self, path: &RepoPath) -> Answer<OnDisk> {
        let Some(root) = self.repo.workdir() else {
            return Ok(OnDisk::Absent);
        };
        let mut here = root.to_owned();
        let mut parts = path.as_str().split('/').peekable();
        while let Some(part) = parts.next() {
            here.push(part);
            let what = format!("could not look at {path}");
            let meta = match fs::symlink_metadata(&here) {
                Ok(meta) => meta,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(OnDisk::Absent),
                Err(error) => return Err(failed::<io::Error>(what)(error)),
            };
            if parts.peek().is_some() {
                // A folder that is a link leads somewhere else.
                if !meta.is_dir() {
                    return Ok(OnDisk::Other);
                }
                continue;
            }
            if !meta.is_file() {
                return Ok(OnDisk::Other);
            }
            let bytes = fs::read(&here).map_err(failed(what.clone()))?;
            let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, Kind::Blob, &bytes).map_err(failed(what))?;
            let executable = meta.permissions().mode() & 0o100 != 0;
            let mode = if executable { Mode::Executable } else { Mode::File };
            return Ok(OnDisk::File(Entry { mode, id: ours(id)? }));
        }
        Ok(OnDisk::Other)
    }

    fn files_below(&self, folder: &RepoPath) -> Answer<Vec<Vec<u8>>> {
        let Some(root) = self.repo.workdir() else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        walk(&root.join(folder.as_str()), folder.as_str().as_bytes(), &mut found)
            .map_err(failed(format!("could not list {folder}")))?;
        found.sort();
        Ok(found)
    }
}

impl Git {
    /// The commit of HEAD; `None` where there is none yet.
    ///
    /// # Errors
    /// HEAD cannot be read.
    pub fn head_commit(&self) -> Answer<Option<Oid>> {
        let head = self.repo.head().map_err(failed("could not read HEAD"))?;
        head.into_peeled_id().ok().map(ours).transpose()
    }

    /// Whether this clone knows that a remote has a branch, from a fetch or push of anybody's.
    ///
    /// # Errors
    /// Refs cannot be read.
    pub fn tracks(&self, remote: &str, branch: &str) -> Answer<bool> {
        let usual = self.ref_target(&format!("refs/remotes/{remote}/{branch}"))?;
        Ok(usual.is_some() || self.ref_target(&format!("refs/platformctl/{remote}/base"))?.is_some())
    }

    /// The tree of the files on disk now: tracked files and untracked ones that are not ignored. It is kept in memory;
    /// nothing is written.
    ///
    /// # Errors
    /// A bare repository, or files that cannot be read.
    pub fn snapshot(&self) -> Answer<Oid> {
        let Some(root) = self.repo.workdir() else {
            return Err(PortError::new(
                Code::Usage,
                "a bare repository has no files on disk",
                "name a version: --at main",
            ));
        };
        let what = || failed("could not take in the files on disk");
        let unread = || failed("could not read the files on disk");
        let mut editor = self.view.edit_tree(gix::ObjectId::empty_tree(gix::hash::Kind::Sha1)).map_err(what())?;
        for path in self.tracked(root)? {
            let full = root.join(OsStr::from_bytes(&path));
            // Tracked and removed on disk: not there.
            let Ok(meta) = fs::symlink_metadata(&full) else {
                continue;
            };
            let (kind, bytes) = if meta.is_symlink() {
                let target = fs::read_link(&full).map_err(unread())?;
                (EntryKind::Link, target.as_os_str().as_bytes().to_vec())
            } else if meta.is_file() {
                let executable = meta.permissions().mode() & 0o100 != 0;
                let kind = if executable { EntryKind::BlobExecutable } else { EntryKind::Blob };
                (kind, fs::read(&full).map_err(unread())?)
            } else {
                (EntryKind::Commit, Vec::new())
            };
            let id = self.view.write_blob(&bytes).map_err(what())?;
            editor.upsert(path.as_bstr(), kind, id).map_err(what())?;
        }
        ours(editor.write().map_err(what())?)
    }

    fn tracked(&self, root: &Path) -> Answer<Vec<Vec<u8>>> {
        let mut command = self.env.child("git");
        // By name: where one stands, git asks for the owner and for `safe.bareRepository`, which were judged when it
        // was opened.
        command.arg(format!("--git-dir={}", self.repo.git_dir().display()));
        command.arg(format!("--work-tree={}", root.display())).arg("-C").arg(root).args([
            "-c",
            "core.fsmonitor=false",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--deduplicate",
        ]);
        let done = process::run(command, &Limits::default())?;
        if done.rc != Some(0) {
            let said = crate::model::text::escaped_bytes(&done.stderr);
            return Err(failed::<String>("could not list the files of the checkout")(said));
        }
        let paths = done.stdout.split(|b| *b == 0).filter(|path| !path.is_empty());
        Ok(paths.map(<[u8]>::to_vec).collect())
    }
}

fn walk(dir: &Path, prefix: &[u8], found: &mut Vec<Vec<u8>>) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let path = [prefix, b"/", entry.file_name().as_bytes()].concat();
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
