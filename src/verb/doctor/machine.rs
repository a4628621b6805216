//! The machine: its identity, clock, tools, root folder and free space.

use std::collections::BTreeSet;

use crate::{
    flow::gate::host::SKEW_MAX_S,
    model::{refusal::Code, shell, text::shown},
    runtime::doctor::{Folder, Seen},
    verb::doctor::{Case, Check, Fix},
};

/// A clock that differs by this much is reported, in seconds.
const SKEW_WARN_S: u64 = 60;
/// Less free space than this is reported.
const FREE_WARN_BYTES: u64 = 1 << 30;
/// Less than this fails.
const FREE_FAIL_BYTES: u64 = 100 << 20;

/// The Debian package of each tool that scripts need.
fn package(tool: &str) -> Option<&'static str> {
    Some(match tool {
        "tar" => "tar",
        "sha256sum" | "stat" | "mv" | "readlink" | "realpath" | "timeout" | "df" | "sort" => "coreutils",
        "find" | "xargs" => "findutils",
        "flock" | "setsid" => "util-linux",
        "cmp" => "diffutils",
        "sed" => "sed",
        _ => return None,
    })
}

pub(crate) fn judge(case: &Case<'_>, seen: &Seen, skew_s: i64) -> Vec<Check> {
    let mut checks = vec![machine(case, seen), clock(seen, skew_s), tools(seen), root(case, seen)];
    if case.needs_engine() && !case.policy.root.is_plain() {
        checks.push(Check::fail(
            "root",
            Code::PolicyInvalid,
            format!("the root {} has characters that compose modules cannot have in it", case.policy.root),
            Fix::policy("root: /opt/platform"),
        ));
    }
    // Without df it is unknown; that df is missing is reported.
    if !seen.machine.missing.iter().any(|tool| tool == "df") {
        checks.push(space(case, seen));
    }
    checks
}

/// Root's own commands on this host.
pub(crate) fn by_root(seen: &Seen, commands: &[&str]) -> Fix {
    Fix::root(&seen.account, seen.has.contains("sudo"), commands)
}

fn machine(case: &Case<'_>, seen: &Seen) -> Check {
    let wanted = &case.policy.machine_id;
    match (&seen.machine.machine_id, wanted.is_empty()) {
        (Some(id), false) if id == wanted => Check::pass("machine", "the one that platform.yaml names"),
        (Some(id), true) => Check::warn(
            "machine",
            "not pinned: any machine could answer in its place",
            Fix::policy(format!("machine_id: {id}")),
        ),
        (Some(id), false) => Check::fail(
            "machine",
            Code::HostUnreachable,
            format!(
                "another machine answers: {id}, but platform.yaml has {wanted}; if it was replaced, merge its new id"
            ),
            Fix::policy(format!("machine_id: {id}")),
        ),
        (None, true) => Check::warn(
            "machine",
            "it has no /etc/machine-id, so it cannot be told from another machine",
            by_root(seen, &["systemd-machine-id-setup"]),
        ),
        (None, false) => Check::fail(
            "machine",
            Code::HostUnreachable,
            format!("it has no /etc/machine-id, but platform.yaml has {wanted}"),
            Fix::words("find out which machine answers"),
        ),
    }
}

fn clock(seen: &Seen, skew_s: i64) -> Check {
    let apart = skew_s.unsigned_abs();
    let way = if skew_s < 0 { "behind" } else { "ahead of" };
    let fix = || by_root(seen, &["timedatectl set-ntp true"]);
    let one = "one of the two is wrong";
    let most = SKEW_MAX_S.unsigned_abs();
    if apart <= SKEW_WARN_S {
        Check::pass("clock", format!("{apart} s apart"))
    } else if apart <= most {
        Check::warn("clock", format!("{apart} s {way} this machine: {one}"), fix())
    } else {
        let refused = "nothing is recorded while they are more than 5 minutes apart";
        Check::fail("clock", Code::ClockSkew, format!("{apart} s {way} this machine: {one}, and {refused}"), fix())
    }
}

fn tools(seen: &Seen) -> Check {
    let missing = &seen.machine.missing;
    if missing.is_empty() {
        return Check::pass("tools", "all there");
    }
    let packages: BTreeSet<&str> = missing.iter().filter_map(|tool| package(tool)).collect();
    let install = format!("apt-get install -y {}", packages.into_iter().collect::<Vec<_>>().join(" "));
    let names: Vec<String> = missing.iter().map(|tool| shown(tool)).collect();
    Check::fail("tools", Code::HostUnfit, format!("no {}", names.join(", no ")), by_root(seen, &[&install]))
}

/// The command that makes a folder, or gives one that is there to the account.
pub(crate) fn install(seen: &Seen, mode: &str, path: &str) -> String {
    let account = &seen.account;
    format!("install -d -o {} -g {} -m {mode} {}", account.name, account.group, shell::word(path))
}

fn root(case: &Case<'_>, seen: &Seen) -> Check {
    let root = &case.policy.root;
    let account = &seen.account.name;
    let install = install(seen, "0755", root.as_str());
    let fix = || by_root(seen, &[&install]);
    let fail = |fact: String, fix: Fix| Check::fail("root", Code::HostUnfit, fact, fix);
    match seen.root {
        Folder::Other => {
            let word = shell::word(root.as_str());
            let aside = format!("mv -nT {word} {word}.old");
            fail(format!("{root} is there and is no folder"), by_root(seen, &[&aside, &install]))
        }
        Folder::Absent if seen.machine.writable => {
            // No need of root where the account may make it.
            Check::warn("root", format!("{root} is not there; the first apply makes it"), Fix::host(install))
        }
        // If root may not write to it, no account may.
        Folder::Absent | Folder::There(_) if !seen.machine.writable && seen.account.uid == 0 => {
            let look = format!("findmnt -T {}", shell::word(root.as_str()));
            fail(format!("the file system of {root} is read-only"), Fix::host(look))
        }
        Folder::Absent => fail(format!("{root} is not there, and {account} may not make it"), fix()),
        Folder::There(_) if !seen.machine.writable => fail(format!("{account} may not write to {root}"), fix()),
        Folder::There(Some((_, uid))) if uid != seen.account.uid => {
            Check::warn("root", format!("{root} belongs to the account {uid}, not to {account}"), fix())
        }
        Folder::There(Some((mode, _))) if mode & 0o022 != 0 => {
            Check::warn("root", format!("others on the host may write to {root} (mode {mode:o})"), fix())
        }
        Folder::There(_) => Check::pass("root", format!("there, and {account}'s own")),
    }
}

fn space(case: &Case<'_>, seen: &Seen) -> Check {
    let free = seen.machine.free_bytes;
    let root = &case.policy.root;
    let told = if free < FREE_WARN_BYTES {
        format!("{} MiB", free >> 20)
    } else {
        format!("{}.{} GiB", free >> 30, ((free % (1 << 30)) * 10) >> 30)
    };
    // Images that nothing uses are the only thing that anybody may throw away without knowing what it is.
    let fix = || match seen.docker {
        true => Fix::host("docker image prune"),
        false => Fix::host(format!("du -xh --max-depth=2 {} | sort -h | tail", shell::word(root.as_str()))),
    };
    match free {
        FREE_WARN_BYTES.. => Check::pass("space", format!("{told} free")),
        FREE_FAIL_BYTES.. => Check::warn("space", format!("only {told} free at {root}"), fix()),
        _ => Check::fail("space", Code::HostUnfit, format!("only {told} free at {root}"), fix()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every tool that machine.sh asks for has a package.
    #[test]
    fn every_tool_has_a_package() {
        let script = include_str!("../../runtime/scripts/machine.sh");
        let tools = script.split("for tool in ").nth(1).unwrap().split(';').next().unwrap();
        assert!(tools.split(' ').count() > 10 && tools.split(' ').all(|tool| package(tool).is_some()), "{tools}");
        let seen = Seen {
            machine: crate::runtime::machine::Machine {
                missing: vec!["cmp".to_owned(), "stat".to_owned(), "df".to_owned()],
                ..Default::default()
            },
            ..Default::default()
        };
        assert_eq!(tools_fix(&seen), "apt-get install -y coreutils diffutils");
    }

    fn tools_fix(seen: &Seen) -> String {
        tools(seen).fix.unwrap()
    }

    #[test]
    fn small_clock_difference_passes() {
        let seen = Seen::default();
        let result = |s| serde_json::to_value(clock(&seen, s).result).unwrap();
        assert_eq!([result(60), result(-61), result(300), result(301)], ["pass", "warn", "warn", "fail"]);
        assert!(clock(&seen, i64::MIN).fact.contains("behind"));
    }
}
