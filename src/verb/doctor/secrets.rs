//! The secrets of a host's modules: the folder, and in it every declared file with its declared keys. No value is ever
//! asked for.

use crate::{
    model::{refusal::Code, shell},
    runtime::{
        doctor::{Folder, Seen},
        secrets::SecretTrouble,
    },
    verb::doctor::{Case, Check, Fix, machine},
};

pub(crate) fn judge(case: &Case<'_>, seen: &Seen) -> Vec<Check> {
    let mut checks = vec![folder(case, seen)];
    checks.extend(seen.troubles.iter().map(|trouble| file(case, seen, trouble)));
    let asked = case.asked();
    if seen.troubles.is_empty() && !asked.files.is_empty() {
        let (files, keys) = (asked.files.len(), asked.keys.len());
        checks.push(Check::pass("secret", format!("declared files {files}, keys {keys}: all there")));
    }
    checks
}

fn folder(case: &Case<'_>, seen: &Seen) -> Check {
    let path = format!("{}/secrets", case.policy.root);
    let account = &seen.account;
    let install = machine::install(seen, "0700", &path);
    let fail = |fact: String, fix: Fix| Check::fail("secrets", Code::SecretMissing, fact, fix);
    let declared = case.modules.iter().any(|module| !module.secrets.is_empty());
    // A folder of one's own is made and closed without root.
    let own = match (seen.secrets, seen.root) {
        (Folder::There(Some((_, uid))), _) | (Folder::Absent, Folder::There(Some((_, uid)))) => uid == account.uid,
        _ => false,
    };
    let fix = || if own { Fix::host(install.clone()) } else { machine::by_root(seen, &[&install]) };
    match seen.secrets {
        Folder::Absent if declared => fail(format!("{path} is not there"), fix()),
        Folder::Absent => Check::pass("secrets", "none declared, no folder yet"),
        Folder::Other => fail(format!("{path} is there and is no folder"), Fix::words("look at it, and move it away")),
        // Root can read everything.
        Folder::There(Some((_, uid))) if ![uid, 0].contains(&account.uid) => {
            fail(format!("{path} belongs to the account {uid}, not to {}", account.name), fix())
        }
        Folder::There(Some((mode, _))) if mode & 0o077 != 0 => Check::warn(
            "secrets",
            format!("others on the host may see the names in {path} (mode {mode:o}, better 700)"),
            fix(),
        ),
        Folder::There(_) => Check::pass("secrets", "the folder is closed to others"),
    }
}

fn file(case: &Case<'_>, seen: &Seen, trouble: &SecretTrouble) -> Check {
    let path = |file: &str| shell::word(&format!("{}/secrets/{file}", case.policy.root));
    let edit = |file: &str| Fix::host(format!("${{EDITOR:-vi}} {}", path(file)));
    let fix = match trouble {
        SecretTrouble::Missing(file) => {
            Fix::host(format!("(umask 077 && install -D -m 600 /dev/stdin {})", path(file)))
        }
        SecretTrouble::Unreadable(file) => {
            machine::by_root(seen, &[&format!("chown {} {}", seen.account.name, path(file))])
        }
        SecretTrouble::Open(file) => Fix::host(format!("chmod 600 {}", path(file))),
        SecretTrouble::Dollar(file) | SecretTrouble::Key(_, file) => edit(file),
    };
    let mut fact = trouble.fact(&case.policy.root);
    match trouble {
        SecretTrouble::Missing(file) => fact.push_str(&typed(case, file)),
        SecretTrouble::Dollar(_) => fact.push_str("; write KEY='value'"),
        SecretTrouble::Key(key, _) => fact.push_str(&format!("; add a line {key}='…'")),
        SecretTrouble::Unreadable(_) | SecretTrouble::Open(_) => {}
    }
    Check::fail("secret", Code::SecretMissing, fact, fix)
}

/// What is to be typed into a file that is not there.
fn typed(case: &Case<'_>, file: &str) -> String {
    let asked = case.asked();
    let keys: Vec<&str> = asked.keys.iter().filter(|(_, of)| of == file).map(|(key, _)| key.as_str()).collect();
    match keys.as_slice() {
        [] => "; type it, then Ctrl-D".to_owned(),
        keys => format!("; type a line KEY='value' for {}, then Ctrl-D", keys.join(", ")),
    }
}
