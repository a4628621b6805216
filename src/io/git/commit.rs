//! The raw form of a commit, read by hand: every byte of it may come from an attacker.

use crate::{model::ids::Oid, port::Commit};

/// Reads a commit object. `None`: it has no tree. What git itself passes over (headers that it does not know, a person
/// that cannot be read, a missing message) is passed over here too: such a commit can be pushed, so it must be possible
/// to name what is wrong with it.
pub(super) fn parse(id: Oid, raw: Vec<u8>) -> Option<Commit> {
    let end = raw.windows(2).position(|pair| pair == b"\n\n").unwrap_or(raw.len());
    let mut tree = None;
    let mut parents = Vec::new();
    let mut author = None;
    let mut committer = None;
    let mut signature: Option<Vec<u8>> = None;
    let mut in_signature = false;
    for line in raw[..end].split(|b| *b == b'\n') {
        if let Some(more) = line.strip_prefix(b" ") {
            if let (true, Some(signature)) = (in_signature, signature.as_mut()) {
                signature.push(b'\n');
                signature.extend_from_slice(more);
            }
            continue;
        }
        in_signature = false;
        let Some(at) = line.iter().position(|b| *b == b' ') else { continue };
        let (key, value) = (&line[..at], &line[at + 1..]);
        match key {
            b"tree" if tree.is_none() => tree = Some(oid(value)?),
            b"parent" => parents.push(oid(value)?),
            b"author" if author.is_none() => author = person(value),
            b"committer" if committer.is_none() => committer = person(value),
            b"gpgsig" if signature.is_none() => {
                signature = Some(value.to_vec());
                in_signature = true;
            }
            _ => {}
        }
    }
    let (name, email, _) = author.unwrap_or_default();
    let (_, _, committed_unix_s) = committer.unwrap_or_default();
    let message = raw.get(end + 2..).unwrap_or_default().to_vec();
    Some(Commit { id, tree: tree?, parents, message, author: (name, email), committed_unix_s, signature, raw })
}

fn oid(digits: &[u8]) -> Option<Oid> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `Name <e-mail> seconds zone`.
fn person(line: &[u8]) -> Option<(String, String, i64)> {
    let open = line.iter().position(|b| *b == b'<')?;
    let close = line.iter().rposition(|b| *b == b'>')?;
    let name = String::from_utf8_lossy(line.get(..open)?).trim_end().to_owned();
    let email = String::from_utf8_lossy(line.get(open + 1..close)?).into_owned();
    let time = std::str::from_utf8(line.get(close + 1..)?).ok()?;
    let seconds = time.split_whitespace().next()?.parse().ok()?;
    Some((name, email, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Oid = Oid::from_bytes([7; 20]);

    #[test]
    fn signed_merge_commit_is_parsed() {
        let hex = "a".repeat(40);
        let raw = format!(
            "tree {hex}\nparent {hex}\nparent {hex}\nauthor Ö <o@x> 12 +0100\ncommitter C <c@x> 34 +0000\n\
             gpgsig -----BEGIN\n line\n -----END\n\nsubject\n\nbody\n"
        );
        let commit = parse(ID, raw.into_bytes()).unwrap();
        assert_eq!(commit.parents.len(), 2);
        assert_eq!(commit.author, ("Ö".to_owned(), "o@x".to_owned()));
        assert_eq!(commit.committed_unix_s, 34);
        assert_eq!(commit.signature.unwrap(), b"-----BEGIN\nline\n-----END");
        assert_eq!(commit.message, b"subject\n\nbody\n");
    }
}
