//! What people see on the forge: one comment under a pull request, edited in place, and statuses on commits. Nothing
//! here decides anything, and nothing that fails here fails a run: it is said.

use crate::{
    model::{
        forge::{Account, NewStatus, StatusState},
        ids::Oid,
        policy::ApprovalPolicy,
    },
    port::{Answer, Forge, Ports},
};

/// How our comment begins. Anyone who may write could have edited it, so it is only found by this, and only if it is
/// our own account's.
pub const MARKER: &str = "<!-- platformctl:plan -->";
/// Longest comment.
pub const COMMENT_BYTES_MAX: usize = 60_000;
/// Longest description of a status.
const DESCRIPTION_MAX: usize = 140;

/// What is to be seen.
#[derive(Debug, Clone)]
pub struct Notes {
    /// The pull request.
    pub pr: u64,
    /// The comment without its marker; `None` leaves it as it is.
    pub comment: Option<Comment>,
    /// Statuses, each with its commit.
    pub statuses: Vec<(Oid, NewStatus)>,
}

/// A comment to be kept.
#[derive(Debug, Clone)]
pub struct Comment {
    /// Its text.
    pub text: String,
    /// Whether there is something to say: if not, no comment is begun, and one that is there says so.
    pub begins: bool,
}

/// Makes a status. What is too long is cut.
pub fn status(context: &str, state: StatusState, description: &str) -> NewStatus {
    let description: String = description.chars().take(DESCRIPTION_MAX).collect();
    NewStatus { context: context.to_owned(), state, description, target_url: None }
}

/// Shows it, and returns what could not be shown: warnings.
pub fn show(ports: &Ports<'_>, rules: &ApprovalPolicy, notes: &Notes) -> Vec<String> {
    let forge = match (ports.forge)(rules) {
        Ok(forge) => forge,
        Err(error) => return vec![format!("nothing is shown on the forge: {error}")],
    };
    let page = forge.url().pull(notes.pr);
    let mut warnings = Vec::new();
    let mut account = None;
    for (commit, status) in &notes.statuses {
        let status = NewStatus { target_url: Some(page.clone()), ..status.clone() };
        match forge.set_status(*commit, &status) {
            // Who set it is who we are: one question less.
            Ok(creator) => account = account.or(creator),
            Err(error) => warnings.push(format!("the status {} is not set: {error}", status.context)),
        }
    }
    if let Some(comment) = &notes.comment
        && let Err(error) = keep(forge.as_ref(), notes.pr, comment, account)
    {
        warnings.push(format!("the comment under PR #{} is not written: {error}", notes.pr));
    }
    warnings
}

/// Keeps one comment of ours under a pull request.
fn keep(forge: &dyn Forge, pr: u64, comment: &Comment, account: Option<Account>) -> Answer<()> {
    let body = format!("{MARKER}\n{}", comment.text);
    let ours = match account.map_or_else(|| forge.account(), |account| Ok(Some(account)))? {
        Some(account) => forge
            .comments(pr)?
            .into_iter()
            .filter(|found| found.user.as_ref().is_some_and(|user| user.id == account.id))
            .find(|found| found.body.starts_with(MARKER)),
        // Without knowing who we are no comment is known to be ours.
        None => None,
    };
    match ours {
        Some(found) if found.body.trim_end() == body.trim_end() => Ok(()),
        Some(found) => forge.edit_comment(found.id, &body).map(drop),
        None if comment.begins => forge.comment(pr, &body).map(drop),
        None => Ok(()),
    }
}
