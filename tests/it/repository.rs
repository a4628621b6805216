//! What git says about the repository's description: closures, digests, and everything that is never delivered.

use std::{fs, path::Path};

use platformctl::{
    model::{ids::ModuleId, refusal::Code},
    port::Source as _,
    tree::{manifests, snapshot::Snapshot},
    verb::validate::validate,
};

use crate::support::repo::Repo;

const POLICY: &str = "schema: platform/1\nhosts:\n  box: {transport: local, root: /opt/platform, mutations: enabled}\n";

fn manifest(id: &str) -> String {
    format!(
        "schema: module/2\nid: {id}\ntitle: T\nowner: ola\nhost: box\nruntime: {{driver: files, tree: modules/{id}/public}}\n"
    )
}

fn repo() -> Repo {
    let repo = Repo::new();
    repo.write("platform.yaml", POLICY);
    repo.write("modules/site/module.yaml", &manifest("site"));
    repo.write("modules/site/public/index.html", "hello\n");
    repo
}

fn problems(repo: &Repo) -> Vec<String> {
    let git = repo.open();
    let snapshot = Snapshot::whole(&git, git.snapshot().unwrap()).unwrap();
    let report = validate(&snapshot, &[]).unwrap();
    report.problems.iter().map(|p| format!("{} {} {}", p.place(), p.code.slug(), p.message)).collect()
}

fn digests(repo: &Repo, id: &str) -> (String, String) {
    let git = repo.open();
    let tree = git.snapshot().unwrap();
    let id: ModuleId = id.parse().unwrap();
    let both = [Snapshot::lazy(&git, tree), Snapshot::whole(&git, tree).unwrap()].map(|snapshot| {
        let closure = manifests::module(&snapshot, &id).unwrap().unwrap().unwrap().closure;
        (closure.digest.to_string(), closure.effective.to_string())
    });
    assert_eq!(both[0], both[1], "lazy and whole see the same");
    both[0].clone()
}

/// Copies this project's own description into a repository.
fn our_own(repo: &Repo) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["platform.yaml", "allowed_signers", "modules", "compose"] {
        let status = std::process::Command::new("cp").arg("-R").arg(here.join(name)).arg(repo.work()).status().unwrap();
        assert!(status.success());
    }
}

#[test]
fn example_modules_are_valid() {
    let repo = Repo::new();
    our_own(&repo);
    assert_eq!(problems(&repo), Vec::<String>::new());
    let redis = digests(&repo, "honcho-redis");
    let web = digests(&repo, "status-web");
    // Another service of the same file changes: the release of both is another, but only one is concerned.
    let file = repo.work().join("compose/apps/compose.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("nginx:1.27-alpine", "nginx:1.28-alpine")).unwrap();
    assert_ne!(digests(&repo, "honcho-redis").0, redis.0);
    assert_eq!(digests(&repo, "honcho-redis").1, redis.1, "not concerned");
    assert_ne!(digests(&repo, "status-web").1, web.1);
    // A mounted file and an anchor that a service merges concern it.
    let before = digests(&repo, "honcho-redis").1;
    repo.write("compose/apps/redis.conf", "maxmemory 1mb\n");
    assert_ne!(digests(&repo, "honcho-redis").1, before);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("unless-stopped", "always")).unwrap();
    assert_ne!(digests(&repo, "status-web").1, web.1);
}

#[test]
fn title_change_does_not_change_the_effective_digest() {
    let repo = repo();
    let before = digests(&repo, "site");
    repo.write("modules/site/module.yaml", &manifest("site").replace("title: T", "title: Other"));
    let after = digests(&repo, "site");
    assert_ne!(before.0, after.0);
    assert_eq!(before.1, after.1);
    repo.write("modules/site/public/new", "x");
    assert_ne!(digests(&repo, "site").1, after.1, "untracked files count while they lie there");
}

#[test]
fn undeliverable_git_entries_are_refused() {
    let repo = repo();
    assert_eq!(problems(&repo), Vec::<String>::new());
    let public = repo.work().join("modules/site/public");
    std::os::unix::fs::symlink("/etc/passwd", public.join("link")).unwrap();
    fs::write(public.join("a\nb"), "x").unwrap();
    fs::write(public.join("INDEX.html"), "x").unwrap();
    fs::write(public.join("lfs"), "version https://git-lfs.github.com/spec/v1\noid sha256:0\n").unwrap();
    fs::write(public.join("filtered"), "x").unwrap();
    repo.write(".gitattributes", "filtered filter=lfs\n");
    use std::os::unix::ffi::OsStrExt as _;
    fs::write(public.join(std::ffi::OsStr::from_bytes(b"bad\xff")), "x").unwrap();
    let found = problems(&repo).join("\n");
    snapbox::assert_data_eq!(
        found,
        snapbox::str![[r#"
modules/site/public/a/nb content_refused has a name that is never delivered
modules/site/public/bad/xff content_refused has a name that is never delivered
modules/site/public/filtered content_refused has a `filter` attribute: what git checks out is not what was merged
modules/site/public/index.html content_refused differs from `modules/site/public/INDEX.html` only in case
modules/site/public/lfs content_refused is a Git LFS pointer, not the file
modules/site/public/link content_refused is a symbolic link
"#]]
    );
}

#[test]
fn all_problems_are_reported_with_their_lines() {
    let repo = repo();
    repo.write("modules/two/module.yaml", &manifest("two").replace("host: box", "host: nowhere\nafter: [site, gone]"));
    repo.write("modules/three/module.yaml", &manifest("three").replace("host: box", "host: box\nafter: [four]"));
    repo.write("modules/three/public/x", "x");
    repo.write("modules/four/module.yaml", &manifest("four").replace("host: box", "host: box\nafter: [three]"));
    repo.write("modules/four/public/x", "x");
    repo.write("modules/Bad/x", "x");
    repo.write("modules/empty/x", "x");
    let compose = "schema: module/2\nid: ID\ntitle: T\nowner: o\nhost: box\nruntime:\n  driver: compose\n  project: p\n  compose_files: [c.yaml]\n  services: [a]\n";
    repo.write("modules/one/module.yaml", &compose.replace("ID", "one"));
    repo.write("modules/uno/module.yaml", &compose.replace("ID", "uno"));
    repo.write(
        "c.yaml",
        "services:\n  a:\n    image: x\n    volumes: ['/etc:/etc:ro', './x:/x', './c.yaml:/c']\n    privileged: true\n",
    );
    let found = problems(&repo).join("\n");
    snapbox::assert_data_eq!(
        found,
        snapbox::str![[r#"
c.yaml:4:31 bind_relative_writable `x` is not tracked: a release has its own folder, so it would start empty in each
c.yaml:4:41 bind_not_read_only the tracked `c.yaml` is mounted writable: a release is never changed
modules/Bad manifest_invalid the folder name is not a valid module id
modules/empty manifest_invalid the folder has no module.yaml
modules/four/module.yaml:6:1 manifest_invalid a cycle: four after three after four
modules/two/module.yaml:7:26 manifest_invalid `modules/two/public` is not a folder in the repository
"#]]
    );
    repo.write("c.yaml", "services:\n  a:\n    image: x\n    volumes: ['/etc:/etc:ro']\n    privileged: true\n");
    repo.write("modules/two/public/x", "x");
    let found = problems(&repo);
    let codes: Vec<_> = found.iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert!(codes.contains(&"c.yaml:4:15 sacred_path".to_owned()), "{found:#?}");
    assert!(codes.contains(&"c.yaml:5:17 capability".to_owned()), "{found:#?}");
    assert!(codes.contains(&"modules/uno/module.yaml:10:3 manifest_invalid".to_owned()), "claimed twice: {found:#?}");
    assert!(codes.contains(&"modules/two/module.yaml:5:1 manifest_invalid".to_owned()), "{found:#?}");
    assert!(codes.contains(&"modules/two/module.yaml:6:15 manifest_invalid".to_owned()), "{found:#?}");
}

#[test]
fn a_snapshot_writes_nothing() {
    let repo = repo();
    let count = || repo.git(&["count-objects", "-v"]);
    let before = count();
    let git = repo.open();
    let tree = git.snapshot().unwrap();
    assert_eq!(count(), before);
    repo.commit("all");
    assert_eq!(repo.git(&["rev-parse", "HEAD^{tree}"]), tree.to_string(), "git agrees");
    assert!(git.blob(repo.id("HEAD:platform.yaml"), 10).is_err_and(|error| error.code == Code::ContentRefused));
}
