//! A host over ssh: one master connection of our own, and each script a session on it.
//!
//! The master is the `ssh` program, so that names, jumps, agents and keys are the user's own, with an explicit environment and with
//! what could surprise turned off. It lives as long as its standard input: it ends with this process, killed or not. A lost master
//! is replaced by the next script, and no script is ever sent twice.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "processes start in src/io/")]

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use crate::{
    io::{
        env::Env,
        framed::{self, Started},
        git::interrupt,
        process::{self, Limits},
        socket,
    },
    model::{refusal::Code, text},
    port::{Answer, Host, Input, PortError, Reply, Script},
};

/// How long a host may take until it is ready, in seconds: connection, keys, authentication and the account's shell.
const READY_S: u64 = 20;
/// How long ssh may take for the connection alone, in seconds.
const CONNECT_S: u64 = 10;
/// Most of a master's words that are looked at, in bytes.
const WORDS_BYTES_MAX: u64 = 64 << 10;

/// A host over ssh.
pub struct Ssh {
    destination: String,
    host_keys: Vec<String>,
    env: Env,
    starting: RefCell<Option<Starting>>,
    master: RefCell<Option<Master>>,
}

/// The `ssh` that holds a connection. Dropped, it ends.
struct Link(Arc<Mutex<Child>>);

impl Drop for Link {
    fn drop(&mut self) {
        if let Ok(mut child) = self.0.lock() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A connection that is being made.
struct Starting {
    link: Link,
    stdin: std::process::ChildStdin,
    folder: tempfile::TempDir,
    socket: PathBuf,
    begun: Instant,
    ready: mpsc::Receiver<bool>,
    words: std::thread::JoinHandle<Vec<u8>>,
}

/// A connection that stands. Dropped, it ends.
struct Master {
    link: Link,
    session: Arc<openssh::Session>,
    runtime: tokio::runtime::Runtime,
    /// The master lives while this is open.
    _stdin: std::process::ChildStdin,
    /// Holds the control socket and the known keys.
    _folder: tempfile::TempDir,
}

impl Master {
    fn lives(&self) -> bool {
        self.link.0.lock().is_ok_and(|mut child| matches!(child.try_wait(), Ok(None)))
    }
}

impl Ssh {
    /// A host at `destination`, whatever ssh_config understands by it, with these lines of known_hosts (none: the user's own files).
    /// Nothing is connected yet.
    pub fn new(destination: &str, host_keys: &[String], env: &Env) -> Self {
        Self {
            destination: destination.to_owned(),
            host_keys: host_keys.to_vec(),
            env: env.clone(),
            starting: RefCell::default(),
            master: RefCell::default(),
        }
    }

    /// Begins to connect, for somebody who will ask something soon. What comes of it is told by the first question.
    pub fn begin(&self) {
        *self.starting.borrow_mut() = self.start().ok();
    }

    /// What every connection of ours asks of ssh; the command line wins over the user's files.
    fn ssh(&self, folder: &Path) -> Answer<Command> {
        let mut command = self.env.child("ssh");
        // A group of its own: Ctrl-C in a terminal is for us, who end a run where it may end.
        command.process_group(0).arg("-T").stderr(Stdio::piped());
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
            // What would take away the script's input, or the script.
            // An older ssh does not know each of these words. The account's own list of words to pass over would be replaced by one
            // of ours: so everything is.
            "IgnoreUnknown=*",
            "StdinNull=no",
            "SessionType=default",
            "ForkAfterAuthentication=no",
        ] {
            command.args(["-o", option]);
        }
        if !self.host_keys.is_empty() {
            let known = folder.join("known_hosts");
            fs::write(&known, self.host_keys.join("\n") + "\n").map_err(local("write the host's known keys"))?;
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

    fn start(&self) -> Answer<Starting> {
        let folder = self.folder()?;
        let socket = folder.path().join("s");
        let mut command = self.ssh(folder.path())?;
        command.arg("-M").arg("-S").arg(&socket).args(["--", &self.destination, "cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let begun = Instant::now();
        let mut child = command.spawn().map_err(local("start `ssh`"))?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(unreachable(&self.destination, "ssh has no standard streams"));
        };
        let words = std::thread::spawn(move || {
            let mut words = Vec::new();
            drop(stderr.take(WORDS_BYTES_MAX).read_to_end(&mut words));
            words
        });
        let nonce = framed::nonce()?;
        // A master that is gone already says so by its words.
        drop(writeln!(stdin, "{nonce}").and_then(|()| stdin.flush()));
        let ready = echoed(stdout, nonce);
        let link = Link(Arc::new(Mutex::new(child)));
        Ok(Starting { link, stdin, folder, socket, begun, ready, words })
    }

    fn connect(&self, starting: Starting) -> Answer<Master> {
        let Starting { link, stdin, folder, socket, begun, ready, words } = starting;
        let until = Instant::now() + Duration::from_secs(READY_S);
        let answer = loop {
            match ready.recv_timeout(Duration::from_millis(200)) {
                Err(mpsc::RecvTimeoutError::Timeout) if interrupt::asked() => {
                    let what = "you asked to stop, before the host was reached";
                    return Err(PortError::new(Code::Interrupted, what, "run it again"));
                }
                Err(mpsc::RecvTimeoutError::Timeout) if Instant::now() < until => {}
                answer => break answer,
            }
        };
        if answer != Ok(true) {
            drop(link);
            // A proxy may hold the master's words open.
            let words = if answer.is_err() { Vec::new() } else { words.join().unwrap_or_default() };
            return Err(self.classify(begun.elapsed(), &words));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(local("prepare for ssh"))?;
        let session = Arc::new(openssh::Session::resume_mux(socket.into_boxed_path(), None));
        Ok(Master { link, session, runtime, _stdin: stdin, _folder: folder })
    }

    fn folder(&self) -> Answer<tempfile::TempDir> {
        socket::folder(&self.env).map_err(local("make a folder for the ssh connection"))
    }

    /// Sorts a failure by ssh's own words. What is not known is "no answer".
    fn classify(&self, after: Duration, words: &[u8]) -> PortError {
        let said = String::from_utf8_lossy(words);
        let has = |needle: &str| said.contains(needle);
        let name = text::shown(&self.destination);
        if words.trim_ascii().is_empty() && after >= Duration::from_secs(CONNECT_S) {
            let hangs = "it hangs: connected, but never ready (in authentication, or in its shell's start-up files)";
            return unreachable(&self.destination, hangs);
        }
        let changed = has("HOST IDENTIFICATION HAS CHANGED");
        if changed || has("host key is known for") || has("Host key verification failed") {
            return self.unknown_key(changed);
        }
        if has("Permission denied") || has("Too many authentication failures") || has("No more authentication methods")
        {
            return PortError::new(
                Code::CredentialsRefused,
                format!("{name} lets nobody in with the keys that ssh offers"),
                format!(
                    "see that `ssh -o BatchMode=yes {name} true` works: load the key into the agent, or add it there"
                ),
            );
        }
        let mut lines = said.lines().filter(|line| !line.trim().is_empty());
        let last = lines.next_back().unwrap_or("the connection ended without a word");
        unreachable(&self.destination, &text::shown(last.trim_end()))
    }

    /// Says which key answers, as the line to add after it was compared.
    fn unknown_key(&self, changed: bool) -> PortError {
        let name = text::shown(&self.destination);
        let lines = self.offered().unwrap_or_default();
        let add = match lines.as_slice() {
            [] => format!("see which key is meant, its own or that of a jump host before it: ssh {name}"),
            lines => format!(
                "compare with the host's own (there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then add to \
                 ~/.ssh/known_hosts, or to host_keys of the host in platform.yaml:\n{}",
                lines.join("\n")
            ),
        };
        if changed {
            return PortError::new(
                Code::HostKeyChanged,
                format!(
                    "{name} answers with another host key than the known one: another machine, or a new installation"
                ),
                if self.host_keys.is_empty() {
                    format!("find out which; remove the old line (ssh-keygen -R), {add}")
                } else {
                    format!("find out which; the old line is in host_keys of the host in platform.yaml; {add}")
                },
            );
        }
        PortError::new(Code::HostKeyUnknown, format!("no known host key says that it is {name} which answers"), add)
    }

    /// The known_hosts lines of the keys that the host offers, learned without authenticating to it.
    fn offered(&self) -> Answer<Vec<String>> {
        let folder = self.folder()?;
        let file = folder.path().join("offered");
        let mut command = self.env.child("ssh");
        command.args([
            "-T",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=accept-new",
            "-o",
            "HashKnownHosts=no",
        ]);
        for option in ["RemoteCommand=none", "RequestTTY=no", "ClearAllForwardings=yes", "PermitLocalCommand=no"] {
            command.args(["-o", option]);
        }
        command.args(["-o", "PreferredAuthentications=none", "-o", "GlobalKnownHostsFile=/dev/null"]);
        command.args(["-o", &format!("UserKnownHostsFile={}", file.display()), "-o", "ControlPath=none"]);
        command.args(["-o", &format!("ConnectTimeout={CONNECT_S}"), "--", &self.destination, "true"]);
        drop(process::run(command, &Limits { deadline_s: READY_S, output_bytes: WORDS_BYTES_MAX })?);
        let lines = fs::read_to_string(&file).map_err(local("read the offered key"))?;
        Ok(lines.lines().filter(|line| !line.is_empty()).map(text::shown).collect())
    }

    fn session(&self, master: &Master, argv: &[String], script: &Script) -> Answer<Started> {
        let (their_in, stdin) = pipe()?;
        let (stdout, their_out) = pipe()?;
        let mut command = Arc::clone(&master.session).arc_command("sh");
        command.args(argv).stdin(their_in).stdout(their_out).stderr(openssh::Stdio::null());
        let opened = master.runtime.block_on(command.spawn());
        // The command holds our copies of the other ends.
        drop(command);
        let remote = opened.map_err(|error| {
            let step = script.name;
            unreachable(&self.destination, &format!("the step {step} could not be started")).because(error)
        })?;
        let child = Arc::clone(&master.link.0);
        let stop = move || drop(child.lock().map(|mut child| child.kill()));
        Ok(Started {
            stdin: Box::new(File::from(stdin)),
            stdout: Box::new(File::from(stdout)),
            stop: Box::new(stop),
            held: Box::new(remote),
        })
    }
}

impl Host for Ssh {
    fn run(&self, script: &Script, args: &[String], input: Input<'_>) -> Answer<Reply> {
        let mut master = self.master.borrow_mut();
        if !master.as_ref().is_some_and(Master::lives) {
            let begun = self.starting.borrow_mut().take();
            let starting = begun.map_or_else(|| self.start(), Ok)?;
            *master = Some(self.connect(starting)?);
        }
        let Some(stands) = master.as_ref() else {
            return Err(unreachable(&self.destination, "no connection stands"));
        };
        let nonce = framed::nonce()?;
        let started = self.session(stands, &framed::argv(&nonce, script, args, &input), script);
        let answer = started.and_then(|started| framed::answer(started, &nonce, script, input));
        if answer.is_err() {
            // Whatever happened, the next question is asked over a connection of its own.
            *master = None;
        }
        answer
    }
}

impl std::fmt::Debug for Ssh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ssh").field("destination", &self.destination).finish_non_exhaustive()
    }
}

/// Tells when `nonce` stands on a line of its own: `false` if the stream ends before. What an account's start-up files print is
/// passed over.
fn echoed(stdout: std::process::ChildStdout, nonce: String) -> mpsc::Receiver<bool> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stdout.take(WORDS_BYTES_MAX));
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            if line.ends_with(format!("{nonce}\n").as_bytes()) {
                send.send(true).unwrap_or_default();
                return;
            }
            line.clear();
        }
        send.send(false).unwrap_or_default();
    });
    receive
}

fn pipe() -> Answer<(OwnedFd, OwnedFd)> {
    let (read, write) = io::pipe().map_err(local("make a pipe"))?;
    Ok((read.into(), write.into()))
}

fn local(what: &str) -> impl FnOnce(io::Error) -> PortError {
    let what = format!("could not {what}");
    move |error| PortError::new(Code::Io, what, "see that ssh is installed and the disk is not full").because(error)
}

fn unreachable(destination: &str, why: &str) -> PortError {
    let name = text::shown(destination);
    PortError::new(
        Code::HostUnreachable,
        format!("the host {name} gave no answer: {why}"),
        format!("see that `ssh -o BatchMode=yes {name} true` works, then run the same command again"),
    )
}
