//! The Forgejo of the tests answers as a real one: held to the types that Forgejo publishes and to captured answers.

use std::{collections::BTreeSet, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    forge::{ACTIONS, Auth, Elsewhere, Fault, Forge, Lie, Role, Scope, Style, captured, time},
    repo::Repo,
};

/// What Forgejo 15 publishes of the paths and types that matter here.
fn published() -> Value {
    serde_json::from_str(include_str!("forgejo/swagger.json")).unwrap()
}

/// The published type as a schema that forbids what is not published. Forgejo is written in Go and publishes nothing
/// about null: an object, a list and a time may be null, and so may the one text that is a pointer there.
fn strict(value: &Value, name: &str) -> Value {
    let Value::Object(members) = value else {
        let Value::Array(items) = value else { return value.clone() };
        return items.iter().map(|item| strict(item, "")).collect();
    };
    let mut out: serde_json::Map<_, _> =
        members.iter().map(|(name, member)| (name.clone(), strict(member, name))).collect();
    if members.get("properties").is_some_and(Value::is_object) && members.get("type") == Some(&json!("object")) {
        out.insert("additionalProperties".to_owned(), false.into());
    }
    let nullable = members.contains_key("$ref")
        || matches!(members.get("type").and_then(Value::as_str), Some("object" | "array"))
        || members.get("format") == Some(&json!("date-time"))
        || name == "merge_commit_sha";
    let is_type = members.contains_key("$ref") || members.get("type").is_some_and(Value::is_string);
    if nullable && is_type { json!({"anyOf": [{"type": "null"}, out]}) } else { out.into() }
}

/// What is wrong with an answer by the published types; None when they say nothing about it.
fn wrong(method: &str, path: &str, status: u64, body: &Value) -> Option<Vec<String>> {
    let published = published();
    let path: Vec<&str> = path.split('?').next()?.trim_matches('/').split('/').collect();
    let fits = |pattern: &str| {
        let pattern: Vec<&str> = pattern.trim_matches('/').split('/').collect();
        let long = pattern.last() == Some(&"{ref}") && path.len() >= pattern.len();
        (long || path.len() == pattern.len())
            && pattern.iter().zip(&path).all(|(pattern, part)| pattern.starts_with('{') || pattern == part)
    };
    let mut paths: Vec<&String> = published["paths"].as_object()?.keys().filter(|pattern| fits(pattern)).collect();
    paths.sort_by_key(|pattern| pattern.matches('{').count());
    let schema = &published["paths"][*paths.first()?][method.to_lowercase()][status.to_string()];
    if !schema.is_object() {
        return None;
    }
    let mut schema = strict(schema, "");
    schema["definitions"] =
        published["definitions"].as_object()?.iter().map(|(name, value)| (name.clone(), strict(value, name))).collect();
    // Forgejo gives it and does not publish it.
    let user = schema["definitions"]["User"]["anyOf"][1]["properties"].as_object_mut()?;
    user.insert("username".to_owned(), json!({"type": "string"}));
    let validator = jsonschema::options().with_draft(jsonschema::Draft::Draft4).build(&schema).unwrap();
    let errors = validator.iter_errors(body).map(|error| format!("{} at {}", error, error.instance_path()));
    Some(errors.map(|error| error.chars().take(300).collect()).collect())
}

/// The names of all members, with those of members.
fn shape(value: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                found.insert(format!("{prefix}.{name}"));
                shape(member, &format!("{prefix}.{name}"), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| shape(item, prefix, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn shape_of(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    shape(value, "", &mut found);
    found
}

/// A repository with pull request 2, opened by ola and approved by kim.
fn reviewed() -> (Repo, Forge) {
    let repo = Repo::new();
    repo.pull(2, "page", "two\n");
    let forge = Forge::start(&repo.path("remote.git"), "ops", "platform");
    forge.user("ola");
    forge.user("kim");
    forge.open(2, "ola", "Change the page");
    forge.approve(2, "kim");
    (repo, forge)
}

#[test]
fn forge_captured_answers_have_the_published_types() {
    let mut checked = 0;
    for (name, answer) in captured() {
        let request = answer["request"].as_str().unwrap();
        let Some((method, path)) = request.split_once(' ') else { continue };
        let Some(wrong) = wrong(method, path, answer["status"].as_u64().unwrap(), &answer["body"]) else { continue };
        assert_eq!(wrong, Vec::<String>::new(), "{name}");
        checked += 1;
    }
    assert!(checked > 50, "only {checked} answers were compared with their types");
    let mut pull = captured()["pr-open"]["body"].clone();
    pull["invented"] = true.into();
    pull["number"] = "2".into();
    assert_eq!(wrong("GET", "/repos/o/r/pulls/2", 200, &pull).unwrap().len(), 1, "a wrong answer is found");
}

#[test]
fn forge_answers_have_the_published_types_and_every_captured_field() {
    let (repo, forge) = reviewed();
    let (ola, owner) = (forge.user("ola").token, forge.owner().token);
    forge.protect(json!({}));
    let merged = forge.merge(2, &Style::Merge, "ola");
    forge.status(&merged, "ci/test", "success", "kim");
    let comment = forge.comment(2, "ola", "hello");
    repo.git(&["push", "-q", "origin", "HEAD:refs/platform/state"]);
    repo.pull(3, "page", "three\n");
    forge.open(3, "kim", "More");
    let platform = "/repos/ops/platform";
    let body = json!({"body": "words"});
    let status = json!({"state": "pending", "context": "platformctl/plan", "description": "", "target_url": ""});
    let cases = [
        ("GET", "/version".to_owned(), None, None, "version"),
        ("GET", "/settings/api".to_owned(), None, None, "settings-api"),
        ("GET", "/user".to_owned(), Some(&ola), None, ""),
        ("GET", platform.to_owned(), Some(&ola), None, ""),
        ("GET", format!("{platform}/pulls/2"), Some(&ola), None, "pr-merged-merge"),
        ("GET", format!("{platform}/pulls/3"), None, None, "pr-open"),
        ("GET", format!("{platform}/pulls/9"), None, None, "error-no-such-pr"),
        ("GET", format!("{platform}/pulls/2/reviews"), Some(&ola), None, "reviews-merge"),
        ("GET", format!("{platform}/commits/{merged}/pull"), None, None, "commit-pull-merge-M"),
        ("GET", format!("{platform}/commits/{}/pull", repo.id("pr2")), None, None, "commit-pull-merge-H"),
        ("GET", format!("{platform}/commits/{merged}/status"), None, None, "status-combined"),
        ("GET", format!("{platform}/commits/{}/status", repo.id("pr2")), None, None, "status-empty"),
        ("GET", format!("{platform}/git/refs/pull"), None, None, "git-refs-pull"),
        ("GET", format!("{platform}/git/refs/platform/state"), None, None, "git-refs-state"),
        ("GET", format!("{platform}/branches/main"), None, None, "branch-main"),
        ("GET", format!("{platform}/branch_protections"), Some(&owner), None, "branch-protections-owner"),
        ("GET", format!("{platform}/branch_protections"), Some(&ola), None, "branch-protections-writer"),
        ("GET", format!("{platform}/collaborators/kim/permission"), Some(&owner), None, ""),
        ("GET", format!("{platform}/issues/2/comments"), None, None, "comments-list"),
        ("GET", format!("{platform}/issues/comments/{comment}"), None, None, "comment-edit"),
        ("POST", format!("{platform}/issues/2/comments"), Some(&ola), Some(&body), "comment-create"),
        ("PATCH", format!("{platform}/issues/comments/{comment}"), Some(&ola), Some(&body), "comment-edit"),
        ("POST", format!("{platform}/statuses/{merged}"), Some(&ola), Some(&status), "status-create"),
    ];
    let mut untyped = vec![];
    for (method, path, token, body, like) in cases {
        let reply = forge.send(method, &path, token.map(String::as_str), body).unwrap();
        match wrong(method, &path, reply.status.into(), &reply.json()) {
            Some(wrong) => assert_eq!(wrong, Vec::<String>::new(), "{method} {path}"),
            None => untyped.push(format!("{method} {} {}", reply.status, path.rsplit('/').next().unwrap())),
        }
        if let Some(real) = captured().get(like) {
            assert_eq!(real["status"], reply.status, "{method} {path}");
            let (ours, theirs) = (shape_of(&reply.json()), shape_of(&real["body"]));
            let differ: Vec<_> = ours.symmetric_difference(&theirs).collect();
            assert_eq!(differ, Vec::<&String>::new(), "{method} {path}");
            assert_eq!(reply.header("content-type"), real["headers"]["content-type"].as_str(), "{path}");
            assert_eq!(reply.header("x-total-count").is_some(), real["headers"]["x-total-count"].is_string(), "{path}");
        }
    }
    assert_eq!(untyped, ["GET 403 branch_protections"], "Forgejo publishes nothing about these");
}

#[test]
fn forge_merges_are_git_merges_and_the_head_in_the_api_follows_the_branch() {
    let styles = [Style::Merge, Style::Squash, Style::Rebase, Style::RebaseMerge, Style::FastForwardOnly];
    for style in styles {
        let (repo, forge) = reviewed();
        let head = repo.id("pr2").to_string();
        if !matches!(style, Style::FastForwardOnly) {
            repo.git(&["checkout", "-q", "main"]);
            repo.write("other", "x\n");
            repo.commit("meanwhile");
            repo.publish();
        }
        let merged = forge.merge(2, &style, "kim");
        repo.git(&["fetch", "-q", "origin"]);
        assert_eq!(repo.id("origin/main").to_string(), merged, "{style:?}");
        assert_eq!(repo.git(&["show", "origin/main:page"]), "two", "{style:?}");
        let parents = repo.git(&["log", "-1", "--format=%P", "origin/main"]).split(' ').count();
        assert_eq!(parents, if matches!(style, Style::Merge | Style::RebaseMerge) { 2 } else { 1 }, "{style:?}");
        assert_eq!(merged == head, matches!(style, Style::FastForwardOnly));
        let pull = forge.get("/repos/ops/platform/pulls/2", None).json();
        let said = [&pull["merged"], &pull["merge_commit_sha"], &pull["merged_by"]["login"], &pull["head"]["sha"]];
        assert_eq!(said, [&json!(true), &json!(merged), &json!("kim"), &json!(head)], "{style:?}");
        forge.push(2, &repo.id("main").to_string());
        let pull = forge.get("/repos/ops/platform/pulls/2", None).json();
        assert_eq!(pull["head"]["sha"], repo.id("main").to_string(), "the API names what the branch is now");
        assert_eq!(repo.git_in("remote.git", &["rev-parse", "refs/pull/2/head"]), head, "the ref stays");
    }
    let (repo, forge) = reviewed();
    assert_eq!(forge.merge(2, &Style::Rebase, "kim"), repo.id("pr2").to_string(), "an up-to-date branch is a plain ff");
    let (repo, forge) = reviewed();
    let old = repo.id("main").to_string();
    assert_eq!(forge.merge(2, &Style::Manual(old.clone()), "ola"), old, "the server believes the person");
}

#[test]
fn forge_reviews_age_as_on_a_server() {
    let (repo, forge) = reviewed();
    let reviews = || -> Vec<String> {
        let reviews = forge.get("/repos/ops/platform/pulls/2/reviews", None).json();
        let line = |r: &Value| {
            let names = ["stale", "official", "dismissed"];
            let marks: Vec<_> = names.into_iter().filter(|name| r[name] == true).collect();
            format!("{} {} {}", r["user"]["login"].as_str().unwrap(), r["state"].as_str().unwrap(), marks.join(" "))
        };
        reviews.as_array().unwrap().iter().map(line).collect()
    };
    assert_eq!(reviews(), ["kim APPROVED official"]);
    repo.git(&["checkout", "-q", "pr2"]);
    repo.git(&["commit", "-q", "--amend", "-m", "the same change"]);
    repo.propose(2);
    assert_eq!(reviews(), ["kim APPROVED official"], "the same change under another id");
    repo.write("page", "other\n");
    repo.commit("more");
    repo.propose(2);
    assert_eq!(reviews(), ["kim APPROVED stale official"]);
    forge.review(2, "kim", "REQUEST_CHANGES");
    assert_eq!(reviews(), ["kim APPROVED stale dismissed", "kim REQUEST_CHANGES official"]);
    forge.account("ann", Role::Reader);
    let ann = forge.approve(2, "ann");
    assert_eq!(reviews().pop().unwrap(), "ann APPROVED ");
    forge.dismiss(ann);
    assert_eq!(reviews().pop().unwrap(), "ann APPROVED dismissed");
    forge.review_at(2, "kim", "COMMENT", &repo.id("main").to_string(), 1_790_000_000);
    forge.edit_review(ann, |review| review.official = true);
    let all = forge.get("/repos/ops/platform/pulls/2/reviews", None).json();
    assert_eq!(all[3]["submitted_at"], "2026-09-21T14:13:20Z");
    assert_eq!(all[3]["commit_id"], repo.id("main").to_string());
    forge.zone(2);
    let all = forge.get("/repos/ops/platform/pulls/2/reviews?limit=1&page=4", None);
    assert_eq!(all.json()[0]["submitted_at"], "2026-09-21T16:13:20+02:00");
    assert_eq!((all.json().as_array().unwrap().len(), all.header("X-Total-Count")), (1, Some("4")));
    for _ in 0..60 {
        forge.review(2, "kim", "COMMENT");
    }
    let all = forge.get("/repos/ops/platform/pulls/2/reviews?limit=1000", None);
    assert_eq!((all.json().as_array().unwrap().len(), all.header("X-Total-Count")), (50, Some("64")), "50 at most");
}

#[test]
fn forge_refuses_in_the_words_of_a_server() {
    let (repo, forge) = reviewed();
    let words = |reply: crate::support::forge::Reply| format!("{} {}", reply.status, reply.json()["message"]);
    let platform = "/repos/ops/platform";
    let bad = "0".repeat(40);
    let real = |name: &str| {
        let answer = &captured()[name];
        format!("{} {}", answer["status"], answer["body"]["message"])
    };
    assert_eq!(words(forge.get("/version", Some(&bad))), real("error-bad-token"));
    let user = forge.token("kim", &[Scope::ReadUser]);
    assert_eq!(words(forge.get(&format!("{platform}/pulls/2"), Some(&user))), real("error-scope-read_user-pulls"));
    let read = forge.token("kim", &[Scope::ReadRepository]);
    let post =
        |path: &str, token: &str| forge.send("POST", &format!("{platform}{path}"), Some(token), Some(&json!({})));
    assert_eq!(words(post("/issues/2/comments", &read).unwrap()), real("error-scope-read_repository-comment"));
    assert_eq!(words(post("/statuses/x", &read).unwrap()), real("error-scope-read_repository-status"));
    assert_eq!(
        words(forge.get("/user", Some(&read))),
        "403 \"token does not have at least one of required scope(s): [read:user]\""
    );
    assert_eq!(words(forge.get("/user", None)), "401 \"token is required\"");
    let issues = forge.token("kim", &[Scope::ReadIssue]);
    assert_eq!(forge.get(&format!("{platform}/issues/2/comments"), Some(&issues)).status, 200);
    let whole = repo.id("pr2").to_string();
    for sha in [&whole[..12], &whole.to_uppercase()] {
        let reply = forge.get(&format!("{platform}/commits/{sha}/pull"), None);
        assert_eq!((reply.status, reply.text()), (404, "null".to_owned()));
    }
    forge.account("ann", Role::Reader);
    let ann = forge.token("ann", &[Scope::WriteIssue, Scope::WriteRepository]);
    assert_eq!(post("/issues/2/comments", &ann).unwrap().status, 201);
    forge.lock(2);
    assert_eq!(words(post("/issues/2/comments", &ann).unwrap()), "403 \"You cannot comment on a locked issue.\"");
    let actions = forge.actions();
    assert_eq!(forge.get("/user", Some(&actions)).json()["id"], -2);
    assert_eq!(forge.get("/user", Some(&actions)).json()["login"], ACTIONS);
    assert_eq!(forge.get("/repos/ops/other", Some(&actions)).status, 404);
    assert_eq!(forge.get(&format!("{platform}/branch_protections"), Some(&actions)).status, 403);
    forge.archive();
    let kim = forge.user("kim").token;
    let archived = words(post("/issues/2/comments", &kim).unwrap());
    assert_eq!(archived, real("error-archived-comment").replace("4:alice/renamed", "6:ops/platform"));
    forge.private();
    assert_eq!(words(forge.get(platform, None)), real("error-private-anonymous"));
    forge.rename("infra");
    let moved = forge.get(&format!("{platform}/pulls/2"), Some(&kim));
    assert_eq!((moved.status, moved.header("location")), (301, Some("/api/v1/repos/ops/infra/pulls/2")));
    assert_eq!(forge.get("/repos/ops/infra/pulls/2", Some(&kim)).status, 200);
    forge.revoke(&kim);
    assert_eq!(forge.get("/repos/ops/infra/pulls/2", Some(&kim)).status, 401);
}

#[test]
fn forge_misbehaves_and_lies_as_it_is_told() {
    let (_repo, forge) = reviewed();
    let path = "/repos/ops/platform/pulls/2";
    let token = forge.user("ola").token;
    let with = |fault: Fault| {
        forge.heal();
        forge.fault_times("/pulls/2", fault, 1);
        let reply = forge.send("GET", path, Some(&token), None);
        assert_eq!(forge.send("GET", path, None, None).unwrap().status, 200, "once and not again");
        reply
    };
    let status = |fault: Fault| with(fault).unwrap().status;
    assert!(with(Fault::Repeats(401)).unwrap().text().contains(&token));
    assert!(with(Fault::Scope("write:issue")).unwrap().text().contains("required scope(s): [write:issue]"));
    assert_eq!([status(Fault::NotFound), status(Fault::Archived), status(Fault::Status(500))], [404, 423, 500]);
    assert_eq!(with(Fault::TooMany(7)).unwrap().header("retry-after"), Some("7"));
    assert_eq!(with(Fault::Unavailable(7)).unwrap().header("retry-after"), Some("7"));
    assert!(with(Fault::BadGateway).unwrap().text().starts_with("<html>"));
    assert_eq!(with(Fault::Html).unwrap().header("content-type"), Some("text/html"));
    assert_eq!(with(Fault::ContentType("text/plain")).unwrap().header("content-type"), Some("text/plain"));
    assert_eq!(with(Fault::Renamed).unwrap().header("location"), Some("/api/v1/repos/ops/renamed/pulls/2"));
    assert_eq!(with(Fault::Huge(1 << 20)).unwrap().bytes.len(), 1 << 20);
    assert!(with(Fault::Nested(9)).unwrap().text().starts_with("[[[[[[[[[]"));
    let twice = with(Fault::Duplicate("\"merged\":true")).unwrap().text();
    assert!(twice.contains("\"merged\":false") && twice.ends_with(",\"merged\":true}"), "{twice}");
    assert!(String::from_utf8(with(Fault::NotUtf8).unwrap().bytes).is_err());
    assert_eq!(with(Fault::edit(|pull| pull["number"] = 9.into())).unwrap().json()["number"], 9);
    assert_eq!(with(Fault::Says(200, json!({"number": 9}))).unwrap().json(), json!({"number": 9}));
    for fault in [Fault::Truncated, Fault::Reset, Fault::Hang, Fault::Drip(Duration::from_secs(1))] {
        let kind = with(fault).unwrap_err().kind();
        assert!(!matches!(kind, std::io::ErrorKind::ConnectionRefused), "{kind}");
    }
    forge.fault("/pulls/", Fault::Status(502));
    assert_eq!([(); 2].map(|()| forge.get(path, None).status), [502; 2], "until it is healed");
    let elsewhere = Elsewhere::start();
    let moved = with(Fault::Elsewhere(elsewhere.base())).unwrap();
    let location = moved.header("location").unwrap().to_owned();
    let curl = Command::new("curl").args(["-s", "-u", "ola:secret", &location]).output().unwrap();
    assert_eq!(curl.stdout, b"{}");
    let seen = ("/api/v1/repos/ops/platform/pulls/2".to_owned(), Auth::Basic("ola".to_owned(), "secret".to_owned()));
    assert_eq!(elsewhere.requests(), [seen]);

    let said = |lie: Lie, part: &str, pointer: &str| {
        forge.heal();
        forge.lie(lie);
        forge.get(&format!("{path}{part}"), None).json().pointer(pointer).cloned().unwrap()
    };
    let other = "b".repeat(40);
    assert_eq!(said(Lie::Merged(other.clone()), "", "/merged"), true);
    assert_eq!(forge.get(&format!("/repos/ops/platform/commits/{other}/pull"), None).json()["number"], 2);
    assert_eq!(said(Lie::BaseRepository(9), "", "/base/repo_id"), 9);
    assert_eq!(said(Lie::BaseBranch("dev".to_owned()), "", "/base/ref"), "dev");
    assert_eq!(said(Lie::MergeCommit(other.clone()), "", "/merge_commit_sha"), other);
    assert_eq!(said(Lie::MergedBy("kim".to_owned()), "", "/merged_by/login"), "kim");
    assert_eq!(said(Lie::MergedAt(0), "", "/merged_at"), time(0, 0));
    assert_eq!(said(Lie::Number(7), "", "/number"), 7);
    assert_eq!(said(Lie::Author("kim".to_owned()), "", "/user/login"), "kim");
    assert_eq!(said(Lie::NotMerged, "", "/merged"), false);
    assert_eq!(said(Lie::ReviewCommit(other.clone()), "/reviews", "/0/commit_id"), other);
    assert_eq!(said(Lie::Reviewer("ola".to_owned()), "/reviews", "/0/user/login"), "ola");
    assert_eq!(said(Lie::ReviewedAt(0), "/reviews", "/0/submitted_at"), time(0, 0));
    assert_eq!(said(Lie::ReviewState("COMMENT"), "/reviews", "/0/state"), "COMMENT");
    assert_eq!(said(Lie::Stale(true), "/reviews", "/0/stale"), true);
    assert_eq!(said(Lie::Dismissed(true), "/reviews", "/0/dismissed"), true);
    assert_eq!(said(Lie::Official(false), "/reviews", "/0/official"), false);
}

#[test]
fn forge_remembers_requests_and_what_was_written() {
    let (repo, forge) = reviewed();
    let kim = forge.user("kim");
    forge.requests();
    forge.clock(1_800_000_000);
    let head = repo.id("pr2").to_string();
    let body = json!({"body": "<!-- plan -->"});
    forge.send("POST", "/repos/ops/platform/issues/2/comments", Some(&kim.token), Some(&body)).unwrap();
    let status = json!({"state": "success", "context": "plan", "description": "d", "target_url": "u"});
    forge.send("POST", &format!("/repos/ops/platform/statuses/{head}"), Some(&kim.token), Some(&status)).unwrap();
    let comments = forge.comments(2);
    let comment = &comments[0];
    assert_eq!(
        (comment.poster.as_str(), comment.body.as_str(), comment.created),
        ("kim", "<!-- plan -->", 1_800_000_001)
    );
    assert!(comment.updated == comment.created && comment.id > 0);
    let statuses = forge.statuses();
    let s = &statuses[0];
    let said = [&s.commit, &s.context, &s.state, &s.by, &s.description, &s.target].map(String::as_str);
    assert_eq!(said, [head.as_str(), "plan", "success", "kim", "d", "u"]);
    assert!(s.id > 0 && s.at == forge.now() && kim.id > 0 && kim.login == "kim");
    let seen = forge.requests();
    assert_eq!(seen[0].auth, Auth::Token(kim.token));
    assert_eq!((seen[0].body.as_str(), seen[0].status), (body.to_string().as_str(), 201));
    forge.get("/version", None);
    assert_eq!(forge.calls(), ["GET /version"]);
    forge.close(2);
    forge.version("1.22.6");
    assert_eq!(forge.get("/version", None).json()["version"], "1.22.6");
    assert_eq!(forge.get("/repos/ops/platform/pulls/2", None).json()["state"], "closed");
    forge.merged_as(2, &head, "kim");
    assert_eq!(forge.get("/repos/ops/platform/pulls/2", None).json()["merge_commit_sha"], head);
}

#[test]
fn forge_signs_approved_merges_of_a_protected_base() {
    let (repo, forge) = reviewed();
    let key = repo.path("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap();
    assert!(made.success());
    forge.sign_merges(&key);
    forge.protect(json!({"required_approvals": 1}));
    let signed = forge.merge(2, &Style::Merge, "ola");
    assert!(repo.git_in("remote.git", &["cat-file", "-p", &signed]).contains("BEGIN SSH SIGNATURE"));
    assert!(forge.get("/signing-key.ssh", None).text().starts_with("ssh-ed25519 "));
    repo.pull(3, "page", "three\n");
    repo.git(&["fetch", "-q", "origin"]);
    repo.branch("pr4", "origin/main");
    repo.write("page", "four\n");
    repo.commit("four");
    repo.propose(4);
    forge.open(4, "ola", "Four");
    let unsigned = forge.merge(4, &Style::Squash, "ola");
    assert!(!repo.git_in("remote.git", &["cat-file", "-p", &unsigned]).contains("SIGNATURE"), "nobody approved it");
}

#[test]
fn forge_serves_git_and_refuses_pushes_in_the_words_of_a_server() {
    let (repo, forge) = reviewed();
    let kim = forge.user("kim").token;
    let url = |token: &str| forge.url().replacen("http://", &format!("http://x:{token}@"), 1);
    let push = |token: &str, to: &str| {
        let url = if token.is_empty() { forge.url() } else { url(token) };
        let output = repo.try_git(&["-c", "credential.helper=", "push", "--porcelain", &url, &format!("HEAD:{to}")]);
        let all = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&all).replace(&forge.base(), "https://forge.example");
        format!("{} {said}", output.status.code().unwrap()).replace(&format!("x:{token}@"), "")
    };
    repo.git(&["fetch", "-q", &forge.url(), "refs/pull/2/head"]);
    assert_eq!(repo.id("FETCH_HEAD"), repo.id("pr2"), "anybody fetches a public repository");
    assert!(push(&kim, "refs/platform/state").starts_with("0 "), "{}", push(&kim, "refs/platform/state"));
    assert!(push("", "refs/x/y").contains("could not read Username"), "{}", push("", "refs/x/y"));
    assert!(push("wrong", "refs/x/y").contains("remote: Credentials are incorrect or have expired."));
    let read = forge.token("kim", &[Scope::ReadRepository]);
    assert!(push(&read, "refs/x/y").contains("remote: Forbidden\nfatal: unable to access"));
    let ann = forge.account("ann", Role::Reader).token;
    assert!(push(&ann, "refs/x/y").contains("remote: Forgejo: User 'ann' is not allowed to push to branch ''"));
    assert!(push(&kim, "refs/pull/2/head").contains("deny updating a hidden ref"));
    forge.protect(json!({}));
    assert!(push(&kim, "refs/heads/main").contains("Forgejo: Not allowed to push to protected branch main"));
    forge.archive();
    assert!(push(&kim, "refs/x/y").contains("remote: This repo is archived. You can view files and clone it"));
    forge.private();
    assert!(repo.try_git(&["ls-remote", &url(&kim)]).status.success());
    assert!(!repo.try_git(&["ls-remote", &forge.url()]).status.success());
    let old = url(&kim);
    forge.rename("infra");
    let said = repo.try_git(&["ls-remote", &old]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("warning: redirecting to"), "{said:?}");
    let gone = old.replace("platform", "nosuch");
    assert!(
        String::from_utf8_lossy(&repo.try_git(&["ls-remote", &gone]).stderr).contains("remote: Repository not found")
    );
}
