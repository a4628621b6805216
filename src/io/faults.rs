//! Faults of this machine's own disk and files, with their real cause.

use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    model::{refusal::Code, text},
    port::PortError,
};

/// A path for a message.
pub(super) fn path_shown(path: &Path) -> String {
    text::shown(&path.display().to_string())
}

/// A path as one word of a command that is pasted into a shell.
pub(super) fn command_word(path: &Path) -> String {
    let text = path.display().to_string();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&b)) {
        return text;
    }
    format!("'{}'", text::escaped_line(&text).replace('\'', "'\\''"))
}

/// An error of reading or writing this repository; `what` is the fragment that tells what could not be done.
pub(super) fn told(what: &str, error: Box<dyn Error + Send + Sync>) -> PortError {
    let kind = kind_of(error.as_ref());
    let (why, fix) = match kind {
        Some(io::ErrorKind::StorageFull) => (FULL, FREE),
        Some(io::ErrorKind::QuotaExceeded) => (QUOTA, FREE),
        Some(io::ErrorKind::ReadOnlyFilesystem) => (READ_ONLY, WRITABLE),
        Some(io::ErrorKind::PermissionDenied) => (DENIED, OWN),
        _ => return PortError::new(Code::Io, what, "run `git fsck`; if it is silent, try again").because(error),
    };
    PortError::new(Code::Io, format!("{what}: {why}"), fix).because(error)
}

/// The kind of the first error of reading or writing among an error and its causes.
fn kind_of(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind).filter(|kind| *kind != io::ErrorKind::Other);
    // An error of this type that contains another one does not name it as its cause.
    let held = || error.downcast_ref::<io::Error>().and_then(io::Error::get_ref).and_then(|held| kind_of(held));
    kind.or_else(held).or_else(|| error.source().and_then(kind_of))
}

const FULL: &str = "the disk is full";
const QUOTA: &str = "this account's disk quota is used up";
const READ_ONLY: &str = "the file system is read-only";
const DENIED: &str = "this account may not read or write there";
const FREE: &str = "free some space there, then run the same command again";
const WRITABLE: &str = "make it writable, then run the same command again";
const OWN: &str = "see whose files they are: ls -ld \"$(git rev-parse --git-common-dir)\"/*";

/// A lock file that another process has, or that a killed process left behind: named, with its age.
pub(super) fn locked(what: &str, lock: &Path) -> PortError {
    let age = fs::symlink_metadata(lock).and_then(|seen| seen.modified()).ok().and_then(|at| at.elapsed().ok());
    let since = age.map(|age| format!(", made {} ago", span(age.as_secs()))).unwrap_or_default();
    PortError::new(
        Code::Io,
        format!("{what}: {} is there{since}: git is at work, or was killed", path_shown(lock)),
        format!("if no git process works here: rm {}", command_word(lock)),
    )
}

fn span(seconds: u64) -> String {
    let (n, unit) = match seconds {
        0..=119 => (seconds, "second"),
        120..=7_199 => (seconds / 60, "minute"),
        7_200..=172_799 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{n} {unit}{}", if n == 1 { "" } else { "s" })
}

/// The same faults, as git reported them. Lines of the server are not about this machine.
pub(super) fn of_git(what: &str, stderr: &str) -> Option<PortError> {
    let own: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("remote:")).collect();
    if let Some(lock) = own.iter().find_map(|line| lock_of(line)) {
        return Some(locked(what, &lock));
    }
    let has = |needle: &str| own.iter().any(|line| line.contains(needle));
    let (why, fix) = if has("No space left on device") {
        (FULL, FREE)
    } else if has("Disk quota exceeded") {
        (QUOTA, FREE)
    } else if has("Read-only file system") {
        (READ_ONLY, WRITABLE)
    } else if has("insufficient permission for adding an object") || own.iter().any(|line| denied(line)) {
        (DENIED, OWN)
    } else {
        return None;
    };
    Some(PortError::new(Code::Io, format!("{what}: {why}"), fix))
}

/// `Unable to create '<path>.lock': File exists.`
fn lock_of(line: &str) -> Option<PathBuf> {
    let (_, rest) = line.split_once("nable to create '")?;
    let (path, why) = rest.split_once("': ")?;
    (path.ends_with(".lock") && why.starts_with("File exists")).then(|| PathBuf::from(path))
}

/// A file of this repository that may not be written; ssh's `Permission denied (publickey)` is the server's answer.
fn denied(line: &str) -> bool {
    line.trim_end().ends_with(": Permission denied")
        && ["nable to create", "cannot ", "could not ", "failed to "].iter().any(|verb| line.contains(verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_errors_are_classified() {
        let told = |code: i32| told("could not write the note x", io::Error::from_raw_os_error(code).into());
        assert_eq!(told(28).what, "could not write the note x: the disk is full");
        assert_eq!(told(122).what, "could not write the note x: this account's disk quota is used up");
        assert_eq!(told(30).what, "could not write the note x: the file system is read-only");
        assert!(told(13).what.ends_with("this account may not read or write there"));
        assert_eq!(told(5).what, "could not write the note x");
        let wrapped = io::Error::other(io::Error::from_raw_os_error(28));
        assert!(super::told("x", Box::new(wrapped)).what.ends_with("the disk is full"), "however deep it lies");
    }

    #[test]
    fn git_io_errors_are_reported_like_our_own() {
        let of = |stderr: &str| of_git("could not fetch", stderr).map(|error| error.what).unwrap_or_default();
        assert!(of("fatal: write error: No space left on device\n").ends_with("the disk is full"));
        assert!(
            of("error: cannot lock ref 'x': Unable to create '/nowhere/x.lock': File exists.\n\nAnother git process")
                .starts_with("could not fetch: /nowhere/x.lock is there")
        );
        assert!(
            of("error: insufficient permission for adding an object to repository database .git/objects\n")
                .ends_with("may not read or write there")
        );
        assert_eq!(of("remote: fatal: No space left on device\nfatal: gone\n"), "", "that is the server's disk");
        assert_eq!(of("git@forge: Permission denied (publickey).\n"), "");
        assert_eq!(
            [span(1), span(119), span(7_199), span(86_400)],
            ["1 second", "119 seconds", "119 minutes", "24 hours"]
        );
    }

    #[test]
    fn path_is_shell_quoted_as_one_word() {
        assert_eq!(command_word(Path::new("/srv/a b")), "'/srv/a b'");
        assert_eq!(command_word(Path::new("/srv/it's")), "'/srv/it'\\''s'");
        assert_eq!(command_word(Path::new("/srv/x.git")), "/srv/x.git");
    }
}
