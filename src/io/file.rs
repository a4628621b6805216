//! Files that a person names on the command line.
#![expect(clippy::disallowed_types, reason = "files are read and written in src/io/")]

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
};

use crate::{
    model::{refusal::Code, text},
    port::{Answer, PortError},
};

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> PortError {
    let what = format!("could not {what} {}", text::shown(&path.display().to_string()));
    move |error| PortError::new(Code::Usage, what, "see that the path is right and you may use it").because(error)
}

/// Reads a file of at most `limit_bytes`.
///
/// # Errors
/// It cannot be read, or is larger.
pub fn read(path: &Path, limit_bytes: u64) -> Answer<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed("open", path))?;
    file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(failed("read", path))?;
    if bytes.len() as u64 > limit_bytes {
        return Err(failed("read", path)(io::Error::other(format!("it has more than {}", text::mib(limit_bytes)))));
    }
    Ok(bytes)
}

/// Writes a file in one step: there is the old one or the new one, never half of it.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Answer<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let done = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    done().map_err(failed("write", path))
}

/// Reads all of standard input, at most `limit_bytes`.
///
/// # Errors
/// It cannot be read, or is larger.
pub fn stdin(limit_bytes: u64) -> Answer<Vec<u8>> {
    let mut bytes = Vec::new();
    let path = Path::new("standard input");
    io::stdin().lock().take(limit_bytes + 1).read_to_end(&mut bytes).map_err(failed("read", path))?;
    if bytes.len() as u64 > limit_bytes {
        return Err(failed("read", path)(io::Error::other(format!("it has more than {}", text::mib(limit_bytes)))));
    }
    Ok(bytes)
}
