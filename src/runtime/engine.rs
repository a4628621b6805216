//! The Docker engine of a host, and the Compose beside it: the address of the one and the version of the other.

use crate::model::policy::HostPolicy;

/// The oldest Compose that is used: major and minor.
pub const OLDEST: (u64, u64) = (2, 20);

/// Major and minor of a version, with or without a `v`.
pub fn version(text: &str) -> Option<(u64, u64)> {
    let mut parts = text.trim_start_matches('v').split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The engine's address on a host.
pub fn address(host: &HostPolicy) -> String {
    if host.docker_host.is_empty() { "unix:///var/run/docker.sock".to_owned() } else { host.docker_host.clone() }
}
