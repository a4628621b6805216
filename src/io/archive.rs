//! Tar archives, written and never read: the host's own tar unpacks them, and the host checks what it got.

use std::io::{self, Write};

use crate::port::{Answer, Member, PortError};

/// Why an archive is not complete.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The other side stopped reading, or a path does not fit.
    #[error("writing the archive failed")]
    Write(#[from] io::Error),
    /// A member could not be had.
    #[error("a file of the delivery could not be read")]
    Member(#[source] PortError),
}

/// Writes members in the order given, byte for byte the same every time: no owner, no time. One member is in memory at
/// a time.
///
/// # Errors
/// The archive is then without its end mark.
pub fn write(to: &mut dyn Write, members: &mut dyn Iterator<Item = Answer<Member>>) -> Result<(), ArchiveError> {
    let mut tar = tar::Builder::new(to);
    for member in members {
        let member = match member {
            Ok(member) => member,
            Err(error) => {
                // Dropping the builder would write the end mark and make half a delivery look complete.
                std::mem::forget(tar);
                return Err(ArchiveError::Member(error));
            }
        };
        let mut header = tar::Header::new_gnu();
        header.set_size(member.bytes.len() as u64);
        header.set_mode(member.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, &member.path, member.bytes.as_slice())?;
    }
    tar.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::refusal::Code;

    fn member(path: &str) -> Answer<Member> {
        Ok(Member { path: path.to_owned(), mode: 0o644, bytes: b"x".to_vec() })
    }

    #[test]
    fn archives_are_reproducible() {
        let mut one = Vec::new();
        let mut two = Vec::new();
        write(&mut one, &mut [member("a"), member("b")].into_iter()).unwrap();
        write(&mut two, &mut [member("a"), member("b")].into_iter()).unwrap();
        assert_eq!(one, two);
    }

    #[test]
    fn truncated_archive_has_no_end_mark() {
        let mut out = Vec::new();
        let broken = Err(PortError::new(Code::Io, "gone", ""));
        assert!(write(&mut out, &mut [member("a"), broken].into_iter()).is_err());
        assert_eq!(out.len(), 1024, "one header, one block, no end mark");
    }
}
