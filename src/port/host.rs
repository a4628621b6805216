//! A host, and what is sent to it and comes back.

use std::fmt;

use super::Answer;

/// A script for a host: a file of this repository, never text made at run time; what differs are its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// Its name, for messages.
    pub name: &'static str,
    /// Its text, POSIX sh.
    pub text: &'static str,
    /// Whether it changes what runs: such a script survives the link (setsid) and is never killed by a deadline.
    pub mutates: bool,
    /// How long it may take.
    pub deadline_s: u64,
}

/// What a script answered, recognised by its nonce.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its exit code, from the frame (not ssh's).
    pub rc: i32,
    /// Standard output within the frame, at most 8 MiB; raw and hostile.
    pub stdout: Vec<u8>,
}

/// An answer may contain a secret: this shows its length only.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply {{ rc: {}, stdout_bytes: {} }}", self.rc, self.stdout.len())
    }
}

/// One file to deliver.
#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path inside the delivery.
    pub path: String,
    /// Its permission bits.
    pub mode: u32,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Content is not shown: only how long it is.
impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, mode, bytes } = self;
        write!(f, "Member {{ path: {path:?}, mode: {mode:o}, bytes: {} }}", bytes.len())
    }
}

/// What a script gets on its standard input.
pub enum Input<'a> {
    /// Nothing: end of file at once.
    Nothing,
    /// A tar archive of these, made while it is sent; an error among them ends the delivery before its end mark.
    Tar(&'a mut dyn Iterator<Item = Answer<Member>>),
}

/// A machine where modules run.
pub trait Host {
    /// Runs a script with arguments and standard input. `link_lost` if it may have run and no answer came;
    /// `host_unreachable` if it surely did not start.
    fn run(&self, script: &Script, args: &[String], input: Input<'_>) -> Answer<Reply>;
}
