//! A conversation with a script that was started somewhere: what it is sent, what counts of its answer, and when it is
//! given up.

use std::{
    io::{self, BufWriter, Read, Write},
    sync::mpsc,
    time::Duration,
};

use crate::{
    io::archive,
    model::{frame, refusal::Code},
    port::{Answer, Input, PortError, Reply, Script},
};

/// Most that a script may print, in bytes.
const STDOUT_BYTES_MAX: u64 = 8 << 20;

/// A script that was started: both ends, and how to be rid of it.
pub(super) struct Started {
    /// Its standard input.
    pub stdin: Box<dyn Write + Send>,
    /// Its standard output.
    pub stdout: Box<dyn Read + Send>,
    /// Ends it, or the link to it. Never called for a script that changes what runs.
    pub stop: Box<dyn Fn() + Send>,
    /// What must not go away before the answer is there: the session on a link.
    pub held: Box<dyn std::any::Any>,
}

/// The words that start a script: `sh` and its arguments. A script that only reads and is sent nothing watches its
/// standard input, which is kept open until it has answered: it ends when we do, or the link.
pub(super) fn argv(nonce: &str, script: &Script, args: &[String], input: &Input<'_>) -> Vec<String> {
    let watched = !script.mutates && matches!(input, Input::Nothing);
    let wrapper = if watched { frame::WATCHED } else { frame::WRAPPER };
    let head = ["-c", wrapper, "platformctl", nonce, script.text].map(str::to_owned);
    head.into_iter().chain(args.iter().cloned()).collect()
}

/// Sends the input and waits for the framed answer.
///
/// # Errors
/// No complete answer came: `link_lost` for a script that changes what runs, `host_unreachable` for one that does not.
pub(super) fn answer(started: Started, nonce: &str, script: &Script, input: Input<'_>) -> Answer<Reply> {
    let Started { stdin, stdout, stop, held } = started;
    let deadline = Duration::from_secs(script.deadline_s);
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // Half an answer is none: the frame tells.
        drop(stdout.take(STDOUT_BYTES_MAX + 1).read_to_end(&mut bytes));
        // The receiver is dropped only if the deadline passed first.
        drop(send.send(bytes));
    });
    let (done, timer) = mpsc::channel::<()>();
    let mutates = script.mutates;
    // This also ends a delivery that is not read.
    let watchdog = std::thread::spawn(move || {
        let passed = timer.recv_timeout(deadline) == Err(mpsc::RecvTimeoutError::Timeout);
        if passed && !mutates {
            stop();
        }
    });
    let sent = feed(stdin, input);
    let bytes = receive.recv_timeout(deadline);
    drop(done);
    drop(watchdog.join());
    drop(sent.open);
    drop(held);
    let bytes = bytes.map_err(|_| lost(script, "it took longer than it may"))?;
    if bytes.len() as u64 > STDOUT_BYTES_MAX {
        return Err(lost(script, "it printed more than 8 MiB"));
    }
    let (rc, stdout) = frame::unframe(nonce, &bytes).ok_or_else(|| lost(script, "its answer has no end"))?;
    // An interrupted delivery is reported as the delivery's error, whatever the script answered.
    sent.whole?;
    Ok(Reply { rc, stdout })
}

struct Sent {
    whole: Answer<()>,
    /// Kept open until the answer is there.
    open: Option<Box<dyn Write + Send>>,
}

/// How much of an archive is sent at a time, in bytes.
const PIECE_BYTES: usize = 256 << 10;
/// How many pieces of an archive may wait for the link while the next are made.
const PIECES: usize = 8;

/// What is written here is sent by another thread: files are read while the link is busy with those before.
struct Ahead(mpsc::SyncSender<Vec<u8>>);

impl Write for Ahead {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn feed(mut stdin: Box<dyn Write + Send>, input: Input<'_>) -> Sent {
    match input {
        Input::Nothing => Sent { whole: Ok(()), open: Some(stdin) },
        Input::Tar(members) => {
            let (ahead, pieces) = mpsc::sync_channel::<Vec<u8>>(PIECES);
            let sender = std::thread::spawn(move || pieces.iter().try_for_each(|piece| stdin.write_all(&piece)));
            let mut ahead = BufWriter::with_capacity(PIECE_BYTES, Ahead(ahead));
            let written = archive::write(&mut ahead, members);
            // After an archive that broke off nothing more is sent than what was.
            let ended = ahead.into_inner();
            drop(ended);
            // The script ended before it had read everything: its own answer tells why.
            drop(sender.join());
            let whole = match written {
                Ok(()) | Err(archive::ArchiveError::Write(_)) => Ok(()),
                Err(archive::ArchiveError::Member(error)) => Err(error),
            };
            Sent { whole, open: None }
        }
    }
}

/// The error after something may have happened: certain only for scripts that change nothing.
pub(super) fn lost(script: &Script, why: &str) -> PortError {
    let step = script.name;
    if script.mutates {
        PortError::new(
            Code::LinkLost,
            format!("the host started the step {step} and did not answer completely: {why}"),
            "run `platformctl resume`: it asks the host how the run ended",
        )
    } else {
        PortError::new(
            Code::HostUnreachable,
            format!("the host did not answer the step {step} completely: {why}"),
            "run `platformctl doctor`, then the same command again",
        )
    }
}

/// Thirty-two random hexadecimal digits.
pub(super) fn nonce() -> Answer<String> {
    let mut bytes = [0_u8; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| PortError::new(Code::Io, "the system returned no random bytes", "try again").because(error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
