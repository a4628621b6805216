//! What the doctor asks a host, and how its answer is read. The answer ends up in commands that a person pastes, so
//! every word of it is either one that was asked for or made of plain letters.

use std::collections::BTreeSet;

use crate::{
    model::{ids::RunId, path::HostPath, text::shown},
    port::Script,
    runtime::{
        machine::{self, LookError, Machine},
        script::scripts,
        secrets::SecretTrouble,
    },
};

/// Asks nothing: what it takes is the way there and back.
pub const HELLO: Script = Script { name: "hello", text: "printf 'hello\\n'", mutates: false, deadline_s: 30 };

/// Asks for everything that an apply needs.
pub const LOOK: Script = Script {
    name: "doctor",
    text: scripts!("root", "protocol", "machine", "compose-lib", "secrets", "doctor"),
    mutates: false,
    deadline_s: 120,
};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The folder that is platformctl's.
    pub root: HostPath,
    /// The engine's address.
    pub engine: String,
    /// Secret files, below `<root>/secrets/`.
    pub files: BTreeSet<String>,
    /// Keys, each with the file that must define it.
    pub keys: BTreeSet<(String, String)>,
    /// Networks, by plain names.
    pub networks: BTreeSet<String>,
}

impl Asked {
    /// The arguments of [`LOOK`].
    pub fn args(&self) -> Vec<String> {
        let list = |items: Vec<String>| items.join("\n");
        vec![
            self.root.to_string(),
            self.engine.clone(),
            list(self.files.iter().cloned().collect()),
            list(self.keys.iter().map(|(key, file)| format!("{key} {file}")).collect()),
            list(self.networks.iter().cloned().collect()),
        ]
    }
}

/// The account that ssh enters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// Its number.
    pub uid: u32,
    /// Its name; plain.
    pub name: String,
    /// The name of its group; plain.
    pub group: String,
}

/// What exists where a folder should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Folder {
    /// Nothing.
    #[default]
    Absent,
    /// Something else.
    Other,
    /// A folder, with its permission bits and its owner's number, where the host can tell them.
    There(Option<(u32, u32)>),
}

/// How the engine answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Engine {
    /// Nobody asked it: there is no client.
    #[default]
    Unasked,
    /// It runs in this version.
    Runs(String),
    /// It is there and does not let the account in.
    Denied,
    /// It does not answer.
    Hangs,
    /// Nothing answers.
    Off,
}

/// The engine's socket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Socket {
    /// The engine is not asked by a socket.
    #[default]
    Unknown,
    /// It is not there.
    Absent,
    /// It belongs to this group; plain.
    There(String),
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Facts about the machine.
    pub machine: Machine,
    /// The account.
    pub account: Account,
    /// Of `sudo` and `systemctl`, what is there; `standard` if the standard socket of an engine is.
    pub has: BTreeSet<String>,
    /// `<root>`.
    pub root: Folder,
    /// `<root>/secrets`.
    pub secrets: Folder,
    /// What is wrong with secret files.
    pub troubles: Vec<SecretTrouble>,
    /// Locks that are held.
    pub locks: Vec<String>,
    /// Runs without a result and without a tombstone.
    pub runs: Vec<RunId>,
    /// Packages that apt would install.
    pub offers: Vec<String>,
    /// Whether there is a Docker client.
    pub docker: bool,
    /// The engine.
    pub engine: Engine,
    /// Its socket.
    pub socket: Socket,
    /// The version of Compose; `None` if it gave no answer.
    pub compose: Option<String>,
    /// Networks that are not there.
    pub networks: Vec<String>,
    /// Whether the script had no room for its private folder.
    pub failed: bool,
}

/// Packages that the script may name.
const PACKAGES: &[&str] = &["docker-ce", "docker.io", "docker-compose-plugin", "docker-compose-v2", "docker-compose"];

/// Reads the answer of [`LOOK`]. All of it is untrusted.
///
/// # Errors
/// A line that the script cannot have printed to these questions, or one that is missing.
pub fn parse(stdout: &[u8], asked: &Asked) -> Result<Seen, LookError> {
    let mut machine = machine::Seen::default();
    let mut reading = Reading { asked, seen: Seen { docker: true, ..Seen::default() }, account: false, end: false };
    for line in stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let wrong = || LookError::Line(String::from_utf8_lossy(line).into_owned());
        let text = std::str::from_utf8(line).map_err(|_| wrong())?;
        if reading.end {
            return Err(wrong());
        }
        if text == "end" {
            reading.end = true;
            continue;
        }
        let (key, value) = text.split_once(' ').ok_or_else(wrong)?;
        // `root ok` and `root absent` are the machine's; what this script prints about the root is a `folder`.
        match machine.line(key, value) {
            Some(true) => {}
            Some(false) => return Err(wrong()),
            None => reading.line(key, value).ok_or_else(wrong)?,
        }
    }
    for (there, what) in [(reading.account, "account"), (reading.end, "end")] {
        if !there {
            return Err(LookError::Absent(what));
        }
    }
    Ok(Seen { machine: machine.finish()?, ..reading.seen })
}

struct Reading<'a> {
    asked: &'a Asked,
    seen: Seen,
    account: bool,
    end: bool,
}

/// A name that no shell would take for anything else.
fn plain(text: &str) -> Option<String> {
    let fits = (1..=64).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b));
    fits.then(|| text.to_owned())
}

fn folder(text: &str) -> Option<Folder> {
    Some(match text {
        "absent" => Folder::Absent,
        "other" => Folder::Other,
        "- -" => Folder::There(None),
        _ => {
            let (mode, uid) = text.split_once(' ')?;
            let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777)?;
            Folder::There(Some((mode, uid.parse().ok()?)))
        }
    })
}

impl Reading<'_> {
    fn line(&mut self, key: &str, value: &str) -> Option<()> {
        let seen = &mut self.seen;
        match (key, value) {
            ("account", account) => {
                let mut words = account.split(' ');
                let uid = words.next()?.parse().ok()?;
                seen.account = Account { uid, name: plain(words.next()?)?, group: plain(words.next()?)? };
                self.account = words.next().is_none();
            }
            ("has", "sudo" | "systemctl" | "standard") => {
                seen.has.insert(value.to_owned());
            }
            ("folder", _) => match value.split_once(' ')? {
                ("root", rest) => seen.root = folder(rest)?,
                ("secrets", rest) => seen.secrets = folder(rest)?,
                _ => return None,
            },
            ("secret", _) => {
                let trouble = SecretTrouble::read(value)?;
                let ours = match &trouble {
                    SecretTrouble::Missing(file)
                    | SecretTrouble::Unreadable(file)
                    | SecretTrouble::Open(file)
                    | SecretTrouble::Dollar(file) => self.asked.files.contains(file),
                    SecretTrouble::Key(key, file) => self.asked.keys.contains(&(key.clone(), file.clone())),
                };
                seen.troubles.push(ours.then_some(trouble)?);
            }
            ("lock", name) => seen.locks.push(plain(name)?),
            ("run", run) => seen.runs.push(run.parse().ok()?),
            ("offer", package) => seen.offers.push(PACKAGES.contains(&package).then(|| package.to_owned())?),
            ("docker", "absent") => seen.docker = false,
            ("failed", "tmp") => seen.failed = true,
            ("socket", "absent") => seen.socket = Socket::Absent,
            ("socket", group) => seen.socket = Socket::There(if group == "-" { String::new() } else { plain(group)? }),
            ("engine", "- denied") => seen.engine = Engine::Denied,
            ("engine", "- hangs") => seen.engine = Engine::Hangs,
            ("engine", "- off") => seen.engine = Engine::Off,
            ("engine", version) => seen.engine = Engine::Runs(shown(version)),
            ("compose", version) => seen.compose = (version != "-").then(|| shown(version)),
            ("network", name) => seen.networks.push(self.asked.networks.get(name)?.clone()),
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked() -> Asked {
        Asked {
            root: "/opt/platform".parse().unwrap(),
            engine: "unix:///var/run/docker.sock".to_owned(),
            files: BTreeSet::from(["a.env".to_owned()]),
            keys: BTreeSet::from([("PASSWORD".to_owned(), "a.env".to_owned())]),
            networks: BTreeSet::from(["proxy".to_owned()]),
        }
    }

    const HEAD: &str = "time 1790000000\nmachine \nroot ok\nfree_kb 7\nwritable yes\naccount 1000 deploy staff\n\
                        folder root 755 1000\nfolder secrets - -\n";

    #[test]
    fn doctor_answer_is_parsed() {
        let text = format!(
            "{HEAD}has sudo\nsecret key PASSWORD a.env\nlock compose.web\nrun 20261122T101530Z-1a2b3c4d\nsocket docker\n\
             engine 28.5.1\nnetwork proxy\ncompose 2.40.3\nend\n"
        );
        let seen = parse(text.as_bytes(), &asked()).unwrap();
        assert_eq!((seen.account.uid, seen.account.name.as_str()), (1000, "deploy"));
        assert_eq!((seen.root, seen.secrets), (Folder::There(Some((0o755, 1000))), Folder::There(None)));
        assert_eq!(seen.engine, Engine::Runs("28.5.1".to_owned()));
        assert_eq!((seen.networks.len(), seen.troubles.len(), seen.runs.len(), seen.locks.len()), (1, 1, 1, 1));
        assert!(seen.docker && !seen.failed);
    }

    #[test]
    fn malformed_and_unrequested_lines_are_refused() {
        let one = |line: &str| parse(format!("{HEAD}{line}\nend\n").as_bytes(), &asked());
        one("engine \u{1b}[2J").unwrap();
        for bad in [
            "x",
            "odd x",
            "secret missing b.env",
            "secret key OTHER a.env",
            "secret odd a.env",
            "network other",
            "run x",
            "lock a;b",
            "offer evil",
            "account 0 $(id) x",
            "account 0 -x y",
            "folder root 9 1",
            "folder root 77777 1",
            "folder other 755 1",
            "socket a b",
            "has evil",
            "failed x",
            "end",
        ] {
            assert!(one(bad).is_err(), "{bad:?}");
        }
        assert!(parse(HEAD.as_bytes(), &asked()).is_err(), "an answer without its end");
        assert!(parse(b"end\n", &asked()).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_lines_do_not_panic(lines in prop::collection::vec(
            "(time|account|has|folder|secret|lock|run|offer|docker|socket|engine|compose|network|free_kb|missing) .{0,30}", 0..8)
        ) {
            crate::laws::host_doctor(lines.join("\n").as_bytes());
        }
    }
}
