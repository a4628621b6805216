//! Answers, made of those that a Forgejo 15 gave, with the fields replaced that a test can set.
#![expect(clippy::wildcard_enum_match_arm, reason = "each function applies the lies about its own thing")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use serde_json::{Value, json};

use super::{
    fault::Lie,
    world::{Account, Comment, Pull, Review, Role, Status, World},
};

/// Every answer that was captured from a Forgejo 15, by its name: request, status, headers, body.
pub(crate) fn captured() -> &'static BTreeMap<String, Value> {
    static ANSWERS: OnceLock<BTreeMap<String, Value>> = OnceLock::new();
    ANSWERS.get_or_init(|| serde_json::from_str(include_str!("../../forgejo/answers.json")).unwrap())
}

/// Of seconds since 1970, in this many hours east of Greenwich, as Forgejo writes times.
pub(crate) fn time(at: i64, zone: i32) -> String {
    let zone = chrono::FixedOffset::east_opt(zone * 3600).unwrap();
    let time = chrono::DateTime::from_timestamp(at, 0).unwrap().with_timezone(&zone);
    time.format("%Y-%m-%dT%H:%M:%S%:z").to_string().replace("+00:00", "Z")
}

/// Sets members of an object that has them already: an answer has no field that Forgejo's lacks.
fn set(object: &mut Value, members: Value) {
    let (Value::Object(object), Value::Object(members)) = (object, members) else { panic!("no object") };
    for (name, value) in members {
        *object.get_mut(&name).unwrap_or_else(|| panic!("Forgejo has no {name}")) = value;
    }
}

impl World {
    /// A captured body, with this server's address and repository in its texts.
    pub(super) fn template(&self, name: &str) -> Value {
        let mut body = captured()[name]["body"].clone();
        self.moved(&mut body);
        body
    }

    fn moved(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                *text = text.replace("https://forge.example", &self.base).replace("alice/infra", &self.full_name());
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.moved(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.moved(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    fn time(&self, at: i64) -> Value {
        time(at, self.zone).into()
    }

    /// Without scheme and port.
    pub(super) fn host(&self) -> &str {
        let host = self.base.split("://").nth(1).unwrap_or(&self.base);
        host.split(':').next().unwrap()
    }

    pub(super) fn user_json(&self, account: &Account) -> Value {
        let Account { id, login, role: _ } = account;
        let mut user = self.template("comments-list")[0]["user"].clone();
        set(&mut user, json!({"id": id, "login": login, "username": login}));
        set(&mut user, json!({"email": format!("{login}@noreply.{}", self.host())}));
        set(&mut user, json!({"html_url": format!("{}/{login}", self.base)}));
        user
    }

    fn login_json(&self, login: &str) -> Value {
        self.user_json(self.account(login))
    }

    pub(super) fn repo_json(&self, viewer: Option<&Account>) -> Value {
        let mut repo = self.template("pr-open")["base"]["repo"].clone();
        let role = viewer.map(|viewer| viewer.role);
        let may = json!({"admin": role == Some(Role::Admin), "push": role >= Some(Role::Writer), "pull": true});
        set(&mut repo, json!({"id": self.id, "name": self.name, "full_name": self.full_name(), "permissions": may}));
        set(&mut repo, json!({"private": self.private, "archived": self.archived, "default_branch": self.branch}));
        set(&mut repo, json!({"owner": self.login_json(&self.owner)}));
        repo
    }

    /// What the API says that this pull request was merged as, lies included.
    pub(super) fn merge_commit(&self, pull: &Pull) -> Option<String> {
        let mut commit = pull.merged.as_ref().map(|merged| merged.commit.clone());
        for lie in &self.lies {
            match lie {
                Lie::Merged(other) | Lie::MergeCommit(other) => commit = Some(other.clone()),
                Lie::NotMerged => commit = None,
                _ => {}
            }
        }
        commit
    }

    pub(super) fn pull_json(&self, number: u64, viewer: Option<&Account>) -> Value {
        let pull = &self.pulls[&number];
        let mut json = self.template(if pull.merged.is_some() { "pr-merged-merge" } else { "pr-open" });
        let page = format!("{}/{}/pulls/{number}", self.base, self.full_name());
        let addresses = json!({
            "id": 100 + number, "number": number, "url": page, "html_url": page,
            "diff_url": format!("{page}.diff"), "patch_url": format!("{page}.patch"),
        });
        set(&mut json, addresses);
        // Measured: who reviewed stands among the requested.
        let reviewers: BTreeSet<_> = self.reviews.iter().filter(|r| r.pull == number).map(|r| &r.user).collect();
        let reviewers: Vec<_> = reviewers.into_iter().map(|login| self.login_json(login)).collect();
        let closed = pull.merged.as_ref().map(|merged| merged.at).or(pull.closed);
        let texts = json!({
            "user": self.login_json(&pull.author), "title": pull.title, "requested_reviewers": reviewers,
            "state": if closed.is_some() { "closed" } else { "open" }, "is_locked": pull.locked,
            "comments": self.comments.iter().filter(|comment| comment.pull == number).count(),
            "review_comments": self.reviews.iter().filter(|review| review.pull == number).count(),
            "created_at": self.time(pull.opened), "updated_at": self.time(closed.unwrap_or(pull.opened)),
            "closed_at": closed.map(|at| self.time(at)),
        });
        set(&mut json, texts);
        // Finding 1 of our notes: not what was merged, but what the branch is now.
        let head = self.rev(&format!("refs/heads/{}", pull.branch)).unwrap_or_else(|| pull.head.clone());
        let frozen = self.rev(&format!("refs/pull/{number}/head")).unwrap_or_else(|| pull.head.clone());
        let base = self.rev(&format!("refs/heads/{}", self.branch)).unwrap_or_default();
        let repo = self.repo_json(viewer);
        let before = pull.merged.as_ref().map_or(base.as_str(), |merged| &merged.base);
        let fork = self.git(&["merge-base", before, &frozen]).unwrap_or_default();
        let side =
            |name: &str, sha: &str| json!({"label": name, "ref": name, "sha": sha, "repo_id": self.id, "repo": repo});
        set(
            &mut json,
            json!({"head": side(&pull.branch, &head), "base": side(&self.branch, &base), "merge_base": fork}),
        );
        if let Some(merged) = &pull.merged {
            let (at, by) = (self.time(merged.at), self.login_json(&merged.by));
            set(&mut json, json!({"merged_at": at, "merge_commit_sha": merged.commit, "merged_by": by}));
        }
        for lie in &self.lies {
            self.pull_lie(&mut json, lie);
        }
        json
    }

    fn pull_lie(&self, json: &mut Value, lie: &Lie) {
        match lie {
            Lie::Merged(commit) => {
                let by = self.login_json(&self.owner);
                let at = self.time(self.now);
                set(json, json!({"merged": true, "state": "closed", "merged_at": at, "closed_at": at}));
                set(json, json!({"merge_commit_sha": commit, "merged_by": by}));
            }
            Lie::NotMerged => {
                set(json, json!({"merged": false, "merged_at": null, "merge_commit_sha": null, "merged_by": null}));
            }
            Lie::MergedBy(login) => set(json, json!({"merged_by": self.login_json(login)})),
            Lie::MergedAt(at) => set(json, json!({"merged_at": self.time(*at)})),
            Lie::BaseRepository(id) => {
                set(&mut json["base"], json!({"repo_id": id}));
                set(&mut json["base"]["repo"], json!({"id": id}));
            }
            Lie::BaseBranch(name) => set(&mut json["base"], json!({"ref": name, "label": name})),
            Lie::MergeCommit(commit) => set(json, json!({"merge_commit_sha": commit})),
            Lie::Number(number) => set(json, json!({"number": number})),
            Lie::Author(login) => set(json, json!({"user": self.login_json(login)})),
            _ => {}
        }
    }

    pub(super) fn review_json(&self, review: &Review) -> Value {
        let mut json = self.template("reviews-merge")[0].clone();
        let page = format!("{}/{}/pulls/{}", self.base, self.full_name(), review.pull);
        let members = json!({
            "id": review.id, "user": self.login_json(&review.user), "state": review.state, "body": "",
            "commit_id": review.commit, "stale": review.stale, "official": review.official,
            "dismissed": review.dismissed, "submitted_at": self.time(review.at), "updated_at": self.time(review.at),
            "html_url": format!("{page}#issuecomment-{}", review.id), "pull_request_url": page,
        });
        set(&mut json, members);
        for lie in &self.lies {
            let member = match lie {
                Lie::ReviewCommit(commit) => json!({"commit_id": commit}),
                Lie::Reviewer(login) => json!({"user": self.login_json(login)}),
                Lie::ReviewedAt(at) => json!({"submitted_at": self.time(*at)}),
                Lie::ReviewState(state) => json!({"state": state}),
                Lie::Stale(is) => json!({"stale": is}),
                Lie::Dismissed(is) => json!({"dismissed": is}),
                Lie::Official(is) => json!({"official": is}),
                _ => continue,
            };
            set(&mut json, member);
        }
        json
    }

    pub(super) fn comment_json(&self, comment: &Comment) -> Value {
        let mut json = self.template("comments-list")[0].clone();
        let page = format!("{}/{}/pulls/{}", self.base, self.full_name(), comment.pull);
        let members = json!({
            "id": comment.id, "html_url": format!("{page}#issuecomment-{}", comment.id), "pull_request_url": page,
            "user": self.login_json(&comment.poster), "body": comment.body,
            "created_at": self.time(comment.created), "updated_at": self.time(comment.updated),
        });
        set(&mut json, members);
        json
    }

    pub(super) fn status_json(&self, status: &Status) -> Value {
        let mut json = self.template("status-create");
        let members = json!({
            "id": status.id, "status": status.state, "context": status.context, "description": status.description,
            "target_url": status.target, "creator": self.login_json(&status.by),
            "url": format!("{}/api/v1/repos/{}/statuses/{}", self.base, self.full_name(), status.commit),
            "created_at": self.time(status.at), "updated_at": self.time(status.at),
        });
        set(&mut json, members);
        json
    }

    /// The newest status of each context, `page` of them.
    pub(super) fn combined_json(
        &self,
        commit: &str,
        all: &[&Status],
        page: &[&Status],
        viewer: Option<&Account>,
    ) -> Value {
        if all.is_empty() {
            return self.template("status-empty");
        }
        let mut json = self.template("status-combined");
        let worst = ["error", "failure", "pending", "warning", "success"];
        let worst = worst.into_iter().find(|state| all.iter().any(|status| status.state == *state));
        let statuses: Vec<_> = page.iter().map(|status| self.status_json(status)).collect();
        let members = json!({
            "state": worst.unwrap_or("success"), "sha": commit, "total_count": all.len(), "statuses": statuses,
            "repository": self.repo_json(viewer),
        });
        set(&mut json, members);
        json
    }

    pub(super) fn branch_json(&self, name: &str, tip: &str, viewer: Option<&Account>) -> Value {
        let mut json = self.template("branch-main");
        let message = self.git(&["log", "-1", "--format=%B", tip]).unwrap_or_default();
        let rule = self.rule.as_ref().filter(|_| name == self.branch);
        let page = format!("{}/{}/commit/{tip}", self.base, self.full_name());
        set(&mut json["commit"], json!({"id": tip, "message": message + "\n", "url": page}));
        let push = viewer.is_some_and(|viewer| viewer.role >= Role::Writer);
        let rules = json!({
            "name": name, "protected": rule.is_some(), "user_can_merge": push,
            "required_approvals": rule.map_or(json!(0), |rule| rule["required_approvals"].clone()),
            "enable_status_check": rule.map_or(json!(false), |rule| rule["enable_status_check"].clone()),
            "status_check_contexts": rule.map_or(json!(null), |rule| rule["status_check_contexts"].clone()),
            "user_can_push": push && rule.is_none_or(|rule| rule["enable_push"] == true),
        });
        set(&mut json, rules);
        json
    }

    pub(super) fn ref_json(&self, name: &str, sha: &str) -> Value {
        let api = format!("{}/api/v1/repos/{}/git", self.base, self.full_name());
        json!({
            "ref": name, "url": format!("{api}/{name}"),
            "object": {"type": "commit", "sha": sha, "url": format!("{api}/commits/{sha}")},
        })
    }
}
