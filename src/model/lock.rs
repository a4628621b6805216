//! The key of the lock that a run takes: the host, and the compose project or module.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::HostName;

/// `<host>/<name>`, where `<name>` is that of the lock on the host. Runs with equal keys exclude each other. A record may
/// contain any text; the rules of the record compare it with the key that its deployment has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LockKey(String);

impl LockKey {
    /// The key of the lock `name` on a host.
    pub fn new(host: &HostName, name: &str) -> Self {
        Self(format!("{host}/{name}"))
    }

    /// The name of the lock on `host`; `None` if the key is not of that host.
    pub fn on(&self, host: &HostName) -> Option<&str> {
        self.0.strip_prefix(host.as_str())?.strip_prefix('/')
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_one_host() {
        let (a, b): (HostName, HostName) = ("a".parse().unwrap(), "a-b".parse().unwrap());
        let key = LockKey::new(&a, "compose.apps");
        assert_eq!((key.on(&a), key.on(&b)), (Some("compose.apps"), None));
        assert_eq!(serde_json::to_string(&key).unwrap(), "\"a/compose.apps\"");
    }
}
