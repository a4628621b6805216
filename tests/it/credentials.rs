//! The credential of the forge serves git's transfers; it is shown nowhere, kept nowhere and sent to nobody else.

use std::{fs, path::Path, process::Output};

use crate::support::{
    forge::{Auth, Elsewhere, Fault, Forge, Role, Scope, User},
    repo::Repo,
    site::Site,
};

/// A site whose remote is a private repository on the forge, in a clone as `actions/checkout` leaves it with
/// `persist-credentials: false`: an http URL, and nothing that could log in. Pull request 1 is merged.
struct Clone {
    site: Site,
    forge: Forge,
    kim: User,
}

fn cloned(policy: &str) -> Clone {
    let repo = Repo::new();
    let root = repo.path("root").display().to_string();
    let hosts = format!("hosts:\n  box:\n    transport: local\n    root: {root}\n    mutations: enabled\n");
    repo.write("platform.yaml", &format!("schema: platform/1\n{hosts}{policy}"));
    repo.commit("policy");
    repo.publish();
    let site = Site::of(repo);
    site.change(1, "hello\n");
    let forge = Forge::start(&site.repo.path("remote.git"), "ops", "platform");
    forge.private();
    let kim = forge.user("kim");
    site.repo.git(&["remote", "set-url", "origin", &format!("{}.git", forge.url())]);
    Clone { site, forge, kim }
}

impl Clone {
    fn output(&self, args: &str, vars: &[(&str, &str)]) -> Output {
        let args: Vec<&str> = args.split(' ').collect();
        let mut command = self.site.binary(&self.site.repo.work(), 0, &args);
        command.envs(vars.iter().copied()).output().unwrap()
    }

    /// What the binary says, with the forge's address made the same everywhere.
    fn run(&self, args: &str, vars: &[(&str, &str)]) -> String {
        self.site.told(&self.output(args, vars)).replace(&self.forge.base(), "https://forge.example")
    }

    /// The secrets that the server was sent.
    fn sent(&self) -> Vec<String> {
        let mut sent: Vec<String> =
            self.forge.requests().iter().filter_map(|seen| seen.auth.secret().map(str::to_owned)).collect();
        sent.dedup();
        sent
    }

    /// Every file below the site's folder that has one of these texts in it.
    fn files_with(&self, texts: &[&str]) -> Vec<String> {
        let mut found = vec![];
        search(&self.site.repo.path(""), texts, &mut found);
        found
    }
}

fn search(folder: &Path, texts: &[&str], found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            search(&entry.path(), texts, found);
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(entry.path()).unwrap_or_default()).into_owned();
        if texts.iter().any(|part| text.contains(part)) {
            found.push(entry.path().display().to_string());
        }
    }
}

/// The base64 of `x-access-token:` and a token of 40 digits has no word of the token in it.
fn basic(token: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("x-access-token:{token}");
    let chunks = text.as_bytes().chunks(3).filter(|chunk| chunk.len() == 3);
    let four = |chunk: &[u8]| {
        let bits = u32::from(chunk[0]) << 16 | u32::from(chunk[1]) << 8 | u32::from(chunk[2]);
        [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 63) as usize] as char)
    };
    chunks.flat_map(four).collect()
}

#[test]
fn record_is_pushed_with_the_token_that_git_lacks() {
    let clone = cloned("");
    let token = clone.kim.token.as_str();
    let file = clone.site.repo.path("home/token");
    fs::write(&file, format!("{token}\n")).unwrap();
    let file = file.display().to_string();
    let actions = clone.forge.actions();
    let server = clone.forge.base();
    let run = [
        ("FORGEJO_ACTIONS", "true"),
        ("FORGEJO_SERVER_URL", server.as_str()),
        ("GITHUB_ACTIONS", "true"),
        ("FORGEJO_TOKEN", &actions),
        ("GITHUB_TOKEN", &actions),
    ];
    let missing = clone.run("apply site --pr 1", &[]);
    assert!(missing.starts_with("exit 9\n") && missing.contains("PLATFORMCTL_FORGEJO_TOKEN"), "{missing}");
    assert_eq!(clone.sent(), Vec::<String>::new());

    let applied = clone.run("apply site --pr 1", &[("PLATFORMCTL_FORGEJO_TOKEN", token)]);
    assert!(applied.starts_with("exit 0\n"), "{applied}");
    assert_eq!(clone.site.live(), "hello\n");
    assert_eq!(clone.site.log().len(), 4, "the record is on the forge");
    assert_eq!(clone.sent(), [token]);

    let again = clone.run("apply site --again", &[("PLATFORMCTL_FORGEJO_TOKEN_FILE", &file)]);
    assert!(again.starts_with("exit 0\n"), "{again}");
    assert_eq!(clone.sent(), [token]);
    // A JWT of an Authorized Integration is a password like any other.
    let jwt = clone.forge.keyless("kim");
    let keyless = clone.run("apply site --again", &[("PLATFORMCTL_FORGEJO_TOKEN", &jwt)]);
    assert!(jwt.len() > 3000 && keyless.starts_with("exit 0\n"), "{keyless}");
    assert_eq!(clone.sent(), [jwt]);
    let in_run = clone.run("apply site --again", &run);
    assert!(in_run.starts_with("exit 0\n"), "{in_run}");
    assert_eq!(clone.sent(), [actions.as_str()]);
    let outside = clone.run("apply site --again", &run[3..]);
    assert!(outside.starts_with("exit 9\n"), "the automatic token means nothing outside of a run: {outside}");
}

/// Attack: the token can be read in the list of processes, in a trace of git, by a program of the user's that git starts,
/// or in a file where a credential helper stored it.
/// Defence: it is in the environment of one git alone, which traces no credentials and knows no other helper.
#[test]
fn handed_token_is_in_no_argument_no_file_and_no_output() {
    let clone = cloned("");
    let (token, base64) = (clone.kim.token.as_str(), basic(&clone.kim.token));
    let store = clone.site.repo.path("home/stored");
    clone.site.repo.git(&["config", "--global", "credential.helper", &format!("store --file={}", store.display())]);
    let seen = clone.site.repo.path("home/environment");
    let curious = format!("!f() {{ env >>{}; }}; f", seen.display());
    clone.site.repo.git(&["config", "--global", "--add", "credential.helper", &curious]);
    let traces = ["GIT_TRACE", "GIT_TRACE_CURL", "GIT_TRACE2_EVENT"];
    let files = traces.map(|name| clone.site.repo.path(name).display().to_string());
    let mut vars = vec![("PLATFORMCTL_FORGEJO_TOKEN", token), ("GIT_TRACE_REDACT", "0")];
    vars.extend(traces.into_iter().zip(files.iter().map(String::as_str)));
    let output = clone.output("apply site --pr 1 -vv", &vars);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(!said.contains(token) && !said.contains(&base64), "{said}");
    let trace = fs::read_to_string(&files[0]).unwrap();
    assert!(trace.contains("x-access-token") && trace.contains("remote-http"), "every child's arguments: {trace}");
    assert!(fs::read_to_string(&seen).unwrap().contains("GIT_TERMINAL_PROMPT"), "the user's helper was asked");
    assert_eq!(clone.sent(), [token], "it was used");
    assert_eq!(clone.files_with(&[token, &base64]), Vec::<String>::new());
}

#[test]
fn helpers_and_headers_of_the_user_come_first() {
    let clone = cloned("");
    let own = clone.forge.token("kim", &[Scope::WriteRepository]);
    let helper = format!("!f() {{ echo username=kim; echo password={own}; }}; f");
    clone.site.repo.git(&["config", "--global", "credential.helper", &helper]);
    let token = ("PLATFORMCTL_FORGEJO_TOKEN", clone.kim.token.as_str());
    let applied = clone.run("apply site --pr 1", &[token]);
    assert!(applied.starts_with("exit 0\n"), "{applied}");
    assert_eq!(clone.sent(), [own.as_str()]);

    clone.site.repo.git(&["config", "--global", "--unset", "credential.helper"]);
    let header = format!("http.{}/.extraheader", clone.forge.base());
    clone.site.repo.git(&["config", &header, &format!("Authorization: token {own}")]);
    let applied = clone.run("apply site --again", &[token]);
    assert!(applied.starts_with("exit 0\n"), "{applied}");
    let auths: Vec<Auth> = clone.forge.requests().into_iter().map(|seen| seen.auth).collect();
    assert!(auths.iter().all(|auth| *auth == Auth::Token(own.clone())), "{auths:?}");
}

/// Attack: the remote redirects git to another host, which asks for a login.
/// Defence: the token is offered to the server of the remote's own URL and to no other.
#[test]
fn redirect_of_git_does_not_get_the_token() {
    let clone = cloned("");
    let elsewhere = Elsewhere::start();
    clone.forge.fault("/info/refs", Fault::Elsewhere(elsewhere.base()));
    let said = clone.run("apply site --pr 1", &[("PLATFORMCTL_FORGEJO_TOKEN", &clone.kim.token)]);
    assert!(said.starts_with("exit 9\n"), "{said}");
    let got = elsewhere.requests();
    assert!(!got.is_empty() && got.iter().all(|(_, auth)| *auth == Auth::None), "{got:?}");
}

/// Attack: the policy names the forge, and the remote is a mirror elsewhere that asks for a login.
/// Defence: the token is for the server that the policy names; git is not handed it for another one.
#[test]
fn mirror_elsewhere_does_not_get_the_token_of_the_forge() {
    let clone = cloned("approval:\n  forge: https://git.example.org/ops/platform\n");
    let said = clone.run("apply site --pr 1", &[("PLATFORMCTL_FORGEJO_TOKEN", &clone.kim.token)]);
    assert_eq!(clone.sent(), Vec::<String>::new());
    snapbox::assert_data_eq!(
        said,
        snapbox::str![[r#"
exit 9
STOPPED credentials_missing (9). Nothing was changed.
the remote `origin` asks for credentials: there are none,
they were revoked, or it has no such repository: fatal:
could not read Username for 'https://forge.example':
terminal prompts disabled (the token is for the forge at
https://git.example.org, not for https://forge.example)
fix: git remote set-url origin https://git.example.org/ops/platform, or set up a credential helper

"#]]
    );
}

/// Attack: the server repeats the token in its message, and git passes the message on.
/// Defence: every text of git is masked for the token that was handed to it, wherever that token came from.
#[test]
fn server_that_repeats_the_token_is_masked() {
    let clone = cloned("");
    let token = clone.kim.token.clone();
    let file = clone.site.repo.path("home/token");
    fs::write(&file, &token).unwrap();
    for status in [401, 403] {
        clone.forge.heal();
        clone.forge.fault("git-receive-pack", Fault::Repeats(status));
        let output =
            clone.output("apply site --pr 1 -vv", &[("PLATFORMCTL_FORGEJO_TOKEN_FILE", file.to_str().unwrap())]);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(9), "{said}");
        assert!(said.contains("access token does not exist [sha: ***]"), "{said}");
        assert!(!said.contains(&token), "{said}");
        assert_eq!(clone.site.live(), "entity not found", "no host was changed");
    }
}

/// What a person reads when the forge refuses git.
#[test]
fn every_refusal_of_git_over_http_has_its_words() {
    let mut table = String::new();
    let mut says = |what: &str, clone: &Clone, token: &str| {
        let said = clone.run("apply site --pr 1", &[("PLATFORMCTL_FORGEJO_TOKEN", token)]);
        assert!(said.starts_with("exit 9\n"), "{what}: {said}");
        assert!(!said.contains(token), "{what}: {said}");
        assert_eq!(clone.site.live(), "entity not found", "{what}");
        table.push_str(&format!("# {what}\n{said}"));
    };
    let clone = cloned("");
    says("revoked", &clone, "0123456789012345678901234567890123456789");
    says("no read scope", &clone, &clone.forge.token("kim", &[Scope::ReadUser]));
    says("no write scope", &clone, &clone.forge.token("kim", &[Scope::ReadRepository]));
    says("reader", &clone, &clone.forge.account("ann", Role::Reader).token);
    clone.site.repo.git_in("remote.git", &["config", "receive.hideRefs", "refs/platform"]);
    says("hidden", &clone, &clone.kim.token);
    clone.site.repo.git_in("remote.git", &["config", "--unset", "receive.hideRefs"]);
    clone.forge.archive();
    says("archived", &clone, &clone.kim.token);
    clone.site.repo.git(&["remote", "set-url", "origin", &format!("{}/ops/nosuch.git", clone.forge.base())]);
    says("not there", &clone, &clone.kim.token);
    snapbox::assert_data_eq!(
        table,
        snapbox::str![[r#"
# revoked
exit 9
STOPPED credentials_refused (9). Nothing was changed.
the remote `origin` refused the credentials: remote:
Credentials are incorrect or have expired. Retry your
command or see
https://codeberg.org/forgejo/forgejo/issues/2809 for more
information; fatal: Authentication failed for
'https://forge.example/ops/platform.git/' (credential:
PLATFORMCTL_FORGEJO_TOKEN)
fix: set up a token or key that is valid
# no read scope
exit 9
STOPPED credentials_refused (9). Nothing was changed.
the remote `origin` refused this: remote: Forbidden; fatal:
unable to access 'https://forge.example/ops/platform.git/':
The requested URL returned error: 403 (credential:
PLATFORMCTL_FORGEJO_TOKEN)
fix: use a token (scope write:repository) that may write this repository
# no write scope
exit 9
✓ approved  PR #1, merge
STOPPED credentials_refused (9). Nothing was changed.
the remote `origin` refused this: remote: Forbidden; fatal:
unable to access 'https://forge.example/ops/platform.git/':
The requested URL returned error: 403 (credential:
PLATFORMCTL_FORGEJO_TOKEN)
fix: use a token (scope write:repository) that may write this repository
# reader
exit 9
✓ approved  PR #1, merge
STOPPED credentials_refused (9). Nothing was changed.
the remote does not take the record: [remote rejected]
(pre-receive hook declined); remote: Forgejo: User 'ann' is
not allowed to push to branch '' in 'ops/platform'.; remote:
If you instead wanted to create a pull request to the branch
'', please use:; remote:
git push origin HEAD:refs/for//choose-a-descriptor
fix: use a token or key of an account that may write the repository
# hidden
exit 9
✓ approved  PR #1, merge
STOPPED credentials_refused (9). Nothing was changed.
the remote does not take the record: [remote rejected] (deny
updating a hidden ref)
fix: let the server take refs/platform: remove it from receive.hideRefs and transfer.hideRefs there
# archived
exit 9
✓ approved  PR #1, merge
STOPPED credentials_refused (9). Nothing was changed.
the remote `origin` refused this: remote: This repo is
archived. You can view files and clone it, but cannot push
or open issues/pull-requests.; fatal: unable to access
'https://forge.example/ops/platform.git/': The requested
URL returned error: 403 (credential:
PLATFORMCTL_FORGEJO_TOKEN)
fix: unarchive the repository on the server, or name another remote: --remote NAME
# not there
exit 9
UNREACHABLE remote_unreachable (9). Nothing was changed.
the remote `origin` has no such repository, or does not show
it to you: remote: Repository not found; fatal: repository
'https://forge.example/ops/nosuch.git/' not found
fix: see that the URL is right and that you may read it: git remote get-url origin

"#]]
    );
}

#[test]
fn renamed_repository_is_followed_on_its_own_server() {
    let clone = cloned("");
    clone.forge.rename("infra");
    let applied = clone.run("apply site --pr 1", &[("PLATFORMCTL_FORGEJO_TOKEN", &clone.kim.token)]);
    assert!(applied.starts_with("exit 0\n"), "{applied}");
    assert_eq!(clone.site.log().len(), 4);
}

/// The variables of a run of Actions, as a runner of Forgejo 15 sets them.
fn run_of<'a>(server: &'a str, actor: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("FORGEJO_ACTIONS", "true"),
        ("GITHUB_ACTIONS", "true"),
        ("CI", "true"),
        ("FORGEJO_SERVER_URL", server),
        ("FORGEJO_REPOSITORY", "ops/platform"),
        ("FORGEJO_RUN_ID", "42"),
        ("FORGEJO_ACTOR", actor),
    ]
}

impl Clone {
    /// The same as [`Clone::run`], where git knows nobody.
    fn run_as_nobody(&self, args: &str, vars: &[(&str, &str)]) -> String {
        let args: Vec<&str> = args.split(' ').collect();
        let mut command = self.site.binary(&self.site.repo.work(), 0, &args);
        command.env_remove("GIT_AUTHOR_NAME").env_remove("GIT_AUTHOR_EMAIL").envs(vars.iter().copied());
        self.site.told(&command.output().unwrap()).replace(&self.forge.base(), "https://forge.example")
    }
}

#[test]
fn run_of_actions_records_who_started_it_and_which_run_it_was() {
    let clone = cloned("");
    let (actions, server) = (clone.forge.actions(), clone.forge.base());
    let mut run = run_of(&server, "kim");
    run.push(("FORGEJO_TOKEN", &actions));
    let token = [("PLATFORMCTL_FORGEJO_TOKEN", actions.as_str())];
    let nobody = clone.run_as_nobody("apply site --pr 1", &token);
    assert!(nobody.contains("git has no user.name and user.email"), "outside of a run git has to know: {nobody}");
    let applied = clone.run_as_nobody("apply site --pr 1", &run);
    assert!(applied.starts_with("exit 0\n"), "{applied}");
    let shown = clone.run("show", &[]);
    let lines = |text: &str, names: &[&str]| -> String {
        let wanted = text.lines().filter(|line| names.iter().any(|name| line.trim_start().starts_with(name)));
        wanted.map(|line| format!("{line}\n")).collect()
    };
    snapbox::assert_data_eq!(
        lines(&shown, &["by ", "via "]),
        snapbox::str![[r#"
  by         kim <kim@noreply.127.0.0.1>
  via        run 42 of ops/platform on https://forge.example, by the runner's word

"#]]
    );
    snapbox::assert_data_eq!(
        clone.run("log", &[]),
        snapbox::str![[r#"
exit 0
   3  0 s ago  apply ok: site on box, PR #1 (1 change) (run 42, by the runner's word)
   2  0 s ago  apply intent: site on box, PR #1 (1 change) (run 42, by the runner's word)
   1  0 s ago  policy: platform.yaml as merged is in force (run 42, by the runner's word)
   0  0 s ago  genesis: the record begins (run 42, by the runner's word)
next: platformctl show 3

"#]]
    );
    let message = clone.site.repo.git_in("remote.git", &["log", "-1", "--format=%an <%ae>%n%B", "refs/platform/state"]);
    let message = message.replace(&server, "https://forge.example");
    snapbox::assert_data_eq!(
        lines(&message, &["kim ", "Platform-Actor", "Platform-Via"]),
        snapbox::str![[r#"
kim <kim@noreply.127.0.0.1>
Platform-Actor: kim <kim@noreply.127.0.0.1>
Platform-Via: run 42 of ops/platform on https://forge.example

"#]]
    );
    assert!(clone.run("verify", &run).starts_with("exit 0\n"), "every record is valid");

    let mut own = run.clone();
    own.push(("GIT_AUTHOR_NAME", "Deploy Bot"));
    own.push(("GIT_AUTHOR_EMAIL", "bot@example.org"));
    clone.run_as_nobody("apply site --again", &own);
    snapbox::assert_data_eq!(
        lines(&clone.run("show", &[]), &["by ", "via "]),
        snapbox::str![[r#"
  by         Deploy Bot <bot@example.org>
  via        run 42 of ops/platform on https://forge.example, by the runner's word

"#]]
    );
}

/// Attack: a workflow sets the variables of the runner so that a record names another person, or has lines of its own.
/// Defence: only a plain account name, address, repository and number are taken; anything else is left out.
#[test]
fn hostile_variables_of_a_runner_are_left_out() {
    let clone = cloned("");
    let token = clone.forge.actions();
    let server = "https://forge.example";
    for (name, value) in [
        ("FORGEJO_ACTOR", "Ola <ola@example.org>"),
        ("FORGEJO_RUN_ID", "1\nPlatform-Seq: 9"),
        ("FORGEJO_REPOSITORY", "ops/\u{1b}[2Jx"),
        ("FORGEJO_SERVER_URL", "https://token@forge.example"),
    ] {
        let mut run = run_of(server, "kim");
        run.extend([(name, value), ("PLATFORMCTL_FORGEJO_TOKEN", token.as_str())]);
        let again = if clone.site.log().is_empty() { "apply site --pr 1" } else { "apply site --again" };
        let applied = clone.run_as_nobody(again, &run);
        assert!(applied.starts_with("exit 0\n"), "{applied}");
        let record = clone.site.repo.git_in("remote.git", &["show", "refs/platform/state:event.json"]);
        let actor: serde_json::Value = serde_json::from_str(&record).unwrap();
        let actor = &actor["actor"];
        assert_eq!(actor["via"].is_null(), name != "FORGEJO_ACTOR", "{name}: {actor}");
        assert_eq!(actor["name"], if name == "FORGEJO_ACTOR" { "forgejo-actions" } else { "kim" }, "{actor}");
    }
    let run: Vec<_> =
        run_of(server, "kim").into_iter().chain([("PLATFORMCTL_FORGEJO_TOKEN", token.as_str())]).collect();
    assert!(clone.run("verify", &run).starts_with("exit 0\n"), "every record is valid");
}

#[test]
fn doctor_checks_identity_history_and_push_before_anything_is_due() {
    let clone = cloned("");
    let (actions, server) = (clone.forge.actions(), clone.forge.base());
    let mut run = run_of(&server, "kim");
    run.push(("FORGEJO_TOKEN", &actions));
    let of_clone = |said: &str| -> String {
        let block =
            said.lines().skip_while(|line| !line.starts_with("clone ")).take_while(|line| !line.starts_with("box "));
        block.map(|line| format!("{line}\n")).collect()
    };
    let refs = || clone.site.repo.git_in("remote.git", &["for-each-ref"]);
    let before = refs();
    let said = clone.run_as_nobody("doctor", &run);
    snapbox::assert_data_eq!(
        of_clone(&said),
        snapbox::str![[r#"
clone · this repository · all good
✓ identity  kim <kim@noreply.127.0.0.1>, in run 42 of
            ops/platform on https://forge.example, by the
            runner's word
✓ history   complete
✓ push      the remote lets you push (credential: the
            automatic token of the run (FORGEJO_TOKEN)); its
            hooks run for a real push only

"#]]
    );
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert_eq!(refs(), before, "nothing was pushed");
    clone.run_as_nobody("apply site --pr 1", &run);
    let before = refs();
    assert_eq!(of_clone(&clone.run_as_nobody("doctor", &run)), of_clone(&said), "with a record as without one");
    assert_eq!(refs(), before, "nothing was pushed");

    let read = clone.forge.token("kim", &[Scope::ReadRepository]);
    let said = clone.run_as_nobody("doctor", &[("PLATFORMCTL_FORGEJO_TOKEN", &read)]);
    assert!(said.starts_with("exit 2\n"), "the first one decides: {said}");
    snapbox::assert_data_eq!(
        of_clone(&said),
        snapbox::str![[r#"
clone · this repository · 2 things to cure
✗ identity  git has no user.name and user.email, and every
            record names its author
  → here:
    git config user.name 'Your Name'; git config user.email you@example.org
✓ history   complete
✗ push      the remote `origin` refused this: remote:
            Forbidden; fatal: unable to access
            'https://forge.example/ops/platform.git/': The
            requested URL returned error: 403 (credential:
            PLATFORMCTL_FORGEJO_TOKEN)
  → use a token (scope write:repository) that may write this
  repository

"#]]
    );

    let shallow = clone.site.repo.path("shallow");
    let from = format!("file://{}", clone.site.repo.path("remote.git").display());
    clone.site.repo.git_in(".", &["clone", "-q", "--depth=1", &from, "shallow"]);
    let said = clone.site.told(&clone.site.binary(&shallow, 0, &["doctor"]).output().unwrap());
    snapbox::assert_data_eq!(
        of_clone(&said),
        snapbox::str![[r#"
clone · this repository · 1 thing to cure
✓ identity  Ola <ola@example.org>
✗ history   this clone is shallow, and the full history is
            needed
  → git fetch --unshallow (in Actions: fetch-depth: 0)
✓ push      the remote lets you push; its hooks run for a
            real push only

"#]]
    );
}
