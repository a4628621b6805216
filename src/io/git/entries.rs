//! The entries of a tree, as strictly as `git fsck --strict` reads them: a tree that git would not take in is not read
//! here either. What such a tree means differs from reader to reader: one finds the first of two entries of a name,
//! another the last.

use crate::{
    model::{ids::Oid, refusal::Code, text::escaped_bytes},
    port::{Answer, Entry, Mode, PortError},
};

/// Longest name that git takes.
const NAME_BYTES_MAX: usize = 4096;

/// Reads the raw bytes of the tree `id`.
///
/// # Errors
/// `git fsck --strict` would refuse it.
pub(super) fn read(id: Oid, raw: &[u8]) -> Answer<Vec<(Vec<u8>, Entry)>> {
    let refused = |name: &[u8], why: &str| {
        let entry =
            if name.is_empty() { "an entry".to_owned() } else { format!("the entry `{}`", escaped_bytes(name)) };
        PortError::new(
            Code::ContentRefused,
            format!("the tree {id} has {entry} that {why}; `git fsck --strict` refuses it"),
            "find out who created it (git itself never does), then replace it in a pull request",
        )
    };
    let mut found: Vec<(Vec<u8>, Entry)> = Vec::new();
    let mut rest = raw;
    while !rest.is_empty() {
        let (name, entry, after) = one(rest).ok_or_else(|| refused(b"", "is cut or has a mode of its own"))?;
        if let Some(why) = wrong(name, entry) {
            return Err(refused(name, why));
        }
        if let Some((before, other)) = found.last() {
            match key(before, other.mode).cmp(key(name, entry.mode)) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Err(refused(name, "is there twice")),
                std::cmp::Ordering::Greater => return Err(refused(name, "is not in its place in the order")),
            }
        }
        found.push((name.to_vec(), entry));
        rest = after;
    }
    // A folder and a file of one name are apart in git's order: `a`, `a.b`, `a/`.
    let twice = found.iter().find(|(name, entry)| {
        let file = |other: &(Vec<u8>, Entry)| key(&other.0, other.1.mode).cmp(name.iter().copied());
        entry.mode == Mode::Tree && found.binary_search_by(file).is_ok()
    });
    match twice {
        Some((name, _)) => Err(refused(name, "is there twice")),
        None => Ok(found),
    }
}

/// What git sorts by: a folder as if its name ended with a slash.
fn key(name: &[u8], mode: Mode) -> impl Iterator<Item = u8> + use<'_> {
    name.iter().copied().chain((mode == Mode::Tree).then_some(b'/'))
}

/// The first entry: `<mode> <name>\0<20 bytes>`, and what follows it.
fn one(raw: &[u8]) -> Option<(&[u8], Entry, &[u8])> {
    let blank = raw.iter().position(|byte| *byte == b' ')?;
    let mode = mode(&raw[..blank])?;
    let named = &raw[blank + 1..];
    let nul = named.iter().position(|byte| *byte == 0)?;
    let (name, rest) = (&named[..nul], &named[nul + 1..]);
    let id: [u8; 20] = rest.get(..20)?.try_into().ok()?;
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    Some((name, Entry { mode, id: hex.parse().ok()? }, &rest[20..]))
}

/// What an entry is. Old git wrote other bits of files than it does today, and takes them all the same.
fn mode(text: &[u8]) -> Option<Mode> {
    let octal = std::str::from_utf8(text).ok().filter(|text| text.len() <= 6 && !text.starts_with(['0', '+']))?;
    match u32::from_str_radix(octal, 8).ok()? {
        0o040_000 => Some(Mode::Tree),
        0o120_000 => Some(Mode::Link),
        0o160_000 => Some(Mode::Submodule),
        file if file & 0o170_000 == 0o100_000 => Some(if file & 0o100 == 0 { Mode::File } else { Mode::Executable }),
        _ => None,
    }
}

/// Why an entry is none that git would take in.
fn wrong(name: &[u8], entry: Entry) -> Option<&'static str> {
    let parts = || name.split(|byte| *byte == b'\\');
    if name.is_empty() {
        Some("has no name")
    } else if name.contains(&b'/') {
        Some("has a slash in its name")
    } else if name == b"." || name == b".." {
        Some("names a folder above")
    } else if name.len() > NAME_BYTES_MAX {
        Some("has a name that is too long")
    } else if entry.id.to_string().bytes().all(|byte| byte == b'0') {
        Some("is no object")
    } else if is_hfs(name, "git") || parts().any(is_ntfs_git) {
        Some("some file system takes for `.git`")
    } else if entry.mode == Mode::Link && (is_hfs(name, "gitmodules") || parts().any(is_ntfs_gitmodules)) {
        Some("is a symbolic link named .gitmodules")
    } else {
        None
    }
}

/// Whether HFS+ takes a name for `.<word>`: it does not see these characters, and knows no case.
fn is_hfs(name: &[u8], word: &str) -> bool {
    const UNSEEN: &[std::ops::RangeInclusive<char>] =
        &['\u{200c}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{206a}'..='\u{206f}', '\u{feff}'..='\u{feff}'];
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let seen = name.chars().filter(|c| !UNSEEN.iter().any(|range| range.contains(c)));
    let seen: String = seen.map(|c| c.to_ascii_lowercase()).collect();
    seen.strip_prefix('.') == Some(word)
}

/// Whether NTFS takes a name for `.git`: by its short name, with blanks and dots at its end, or with a stream behind a
/// colon.
fn is_ntfs_git(name: &[u8]) -> bool {
    let lower = name.to_ascii_lowercase();
    let rest = lower.strip_prefix(b".git".as_slice()).or_else(|| lower.strip_prefix(b"git~1".as_slice()));
    rest.is_some_and(ends)
}

/// The same for `.gitmodules`, whose short names git knows.
fn is_ntfs_gitmodules(name: &[u8]) -> bool {
    let lower = name.to_ascii_lowercase();
    let long = lower.strip_prefix(b".gitmodules".as_slice());
    let short = ["gitmod~1", "gitmod~2", "gitmod~3", "gitmod~4"];
    let short = short.iter().find_map(|short| lower.strip_prefix(short.as_bytes()));
    // Where those are taken, the file system makes names of a hash.
    let hashed = lower.len() >= 8 && lower.starts_with(b"gi7eba~") && lower[7].is_ascii_digit();
    long.or(short).is_some_and(ends) || (hashed && ends(&lower[8..]))
}

fn ends(rest: &[u8]) -> bool {
    let end = rest.iter().position(|byte| !matches!(byte, b' ' | b'.'));
    end.is_none_or(|at| rest[at] == b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> Oid {
        "1".repeat(40).parse().unwrap()
    }

    fn raw(entries: &[(&str, &[u8])]) -> Vec<u8> {
        entries.iter().flat_map(|(mode, name)| [mode.as_bytes(), b" ", name, b"\0", &[1; 20]].concat()).collect()
    }

    #[test]
    fn trees_written_by_git_are_parsed() {
        let tree = raw(&[
            ("100644", b".gitattributes"),
            ("100644", b".gitmodules"),
            ("100644", b"a"),
            ("40000", b"b"),
            ("100755", b"b0"),
            ("160000", b"git~2"),
            ("120000", "ż".as_bytes()),
        ]);
        assert_eq!(read(id(), &tree).unwrap().len(), 7);
        assert_eq!(read(id(), b"").unwrap(), []);
    }
}
