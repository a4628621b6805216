//! The repository that is opened is trusted only as git trusts it, and what goes wrong with it or with its remote is said as what it is.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
};

use platformctl::{
    io::git::Git,
    model::ids::Oid,
    port::{Merge, Merger, Source as _},
};

use crate::support::{repo::Repo, site::Site};

impl Site {
    fn with(&self, dir: &Path, args: &str, vars: &[(&str, &str)]) -> String {
        let args: Vec<&str> = args.split(' ').collect();
        // Each a minute after the last.
        static MINUTES: AtomicI64 = AtomicI64::new(0);
        let minutes = MINUTES.fetch_add(1, Ordering::Relaxed);
        let output = self.binary(dir, minutes, &args).envs(vars.iter().copied()).output().unwrap();
        self.told(&output)
    }
}

/// What both mergers say of a merge and of a replay.
fn verdicts(git: &Git, base: Oid, head: Oid) -> Vec<String> {
    let mut said = Vec::new();
    for by in [Merger::Gix, Merger::Git] {
        for merge in [git.merge(base, head, by).unwrap(), git.replay(base, head, by).unwrap()] {
            said.push(match merge {
                Merge::Clean(tree) => tree.to_string(),
                Merge::Conflict(_) => "conflict".to_owned(),
            });
        }
    }
    said
}

/// Attack: attributes, drivers, settings or replaced objects of a clone turn a conflict into a clean merge.
/// Defence: a merge is decided by the two commits and the attributes of the tree that is merged into, in gix and in git alike.
#[test]
fn nothing_of_the_clone_decides_a_merge() {
    let repo = Repo::new();
    repo.write("file", "one\n");
    repo.write("kept", "one\n");
    repo.write("both", "one\ntwo\n");
    let lines = (1..30).map(|n| format!("line {n}\n")).collect::<String>();
    repo.write("moved", &lines);
    repo.write(".gitattributes", "kept merge=union\nboth merge=planted\n");
    let fork = repo.commit("fork");
    repo.branch("side", "main");
    repo.write("file", "theirs\n");
    let conflicting = repo.commit("theirs");
    repo.branch("other", "main");
    repo.write("kept", "one\ntheirs\n");
    repo.write("both", "one\ntwo\ntheirs\n");
    repo.git(&["mv", "moved", "elsewhere"]);
    repo.write("elsewhere", &lines.replace("line 20\n", "line twenty\n"));
    let clean = repo.commit("theirs");
    repo.git(&["checkout", "-q", "main"]);
    repo.write("file", "ours\n");
    repo.write("kept", "one\nours\n");
    repo.write("both", "ours\none\ntwo\n");
    repo.write("moved", &lines.replace("line 3\n", "line three\n"));
    let base = repo.commit("ours");
    repo.git(&["push", "-q", "origin", "main", "side", "other"]);
    repo.git_in(".", &["clone", "-q", "--bare", "remote.git", "bare.git"]);
    let bare = Git::open(&repo.path("bare.git"), "origin", &repo.env()).unwrap();
    let expected = [verdicts(&bare, base, conflicting), verdicts(&bare, base, clean)];
    assert_eq!(expected[0], ["conflict"; 4]);
    assert_eq!(expected[1].iter().collect::<std::collections::BTreeSet<_>>().len(), 1, "{expected:?}");
    drop(bare);
    let driver = repo.trap("driver", "cp \"$2\" \"$1\"");
    let plant = |what: &'static str, vars: &[(&str, &str)]| {
        let git = Git::open(&repo.work(), "origin", &repo.env_with(vars)).unwrap();
        let found = [verdicts(&git, base, conflicting), verdicts(&git, base, clean)];
        assert_eq!(found, expected, "{what}");
        assert_eq!(repo.sprung(), "", "{what}");
    };
    plant("nothing", &[]);
    let info = repo.work().join(".git/info");
    fs::create_dir_all(&info).unwrap();
    fs::write(info.join("attributes"), "* merge=union\nkept merge=binary\n").unwrap();
    plant("info/attributes", &[]);
    fs::remove_file(info.join("attributes")).unwrap();
    repo.git(&["config", "merge.planted.driver", &format!("{driver} %A %B")]);
    plant("a merge driver that the tree names", &[]);
    for (key, value) in [("merge.default", "union"), ("merge.renames", "false"), ("core.bigFileThreshold", "1")] {
        repo.git(&["config", key, value]);
    }
    fs::write(repo.path("attributes"), "* merge=union\n").unwrap();
    repo.git(&["config", "core.attributesFile", &repo.path("attributes").display().to_string()]);
    plant("settings of the clone", &[]);
    fs::copy(repo.path("attributes"), repo.path("home/.gitattributes")).unwrap();
    fs::create_dir_all(repo.path("home/.config/git")).unwrap();
    fs::copy(repo.path("attributes"), repo.path("home/.config/git/attributes")).unwrap();
    plant("attributes of the user", &[]);
    repo.write(".gitattributes", "* merge=union\n");
    repo.git(&["add", "-A"]);
    plant("the index and the files on disk", &[]);
    repo.commit("attributes");
    plant("HEAD", &[]);
    repo.git(&["replace", &conflicting.to_string(), &clean.to_string()]);
    repo.git(&["replace", &clean.to_string(), &fork.to_string()]);
    plant("replaced objects", &[]);
    fs::write(info.join("grafts"), format!("{conflicting} {base}\n{clean} {base}\n")).unwrap();
    plant("grafts", &[]);
    let parameters = "'merge.default'='union'";
    plant(
        "GIT_CONFIG_*",
        &[
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "merge.default"),
            ("GIT_CONFIG_VALUE_0", "union"),
            ("GIT_CONFIG_PARAMETERS", parameters),
            ("GIT_ATTR_SOURCE", "HEAD"),
            ("GIT_DIR", "/nowhere"),
        ],
    );
}

/// Attack: a conflict is resolved by hand in the merge, and settings make a computed merge give just that.
/// Defence: the merge is computed under no configuration at all, whoever computes it.
#[test]
fn an_evil_merge_stays_one_whatever_the_environment_says() {
    let site = Site::new();
    let repo = &site.repo;
    repo.branch("pr2", "main");
    repo.write("modules/site/public/index.html", "theirs\n");
    repo.commit("theirs");
    repo.propose(2);
    repo.git(&["checkout", "-q", "main"]);
    repo.write("modules/site/public/index.html", "ours\n");
    repo.commit("ours");
    // As the union driver merges it.
    repo.try_git(&["merge", "-q", "--no-ff", "-m", "Merge pull request 'x' (#2) from x into main", "pr2"]);
    repo.write("modules/site/public/index.html", "ours\ntheirs\n");
    repo.git(&["add", "-A"]);
    repo.git(&["commit", "-q", "--no-edit"]);
    repo.publish();
    repo.git(&["config", "merge.default", "union"]);
    let vars = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "merge.default"),
        ("GIT_CONFIG_VALUE_0", "union"),
        ("GIT_CONFIG_PARAMETERS", "'merge.default'='union'"),
    ];
    let said = site.with(&repo.work(), "plan site --pr 2", &vars);
    assert!(said.contains("evil_merge"), "{said}");
}
