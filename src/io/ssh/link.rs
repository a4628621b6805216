//! The `ssh` that holds a connection and runs nothing on the host: its options, and how it ends with this process.

use std::{
    fs,
    io::Read as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::Mutex,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{CONNECT_S, WORDS_BYTES_MAX, key::Key, local, unreachable};
use crate::{
    io::{env::Env, git::interrupt, log, socket},
    model::refusal::Code,
    port::{Answer, PortError},
};

/// Runs `ssh` and ends it when standard input ends, which is when this process does, killed or not: a master that asks
/// for no session reads no input of its own. What watches holds neither output. A proxy of ssh ends by itself, with its
/// input.
const HELD: &str = "exec 3<&0; \"$@\" </dev/null 3<&- & master=$!; \
    { cat <&3; kill -9 \"$master\"; } >/dev/null 2>&1 & watch=$!; exec 3<&-; \
    wait \"$master\"; rc=$?; kill \"$watch\" 2>/dev/null; exit \"$rc\"";
/// How often it is looked whether a connection stands, or ended, in milliseconds.
const LOOK_MS: u64 = 5;
/// How long a connection may take to end by itself, in milliseconds.
const END_MS: u64 = 2_000;

/// An `ssh` with what holds it, as a group of processes. Dropped, it ends.
pub(super) struct Link(Mutex<Held>);

struct Held {
    process: Child,
    /// It lives while this is open.
    stdin: Option<ChildStdin>,
}

impl Held {
    fn lives(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

impl Link {
    /// Whether the connection may still stand.
    pub(super) fn lives(&self) -> bool {
        self.0.lock().is_ok_and(|mut held| held.lives())
    }

    /// Ends it at once.
    pub(super) fn end(&self) {
        let Ok(mut held) = self.0.lock() else { return };
        drop(held.stdin.take());
        let until = Instant::now() + Duration::from_millis(END_MS);
        while held.lives() {
            if Instant::now() >= until {
                // Not waited for yet, so the number is still its own. One that is gone already is what was wanted.
                if let Some(group) = i32::try_from(held.process.id()).ok().and_then(Pid::from_raw) {
                    kill_process_group(group, Signal::KILL).unwrap_or_default();
                }
                drop(held.process.wait());
                return;
            }
            std::thread::sleep(Duration::from_millis(LOOK_MS));
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.end();
    }
}

/// A connection that is being made.
pub(super) struct Starting {
    pub(super) link: Link,
    pub(super) folder: tempfile::TempDir,
    pub(super) socket: PathBuf,
    pub(super) begun: Instant,
    words: JoinHandle<Vec<u8>>,
    /// Read by ssh until the connection stands.
    _key: Option<Key>,
}

impl Starting {
    /// Begins to connect.
    pub(super) fn new(destination: &str, host_keys: &[String], key: Option<Key>, env: &Env) -> Answer<Self> {
        let folder = socket::folder(env).map_err(local("make a folder for the ssh connection"))?;
        let socket = folder.path().join("s");
        let mut ssh = options(host_keys, env, folder.path())?;
        if let Some(key) = &key {
            // The one that was given, and no other of the account or of its agent.
            ssh.args([
                "-o",
                &format!("IdentityFile={}", key.path()),
                "-o",
                "IdentitiesOnly=yes",
                "-o",
                "IdentityAgent=none",
            ]);
        }
        ssh.arg("-M").arg("-S").arg(&socket).args(["--", destination]);
        let mut held = env.child("sh");
        // A group of its own: Ctrl-C in a terminal is for us, who end a run where it may end.
        held.process_group(0).args(["-c", HELD, "platformctl"]).arg(ssh.get_program()).args(ssh.get_args());
        held.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let begun = Instant::now();
        log::child(&held);
        let mut held = held.spawn().map_err(local("start `ssh`"))?;
        let stdin = held.stdin.take();
        let Some(stderr) = held.stderr.take() else {
            return Err(unreachable(destination, "ssh has no standard streams"));
        };
        let words = std::thread::spawn(move || {
            let mut words = Vec::new();
            drop(stderr.take(WORDS_BYTES_MAX).read_to_end(&mut words));
            words
        });
        let link = Link(Mutex::new(Held { process: held, stdin }));
        Ok(Self { link, folder, socket, begun, words, _key: key })
    }

    /// Waits until the connection stands, which is when its socket is there.
    ///
    /// # Errors
    /// `Ok` with ssh's words where it ended or took too long; an error where somebody asked to stop.
    pub(super) fn stands(self, until: Instant) -> Answer<Result<(Link, tempfile::TempDir, PathBuf), Vec<u8>>> {
        loop {
            if self.socket.exists() {
                return Ok(Ok((self.link, self.folder, self.socket)));
            }
            if interrupt::asked() {
                let what = "you asked to stop, before the host was reached";
                return Err(PortError::new(Code::Interrupted, what, "run it again"));
            }
            let ended = !self.link.lives();
            if ended || Instant::now() >= until {
                self.link.end();
                // A proxy may hold the words open of one that did not end by itself.
                return Ok(Err(if ended { self.words.join().unwrap_or_default() } else { Vec::new() }));
            }
            std::thread::sleep(Duration::from_millis(LOOK_MS));
        }
    }
}

/// What every connection of ours asks of ssh; the command line wins over the user's files.
fn options(host_keys: &[String], env: &Env, folder: &Path) -> Answer<Command> {
    let mut command = env.child("ssh");
    command.args(["-T", "-N"]);
    let connect = format!("ConnectTimeout={CONNECT_S}");
    for option in [
        "BatchMode=yes",
        &connect,
        "ServerAliveInterval=5",
        "ServerAliveCountMax=3",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        "ControlPersist=no",
        "PermitLocalCommand=no",
        "RemoteCommand=none",
        "ForwardAgent=no",
        "ForwardX11=no",
        "ClearAllForwardings=yes",
        "EscapeChar=none",
        "LogLevel=ERROR",
        // An older ssh does not know each of these words. The account's own list of words to pass over would be
        // replaced by one of ours: so everything is.
        "IgnoreUnknown=*",
        "SessionType=none",
        "ForkAfterAuthentication=no",
    ] {
        command.args(["-o", option]);
    }
    if !host_keys.is_empty() {
        let known = folder.join("known_hosts");
        fs::write(&known, host_keys.join("\n") + "\n").map_err(local("write the host's known keys"))?;
        command.args(["-o", &format!("UserKnownHostsFile={}", known.display())]);
        // Only these count, whatever else the account's configuration knows of.
        for option in [
            "GlobalKnownHostsFile=/dev/null",
            "KnownHostsCommand=none",
            "VerifyHostKeyDNS=no",
            "NoHostAuthenticationForLocalhost=no",
        ] {
            command.args(["-o", option]);
        }
    }
    Ok(command)
}
