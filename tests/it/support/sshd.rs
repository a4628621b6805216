//! An sshd of a test's own, with a name by which ssh finds it.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use super::stack::{lab, until};

/// A real sshd on a port of its own. It goes away with this value.
pub(crate) struct Sshd {
    pub(crate) name: String,
    pub(crate) port: u16,
    dir: tempfile::TempDir,
    process: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(fs::remove_file(self.alias()));
        self.stop();
    }
}

impl Sshd {
    /// With more lines of sshd_config, and whether ssh knows its key.
    pub(crate) fn start(lines: &str, known: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let name = format!("odd{port}");
        let sshd = Self { name, port, process: Self::spawn(&dir, port, lines), dir };
        let key = sshd.key();
        fs::write(sshd.dir.path().join("known"), if known { format!("{key}\n") } else { String::new() }).unwrap();
        let alias = format!(
            "Host {}\n  HostName 127.0.0.1\n  Port {port}\n  User root\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n",
            sshd.name,
            lab().join("id").display(),
            sshd.dir.path().join("known").display()
        );
        fs::write(sshd.alias(), alias).unwrap();
        sshd
    }

    fn spawn(dir: &tempfile::TempDir, port: u16, lines: &str) -> Child {
        let path = |name: &str| dir.path().join(name).display().to_string();
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path("key")]).status();
        assert!(made.unwrap().success());
        let config = format!(
            "{lines}\nLogLevel VERBOSE\nListenAddress 127.0.0.1:{port}\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\nUseDNS no\nMaxStartups 200\n",
            path("key"),
            lab().join("home/.ssh/authorized_keys").display()
        );
        fs::write(path("config"), config).unwrap();
        let process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-f", &path("config"), "-E", &path("log")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("sshd listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        process
    }

    fn alias(&self) -> PathBuf {
        lab().join("ssh.d").join(&self.name)
    }

    /// The line of known_hosts that says it.
    pub(crate) fn key(&self) -> String {
        let key = fs::read_to_string(self.dir.path().join("key.pub")).unwrap();
        let fields: Vec<&str> = key.split(' ').take(2).collect();
        format!("[127.0.0.1]:{} {}", self.port, fields.join(" "))
    }

    /// How often somebody was let in.
    pub(crate) fn logins(&self) -> usize {
        fs::read_to_string(self.dir.path().join("log")).unwrap().matches("Accepted publickey").count()
    }

    /// How many commands were started in all its logins.
    pub(crate) fn sessions(&self) -> usize {
        fs::read_to_string(self.dir.path().join("log")).unwrap().matches("Starting session: command").count()
    }

    /// A place for the socket of a connection that a user shares himself.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("own")
    }

    /// More of what ssh_config says of it.
    pub(crate) fn config(&self, line: &str) {
        let text = fs::read_to_string(self.alias()).unwrap();
        fs::write(self.alias(), format!("{text}  {line}\n")).unwrap();
    }

    /// What ssh takes for known.
    pub(crate) fn known(&self, line: &str) {
        fs::write(self.dir.path().join("known"), format!("{line}\n")).unwrap();
    }

    /// Ends it; connections that stand go on.
    pub(crate) fn stop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }

    /// How a host is reached by it.
    pub(crate) fn transport(&self) -> String {
        format!("    transport: ssh\n    destination: {}\n", self.name)
    }

    /// A file that the account's shell reads first, as a line of sshd_config.
    pub(crate) fn rc(text: &str) -> (tempfile::NamedTempFile, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let line = format!("SetEnv LAB_RC={}", file.path().display());
        (file, line)
    }
}
