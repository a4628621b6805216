//! Git's configuration of a remote, as far as it matters here.

use std::path::PathBuf;

/// Git's configuration of a remote.
#[derive(Clone, Default)]
pub struct Configured {
    /// Where it is fetched from: the first of these.
    pub urls: Vec<String>,
    /// Where it is pushed to: all of these, or else all of the others.
    pub push_urls: Vec<String>,
    /// Whether there is a `core.sshCommand`, which is then used as it is.
    pub ssh_command: bool,
    /// Whether there is a `core.askPass`, which then answers for credentials.
    pub ask_pass: bool,
    /// Credentials in the configuration, which are never printed, and URLs with credentials in them.
    pub secrets: Vec<String>,
    /// The root of the main work tree, if there is one.
    pub work_dir: Option<PathBuf>,
}

/// URLs and values of the configuration may be credentials: this shows none.
impl std::fmt::Debug for Configured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configured")
            .field("urls", &self.urls.len())
            .field("push_urls", &self.push_urls.len())
            .finish_non_exhaustive()
    }
}
