//! Sacred paths and the doors that a reviewed policy opens. One table, which `docs/` prints too.

use super::{
    ids::ModuleId,
    path::HostPath,
    policy::{Allow, AllowMode, HostPolicy, SacredPolicy},
    refusal::{Code, Refusal},
    text::shown,
};

/// Paths that no module touches without an `allow` entry; each means itself and everything below.
pub const SACRED: &[&str] =
    &["/boot", "/dev", "/etc", "/proc", "/root", "/run", "/sys", "/var/lib/containerd", "/var/lib/docker", "/var/run"];

/// Paths that any module may mount for reading.
pub const READABLE: &[&str] =
    &["/etc/localtime", "/etc/ssl/certs", "/etc/timezone", "/usr/share/ca-certificates", "/usr/share/zoneinfo"];

fn within(path: &HostPath, folder: &str) -> bool {
    folder.parse::<HostPath>().is_ok_and(|folder| path.is_within(&folder))
}

/// Judges a bind of `path` into a module: `None` where it may be, else why not and the ready `allow` line.
pub fn bind(
    module: &ModuleId,
    path: &str,
    writable: bool,
    policy: &SacredPolicy,
    host: &HostPolicy,
    place: &str,
) -> Option<Refusal> {
    let mode = if writable { "rw" } else { "ro" };
    let refuse = |why: &str| {
        let fix = format!(
            "allow it in platform.yaml by a reviewed change: - {{module: {module}, path: {}, mode: {mode}, reason: \"…\"}}",
            shown(path)
        );
        Some(Refusal::new(Code::SacredPath, format!("{place}: the bind {} ({mode}) {why}", shown(path)), fix))
    };
    // A trailing slash and doubled ones mean the same to the kernel; `.` and `..` are never followed here.
    let normal = path.split('/').filter(|part| !part.is_empty()).fold(String::new(), |all, part| all + "/" + part);
    let Ok(path) = normal.parse::<HostPath>() else {
        return refuse("is not a plain absolute path");
    };
    if path.is_within(&host.root) || host.root.is_within(&path) {
        let what = format!(
            "{place}: the bind {} ({mode}) reaches into platformctl's own folder, which no entry opens",
            shown(path.as_str())
        );
        return Some(Refusal::new(
            Code::SacredPath,
            what,
            "mount a folder ${PLATFORM_DATA}/…, or a declared secret read-only",
        ));
    }
    let engine = host.docker_host.strip_prefix("unix://").is_some_and(|socket| within(&path, socket));
    let allowed = policy.allow.iter().any(|allow| opens(allow, module, &path, writable));
    if allowed || (!writable && READABLE.iter().any(|readable| within(&path, readable))) {
        return None;
    }
    let listed = policy.paths.iter().map(|path| path.strip_suffix("/**").unwrap_or(path));
    let sacred = SACRED.iter().copied().chain(listed).any(|sacred| {
        // Above a sacred path is as bad as below it.
        within(&path, sacred) || sacred.parse::<HostPath>().is_ok_and(|sacred| sacred.is_within(&path))
    });
    if engine {
        refuse("is the engine's own socket")
    } else if sacred {
        refuse("is sacred")
    } else {
        None
    }
}

/// Whether an `allow` entry opens exactly this path, or one above it, for a module.
pub fn is_allowed(module: &ModuleId, path: &str, writable: bool, policy: &SacredPolicy) -> bool {
    path.parse::<HostPath>().is_ok_and(|path| policy.allow.iter().any(|allow| opens(allow, module, &path, writable)))
}

/// The same path where `/var/run`, which is a link to `/run` on every host, is written as what it is.
fn at_home(path: &HostPath) -> HostPath {
    let run = path.as_str().strip_prefix("/var/run").filter(|rest| rest.is_empty() || rest.starts_with('/'));
    run.and_then(|rest| format!("/run{rest}").parse().ok()).unwrap_or_else(|| path.clone())
}

fn opens(allow: &Allow, module: &ModuleId, path: &HostPath, writable: bool) -> bool {
    allow.module == *module
        && allow.path.as_ref().is_some_and(|open| at_home(path).is_within(&at_home(open)))
        && (!writable || allow.mode == Some(AllowMode::Rw))
}

/// Judges a door such as `cap_add:NET_ADMIN`.
pub fn door(module: &ModuleId, door: &str, policy: &SacredPolicy, place: &str) -> Option<Refusal> {
    let open = policy.allow.iter().any(|allow| allow.module == *module && allow.capability.as_deref() == Some(door));
    if open {
        return None;
    }
    let door = shown(door);
    Some(Refusal::new(
        Code::Capability,
        format!("{place}: {module} opens the door {door} to the host"),
        format!(
            "allow it in platform.yaml by a reviewed change: - {{module: {module}, capability: \"{door}\", reason: \"…\"}}"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::policy::Policy;

    fn judged(path: &str, writable: bool) -> bool {
        let text = "schema: platform/1\nhosts:\n  box: {transport: local, root: /opt/platform}\nsacred:\n  paths: ['/srv/db/**']\n  allow:\n    - {module: a, path: /var/run/docker.sock, mode: ro, reason: x}\n    - {module: b, path: /etc, mode: rw, reason: x}\n";
        let policy = Policy::parse(text.as_bytes()).unwrap();
        let host = &policy.hosts[&"box".parse().unwrap()];
        bind(&"a".parse().unwrap(), path, writable, &policy.sacred, host, "x:1:1").is_none()
    }

    #[test]
    fn sacred_is_below_and_above_and_an_allow_entry_is_for_one_module_and_mode() {
        for (path, writable, may) in [
            ("/srv/a", true, true),
            ("/etc", false, false),
            ("/etc/passwd", false, false),
            ("/etcetera", true, true),
            ("/etc/localtime", false, true),
            ("/etc/localtime", true, false),
            ("/", false, false),
            ("/srv", true, false),
            ("/srv/db/x", false, false),
            ("//etc//passwd", false, false),
            ("/srv/../etc", false, false),
            ("/opt/platform/data", false, false),
            ("/opt", false, false),
            ("/var/run/docker.sock", false, true),
            ("/var/run/docker.sock", true, false),
            ("/run/docker.sock", false, true),
            ("/run/docker.sock2", false, false),
        ] {
            assert_eq!(judged(path, writable), may, "{path} {writable}");
        }
    }
}
