//! The forge's word: asked in addition to git's proof, counted strictly, and never guessed where there is none.

use std::time::Duration;

use serde_json::Value;

use crate::support::{
    forge::{Elsewhere, Fault, Forge, Lie, Style},
    repo::Repo,
    site::Site,
};

/// A site whose policy wants the forge's word.
struct Hosted {
    site: Site,
    forge: Forge,
    token: String,
}

impl Hosted {
    /// The policy on main with these lines under `approval:`; nothing is proposed yet.
    fn new(approval: &str) -> Self {
        let repo = Repo::new();
        let forge = Forge::start(&repo.path("remote.git"), "ops", "platform");
        let token = forge.user("robot").token;
        for user in ["alice", "bob", "carol", "dora"] {
            forge.user(user);
        }
        let hosted = Self { site: Site::of(repo), forge, token };
        hosted.site.repo.write("platform.yaml", &hosted.policy(approval));
        hosted.site.repo.commit("policy");
        hosted.site.repo.publish();
        hosted
    }

    fn policy(&self, approval: &str) -> String {
        format!(
            "schema: platform/1\napproval:\n  source: forgejo\n  forge: {}\n{approval}hosts:\n  box:\n    transport: local\n    root: {}\n    mutations: enabled\n",
            self.forge.url(),
            self.site.repo.path("root").display()
        )
    }

    /// Pull request `n` of alice, with this page.
    fn open(&self, n: u64, page: &str) -> String {
        let repo = &self.site.repo;
        repo.git(&["fetch", "-q", "origin", "main"]);
        repo.branch(&format!("pr{n}"), "FETCH_HEAD");
        self.site.manifest("");
        repo.write("modules/site/public/index.html", page);
        repo.write(&format!("modules/site/public/{n}.txt"), page);
        self.opened(n)
    }

    /// What is in the clone, as pull request `n` of alice.
    fn opened(&self, n: u64) -> String {
        let repo = &self.site.repo;
        repo.commit(&format!("page for {n}"));
        let head = repo.propose(n).to_string();
        self.forge.open(n, "alice", &format!("Page {n}"));
        head
    }

    /// Pull request `n`, approved by bob and merged by alice.
    fn merged(&self, n: u64, page: &str, style: &Style) -> String {
        self.open(n, page);
        self.forge.approve(n, "bob");
        self.merge(n, style)
    }

    fn merge(&self, n: u64, style: &Style) -> String {
        let merge = self.forge.merge(n, style, "alice");
        self.site.repo.git(&["fetch", "-q", "origin", "main"]);
        self.site.repo.git(&["checkout", "-q", "--detach", "FETCH_HEAD"]);
        merge
    }

    fn with(&self, args: &[&str], vars: &[(&str, &str)]) -> (i32, String, Value) {
        let mut command = self.site.binary(&self.site.repo.work(), 0, args);
        command.env("PLATFORMCTL_FORGEJO_TOKEN", &self.token).envs(vars.iter().copied());
        let output = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains(&self.token), "the token is printed: {said}");
        let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().unwrap(), said, json)
    }

    /// `apply site --pr N --json`: exit and code.
    fn apply(&self, n: u64) -> (i32, Value) {
        let (exit, _, json) = self.with(&["apply", "site", "--pr", &n.to_string(), "--json"], &[]);
        (exit, json)
    }

    fn codes(&self, n: u64) -> String {
        let (exit, json) = self.apply(n);
        let refusals = json["refusals"].as_array().cloned().unwrap_or_default();
        let mut codes: Vec<String> = refusals.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect();
        if codes.is_empty() {
            codes.extend(json["code"].as_str().map(str::to_owned));
        }
        format!("{exit} {}", codes.join(" "))
    }

    fn live(&self) -> String {
        self.site.live()
    }
}

const ONE: &str = "  required_approvals: 1\n";

#[test]
fn every_style_is_approved_with_a_review_of_its_head() {
    let hosted = Hosted::new(ONE);
    let styles = [Style::Merge, Style::Squash, Style::Rebase, Style::RebaseMerge, Style::FastForwardOnly];
    for (n, style) in (1..).zip(&styles) {
        let page = format!("page {n}\n");
        hosted.merged(n, &page, style);
        hosted.forge.requests();
        let (exit, json) = hosted.apply(n);
        assert_eq!(exit, 0, "{json:#}");
        assert_eq!(hosted.live(), page);
        let calls = hosted.forge.calls();
        assert!(calls.len() <= 5, "{calls:?}");
        assert_eq!(json["approved"]["reviews"][0]["user"], "bob");
        assert_eq!(json["approved"]["forge"]["merged_by"], "alice");
        assert_eq!(json["approved"]["weak"], Value::Null, "{json:#}");
        assert!(calls.iter().all(|call| !call.contains("/pulls?")), "{calls:?}");
    }
    // The record names who reviewed.
    let event = hosted.site.repo.git_in("remote.git", &["show", "refs/platform/state:event.json"]);
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(event["approved"]["reviews"][0]["user"], "bob");
    assert_eq!(event["approved"]["forge"]["required_approvals"], 1);
    let (exit, said, _) = hosted.with(&["show", "site"], &[]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("reviewed by  bob"), "{said}");
    assert_eq!(hosted.with(&["verify"], &[]).0, 0);
}

#[test]
fn fast_forward_of_several_commits_is_one_pull_request() {
    let hosted = Hosted::new(ONE);
    hosted.merged(1, "one\n", &Style::Merge);
    assert_eq!(hosted.codes(1), "0 ");
    hosted.open(2, "two\n");
    hosted.site.repo.write("modules/site/public/more.html", "more\n");
    hosted.site.repo.commit("more");
    hosted.site.repo.propose(2);
    hosted.forge.approve(2, "bob");
    hosted.merge(2, &Style::FastForwardOnly);
    hosted.merged(3, "three\n", &Style::Merge);
    let (exit, json) = hosted.apply(3);
    assert_eq!((exit, &json["approved"]["covers"]), (0, &serde_json::json!([2, 3])), "{json:#}");
    assert_eq!(json["approved"]["reviews"][1]["pr"], 2, "{json:#}");
}

/// Attack: the forge, or somebody who can write there, claims a merge or a review that was not so.
/// Defence: the forge's answers must agree with git's proof and with the rules, or nothing is applied.
#[test]
fn claims_of_the_forge_do_not_replace_a_proof_or_a_review() {
    let hosted = Hosted::new(ONE);
    let merge = hosted.merged(1, "one\n", &Style::Merge);
    let other = hosted.site.repo.id(&format!("{merge}^1")).to_string();
    for (lie, codes) in [
        (Lie::NotMerged, "6 head_not_merged"),
        (Lie::BaseRepository(77), "6 forge_disagrees"),
        (Lie::BaseBranch("release".to_owned()), "6 forge_disagrees"),
        (Lie::MergeCommit(other.clone()), "6 forge_disagrees"),
        (Lie::ReviewCommit(other), "6 not_reviewed"),
        (Lie::Reviewer("alice".to_owned()), "6 not_reviewed"),
        (Lie::ReviewedAt(4_000_000_000), "6 not_reviewed"),
        (Lie::ReviewState("COMMENT"), "6 not_reviewed"),
        (Lie::ReviewState("REQUEST_CHANGES"), "6 changes_requested not_reviewed"),
        (Lie::Stale(true), "6 not_reviewed"),
        (Lie::Dismissed(true), "6 not_reviewed"),
        (Lie::Official(false), "6 not_reviewed"),
        (Lie::Number(9), "9 forge_answer"),
    ] {
        hosted.forge.lie(lie.clone());
        assert_eq!(hosted.codes(1), codes, "{lie:?}");
        hosted.forge.heal();
    }
    assert_eq!(hosted.live(), "entity not found");
    // And what is merged by its word alone is not.
    hosted.open(2, "two\n");
    hosted.forge.approve(2, "bob");
    hosted.forge.lie(Lie::Merged(merge));
    assert_eq!(hosted.codes(2), "6 head_not_merged");
    hosted.forge.heal();
    hosted.site.repo.git(&["checkout", "-q", "--detach", "origin/main"]);
    assert_eq!(hosted.codes(1), "0 ");
}

/// Attack: after the merge somebody pushes to the branch of the pull request, and the API's `head.sha` follows it.
/// Defence: the head is that of `refs/pull/N/head`, which the server froze; the API's is never used.
#[test]
fn moved_branch_of_a_merged_pull_request_changes_nothing() {
    let hosted = Hosted::new(ONE);
    hosted.merged(1, "one\n", &Style::Squash);
    hosted.site.repo.branch("evil", "main");
    hosted.site.repo.write("modules/site/public/index.html", "evil\n");
    let evil = hosted.site.repo.commit("evil").to_string();
    hosted.site.repo.git(&["push", "-q", "origin", "HEAD:refs/heads/evil"]);
    hosted.forge.push(1, &evil);
    let (exit, said, _) = hosted.with(&["apply", "site", "--approved", &evil, "--json"], &[]);
    assert_eq!(exit, 6, "{said}");
    hosted.site.repo.git(&["checkout", "-q", "--detach", "origin/main"]);
    assert_eq!(hosted.codes(1), "0 ");
    assert_eq!(hosted.live(), "one\n");
}

#[test]
fn not_reviewed_names_who_and_why_and_can_be_cured() {
    let hosted = Hosted::new(ONE);
    hosted.open(1, "one\n");
    hosted.forge.approve(1, "bob");
    hosted.open(1, "one, and more\n");
    hosted.forge.push(1, &hosted.site.repo.id("HEAD").to_string());
    let merge = hosted.merge(1, &Style::Merge);
    hosted.forge.approve(1, "carol");
    let (exit, said, _) = hosted.with(&["apply", "site", "--pr", "1"], &[]);
    assert_eq!(exit, 6, "{said}");
    for words in ["bob's approval does not count", "carol's approval does not count", "after", &merge] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // The fix as it is printed: a reviewed pull request that adopts it.
    hosted.site.repo.git(&["fetch", "-q", "origin", "main"]);
    hosted.site.repo.branch("pr2", "FETCH_HEAD");
    hosted.site.repo.write("platform.yaml", &hosted.policy(&format!("{ONE}  adopt: [{merge}]\n")));
    hosted.opened(2);
    hosted.forge.approve(2, "bob");
    hosted.merge(2, &Style::Merge);
    let (exit, json) = hosted.apply(1);
    assert_eq!(exit, 0, "{json:#}");
    assert_eq!(json["approved"]["adopted"][0], merge, "{json:#}");
}

#[test]
fn covered_pull_requests_need_their_reviews_too() {
    let hosted = Hosted::new(ONE);
    hosted.merged(1, "one\n", &Style::Merge);
    assert_eq!(hosted.codes(1), "0 ");
    hosted.merged(2, "two\n", &Style::Squash);
    hosted.open(3, "three\n");
    hosted.merge(3, &Style::Merge);
    hosted.merged(4, "four\n", &Style::Merge);
    let (exit, json) = hosted.apply(4);
    assert_eq!((exit, json["code"].as_str()), (6, Some("not_reviewed")), "{json:#}");
    assert!(json["refusals"][0]["fact"].as_str().unwrap().contains("PR #3"), "{json:#}");
    assert_eq!(hosted.live(), "one\n");
    // What is asked grows by two with each.
    hosted.forge.requests();
    hosted.forge.lie(Lie::Reviewer("bob".to_owned()));
    hosted.apply(4);
    let calls = hosted.forge.calls();
    assert!(calls.len() <= 3 + 2 * 2, "{calls:#?}");
}

#[test]
fn policy_changes_need_reviews_by_the_rules_before_them() {
    let hosted = Hosted::new(ONE);
    hosted.merged(1, "one\n", &Style::Merge);
    assert_eq!(hosted.codes(1), "0 ");
    // A pull request that nobody reviewed gives up reviews.
    hosted.site.repo.git(&["fetch", "-q", "origin", "main"]);
    hosted.site.repo.branch("pr2", "FETCH_HEAD");
    hosted.site.repo.write("platform.yaml", &hosted.policy("  required_approvals: 0\n"));
    hosted.site.repo.write("modules/site/public/index.html", "two\n");
    hosted.opened(2);
    hosted.merge(2, &Style::Merge);
    let codes = hosted.codes(2);
    assert!(codes.starts_with("6 ") && codes.contains("not_reviewed"), "{codes}");
    assert_eq!(hosted.live(), "one\n");
    // Reading goes on, with the rules that are in force.
    let (exit, said, _) = hosted.with(&["pending"], &[]);
    assert_eq!(exit, 0, "{said}");
    // A forge that is silent is no word about the review.
    hosted.forge.fault("/pulls/2", Fault::Status(500));
    assert_eq!(hosted.codes(2), "9 forge_unreachable");
    let (exit, said, _) = hosted.with(&["pending"], &[]);
    assert_eq!(exit, 0, "{said}");
    hosted.forge.heal();
    // Reviewed after all, by another pull request that takes it back.
    hosted.site.repo.git(&["fetch", "-q", "origin", "main"]);
    hosted.site.repo.branch("pr3", "FETCH_HEAD");
    hosted.site.repo.write("platform.yaml", &hosted.policy(ONE));
    hosted.site.repo.write("modules/site/public/index.html", "three\n");
    hosted.opened(3);
    hosted.forge.approve(3, "bob");
    hosted.merge(3, &Style::Merge);
    assert_eq!(hosted.codes(3), "6 not_reviewed");
}

/// Attack: a writer sets the required status himself.
/// Defence: a status counts only if an account that the policy names set it.
#[test]
fn required_statuses_count_only_from_named_accounts() {
    let hosted = Hosted::new("  required_statuses: [{context: ci, by: [ci-bot]}]\n");
    let head = hosted.open(1, "one\n");
    hosted.merge(1, &Style::Merge);
    assert_eq!(hosted.codes(1), "6 status_missing");
    hosted.forge.status(&head, "ci", "success", "mallory");
    assert_eq!(hosted.codes(1), "6 status_missing");
    hosted.forge.status(&head, "ci", "failure", "ci-bot");
    assert_eq!(hosted.codes(1), "6 status_missing");
    hosted.forge.status(&head, "other", "success", "ci-bot");
    assert_eq!(hosted.codes(1), "6 status_missing");
    hosted.forge.status(&head, "ci", "success", "ci-bot");
    let (exit, json) = hosted.apply(1);
    assert_eq!((exit, &json["approved"]["forge"]["statuses"][0]), (0, &"ci".into()), "{json:#}");
}

/// Attack: a writer sets statuses of so many names that the required one is not among those that the API sends first.
/// Defence: all pages of statuses are asked for.
#[test]
fn a_required_status_on_a_later_page_counts() {
    let hosted = Hosted::new("  required_statuses: [{context: ci, by: [ci-bot]}]\n");
    let head = hosted.open(1, "one\n");
    hosted.merge(1, &Style::Merge);
    for n in 0..60 {
        hosted.forge.status(&head, &format!("noise/{n}"), "success", "mallory");
    }
    hosted.forge.status(&head, "ci", "success", "ci-bot");
    let (exit, json) = hosted.apply(1);
    assert_eq!((exit, &json["approved"]["forge"]["statuses"][0]), (0, &"ci".into()), "{json:#}");
}

/// Attack: the API repeats the token, redirects to another server, sends a page, or sends without end.
/// Defence: redirects are not followed, answers are bounded and masked, and nothing is applied without a word.
#[test]
fn each_failure_of_the_api_has_its_own_code_and_changes_nothing() {
    let hosted = Hosted::new(ONE);
    hosted.merged(1, "one\n", &Style::Merge);
    let elsewhere = Elsewhere::start();
    let part = "/repos/ops/platform";
    for (name, fault, code) in [
        ("rejected", Fault::Repeats(401), "credentials_refused"),
        ("repeated otherwise", Fault::Repeats(403), "token_scope"),
        ("scope", Fault::Scope("read:repository"), "token_scope"),
        ("invisible", Fault::NotFound, "forge_not_found"),
        ("elsewhere", Fault::Elsewhere(elsewhere.base()), "forge_moved"),
        ("archived", Fault::Archived, "forge_archived"),
        ("limited", Fault::TooMany(3600), "forge_unreachable"),
        ("maintenance", Fault::Unavailable(3600), "forge_unreachable"),
        ("broken", Fault::Status(500), "forge_unreachable"),
        ("gateway", Fault::BadGateway, "forge_unreachable"),
        ("page", Fault::Html, "forge_answer"),
        ("truncated", Fault::Truncated, "forge_unreachable"),
        ("reset", Fault::Reset, "forge_unreachable"),
        ("huge", Fault::Huge(20 << 20), "forge_answer"),
        ("another type", Fault::ContentType("text/plain"), "forge_answer"),
        ("nested", Fault::Nested(100_000), "forge_answer"),
        ("not UTF-8", Fault::NotUtf8, "forge_answer"),
        ("teapot", Fault::Says(418, Value::Null), "forge_answer"),
        ("null", Fault::Says(200, Value::Null), "forge_answer"),
        ("array", Fault::Says(200, serde_json::json!([])), "forge_answer"),
    ] {
        hosted.forge.fault(part, fault);
        assert_eq!(hosted.codes(1), format!("9 {code}"), "{name}");
        hosted.forge.heal();
    }
    assert!(elsewhere.requests().is_empty(), "nothing follows a redirect");
    assert_eq!(hosted.live(), "entity not found");
    // A server that is busy for a moment is asked again.
    hosted.forge.fault_times(part, Fault::TooMany(1), 1);
    assert_eq!(hosted.codes(1), "0 ");
    hosted.forge.rename("renamed");
    assert_eq!(hosted.codes(1), "9 forge_moved");
}

#[test]
fn silent_forge_is_given_up_in_time() {
    let hosted = Hosted::new(ONE);
    hosted.merged(1, "one\n", &Style::Merge);
    for fault in [Fault::Hang, Fault::Drip(Duration::from_millis(400))] {
        hosted.forge.fault("/repos/ops/platform", fault);
        let args = ["apply", "site", "--pr", "1", "--json"];
        let (exit, said, json) = hosted.with(&args, &[("PLATFORMCTL_FORGEJO_TIMEOUT_S", "1")]);
        assert_eq!((exit, json["code"].as_str()), (9, Some("forge_unreachable")), "{said}");
        hosted.forge.heal();
    }
}

#[test]
fn missing_and_wrong_tokens_are_told_apart() {
    let hosted = Hosted::new(ONE);
    hosted.merged(1, "one\n", &Style::Merge);
    let with = |token: &str| {
        let (exit, said, json) =
            hosted.with(&["apply", "site", "--pr", "1", "--json"], &[("PLATFORMCTL_FORGEJO_TOKEN", token)]);
        assert!(token.is_empty() || !said.contains(token), "{said}");
        format!("{exit} {}", json["code"].as_str().unwrap_or_default())
    };
    assert_eq!(with("0123456789abcdef0123456789abcdef01234567"), "9 credentials_refused");
    hosted.forge.private();
    assert_eq!(with(""), "9 forge_not_found");
    let stranger = hosted.forge.account("stranger", crate::support::forge::Role::Reader).token;
    assert_eq!(with(&stranger), "0 ");
}

#[test]
fn real_answers_of_a_server_are_counted_as_it_meant_them() {
    use crate::support::forge::captured;
    let hosted = Hosted::new(ONE);
    let head = hosted.open(1, "one\n");
    hosted.forge.approve(1, "bob");
    hosted.merge(1, &Style::Merge);
    for (name, codes) in [
        ("reviews-merge", "0 "),
        ("reviews-stale", "6 not_reviewed"),
        ("reviews-same-diff-other-sha", "6 not_reviewed"),
        ("reviews-rejected", "6 changes_requested not_reviewed"),
        ("reviews-dismissed", "6 not_reviewed"),
        ("reviews-requested", "6 not_reviewed"),
    ] {
        let mut reviews = captured()[name]["body"].clone();
        if name == "reviews-merge" {
            reviews[0]["commit_id"] = head.as_str().into();
        }
        for review in reviews.as_array_mut().unwrap() {
            review["submitted_at"] = "2020-01-01T01:00:00+01:00".into();
        }
        hosted.forge.fault("/pulls/1/reviews", Fault::Says(200, reviews));
        let (exit, _, json) = hosted.with(&["plan", "site", "--pr", "1", "--json"], &[]);
        let refusals = json["refusals"].as_array().cloned().unwrap_or_default();
        let found: Vec<&str> = refusals.iter().filter_map(|one| one["code"].as_str()).collect();
        assert_eq!(format!("{exit} {}", found.join(" ")), codes, "{name}: {json:#}");
        hosted.forge.heal();
    }
}

#[test]
fn approval_asks_little_of_a_large_forge() {
    let hosted = Hosted::new("  required_approvals: 20\n");
    let first = hosted.site.repo.id("main");
    let refs: String = (100..10_100).map(|n| format!("create refs/pull/{n}/head {first}\n")).collect();
    hosted.site.repo.write("refs", &refs);
    let file = std::fs::File::open(hosted.site.repo.work().join("refs")).unwrap();
    let git = std::process::Command::new("git")
        .args(["-c", "safe.bareRepository=all", "update-ref", "--stdin"])
        .current_dir(hosted.site.repo.path("remote.git"))
        .stdin(file)
        .status()
        .unwrap();
    assert!(git.success());
    std::fs::remove_file(hosted.site.repo.work().join("refs")).unwrap();
    // As a server keeps them: a file for each would make every git slow.
    hosted.site.repo.git_in("remote.git", &["pack-refs", "--all"]);
    hosted.open(1, "one\n");
    for n in 0..20 {
        let reviewer = hosted.forge.user(&format!("reviewer{n}")).login;
        hosted.forge.approve(1, &reviewer);
    }
    // A rebase of several commits leaves no trace but author and message: found by the forge's index.
    hosted.merge(1, &Style::Rebase);
    hosted.forge.requests();
    let (exit, json) = hosted.apply(1);
    assert_eq!(exit, 0, "{json:#}");
    assert_eq!(json["approved"]["reviews"].as_array().unwrap().len(), 20);
    let calls = hosted.forge.calls();
    assert!(calls.len() <= 5, "{calls:#?}");
}

fn looked(hosted: &Hosted, token: &str) -> String {
    let mut command = hosted.site.binary(&hosted.site.repo.work(), 0, &["doctor", "--forge"]);
    let output = command.env("PLATFORMCTL_FORGEJO_TOKEN", token).output().unwrap();
    let said = hosted.site.told(&output);
    said.replace(hosted.forge.base().trim_start_matches("http://"), "forge.test:9999999")
}

#[test]
fn doctor_names_the_settings_of_the_forge() {
    let hosted = Hosted::new(ONE);
    hosted.forge.protect(serde_json::json!({"apply_to_admins": false, "enable_push": true}));
    let before = hosted.forge.statuses().len();
    snapbox::assert_data_eq!(
        looked(&hosted, &hosted.token),
        snapbox::str![[r#"
exit 0
forge · http://forge.test:9999999/ops/platform · good, 3 remarks
✓ token        from PLATFORMCTL_FORGEJO_TOKEN
✓ version      Forgejo 15.0.0+gitea-1.22.0; refs/pull cannot
               be pushed
✓ repository   ops/platform, number 6
✓ account      robot
✓ comments     can be written
✓ statuses     can be written
✓ base branch  main is protected; required approvals: 1
! direct push  this token's account can push to main without
               a pull request
  → Settings → Branches → main → Disable push
! branch rule  only an administrator's token can read
               whether it applies to administrators and what
               it does with stale approvals
  → run this once with a token of the repository's owner
! actions      Actions are on: a workflow of any branch can
               read the repository's secrets and push the
               record
  → keep secrets that reach hosts in a repository that only
  operators can push to
next: platformctl pending

"#]]
    );
    let reader = hosted.forge.token("robot", &[crate::support::forge::Scope::ReadRepository]);
    snapbox::assert_data_eq!(
        looked(&hosted, &reader),
        snapbox::str![[r#"
exit 0
forge · http://forge.test:9999999/ops/platform · good, 6 remarks
✓ token        from PLATFORMCTL_FORGEJO_TOKEN
✓ version      Forgejo 15.0.0+gitea-1.22.0; refs/pull cannot
               be pushed
✓ repository   ops/platform, number 6
! account      the token does not tell whose it is, so a
               comment of ours cannot be found again and
               edited
  → give the token the scope read:user if plans are to be
  kept in one comment
! comments     cannot be written with this token: the forge
               forge.test:9999999 accepts the token, but it may
               not do this: token does not have at least one
               of required scope(s): [write:issue]
  → give the token the scope write:issue where plans or
  results are to be shown on the forge
! statuses     cannot be written with this token: the forge
               forge.test:9999999 accepts the token, but it may
               not do this: token does not have at least one
               of required scope(s): [write:repository]
  → give the token the scope write:repository where plans or
  results are to be shown on the forge
✓ base branch  main is protected; required approvals: 1
! direct push  this token's account can push to main without
               a pull request
  → Settings → Branches → main → Disable push
! branch rule  only an administrator's token can read
               whether it applies to administrators and what
               it does with stale approvals
  → run this once with a token of the repository's owner
! actions      Actions are on: a workflow of any branch can
               read the repository's secrets and push the
               record
  → keep secrets that reach hosts in a repository that only
  operators can push to
next: platformctl pending

"#]]
    );
    let owner = hosted.forge.owner().token;
    snapbox::assert_data_eq!(
        looked(&hosted, &owner),
        snapbox::str![[r#"
exit 0
forge · http://forge.test:9999999/ops/platform · good, 5 remarks
✓ token        from PLATFORMCTL_FORGEJO_TOKEN
✓ version      Forgejo 15.0.0+gitea-1.22.0; refs/pull cannot
               be pushed
✓ repository   ops/platform, number 6
✓ account      ops
✓ comments     can be written
✓ statuses     can be written
✓ base branch  main is protected; required approvals: 1
! direct push  this token's account can push to main without
               a pull request
  → Settings → Branches → main → Disable push
! branch rule  administrators can merge and push past the
               rule
  → Settings → Branches → main → Enforce this rule for
  repository admins
! branch rule  the rule allows some accounts or keys to push
               directly
  → Settings → Branches → main → Disable push
! branch rule  the forge merges with stale approvals; such a
               merge is refused here afterwards
  → Settings → Branches → main → Ignore stale approvals
! actions      Actions are on: a workflow of any branch can
               read the repository's secrets and push the
               record
  → keep secrets that reach hosts in a repository that only
  operators can push to
next: platformctl pending

"#]]
    );
    hosted.forge.protect(serde_json::json!({"ignore_stale_approvals": true}));
    snapbox::assert_data_eq!(
        looked(&hosted, &owner),
        snapbox::str![[r#"
exit 0
forge · http://forge.test:9999999/ops/platform · good, 1 remark
✓ token        from PLATFORMCTL_FORGEJO_TOKEN
✓ version      Forgejo 15.0.0+gitea-1.22.0; refs/pull cannot
               be pushed
✓ repository   ops/platform, number 6
✓ account      ops
✓ comments     can be written
✓ statuses     can be written
✓ base branch  main is protected; required approvals: 1
✓ branch rule  applies to administrators, allows no direct
               push and no stale approvals
! actions      Actions are on: a workflow of any branch can
               read the repository's secrets and push the
               record
  → keep secrets that reach hosts in a repository that only
  operators can push to
next: platformctl pending

"#]]
    );
    assert_eq!(hosted.forge.statuses().len(), before, "nothing is written");
    hosted.forge.fault("", Fault::Reset);
    snapbox::assert_data_eq!(
        looked(&hosted, &owner),
        snapbox::str![[r#"
exit 9
forge · http://forge.test:9999999/ops/platform · 2 things to cure
✓ token       from PLATFORMCTL_FORGEJO_TOKEN
✗ version     the forge forge.test:9999999 did not answer: io:
              Connection reset by peer (os error 104)
  → see that the server is up and reachable from here (a
  proxy is taken from https_proxy and no_proxy), then try
  again
✗ repository  the forge forge.test:9999999 did not answer: io:
              Connection reset by peer (os error 104)
  → see that the server is up and reachable from here (a
  proxy is taken from https_proxy and no_proxy), then try
  again
fix: fix each ✗, then run platformctl doctor

"#]]
    );
}

/// A key of the server, and its public half as the policy has it.
fn key(hosted: &Repo, name: &str) -> (std::path::PathBuf, String) {
    let file = hosted.path(name);
    let made =
        std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file).status();
    assert!(made.unwrap().success());
    let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
    (file, public.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

/// Attack: the forge is not asked, and a merge without review, or signed by somebody else, is to be applied.
/// Defence: only a signature of the pinned server key on a merge counts as the review, and only where the policy says
/// that the branch's rule refuses stale approvals.
#[test]
fn signature_of_the_server_counts_offline_only_where_the_policy_says_so() {
    let hosted = Hosted::new(ONE);
    let (file, public) = key(&hosted.site.repo, "server");
    let (other, _) = key(&hosted.site.repo, "other");
    let strict = format!("{ONE}  server_key: {public}\n  server_signature: strict\n");
    let policy = |approval: &str| {
        hosted.site.repo.git(&["checkout", "-q", "-B", "main", "origin/main"]);
        hosted.site.repo.write("platform.yaml", &hosted.policy(approval));
        hosted.site.repo.commit("policy");
        hosted.site.repo.publish();
    };
    policy(&strict);
    hosted.forge.protect(serde_json::json!({"ignore_stale_approvals": true}));
    hosted.forge.sign_merges(&file);
    let offline = |n: u64| {
        hosted.forge.requests();
        let (exit, said, json) = hosted.with(&["plan", "site", "--pr", &n.to_string(), "--offline", "--json"], &[]);
        assert_eq!(hosted.forge.calls(), Vec::<String>::new());
        let codes = json["refusals"].as_array().unwrap_or_else(|| panic!("{said}"));
        format!("{exit} {}", codes.iter().filter_map(|one| one["code"].as_str()).collect::<Vec<_>>().join(" "))
    };
    for (n, style) in (1..).zip([Style::Merge, Style::Squash, Style::RebaseMerge]) {
        hosted.merged(n, &format!("{n}\n"), &style);
        assert_eq!(offline(n), "0 ", "{style:?}");
    }
    // With the forge's word it is recorded beside the reviews.
    let (exit, json) = hosted.apply(3);
    assert_eq!((exit, &json["approved"]["server_signed"]), (0, &true.into()), "{json:#}");
    for (n, style) in (4..).zip([Style::Rebase, Style::FastForwardOnly]) {
        hosted.merged(n, &format!("{n}\n"), &style);
        assert!(offline(n).starts_with("6 "), "{style:?}: {}", offline(n));
    }
    assert_eq!(hosted.codes(5), "0 ");
    // Nobody approved: the server does not sign.
    hosted.open(6, "six\n");
    hosted.merge(6, &Style::Merge);
    assert_eq!(offline(6), "6 not_reviewed");
    // Somebody else signs.
    hosted.forge.sign_merges(&other);
    hosted.merged(7, "seven\n", &Style::Merge);
    assert_eq!(offline(7), "6 not_reviewed");
}

#[test]
fn signature_is_a_record_unless_the_policy_is_strict() {
    let hosted = Hosted::new(ONE);
    let (file, public) = key(&hosted.site.repo, "server");
    hosted.site.repo.write("platform.yaml", &hosted.policy(&format!("{ONE}  server_key: {public}\n")));
    hosted.site.repo.commit("policy");
    hosted.site.repo.publish();
    hosted.forge.protect(serde_json::json!({}));
    hosted.forge.sign_merges(&file);
    hosted.merged(1, "one\n", &Style::Merge);
    let (exit, said, _) = hosted.with(&["apply", "site", "--pr", "1", "--offline"], &[]);
    assert_eq!(exit, 6, "{said}");
    assert!(said.contains("server_signature is not `strict`"), "{said}");
    let (exit, json) = hosted.apply(1);
    assert_eq!((exit, &json["approved"]["server_signed"]), (0, &true.into()), "{json:#}");
}

#[test]
fn gitea_answers_the_same_questions() {
    let hosted = Hosted::new(ONE);
    hosted.forge.version("1.24.2");
    hosted.merged(1, "one\n", &Style::RebaseMerge);
    assert_eq!(hosted.codes(1), "0 ");
    assert!(looked(&hosted, &hosted.token).contains("Gitea 1.24.2"), "{}", looked(&hosted, &hosted.token));
}

#[test]
fn doctor_tries_a_rewrite_only_when_asked_and_leaves_no_ref() {
    let hosted = Hosted::new(ONE);
    let refs =
        || hosted.site.repo.git_in("remote.git", &["for-each-ref", "--format=%(refname)", "refs/platformctl-probe"]);
    let tried = |args: &[&str]| hosted.with(args, &[]).1;
    assert!(!tried(&["doctor", "--forge"]).contains("rewrite"));
    assert!(tried(&["doctor", "--forge", "--try-rewrite"]).contains("every writer can rewrite or remove the record"));
    assert_eq!(refs(), "");
    hosted.site.repo.git_in("remote.git", &["config", "receive.denyNonFastForwards", "true"]);
    // git's own setting protects branches alone: the record can be rewritten all the same.
    assert!(tried(&["doctor", "--forge", "--try-rewrite"]).contains("every writer can rewrite"));
    let hook = hosted.site.repo.path("remote.git/hooks/update");
    std::fs::write(&hook, "#!/bin/sh\ntest \"$2\" = 0000000000000000000000000000000000000000 || test \"$3\" = 0000000000000000000000000000000000000000\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert!(tried(&["doctor", "--forge", "--try-rewrite"]).contains("the server refuses to rewrite"));
    assert_eq!(refs(), "");
}
