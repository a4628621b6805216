//! Driver `files`: a release is a folder, and `<root>/live/<module>` is a symlink that is switched atomically.

pub mod driver;
mod watch;

use std::collections::BTreeMap;

use crate::{
    model::{
        cause::Cause,
        digest::Digest,
        path::RepoPath,
        plan::{Action, Change, Data, Downtime},
    },
    port::{PortError, Reply, Script},
    runtime::{
        driver::{Order, Target, nonsense},
        machine::{self, LookError, Machine},
        script::{run_script, scripts},
    },
};

/// Looks at what is live.
pub const LOOK: Script =
    Script { name: "files-look", text: scripts!("root", "machine", "files-look"), mutates: false, deadline_s: 120 };
/// Delivers a release.
pub const SHIP: Script =
    Script { name: "files-ship", text: scripts!("hashes", "delivery", "files-ship"), mutates: false, deadline_s: 600 };
/// Switches the live link.
pub const RUN: Script = Script { name: "files-run", text: run_script!("files-step"), mutates: true, deadline_s: 600 };

/// A file as it is, or as it should be: mode `644` or `755`, and the digest of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    /// The permission bits, in octal, without leading zeros.
    pub mode: String,
    /// The digest of its content.
    pub sha256: Digest,
}

impl FileState {
    /// The permission bits of the file in a delivery.
    pub fn bits(&self) -> u32 {
        if self.mode == "755" { 0o755 } else { 0o644 }
    }
}

/// A folder of files: path below it, and state.
pub type Listing = BTreeMap<RepoPath, FileState>;

/// What is at `<root>/live/<module>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Live {
    /// Nothing yet.
    None,
    /// One of our releases, by its name, with its files as they are now.
    Release {
        /// The 64 digits that name the folder.
        name: String,
        /// Its files; what is not a plain file with a plain path is in `odd`.
        files: Listing,
        /// Links, devices, names that no release has: how many.
        odd: usize,
    },
    /// Something that platformctl did not put there.
    Foreign,
}

/// Asks what is live.
fn look(target: Target<'_>) -> Order {
    Order::new(LOOK, [target.host.root.to_string(), target.module.manifest.id.to_string()])
}

/// Reads what is live.
///
/// # Errors
/// An answer that the script cannot have given.
fn seen(reply: &Reply) -> Result<(Machine, Live), PortError> {
    if reply.rc != 0 {
        return Err(nonsense(&LOOK, format!("it ended with {}", reply.rc)));
    }
    parse_look(&reply.stdout).map_err(|error| nonsense(&LOOK, error))
}

/// Reads the answer of [`LOOK`]. All of it is untrusted.
///
/// # Errors
/// A line that the script cannot have printed, or one that is missing.
pub fn parse_look(stdout: &[u8]) -> Result<(Machine, Live), LookError> {
    let mut seen = Seen::default();
    for line in stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let wrong = || LookError::Line(String::from_utf8_lossy(line).into_owned());
        let text = std::str::from_utf8(line).map_err(|_| wrong())?;
        seen.line(text).ok_or_else(wrong)?;
    }
    seen.finish()
}

#[derive(Default)]
struct Seen {
    machine: machine::Seen,
    live: Option<Live>,
    modes: BTreeMap<RepoPath, String>,
    sums: BTreeMap<RepoPath, Digest>,
    odd: usize,
}

impl Seen {
    fn line(&mut self, text: &str) -> Option<()> {
        // sha256sum's own lines: 64 digits, two blanks, the path (with a backslash in front where it had to escape).
        if let Some((hex, path)) = text.split_once("  ")
            && hex.len() == 64
        {
            match plain(path) {
                Some(path) => drop(self.sums.insert(path, format!("sha256:{hex}").parse().ok()?)),
                None => self.odd += 1,
            }
            return Some(());
        }
        let (key, value) = text.split_once(' ')?;
        if let Some(sense) = self.machine.line(key, value) {
            return sense.then_some(());
        }
        match (key, value) {
            ("live", "none") => self.live = Some(Live::None),
            ("live", name) if name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()) => {
                self.live = Some(Live::Release { name: name.to_owned(), files: Listing::new(), odd: 0 });
            }
            ("live" | "live_foreign", _) => self.live = Some(Live::Foreign),
            ("live_broken" | "odd", _) => self.odd += 1,
            ("mode", rest) => {
                let (mode, path) = rest.split_once(' ')?;
                match plain(path) {
                    Some(path) => drop(self.modes.insert(path, mode.to_owned())),
                    None => self.odd += 1,
                }
            }
            // The second half of a name with a newline in it: counted, not understood.
            _ if matches!(self.live, Some(Live::Release { .. })) => self.odd += 1,
            _ => return None,
        }
        Some(())
    }

    fn finish(mut self) -> Result<(Machine, Live), LookError> {
        let mut live = self.live.take().ok_or(LookError::Absent("live"))?;
        if let Live::Release { files, odd, .. } = &mut live {
            for (path, sha256) in self.sums {
                let mode = self.modes.remove(&path).unwrap_or_default();
                files.insert(path, FileState { mode, sha256 });
            }
            *odd = self.odd + self.modes.len();
        }
        Ok((self.machine.finish()?, live))
    }
}

fn plain(path: &str) -> Option<RepoPath> {
    path.strip_prefix("./")?.parse().ok()
}

/// What has to change so that `live` becomes `wanted`. Without changes the live files are right already, whatever their
/// release is called.
pub fn changes(wanted: &Listing, live: &Live) -> Vec<Change> {
    let empty = Listing::new();
    let (now, odd) = match live {
        Live::Release { files, odd, .. } => (files, *odd),
        Live::None | Live::Foreign => (&empty, 0),
    };
    let mut changes = Vec::new();
    for (path, want) in wanted {
        match now.get(path) {
            None => changes.push(change(path.as_str(), Action::Create, vec![Cause::New])),
            Some(have) if have == want => {}
            Some(have) => {
                let mut reasons = Vec::new();
                if have.sha256 != want.sha256 {
                    reasons.push(Cause::Content);
                }
                if have.mode != want.mode {
                    reasons.push(Cause::Mode);
                }
                changes.push(change(path.as_str(), Action::Recreate, reasons));
            }
        }
    }
    for path in now.keys().filter(|path| !wanted.contains_key(path)) {
        changes.push(change(path.as_str(), Action::Remove, vec![Cause::Gone]));
    }
    if odd > 0 {
        changes.push(change("(names that no release has)", Action::Remove, vec![Cause::Gone]));
    }
    changes
}

fn change(service: &str, action: Action, reasons: Vec<Cause>) -> Change {
    Change { service: service.to_owned(), action, reasons, downtime: Downtime::None, data: Data::None }
}

/// The manifest that the host checks a delivery against: sha256sum's lines, and `mode path` lines, both sorted by path.
pub fn manifest(files: &Listing) -> (String, String) {
    let mut sums = String::new();
    let mut modes = String::new();
    // `sort -k 2` orders by "./path"; the map orders by path: the same bytes.
    for (path, file) in files {
        sums.push_str(&format!("{}  ./{path}\n", file.sha256.hex()));
        modes.push_str(&format!("{} ./{path}\n", file.mode));
    }
    (sums, modes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn listing(files: &[(&str, &str)]) -> Listing {
        files
            .iter()
            .map(|(path, content)| {
                let state = FileState { mode: "644".into(), sha256: Digest::of(content.as_bytes()) };
                (path.parse().unwrap(), state)
            })
            .collect()
    }

    fn release(files: Listing) -> Live {
        Live::Release { name: "0".repeat(64), files, odd: 0 }
    }

    #[test]
    fn changes_list_every_file_with_its_reason() {
        let live = release(listing(&[("a", "1"), ("b", "1"), ("c", "1")]));
        let mut wanted = listing(&[("a", "1"), ("b", "2"), ("d", "1")]);
        wanted.get_mut(&"a".parse().unwrap()).unwrap().mode = "755".into();
        let said: Vec<_> = changes(&wanted, &live)
            .into_iter()
            .map(|c| {
                format!(
                    "{:?} {} {}",
                    c.action,
                    c.service,
                    c.reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")
                )
            })
            .collect();
        assert_eq!(said, ["Recreate a mode", "Recreate b content", "Create d new", "Remove c gone"]);
        assert!(changes(&wanted, &release(wanted.clone())).is_empty());
    }

    #[test]
    fn answers_are_parsed_strictly() {
        let sha = Digest::of(b"x").hex();
        let name = "a".repeat(64);
        let good = format!(
            "time 1790000000\nmachine \nroot ok\nfree_kb 7\nwritable yes\nlive {name}\nmode 644 ./a\n{sha}  ./a\n"
        );
        let (machine, live) = parse_look(good.as_bytes()).unwrap();
        assert_eq!(machine.free_bytes, 7168);
        assert_eq!(live, Live::Release { name, files: listing(&[("a", "x")]), odd: 0 });
        for bad in [
            "",
            "live none\n",
            "\u{1b}[2J\n",
            "free_kb -1\n",
            "time 1\nfree_kb 1\nwritable yes\nlive\n",
            "time x\n",
            "free_kb 1\nwritable yes\nlive none\n",
        ] {
            assert!(parse_look(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let odd = format!("{good}odd ./link\n\\{sha}  ./new\\nline\nodd ./pipe\n");
        let Live::Release { odd, .. } = parse_look(odd.as_bytes()).unwrap().1 else { panic!() };
        assert_eq!(odd, 3, "what no release has is counted, never followed");
    }

    proptest! {
        #[test]
        fn planned_change_leaves_no_difference(
            now in prop::collection::btree_map("[a-c]{1,2}", "[xy]", 0..6),
            wanted in prop::collection::btree_map("[a-c]{1,2}", "[xy]", 0..6),
        ) {
            let list = |m: &BTreeMap<String, String>| {
                listing(&m.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>())
            };
            let (now, wanted) = (list(&now), list(&wanted));
            let mut then = now.clone();
            for change in changes(&wanted, &release(now)) {
                let path: RepoPath = change.service.parse().unwrap();
                match wanted.get(&path) {
                    Some(file) => drop(then.insert(path, file.clone())),
                    None => drop(then.remove(&path)),
                }
            }
            prop_assert!(changes(&wanted, &release(then)).is_empty());
        }
    }
}
