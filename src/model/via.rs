//! The runner of CI that wrote a record, as it describes itself. Nothing proves it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longer names of servers, owners and repositories are not taken.
const WORD_BYTES_MAX: usize = 100;
const SERVER_BYTES_MAX: usize = 200;
/// Digits of the number of a run.
const RUN_DIGITS_MAX: usize = 20;

/// A run of CI: `{server, repository, run}`. A value is well-formed; that it is true is the runner's word alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Via {
    server: String,
    repository: String,
    run: String,
}

/// The same before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    server: String,
    repository: String,
    run: String,
}

/// Why a description of a run is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the description of a run has no valid {0}")]
pub struct NoVia(&'static str);

impl Via {
    /// A run by what the runner says: the server's address, `owner/name`, and the run's number.
    ///
    /// # Errors
    /// One of them has another form.
    pub fn new(server: &str, repository: &str, run: &str) -> Result<Self, NoVia> {
        let server = server.trim_end_matches('/');
        let word = |text: &str| {
            (1..=WORD_BYTES_MAX).contains(&text.len())
                && !text.starts_with(['-', '.'])
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let (owner, name) = repository.split_once('/').ok_or(NoVia("repository"))?;
        if host(server).is_none() {
            return Err(NoVia("server"));
        }
        if !word(owner) || !word(name) {
            return Err(NoVia("repository"));
        }
        if !(1..=RUN_DIGITS_MAX).contains(&run.len()) || !run.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NoVia("run"));
        }
        Ok(Self { server: server.to_owned(), repository: repository.to_owned(), run: run.to_owned() })
    }

    /// The number of the run there.
    pub fn run(&self) -> &str {
        &self.run
    }
}

impl TryFrom<Raw> for Via {
    type Error = NoVia;

    fn try_from(raw: Raw) -> Result<Self, NoVia> {
        let via = Self::new(&raw.server, &raw.repository, &raw.run)?;
        // One spelling: with a slash at its end it would be another record.
        if via.server == raw.server { Ok(via) } else { Err(NoVia("server")) }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {} of {} on {}", self.run, self.repository, self.server)
    }
}

/// The name of the server at an address of a forge (`https://git.example.org:3000/path`): no login, no query, and without
/// the port. `None` for anything else.
pub fn host(server: &str) -> Option<&str> {
    let rest = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://"))?;
    let plain = |text: &str, more: &[u8]| text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let port = authority.rsplit_once(':').filter(|(_, port)| plain(port, b"") && !port.is_empty());
    let host = port.map_or(authority, |(host, _)| host);
    let bracketed = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let fits = match bracketed {
        Some(inner) => plain(inner, b":"),
        None => plain(host, b"-.") && !host.starts_with(['-', '.']),
    };
    let fits = fits && !host.is_empty() && plain(path, b"-_./") && server.len() <= SERVER_BYTES_MAX;
    fits.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_described_in_one_form() {
        let via = Via::new("https://git.example.org:3000/git/", "ops/platform", "42").unwrap();
        assert_eq!(via.to_string(), "run 42 of ops/platform on https://git.example.org:3000/git");
        let json = serde_json::to_string(&via).unwrap();
        assert_eq!(serde_json::from_str::<Via>(&json).unwrap(), via);
        assert!(serde_json::from_str::<Via>(&json.replace("/git\"", "/git/\"")).is_err(), "{json}");
        assert!(serde_json::from_str::<Via>(&json.replace("\"run\"", "\"more\":1,\"run\"")).is_err(), "{json}");
    }

    #[test]
    fn hosts_are_without_login_and_port() {
        assert_eq!(host("https://git.example.org:3000/x"), Some("git.example.org"));
        assert_eq!(host("http://[::1]:3000"), Some("[::1]"));
        for no in [
            "https://",
            "ftp://a",
            "https://a@b",
            "https://a b",
            "https://a/?x",
            "https://a\n",
            "git.example.org",
            "https://-a",
        ] {
            assert_eq!(host(no), None, "{no:?}");
        }
    }

    /// Attack: a workflow sets the variables of the runner so that a record has a line break, an escape code or another
    /// person's line in it.
    /// Defence: a description of a run that is not plain words, one address and one number is left out of a record and
    /// refused in a record that is read.
    #[test]
    fn hostile_descriptions_of_a_run_are_refused() {
        const GOOD: [&str; 3] = ["https://git.example.org", "ops/platform", "42"];
        let hostile =
            ["", "a b", "a\nPlatform-Seq: 1", "\u{1b}[2J", "\u{202e}a", "../..", "a/b/c", "-x", "https://u:p@h", "ä"];
        for at in 0..3 {
            for text in hostile {
                let mut parts = GOOD;
                parts[at] = text;
                assert!(Via::new(parts[0], parts[1], parts[2]).is_err(), "{parts:?}");
                let [server, repository, run] = parts;
                let json = serde_json::json!({"server": server, "repository": repository, "run": run});
                assert!(serde_json::from_value::<Via>(json).is_err(), "{parts:?}");
            }
        }
        assert!(Via::new(GOOD[0], GOOD[1], &"1".repeat(21)).is_err());
        assert!(Via::new(GOOD[0], &format!("{}/x", "a".repeat(101)), "1").is_err());
    }
}
