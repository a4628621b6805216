//! Answers of the API, as far as they are used. What an answer has beside that does not matter; what is missing or has
//! another type makes the whole answer unusable.

use serde_json::Value;

use crate::model::{
    forge::{Account, Comment, MergedAs, Pull, Repository, Review, Status, StatusState, Verdict},
    ids::Oid,
    time::Timestamp,
};

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn flag(value: &Value, key: &str) -> Option<bool> {
    value.get(key)?.as_bool()
}

/// A time with any offset: a server answers in its own zone.
fn time(value: &Value, key: &str) -> Option<Timestamp> {
    Timestamp::from_rfc3339(value.get(key)?.as_str()?)
}

/// The number and name of an account; `Some(None)` where the answer says that there is none.
fn owner(value: &Value, key: &str) -> Option<Option<Account>> {
    match value.get(key) {
        None | Some(Value::Null) => Some(None),
        Some(account) => self::account(account).map(Some),
    }
}

pub(super) fn account(value: &Value) -> Option<Account> {
    Some(Account { id: value.get("id")?.as_i64()?, login: text(value, "login")? })
}

pub(super) fn repository(value: &Value) -> Option<Repository> {
    let permission = |name: &str| value.get("permissions").and_then(|all| flag(all, name)).unwrap_or(false);
    Some(Repository {
        id: value.get("id")?.as_i64()?,
        full_name: text(value, "full_name")?,
        archived: flag(value, "archived").unwrap_or(false),
        can_push: permission("push"),
        is_admin: permission("admin"),
    })
}

pub(super) fn pull(value: &Value) -> Option<Pull> {
    let base = value.get("base")?;
    let merged = match flag(value, "merged")? {
        false => None,
        true => Some(MergedAs {
            commit: text(value, "merge_commit_sha")?.parse::<Oid>().ok()?,
            at: time(value, "merged_at")?,
            by: owner(value, "merged_by")?,
        }),
    };
    Some(Pull {
        number: value.get("number")?.as_u64()?,
        title: text(value, "title")?,
        open: text(value, "state")? == "open",
        author: owner(value, "user")?,
        base_branch: text(base, "ref")?,
        base_repository: base.get("repo_id")?.as_i64()?,
        merge_base: text(value, "merge_base").and_then(|id| id.parse().ok()),
        merged,
    })
}

/// All reviews of an array; `null` is an empty one.
pub(super) fn reviews(value: &Value) -> Option<Vec<Review>> {
    items(value, |value| {
        Some(Review {
            id: value.get("id")?.as_u64()?,
            user: owner(value, "user")?,
            verdict: match text(value, "state")?.as_str() {
                "APPROVED" => Verdict::Approved,
                // Gitea's word for the same.
                "REQUEST_CHANGES" | "REJECTED" => Verdict::ChangesRequested,
                _ => Verdict::Other,
            },
            commit: text(value, "commit_id").and_then(|id| id.parse().ok()),
            stale: flag(value, "stale")?,
            official: flag(value, "official")?,
            dismissed: flag(value, "dismissed")?,
            at: time(value, "submitted_at")?,
        })
    })
}

/// The statuses of a combined one.
pub(super) fn statuses(value: &Value) -> Option<Vec<Status>> {
    items(value.get("statuses")?, |value| {
        Some(Status {
            context: text(value, "context")?,
            state: match text(value, "status")?.as_str() {
                "success" => StatusState::Success,
                "pending" => StatusState::Pending,
                "failure" => StatusState::Failure,
                _ => StatusState::Error,
            },
            creator: owner(value, "creator")?,
        })
    })
}

pub(super) fn comments(value: &Value) -> Option<Vec<Comment>> {
    items(value, comment)
}

pub(super) fn comment(value: &Value) -> Option<Comment> {
    Some(Comment {
        id: value.get("id")?.as_u64()?,
        user: owner(value, "user")?,
        body: text(value, "body")?,
        url: text(value, "html_url").unwrap_or_default(),
    })
}

fn items<T>(value: &Value, one: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    if value.is_null() { Some(Vec::new()) } else { value.as_array()?.iter().map(one).collect() }
}
