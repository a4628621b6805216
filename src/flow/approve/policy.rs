//! Policy: decides which policy is in force. It is the recorded one; a newer one at P comes into force only if every
//! change of its files since then is a pull request that is proven under the rules in force before it, or is adopted by
//! a policy that is itself proven.
//!
//! The walk ends at the newest commit of the base that has the recorded content: changes that were reverted before it
//! do not matter.

use crate::{
    flow::{
        Stage, Stop,
        approve::{Approved, candidates::Candidates, coverage::reason, witness::Witness},
    },
    ledger::{state::State, tree},
    model::{
        approval::{Approval, Style},
        ids::Oid,
        policy::{ApprovalPolicy, ApprovalSource, PATH, Policy, SIGNERS_PATH},
        refusal::{Code, Refusal},
    },
    port::{Answer, Mode, Source},
    tree::{manifests, module::PolicyAt, place, snapshot::Snapshot},
};

/// All merge styles: which of them count is decided by the rules in force before each change.
const ANY_STYLE: &[Style] = &[Style::Merge, Style::Squash, Style::Rebase, Style::RebaseMerge, Style::FastForward];

/// The policy that decides in this run, and why it may.
#[derive(Debug, Clone)]
#[must_use]
pub struct InForce {
    at: PolicyAt,
    commit: Oid,
    why: Why,
}

/// Why a policy is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The record has no policy yet: this one is the baseline for everything later. No review of it is proven.
    Baseline,
    /// The record already has this policy.
    Recorded,
    /// Pull requests that changed it since the recorded one are proven, the newest of them last; and these commits are
    /// adopted.
    Proven {
        /// The newest of them; `None` where every change is an adopted commit.
        approval: Option<Box<Approval>>,
        /// Commits that no pull request proves and that a policy in force adopts.
        adopted: Vec<Oid>,
    },
}

impl InForce {
    /// The policy.
    pub fn at(&self) -> &PolicyAt {
        &self.at
    }

    /// The commit of the base that it was read at.
    pub fn commit(&self) -> Oid {
        self.commit
    }

    /// Why it is in force.
    pub fn why(&self) -> &Why {
        &self.why
    }
}

/// The policy's files at a commit or in the record: what a change of the policy is a change of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Files {
    policy: Option<Oid>,
    signers: Option<Oid>,
}

fn files_at(source: &dyn Source, commit: Oid) -> Answer<Files> {
    let tree = source.commit(commit)?.tree;
    let blob = |path| -> Answer<Option<Oid>> {
        let entry = source.entry(tree, &place::fixed(path)?)?;
        Ok(entry.filter(|entry| matches!(entry.mode, Mode::File | Mode::Executable)).map(|entry| entry.id))
    };
    Ok(Files { policy: blob(PATH)?, signers: blob(SIGNERS_PATH)? })
}

/// The recorded policy, as files and as far as it can be read.
pub struct Recorded {
    files: Files,
    /// The parsed policy; `None` if this version cannot read it, and then the default rules apply.
    pub at: Option<PolicyAt>,
}

/// Reads the policy that the record has in force; `None` before the first one.
///
/// # Errors
/// The record cannot be read.
pub fn recorded(state: &State<'_>) -> Answer<Option<Recorded>> {
    let files = Files { policy: state.blob_id(tree::POLICY)?, signers: state.blob_id(tree::SIGNERS)? };
    let (Some(blob), Some(bytes)) = (files.policy, state.bytes(tree::POLICY)?) else {
        return Ok(None);
    };
    let at = Policy::parse(&bytes).ok().map(|policy| PolicyAt { policy, blob, signers: files.signers });
    Ok(Some(Recorded { files, at }))
}

/// The verdict on the policy at the tip of the base.
#[derive(Debug)]
pub enum Verdict {
    /// It is in force.
    InForce(Box<InForce>),
    /// Changes of its files that nothing proves: all of them, each with its diff.
    Unproven(Vec<Refusal>),
    /// The recorded policy was never on this base.
    Foreign(Refusal),
}

/// Judges the policy at the tip of the base against the recorded one. `newest` is what the tip has, already read.
///
/// # Errors
/// Objects that cannot be read, or a remote that gave no answer.
pub fn judge(candidates: &Candidates<'_>, before: Option<&Recorded>, newest: PolicyAt) -> Stage<Verdict> {
    let commit = candidates.base;
    let why = match before {
        None => Why::Baseline,
        Some(before) if before.files == files_at(candidates.source, commit)? => Why::Recorded,
        Some(before) => match changes(candidates, before.files)? {
            Some(changes) => match prove(candidates, before, changes)? {
                Ok(why) => why,
                Err(refusals) => return Ok(Verdict::Unproven(refusals)),
            },
            None => {
                return Ok(Verdict::Foreign(Refusal::new(
                    Code::UnreviewedPolicy,
                    "the recorded policy was never on this base branch",
                    "find out who rewrote the base branch or the record; `platformctl help recovery`",
                )));
            }
        },
    };
    Ok(Verdict::InForce(Box::new(InForce { at: newest, commit, why })))
}

/// One change of the policy's files on the base.
enum Change {
    /// A pull request, whichever way it was merged.
    Pull(Box<Approved>),
    /// A commit that no pull request proves, its parent, and why not.
    Alone { at: Oid, parent: Oid, why: &'static str },
}

fn prove(candidates: &Candidates<'_>, before: &Recorded, changes: Vec<Change>) -> Answer<Result<Why, Vec<Refusal>>> {
    let source = candidates.source;
    let mut walk = Walk {
        source,
        witness: candidates.witness,
        rules: before.at.as_ref().map_or_else(ApprovalPolicy::default, |at| at.policy.approval.clone()),
        open: Vec::new(),
        run: 0,
        covers: Vec::new(),
        adopted: Vec::new(),
        newest: None,
        unreviewed: Vec::new(),
        silent: None,
    };
    for change in changes.into_iter().rev() {
        walk.take(change)?;
    }
    let Walk { open, covers, adopted, newest, unreviewed: mut refusals, silent, .. } = walk;
    if let (false, Some(silent)) = (open.is_empty(), silent) {
        return Ok(Err(vec![silent]));
    }
    if !open.is_empty() {
        refusals.extend(open.into_iter().map(|one| unreviewed(source, one)).collect::<Answer<Vec<_>>>()?);
        return Ok(Err(refusals));
    }
    let approval = newest.map(|pull| Box::new(pull.recorded(covers, adopted.clone())));
    Ok(Ok(Why::Proven { approval, adopted }))
}

/// A walk from the recorded policy to the tip, one change at a time.
struct Walk<'a> {
    source: &'a dyn Source,
    witness: Option<Witness<'a>>,
    /// The rules in force before the next change.
    rules: ApprovalPolicy,
    /// Changes that nothing proves, and that no proven policy adopted yet.
    open: Vec<(Oid, Oid, &'static str)>,
    /// How many of the last changes were open commits with one parent: a fast-forward may have brought them.
    run: usize,
    covers: Vec<u64>,
    adopted: Vec<Oid>,
    newest: Option<Approved>,
    /// Why the forge's word does not suffice for changes that are still open.
    unreviewed: Vec<Refusal>,
    /// Why the forge gave no word: whether a change is reviewed is then not known.
    silent: Option<Refusal>,
}

impl Walk<'_> {
    fn take(&mut self, change: Change) -> Answer<()> {
        let run = std::mem::take(&mut self.run);
        match change {
            Change::Alone { at, .. } if self.rules.adopt.contains(&at) => {
                self.adopted.push(at);
                self.follow(at)
            }
            Change::Alone { at, parent, why } => {
                self.run = if self.source.commit(at)?.parents.len() == 1 { run + 1 } else { 0 };
                self.open.push((at, parent, why));
                Ok(())
            }
            Change::Pull(pull) => {
                let (merge, base, style) = (pull.relation().merge, pull.relation().base, pull.relation().style);
                // With the forge's word a fast-forward is as strong as the other styles.
                let told = self.rules.source == ApprovalSource::Forgejo && style == Style::FastForward;
                let listed = told || self.rules.styles.contains(&style);
                if !listed && !self.rules.adopt.contains(&merge) {
                    let parent = self.source.commit(merge)?.parents.first().copied();
                    let why = "approval.styles of the policy before it does not list the way it was merged";
                    self.open.push((merge, parent.unwrap_or(base), why));
                    return Ok(());
                }
                let Some(pull) = self.reviewed(*pull)? else { return Ok(()) };
                if pull.relation().confirmed {
                    // The forge tells where the fast-forward began: what it brought is reviewed with it.
                    let brought = self.source.first_parents(merge, Some(pull.relation().base))?;
                    self.open.retain(|(at, ..)| !brought.contains(at));
                } else if listed && style == Style::FastForward {
                    // Git cannot tell where a fast-forward began: if the rules allow one, all of it counts as weakly
                    // proven.
                    self.open.truncate(self.open.len().saturating_sub(run));
                }
                self.covers.push(pull.pr());
                self.newest = Some(pull);
                self.follow(merge)
            }
        }
    }

    /// The change with the forge's word, where the rules before it want that; `None` if it does not suffice: then the
    /// change stays open.
    fn reviewed(&mut self, pull: Approved) -> Answer<Option<Approved>> {
        let merge = pull.relation().merge;
        let wanted = self.rules.source == ApprovalSource::Forgejo && !self.rules.adopt.contains(&merge);
        let Some(witness) = self.witness.filter(|_| wanted) else { return Ok(Some(pull)) };
        let witness = Witness { rules: &self.rules, ..witness };
        let mut relation = pull.relation().clone();
        let mut refusals = Vec::new();
        if relation.style == Style::FastForward {
            match witness.fast_forward(self.source, pull.pr(), &relation) {
                Ok(Ok(confirmed)) => relation = confirmed,
                Ok(Err(refusal)) => refusals.push(refusal),
                Err(error) => self.silent = Some(error.into_refusal()),
            }
        }
        if refusals.is_empty() && self.silent.is_none() {
            match witness.word(self.source, pull.pr(), &relation, true) {
                Ok(Ok(word)) => return Ok(Some(pull.with(relation, word))),
                Ok(Err(found)) => refusals.extend(found),
                Err(error) => self.silent = Some(error.into_refusal()),
            }
        }
        self.unreviewed.extend(refusals);
        let parent = self.source.commit(merge)?.parents.first().copied();
        self.open.push((merge, parent.unwrap_or(relation.base), "the forge's word does not suffice"));
        Ok(None)
    }

    /// Follows a proven policy: it adopts open changes below it, and is in force once none is open.
    fn follow(&mut self, at: Oid) -> Answer<()> {
        let snapshot = Snapshot::lazy(self.source, self.source.commit(at)?.tree);
        let Ok(found) = manifests::policy(&snapshot)? else { return Ok(()) };
        let approval = found.policy.approval;
        let adopted = &mut self.adopted;
        self.open.retain(|(commit, ..)| {
            let taken = approval.adopt.contains(commit);
            adopted.extend(taken.then_some(*commit));
            !taken
        });
        if self.open.is_empty() {
            self.rules = approval;
        }
        Ok(())
    }
}

/// The changes of the policy's files from the tip of the base down to where they are `known`, newest first; `None`
/// where they never are.
fn changes(candidates: &Candidates<'_>, known: Files) -> Stage<Option<Vec<Change>>> {
    let candidates = Candidates { styles: ANY_STYLE, adopt: &[], witness: None, glass: None, ..*candidates };
    let mut changes = Vec::new();
    let mut at = candidates.base;
    let mut here = files_at(candidates.source, at)?;
    while here != known {
        let Some(parent) = candidates.source.commit(at)?.parents.first().copied() else {
            return Ok(None);
        };
        let below = files_at(candidates.source, parent)?;
        if below == here {
            at = parent;
            continue;
        }
        match candidates.brought_by(at, candidates.base) {
            Ok(pull) => {
                // The recorded policy may lie in the middle of a rebase: the walk never goes past it.
                let inside = candidates.source.first_parents(pull.relation().merge, Some(pull.relation().base))?;
                at = pull.relation().base;
                for commit in inside {
                    if files_at(candidates.source, commit)? == known {
                        at = commit;
                        break;
                    }
                }
                changes.push(Change::Pull(Box::new(pull)));
            }
            Err(Stop::Refused(reasons)) => {
                changes.push(Change::Alone { at, parent, why: reason(&reasons) });
                at = parent;
            }
            Err(failed) => return Err(failed),
        }
        here = files_at(candidates.source, at)?;
    }
    Ok(Some(changes))
}

fn unreviewed(source: &dyn Source, (at, parent, why): (Oid, Oid, &str)) -> Answer<Refusal> {
    let files = [place::fixed(PATH)?, place::fixed(SIGNERS_PATH)?];
    let diff = source.diff(source.commit(parent)?.tree, source.commit(at)?.tree, &files, 30)?;
    Ok(Refusal::new(
        Code::UnreviewedPolicy,
        format!("{at} changed {PATH} or {SIGNERS_PATH} on the base and no pull request proves it ({why}):\n{diff}"),
        format!("revert it, or accept it, by a pull request that lists it in {PATH}: approval.adopt: [{at}]"),
    ))
}
