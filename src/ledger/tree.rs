//! The tree of a record: a pure function of the tree before it and its event.

use std::collections::BTreeMap;

use super::event::{Event, Kind};
use crate::{
    model::{
        ending::Ending,
        evidence::{ContainerEvidence, Evidence},
        ids::{ModuleId, RunId},
        json::{self, CanonicalError},
        status::{self, Held, LastEvent, ModuleStatus, OpenRun, ServiceStatus},
    },
    port::TreeEdit,
};

/// The file that says what the tree is.
pub const FORMAT: &str = "FORMAT";
/// Its content.
pub const FORMAT_TEXT: &str = "platform-state 1\n";
/// This record's event.
pub const EVENT: &str = "event.json";
/// The policy in force.
pub const POLICY: &str = "policy/platform.yaml";
/// Who may sign, in force.
pub const SIGNERS: &str = "policy/allowed_signers";

/// The path of a module's status.
pub fn status_path(module: &ModuleId) -> String {
    format!("modules/{module}.status.json")
}

/// The path of an open run.
pub fn open_path(run: &RunId) -> String {
    format!("runs/open/{run}.json")
}

/// Why an event makes no tree.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// An event of this kind must have it.
    #[error("an event of this kind needs `{0}`")]
    Absent(&'static str),
    /// A file of the tree before cannot be read.
    #[error("`{0}` in the record cannot be read")]
    Unreadable(String, #[source] serde_json::Error),
    /// The event cannot be written.
    #[error("the event cannot be written")]
    Canonical(#[from] CanonicalError),
}

/// The bytes of a file of the record: canonical JSON and a newline.
///
/// # Errors
/// A number that has no canonical form.
pub fn file<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let mut bytes = json::canonical(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What `event` changes in the tree before it. `status` is the module's status file there, if it has one.
///
/// # Errors
/// See [`FoldError`].
pub fn fold(event: &Event, status: Option<&[u8]>) -> Result<Vec<TreeEdit>, FoldError> {
    let mut edits = vec![TreeEdit::Put(EVENT.to_owned(), file(event)?)];
    if event.kind == Kind::Genesis {
        edits.push(TreeEdit::Put(FORMAT.to_owned(), FORMAT_TEXT.into()));
    }
    if event.kind == Kind::Policy {
        let policy = event.policy.ok_or(FoldError::Absent("policy"))?;
        edits.push(TreeEdit::Place(POLICY.to_owned(), policy));
        edits.push(match event.signers {
            Some(signers) => TreeEdit::Place(SIGNERS.to_owned(), signers),
            None => TreeEdit::Remove(SIGNERS.to_owned()),
        });
    }
    match event.kind {
        Kind::ApplyIntent => {
            let open = open_run(event)?;
            edits.push(TreeEdit::Put(open_path(&open.run), file(&open)?));
        }
        Kind::ApplyOutcome | Kind::Takeover => {
            let run = event.run.as_ref().ok_or(FoldError::Absent("run"))?;
            edits.push(TreeEdit::Remove(open_path(run)));
        }
        Kind::Genesis
        | Kind::Policy
        | Kind::ApplyNoop
        | Kind::LateOutcome
        | Kind::BreakGlass
        | Kind::Annotate
        | Kind::Recover => {}
    }
    if let Some(module) = &event.module {
        let path = status_path(module);
        let before: Option<ModuleStatus> = status
            .map(serde_json::from_slice)
            .transpose()
            .map_err(|error| FoldError::Unreadable(path.clone(), error))?;
        edits.push(TreeEdit::Put(path, file(&after(event, module, before)?)?));
    }
    Ok(edits)
}

fn open_run(event: &Event) -> Result<OpenRun, FoldError> {
    let lock = event.lock.as_ref().ok_or(FoldError::Absent("lock"))?;
    Ok(OpenRun {
        run: event.run.clone().ok_or(FoldError::Absent("run"))?,
        kind: event.kind.as_str().to_owned(),
        module: event.module.clone().ok_or(FoldError::Absent("module"))?,
        project: lock.project.clone(),
        host: event.host.clone().ok_or(FoldError::Absent("host"))?,
        scope: lock.scope.clone(),
        owner: format!("{} <{}>", event.actor.name, event.actor.email),
        opened: event.time,
        expires: lock.expires,
        fence: event.seq,
        nonce: lock.nonce.clone(),
    })
}

/// The module's status after `event`.
fn after(event: &Event, module: &ModuleId, before: Option<ModuleStatus>) -> Result<ModuleStatus, FoldError> {
    let host = event.host.clone().ok_or(FoldError::Absent("host"))?;
    let result = event.result.map(|result| result.as_str().to_owned());
    let last = LastEvent { kind: event.kind.as_str().to_owned(), result, seq: event.seq };
    let mut now = before.unwrap_or_else(|| ModuleStatus {
        schema: status::SCHEMA.to_owned(),
        module: module.clone(),
        host: host.clone(),
        last_apply_sha: None,
        last_apply_pr: None,
        last_apply_at: None,
        last_apply_host: None,
        last_apply_seq: None,
        closure: None,
        effective: None,
        services: BTreeMap::new(),
        last: last.clone(),
        newest_run: None,
        held: None,
    });
    now.host = host;
    now.last = last;
    if matches!(event.kind, Kind::ApplyIntent | Kind::ApplyNoop) {
        now.newest_run.clone_from(&event.run);
    }
    let applied = match (event.kind, event.result) {
        (Kind::ApplyNoop, _) | (Kind::ApplyOutcome, Some(Ending::Ok)) => true,
        (Kind::ApplyOutcome, Some(Ending::Failed | Ending::RolledBack)) => {
            now.held = Some(held(event)?);
            false
        }
        (Kind::ApplyOutcome, None) => return Err(FoldError::Absent("result")),
        (
            Kind::ApplyOutcome
            | Kind::ApplyIntent
            | Kind::Genesis
            | Kind::Policy
            | Kind::Takeover
            | Kind::LateOutcome
            | Kind::BreakGlass
            | Kind::Annotate
            | Kind::Recover,
            _,
        ) => false,
    };
    if applied {
        let approved = event.approved.as_ref().ok_or(FoldError::Absent("approved"))?;
        now.last_apply_sha = Some(approved.merge);
        now.last_apply_pr = Some(approved.pr);
        now.last_apply_at = Some(event.time);
        now.last_apply_host = Some(now.host.clone());
        now.last_apply_seq = Some(event.seq);
        now.closure = event.closure;
        now.effective = event.effective;
        now.held = None;
        if let Some(evidence) = &event.evidence {
            now.services = services(evidence);
        }
    }
    Ok(now)
}

fn held(event: &Event) -> Result<Held, FoldError> {
    Ok(Held {
        effective: event.effective.ok_or(FoldError::Absent("effective"))?,
        pr: event.approved.as_ref().ok_or(FoldError::Absent("approved"))?.pr,
        at: event.time,
        seq: event.seq,
    })
}

fn services(evidence: &Evidence) -> BTreeMap<String, ServiceStatus> {
    let seen = |container: &ContainerEvidence| {
        let status = ServiceStatus {
            image: container.image.clone(),
            state: container.state.clone(),
            health: container.health.clone(),
        };
        (container.service.clone(), status)
    };
    evidence.containers.iter().map(seen).collect()
}
