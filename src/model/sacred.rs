//! Sacred paths and the doors that a reviewed policy opens. One table, which `docs/` prints too.

use super::{
    ids::ModuleId,
    path::HostPath,
    policy::{Allow, AllowMode, HostPolicy, SacredPolicy},
    refusal::{Code, Refusal},
    text::shown,
};

/// Paths that no module touches without an `allow` entry, each with everything below it; and what of that any module
/// may mount for reading.
pub const SACRED: &[(&str, &[&str])] = &[
    ("/bin", &[]),
    ("/boot", &[]),
    ("/dev", &[]),
    (
        "/etc",
        &[
            "/etc/localtime",
            "/etc/os-release",
            "/etc/pki/ca-trust/extracted",
            "/etc/pki/tls/certs",
            "/etc/ssl/certs",
            "/etc/timezone",
        ],
    ),
    ("/home", &[]),
    ("/lib", &["/lib/modules"]),
    ("/lib32", &[]),
    ("/lib64", &[]),
    ("/libx32", &[]),
    ("/proc", &[]),
    ("/root", &[]),
    ("/run", &[]),
    ("/sbin", &[]),
    ("/sys", &[]),
    (
        "/usr",
        &[
            "/usr/lib/locale",
            "/usr/lib/modules",
            "/usr/lib/os-release",
            "/usr/local/share/ca-certificates",
            "/usr/share/ca-certificates",
            "/usr/share/fonts",
            "/usr/share/locale",
            "/usr/share/zoneinfo",
        ],
    ),
    ("/var/lib/containerd", &[]),
    ("/var/lib/docker", &[]),
    ("/var/run", &[]),
    ("/var/spool", &[]),
];

/// Whether any module may mount a path for reading.
pub fn is_readable(path: &str) -> bool {
    let normal = path.parse::<HostPath>();
    normal.is_ok_and(|path| SACRED.iter().flat_map(|(_, readable)| *readable).any(|readable| within(&path, readable)))
}

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
    let refuse = |path: &str, why: &str| {
        let fact = format!("{place}: the bind {} ({mode}) {why}", shown(path));
        Some(Refusal::new(Code::SacredPath, fact, path_fix(module, path, writable)))
    };
    // A trailing slash and doubled ones mean the same to the kernel; `.` and `..` are never followed here.
    let normal = path.split('/').filter(|part| !part.is_empty()).fold(String::new(), |all, part| all + "/" + part);
    let Ok(path) = normal.parse::<HostPath>() else {
        return refuse(path, "is not a plain absolute path");
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
    if allowed || (!writable && is_readable(path.as_str())) {
        return None;
    }
    let listed = policy.paths.iter().map(|path| path.strip_suffix("/**").unwrap_or(path));
    let sacred = SACRED.iter().map(|(path, _)| *path).chain(listed).any(|sacred| {
        // Above a sacred path is as bad as below it.
        within(&path, sacred) || sacred.parse::<HostPath>().is_ok_and(|sacred| sacred.is_within(&path))
    });
    if engine {
        refuse(path.as_str(), "is the engine's own socket")
    } else if sacred {
        refuse(path.as_str(), "is sacred")
    } else {
        None
    }
}

/// What cures a path that takes an entry: the ready line, where there is one that the policy would accept.
pub fn path_fix(module: &ModuleId, path: &str, writable: bool) -> String {
    match Allow::path_line(module, path, writable) {
        Some(line) => format!("allow it in platform.yaml by a reviewed change, under sacred: allow:\n{line}"),
        None if path.bytes().all(|b| b == b'/') => "mount the folders that it needs, each by its own path".to_owned(),
        None => "write the path out: absolute, without . and .., without wildcards".to_owned(),
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
    Some(Refusal::new(
        Code::Capability,
        format!("{place}: {module} opens the door {} to the host", shown(door)),
        format!(
            "allow it in platform.yaml by a reviewed change, under sacred: allow:\n{}",
            Allow::door_line(module, door)
        ),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::policy::Policy;

    fn judged(path: &str, writable: bool) -> bool {
        let text = "schema: platform/1\nhosts:\n  box: {transport: local, root: /opt/platform}\nsacred:\n  paths: ['/srv/db/**']\n  allow:\n    - {module: a, path: /var/run/docker.sock, mode: ro, reason: x}\n    - {module: b, path: /etc, mode: rw, reason: x}\n";
        let policy = Policy::parse(text.as_bytes()).unwrap();
        let host = &policy.hosts[&"box".parse().unwrap()];
        bind(&"a".parse().unwrap(), path, writable, &policy.sacred, host, "x:1:1").is_none()
    }

    #[test]
    fn sacred_paths_cover_parents_and_children() {
        for (path, writable, may) in [
            ("/srv/a", true, true),
            ("/usr/bin/x", false, false),
            ("/usr/share/zoneinfo/UTC", false, true),
            ("/usr/share/zoneinfo", true, false),
            ("/lib/modules", false, true),
            ("/lib64/x", false, false),
            ("/library", true, true),
            ("/home/ola/app", true, false),
            ("/var/spool/cron", true, false),
            ("/var/lib/docker/volumes", false, false),
            ("/var/lib/data", true, true),
            ("/var/lib", true, false),
            ("/var", false, false),
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

    /// The policy with the entry that a fix prints, if it prints one.
    fn fed_back(fix: &str) -> Option<Policy> {
        let (_, line) = fix.split_once("under sacred: allow:\n")?;
        let text = format!(
            "schema: platform/1\nhosts:\n  box: {{transport: local, root: /opt/platform}}\nsacred:\n  allow:\n    {line}\n"
        );
        Some(Policy::parse(text.as_bytes()).unwrap_or_else(|problems| panic!("{line}: {problems:?}")))
    }

    proptest! {
        /// Attack: a capability or path is named so that the printed `allow:` line cannot be parsed, or allows something else.
        /// Defence: values in the line are quoted, and a policy with this line allows exactly what was refused.
        #[test]
        fn printed_allow_line_is_accepted(text in "[-a-zA-Z0-9_.:/ \n\t'\"`$,{}\\[\\]&*!|>%@#\\\\é\u{202e}\u{2028}\u{e0001}\u{feff}]{0,12}", writable: bool) {
            let a: ModuleId = "a".parse().unwrap();
            let none = Policy::parse(b"schema: platform/1\nhosts:\n  box: {transport: local, root: /opt/platform}\n").unwrap();
            let host = &none.hosts[&"box".parse().unwrap()];
            let fix = door(&a, &text, &none.sacred, "x").unwrap().fix;
            let policy = fed_back(&fix).unwrap();
            prop_assert_eq!(door(&a, &text, &policy.sacred, "x"), None);
            prop_assert_eq!(fix.lines().count(), 2, "where it goes, and the entry on a line of its own");
            for path in [format!("/etc/{text}"), format!("/{text}"), text.clone()] {
                let Some(refusal) = bind(&a, &path, writable, &none.sacred, host, "x") else { continue };
                if let Some(policy) = fed_back(&refusal.fix) {
                    prop_assert_eq!(bind(&a, &path, writable, &policy.sacred, host, "x"), None);
                }
            }
        }
    }

    #[test]
    fn no_allow_line_is_printed_that_would_not_help() {
        let fix = |path: &str| path_fix(&"a".parse().unwrap(), path, true);
        assert_eq!(
            fix("/etc/a, b"),
            "allow it in platform.yaml by a reviewed change, under sacred: allow:\n- {module: a, path: \"/etc/a, b\", mode: rw, reason: \"…\"}"
        );
        assert_eq!(fix("/"), "mount the folders that it needs, each by its own path");
        for path in ["/srv/../etc", "relative", "/etc/*", "/a\nb"] {
            assert!(fix(path).starts_with("write the path out"), "{path}");
        }
    }
}
