//! The checkout: what lies on disk, hashed as it is. The index is never asked.
#![expect(clippy::disallowed_methods, reason = "files are read in src/io/")]

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

use gix::objs::Kind;

use super::{Git, failed, ours};
use crate::{
    model::{ids::Oid, path::RepoPath},
    port::{Answer, Checkout, Entry, Mode, OnDisk},
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
            let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, Kind::Blob, &bytes)
                .map_err(failed(what))?;
            let executable = meta.permissions().mode() & 0o100 != 0;
            let mode = if executable {
                Mode::Executable
            } else {
                Mode::File
            };
            return Ok(OnDisk::File(Entry {
                mode,
                id: ours(id)?,
            }));
        }
        Ok(OnDisk::Other)
    }

    fn files_below(&self, folder: &RepoPath) -> Answer<Vec<Vec<u8>>> {
        let Some(root) = self.repo.workdir() else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        walk(
            &root.join(folder.as_str()),
            folder.as_str().as_bytes(),
            &mut found,
        )
        .map_err(failed(format!("could not list {folder}")))?;
        found.sort();
        Ok(found)
    }
}

fn walk(dir: &Path, prefix: &[u8], found: &mut Vec<Vec<u8>>) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
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
