//! What a person asked for, as typed, and the hints in commit messages. Neither is a proof.

use std::collections::BTreeSet;

use crate::{
    flow::{Stage, refuse},
    model::{ids::Oid, refusal::Code, text::shown},
    port::Source,
};

/// What a person asked for. At least one of the two is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// `--approved`: a full id, of a head or of a merge result, as typed.
    pub approved: Option<String>,
    /// `--pr`.
    pub pr: Option<u64>,
}

/// Reads an id as typed. A prefix is never enough; where it is unique, the refusal shows the full id.
pub(crate) fn full_id(source: &dyn Source, text: &str) -> Stage<Oid> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    if text.is_empty() || text.len() > 40 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        let fact = format!("`{}` is not a commit id", shown(text));
        return refuse(
            Code::MalformedId,
            fact,
            "give the full id, 40 hexadecimal digits, of the head or of the merge result",
        );
    }
    let matching = if text.len() < 4 { Vec::new() } else { source.matching(&text.to_lowercase())? };
    let fix = match matching.as_slice() {
        [only] => format!("compare it, then give it in full: {only}"),
        [] | [_, ..] => "give the full id, 40 hexadecimal digits".to_owned(),
    };
    refuse(Code::ShortId, format!("`{text}` is only a part of an id"), fix)
}

/// Numbers of pull requests that a message names: `(#N)` at the end of its subject, and `Reviewed-on: …/pulls/N`.
pub(crate) fn hints(message: &[u8]) -> BTreeSet<u64> {
    let text = String::from_utf8_lossy(message);
    let subject = text.lines().next().unwrap_or_default();
    let in_subject = subject.match_indices("(#").filter_map(|(at, _)| {
        let rest = &subject[at + 2..];
        rest[..rest.find(')')?].parse().ok()
    });
    let trailers = text.lines().filter_map(|line| line.strip_prefix("Reviewed-on: "));
    let in_trailers = trailers.filter_map(|url| url.rsplit_once("/pulls/")?.1.trim().parse().ok());
    in_subject.chain(in_trailers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_request_numbers_are_read_from_merge_messages() {
        assert_eq!(
            hints(b"Merge pull request 'x' (#12) from a into main\n\nReviewed-on: https://f/o/r/pulls/13\n"),
            [12, 13].into()
        );
        assert_eq!(hints(b"fix #12, see (#x) (#\n\n(#14)\n"), BTreeSet::new());
    }
}
