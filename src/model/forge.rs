//! The forge: the server that keeps the pull requests, and what its API says of them. Its word is asked in addition to
//! git's proofs; nothing here is a proof by itself.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{as_text::as_text, ids::Oid, text::shown, time::Timestamp};

/// Where a repository is on a forge: `https://git.example.org/ops/platform`, perhaps with a path before the owner. No
/// login, query or fragment; `http` only for a loopback address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForgeUrl {
    server: String,
    owner: String,
    name: String,
}

/// Why a text is no [`ForgeUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the https address of a repository, for instance https://git.example.org/ops/platform")]
pub struct NoForgeUrl(String);

impl ForgeUrl {
    /// The server's address without a slash at its end: the API is below `/api/v1`.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The name (and port) of the server, as it is in URLs.
    pub fn host(&self) -> &str {
        let rest = self.server.split_once("://").map_or(self.server.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// `owner/name`.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// The page of a pull request.
    pub fn pull(&self, pr: u64) -> String {
        format!("{self}/pulls/{pr}")
    }

    /// The page of a commit.
    pub fn commit(&self, id: Oid) -> String {
        format!("{self}/commit/{id}")
    }

    /// The address of the repository that a git URL names: `https://…`, `ssh://git@host[:port]/owner/name.git` or
    /// `git@host:owner/name.git`. An ssh port says nothing about the API, which is then taken to be at https.
    pub fn of_remote(url: &str) -> Option<Self> {
        let url = url.trim_end_matches('/');
        let url = url.strip_suffix(".git").unwrap_or(url);
        if let Some((scheme @ ("https" | "http"), rest)) = url.split_once("://") {
            let rest = rest.split_once('@').filter(|(user, _)| !user.contains('/')).map_or(rest, |(_, rest)| rest);
            return format!("{scheme}://{rest}").parse().ok();
        }
        let (host, path) = match url.strip_prefix("ssh://") {
            Some(rest) => rest.split_once('/')?,
            // Other transports name no forge.
            None if url.contains("://") => return None,
            // A path on this machine has a slash before its first colon, or no colon, or is absolute behind a drive.
            None => url.split_once(':').filter(|(host, path)| !host.contains('/') && !path.starts_with('/'))?,
        };
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let host = host.split_once(':').map_or(host, |(host, _)| host);
        format!("https://{host}/{}", path.trim_start_matches('/')).parse().ok()
    }
}

impl fmt::Display for ForgeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.server, self.owner, self.name)
    }
}

/// Whether a host (with or without port) is this machine.
pub fn is_loopback(host: &str) -> bool {
    let name = host
        .strip_prefix('[')
        .map_or_else(|| host.split(':').next().unwrap_or(host), |rest| rest.split(']').next().unwrap_or(rest));
    name == "localhost" || name == "::1" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

impl FromStr for ForgeUrl {
    type Err = NoForgeUrl;

    fn from_str(text: &str) -> Result<Self, NoForgeUrl> {
        let no = || NoForgeUrl(shown(text));
        let (scheme, rest) = text.split_once("://").ok_or_else(no)?;
        let mut parts: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
        let word = |part: &str| {
            !part.is_empty()
                && !part.starts_with(['-', '.'])
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let (name, owner) = (parts.pop().unwrap_or_default(), parts.pop().unwrap_or_default());
        let host = parts.first().copied().unwrap_or_default();
        let fits_host = !host.is_empty()
            && !host.starts_with('-')
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
        let fits = (scheme == "https" || scheme == "http" && is_loopback(host))
            && fits_host
            && parts.iter().skip(1).all(|part| word(part))
            && word(owner)
            && word(name)
            && text.len() <= 500;
        if !fits {
            return Err(no());
        }
        Ok(Self { server: format!("{scheme}://{}", parts.join("/")), owner: owner.to_owned(), name: name.to_owned() })
    }
}

as_text!(ForgeUrl);

/// An account of the forge, as its API names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Its number, which is never given to another; the automatic account of Actions is -2.
    pub id: i64,
    /// Its name, which may change.
    pub login: String,
}

/// The repository itself, as far as the account that asks may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its number, which a rename does not change.
    pub id: i64,
    /// `owner/name`, as the forge spells it now.
    pub full_name: String,
    /// Whether it is read-only.
    pub archived: bool,
    /// Whether the account may push.
    pub can_push: bool,
    /// Whether the account administers it.
    pub is_admin: bool,
}

/// What the API says of a pull request. There is no head here on purpose: after the merge the API's `head.sha` follows
/// the branch, and anyone who may push there can move it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Its title, foreign text.
    pub title: String,
    /// Whether it is still open.
    pub open: bool,
    /// Who opened it; `None` if the account is gone.
    pub author: Option<Account>,
    /// Into which branch.
    pub base_branch: String,
    /// Of which repository.
    pub base_repository: i64,
    /// Where its changes began, as the forge stored it when it was merged; for a fast-forward the tip of the base before
    /// it.
    pub merge_base: Option<Oid>,
    /// How it was merged, if it was.
    pub merged: Option<MergedAs>,
}

/// The merge of a pull request, by the API's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedAs {
    /// The commit on the base; any commit of the base for a merge that somebody only declared (*manually merged*).
    pub commit: Oid,
    /// When; the author date of that commit for a declared merge.
    pub at: Timestamp,
    /// Who merged it; `None` if the account is gone.
    pub by: Option<Account>,
}

/// What a review says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// `APPROVED`.
    Approved,
    /// `REQUEST_CHANGES`.
    ChangesRequested,
    /// A comment, a request for a review, a draft, or a word of a newer forge: no verdict.
    Other,
}

/// A review of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Its number.
    pub id: u64,
    /// Who wrote it; `None` for a team or an account that is gone.
    pub user: Option<Account>,
    /// What it says.
    pub verdict: Verdict,
    /// Of which commit; `None` if the forge does not say.
    pub commit: Option<Oid>,
    /// Whether the content changed since.
    pub stale: bool,
    /// Whether the branch's rule counts its author.
    pub official: bool,
    /// Whether somebody dismissed it.
    pub dismissed: bool,
    /// When it was submitted.
    pub at: Timestamp,
}

/// The newest status of one context on a commit. Any writer can set any context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its context, for instance `ci / test (pull_request)`.
    pub context: String,
    /// How it is.
    pub state: StatusState,
    /// Who set it.
    pub creator: Option<Account>,
}

/// How a status is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusState {
    /// It waits for something.
    Pending,
    /// Good.
    Success,
    /// Bad.
    Failure,
    /// Something broke, or a word that this version does not know.
    Error,
}

impl StatusState {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

/// A status to be set, for people to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStatus {
    /// Its context: `platformctl/…`.
    pub context: String,
    /// How it is.
    pub state: StatusState,
    /// One line, at most 140 characters.
    pub description: String,
    /// Where to read more.
    pub target_url: Option<String>,
}

/// A comment under a pull request. Any writer may have edited it: it is never read as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its number.
    pub id: u64,
    /// Whose it is.
    pub user: Option<Account>,
    /// Its text, foreign.
    pub body: String,
    /// Its page.
    pub url: String,
}

/// The account and review that counted, as they are recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CountedReview {
    /// The reviewer's name at the time.
    pub user: String,
    /// The number of the review.
    pub id: u64,
    /// When it was submitted.
    pub at: Timestamp,
    /// Of which pull request, if it is not the approved one but another that the approval covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr: Option<u64>,
}

/// What the forge was asked and answered of a pull request, as it is recorded: its word, no proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ForgeWord {
    /// The repository that was asked.
    pub url: ForgeUrl,
    /// Its number.
    pub repository: i64,
    /// Who merged the pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_by: Option<String>,
    /// When, by the forge.
    pub merged_at: Timestamp,
    /// How many approvals the policy asked for.
    pub required_approvals: u32,
    /// Contexts of the statuses that the policy asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_of_a_repository_is_https_without_login() {
        for good in [
            "https://git.example.org/ops/platform",
            "http://127.0.0.1:3000/o/r",
            "https://x.org/git/o/r",
            "http://[::1]:3/o/r",
        ] {
            assert_eq!(good.parse::<ForgeUrl>().unwrap().to_string(), good);
        }
        for bad in [
            "http://git.example.org/ops/platform",
            "https://git.example.org/platform",
            "https://me:pw@git.example.org/o/r",
            "https://git.example.org/o/r?x=1",
            "https://git.example.org/../r",
            "https://git.example.org/o/-r",
            "https://localhost.evil.org:1/../o",
            "http://localhost.evil.org/o/r",
            "file:///o/r",
            "",
        ] {
            assert!(bad.parse::<ForgeUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn git_urls_name_the_repository_on_the_forge() {
        for (url, address) in [
            ("https://me:pw@git.example.org/ops/platform.git", "https://git.example.org/ops/platform"),
            ("http://127.0.0.1:3000/ops/platform.git/", "http://127.0.0.1:3000/ops/platform"),
            ("git@git.example.org:ops/platform.git", "https://git.example.org/ops/platform"),
            ("ssh://git@git.example.org:2222/ops/platform", "https://git.example.org/ops/platform"),
        ] {
            assert_eq!(ForgeUrl::of_remote(url).unwrap().to_string(), address);
        }
        for url in ["/srv/git/platform.git", "../platform.git", "file:///srv/git/platform.git", "platform", "C:/x/y"] {
            assert_eq!(ForgeUrl::of_remote(url), None, "{url}");
        }
    }
}
