//! The repository that is opened is trusted only as git trusts it, and what goes wrong with it or with its remote is
//! said as what it is.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Output},
    sync::atomic::{AtomicI64, Ordering},
};

use platformctl::{
    io::{git::Git, remote::GitRemote},
    model::{ids::Oid, refusal::Code},
    port::{Ledger as _, Merge, Merger, Pushed, Remote as _, Source as _, Want},
};
use snapbox::{assert_data_eq, str};

use crate::support::{repo::Repo, site::Site};

fn root() -> bool {
    String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap().trim() == "0"
}

fn sh(script: &str, args: &[&Path]) -> Output {
    Command::new("sh").args(["-ec", script, "sh"]).args(args).output().unwrap()
}

/// Gives a folder to another account. Only root can; others let git assume that it is another's, which is what git's
/// own tests do.
fn give_away(dir: &Path) -> Vec<(&'static str, &'static str)> {
    if !root() {
        return vec![("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")];
    }
    assert!(sh("chown -R 65534:65534 \"$1\"", &[dir]).status.success());
    Vec::new()
}

/// An ending on one line: where lines break depends on how long the folders' names are.
fn one_line(said: &str) -> String {
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Site {
    fn with(&self, dir: &Path, args: &str, vars: &[(&str, &str)]) -> String {
        let args: Vec<&str> = args.split(' ').collect();
        // Each a minute after the last.
        static MINUTES: AtomicI64 = AtomicI64::new(0);
        let minutes = MINUTES.fetch_add(1, Ordering::Relaxed);
        let output = self.binary(dir, minutes, &args).envs(vars.iter().copied()).output().unwrap();
        self.told(&output)
    }

    fn global(&self, text: &str) {
        fs::write(self.repo.path("home/.gitconfig"), text).unwrap();
    }
}

/// Plants what runs when somebody fetches in a clone.
fn plant(repo: &Repo, git_dir: &str) {
    let upload = repo.trap("upload", "exec git-upload-pack \"$@\"");
    let hook = repo.trap("hook", "cat >/dev/null");
    repo.git_in(git_dir, &["config", "remote.origin.uploadpack", &upload]);
    fs::create_dir_all(repo.path(git_dir).join("hooks")).unwrap();
    fs::copy(hook, repo.path(git_dir).join("hooks/reference-transaction")).unwrap();
}

/// Attack: another account puts a hook and an upload program into its clone and waits until an operator opens it.
/// Defence: a clone that git does not trust is refused before anything in it is read or run.
#[test]
fn clone_of_another_account_is_refused() {
    let site = Site::new();
    plant(&site.repo, "work/.git");
    site.repo.git_in(".", &["clone", "-q", "--bare", "remote.git", "bare.git"]);
    plant(&site.repo, "bare.git");
    let (work, bare) = (site.repo.work(), site.repo.path("bare.git"));
    let vars = [give_away(&work), give_away(&bare)].concat();
    // Its own configuration is not asked whether it may be trusted.
    fs::write(
        work.join(".git/config"),
        fs::read_to_string(work.join(".git/config")).unwrap() + "[safe]\n\tdirectory = *\n",
    )
    .unwrap();
    assert_eq!(
        one_line(&site.with(&work, "state fetch", &vars)),
        "exit 2 USAGE foreign_repository (2). Nothing was changed. git does not trust the repository at <dir>/work: it belongs to \
         another account (dubious ownership) fix: git config --global --add safe.directory <dir>/work"
    );
    let below = site.with(&work.join("modules/site"), "status", &vars);
    assert!(below.starts_with("exit 2\nUSAGE foreign_repository"), "{below}");
    let named = site.with(&site.repo.path(""), "-C work pending", &vars);
    assert!(named.starts_with("exit 2\nUSAGE foreign_repository"), "{named}");
    let of_bare = site.with(&bare, "state fetch", &vars);
    assert!(of_bare.ends_with("fix: git config --global --add safe.directory <dir>/bare.git\n"), "{of_bare}");
    assert_eq!(site.repo.sprung(), "", "nothing ran");
    // Trusted as git trusts it: what counts for git counts here, and then its settings are used.
    let dir = |path: &Path| path.display().to_string();
    let trusted = [&work, &bare, &site.repo.path("remote.git")].map(|path| format!("\tdirectory = {}\n", dir(path)));
    site.global(&format!("[safe]\n{}", trusted.concat()));
    for dir in [&work, &bare] {
        let trusted = site.with(dir, "state fetch", &vars);
        assert!(trusted.starts_with("exit 0\n"), "{trusted}");
        assert!(site.repo.sprung().contains("upload"));
    }
    // Root by sudo trusts what is of who called it.
    site.global("");
    if root() {
        let called = site.with(&work, "status", &[("SUDO_UID", "65534")]);
        assert!(called.starts_with("exit 9\nSTOPPED no_state"), "{called}");
        let called = site.with(&work, "status", &[("SUDO_UID", "65533")]);
        assert!(called.starts_with("exit 2\nUSAGE foreign_repository"), "{called}");
    }
    // An empty value takes back what stood before it.
    site.global("[safe]\n\tdirectory = *\n\tdirectory =\n");
    let reset = site.with(&work, "status", &vars);
    assert!(reset.starts_with("exit 2\nUSAGE foreign_repository"), "{reset}");
}

/// Attack: the operator owns a linked work tree, but another account owns its repository with the hooks and settings.
/// Defence: the ownership of the common git folder is checked too.
#[test]
fn linked_work_tree_of_a_foreign_repository_is_refused() {
    let site = Site::new();
    site.repo.git(&["worktree", "add", "-q", "--detach", "../linked", "main"]);
    plant(&site.repo, "work/.git");
    let linked = site.repo.path("linked");
    let own = site.with(&linked, "state fetch", &[]);
    assert!(own.starts_with("exit 0\n"), "{own}");
    assert!(site.repo.sprung().contains("upload"));
    if !root() {
        return;
    }
    give_away(&site.repo.work());
    assert!(sh("chown -R 0:0 \"$1\"", &[&site.repo.work().join(".git/worktrees")]).status.success());
    let refused = site.with(&linked, "state fetch", &[]);
    assert!(refused.starts_with("exit 2\nUSAGE foreign_repository"), "{refused}");
    assert_eq!(site.repo.sprung(), "");
    site.global(&format!("[safe]\n\tdirectory = {}\n", site.repo.work().join(".git").display()));
    let trusted = site.with(&linked, "state fetch", &[]);
    assert!(trusted.starts_with("exit 0\n"), "{trusted}");
}

/// Attack: a pull request adds a folder that has the form of a bare repository with settings of its own.
/// Defence: a bare repository that is tracked by another repository is content and is not opened.
#[test]
fn bare_repository_inside_a_work_tree_is_not_opened() {
    let site = Site::new();
    let repo = &site.repo;
    repo.git_in(".", &["clone", "-q", "--bare", "remote.git", "work/tools"]);
    let tools = repo.work().join("tools");
    plant(repo, "work/tools");
    let own = site.with(&tools, "state fetch", &[]);
    assert!(own.starts_with("exit 0\n"), "an untracked one is one's own: {own}");
    assert!(repo.sprung().contains("upload"));
    // One in another, and one that says that its work tree is elsewhere.
    for name in ["tools/deep", "linked"] {
        repo.git_in(".", &["clone", "-q", "--bare", "remote.git", &format!("work/{name}")]);
        plant(repo, &format!("work/{name}"));
    }
    fs::write(repo.work().join("linked/commondir"), ".\n").unwrap();
    fs::write(repo.work().join("linked/gitdir"), format!("{}\n", repo.work().join(".git").display())).unwrap();
    repo.git(&["add", "-f", "tools/HEAD", "tools/config", "tools/deep/HEAD", "linked/HEAD"]);
    repo.git(&["commit", "-q", "-m", "tools"]);
    for name in ["tools/deep", "linked"] {
        let said = one_line(&site.with(&repo.work().join(name), "state fetch", &[]));
        assert!(said.contains("it is content that <dir>/work tracks"), "{name}: {said}");
    }
    assert_eq!(
        one_line(&site.with(&tools, "state fetch", &[])),
        "exit 2 USAGE foreign_repository (2). Nothing was changed. <dir>/work/tools has the form of a bare repository, but it is \
         content that <dir>/work tracks fix: cd <dir>/work"
    );
    assert_eq!(repo.sprung(), "");
}

/// Each kind that is not supported has its own name and its own cure.
#[test]
fn unsupported_repository_features_are_reported() {
    let repo = Repo::new();
    let opened = |dir: &Path| match Git::open(dir, "origin", &repo.env()) {
        Ok(_) => "opened".to_owned(),
        Err(error) => format!("{}: {error}\n  {}", error.code.slug(), error.fix),
    };
    let mut said = String::new();
    repo.git_in(".", &["init", "-q", "--object-format=sha256", "sha256"]);
    said += &format!("sha256\n{}\n", opened(&repo.path("sha256")));
    repo.git_in("remote.git", &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", repo.path("remote.git").display());
    repo.git_in(".", &["clone", "-q", "--filter=blob:none", &url, "partial"]);
    said += &format!("partial\n{}\n", opened(&repo.path("partial")));
    let config = repo.work().join(".git/config");
    let plain = fs::read_to_string(&config).unwrap();
    for (version, line) in [
        ("1", "refStorage = reftable"),
        ("1", "refStorage = files"),
        ("1", "objectFormat = sha1\n\tnoop = 1\n\tworktreeConfig = true\n\tpreciousObjects = true"),
        ("1", "compatObjectFormat = sha256"),
        ("1", "brandNew = 1"),
        ("1", "partialClone = origin"),
        ("2", "noop = 1"),
    ] {
        let text = plain.replace("repositoryformatversion = 0", &format!("repositoryformatversion = {version}"));
        fs::write(&config, format!("{text}[extensions]\n\t{line}\n")).unwrap();
        said += &format!("{version} {line}\n{}\n", opened(&repo.work()));
    }
    fs::write(&config, "[core\n").unwrap();
    let broken = opened(&repo.work());
    assert!(broken.starts_with("unsupported_repository: the configuration of the repository, "), "{broken}");
    assert_data_eq!(
        said,
        str![[r#"
sha256
unsupported_repository: this repository has sha256 objects; that is not supported
  create it again with sha1 objects, here and on the server: git init --object-format=sha1
partial
unsupported_repository: this repository is a partial clone, without objects that a decision may need; that is not supported
  git clone "$(git remote get-url origin)" fresh
1 refStorage = reftable
unsupported_repository: this repository has the reftable ref backend; that is not supported
  git clone --ref-format=files "$(git remote get-url origin)" fresh
1 refStorage = files
opened
1 objectFormat = sha1
	noop = 1
	worktreeConfig = true
	preciousObjects = true
opened
1 compatObjectFormat = sha256
unsupported_repository: this repository has the extension extensions.compatobjectformat, which is not known here; that is not supported
  git clone --ref-format=files "$(git remote get-url origin)" fresh
1 brandNew = 1
unsupported_repository: this repository has the extension extensions.brandnew, which is not known here; that is not supported
  git clone --ref-format=files "$(git remote get-url origin)" fresh
1 partialClone = origin
unsupported_repository: this repository is a partial clone, without objects that a decision may need; that is not supported
  git clone "$(git remote get-url origin)" fresh
2 noop = 1
unsupported_repository: this repository has repository format version 2; that is not supported
  git clone --ref-format=files "$(git remote get-url origin)" fresh

"#]]
    );
}

/// A server that makes sha256 repositories is said to be that, not one without branches.
#[test]
fn remote_with_another_object_format_is_reported() {
    let repo = Repo::new();
    repo.git_in(".", &["init", "-q", "--bare", "--object-format=sha256", "other.git"]);
    repo.git_in(".", &["init", "-q", "--object-format=sha256", "seed"]);
    repo.git_in("seed", &["commit", "-q", "--allow-empty", "-m", "x"]);
    repo.git_in("seed", &["push", "-q", "../other.git", "HEAD:main"]);
    repo.git(&["remote", "set-url", "origin", "../other.git"]);
    let remote = repo.remote();
    assert_eq!(remote.refs(false).unwrap_err().code, Code::UnsupportedRepository);
    let error = remote.fetch(&[Want::Base]).unwrap_err();
    assert_eq!(error.code, Code::UnsupportedRepository, "{error}");
    let Pushed::Refused(error) = remote.push_state(repo.id("HEAD")).unwrap() else { panic!("it cannot land") };
    assert_eq!(error.code, Code::UnsupportedRepository, "{error}");
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

/// Attack: attributes, merge drivers, settings or replace refs of a clone turn a conflict into a clean merge.
/// Defence: a merge depends only on the two commits and the attributes of the target tree, in gix and in git.
#[test]
fn clone_settings_do_not_affect_merges() {
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

/// Attack: a merge contains a manual conflict resolution, and git settings make the recomputed merge give the same result.
/// Defence: the merge is recomputed without any git configuration.
#[test]
fn git_configuration_cannot_hide_an_evil_merge() {
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

/// Attack: a mirror clone or a refspec for refs/platform/* lets a fetch overwrite the local record.
/// Defence: fetches and pushes write only private refs, whatever refspecs are configured.
#[test]
fn configured_refspecs_never_move_the_local_record() {
    let repo = Repo::new();
    for (key, value) in [
        ("remote.origin.fetch", "+refs/*:refs/*"),
        ("remote.origin.mirror", "true"),
        ("remote.origin.prune", "true"),
        ("remote.origin.pruneTags", "true"),
        ("remote.origin.tagOpt", "--tags"),
        ("fetch.prune", "true"),
    ] {
        repo.git(&["config", key, value]);
    }
    repo.git(&["config", "--add", "remote.origin.fetch", "+refs/platform/*:refs/platform/*"]);
    repo.git(&["tag", "mine"]);
    repo.git_in("remote.git", &["tag", "theirs", "main"]);
    let (git, remote) = (repo.open(), repo.remote().configured(repo.open().remote("origin")));
    let before = repo.git(&["for-each-ref"]);
    let head = repo.id("HEAD");
    // A mirror's push sends one ref, and does not delete the others there.
    assert!(matches!(remote.push_state(head).unwrap(), Pushed::Accepted));
    assert_eq!(repo.git(&["for-each-ref"]), before, "the local record moves by our own hand alone");
    assert_eq!(
        repo.git_in("remote.git", &["rev-parse", "refs/platform/state", "refs/tags/theirs"]),
        format!("{head}\n{head}")
    );
    remote.fetch(&[Want::State, Want::Base]).unwrap();
    assert_eq!(git.tip().unwrap(), None);
    assert_eq!(git.fetched().unwrap(), Some(head));
    let now: Vec<String> = repo.git(&["for-each-ref", "--format=%(refname)"]).lines().map(str::to_owned).collect();
    let expected = before.lines().map(|line| line.rsplit('\t').next().unwrap().to_owned());
    let own = ["refs/platformctl/origin/base", "refs/platformctl/origin/state"].map(str::to_owned);
    let expected: std::collections::BTreeSet<String> = expected.chain(own).collect();
    assert_eq!(now, expected.into_iter().collect::<Vec<_>>());
    remote.fetch(&[]).unwrap();
    assert_eq!(git.tip().unwrap(), None, "asked for nothing, nothing is fetched");
}

/// A record that is pushed to two places could be taken by one of them alone.
#[test]
fn several_push_urls_are_refused() {
    let repo = Repo::new();
    let url = repo.path("remote.git").display().to_string();
    let pushed = || match repo.remote().configured(repo.open().remote("origin")).push_state(repo.id("HEAD")).unwrap() {
        Pushed::Accepted => "accepted".to_owned(),
        Pushed::Refused(error) => error.to_string(),
        Pushed::Rejected(why) | Pushed::Unknown(why) => panic!("{why}"),
    };
    repo.git(&["config", "--add", "remote.origin.pushurl", &url]);
    assert_eq!(pushed(), "accepted", "one of its own is fine");
    repo.git(&["config", "--add", "remote.origin.pushurl", "../other.git"]);
    assert_eq!(pushed(), "the remote `origin` has 2 push URLs, but the record needs exactly one");
    // A fork that is pushed to, say: the record would never be seen again.
    repo.git(&["config", "--unset-all", "remote.origin.pushurl"]);
    repo.git_in(".", &["init", "-q", "--bare", "other.git"]);
    repo.git(&["config", "remote.origin.pushurl", "../other.git"]);
    repo.git(&["push", "-q", "--delete", &url, "refs/platform/state"]);
    assert_eq!(pushed(), "the remote `origin` has different repositories as fetch URL and push URL");
    repo.git(&["config", "--unset-all", "remote.origin.pushurl"]);
    repo.git(&["config", "--add", "remote.origin.url", "../other.git"]);
    assert_eq!(pushed(), "the remote `origin` has 2 push URLs, but the record needs exactly one");
    repo.git(&["remote", "remove", "origin"]);
    assert_eq!(pushed(), "there is no remote `origin`");
}

/// git resolves a relative URL from the root of the work tree; so it is here, wherever one stands.
#[test]
fn a_relative_url_means_the_same_from_every_folder() {
    let site = Site::new();
    let repo = &site.repo;
    repo.git(&["remote", "set-url", "origin", "../remote.git"]);
    repo.git(&["worktree", "add", "-q", "--detach", "../deep/er/linked", "main"]);
    for dir in ["work", "work/modules/site", "work/.git", "deep/er/linked", "deep/er/linked/modules"] {
        let said = site.with(&repo.path(dir), "state fetch", &[]);
        assert!(said.starts_with("exit 0\n"), "{dir}: {said}");
    }
    let said = site.with(&repo.path(""), "-C work/modules state fetch", &[]);
    assert!(said.starts_with("exit 0\n"), "{said}");
    repo.git_in(".", &["clone", "-q", "--bare", "remote.git", "bare.git"]);
    repo.git_in("bare.git", &["config", "remote.origin.url", "../remote.git"]);
    for dir in ["bare.git", "bare.git/objects"] {
        let said = site.with(&repo.path(dir), "state fetch", &[]);
        assert!(said.starts_with("exit 0\n"), "{dir}: {said}");
    }
}

/// The user's own ssh command, helper or askpass reads a variable of his.
#[test]
fn git_transfers_get_the_users_environment() {
    let repo = Repo::new();
    let then = "[ \"$DEPLOY_KEY_TOKEN\" = sesame ] || { echo 'no token' >&2; exit 1; }\nfor last; do :; done\nexec sh -c \"$last\"";
    let ssh = repo.trap("ssh", then);
    repo.git(&["remote", "set-url", "origin", &format!("forge:{}", repo.path("remote.git").display())]);
    repo.git(&["config", "core.sshCommand", &ssh]);
    let refs = |vars: &[(&str, &str)]| {
        let env = repo.env_with(vars);
        let git = Git::open(&repo.work(), "origin", &env).unwrap();
        let remote = GitRemote::new(git.common_dir().to_owned(), "origin", "main", &env).unwrap();
        remote.configured(git.remote("origin")).refs(false)
    };
    assert!(refs(&[]).is_err());
    let redirected = [
        ("DEPLOY_KEY_TOKEN", "sesame"),
        ("GIT_DIR", "/nowhere"),
        ("GIT_WORK_TREE", "/nowhere"),
        ("GIT_INDEX_FILE", "/nowhere"),
        ("GIT_OBJECT_DIRECTORY", "/nowhere"),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", "/nowhere"),
        ("GIT_NAMESPACE", "nowhere"),
        ("GIT_COMMON_DIR", "/nowhere"),
        ("GIT_TRACE", "1"),
    ];
    assert_eq!(refs(&redirected).unwrap().base, Some(repo.id("main")));
}

/// An HTTP server that wants credentials and then answers 403, with the credentials in its words. It says what it was
/// sent.
fn forbidding() -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, seen) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let given = request.lines().find_map(|line| line.strip_prefix("Authorization: "));
            let (status, more, body) = match given {
                None => ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", String::new()),
                Some(_) => ("403 Forbidden", "", "User with glpat-0123456789 may not write\n".to_owned()),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\n{more}Content-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).unwrap();
            drop(send.send(given.unwrap_or_default().to_owned()));
        }
    });
    (port, seen)
}

/// Attack: a server repeats the received token in its error message, which ends up in a shared log.
/// Defence: output of git is masked before it is shown; the rest of the server's message stays.
#[test]
fn askpass_gets_its_token_and_output_is_masked() {
    let site = Site::new();
    let (port, seen) = forbidding();
    let askpass = site.repo.trap("askpass", "case $1 in Username*) echo ola ;; *) echo \"$TOKEN\" ;; esac");
    site.repo.git(&["remote", "set-url", "origin", &format!("http://127.0.0.1:{port}/ola/infra.git")]);
    let vars = [("GIT_ASKPASS", askpass.as_str()), ("TOKEN", "glpat-0123456789"), ("NO_PROXY", "*")];
    let said = one_line(&site.with(&site.repo.work(), "state fetch", &vars));
    let said = said.replace(&port.to_string(), "<port>");
    assert_eq!(
        said,
        "exit 9 STOPPED credentials_refused (9). Nothing was changed. the remote `origin` refused this: remote: User with *** may \
         not write; fatal: unable to access 'http://127.0.0.1:<port>/ola/infra.git/': The requested URL returned error: 403 fix: use \
         a token (scope write:repository) that may write this repository"
    );
    assert_eq!(seen.try_iter().filter(|given| given == "Basic b2xhOmdscGF0LTAxMjM0NTY3ODk=").count(), 1, "ola:glpat-…");
    // Of a URL nobody sees it either, known or not.
    site.repo.git(&[
        "remote",
        "set-url",
        "origin",
        &format!("http://ola:glpat-0123456789@127.0.0.1:{port}/ola/infra.git"),
    ]);
    let said = one_line(&site.with(&site.repo.work(), "state fetch", &[("NO_PROXY", "*")]));
    assert!(said.contains("remote: User with *** may not write") && !said.contains("glpat"), "{said}");
    // git gives a hook the URL of a remote that has no name.
    let said = site.with(&site.repo.work(), "hook pre-push https://ola:glpat-0123456789@forge/a.git x", &[]);
    assert!(said.starts_with("exit 0\n") && said.ends_with("next: git pushes to https://***@forge/a.git\n"), "{said}");
    let said = site.with(&site.repo.work(), "status --remote https://ola:glpat-0123456789@forge/a.git", &[]);
    assert!(said.contains("`https://***@forge/a.git` is not a name"), "{said}");
}

/// A remote over an ssh that lets `pushes` of them through and then answers as a forge does whose deploy key may only
/// read.
fn read_only_after(repo: &Repo, pushes: usize) {
    let count = repo.path("pushes").display().to_string();
    let then = format!(
        "for last; do :; done\ncase $last in git-receive-pack*)\n\
         echo push >>'{count}'\n[ \"$(wc -l <'{count}')\" -le {pushes} ] || {{\n\
         echo 'Forgejo: Deploy Key: 4:deploy is not authorized to write to ola/infra.' >&2; exit 1; }}\nesac\n\
         exec sh -c \"$last\""
    );
    let ssh = repo.trap("ssh", &then);
    drop(fs::remove_file(&count));
    repo.git(&["remote", "set-url", "origin", &format!("forge:{}", repo.path("remote.git").display())]);
    repo.git(&["config", "core.sshCommand", &ssh]);
}

/// A push that is refused before anything was received is no doubt and no contention: it ends at once, with the
/// server's words.
#[test]
fn refused_push_is_not_retried() {
    let site = Site::new();
    read_only_after(&site.repo, 2);
    let begun = std::time::Instant::now();
    let said = one_line(&site.with(&site.repo.work(), "apply site --pr 1", &[]));
    assert!(begun.elapsed().as_secs() < 15, "it was tried again and again");
    let why = "STOPPED credentials_refused (9). Nothing was changed. the remote `origin` refused this: Forgejo: Deploy Key: \
               4:deploy is not authorized to write to ola/infra.";
    assert!(said.contains(why) && said.ends_with("fix: use a key that may write this repository"), "{said}");
    assert!(!said.contains("may still land") && !said.contains("contention"), "{said}");
    assert_eq!(site.repo.open().notes("unsent").unwrap(), Vec::<String>::new(), "it cannot land");
    assert_eq!(site.live(), "entity not found");
    assert_eq!(site.log().len(), 2, "the intent is not there: {:?}", site.log());
    read_only_after(&site.repo, 100);
    let said = site.with(&site.repo.work(), "apply site --pr 1", &[]);
    assert!(said.starts_with("exit 0\n"), "{said}");
}

/// The key is taken away between the intent and the outcome: what was done waits here, and the next command delivers
/// it.
#[test]
fn refused_outcome_stays_in_the_spool() {
    let site = Site::new();
    read_only_after(&site.repo, 3);
    let begun = std::time::Instant::now();
    let said = site.with(&site.repo.work(), "apply site --pr 1", &[]);
    assert!(begun.elapsed().as_secs() < 15, "it was tried again and again");
    assert!(said.starts_with("exit 15\n"), "{said}");
    assert_eq!(site.live(), "hello\n");
    let still = one_line(&site.with(&site.repo.work(), "state fetch", &[]));
    assert!(still.contains("not authorized to write to ola/infra"), "{still}");
    read_only_after(&site.repo, 100);
    let said = site.with(&site.repo.work(), "state fetch", &[]);
    assert!(said.starts_with("exit 0\n") && said.contains("1 record delivered that had waited here"), "{said}");
}

/// A path that belongs to another account is a remote that git does not trust: that is said, with what cures it.
#[test]
fn remote_of_another_account_is_reported() {
    let site = Site::new();
    if !root() {
        return;
    }
    give_away(&site.repo.path("remote.git"));
    let said = one_line(&site.with(&site.repo.work(), "state fetch", &[]));
    assert_eq!(
        said,
        "exit 9 STOPPED credentials_refused (9). Nothing was changed. the remote `origin` is a folder of another account, and git \
         does not trust it: fatal: detected dubious ownership in repository at '<dir>/remote.git' fix: git config --global --add \
         safe.directory <dir>/remote.git"
    );
}

/// A name that git would clean is the same in the event and in the commit: the record holds.
#[test]
fn cleaned_author_name_makes_a_valid_record() {
    let site = Site::new();
    let names = [("Ola <ops>", "ola@example.org "), ("\tOla\tNordmann,\n", "<ola@example.org>"), ("  \"Ola\"  ", "")];
    for (at, (name, email)) in names.into_iter().enumerate() {
        let n = u64::try_from(at).unwrap() + 1;
        if n > 1 {
            site.change(n, &format!("{n}\n"));
        }
        // Without a mail of the environment git takes the configured one.
        site.repo.git(&["config", "user.email", "  ola@example.org,"]);
        let vars = [("GIT_AUTHOR_NAME", name), ("GIT_AUTHOR_EMAIL", email)];
        let said = site.with(&site.repo.work(), &format!("apply site --pr {n}"), &vars);
        assert!(said.starts_with("exit 0\n"), "{name:?}: {said}");
    }
    let said = site.with(&site.repo.work(), "verify", &[]);
    assert!(said.starts_with("exit 0\n"), "{said}");
    let authors = site.repo.git(&["log", "--reverse", "--format=%an <%ae>", "refs/platform/state"]);
    let mut authors: Vec<&str> = authors.lines().collect();
    authors.dedup();
    assert_eq!(authors, ["Ola ops <ola@example.org>", "Ola Nordmann <ola@example.org>", "Ola <ola@example.org>"]);
    // As git itself writes them.
    for (name, expected) in [("Ola <ops>", "Ola ops"), ("  \"Ola\"  ", "Ola")] {
        let ident = Command::new("git")
            .env_clear()
            .envs([
                ("PATH", std::env::var("PATH").unwrap().as_str()),
                ("GIT_AUTHOR_NAME", name),
                ("GIT_AUTHOR_EMAIL", "x"),
            ])
            .args(["var", "GIT_AUTHOR_IDENT"])
            .output()
            .unwrap();
        assert!(String::from_utf8(ident.stdout).unwrap().starts_with(&format!("{expected} <x> ")));
    }
}

/// A lock that a killed git left is named with its age; one that is held for a moment is waited for.
#[test]
fn stale_lock_is_reported_with_its_age() {
    let site = Site::new();
    let lock = site.repo.work().join(".git/refs/platform/state.lock");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let age = |lock: &Path, seconds: u64| {
        let file = fs::File::create(lock).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(seconds)).unwrap();
    };
    age(&lock, 3 * 86_400);
    let said = one_line(&site.with(&site.repo.work(), "apply site --pr 1", &[]));
    assert!(
        said.contains(
            "io (9). Nothing was changed. could not move refs/platform/state: <dir>/work/.git/refs/platform/state.lock is there, made 3 \
             days ago: git is at work, or was killed fix: if no git process works here: rm <dir>/work/.git/refs/platform/state.lock"
        ),
        "{said}"
    );
    fs::remove_file(&lock).unwrap();
    // The same for one that git meets.
    let lock = site.repo.work().join(".git/refs/platformctl/origin/base.lock");
    age(&lock, 7_200);
    site.repo.write("README", "newer\n");
    site.repo.commit("newer");
    site.repo.publish();
    let said = one_line(&site.with(&site.repo.work(), "state fetch", &[]));
    assert!(said.contains("base.lock is there, made 2 hours ago: git is at work, or was killed fix:"), "{said}");
    assert!(said.contains("io (9)"), "{said}");
    fs::remove_file(&lock).unwrap();
    let said = site.with(&site.repo.work(), "apply site --pr 1", &[]);
    assert!(said.starts_with("exit 0\n"), "{said}");
}

/// A disk that is full, and one that cannot be written, are what is said.
#[test]
fn full_and_read_only_disks_are_reported() {
    if !root() {
        return;
    }
    let site = Site::new();
    let git_dir = site.repo.work().join(".git");
    // In a mount namespace of its own: nothing of it is left.
    let within = |mount: &str, args: &str| {
        let args: Vec<&str> = args.split(' ').collect();
        let binary = site.binary(&site.repo.work(), 0, &args);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", &format!("{mount}\nshift\nexec \"$@\""), "sh"]).arg(&git_dir);
        command.arg(binary.get_program()).args(binary.get_args()).current_dir(site.repo.work()).env_clear();
        command.envs(binary.get_envs().filter_map(|(name, value)| Some((name, value?))));
        one_line(&site.told(&command.output().unwrap()))
    };
    let full = "mkdir -p \"$1/platformctl\"; mount -t tmpfs -o size=16k tmpfs \"$1/platformctl\"\n\
                dd if=/dev/zero of=\"$1/platformctl/fill\" bs=4k 2>/dev/null || :";
    let said = within(full, "apply site --pr 1");
    assert!(said.contains("could not write the note fetched-at: the disk is full because: No space left"), "{said}");
    assert!(said.ends_with("fix: free some space there, then run the same command again"), "{said}");
    assert!(said.contains("io (9)"), "{said}");
    let said = within("mount --bind \"$1\" \"$1\"; mount -o remount,ro,bind \"$1\"", "apply site --pr 1");
    assert!(said.contains("the file system is read-only") && said.contains("io (9)"), "{said}");
    assert!(said.ends_with("fix: make it writable, then run the same command again"), "{said}");
}

/// The core of everything under what git 3 begins with: SHA-256, reftable, and bare repositories that are only opened
/// by name.
#[test]
fn core_works_with_git_3_defaults() {
    let site = Site::new();
    site.global(
        "[safe]\n\tbareRepository = explicit\n[init]\n\tdefaultObjectFormat = sha256\n\tdefaultRefFormat = reftable\n\
         \tdefaultBranch = main\n",
    );
    let vars = [("GIT_DEFAULT_HASH", "sha256"), ("GIT_DEFAULT_REF_FORMAT", "reftable")];
    let work = site.repo.work();
    for args in
        ["state fetch", "pending", "plan site", "apply site --pr 1", "status", "verify", "validate modules/site", "log"]
    {
        let said = site.with(&work, args, &vars);
        assert!(said.starts_with("exit 0\n"), "{args}: {said}");
    }
    // What lies on disk is asked of git, by name too.
    site.repo.write("modules/site/public/more.html", "more\n");
    let said = site.with(&work, "validate", &vars);
    assert!(said.starts_with("exit 0\n"), "{said}");
    // A rename that a merge follows: both mergers, in a repository of their own.
    site.repo.git_in(".", &["clone", "-q", "--bare", "remote.git", "bare.git"]);
    let bare = site.repo.path("bare.git");
    site.change(2, "again\n");
    for args in ["state fetch", "pending", "plan site", "apply site --pr 2", "status", "verify", "log"] {
        let said = site.with(&bare, args, &vars);
        assert!(said.starts_with("exit 0\n"), "bare, {args}: {said}");
    }
    assert_eq!(site.live(), "again\n");
}
