//! Findings about secrets: a canary is put where a secret can be, and looked for everywhere afterwards.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{shadowed, with};
use crate::support::{site::Site, stack::everything_below};

const CANARY: &str = "c4n4ry-0f-a-t0ken";

/// The contents of every object of a repository, and of every other file in its folder.
fn kept(site: &Site, git_dir: &Path) -> String {
    let dir = format!("--git-dir={}", git_dir.display());
    let objects = site.repo.git(&[&dir, "cat-file", "--batch-all-objects", "--batch", "--unordered"]);
    let files = everything_below(git_dir, &["objects"]).into_iter();
    files.fold(objects, |text, (path, bytes)| format!("{text}\n{} {}", path.display(), String::from_utf8_lossy(&bytes)))
}

/// Commands of a remote that answers with the canary on its standard error: everything that any of them says.
fn told(site: &Site, vars: &[(&str, &str)]) -> String {
    let mut all = String::new();
    for args in [
        "state fetch",
        "state fetch --json",
        "apply site --pr 1",
        "apply site --pr 1 --json",
        "-vv apply site --pr 1 --json",
        "plan site --pr 1 --json",
        "pending --json",
        "-v verify --json",
        "doctor --json",
    ] {
        let (exit, said) = with(site, &site.repo.work(), args, vars);
        assert_ne!(exit, 0, "{args}: {said}");
        all += &said;
    }
    all
}

/// Finding: stderr redacted in one field and raw in another
/// Decided: src/io/git_messages.rs: what git printed is masked once, where it is read, before it becomes a part of any message
#[test]
fn stderr_redacted_in_one_field_and_raw_in_another() {
    let site = Site::new();
    let ssh = site
        .repo
        .trap("ssh", "echo \"fatal: bad token $DEPLOY_TOKEN for https://ola:$DEPLOY_TOKEN@forge/a\" >&2; exit 1");
    let real = site.repo.git(&["remote", "get-url", "origin"]);
    site.repo.git(&["remote", "set-url", "origin", "forge:ola/infra.git"]);
    site.repo.git(&["config", "core.sshCommand", &ssh]);
    let vars = [("DEPLOY_TOKEN", CANARY)];
    let all = told(&site, &vars);
    assert!(all.contains("bad token ***") && !all.contains(CANARY), "{all}");
    // The same of a server that takes everything but the record, in the middle of an apply.
    site.repo.git(&["remote", "set-url", "origin", &real]);
    let hook =
        site.repo.trap("hook", "grep -q refs/platform/state || exit 0; echo \"no $DEPLOY_TOKEN here\" >&2; exit 1");
    fs::create_dir_all(site.repo.path("remote.git/hooks")).unwrap();
    fs::rename(hook, site.repo.path("remote.git/hooks/pre-receive")).unwrap();
    for args in ["apply site --pr 1", "-vv apply site --pr 1 --json", "status --json", "log", "state push --json"] {
        let (_, said) = with(&site, &site.repo.work(), args, &vars);
        assert!(!said.contains(CANARY), "{args}: {said}");
        assert!(!args.contains("apply") || said.contains("no *** here"), "{args}: {said}");
    }
    assert!(!kept(&site, &site.repo.work().join(".git")).contains(CANARY));
}

/// Finding: broken redaction pattern
/// Decided: src/io/secrets.rs: known values are replaced as they are, by no pattern; logins in URLs are masked in any case
#[test]
fn broken_redaction_pattern() {
    // What a regular expression, a shell or a URL would read as something else.
    for secret in
        ["c4n4ry.*+?", "c4n4ry[a-z]{2}|^$", "c4n4ry\\d(\\w", "c4n4ry'\"quote", "c4n4ry/+==&x", "c4n4ry%41$1 two"]
    {
        let site = Site::new();
        let says = "printf 'denied: %s; again: %s\\n' \"$DEPLOY_TOKEN\" \"$DEPLOY_TOKEN\" >&2; exit 1";
        let ssh = site.repo.trap("ssh", says);
        site.repo.git(&["remote", "set-url", "origin", "forge:ola/infra.git"]);
        site.repo.git(&["config", "core.sshCommand", &ssh]);
        for args in ["state fetch", "apply site --pr 1 --json", "-vv state fetch --json"] {
            let (exit, said) = with(&site, &site.repo.work(), args, &[("DEPLOY_TOKEN", secret)]);
            assert!(exit == 9 && !said.contains("c4n4ry"), "{secret}: {said}");
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains("denied: ***; again: ***"), "{secret}: {said}");
        }
    }
    // The password of a URL, which nobody has named as a secret.
    for password in ["c4n4ry-pass", "c4n4ry'quote", "c4n4ry%40%2f%3a", "c4n4ry:colon"] {
        let site = Site::new();
        site.repo.git(&["remote", "set-url", "origin", &format!("http://ola:{password}@127.0.0.1:9/a.git")]);
        let all = told(&site, &[("NO_PROXY", "*")]);
        assert!(all.contains("127.0.0.1:9") && !all.contains("c4n4ry"), "{password}: {all}");
    }
}

/// Finding: remote output kept in an artifact
/// Decided: src/flow/close.rs: of a host's output the record has our own words alone; the output stays on the host
#[test]
fn remote_output_kept_in_an_artifact() {
    // The word is put together on the host, so that it stands in no manifest.
    let prints = "[[sh, -c, \"printf '%s-%s-%s\\\\n' c4n4ry from host | tee /dev/stderr; exit 7\"]]";
    let site = Site::empty(&format!("    activate: {prints}\n"));
    site.activates(prints);
    site.change(1, "hello\n");
    let (exit, mut all) = with(&site, &site.repo.work(), "-vv apply site --pr 1 --logs", &[]);
    assert_eq!(exit, 11, "{all}");
    for args in ["show site --json", "status --json", "log", "-vv resume --json", "apply site --pr 1 --retry --json"] {
        all += &with(&site, &site.repo.work(), args, &[]).1;
    }
    let canary = "c4n4ry-from-host";
    assert!(!all.contains(canary), "{all}");
    for git_dir in [site.repo.work().join(".git"), site.repo.path("remote.git")] {
        let kept = kept(&site, &git_dir);
        assert!(kept.contains("apply.outcome") && !kept.contains(canary), "{}", git_dir.display());
    }
    assert!(everything_below(&site.repo.path("home"), &[]).is_empty());
    for (path, bytes) in everything_below(&site.repo.path("root"), &[]) {
        if String::from_utf8_lossy(&bytes).contains(canary) {
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
            let folders: Vec<PathBuf> = path.ancestors().map(Path::to_owned).collect();
            assert!(folders.iter().any(|folder| mode(folder) == 0), "{} is for others to read", path.display());
        }
    }
}

/// Finding: children inherit secrets
/// Decided: src/io/env.rs: a child gets a list of variables; only git's transfers get the user's own, without our token
#[test]
fn children_inherit_secrets() {
    let site = Site::empty(
        "  far: {transport: ssh, destination: 'ssh://nobody@127.0.0.1:9', root: /srv/far, mutations: disabled}\n",
    );
    site.change(1, "hello\n");
    let log = site.repo.path("children");
    let notes = format!(
        "{{ tr '\\0' ' ' <\"/proc/$$/cmdline\"; echo; tr '\\0' '\\n' <\"/proc/$$/environ\"; echo END; }} >>'{}'",
        log.display()
    );
    let paths = ["git", "sh", "ssh", "ssh-keygen"].map(|program| shadowed(&site, program, &notes));
    let bins = paths.iter().map(|path| path.split(':').next().unwrap());
    let path = bins.chain([std::env::var("PATH").unwrap().as_str()]).collect::<Vec<_>>().join(":");
    let ours = [("PLATFORMCTL_FORGEJO_TOKEN", CANARY), ("AWS_SECRET_ACCESS_KEY", CANARY), ("DATABASE_URL", CANARY)];
    let vars = [&ours[..], &[("PATH", path.as_str()), ("OTHER", "c4n4ry-other")]].concat();
    let (exit, said) = with(&site, &site.repo.work(), "-vv apply site --pr 1", &vars);
    assert!(exit == 0 && !said.contains("c4n4ry-0f"), "{said}");
    let (exit, said) = with(&site, &site.repo.work(), "doctor --host far", &vars);
    assert!(exit == 9 && !said.contains("c4n4ry-0f"), "{said}");
    let text = fs::read_to_string(log).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for child in text.split("END\n").filter(|child| !child.is_empty()) {
        let (argv, env) = child.split_once('\n').unwrap();
        assert!(!argv.contains("c4n4ry"), "{argv}");
        let program = argv.split(' ').find(|word| word.contains("/shadow-")).unwrap().rsplit('/').next().unwrap();
        let transfers = program == "git" && !argv.contains("ls-files");
        seen.insert(program.to_owned());
        assert!(!env.contains("PLATFORMCTL_FORGEJO_TOKEN"), "{argv}: {env}");
        // A transfer may start a helper of the user's, which needs variables of theirs.
        assert!(transfers || !env.contains("c4n4ry"), "{argv}: {env}");
    }
    for program in ["git", "sh", "ssh"] {
        assert!(seen.contains(program), "the test sees {program}: {seen:?}");
    }
}
