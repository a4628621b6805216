//! Loose objects, written as git reads them, and durable before the call returns.
//!
//! Of gix's own writer nothing is synced, it moves a file to its name before its content is on disk, and it sets up a
//! compressor of a quarter of a megabyte for every object of some hundred bytes.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "files are written in src/io/")]

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use gix::{
    objs::{Kind, encode::loose_header},
    zlib::{Compression, stream::deflate},
};
use tempfile::NamedTempFile;

use super::{Git, refs};
use crate::model::ids::Oid;

/// Up to this size an object is stored as it is: it takes one block of the disk either way, and `git maintenance` packs
/// it later.
const STORED_MAX: usize = 4_000;

impl Git {
    /// Writes objects and makes them and their folders durable. An object has its name only when its content is on
    /// disk: a crash leaves no torn object that is taken for a whole one later. All are written before the first is
    /// made durable: a journal may then commit them together.
    ///
    /// None is looked for first: objects of a record are new, and one that is there may have been written by who did
    /// not sync it.
    pub(super) fn write_loose(&self, written: &[(Oid, Kind, Vec<u8>)]) -> io::Result<()> {
        let objects = self.repo.common_dir().join("objects");
        let mut files = Vec::new();
        let mut folders = BTreeSet::new();
        let mut new_folder = false;
        for (id, kind, bytes) in written {
            let hex = id.to_string();
            let folder = objects.join(&hex[..2]);
            let path = folder.join(&hex[2..]);
            let mut file = match temporary(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    new_folder = true;
                    fs::create_dir(&folder).or_else(|error| if folder.is_dir() { Ok(()) } else { Err(error) })?;
                    temporary(&folder)?
                }
                file => file?,
            };
            file.write_all(&encoded(*kind, bytes)?)?;
            files.push((file, path));
            folders.insert(folder);
        }
        for (file, _) in &files {
            file.as_file().sync_all()?;
        }
        for (file, path) in files {
            file.persist(path)?;
        }
        folders.iter().try_for_each(|folder| refs::fsync(folder))?;
        if new_folder {
            refs::fsync(&objects)?;
        }
        Ok(())
    }
}

/// Writes one object of a scratch repository, which is not needed after a crash.
pub(super) fn write(objects: &Path, id: Oid, kind: Kind, bytes: &[u8]) -> io::Result<()> {
    let hex = id.to_string();
    let folder = objects.join(&hex[..2]);
    fs::create_dir_all(&folder)?;
    fs::File::create(folder.join(&hex[2..]))?.write_all(&encoded(kind, bytes)?)
}

/// A file that is not an object yet, named so that `git prune` removes what a crash left.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix("tmp_obj_").permissions(Permissions::from_mode(0o444)).tempfile_in(folder)
}

/// The bytes of a loose object: a zlib stream (RFC 1950) of its header and content.
fn encoded(kind: Kind, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let header = loose_header(kind, bytes.len() as u64);
    let plain = [header.as_slice(), bytes].concat();
    if plain.len() > STORED_MAX {
        let mut stream = deflate::Write::new(Vec::new(), Compression::BEST_SPEED);
        stream.write_all(&plain)?;
        stream.flush()?;
        return Ok(stream.into_inner());
    }
    // One final stored block (RFC 1951, 3.2.4), what `core.looseCompression=0` gives.
    let [low, high] = (plain.len() as u16).to_le_bytes();
    let mut stream = vec![0x78, 0x01, 0x01, low, high, !low, !high];
    stream.extend_from_slice(&plain);
    stream.extend_from_slice(&adler32(&plain).to_be_bytes());
    Ok(stream)
}

/// The checksum of RFC 1950, for at most [`STORED_MAX`] bytes: sums of so few need one division at the end.
fn adler32(bytes: &[u8]) -> u32 {
    const BASE: u32 = 65_521;
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| (a + u32::from(*byte), b + a + u32::from(*byte)));
    ((b % BASE) << 16) | (a % BASE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adler32_matches_the_rfc() {
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        // The largest sum that can be: it fits.
        assert!(255 * STORED_MAX as u64 * (STORED_MAX as u64 + 1) / 2 + (STORED_MAX as u64) < u64::from(u32::MAX));
    }
}
