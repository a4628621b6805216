//! How the server misbehaves.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

/// What happens to the requests whose path contains the part that the test named.
#[derive(Clone)]
pub(crate) enum Fault {
    /// This status (a real server's is 401), with a message that repeats the token that was sent.
    Repeats(u16),
    /// 403: the token lacks this scope.
    Scope(&'static str),
    /// 404 in Forgejo's words.
    NotFound,
    /// 301 to the repository's new name, on the same server, which answers there.
    Renamed,
    /// 302 to the same path on another server.
    Elsewhere(String),
    /// 423: archived.
    Archived,
    /// 429, to be tried again after so many seconds.
    TooMany(u64),
    /// This status, with Forgejo's empty message of a failure.
    Status(u16),
    /// 503 of a server in maintenance, with `Retry-After` in seconds.
    Unavailable(u64),
    /// A proxy's page for 502.
    BadGateway,
    /// A page for people, with 200.
    Html,
    /// The real answer, cut in the middle.
    Truncated,
    /// The connection is reset.
    Reset,
    /// No answer, ever.
    Hang,
    /// The real answer, a byte at a time, with this pause.
    Drip(Duration),
    /// So many bytes of JSON.
    Huge(usize),
    /// The real answer under another content type.
    ContentType(&'static str),
    /// Arrays in arrays, so deep.
    Nested(usize),
    /// The real answer, whose first object has this member (as JSON: `"merged": true`) once more, at its end.
    Duplicate(&'static str),
    /// The real answer with a byte in a string that is no UTF-8.
    NotUtf8,
    /// This answer.
    Says(u16, Value),
    /// The real answer after this change.
    Edit(Arc<dyn Fn(&mut Value) + Send + Sync>),
}

impl Fault {
    pub(crate) fn edit(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Edit(Arc::new(change))
    }
}

/// What the server says of every pull request and every review, although it is not so.
#[derive(Clone, Debug)]
pub(crate) enum Lie {
    /// Merged, with this commit.
    Merged(String),
    /// Not merged.
    NotMerged,
    MergedBy(String),
    /// Seconds since 1970.
    MergedAt(i64),
    BaseRepository(i64),
    BaseBranch(String),
    MergeCommit(String),
    Number(u64),
    Author(String),
    ReviewCommit(String),
    Reviewer(String),
    /// Seconds since 1970.
    ReviewedAt(i64),
    ReviewState(&'static str),
    Stale(bool),
    Dismissed(bool),
    Official(bool),
}
