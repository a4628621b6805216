//! A branch of new files, made of objects alone: the checkout and the index are left as they are.
#![expect(clippy::disallowed_methods, reason = "files are written in src/io/")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use gix::objs::tree::EntryKind;

use super::{Git, failed, ours};
use crate::{
    model::{refusal::Code, text, time::Timestamp},
    port::{Answer, Ledger as _, NewBranch, NewFile, PortError},
};

impl Git {
    /// Makes a branch of HEAD and those of `files` that are not there yet; `None` if all of them are.
    ///
    /// # Errors
    /// There is such a branch, or it cannot be written.
    pub fn new_branch(
        &self,
        name: &str,
        files: &[NewFile],
        message: &str,
        now: Timestamp,
    ) -> Answer<Option<NewBranch>> {
        let full = format!("refs/heads/{name}");
        gix::validate::reference::name(full.as_str().into()).map_err(|error| {
            let what = format!("`{}` is not a name of a branch", text::shown(name));
            PortError::new(Code::Usage, what, "give another: --branch NAME").because(error)
        })?;
        if self.ref_target(&full)?.is_some() {
            let what = format!("the branch `{name}` exists already and was not changed");
            return Err(PortError::new(Code::Usage, what, "give another: --branch NAME"));
        }
        let what = || failed("could not make the branch");
        let head = self.repo.head().map_err(what())?.into_peeled_id().ok();
        let tree = match &head {
            Some(id) => id.object().map_err(what())?.peel_to_tree().map_err(what())?.id,
            None => gix::ObjectId::empty_tree(gix::hash::Kind::Sha1),
        };
        let old = self.repo.find_tree(tree).map_err(what())?;
        let mut editor = self.repo.edit_tree(tree).map_err(what())?;
        let (mut added, mut kept) = (Vec::new(), Vec::new());
        for file in files {
            if old.lookup_entry_by_path(file.path).map_err(what())?.is_some() {
                kept.push(file.path);
                continue;
            }
            let blob = self.repo.write_blob(&file.text).map_err(what())?;
            let kind = if file.executable { EntryKind::BlobExecutable } else { EntryKind::Blob };
            editor.upsert(file.path, kind, blob).map_err(what())?;
            added.push(file.path);
        }
        if added.is_empty() {
            return Ok(None);
        }
        let tree = editor.write().map_err(what())?;
        let (name, email) = self.actor()?;
        let who = gix::actor::Signature {
            name: name.into(),
            email: email.into(),
            time: gix::date::Time::new(now.unix_s(), 0),
        };
        let commit = gix::objs::Commit {
            tree: tree.detach(),
            parents: head.into_iter().map(gix::Id::detach).collect(),
            author: who.clone(),
            committer: who,
            encoding: None,
            message: message.into(),
            extra_headers: Vec::new(),
        };
        let id = ours(self.repo.write_object(&commit).map_err(what())?)?;
        if !self.move_ref(&full, None, id, None)? {
            return Err(PortError::new(
                Code::Contention,
                "another process made the branch",
                "list the branches: git branch",
            ));
        }
        Ok(Some(NewBranch { commit: id, added, kept }))
    }

    /// Where git looks for the hook `name`.
    pub fn hook_path(&self, name: &str) -> PathBuf {
        let configured = self.setting("core.hooksPath").map(PathBuf::from);
        let folder = match configured {
            Some(path) if path.is_absolute() => path,
            Some(path) => self.work_dir().unwrap_or_else(|| self.common_dir()).join(path),
            None => self.common_dir().join("hooks"),
        };
        folder.join(name)
    }

    /// Writes a hook that is not there yet. `Ok(false)`: another one is there, and is left as it is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn install_hook(&self, name: &str, text: &str) -> Answer<bool> {
        let path = self.hook_path(name);
        match fs::read_to_string(&path) {
            Ok(there) => Ok(there == text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let folder = path.parent().unwrap_or(Path::new("."));
                let write = || -> std::io::Result<()> {
                    fs::create_dir_all(folder)?;
                    fs::write(&path, text)?;
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                };
                write().map_err(failed("could not write the hook"))?;
                Ok(true)
            }
            Err(error) => Err(failed::<std::io::Error>("could not read the hook that is there")(error)),
        }
    }
}
