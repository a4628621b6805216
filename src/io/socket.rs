//! A private folder for the socket of an ssh connection.
#![expect(clippy::disallowed_methods, reason = "folders are made in src/io/")]
#![cfg_attr(test, expect(clippy::disallowed_types, reason = "a test makes a folder old"))]

use std::{
    fs,
    io::{Error, ErrorKind},
    path::Path,
    time::Duration,
};

use tempfile::TempDir;

use super::env::Env;

/// How the folders' names begin.
const PREFIX: &str = "pctl";
/// A place may have so many bytes: a socket's path has room for about a hundred, and ssh adds to it while it makes one.
const PLACE_BYTES_MAX: usize = 32;
/// After so many seconds a folder was left by a killed process.
const LEFT_S: u64 = 24 * 60 * 60;

/// Makes a folder with a short path of plain letters: ssh takes blanks and percent signs in a path for something else.
/// It goes away with the value.
///
/// # Errors
/// No place can be written to.
pub(super) fn folder(env: &Env) -> Result<TempDir, Error> {
    let places = [env.get("XDG_RUNTIME_DIR"), env.get("TMPDIR"), Some("/tmp")];
    let plain = |place: &&str| {
        place.starts_with('/')
            && place.len() <= PLACE_BYTES_MAX
            && place.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
    };
    let mut failed = Error::from(ErrorKind::NotFound);
    for place in places.into_iter().flatten().filter(plain) {
        match tempfile::Builder::new().prefix(PREFIX).tempdir_in(place) {
            Ok(folder) => {
                sweep(Path::new(place), folder.path());
                return Ok(folder);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Removes what kills left of this account. Whatever cannot be removed stays.
fn sweep(place: &Path, own: &Path) {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(uid) = fs::symlink_metadata(own).map(|own| own.uid()) else { return };
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let Ok(seen) = fs::symlink_metadata(entry.path()) else { continue };
        let old =
            seen.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > Duration::from_secs(LEFT_S));
        if ours && old && seen.is_dir() && seen.uid() == uid {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Env {
        Env::of(vars.iter().map(|(key, value)| ((*key).into(), (*value).into())), "/".into())
    }

    #[test]
    fn unusable_socket_folder_is_skipped() {
        for place in [
            "/nonexistent",
            "/proc/1",
            "/tmp/a b",
            "/tmp/a%n",
            "relative",
            "/tmp/a-very-long-path-that-has-no-room-left",
        ] {
            let made = folder(&env(&[("XDG_RUNTIME_DIR", place), ("TMPDIR", place)])).unwrap();
            assert!(made.path().starts_with("/tmp"), "{place}: {}", made.path().display());
        }
    }

    #[test]
    fn sockets_left_by_a_kill_are_removed_after_a_day() {
        let place = tempfile::Builder::new().prefix("s").tempdir_in("/tmp").unwrap();
        let path = |name: &str| place.path().join(name);
        for name in ["pctlOLD", "pctlNEW", "other"] {
            fs::create_dir(path(name)).unwrap();
        }
        let before = std::time::SystemTime::now() - Duration::from_secs(LEFT_S + 60);
        for name in ["pctlOLD", "other"] {
            fs::File::open(path(name)).unwrap().set_modified(before).unwrap();
        }
        let made = folder(&env(&[("TMPDIR", place.path().to_str().unwrap())])).unwrap();
        assert!(made.path().starts_with(place.path()));
        assert_eq!(["pctlOLD", "pctlNEW", "other"].map(|name| path(name).exists()), [false, true, true]);
    }
}
