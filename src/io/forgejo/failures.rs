//! Failures of the API, each with its own words: the table is also printed in the documentation. *Not merged* is never
//! among them: it is said only where the API answered.

use super::Forgejo;
use crate::{
    io::http::{NoReply, Reply},
    model::{
        forge::Repository,
        refusal::Code,
        text::{escaped_line, shown},
    },
    port::{Forge as _, PortError},
};

/// One kind of failure: how it shows, its code, what it means, and what helps.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// How it shows.
    pub shows: &'static str,
    /// Its code; the exit class is 9 for all of them.
    pub code: Code,
    /// What it means, after the name of the server.
    pub means: &'static str,
    /// What helps.
    pub fix: &'static str,
}

const fn failure(shows: &'static str, code: Code, means: &'static str, fix: &'static str) -> Failure {
    Failure { shows, code, means, fix }
}

const NO_TOKEN: Failure = failure(
    "401 or 403 without a token",
    Code::CredentialsMissing,
    "asks for a token, and there is none",
    "create a token with the scope read:repository on the forge and set PLATFORMCTL_FORGEJO_TOKEN, or PLATFORMCTL_FORGEJO_TOKEN_FILE to a file that has it",
);
const REJECTED: Failure = failure(
    "401 with a token",
    Code::CredentialsRefused,
    "rejects the token: it is wrong, expired or revoked",
    "create a new token on the forge and set it where the old one was",
);
const SCOPE: Failure = failure(
    "403 with a token",
    Code::TokenScope,
    "accepts the token, but it may not do this",
    "give the token the scope that is named: read:repository to read, write:repository for statuses, write:issue for comments; and see that its account may do this in the repository",
);
const INVISIBLE: Failure = failure(
    "404 for the repository, with a token",
    Code::ForgeNotFound,
    "has no such repository, or the token cannot see it",
    "compare the address (git remote get-url origin, or approval.forge in platform.yaml) and let the token's account read the repository",
);
const ABSENT: Failure = failure(
    "404 for the repository, without a token",
    Code::ForgeNotFound,
    "has no such public repository, and there is no token to see a private one",
    "compare the address (git remote get-url origin, or approval.forge in platform.yaml), or set PLATFORMCTL_FORGEJO_TOKEN",
);
const NOTHING: Failure = failure(
    "404 for what is written to, where the repository is visible",
    Code::UnknownId,
    "has no such pull request, commit or comment, or the token may not see it",
    "compare the number, and see that the token's account may write there",
);
const MOVED: Failure = failure(
    "301, 302, 307, 308",
    Code::ForgeMoved,
    "answers with a redirect, which is never followed: the repository was renamed, or the address is not the API's own",
    "write the new address: git remote set-url origin URL, and approval.forge in platform.yaml if it is there",
);
const ARCHIVED: Failure = failure(
    "423",
    Code::ForgeArchived,
    "says that the repository is archived or the pull request locked: nothing can be written there",
    "unarchive the repository, or unlock the pull request, on the forge",
);
const LIMITED: Failure = failure(
    "429, after the time it asks for",
    Code::ForgeUnreachable,
    "limits how often it may be asked",
    "wait as long as it says, then try again",
);
const BROKEN: Failure = failure(
    "5xx, three times",
    Code::ForgeUnreachable,
    "has an error of its own",
    "look at the server's log, or try again later",
);
const SILENT: Failure = failure(
    "no connection, no answer within 30 s, or a lost one",
    Code::ForgeUnreachable,
    "did not answer",
    "see that the server is up and reachable from here (a proxy is taken from https_proxy and no_proxy), then try again",
);
const UNTRUSTED: Failure = failure(
    "a certificate that is not trusted",
    Code::ForgeUnreachable,
    "has a certificate that this machine does not trust",
    "if the server has its own authority, set SSL_CERT_FILE to a file with its certificate",
);
const NO_API: Failure = failure(
    "200 with a page instead of JSON, or JSON of another shape",
    Code::ForgeAnswer,
    "answered with something that is not the API of Forgejo: a login page or a proxy stands before it, or the address is wrong",
    "open the address with /api/v1/version at its end: it must print a version",
);
const LARGE: Failure = failure(
    "an answer of more than 8 MiB",
    Code::ForgeAnswer,
    "sent more than any answer of its API has",
    "see that the address is that of Forgejo, or of Gitea 1.22 or newer",
);
const OTHER: Failure = failure(
    "any other status",
    Code::ForgeAnswer,
    "gave an answer that this version does not know",
    "see that the address is that of Forgejo, or of Gitea 1.22 or newer",
);

/// Every kind of failure, in the order of the documentation.
pub const FAILURES: &[Failure] = &[
    NO_TOKEN, REJECTED, SCOPE, INVISIBLE, ABSENT, NOTHING, MOVED, ARCHIVED, LIMITED, BROKEN, SILENT, UNTRUSTED, NO_API,
    LARGE, OTHER,
];

/// The server's own message, masked and escaped, at most 200 characters.
fn message(forge: &Forgejo, reply: &Reply) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(&reply.body).ok();
    let text =
        json.as_ref().and_then(|json| json.get("message")).and_then(|message| message.as_str()).unwrap_or_default();
    let text = forge.secrets().masked(text);
    // What stands in the brackets of this message is what was sent.
    let text = text.split(" [sha:").next().unwrap_or_default();
    escaped_line(text).chars().take(200).collect()
}

fn error(forge: &Forgejo, failure: Failure, more: &str) -> PortError {
    let server = shown(forge.url().host());
    let what = if more.is_empty() {
        format!("the forge {server} {}", failure.means)
    } else {
        format!("the forge {server} {}: {more}", failure.means)
    };
    PortError::new(failure.code, what, failure.fix)
}

/// The error for an answer that is no success.
pub(super) fn of_reply(forge: &Forgejo, reply: &Reply) -> PortError {
    let has_token = forge.credential().is_some();
    let failure = match reply.status {
        301 | 302 | 303 | 307 | 308 => MOVED,
        401 | 403 if !has_token => NO_TOKEN,
        401 => REJECTED,
        403 => SCOPE,
        404 if has_token => INVISIBLE,
        404 => ABSENT,
        423 => ARCHIVED,
        429 => LIMITED,
        500..=599 => BROKEN,
        _ => OTHER,
    };
    let mut more = match reply.location.as_deref() {
        Some(location) if failure.code == Code::ForgeMoved => forge.secrets().shown(location),
        Some(_) | None => message(forge, reply),
    };
    if let (Some(s), 429 | 503) = (reply.retry_after_s, reply.status) {
        more = format!("it asks to wait {s} s");
    }
    if failure.code == Code::ForgeAnswer || reply.status >= 500 && more.is_empty() {
        more = format!("status {}", reply.status);
    }
    if failure.code == Code::ForgeNotFound {
        more = shown(&forge.url().repository());
    }
    error(forge, failure, &more)
}

/// The error where the repository is there, and what was to be written to is not.
pub(super) fn not_written(forge: &Forgejo, repository: &Repository) -> PortError {
    // Forgejo answers 404 to a status in an archived repository.
    error(forge, if repository.archived { ARCHIVED } else { NOTHING }, "")
}

/// The error for a success that is no JSON.
pub(super) fn no_json(forge: &Forgejo, reply: &Reply) -> PortError {
    let kind = if reply.is_json { "JSON that cannot be read" } else { "no JSON" };
    error(forge, NO_API, kind)
}

/// The error where nothing was answered.
pub(super) fn of_silence(forge: &Forgejo, no_reply: &NoReply) -> PortError {
    let failure = match no_reply {
        NoReply::Unreachable(_) => SILENT,
        NoReply::Tls(_) => UNTRUSTED,
        NoReply::TooLarge => return error(forge, LARGE, ""),
    };
    error(forge, failure, &forge.secrets().shown(&no_reply.to_string()))
}
