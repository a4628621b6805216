//! Refs, moved by git's own protocol and with what git omits: the file and its folder are on disk before the call
//! returns.
//!
//! gix's own transaction has `packed-refs.lock` while it renames, and a kill leaves that file behind.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "files are written in src/io/")]

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    time::Duration,
};

use gix::{lock::acquire::Fail, objs::Kind};

use super::{Git, failed, ours};
use crate::{
    io::faults,
    model::{ids::Oid, time::Timestamp},
    port::Answer,
};

impl Git {
    /// What a ref points at now, read afresh, loose or packed.
    pub(super) fn ref_target(&self, name: &str) -> Answer<Option<Oid>> {
        let what = format!("could not read {name}");
        let found = self.repo.try_find_reference(name).map_err(failed(what.clone()))?;
        let Some(mut found) = found else {
            return Ok(None);
        };
        // A commit that was seen a moment ago needs no look at whether it is a tag.
        if let Some(id) = found.target().try_id().map(ours).transpose()?
            && self.known.look(id, |kind, _| kind == Kind::Commit) == Some(true)
        {
            return Ok(Some(id));
        }
        let id = found.peel_to_id().map_err(failed(what))?;
        ours(id).map(Some)
    }

    /// Moves a ref from `old` to `new` if it is at `old`; durable when it returns true.
    pub(super) fn move_ref(&self, name: &str, old: Option<Oid>, new: Oid, reflog: Option<&str>) -> Answer<bool> {
        let what = format!("could not move {name}");
        let path = self.repo.common_dir().join(name);
        let boundary = Some(self.repo.common_dir().join("refs"));
        let wait = Fail::AfterDurationWithBackoff(Duration::from_secs(2));
        let lock = gix::lock::File::acquire_to_update_resource(&path, wait, boundary, 0);
        let mut lock = lock.map_err(|error| {
            let mut held = path.clone().into_os_string();
            held.push(".lock");
            let held = std::path::PathBuf::from(held);
            // It exists now: another process has it. Otherwise it could not be created.
            if held.exists() { faults::locked(&what, &held) } else { failed(what.clone())(error) }
        })?;
        if self.ref_target(name)? != old {
            return Ok(false);
        }
        lock.with_mut(|file| {
            file.write_all(format!("{new}\n").as_bytes())?;
            file.sync_all()
        })
        .map_err(failed(what.clone()))?;
        lock.commit().map_err(|error| failed::<io::Error>(what.clone())(error.error))?;
        if let Some(folder) = path.parent() {
            fsync(folder).map_err(failed(what.clone()))?;
        }
        if let Some(line) = reflog {
            self.log_move(name, old, new, line).map_err(failed(what))?;
        }
        Ok(true)
    }

    /// git itself writes no reflog for refs outside of heads, remotes and notes.
    fn log_move(&self, name: &str, old: Option<Oid>, new: Oid, line: &str) -> io::Result<()> {
        let path = self.repo.common_dir().join("logs").join(name);
        let old = old.unwrap_or(Oid::from_bytes([0; 20]));
        let open = || OpenOptions::new().create(true).append(true).open(&path);
        let mut file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
                open()?
            }
            file => file?,
        };
        // One write: a line of a log is complete or missing.
        file.write_all(format!("{old} {new} {line}\n").as_bytes())
    }
}

/// The time and person part of a reflog line.
pub(super) fn reflog_line(actor: &(String, String), time: Timestamp, message: &str) -> String {
    let clean = |text: &str| text.replace(['<', '>', '\n', '\t'], " ");
    format!("{} <{}> {} +0000\t{}", clean(&actor.0), clean(&actor.1), time.unix_s(), clean(message))
}

/// Makes a file or folder durable.
pub(super) fn fsync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
