//! The login shell of an account, which runs the command line of every session: whether it is one, and how it is spoken
//! to.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Write},
    sync::mpsc,
    thread::JoinHandle,
    time::Instant,
};

use crate::{
    model::{refusal::Code, text},
    port::PortError,
};

/// Most of what an account's start-up files print that is passed over, in bytes.
const PASSED_BYTES_MAX: u64 = 64 << 10;

/// How a session's command line is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shell {
    /// Quotes and line breaks mean what they mean to `sh`.
    Posix,
    /// Another one (csh, fish): it gets one plain line, and the script comes as input.
    Other,
}

/// What came of a command that should say a nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// It said so.
    Nonce,
    /// It ended and did not.
    Ended {
        /// Its exit code, if there is one.
        code: Option<i32>,
        /// What it said instead.
        words: Vec<u8>,
    },
    /// It neither ended nor said so in time.
    Nothing,
}

/// The arguments of `sh` that print the nonce only if a command line with quotes and line breaks arrives as it was
/// sent.
pub(super) fn probe(nonce: &str) -> [String; 4] {
    ["-c", "printf '%s\\n' \"$1\"\n: '!' '\\'", "platformctl", nonce].map(str::to_owned)
}

/// Listens for `nonce` at the end of a line; what start-up files print before it is passed over.
pub(super) fn listen(stdout: File, nonce: String, until: Instant) -> Heard {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stdout.take(PASSED_BYTES_MAX));
        let (mut line, mut words) = (Vec::new(), Vec::new());
        while matches!(lines.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            if line.ends_with(format!("{nonce}\n").as_bytes()) {
                send.send(Heard::Nonce).unwrap_or_default();
                return;
            }
            words.append(&mut line);
        }
        send.send(Heard::Ended { code: None, words }).unwrap_or_default();
    });
    receive.recv_timeout(until.saturating_duration_since(Instant::now())).unwrap_or(Heard::Nothing)
}

/// Whether a session was refused because there are as many as the host allows: nothing of it was begun.
pub(super) fn is_full(error: &openssh::Error) -> bool {
    // The library has no kind of its own for it.
    format!("{error:?}").contains("open refused by peer")
}

/// An account without a shell, named by what it says. Words that are not known are not repeated.
pub(super) fn none(destination: &str, code: Option<i32>, words: &[u8]) -> PortError {
    let (name, said) = (text::shown(destination), String::from_utf8_lossy(words));
    let ended = code.map_or_else(|| "ended".to_owned(), |code| format!("ended with {code}"));
    let (why, fix) = if said.contains("not available") {
        ("its login shell is nologin", "give the account a login shell (`usermod -s /bin/sh ACCOUNT` as root there)")
    } else if said.contains("sftp connections only") {
        ("it may only use sftp (ForceCommand internal-sftp)", "take the account out of that Match block of sshd_config")
    } else if code == Some(1) && words.trim_ascii().is_empty() {
        (
            "its login shell runs nothing and ends with 1, as /bin/false does",
            "give the account a login shell (`usermod -s /bin/sh ACCOUNT` as root there)",
        )
    } else {
        (
            "another program than its login shell, or its start-up files, end before they run what they are told",
            "look for a ForceCommand in sshd_config, a command= in authorized_keys, and an exit in its start-up files",
        )
    };
    PortError::new(
        Code::HostUnreachable,
        format!("the account at {name} runs no command: {why}; it {ended}"),
        format!("{fix}, or name another account; `ssh -o BatchMode=yes {name} true` performs the same check"),
    )
}

/// A command line that every shell understands as it is, and what is sent ahead of the input: the same script, read to
/// its last byte before any of it runs, so that a link that is lost in the middle begins nothing. `argv` are the
/// arguments of `sh -c`.
pub(super) fn streamed(argv: &[String], nonce: &str) -> (String, Vec<u8>) {
    let quoted = |word: &String| format!(" '{}'", word.replace('\'', r"'\''"));
    let words: String = argv.iter().skip(3).map(quoted).collect();
    let wrapper = argv.get(1).map_or("", String::as_str);
    let text = format!("set --{words}\n{wrapper}\n#{nonce}");
    // Some `dd` knows no `fullblock`, and then reads nothing; byte by byte it takes no more than it should either.
    let n = text.len();
    let line = format!(
        "sh -c 't=$(dd bs={n} count=1 iflag=fullblock 2>/dev/null || dd bs=1 count={n} 2>/dev/null); \
         case \"$t\" in *{nonce}) eval \"$t\";; esac'"
    );
    (line, text.into_bytes())
}

/// Standard input of a script that gets something before its input.
pub(super) struct Ahead {
    sending: Option<JoinHandle<()>>,
    then: File,
}

impl Ahead {
    /// Nothing.
    pub(super) fn nothing(then: File) -> Self {
        Self { sending: None, then }
    }

    /// This text, which another thread sends: nobody waits for a host that does not read.
    pub(super) fn of(text: Vec<u8>, then: File) -> io::Result<Self> {
        let mut first = then.try_clone()?;
        // A script that is gone says so by its answer.
        let sending = std::thread::spawn(move || drop(first.write_all(&text)));
        Ok(Self { sending: Some(sending), then })
    }
}

impl Write for Ahead {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(sending) = self.sending.take() {
            drop(sending.join());
        }
        self.then.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.then.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Command, Stdio},
        time::Duration,
    };

    use super::*;

    #[test]
    fn account_without_a_shell_is_reported() {
        for (code, words, says) in [
            (Some(1), "This account is currently not available.\n", "nologin"),
            (Some(1), "This service allows sftp connections only.\n", "only use sftp"),
            (Some(1), "", "/bin/false"),
            (Some(128), "fatal: \u{1b}[2Jgotcha", "another program than its login shell"),
            (None, "", "another program than its login shell"),
        ] {
            let error = none("ola@box", code, words.as_bytes());
            assert!(error.what.contains(says) && !error.what.contains("gotcha"), "{error}");
        }
    }

    /// Attack: the connection is lost while a script that changes a host is being sent
    /// Defence: a script does not start before its last byte has arrived
    #[test]
    fn truncated_script_does_not_run() {
        let argv = ["-c", "printf '%s|' \"$@\"\ncat", "platformctl", "it's", "a\nb", "$HOME!"].map(str::to_owned);
        let (line, text) = streamed(&argv, "0123abcd");
        assert!(!line.contains(['\n', '!']) && line.matches('\'').count() == 2, "plain to csh and fish: {line}");
        let run = |sent: &[u8]| {
            let mut command = Command::new("sh");
            let mut child = command.args(["-c", &line]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            // In two parts, as a link does it.
            stdin.write_all(&sent[..sent.len() / 2]).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            stdin.write_all(&sent[sent.len() / 2..]).unwrap();
            drop(stdin);
            String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
        };
        let whole = [text.as_slice(), b"input\n"].concat();
        assert_eq!(run(&whole), "it's|a\nb|$HOME!|input\n");
        for cut in [1, 10, text.len() / 2, text.len() - 1] {
            assert_eq!(run(&text[..cut]), "", "cut at {cut}");
        }
    }
}
