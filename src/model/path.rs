//! Paths, checked once. A path of the repository and a path of a host are different things.

use std::{fmt, str::FromStr};

use super::as_text::as_text;

/// Why a text is not a path that may be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Empty, absolute, with `.`, `..`, an empty part, or a character that no path here may have.
    #[error("`{}` is not a plain path inside the repository (no leading /, no . or .., no control characters)", super::text::shown(.0))]
    Repo(String),
    /// Not absolute and normal.
    #[error("`{}` is not a plain absolute path (no . or .., no control characters, no / at its end)", super::text::shown(.0))]
    Host(String),
}

fn is_part(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && part.len() <= 255
        && !part.contains('\\')
        && !part.chars().any(super::text::is_harmful)
}

/// A path inside the repository: relative, normal, UTF-8, without control characters. Longest 4,096 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(String);

impl RepoPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its folder, `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The last part.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Whether it is `folder` or below it.
    pub fn is_within(&self, folder: &Self) -> bool {
        self.0.strip_prefix(&folder.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The part of the path below `folder`, if it is there.
    pub fn below(&self, folder: &Self) -> Option<Self> {
        let rest = self.0.strip_prefix(&folder.0)?.strip_prefix('/')?;
        rest.parse().ok()
    }

    /// Resolves `relative` (which may use `.` and `..`) against the folder `base` (`None`: the root).
    ///
    /// # Errors
    /// It is absolute, leaves the repository, or is no plain path.
    pub fn resolve(base: Option<&Self>, relative: &str) -> Result<Self, PathError> {
        let wrong = || PathError::Repo(relative.to_owned());
        if relative.starts_with('/') || relative.is_empty() {
            return Err(wrong());
        }
        let mut parts: Vec<&str> = base.map(|b| b.0.split('/').collect()).unwrap_or_default();
        for part in relative.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop().ok_or_else(wrong)?;
                }
                _ => parts.push(part),
            }
        }
        parts.join("/").parse().map_err(|_| wrong())
    }
}

impl FromStr for RepoPath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        // `.git` in any case would reach into the repository's own folder once written to disk.
        let fits =
            text.len() <= 4096 && text.split('/').all(|part| is_part(part) && !part.eq_ignore_ascii_case(".git"));
        if fits { Ok(Self(text.to_owned())) } else { Err(PathError::Repo(text.to_owned())) }
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
as_text!(RepoPath);

/// An absolute, normal path on a host. `/` alone is not one: no path here may mean the complete machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPath(String);

impl HostPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `folder` or below it, part by part.
    pub fn is_within(&self, folder: &Self) -> bool {
        self.0.strip_prefix(&folder.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether it has a character that people take for a wildcard, and nothing here does.
    pub fn has_wildcard(&self) -> bool {
        self.0.contains(['*', '?', '['])
    }

    /// Whether a shell, sed, JSON and an env file read it as it is: letters, digits and `/._-+@`, and no part that
    /// begins with a dash.
    pub fn is_plain(&self) -> bool {
        self.0.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+@".contains(&b)) && !self.0.contains("/-")
    }

    /// Whether it stays what it is between quotes: nothing in it is a quote, an expansion or a wildcard, and no part
    /// begins with a dash. A blank may be in it.
    pub fn is_quotable(&self) -> bool {
        !self.0.contains(|c: char| c.is_control() || "'\"`$\\*?[]{}<>|&;()!#~".contains(c)) && !self.0.contains("/-")
    }
}

impl FromStr for HostPath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        let fits = text.len() <= 4096 && text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_part));
        if fits { Ok(Self(text.to_owned())) } else { Err(PathError::Host(text.to_owned())) }
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
as_text!(HostPath);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_that_leave_the_repository_are_refused() {
        for bad in
            ["", "/a", "a/../b", "./a", "a//b", "a/", "a\nb", "a\\b", ".git/config", "x/.GIT/y", "..", "a\u{202e}b"]
        {
            assert!(bad.parse::<RepoPath>().is_err(), "{bad:?}");
        }
        for bad in ["", "/", "a", "/a/", "/a/../b", "/a//b", "/a\0"] {
            assert!(bad.parse::<HostPath>().is_err(), "{bad:?}");
        }
        let base: RepoPath = "compose/apps".parse().unwrap();
        assert_eq!(RepoPath::resolve(Some(&base), "../x/./y").unwrap().as_str(), "compose/x/y");
        assert!(RepoPath::resolve(Some(&base), "../../../x").is_err());
        assert!("a/bc".parse::<RepoPath>().unwrap().below(&"a/b".parse().unwrap()).is_none());
    }

    proptest! {
        #[test]
        fn resolved_paths_stay_in_the_repository(relative in "[a./]{0,30}") {
            crate::laws::words(relative.as_bytes());
        }
    }
}
