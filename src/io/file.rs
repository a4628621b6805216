//! Files that a person names on the command line.
#![expect(clippy::disallowed_types, reason = "files are read and written in src/io/")]

use std::{
    fs::{self, FileType},
    io::{self, Read as _, Write as _},
    os::unix::fs::FileTypeExt as _,
    path::Path,
};

use rustix::fs::{Mode, OFlags};

use crate::{
    model::{refusal::Code, text},
    port::{Answer, PortError},
};

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> PortError {
    let what = format!("could not {what} {}", text::shown(&path.display().to_string()));
    move |error| PortError::new(Code::Usage, what, "check the path and its permissions").because(error)
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

/// Reads at most the first `limit_bytes` of a file.
///
/// # Errors
/// It cannot be read.
pub fn beginning(path: &Path, limit_bytes: u64) -> Answer<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed("open", path))?;
    file.take(limit_bytes).read_to_end(&mut bytes).map_err(failed("read", path))?;
    Ok(bytes)
}

/// Writes a file in one step: there is the old one or the new one, never half of it. What is there and is no regular
/// file is never replaced: standard output and error by their names, FIFOs and character devices are written to,
/// anything else is refused.
///
/// # Errors
/// It cannot be written, or is a link, a folder, a socket or a block device.
pub fn write(path: &Path, bytes: &[u8]) -> Answer<()> {
    match path.to_str() {
        Some("/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1") => return printed(path, &mut io::stdout().lock(), bytes),
        Some("/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2") => return printed(path, &mut io::stderr().lock(), bytes),
        Some(_) | None => {}
    }
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_file() => replaced(path, bytes, true),
        Ok(there) if is_stream(there.file_type()) => streamed(path, bytes),
        // As `>(command)` of a shell names a pipe.
        Ok(there) if there.is_symlink() && fs::metadata(path).is_ok_and(|there| is_stream(there.file_type())) => {
            streamed(path, bytes)
        }
        Ok(there) => Err(kept(path, there.file_type())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => replaced(path, bytes, false),
        Err(error) => Err(failed("write", path)(error)),
    }
}

fn is_stream(kind: FileType) -> bool {
    kind.is_fifo() || kind.is_char_device()
}

fn kept(path: &Path, kind: FileType) -> PortError {
    let shown = text::shown(&path.display().to_string());
    let target = fs::read_link(path).map(|target| text::shown(&target.display().to_string()));
    let (what, fix) = match target {
        Ok(target) => (format!("a link to {target}"), format!("name the file itself: {target}")),
        Err(_) if kind.is_dir() => ("a folder".to_owned(), "name a file in it".to_owned()),
        Err(_) => ("no regular file".to_owned(), "name another file".to_owned()),
    };
    PortError::new(Code::Usage, format!("{shown} is {what}, and is not replaced"), fix)
}

fn printed(path: &Path, to: &mut dyn io::Write, bytes: &[u8]) -> Answer<()> {
    to.write_all(bytes).and_then(|()| to.flush()).map_err(failed("write", path))
}

/// Puts a file at its place, over an old one if `over`.
fn replaced(path: &Path, bytes: &[u8], over: bool) -> Answer<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let done = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        // If nothing existed, whatever was created there meanwhile stays.
        if over {
            file.persist(path)?
        } else {
            file.persist_noclobber(path)?
        };
        Ok(())
    };
    done().map_err(failed("write", path))
}

/// Writes to a file that has a reader.
fn streamed(path: &Path, bytes: &[u8]) -> Answer<()> {
    let done = || -> io::Result<()> {
        // Without waiting for a reader that may never come.
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = fs::File::from(rustix::fs::open(path, flags, Mode::empty())?);
        if !is_stream(file.metadata()?.file_type()) {
            return Err(io::Error::other("it is another file now"));
        }
        rustix::fs::fcntl_setfl(&file, rustix::fs::fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
        (&file).write_all(bytes)
    };
    done().map_err(|error| {
        if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) {
            let what = format!("no process reads from {}", text::shown(&path.display().to_string()));
            return PortError::new(Code::Usage, what, "start the reader first, or name a file").because(error);
        }
        failed("write", path)(error)
    })
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
