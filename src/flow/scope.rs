//! Scope: whether the approved pull request is about this module, and whether everything between the last apply and it was
//! reviewed too.

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::{Value, json};

use crate::{
    flow::{
        approve::{Approved, Forge},
        content::Content,
        repository::{self, Counted},
        stage::{Stage, Stop},
    },
    model::{
        approval::Style,
        digest::Digest,
        ids::{HostName, ModuleId, Oid},
        json,
        path::RepoPath,
        refusal::{Code, Refusal},
        status::ModuleStatus,
    },
    port::{Answer, PortError, Source},
};

/// What of the repository concerns a deployment at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The effective digest; `None` where the base wants no such deployment. A module that is not valid counts by its raw entries in the
    /// tree, and by the whole tree where it hides what it names.
    pub effective: Option<Digest>,
    /// The same, but of no more than is known to be named: whether a change is about this deployment.
    pub near: Option<Digest>,
    /// The module's effective digest, whether it runs on this host or not: what nobody reviewed while it ran elsewhere is not reviewed.
    content: Option<Digest>,
    /// The risks to data that its manifest accepts: what nobody reviewed accepts nothing.
    taken: Option<Digest>,
}

/// Standings by tree, each computed once.
pub struct Standings<'a> {
    source: &'a dyn Source,
    module: &'a ModuleId,
    host: Option<&'a HostName>,
    known: RefCell<BTreeMap<Oid, Standing>>,
}

impl<'a> Standings<'a> {
    /// Of a module on a host; without a host, wherever it runs. The host's entry is the policy's, which is proven by itself.
    pub fn new(source: &'a dyn Source, module: &'a ModuleId, host: Option<&'a HostName>) -> Self {
        Self { source, module, host, known: RefCell::default() }
    }

    /// The standing at a commit.
    ///
    /// # Errors
    /// Objects that cannot be read.
    pub fn at(&self, commit: Oid) -> Answer<Standing> {
        let tree = self.source.commit(commit)?.tree;
        if let Some(known) = self.known.borrow().get(&tree) {
            return Ok(known.clone());
        }
        let content = Content::lazy(self.source, tree);
        // What is refused as a whole, for instance a tree that git would not take, hides everything.
        let opaque = || -> Answer<_> {
            let digest = digest(&json!({"opaque": tree}))?;
            Ok(Some(Counted { hosts: None, effective: digest, near: digest, taken: digest }))
        };
        let counted = match repository::counted(&content, self.module) {
            Err(error) if error.code == Code::ContentRefused => opaque()?,
            counted => counted?,
        };
        let of = |digest: fn(&Counted) -> Digest| counted.as_ref().map(digest);
        // Where its hosts cannot be known it may run on any.
        let hosts = counted.as_ref().and_then(|counted| counted.hosts.as_ref());
        let here = self.host.is_none_or(|host| hosts.is_none_or(|hosts| hosts.contains(host)));
        let standing = Standing {
            effective: of(|counted| counted.effective).filter(|_| here),
            near: of(|counted| counted.near).filter(|_| here),
            content: of(|counted| counted.effective),
            taken: of(|counted| counted.taken),
        };
        self.known.borrow_mut().insert(tree, standing.clone());
        Ok(standing)
    }

    /// What is asked about, as people name it.
    fn name(&self) -> String {
        match self.host {
            Some(host) => format!("{} on {host}", self.module),
            None => self.module.to_string(),
        }
    }

    /// The paths of the module's files in some trees, and its own folder.
    fn paths(&self, trees: &[Oid]) -> Answer<Vec<RepoPath>> {
        let mut paths = vec![repository::fixed(&format!("modules/{}", self.module))?];
        for tree in trees {
            if let Some(Ok(module)) = repository::module(&Content::lazy(self.source, *tree), self.module)? {
                paths.extend(module.closure.files.into_iter().map(|file| file.path));
            }
        }
        Ok(paths)
    }

    fn differ(&self, a: Oid, b: Oid) -> Answer<bool> {
        Ok(self.at(a)? != self.at(b)?)
    }
}

fn digest(value: &Value) -> Answer<Digest> {
    json::digest(value).map_err(|error| {
        PortError::new(Code::Bug, "a digest has no canonical form", "please report this").because(error)
    })
}

/// Most commits that are looked at for the newest change of a module.
const LOOKED_AT: usize = 200;

/// What an approval covers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Pull requests, in the order they were merged.
    pub covers: Vec<u64>,
    /// Commits that a reviewed policy adopts.
    pub adopted: Vec<Oid>,
    /// What stood there before, on a first apply.
    pub baseline: Option<Digest>,
}

/// What the record says of a deployment, as far as an approval is judged by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Past {
    /// L: the merge result whose release runs, or ran last before a removal. Everything since has to be reviewed.
    pub applied: Option<Oid>,
    /// Merge results that an approval has to contain, or it is a replay: the newest one ever applied here, and the one that removed it.
    pub bounds: Vec<Oid>,
    /// The module's newest good apply on any host: where review begins for a host that the module is new on.
    pub elsewhere: Option<Oid>,
}

impl Past {
    /// Of a module on a host.
    pub fn of(status: Option<&ModuleStatus>, host: &HostName) -> Self {
        let here = status.and_then(|status| status.hosts.get(host));
        let newest = here.and_then(|here| here.newest.as_ref()).map(|newest| newest.merge);
        let removed = here.and_then(|here| here.removed.as_ref()).map(|removed| removed.merge);
        let running = here.and_then(|here| here.running.as_ref()).map(|running| running.merge);
        Self {
            // After a rollback what runs is older than what was newest: the next apply brings everything since what runs.
            applied: running.or(newest),
            bounds: newest.into_iter().chain(removed).collect(),
            elsewhere: status.and_then(|status| status.last_apply_sha),
        }
    }
}

/// Finds what an approval covers, from what was applied before.
///
/// # Errors
/// Out of scope, replayed, or with something in between that nobody reviewed.
pub fn scope(forge: &Forge<'_>, approved: &Approved, standings: &Standings<'_>, past: &Past) -> Stage<Scope> {
    for bound in &past.bounds {
        if let Some(refusal) = replayed(forge.source, approved, *bound)? {
            return Err(refusal.into());
        }
    }
    let merge = approved.relation().merge;
    let last = match (past.applied, past.elsewhere) {
        (Some(applied), _) => Some(applied),
        // New on this host: a change that nobody reviewed does not become reviewed by adding a host.
        (None, Some(elsewhere)) if contains(forge.source, merge, elsewhere)? => Some(elsewhere),
        (None, _) => None,
    };
    match last {
        None => first(forge, approved, standings),
        Some(last) => Walk { forge, standings, last, scope: Scope::default(), refusals: Vec::new() }.run(approved),
    }
}

/// Whether a commit that may not be there is an ancestor of another, or the same.
fn contains(source: &dyn Source, newer: Oid, older: Oid) -> Answer<bool> {
    Ok(newer == older || source.has(older)? && source.is_ancestor(older, newer)?)
}

fn first(forge: &Forge<'_>, approved: &Approved, standings: &Standings<'_>) -> Stage<Scope> {
    let relation = approved.relation();
    let before = standings.at(relation.base)?;
    if before.effective != standings.at(relation.merge)?.effective {
        return Ok(Scope { covers: vec![approved.pr()], adopted: Vec::new(), baseline: before.effective });
    }
    // A change that the policy adopts has no pull request of its own: the first one after it brings it.
    if let Some((at, parent)) = newest_change(forge, standings, relation.merge)?
        && forge.adopt.contains(&at)
    {
        let baseline = standings.at(parent)?.effective;
        return Ok(Scope { covers: vec![approved.pr()], adopted: vec![at], baseline });
    }
    Err(Refusal::new(
        Code::NeverChangedByPr,
        format!("{} was never applied, and PR #{} does not change it", standings.name(), approved.pr()),
        format!("apply the pull request that brought {}, or merge one that changes it", standings.module),
    )
    .into())
}

/// The newest commit at or below `from` that changed the module, and its parent.
fn newest_change(forge: &Forge<'_>, standings: &Standings<'_>, from: Oid) -> Answer<Option<(Oid, Oid)>> {
    let mut at = from;
    for _ in 0..LOOKED_AT {
        let Some(parent) = forge.source.commit(at)?.parents.first().copied() else { break };
        if standings.at(at)?.effective != standings.at(parent)?.effective {
            return Ok(Some((at, parent)));
        }
        at = parent;
    }
    Ok(None)
}

fn replayed(source: &dyn Source, approved: &Approved, bound: Oid) -> Answer<Option<Refusal>> {
    let merge = approved.relation().merge;
    if contains(source, merge, bound)? {
        return Ok(None);
    }
    let fact = format!("PR #{} ({merge}) does not contain what was applied already ({bound})", approved.pr());
    let fix = "apply a newer pull request; to go back, merge a pull request that reverts, and apply that";
    Ok(Some(Refusal::new(Code::Replay, fact, fix)))
}

struct Walk<'a> {
    forge: &'a Forge<'a>,
    standings: &'a Standings<'a>,
    last: Oid,
    scope: Scope,
    refusals: Vec<Refusal>,
}

impl Walk<'_> {
    /// From M down the first-parent chain to L, one proven pull request after another.
    fn run(mut self, approved: &Approved) -> Stage<Scope> {
        let top = approved.relation().merge;
        let mut at = top;
        // Whether what is looked at may still belong to a pull request that the base was fast-forwarded to.
        let mut above = Style::Merge;
        if at != self.last {
            at = self.cover(approved, true)?;
            above = approved.relation().style;
        } else {
            self.scope.covers.push(approved.pr());
        }
        while at != self.last {
            let commit = self.forge.source.commit(at)?;
            let Some(parent) = commit.parents.first().copied() else {
                let fact = format!("the base no longer contains what is applied ({})", self.last);
                return Err(Refusal::new(Code::Replay, fact, "find out who rewrote the base branch").into());
            };
            if commit.parents.len() > 1 {
                above = Style::Merge;
            }
            if !self.standings.differ(parent, at)? {
                at = parent;
                continue;
            }
            if self.forge.adopt.contains(&at) {
                self.scope.adopted.push(at);
                at = parent;
                continue;
            }
            match self.forge.brought_by(at, top) {
                Ok(proven) => {
                    above = proven.relation().style;
                    at = self.cover(&proven, false)?;
                }
                // What a fast-forward brought has no end that git could tell: it is weak as a whole, and says so.
                Err(Stop::Refused(_)) if above == Style::FastForward && self.forge.styles.contains(&above) => {
                    at = parent;
                }
                Err(Stop::Refused(reasons)) => {
                    self.unreviewed(at, parent, &reasons)?;
                    at = parent;
                }
                Err(world) => return Err(world),
            }
        }
        if !self.refusals.is_empty() {
            return Err(Stop::Refused(self.refusals));
        }
        self.scope.covers.reverse();
        self.scope.adopted.reverse();
        Ok(self.scope)
    }

    /// Takes a proven pull request; returns where to go on.
    fn cover(&mut self, proven: &Approved, always: bool) -> Answer<Oid> {
        let relation = proven.relation();
        if always || self.standings.differ(relation.base, relation.merge)? {
            self.scope.covers.push(proven.pr());
        }
        if !self.forge.styles.contains(&relation.style) {
            self.scope.adopted.push(relation.merge);
        }
        // L may lie among the commits of a rebase: never walk past it.
        let range = self.forge.source.first_parents(relation.merge, Some(relation.base))?;
        Ok(if range.contains(&self.last) { self.last } else { relation.base })
    }

    fn unreviewed(&mut self, at: Oid, parent: Oid, reasons: &[Refusal]) -> Answer<()> {
        let source = self.forge.source;
        let module = self.standings.module;
        let (old, new) = (source.commit(parent)?.tree, source.commit(at)?.tree);
        // What is the module's own, so that a commit which changes much besides hides nothing of it.
        let diff = source.diff(old, new, &self.standings.paths(&[old, new])?, 20)?;
        self.refusals.push(Refusal::new(
            Code::UnreviewedChange,
            format!("{at} changed {module} on the base and no pull request proves it ({}):\n{diff}", reason(reasons)),
            format!("review it, then list it in platform.yaml by a pull request: approval.adopt: [{at}]"),
        ));
        Ok(())
    }
}

/// Why nothing proves a commit, in few words.
pub(super) fn reason(reasons: &[Refusal]) -> &'static str {
    match reasons.first().map(|reason| reason.code) {
        Some(Code::NoPullRef) | None => "no pull request leads to it",
        Some(Code::EvilMerge) => "it is not what its pull request gives",
        Some(Code::StyleNotAllowed) => "approval.styles does not list the way it was merged",
        Some(Code::UnreviewedChange) => "it repeats what was merged before",
        Some(Code::AmbiguousPr) => "several pull requests could be meant",
        Some(code) => code.meaning(),
    }
}

/// A newer commit of the base that changed the module already, unless there is none.
///
/// # Errors
/// Objects that cannot be read.
pub fn superseded(forge: &Forge<'_>, approved: &Approved, standings: &Standings<'_>) -> Answer<Option<Refusal>> {
    let merge = approved.relation().merge;
    for id in forge.source.first_parents(forge.base, Some(merge))? {
        let parent = forge.source.commit(id)?.parents.first().copied();
        let Some(parent) = parent else { break };
        // The policy is always that of the tip: a newer entry of its host supersedes no content.
        if standings.at(parent)?.effective != standings.at(id)?.effective {
            let older = approved.pr();
            let (newer, fix) = match forge.brought_by(id, forge.base) {
                Ok(newer) => {
                    let fix = format!("apply #{0}, it contains #{older}: --pr {0}; or say --allow-older", newer.pr());
                    (format!("#{}, {}", newer.pr(), newer.relation().merge), fix)
                }
                Err(Stop::Refused(reasons)) => (
                    format!("{id}, which no pull request proves ({})", reason(&reasons)),
                    format!(
                        "revert it by a pull request, or review it and adopt it: approval.adopt: [{id}]; \
                         to apply #{older} without it, say --allow-older"
                    ),
                ),
                Err(Stop::World(error)) => return Err(error),
            };
            return Ok(Some(Refusal::new(
                Code::Superseded,
                format!("a newer change of {} is on the base: {newer}", standings.name()),
                fix,
            )));
        }
    }
    Ok(None)
}
