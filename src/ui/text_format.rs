//! Small words of the messages.

use unicode_width::UnicodeWidthStr as _;

/// Columns of a line for a person on a phone.
const WIDTH: usize = 60;

/// `1 file`, `2 files`.
pub fn plural(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// `0.4 s`, `36 s`.
pub fn seconds(ms: u64) -> String {
    if ms < 10_000 { format!("{}.{} s", ms / 1000, ms % 1000 / 100) } else { format!("{} s", ms / 1000) }
}

/// A digest or id that no one has to compare, shortened.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// `#140 #142`.
pub fn list(pulls: &[u64]) -> String {
    pulls.iter().map(|pr| format!("#{pr}")).collect::<Vec<_>>().join(" ")
}

/// `text` on lines of at most 60 columns, each after `indent`. What is copied stays in one piece, however long it is:
/// an id, a path, and a command with its arguments. A line that begins with two blanks is shown as it is: it is a
/// listing or a difference.
pub fn wrapped(text: &str, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        if paragraph.starts_with("  ") {
            lines.push(format!("{indent}{paragraph}"));
            continue;
        }
        let mut line = String::new();
        for word in pieces(paragraph) {
            if !line.is_empty() && indent.width() + line.width() + 1 + word.width() > WIDTH {
                lines.push(format!("{indent}{line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        lines.push(format!("{indent}{line}"));
    }
    lines
}

/// Our own terms that are printed without a sentence around them, and what they mean.
const MEANINGS: &[(&str, &str)] = &[
    ("adopt", "a container that was started with Compose before is taken over as it is"),
    ("checkout", "the files of this clone were not compared with what was merged (--no-checkout-binding)"),
    ("covers", "the pull requests that changed the module since its last apply; all of them are proven"),
    ("data", "data could be dropped or replaced without an `acknowledge` entry (--break-glass)"),
    ("forge", "the forge's API gave no answer, so reviews and statuses are not known (--break-glass)"),
    ("freeze", "a freeze was in force (--during-freeze or --break-glass)"),
    ("held", "the release failed on this host before and was tried again (--retry)"),
    ("reviews", "reviews were missing, or a change on the base had none (--break-glass)"),
    ("scope", "the pull request did not change the module, which was never applied (--break-glass)"),
    ("statuses", "a required commit status was missing (--break-glass)"),
    ("superseded", "a newer merge had changed the module too (--allow-older or --break-glass)"),
    ("weak", "by a fast-forward, which git alone cannot tell from a push without a pull request"),
];

/// A line or more for each of these words: what it means.
pub fn meanings<'w>(words: impl IntoIterator<Item = &'w str>) -> Vec<String> {
    let known = words.into_iter().filter_map(|word| MEANINGS.iter().find(|(name, _)| *name == word));
    known.flat_map(|(name, meaning)| wrapped(&format!("{name}: {meaning}"), "  ")).collect()
}

/// Programs whose names begin a command in a message.
const PROGRAMS: &[&str] = &[
    "apt-get",
    "chmod",
    "chown",
    "docker",
    "git",
    "install",
    "ls",
    "mkdir",
    "mv",
    "platformctl",
    "rm",
    "ssh",
    "ssh-add",
    "ssh-keygen",
    "sudo",
    "systemctl",
    "timedatectl",
    "usermod",
];

/// The words of a line; what must not be broken is one of them: what stands in backticks, and a command without them as
/// far as it can be told from the sentence around it.
fn pieces(line: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    // How the piece that is being made goes on: an open backtick or quote, or a command.
    let (mut tick, mut quote, mut command) = (false, false, 0_usize);
    for word in line.split(' ') {
        let joined = tick || quote || (command > 0 && goes_on(word, command));
        match pieces.last_mut().filter(|_| joined) {
            Some(piece) => {
                piece.push(' ');
                piece.push_str(word);
                command += usize::from(command > 0);
            }
            None => {
                let bare = word.trim_start_matches(['(', '`']);
                command = usize::from(PROGRAMS.contains(&bare));
                pieces.push(word.to_owned());
            }
        }
        tick ^= word.matches('`').count() % 2 == 1;
        quote = command > 0 && (quote ^ (word.matches('"').count() % 2 == 1));
        // A sentence goes on after its punctuation.
        if !tick && !quote && word.ends_with([',', ';', ':', ')', '`']) {
            command = 0;
        }
    }
    pieces
}

/// Whether `word` still belongs to a command of which `taken` words are there: its verb and what that is about, options
/// and their values, paths, ids and names.
fn goes_on(word: &str, taken: usize) -> bool {
    let looks = word.starts_with(['-', '"', '<']) || word.contains(['/', '=', '_', '@', '.']) && !word.ends_with('.');
    let upper = word.len() > 1 && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_punctuation());
    taken < 3 || looks || upper || word.bytes().any(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wrap_at_60_columns_and_ids_stay_whole() {
        let id = "0123456789012345678901234567890123456789";
        let lines = wrapped(&format!("the record begins with {id}, platform.yaml pins another"), "  ");
        assert_eq!(lines, ["  the record begins with", &format!("  {id}, platform.yaml"), "  pins another"]);
        assert_eq!(wrapped("a:\n  + x", ""), ["a:", "  + x"]);
        let whole = |text: &str, command: &str| {
            let lines = wrapped(text, "  ");
            assert!(lines.iter().any(|line| line.contains(command)), "{lines:#?}");
            assert!(lines.len() > 1, "the rest is wrapped: {lines:#?}");
        };
        let long = "what a person has to know before the command is read";
        for command in [
            "`ssh -o BatchMode=yes deploy@rs2000.example.org true`",
            "platformctl apply edge-site --approved 0123456789012345678901234567890123456789 --pr 2",
            "platformctl abandon 20261122T101530Z-1a2b3c4d --reason \"its machine is gone\"",
            "docker compose -p apps logs",
            "git fetch origin refs/platform/state:refs/platform/state",
        ] {
            whole(&format!("{long}: {command}"), command);
            whole(&format!("{long} ({command}), and more words after it so that the line has to end"), command);
            whole(
                &format!("→ run {command}, then the same again, which is what everybody does who reads this"),
                command,
            );
        }
        assert_eq!(plural(1, "file") + &plural(2, "file"), "1 file2 files");
        assert_eq!((seconds(420), seconds(36_400)), ("0.4 s".to_owned(), "36 s".to_owned()));
    }
}
