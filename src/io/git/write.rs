//! The local side of the record: objects, refs and notes, durable before the call returns.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "files are written in src/io/")]

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::PathBuf,
};

use gix::{
    bstr::BStr,
    objs::{Kind, Tree, TreeRef, WriteTo as _, tree::EntryKind},
};

use super::{Git, failed, ours, person, refs, theirs};
use crate::{
    io::{process, runner},
    model::{ids::Oid, refusal::Code, time::Timestamp, via::Via},
    port::{Answer, Guard, Ledger, NewCommit, PortError, Sign, TreeEdit},
};

const STATE: &str = "refs/platform/state";

/// A locked file; the lock goes with it.
#[derive(Debug)]
struct Locked(#[expect(dead_code, reason = "held for its lock")] File);
impl Guard for Locked {}

/// The trees of the record for the editor: checked like all that is read, and those of the last record from memory.
struct Trees<'a>(&'a Git);

impl gix::objs::Find for Trees<'_> {
    fn try_find<'a>(&self, id: &gix::oid, buffer: &'a mut Vec<u8>) -> gix::Result<Option<gix::objs::Data<'a>>> {
        let id = ours(id).map_err(gix::Error::from_error)?;
        *buffer = self.0.tree(id).map_err(gix::Error::from_error)?;
        Ok(Some(gix::objs::Data { kind: Kind::Tree, object_hash: gix::hash::Kind::Sha1, data: buffer }))
    }
}

impl Git {
    /// Applies edits to a tree and hands every object that is new to `keep`.
    fn edited(&self, tree: Option<Oid>, edits: &[TreeEdit], keep: &mut dyn FnMut(Oid, Kind, Vec<u8>)) -> Answer<Oid> {
        let data = tree.map(|tree| self.tree(tree)).transpose()?.unwrap_or_default();
        let root: Tree = TreeRef::from_bytes(&data, gix::hash::Kind::Sha1)
            .map_err(failed("could not read the tree of the record"))?
            .into_owned();
        let trees = Trees(self);
        let mut editor = gix::objs::tree::Editor::new(root, &trees, gix::hash::Kind::Sha1);
        for edit in edits {
            let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
            let changed = match edit {
                TreeEdit::Put(path, bytes) => {
                    let id = hash(Kind::Blob, bytes)?;
                    keep(id, Kind::Blob, bytes.clone());
                    let parts = parts(path);
                    let parts = parts.iter().map(|part| BStr::new(part.as_bytes()));
                    editor.upsert(parts, EntryKind::Blob, theirs(id))
                }
                TreeEdit::Place(path, id) => {
                    let parts = parts(path);
                    let parts = parts.iter().map(|part| BStr::new(part.as_bytes()));
                    editor.upsert(parts, EntryKind::Blob, theirs(*id))
                }
                TreeEdit::Remove(path) => {
                    let parts = parts(path);
                    editor.remove(parts.iter().map(|part| BStr::new(part.as_bytes())))
                }
            };
            changed.map_err(failed("could not change the tree of the record"))?;
        }
        let id = editor.write(|tree| -> Answer<gix::ObjectId> {
            let mut bytes = Vec::new();
            tree.write_to(&mut bytes).map_err(failed("could not write a tree"))?;
            let id = hash(Kind::Tree, &bytes)?;
            keep(id, Kind::Tree, bytes);
            Ok(theirs(id))
        })?;
        ours(id)
    }

    /// Writes what is pending, durably.
    fn flush(&self) -> io::Result<()> {
        let written = std::mem::take(&mut *self.pending.borrow_mut());
        self.write_loose(&written)?;
        for (id, kind, bytes) in &written {
            self.known.put(*id, *kind, bytes);
        }
        Ok(())
    }

    fn note_path(&self, name: &str) -> Answer<PathBuf> {
        let fits = name.split('/').count() <= 2
            && name.split('/').all(|part| {
                !part.is_empty()
                    && !part.starts_with('.')
                    && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
            });
        if fits {
            return Ok(self.own_dir().join(name));
        }
        Err(PortError::new(Code::Bug, format!("`{name}` is not a name of a note"), "please report this"))
    }

    fn sign(&self, payload: &[u8], sign: Sign) -> Answer<Option<String>> {
        let config = self.repo.config_snapshot();
        let ssh = config.string("gpg.format").is_some_and(|format| format.as_slice() == b"ssh");
        let key = config.string("user.signingKey").map(|key| key.to_string());
        let wanted = sign == Sign::Required || (ssh && config.boolean("commit.gpgSign") == Some(true));
        if !wanted {
            return Ok(None);
        }
        let missing = || {
            PortError::new(
                Code::SigningKeyMissing,
                "records must be signed and git is not set up to sign with ssh",
                "git config gpg.format ssh && git config user.signingKey ~/.ssh/id_ed25519.pub",
            )
        };
        let key = key.filter(|_| ssh).ok_or_else(missing)?;
        let scratch = tempfile::tempdir().map_err(failed("could not make a temporary folder"))?;
        let home = self.env.get("HOME").unwrap_or_default();
        let file = match key.strip_prefix("key::").or_else(|| key.starts_with("ssh-").then_some(key.as_str())) {
            Some(literal) => {
                let file = scratch.path().join("key.pub");
                fs::write(&file, literal).map_err(failed("could not write the public key"))?;
                file
            }
            None => key.strip_prefix("~/").map_or_else(|| PathBuf::from(&key), |rest| PathBuf::from(home).join(rest)),
        };
        let program = config.string("gpg.ssh.program").map_or("ssh-keygen".to_owned(), |p| p.to_string());
        let mut command = self.env.child(&program);
        command.args(["-Y", "sign", "-n", "git", "-f"]).arg(file);
        let done = process::run_with(command, payload.to_vec(), &process::Limits::default())?;
        let pem = String::from_utf8(done.stdout).ok().filter(|pem| pem.starts_with("-----BEGIN SSH SIGNATURE"));
        match pem {
            Some(pem) if done.rc == Some(0) => Ok(Some(pem.trim_end().to_owned())),
            _ => Err(missing()),
        }
    }
}

fn hash(kind: Kind, bytes: &[u8]) -> Answer<Oid> {
    ours(gix::objs::compute_hash(gix::hash::Kind::Sha1, kind, bytes).map_err(failed("could not hash an object"))?)
}

impl Ledger for Git {
    fn tip(&self) -> Answer<Option<Oid>> {
        self.ref_target(STATE)
    }

    fn fetched(&self) -> Answer<Option<Oid>> {
        self.ref_target(&format!("refs/platformctl/{}/state", self.remote))
    }

    fn base(&self) -> Answer<Option<(Oid, Timestamp)>> {
        let name = format!("refs/platformctl/{}/base", self.remote);
        let Some(id) = self.ref_target(&name)? else {
            return Ok(None);
        };
        // When, and which branch.
        let noted = self.note("fetched-at")?.and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
        let (at, branch) = noted.trim().split_once(' ').unwrap_or((noted.trim(), ""));
        if self.base.as_ref().is_some_and(|base| !branch.is_empty() && base != branch) {
            return Ok(None);
        }
        Ok(Some((id, at.parse().unwrap_or(Timestamp::from_unix_s(0)))))
    }

    fn tree_id(&self, tree: Option<Oid>, edits: &[TreeEdit]) -> Answer<Oid> {
        self.edited(tree, edits, &mut |_, _, _| {})
    }

    fn write_tree(&self, tree: Option<Oid>, edits: &[TreeEdit]) -> Answer<Oid> {
        let mut pending = self.pending.borrow_mut();
        self.edited(tree, edits, &mut |id, kind, bytes| {
            pending.push((id, kind, bytes));
        })
    }

    fn write_commit(&self, commit: &NewCommit) -> Answer<Oid> {
        let seconds = commit.time.unix_s();
        let (name, email) = &commit.author;
        // Cleaned once, where it is asked for: cleaned here again, event and commit could differ.
        if [name, email].into_iter().any(|text| *text != person::clean(text)) {
            return Err(PortError::new(
                Code::Bug,
                "the author of a record is not written as git writes it",
                "please report this",
            ));
        }
        let mut head = format!("tree {}\n", commit.tree);
        for parent in &commit.parents {
            head += &format!("parent {parent}\n");
        }
        head += &format!("author {name} <{email}> {seconds} +0000\n");
        head += &format!("committer platformctl <platformctl@localhost> {seconds} +0000\n");
        let payload = format!("{head}\n{}", commit.message);
        let raw = match self.sign(payload.as_bytes(), commit.sign)? {
            Some(pem) => format!("{head}gpgsig {}\n\n{}", pem.replace('\n', "\n "), commit.message),
            None => payload,
        };
        let id = hash(Kind::Commit, raw.as_bytes())?;
        self.pending.borrow_mut().push((id, Kind::Commit, raw.into_bytes()));
        self.flush().map_err(failed("could not write the record to the object database"))?;
        Ok(id)
    }

    fn advance(&self, old: Option<Oid>, new: Oid) -> Answer<bool> {
        let commit = crate::port::Source::commit(self, new)?;
        let time = Timestamp::from_unix_s(commit.committed_unix_s);
        let line = refs::reflog_line(&commit.author, time, "platformctl: record");
        self.move_ref(STATE, old, new, Some(&line))
    }

    fn keep(&self, id: Oid) -> Answer<()> {
        let name = format!("refs/platformctl/keep/{id}");
        if self.ref_target(&name)?.is_none() {
            self.move_ref(&name, None, id, None)?;
        }
        Ok(())
    }

    fn note(&self, name: &str) -> Answer<Option<Vec<u8>>> {
        match fs::read(self.note_path(name)?) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed::<io::Error>(format!("could not read the note {name}"))(error)),
        }
    }

    fn notes(&self, folder: &str) -> Answer<Vec<String>> {
        let entries = match fs::read_dir(self.note_path(folder)?) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed::<io::Error>("could not list notes")(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed("could not list notes"))?;
            names.extend(entry.file_name().into_string().ok().filter(|name| !name.starts_with('.')));
        }
        names.sort();
        Ok(names)
    }

    fn set_note(&self, name: &str, bytes: Option<&[u8]>) -> Answer<()> {
        let path = self.note_path(name)?;
        let folder = path.parent().unwrap_or(&path).to_owned();
        let write = || -> io::Result<()> {
            fs::create_dir_all(&folder)?;
            match bytes {
                Some(bytes) => {
                    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
                    file.write_all(bytes)?;
                    file.as_file().sync_all()?;
                    file.persist(&path)?;
                }
                None => match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    Ok(()) | Err(_) => {}
                },
            }
            refs::fsync(&folder)
        };
        write().map_err(failed(format!("could not write the note {name}")))
    }

    fn lock(&self, name: &str, wait_ms: u64) -> Answer<Box<dyn Guard>> {
        let path = self.note_path(&format!("locks/{name}"))?;
        let what = "could not take a lock of this repository";
        fs::create_dir_all(self.own_dir().join("locks")).map_err(failed(what))?;
        let file = File::options().create(true).append(true).open(path).map_err(failed(what))?;
        let mut waited = 0;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Box::new(Locked(file))),
                Err(fs::TryLockError::WouldBlock) if waited < wait_ms => {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    waited += 20;
                }
                Err(fs::TryLockError::WouldBlock) => {
                    return Err(PortError::new(
                        Code::Busy,
                        format!("another platformctl of this clone works on {name}"),
                        "wait for it to end, then run the same command again",
                    ));
                }
                Err(fs::TryLockError::Error(error)) => {
                    return Err(failed::<io::Error>(what)(error));
                }
            }
        }
    }

    fn actor(&self) -> Answer<(String, String)> {
        person::actor(&self.env, &self.repo.config_snapshot())
    }

    fn via(&self) -> Option<Via> {
        runner::via(&self.env)
    }
}
