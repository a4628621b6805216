//! A host over ssh: one master connection of our own, and each script a session on it.
//!
//! The master is the `ssh` program, so that names, jumps, agents and keys are the user's own, with an explicit
//! environment and with what could surprise turned off. It asks for no session itself: a host that allows one at a time
//! is enough. It ends with this process, killed or not. A lost master is replaced by the next script, and no script is
//! ever sent twice.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "processes start in src/io/")]

mod key;
mod link;
mod messages;
mod shell;

use std::{
    cell::RefCell,
    fs::File,
    io,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use openssh::{OwningCommand, Session};

use self::{
    key::Key,
    link::{Link, Starting},
    shell::{Ahead, Heard, Shell},
};
use crate::{
    io::{
        env::Env,
        framed::{self, Started},
        log::{self, Name},
        process,
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
/// How long a host is asked again that allows no more sessions, in milliseconds: one that has just ended may still
/// count there.
const FULL_MS: u64 = 3_000;

/// A host over ssh.
pub struct Ssh {
    destination: String,
    host_keys: Vec<String>,
    env: Env,
    starting: RefCell<Option<Starting>>,
    master: RefCell<Option<Master>>,
}

/// An open connection. It is closed when it is dropped.
struct Master {
    link: Arc<Link>,
    session: Arc<Session>,
    runtime: tokio::runtime::Runtime,
    shell: Shell,
    /// Holds the control socket and the known keys.
    _folder: tempfile::TempDir,
}

type Remote = openssh::Child<Arc<Session>>;

impl Ssh {
    /// A host at `destination`, as ssh_config resolves it, with these lines of known_hosts (none: the user's own
    /// files). Nothing is connected yet.
    pub fn new(destination: &str, host_keys: &[String], env: &Env) -> Self {
        Self {
            destination: destination.to_owned(),
            host_keys: host_keys.to_vec(),
            env: env.clone(),
            starting: RefCell::default(),
            master: RefCell::default(),
        }
    }

    /// Begins to connect, for a question that follows soon. The first question reports a failure.
    pub fn begin(&self) {
        *self.starting.borrow_mut() = self.start().ok();
    }

    fn start(&self) -> Answer<Starting> {
        Starting::new(&self.destination, &self.host_keys, Key::of(&self.env)?, &self.env)
    }

    fn connect(&self, starting: Starting) -> Answer<Master> {
        let begun = starting.begun;
        let until = Instant::now() + Duration::from_secs(READY_S);
        let (link, folder, socket) = match starting.stands(until)? {
            Ok(stands) => stands,
            Err(words) => return Err(self.classify(begun.elapsed(), &words)),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(local("prepare for ssh"))?;
        let session = Arc::new(Session::resume_mux(socket.into_boxed_path(), None));
        let mut master = Master { link: Arc::new(link), session, runtime, shell: Shell::Posix, _folder: folder };
        master.shell = self.shell(&master, until)?;
        Ok(master)
    }

    /// Finds out which shell the account runs commands with, if any.
    fn shell(&self, master: &Master, until: Instant) -> Answer<Shell> {
        let nonce = framed::nonce()?;
        let quoted = shell::probe(&nonce);
        match self.heard(master, &nonce, until, |session| {
            let mut command = session.arc_command("sh");
            command.args(&quoted);
            command
        })? {
            Heard::Nonce => return Ok(Shell::Posix),
            Heard::Nothing => return Err(self.hangs()),
            Heard::Ended { .. } => {}
        }
        // Words that every shell understands.
        match self.heard(master, &nonce, until, |session| session.arc_raw_command(format!("echo {nonce}")))? {
            Heard::Nonce => Ok(Shell::Other),
            Heard::Nothing => Err(self.hangs()),
            Heard::Ended { code, words } => Err(shell::none(&self.destination, code, &words)),
        }
    }

    fn hangs(&self) -> PortError {
        unreachable(&self.destination, "it hangs: connected, but never ready (in its shell's start-up files)")
    }

    /// Runs a command that should print `nonce`.
    fn heard(
        &self,
        master: &Master,
        nonce: &str,
        until: Instant,
        command: impl Fn(Arc<Session>) -> OwningCommand<Arc<Session>>,
    ) -> Answer<Heard> {
        let (remote, _, stdout) = self.open(master, "ssh", &command)?;
        let heard = shell::listen(File::from(stdout), nonce.to_owned(), until);
        let ended = async { tokio::time::timeout(Duration::from_secs(1), remote.wait()).await };
        let code = match master.runtime.block_on(ended) {
            Ok(Ok(status)) => status.code(),
            // How the library reports 127.
            Ok(Err(openssh::Error::Remote(_))) => Some(127),
            Ok(Err(_)) | Err(_) => None,
        };
        Ok(match heard {
            Heard::Ended { words, .. } => Heard::Ended { code, words },
            heard @ (Heard::Nonce | Heard::Nothing) => heard,
        })
    }

    /// Opens a session. What the host refuses to begin was not begun, and is asked for again.
    fn open(
        &self,
        master: &Master,
        step: &str,
        command: impl Fn(Arc<Session>) -> OwningCommand<Arc<Session>>,
    ) -> Answer<(Remote, OwnedFd, OwnedFd)> {
        let until = Instant::now() + Duration::from_millis(FULL_MS);
        log::about_to("ssh session", |words| words.with("host", &Name(&self.destination)).with("step", &Name(step)));
        loop {
            let (their_in, stdin) = pipe()?;
            let (stdout, their_out) = pipe()?;
            let mut command = command(Arc::clone(&master.session));
            command.stdin(their_in).stdout(their_out).stderr(openssh::Stdio::null());
            let opened = master.runtime.block_on(command.spawn());
            // The command has our copies of the other ends.
            drop(command);
            let error = match opened {
                Ok(remote) => return Ok((remote, stdin, stdout)),
                Err(error) => error,
            };
            let full = shell::is_full(&error);
            if !full || Instant::now() >= until {
                let why = if full {
                    "its sshd opens no session for this account (MaxSessions in sshd_config)".to_owned()
                } else {
                    format!("the step {step} could not be started")
                };
                return Err(unreachable(&self.destination, &why).because(error));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn session(&self, master: &Master, argv: &[String], script: &Script) -> Answer<Started> {
        let (remote, stdin, stdout) = match master.shell {
            Shell::Posix => {
                let (remote, stdin, stdout) = self.open(master, script.name, |session| {
                    let mut command = session.arc_command("sh");
                    command.args(argv);
                    command
                })?;
                (remote, Ahead::nothing(File::from(stdin)), stdout)
            }
            Shell::Other => {
                let (line, text) = shell::streamed(argv, &framed::nonce()?);
                let (remote, stdin, stdout) =
                    self.open(master, script.name, |session| session.arc_raw_command(&line))?;
                (remote, Ahead::of(text, File::from(stdin)).map_err(local("write to ssh"))?, stdout)
            }
        };
        let link = Arc::clone(&master.link);
        Ok(Started {
            stdin: Box::new(stdin),
            stdout: Box::new(File::from(stdout)),
            stop: Box::new(move || link.end()),
            held: Box::new(remote),
        })
    }
}

impl Host for Ssh {
    fn run(&self, script: &Script, args: &[String], input: Input<'_>) -> Answer<Reply> {
        let mut master = self.master.borrow_mut();
        if !master.as_ref().is_some_and(|master| master.link.lives()) {
            let begun = self.starting.borrow_mut().take();
            let starting = begun.map_or_else(|| self.start(), Ok)?;
            *master = Some(self.connect(starting)?);
        }
        let Some(stands) = master.as_ref() else {
            return Err(unreachable(&self.destination, "there is no connection"));
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

/// Whether the ssh configuration of this account says something of a name that it does not say of any name: then it is
/// a machine. Nothing is connected to.
pub fn knows(name: &str, env: &Env) -> bool {
    /// No name of anybody's (RFC 2606).
    const NOBODY: &str = "platformctl-nobody.invalid";
    let said = |name: &str| {
        let mut command = env.child("ssh");
        command.args(["-G", "--", name]);
        let limits = process::Limits { deadline_s: CONNECT_S, output_bytes: WORDS_BYTES_MAX };
        let done = process::run(command, &limits).ok().filter(|done| done.rc == Some(0))?;
        let text = String::from_utf8_lossy(&done.stdout).to_lowercase();
        // The name itself is in its own lines, as the host and where commands mention it.
        let lower = name.to_lowercase();
        let word = |word: &str| if word == lower { "@".to_owned() } else { word.to_owned() };
        let mut lines: Vec<Vec<String>> = text.lines().map(|line| line.split(' ').map(word).collect()).collect();
        lines.sort_unstable();
        Some(lines)
    };
    said(name).is_some_and(|ours| said(NOBODY).is_some_and(|nobody| ours != nobody))
}

impl std::fmt::Debug for Ssh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ssh").field("destination", &self.destination).finish_non_exhaustive()
    }
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
        format!("the host {name} did not answer: {why}"),
        format!("make `ssh -o BatchMode=yes {name} true` work, then run the same command again"),
    )
}
