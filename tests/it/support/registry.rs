//! A registry of images, for what a host has to pull.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use super::stack::{docker, until};

/// A real registry, empty. It goes away with this value.
pub(crate) struct Registry {
    process: Child,
    pub(crate) at: String,
    _dir: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Registry {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
            dir.path().join("data").display()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        until("the registry answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { process, at: format!("127.0.0.1:{port}"), _dir: dir }
    }

    /// An image that only the registry has.
    pub(crate) fn holds(&self, name: &str, like: &str) -> String {
        let name = format!("{}/{name}", self.at);
        docker(&["tag", like, &name]);
        docker(&["push", "-q", &name]);
        docker(&["rmi", &name]);
        name
    }
}
