//! Fold: what an event changes in the tree before it. A pure function of the event and of the files that [`reads`]
//! names.
//!
//! An event about a deployment touches that deployment's entry alone; only a move touches two.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};

use super::{
    event::{Event, Kind},
    tree::{self, file},
};
use crate::{
    model::{
        alarm::{Alarms, Telling},
        approval::Approval,
        ending::Ending,
        ids::{Deployment, HostName, ModuleId},
        json::CanonicalError,
        status::{
            self, BrokenGlass, Failed, GLASS_MAX, HostRecord, HostStatus, LastEvent, Mark, ModuleStatus, Newest,
            Observation, OpenRun, Removed, Running, ServiceStatus,
        },
    },
    port::TreeEdit,
};

/// Files of the tree before, by path.
pub type Files = BTreeMap<String, Vec<u8>>;

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

type Folded<T> = Result<T, FoldError>;

/// The paths of the files that the fold of an event reads, if they exist.
pub fn reads(event: &Event) -> Vec<String> {
    let mut paths: Vec<String> =
        touched(event).iter().map(|deployment| tree::status_path(&deployment.module)).collect();
    paths.extend(whole_host(event).map(tree::host_path));
    paths.extend(alarmed(event).map(|(deployment, _)| tree::alarms_path(&deployment)));
    paths.sort();
    paths.dedup();
    paths
}

/// The deployments whose entries an event may change.
fn touched(event: &Event) -> Vec<Deployment> {
    // What people are told is kept beside the deployment's entry: no intent is planned again because of it.
    if event.alarm.is_some() {
        return Vec::new();
    }
    event.from.iter().cloned().chain(event.deployment()).collect()
}

/// The host that an event concerns, if it concerns no module.
fn whole_host(event: &Event) -> Option<&HostName> {
    let whole = matches!(event.kind, Kind::Prune | Kind::Heartbeat) && event.module.is_none();
    event.host.as_ref().filter(|_| whole)
}

/// What an event tells of a deployment.
fn alarmed(event: &Event) -> Option<(Deployment, &Telling)> {
    event.deployment().zip(event.alarm.as_ref())
}

/// What `event` changes in the tree before it, of which `before` has the files that [`reads`] names.
///
/// # Errors
/// See [`FoldError`].
pub fn fold(event: &Event, before: &Files) -> Folded<Vec<TreeEdit>> {
    let mut edits = vec![TreeEdit::Put(tree::EVENT.to_owned(), file(event)?)];
    match event.kind {
        Kind::Genesis => edits.push(TreeEdit::Put(tree::FORMAT.to_owned(), tree::FORMAT_TEXT.into())),
        Kind::Policy => {
            let policy = event.policy.ok_or(FoldError::Absent("policy"))?;
            edits.push(TreeEdit::Place(tree::POLICY.to_owned(), policy));
            edits.push(match event.signers {
                Some(signers) => TreeEdit::Place(tree::SIGNERS.to_owned(), signers),
                None => TreeEdit::Remove(tree::SIGNERS.to_owned()),
            });
        }
        Kind::ApplyIntent | Kind::RollbackIntent | Kind::RemoveIntent => {
            let open = open_run(event)?;
            edits.push(TreeEdit::Put(tree::open_path(&open.run), file(&open)?));
        }
        Kind::ApplyOutcome | Kind::RollbackOutcome | Kind::RemoveOutcome | Kind::Takeover => {
            let run = event.run.as_ref().ok_or(FoldError::Absent("run"))?;
            edits.push(TreeEdit::Remove(tree::open_path(run)));
        }
        Kind::ApplyNoop
        | Kind::Adopt
        | Kind::Move
        | Kind::Prune
        | Kind::Observe
        | Kind::LateOutcome
        | Kind::BreakGlass
        | Kind::Annotate
        | Kind::Recover
        | Kind::Heartbeat => {}
    }
    let mut modules = Modules { before, now: BTreeMap::new() };
    if let Some((deployment, step)) = alarmed(event) {
        let path = tree::alarms_path(&deployment);
        let mut alarms: Alarms = read(before, &path)?.unwrap_or_else(|| Alarms::new(&deployment));
        alarms.follow(step, event.time, event.seq);
        edits.push(match alarms.alarms.is_empty() {
            true => TreeEdit::Remove(path),
            false => TreeEdit::Put(path, file(&alarms)?),
        });
    } else if let Some(deployment) = event.deployment() {
        match &event.from {
            Some(from) => moved(event, &mut modules, from, &deployment)?,
            None => {
                let module = modules.of(&deployment.module)?;
                let entry = module.hosts.entry(deployment.host).or_insert_with(|| HostStatus::new(last(event)));
                entry.last = last(event);
                if after(event, entry)? {
                    applied(event, module)?;
                }
            }
        }
    }
    for (id, module) in &modules.now {
        edits.push(TreeEdit::Put(tree::status_path(id), file(module)?));
    }
    if let Some(host) = whole_host(event) {
        let path = tree::host_path(host);
        edits.push(TreeEdit::Put(path.clone(), file(&of_host(event, host, read(before, &path)?))?));
    }
    Ok(edits)
}

/// The statuses that an event touches.
struct Modules<'a> {
    before: &'a Files,
    now: BTreeMap<ModuleId, ModuleStatus>,
}

impl Modules<'_> {
    fn of(&mut self, id: &ModuleId) -> Folded<&mut ModuleStatus> {
        if !self.now.contains_key(id) {
            let known = read(self.before, &tree::status_path(id))?;
            self.now.insert(id.clone(), known.unwrap_or_else(|| ModuleStatus::new(id)));
        }
        self.now.get_mut(id).ok_or(FoldError::Absent("module"))
    }
}

fn read<T: DeserializeOwned + Serialize>(before: &Files, path: &str) -> Folded<Option<T>> {
    let bytes = before.get(path);
    bytes
        .map(|bytes| serde_json::from_slice(bytes))
        .transpose()
        .map_err(|error| FoldError::Unreadable(path.to_owned(), error))
}

fn last(event: &Event) -> LastEvent {
    let result = event.result.map(|result| result.as_str().to_owned());
    LastEvent { kind: event.kind.as_str().to_owned(), result, seq: event.seq }
}

fn open_run(event: &Event) -> Folded<OpenRun> {
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

/// The deployment's entry after `event`; whether that is a good apply.
fn after(event: &Event, entry: &mut HostStatus) -> Folded<bool> {
    if event.kind.begins() {
        entry.newest_run.clone_from(&event.run);
    }
    glass(event, entry)?;
    match (event.kind, event.result) {
        (Kind::ApplyNoop | Kind::Adopt, _) | (Kind::ApplyOutcome, Some(Ending::Ok)) => {
            let running = running(event)?;
            entry.newest = Some(Newest { merge: running.merge, pr: running.pr, seq: running.seq });
            if event.retry {
                entry.failed.retain(|failed| failed.effective != running.effective);
            }
            runs(event, entry, running);
            Ok(true)
        }
        (Kind::RollbackOutcome, Some(Ending::Ok)) => {
            let running = running(event)?;
            // The release that is left was rolled back here. The bound against replay does not move.
            if let Some(old) = entry.running.take().filter(|old| old.effective != running.effective) {
                let (at, seq) = (event.time, event.seq);
                entry.add_failed(Failed { effective: old.effective, pr: old.pr, at, seq, rolled_back: true });
            }
            runs(event, entry, running);
            Ok(false)
        }
        (Kind::RemoveOutcome, Some(Ending::Ok)) => {
            let Approval { pr, merge, .. } = *approved(event)?;
            entry.removed = Some(Removed { at: event.time, seq: event.seq, pr, merge });
            entry.running = None;
            entry.services = BTreeMap::new();
            entry.observed = None;
            Ok(false)
        }
        // A removal concerns no release: if it fails, no release is held.
        (Kind::ApplyOutcome | Kind::RollbackOutcome | Kind::LateOutcome, Some(Ending::Failed | Ending::RolledBack)) => {
            if let Some(effective) = event.effective {
                let pr = approved(event)?.pr;
                let rolled_back = event.result == Some(Ending::RolledBack);
                entry.add_failed(Failed { effective, pr, at: event.time, seq: event.seq, rolled_back });
            }
            Ok(false)
        }
        (Kind::ApplyOutcome | Kind::RollbackOutcome | Kind::RemoveOutcome, None) => Err(FoldError::Absent("result")),
        (Kind::Observe, _) => {
            let findings = event.findings.clone().ok_or(FoldError::Absent("findings"))?;
            let earlier = entry.observed.take().filter(|old| !old.findings.is_empty() && !findings.is_empty());
            let since = earlier.map(|old| old.since.unwrap_or(old.at));
            entry.observed = Some(Observation { at: event.time, seq: event.seq, findings, since });
            Ok(false)
        }
        (
            Kind::ApplyOutcome
            | Kind::RollbackOutcome
            | Kind::RemoveOutcome
            | Kind::LateOutcome
            | Kind::ApplyIntent
            | Kind::RollbackIntent
            | Kind::RemoveIntent
            | Kind::Genesis
            | Kind::Policy
            | Kind::Move
            | Kind::Prune
            | Kind::Takeover
            | Kind::BreakGlass
            | Kind::Annotate
            | Kind::Recover
            | Kind::Heartbeat,
            _,
        ) => Ok(false),
    }
}

/// What was brought with break-glass, before what runs is known to have changed.
fn glass(event: &Event, entry: &mut HostStatus) -> Folded<()> {
    let own = |broken: &BrokenGlass| Some(&broken.run) == event.run.as_ref();
    match (event.kind, event.result) {
        (Kind::ApplyIntent, _) if event.glass.is_some() => {
            let Approval { pr, merge, .. } = *approved(event)?;
            // Review begins again where it ended before the first of them.
            let before = match entry.glass.first() {
                Some(first) => first.before,
                None => entry.running.as_ref().map(|running| running.merge),
            };
            entry.glass.push(BrokenGlass {
                run: event.run.clone().ok_or(FoldError::Absent("run"))?,
                at: event.time,
                seq: event.seq,
                until: event.until.ok_or(FoldError::Absent("until"))?,
                pr,
                merge,
                before,
                waived: event.waived.clone(),
                reason: event.reason.clone().ok_or(FoldError::Absent("reason"))?,
            });
            if entry.glass.len() > GLASS_MAX {
                entry.glass.remove(1);
            }
        }
        // Nothing was touched.
        (Kind::ApplyOutcome, Some(Ending::Aborted)) => entry.glass.retain(|broken| !own(broken)),
        // What runs now was brought by this run: with break-glass, or it passed every gate.
        (Kind::ApplyOutcome, Some(Ending::Ok)) | (Kind::ApplyNoop | Kind::Adopt, _) => entry.glass.retain(own),
        (Kind::RemoveOutcome, Some(Ending::Ok)) => entry.glass.clear(),
        _ => {}
    }
    Ok(())
}

/// A release runs: it is not removed or moved away, and what was observed before is out of date.
fn runs(event: &Event, entry: &mut HostStatus, mut running: Running) {
    match &event.evidence {
        Some(evidence) => entry.services = ServiceStatus::all_of(evidence),
        // Nothing was changed: the images are still those of the release before.
        None => running.images = entry.running.take().map(|old| old.images).unwrap_or_default(),
    }
    entry.running = Some(running);
    entry.removed = None;
    entry.moved_to = None;
    entry.observed = None;
}

fn approved(event: &Event) -> Folded<&Approval> {
    event.approved.as_ref().ok_or(FoldError::Absent("approved"))
}

fn running(event: &Event) -> Folded<Running> {
    let Approval { pr, merge, .. } = *approved(event)?;
    let containers = event.evidence.iter().flat_map(|evidence| &evidence.containers);
    Ok(Running {
        merge,
        pr,
        at: event.time,
        seq: event.seq,
        closure: event.closure.ok_or(FoldError::Absent("closure"))?,
        effective: event.effective.ok_or(FoldError::Absent("effective"))?,
        images: containers.map(|container| (container.service.clone(), container.image.clone())).collect(),
    })
}

/// The first level of a module's status: its newest good apply on any host.
fn applied(event: &Event, module: &mut ModuleStatus) -> Folded<()> {
    let Approval { pr, merge, .. } = *approved(event)?;
    module.last_apply_sha = Some(merge);
    module.last_apply_pr = Some(pr);
    module.last_apply_at = Some(event.time);
    module.last_apply_host.clone_from(&event.host);
    module.last_apply_seq = Some(event.seq);
    Ok(())
}

/// A deployment continues as another one and takes the bound against replay with it. What runs moves with it if the
/// host is the same; on another host it stays until it is removed.
fn moved(event: &Event, modules: &mut Modules<'_>, from: &Deployment, to: &Deployment) -> Folded<()> {
    let module = modules.of(&from.module)?;
    let old = module.hosts.entry(from.host.clone()).or_insert_with(|| HostStatus::new(last(event)));
    old.last = last(event);
    old.moved_to = Some(to.clone());
    let mut gone = HostStatus::new(last(event));
    gone.newest.clone_from(&old.newest);
    if from.host == to.host {
        gone.running = old.running.take();
        gone.services = std::mem::take(&mut old.services);
        gone.failed = std::mem::take(&mut old.failed);
        gone.observed = old.observed.take();
        gone.glass = std::mem::take(&mut old.glass);
    }
    let module = modules.of(&to.module)?;
    // It may have been tried under its new name already: what failed there is not forgotten.
    let new = module.hosts.entry(to.host.clone()).or_insert_with(|| HostStatus::new(last(event)));
    let known = std::mem::take(&mut new.failed);
    gone.failed.extend(known);
    gone.failed.sort_by_key(|failed| failed.seq);
    std::mem::take(&mut gone.failed).into_iter().for_each(|one| gone.add_failed(one));
    gone.newest_run.clone_from(&event.run);
    let running = gone.running.clone();
    *new = gone;
    if let Some(running) = running.filter(|_| module.last_apply_seq.is_none()) {
        module.last_apply_sha = Some(running.merge);
        module.last_apply_pr = Some(running.pr);
        module.last_apply_at = Some(running.at);
        module.last_apply_host = Some(to.host.clone());
        module.last_apply_seq = Some(running.seq);
    }
    Ok(())
}

/// The status of a host after an event that concerns no module.
fn of_host(event: &Event, host: &HostName, before: Option<HostRecord>) -> HostRecord {
    let mark = Some(Mark { at: event.time, seq: event.seq });
    let mut now = before.unwrap_or_else(|| HostRecord {
        schema: status::HOST_SCHEMA.to_owned(),
        host: host.clone(),
        last: last(event),
        pruned: None,
        heartbeat: None,
    });
    now.last = last(event);
    if event.kind == Kind::Prune {
        now.pruned = mark;
    } else {
        now.heartbeat = mark;
    }
    now
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::status::FAILED_MAX;
    use crate::{
        ledger::event::{Actor, Lock},
        model::{approval::Style, digest::Digest, ids::Oid, time::Timestamp},
    };

    /// An event of a kind about one of four deployments, of one of a few releases.
    fn event(seq: u64, (kind, module, host, pr, result, retry): (usize, bool, bool, u8, usize, bool)) -> Event {
        let at = Timestamp::from_unix_s(1_790_000_000 + i64::try_from(seq).unwrap());
        let actor = Actor { name: "Ola".into(), email: "ola@example.org".into(), key: None, via: None };
        let mut event = Event::draft(Kind::ALL[kind % Kind::ALL.len()], at, actor);
        let id = Oid::from_bytes([pr; 20]);
        event.seq = seq;
        event.run = Some(format!("20261122T101530Z-{seq:08x}").parse().unwrap());
        event.module = Some(if module { "one" } else { "two" }.parse().unwrap());
        event.host = Some(if host { "a" } else { "b" }.parse().unwrap());
        event.approved = Some(Approval {
            pr: pr.into(),
            head: id,
            merge: id,
            tree: id,
            style: Style::Merge,
            base: id,
            covers: vec![pr.into()],
            weak: false,
            adopted: Vec::new(),
            baseline: None,
            reviews: Vec::new(),
            forge: None,
            server_signed: false,
        });
        (event.closure, event.effective) = (Some(Digest::of(&[pr])), Some(Digest::of(&[pr, pr])));
        (event.policy, event.findings, event.retry) = (Some(id), Some(Vec::new()), retry);
        event.lock = Some(Lock {
            project: None,
            scope: serde_json::from_value("s".into()).unwrap(),
            expires: at,
            nonce: "n".into(),
        });
        let ends = event.kind.closes() || event.kind == Kind::LateOutcome;
        let results = [Ending::Ok, Ending::Failed, Ending::RolledBack, Ending::Aborted];
        event.result = Some(results[result % results.len()]).filter(|_| ends);
        if event.kind == Kind::Move {
            let from = (if pr.is_multiple_of(2) { "one" } else { "two" }, if retry { "a" } else { "b" });
            event.from = Some(format!("{}@{}", from.0, from.1).parse().unwrap());
        }
        event
    }

    fn statuses(files: &Files) -> BTreeMap<Deployment, HostStatus> {
        let mut all = BTreeMap::new();
        for (_, bytes) in files.iter().filter(|(path, _)| path.starts_with("modules/")) {
            let module: ModuleStatus = serde_json::from_slice(bytes).unwrap();
            all.extend(module.hosts.into_iter().map(|(host, status)| (Deployment::new(&module.module, &host), status)));
        }
        all
    }

    #[test]
    fn the_newest_failures_are_kept() {
        let mut files = Files::new();
        let outcome = Kind::ALL.iter().position(|kind| *kind == Kind::ApplyOutcome).unwrap();
        let prs: Vec<u8> = (0..12).chain([7]).collect();
        for (seq, pr) in prs.into_iter().enumerate() {
            let event = event(seq as u64, (outcome, true, true, pr, 1, false));
            for edit in fold(&event, &files).unwrap() {
                if let TreeEdit::Put(path, bytes) = edit {
                    files.insert(path, bytes);
                }
            }
        }
        let status = statuses(&files).remove(&"one@a".parse().unwrap()).unwrap();
        let kept: Vec<u64> = status.failed.iter().map(|failed| failed.pr).collect();
        assert_eq!(kept, [4, 5, 6, 8, 9, 10, 11, 7], "the oldest are dropped, and what fails again is the newest");
        assert_eq!(status.unsettled().map(|failed| failed.pr), Some(7));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        /// Whatever is recorded: the fold is pure, an event touches no other deployment, the bound against replay never
        /// goes back, at most eight failures are kept, none twice, and only a retry that ended well makes the record
        /// forget one.
        #[test]
        fn laws_of_a_deployment(
            events in prop::collection::vec((0..64_usize, any::<bool>(), any::<bool>(), 0..12_u8, 0..4_usize, any::<bool>()), 1..40)
        ) {
            let mut files = Files::new();
            for (seq, parts) in events.into_iter().enumerate() {
                let event = event(seq as u64, parts);
                let own = event.deployment().unwrap();
                // What a move goes to was never applied, and is another deployment, as `meaning.rs` sees to.
                if event.from.as_ref() == Some(&own)
                    || event.from.is_some() && statuses(&files).get(&own).is_some_and(|own| own.newest.is_some())
                {
                    continue;
                }
                let read = |files: &Files| -> Files {
                    reads(&event).into_iter().filter_map(|path| Some((path.clone(), files.get(&path)?.clone()))).collect()
                };
                let edits = fold(&event, &read(&files)).unwrap();
                prop_assert_eq!(&edits, &fold(&event, &read(&files)).unwrap());
                let mut more = files.clone();
                more.insert("modules/other.status.json".into(), b"not read".to_vec());
                prop_assert_eq!(&edits, &fold(&event, &more).unwrap(), "what is not read does not count");
                let before = statuses(&files);
                for edit in edits {
                    if let TreeEdit::Put(path, bytes) = edit {
                        files.insert(path, bytes);
                    }
                }
                let now = statuses(&files);
                for (deployment, old) in &before {
                    let new = &now[deployment];
                    if *deployment != own && event.from.as_ref() != Some(deployment) {
                        prop_assert_eq!(old, new, "{} is not about {}", event.kind.as_str(), deployment);
                    }
                    let seq = |status: &HostStatus| status.newest.as_ref().map(|newest| newest.seq);
                    prop_assert!(seq(new) >= seq(old), "{}: newest went back", event.kind.as_str());
                    let moved = event.from.as_ref() == Some(deployment);
                    let retried = event.retry && event.kind == Kind::ApplyOutcome && event.result == Some(Ending::Ok);
                    let noop = event.retry && [Kind::ApplyNoop, Kind::Adopt].contains(&event.kind);
                    let full = new.failed.len() == FAILED_MAX;
                    for failed in old.failed.iter().filter(|_| !moved && !full) {
                        let same = Some(failed.effective) == event.effective && (retried || noop);
                        prop_assert!(same || new.failure_of(failed.effective).is_some(), "{}", event.kind.as_str());
                    }
                }
                for status in now.values() {
                    prop_assert!(status.failed.len() <= FAILED_MAX);
                    let digests: std::collections::BTreeSet<_> = status.failed.iter().map(|failed| failed.effective).collect();
                    prop_assert_eq!(digests.len(), status.failed.len());
                    prop_assert!(status.running.is_none() || status.removed.is_none());
                }
            }
        }
    }
}
