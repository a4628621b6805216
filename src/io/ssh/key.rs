//! A private key that is given in a variable, as runners give secrets: it is in the memory of this process and in no
//! file, so nothing is left of it when the process is killed.
#![expect(clippy::disallowed_types, reason = "a file without a name holds the key")]

use std::{fs::File, io::Write as _, os::fd::AsRawFd as _};

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};

use super::local;
use crate::{
    io::env::{Env, SSH_KEY},
    model::refusal::Code,
    port::{Answer, PortError},
};

/// Most bytes of a key.
const BYTES_MAX: usize = 64 << 10;

/// A key that ssh can read while this value lives: to connect it is needed once.
pub(super) struct Key(File);

impl Key {
    /// The key of `PLATFORMCTL_SSH_KEY`, if that is set.
    ///
    /// # Errors
    /// It is no private key, or there is no memory for it.
    pub(super) fn of(env: &Env) -> Answer<Option<Self>> {
        let Some(text) = env.get(SSH_KEY) else { return Ok(None) };
        if !text.trim_start().starts_with("-----BEGIN ") || text.len() > BYTES_MAX {
            let what = format!("{SSH_KEY} holds no private key: its first line is not `-----BEGIN … PRIVATE KEY-----`");
            let fix = "store the whole file of the private key as the secret, with its first and last line";
            return Err(PortError::new(Code::CredentialsMissing, what, fix));
        }
        // What a form or a runner does to line ends, ssh does not read.
        let text = text.replace("\r\n", "\n");
        let file = memfd_create("platformctl-key", MemfdFlags::CLOEXEC)
            .and_then(|fd| fchmod(&fd, Mode::RUSR | Mode::WUSR).map(|()| File::from(fd)))
            .map_err(std::io::Error::from);
        let mut file = file.map_err(local("keep the ssh key in memory"))?;
        file.write_all(format!("{}\n", text.trim()).as_bytes()).map_err(local("keep the ssh key in memory"))?;
        Ok(Some(Self(file)))
    }

    /// Where ssh finds it.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}
