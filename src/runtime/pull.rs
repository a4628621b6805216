//! What became of images that a host was asked to bring.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::text::shown;

/// Lines of Docker's words that are shown of one image.
const LINES_MAX: usize = 3;

/// What became of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pulled {
    /// Images that are there now.
    pub brought: BTreeSet<String>,
    /// Images that could not be brought, and why in Docker's own words, escaped.
    pub failed: BTreeMap<String, String>,
}

/// Reads the answer. All of it is untrusted: lines that cannot be parsed are skipped, and none of them makes an image
/// present.
pub fn parse(stdout: &[u8]) -> Pulled {
    let mut pulled = Pulled::default();
    let mut words: Option<(String, Vec<String>)> = None;
    for line in String::from_utf8_lossy(stdout).lines() {
        match (line.split_once(' '), &mut words) {
            (Some(("pulled", image)), _) => drop(pulled.brought.insert(image.to_owned())),
            (Some(("missing", image)), words) => {
                pulled.note(words.take());
                *words = Some((image.to_owned(), Vec::new()));
            }
            (Some(("why", text)), Some((_, said))) if said.len() < LINES_MAX && !text.trim().is_empty() => {
                said.push(shown(text.trim()));
            }
            _ => {}
        }
    }
    pulled.note(words);
    pulled
}

impl Pulled {
    fn note(&mut self, words: Option<(String, Vec<String>)>) {
        if let Some((image, said)) = words.filter(|(_, said)| !said.is_empty()) {
            self.failed.insert(image, said.join(" / "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_pull_errors_are_escaped_and_cut() {
        let said = parse(
            b"pulled a:1\nmissing b:1\nwhy one\x1b[2J\nwhy\nwhy two\nwhy three\nwhy four\nmissing c:1\npulled\nx\n",
        );
        assert_eq!(said.brought, BTreeSet::from(["a:1".to_owned()]));
        assert_eq!(said.failed, BTreeMap::from([("b:1".to_owned(), "one\\u{1b}[2J / two / three".to_owned())]));
    }
}
