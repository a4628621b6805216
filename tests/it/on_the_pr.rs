//! What people see under a pull request: the plan before the merge, one comment that is edited in place, statuses, and
//! what became of it.

use std::cell::Cell;

use serde_json::Value;

use crate::support::{
    forge::{Fault, Forge, Style},
    repo::Repo,
    site::Site,
};

/// A policy with reviews and two hosts; the module `site` is applied by pull request 1.
struct Hosted {
    site: Site,
    forge: Forge,
    token: String,
    /// Each command is a minute after the one before it: run ids are made of the time.
    minutes: Cell<i64>,
}

impl Hosted {
    fn new() -> Self {
        let repo = Repo::new();
        let forge = Forge::start(&repo.path("remote.git"), "ops", "platform");
        let token = forge.user("robot").token;
        for user in ["alice", "bob", "mallory"] {
            forge.user(user);
        }
        let hosted = Self { site: Site::of(repo), forge, token, minutes: Cell::new(0) };
        hosted.site.repo.write("platform.yaml", &hosted.policy(""));
        hosted.site.repo.commit("policy");
        hosted.site.repo.publish();
        hosted.branch(1);
        hosted.site.manifest("");
        hosted.site.repo.write("modules/site/public/index.html", "one\n");
        hosted.open(1);
        hosted.merge(1);
        let (exit, said) = hosted.run(&["apply", "--pr", "1"]);
        assert_eq!(exit, 0, "{said}");
        hosted
    }

    fn policy(&self, more: &str) -> String {
        format!(
            "schema: platform/1\napproval:\n  source: forgejo\n  forge: {}\n  required_approvals: 1\nhosts:\n  box:\n    transport: local\n    root: {}\n    mutations: enabled\n{more}",
            self.forge.url(),
            self.site.repo.path("root").display()
        )
    }

    fn branch(&self, n: u64) {
        self.site.repo.git(&["fetch", "-q", "origin", "main"]);
        self.site.repo.branch(&format!("pr{n}"), "FETCH_HEAD");
    }

    /// What is in the clone as pull request `n`, with bob's approval.
    fn open(&self, n: u64) -> String {
        self.site.repo.commit(&format!("change {n}"));
        let head = self.site.repo.propose(n).to_string();
        self.forge.open(n, "alice", "A title with <b>HTML</b> and @bob");
        self.forge.approve(n, "bob");
        head
    }

    fn merge(&self, n: u64) -> String {
        let merge = self.forge.merge(n, &Style::Merge, "alice");
        self.site.repo.git(&["fetch", "-q", "origin", "main"]);
        self.site.repo.git(&["checkout", "-q", "--detach", "FETCH_HEAD"]);
        merge
    }

    fn run(&self, args: &[&str]) -> (i32, String) {
        let mut command = self.site.binary(&self.site.repo.work(), self.minutes.replace(self.minutes.get() + 1), args);
        let output = command.env("PLATFORMCTL_FORGEJO_TOKEN", &self.token).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), said)
    }

    fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let (_, said) = self.run(&args);
        serde_json::from_str(said.lines().next().unwrap()).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// The texts of our comments.
    fn comments(&self, n: u64) -> Vec<String> {
        let ours = self.forge.comments(n).into_iter().filter(|comment| comment.poster == "robot");
        ours.map(|comment| comment.body).collect()
    }
}

/// A change of the page, the policy and a new module, as pull request 2.
fn everything(hosted: &Hosted) -> String {
    hosted.branch(2);
    hosted.site.repo.write("modules/site/public/index.html", "two\n");
    let policy = hosted.policy("    machine_id: \"\"\n    networks: [proxy]\n");
    hosted.site.repo.write("platform.yaml", &policy);
    hosted.site.repo.write("modules/more/public/a.html", "a\n");
    let manifest = "schema: module/2\nid: more\ntitle: More\nowner: ola\nhost: box\nruntime: {driver: files, tree: modules/more/public}\n";
    hosted.site.repo.write("modules/more/module.yaml", manifest);
    hosted.open(2)
}

#[test]
fn plan_of_a_pull_request_covers_every_module_and_the_policy() {
    let hosted = Hosted::new();
    let head = everything(&hosted);
    let plan = hosted.json(&["plan", "--pr", "2"]);
    assert_eq!(plan["exit"], 0, "{plan:#}");
    let modules: Vec<&str> =
        plan["targets"].as_array().unwrap().iter().filter_map(|one| one["module"].as_str()).collect();
    assert_eq!(modules, ["more", "site"]);
    assert_eq!((plan["head"].as_str(), &plan["merge"]), (Some(head.as_str()), &Value::Null));
    assert_eq!(plan["policy"][0]["key"], "hosts.box.networks");
    assert_eq!(plan["policy"][0]["to"], "proxy");
    // The checkout that a run of a pull request has: detached at the head, without a local base branch.
    hosted.site.repo.git(&["checkout", "-q", "--detach", &head]);
    hosted.site.repo.git(&["branch", "-q", "-D", "main"]);
    let (exit, said) = hosted.run(&["plan", "--pr", "2"]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("next: review PR #2 and merge it"), "{said}");
    assert_eq!(hosted.run(&["check", "--pr", "2"]).0, 0);
    // Merged: the same modules, against the host.
    hosted.merge(2);
    let plan = hosted.json(&["plan", "--pr", "2"]);
    assert_eq!((&plan["exit"], plan["targets"].as_array().unwrap().len()), (&0.into(), 2), "{plan:#}");
    assert_eq!(plan["targets"][0]["approved"]["reviews"][0]["user"], "bob");
}

#[test]
fn removed_modules_are_named() {
    let hosted = Hosted::new();
    hosted.branch(2);
    hosted.site.repo.git(&["rm", "-q", "-r", "modules/site"]);
    hosted.open(2);
    let plan = hosted.json(&["plan", "--pr", "2"]);
    assert_eq!(plan["removed"], serde_json::json!([{"module": "site", "host": "box", "running": true}]), "{plan:#}");
    let (_, said) = hosted.run(&["plan", "--pr", "2", "--markdown"]);
    assert!(said.contains("leaves site on box running"), "{said}");
}

/// Attack: a pull request is merged that can never be applied.
/// Defence: `check` refuses it before the merge, for what it does to the policy, the hosts and the modules, and sets the
/// status that a branch rule can require.
#[test]
fn check_refuses_what_could_not_be_applied() {
    let hosted = Hosted::new();
    let refused = |n: u64, code: &str| {
        let check = hosted.json(&["check", "--pr", &n.to_string(), "--status"]);
        let codes: Vec<&str> =
            check["refusals"].as_array().unwrap().iter().filter_map(|one| one["code"].as_str()).collect();
        assert!(codes.contains(&code), "{code}: {check:#}");
        assert_ne!(check["exit"], 0);
        let last = hosted.forge.statuses().pop().unwrap();
        assert_eq!((last.context.as_str(), last.state.as_str()), ("platformctl/plan", "failure"));
        assert!(last.description.len() <= 140);
    };
    hosted.branch(2);
    hosted.site.repo.write("modules/site/module.yaml", "schema: module/2\nid: [\n");
    hosted.open(2);
    refused(2, "manifest_invalid");
    hosted.branch(3);
    let text = std::fs::read_to_string(hosted.site.repo.work().join("modules/site/module.yaml")).unwrap();
    hosted.site.repo.write("modules/site/module.yaml", &text.replace("host: box", "host: nowhere"));
    hosted.open(3);
    refused(3, "unknown_host");
    hosted.branch(4);
    hosted.site.repo.write("platform.yaml", &hosted.policy("").replace("mutations: enabled", "mutations: disabled"));
    hosted.site.repo.write("modules/site/public/index.html", "x\n");
    hosted.open(4);
    refused(4, "mutations_disabled");
    hosted.branch(5);
    hosted.site.repo.write("platform.yaml", "schema: platform/1\nhosts: 5\n");
    hosted.open(5);
    refused(5, "policy_invalid");
    // A host that the same pull request adds is there.
    hosted.branch(6);
    let more = format!(
        "  other:\n    transport: local\n    root: {}\n    mutations: enabled\n",
        hosted.site.repo.path("r2").display()
    );
    hosted.site.repo.write("platform.yaml", &hosted.policy(&more));
    hosted.site.repo.write("modules/site/module.yaml", &text.replace("host: box", "hosts: [box, other]"));
    hosted.open(6);
    let check = hosted.json(&["check", "--pr", "6", "--status"]);
    assert_eq!(check["exit"], 0, "{check:#}");
    assert_eq!(hosted.forge.statuses().pop().unwrap().state, "success");
}

/// Attack: somebody else writes a comment with our marker, or edits ours.
/// Defence: only a comment of our own account is edited, and no comment is ever read as evidence.
#[test]
fn comment_is_kept_in_one_place_and_is_our_own() {
    let hosted = Hosted::new();
    everything(&hosted);
    hosted.forge.comment(2, "mallory", "<!-- platformctl:plan -->\nlies");
    hosted.forge.requests();
    let (exit, said) = hosted.run(&["plan", "--pr", "2", "--comment"]);
    assert_eq!(exit, 0, "{said}");
    let calls = hosted.forge.calls();
    let wrote: Vec<&String> =
        calls.iter().filter(|call| call.contains("/statuses") || call.contains("/comments")).collect();
    assert_eq!(wrote.len(), 3, "{calls:#?}");
    let first = hosted.comments(2);
    assert_eq!(first.len(), 1);
    assert!(first[0].starts_with("<!-- platformctl:plan -->\n**Merging "), "{}", first[0]);
    assert!(first[0].contains("`hosts.box.networks`"), "{}", first[0]);
    // Nothing is written again where nothing changed.
    hosted.run(&["plan", "--pr", "2", "--comment"]);
    assert_eq!(hosted.comments(2), first);
    let merge = hosted.merge(2);
    let (exit, said) = hosted.run(&["apply", "--pr", "2", "--comment"]);
    assert_eq!(exit, 0, "{said}");
    let last = hosted.comments(2);
    assert_eq!(last.len(), 1, "edited in place");
    assert!(last[0].contains("**applied**, seq ") && last[0].contains("/commit/"), "{}", last[0]);
    assert!(hosted.forge.comments(2).iter().any(|comment| comment.body.ends_with("lies")), "others' comments stay");
    let statuses = hosted.forge.statuses();
    let set: Vec<(&str, &str)> = statuses
        .iter()
        .filter(|status| status.commit == merge)
        .map(|status| (status.context.as_str(), status.state.as_str()))
        .collect();
    assert_eq!(set, [("platformctl/apply/more", "success"), ("platformctl/apply/site", "success")]);
}

#[test]
fn nothing_is_said_where_nothing_changes() {
    let hosted = Hosted::new();
    hosted.branch(2);
    hosted.site.repo.write("README", "words\n");
    hosted.open(2);
    let (exit, said) = hosted.run(&["plan", "--pr", "2", "--comment"]);
    assert_eq!(exit, 0, "{said}");
    assert_eq!(hosted.comments(2), Vec::<String>::new());
    assert_eq!(hosted.forge.statuses().pop().unwrap().description, "Merging changes nothing that runs.");
}

#[test]
fn forge_that_takes_no_comment_fails_no_run() {
    let hosted = Hosted::new();
    everything(&hosted);
    hosted.forge.fault("/statuses/", Fault::Scope("write:repository"));
    hosted.forge.fault("/comments", Fault::Status(500));
    let plan = hosted.json(&["plan", "--pr", "2", "--comment"]);
    assert_eq!(plan["exit"], 0, "{plan:#}");
    let warnings = plan["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|one| one.as_str().unwrap().contains("platformctl/plan is not set")), "{plan:#}");
    assert!(warnings.iter().any(|one| one.as_str().unwrap().contains("is not written")), "{plan:#}");
    hosted.forge.heal();
    hosted.merge(2);
    hosted.forge.fault("/statuses/", Fault::Reset);
    hosted.forge.fault("/comments", Fault::Archived);
    let applied = hosted.json(&["apply", "--pr", "2", "--comment"]);
    assert_eq!(applied["exit"], 0, "{applied:#}");
    assert!(applied["warnings"].as_array().unwrap().len() >= 2, "{applied:#}");
}

#[test]
fn long_plan_is_cut_and_says_so() {
    let hosted = Hosted::new();
    hosted.branch(2);
    for n in 0..600 {
        let name = format!("{}{n}", "long".repeat(30));
        hosted.site.repo.write(&format!("modules/site/public/{name}.html"), "x\n");
    }
    hosted.open(2);
    let (exit, said) = hosted.run(&["plan", "--pr", "2", "--comment"]);
    assert_eq!(exit, 0, "{said}");
    let comment = hosted.comments(2).remove(0);
    assert!(comment.len() <= 60_000 && comment.len() > 50_000, "{}", comment.len());
    assert!(comment.contains("left out here: `platformctl plan --pr 2`"), "{}", &comment[comment.len() - 500..]);
    assert!(comment.contains("600 changes in 1 module."), "{}", &comment[comment.len() - 500..]);
}

/// Attack: text of a pull request mentions people, links, or ends the code that it is printed in.
/// Defence: foreign text is printed as code that it cannot end.
#[test]
fn names_in_a_plan_are_code_and_nothing_else() {
    let hosted = Hosted::new();
    hosted.branch(2);
    hosted.site.repo.write("modules/site/public/`@bob` [x](https://evil.test) <img src=x>.html", "x\n");
    hosted.open(2);
    let (_, said) = hosted.run(&["plan", "--pr", "2", "--markdown"]);
    assert!(said.contains("`'@bob' [x](https:"), "{said}");
    for line in said.lines().filter(|line| line.contains("@bob")) {
        assert_eq!(line.matches('`').count() % 2, 0, "{line}");
    }
}
