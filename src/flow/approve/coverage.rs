//! Coverage: whether the approved pull request is about this module, and whether everything between the last apply and
//! it was reviewed too.

use crate::{
    flow::{
        Stage, Stop,
        approve::{Approved, Candidates, relation::Relation},
    },
    model::{
        approval::Style,
        digest::Digest,
        forge::CountedReview,
        glass::{Waived, sorted},
        ids::{HostName, Oid},
        refusal::{Code, Refusal},
        status::{BrokenGlass, HostStatus, ModuleStatus},
    },
    port::{Answer, Source},
    tree::footprint::Footprints,
};

/// Most commits that are looked at for the newest change of a module.
const LOOKED_AT: usize = 200;

/// What an approval covers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Pull requests, in the order they were merged.
    pub covers: Vec<u64>,
    /// Commits that a reviewed policy adopts.
    pub adopted: Vec<Oid>,
    /// What stood there before, on a first apply.
    pub baseline: Option<Digest>,
    /// The reviews of the covered pull requests but the approved one, where the policy wants the forge's word.
    pub reviews: Vec<CountedReview>,
    /// What break-glass passed.
    pub waived: Vec<Waived>,
}

/// The history of a deployment in the record, as far as an approval is judged by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Past {
    /// L: the merge result whose release runs, or ran last before a removal. Everything since then must be reviewed.
    pub applied: Option<Oid>,
    /// Merge results that an approval must contain, else it is a replay: the newest one ever applied here, and the one
    /// that removed it.
    pub bounds: Vec<Oid>,
    /// The module's newest good apply on any host: where review begins for a host that the module is new on.
    pub elsewhere: Option<Oid>,
    /// What was brought here with break-glass first, since the last release that passed every gate.
    pub glass: Option<BrokenGlass>,
}

impl Past {
    /// Of a module on a host.
    pub fn of(status: Option<&ModuleStatus>, host: &HostName) -> Self {
        let here = status.and_then(|status| status.hosts.get(host));
        let glass = |here: Option<&HostStatus>| here.and_then(|here| here.glass.first()).map(|first| first.before);
        let newest = here.and_then(|here| here.newest.as_ref()).map(|newest| newest.merge);
        let removed = here.and_then(|here| here.removed.as_ref()).map(|removed| removed.merge);
        let running = here.and_then(|here| here.running.as_ref()).map(|running| running.merge);
        Self {
            // After a rollback the running release is older than the newest one: the next apply covers everything since
            // the running one. What break-glass brought is reviewed by nobody yet: the next apply covers it again.
            applied: glass(here).unwrap_or_else(|| running.or(newest)),
            bounds: newest.into_iter().chain(removed).collect(),
            elsewhere: status.and_then(|status| {
                let there = status.last_apply_host.as_ref().and_then(|host| status.hosts.get(host));
                glass(there).unwrap_or(status.last_apply_sha)
            }),
            glass: here.and_then(|here| here.glass.first()).cloned(),
        }
    }
}

/// Finds what an approval covers, from what was applied before.
///
/// # Errors
/// The approval does not concern the module, is a replay, or an unreviewed change lies in between.
pub fn coverage(
    candidates: &Candidates<'_>,
    approved: &Approved,
    footprints: &Footprints<'_>,
    past: &Past,
) -> Stage<Coverage> {
    for bound in &past.bounds {
        if let Some(refusal) = replayed(candidates.source, approved, *bound)? {
            return Err(refusal.into());
        }
    }
    let merge = approved.relation().merge;
    let last = match (past.applied, past.elsewhere) {
        (Some(applied), _) => Some(applied),
        // New on this host: adding a host does not make an unreviewed change reviewed.
        (None, Some(elsewhere)) if contains(candidates.source, merge, elsewhere)? => Some(elsewhere),
        (None, _) => None,
    };
    let covered = match last {
        None => first(candidates, approved, footprints),
        Some(last) => {
            Walk { candidates, footprints, last, coverage: Coverage::default(), refusals: Vec::new() }.run(approved)
        }
    };
    match (covered, &past.glass) {
        (Err(Stop::Refused(mut refusals)), Some(first)) if candidates.glass.is_none() => {
            refusals.insert(0, glass_stands(&footprints.name(), first));
            Err(Stop::Refused(refusals))
        }
        (covered, _) => covered,
    }
}

/// Why a normal apply waits: what break-glass brought is on the way from the last release that passed every gate.
fn glass_stands(name: &str, first: &BrokenGlass) -> Refusal {
    let BrokenGlass { at, pr, seq, waived, .. } = first;
    Refusal::new(
        Code::GlassOpen,
        format!(
            "{name} runs what was applied with break-glass at {at} (PR #{pr}, seq {seq}, passed {}), and that is not \
             proven yet",
            waived.join(" ")
        ),
        "see to what else is refused here, by a reviewed pull request; then apply that one, without --break-glass",
    )
}

/// Whether a commit that may not be there is an ancestor of another, or the same.
fn contains(source: &dyn Source, newer: Oid, older: Oid) -> Answer<bool> {
    Ok(newer == older || source.has(older)? && source.is_ancestor(older, newer)?)
}

fn first(candidates: &Candidates<'_>, approved: &Approved, footprints: &Footprints<'_>) -> Stage<Coverage> {
    let relation = approved.relation();
    let before = footprints.at(relation.base)?;
    if before.effective != footprints.at(relation.merge)?.effective {
        let (covers, adopted) = (vec![approved.pr()], adopted(candidates, relation).into_iter().collect());
        return Ok(Coverage { covers, adopted, baseline: before.effective, ..Coverage::default() });
    }
    // An adopted change has no pull request of its own: the next pull request covers it.
    if let Some((at, parent)) = newest_change(candidates, footprints, relation.merge)?
        && candidates.adopt.contains(&at)
    {
        let baseline = footprints.at(parent)?.effective;
        return Ok(Coverage { covers: vec![approved.pr()], adopted: vec![at], baseline, ..Coverage::default() });
    }
    let refusal = Refusal::new(
        Code::NeverChangedByPr,
        format!("{} was never applied, and PR #{} does not change it", footprints.name(), approved.pr()),
        format!("apply the pull request that added {}, or merge one that changes it", footprints.module),
    );
    let coverage = Coverage { covers: vec![approved.pr()], baseline: before.effective, ..Coverage::default() };
    passed(candidates, vec![refusal], coverage)
}

/// A coverage with everything that break-glass passes.
fn passed(candidates: &Candidates<'_>, refusals: Vec<Refusal>, mut coverage: Coverage) -> Stage<Coverage> {
    let (waived, firm) = sorted(candidates.glass, refusals);
    coverage.waived.extend(waived);
    if firm.is_empty() { Ok(coverage) } else { Err(Stop::Refused(firm)) }
}

/// The newest commit at or below `from` that changed the module, and its parent.
fn newest_change(candidates: &Candidates<'_>, footprints: &Footprints<'_>, from: Oid) -> Answer<Option<(Oid, Oid)>> {
    let mut at = from;
    for _ in 0..LOOKED_AT {
        let Some(parent) = candidates.source.commit(at)?.parents.first().copied() else { break };
        if footprints.at(at)?.effective != footprints.at(parent)?.effective {
            return Ok(Some((at, parent)));
        }
        at = parent;
    }
    Ok(None)
}

/// The merge result, if it counts only because a reviewed policy adopts it: the way it was merged is not listed, or the
/// forge's word on it was not asked.
fn adopted(candidates: &Candidates<'_>, relation: &Relation) -> Option<Oid> {
    let listed = relation.confirmed || candidates.styles.contains(&relation.style);
    let unasked = candidates.witness.is_some() && candidates.adopt.contains(&relation.merge);
    (!listed || unasked).then_some(relation.merge)
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
    candidates: &'a Candidates<'a>,
    footprints: &'a Footprints<'a>,
    last: Oid,
    coverage: Coverage,
    refusals: Vec<Refusal>,
}

impl Walk<'_> {
    /// From M down the first-parent chain to L, one proven pull request after another.
    fn run(mut self, approved: &Approved) -> Stage<Coverage> {
        let top = approved.relation().merge;
        let mut at = top;
        // Whether this commit may still belong to a pull request that the base was fast-forwarded to.
        let mut above = Style::Merge;
        if at != self.last {
            at = self.cover(approved, true)?;
            above = approved.relation().style;
        } else {
            self.coverage.covers.push(approved.pr());
        }
        while at != self.last {
            let commit = self.candidates.source.commit(at)?;
            let Some(parent) = commit.parents.first().copied() else {
                let fact = format!("the base no longer contains what is applied ({})", self.last);
                return Err(Refusal::new(Code::Replay, fact, "find out who rewrote the base branch").into());
            };
            if commit.parents.len() > 1 {
                above = Style::Merge;
            }
            if !self.footprints.differ(parent, at)? {
                at = parent;
                continue;
            }
            if self.candidates.adopt.contains(&at) {
                self.coverage.adopted.push(at);
                at = parent;
                continue;
            }
            match self.candidates.brought_by(at, top) {
                Ok(proven) => {
                    above = proven.relation().style;
                    at = self.cover(&proven, false)?;
                }
                // Git cannot tell where a fast-forward began: all of it is weakly proven, and the result says so.
                Err(Stop::Refused(_)) if above == Style::FastForward && self.candidates.styles.contains(&above) => {
                    at = parent;
                }
                Err(Stop::Refused(reasons)) => {
                    self.unreviewed(at, parent, &reasons)?;
                    at = parent;
                }
                Err(failed) => return Err(failed),
            }
        }
        self.coverage.covers.reverse();
        self.coverage.adopted.reverse();
        passed(self.candidates, self.refusals, self.coverage)
    }

    /// Takes a proven pull request; returns where to go on.
    fn cover(&mut self, proven: &Approved, always: bool) -> Stage<Oid> {
        let relation = proven.relation();
        if always {
            self.coverage.covers.push(proven.pr());
        } else if self.footprints.differ(relation.base, relation.merge)? {
            self.coverage.covers.push(proven.pr());
            match self.candidates.reviewed(proven.clone(), false) {
                Ok(reviewed) => {
                    self.coverage.waived.extend(reviewed.waived().iter().cloned());
                    self.coverage.reviews.extend(reviewed.word().iter().flat_map(|word| {
                        word.reviews().iter().map(|review| CountedReview { pr: Some(proven.pr()), ..review.clone() })
                    }));
                }
                Err(Stop::Refused(refusals)) => self.refusals.extend(refusals),
                Err(failed) => return Err(failed),
            }
        }
        self.coverage.adopted.extend(adopted(self.candidates, relation));
        // L may lie among the commits of a rebase: never walk past it.
        let range = self.candidates.source.first_parents(relation.merge, Some(relation.base))?;
        Ok(if range.contains(&self.last) { self.last } else { relation.base })
    }

    fn unreviewed(&mut self, at: Oid, parent: Oid, reasons: &[Refusal]) -> Answer<()> {
        let source = self.candidates.source;
        let module = self.footprints.module;
        let (old, new) = (source.commit(parent)?.tree, source.commit(at)?.tree);
        // What is the module's own, so that a commit which changes much besides hides nothing of it.
        let diff = source.diff(old, new, &self.footprints.paths(&[old, new])?, 20)?;
        self.refusals.push(Refusal::new(
            Code::UnreviewedChange,
            format!("{at} changed {module} on the base and no pull request proves it ({}):\n{diff}", reason(reasons)),
            format!("review it, then list it in platform.yaml by a pull request: approval.adopt: [{at}]"),
        ));
        Ok(())
    }
}

/// Why no pull request proves a commit, in a few words.
pub(crate) fn reason(reasons: &[Refusal]) -> &'static str {
    match reasons.first().map(|reason| reason.code) {
        Some(Code::NoPullRef) | None => "no pull request leads to it",
        Some(Code::EvilMerge) => "it is not the result of merging its pull request",
        Some(Code::StyleNotAllowed) => "approval.styles does not list the way it was merged",
        Some(Code::UnreviewedChange) => "it repeats what was merged before",
        Some(Code::AmbiguousPr) => "several pull requests could be meant",
        Some(code) => code.meaning(),
    }
}

/// A newer commit of the base that already changed the module, if there is one.
///
/// # Errors
/// Objects that cannot be read.
pub fn superseded(
    candidates: &Candidates<'_>,
    approved: &Approved,
    footprints: &Footprints<'_>,
) -> Answer<Option<Refusal>> {
    let merge = approved.relation().merge;
    for id in candidates.source.first_parents(candidates.base, Some(merge))? {
        let parent = candidates.source.commit(id)?.parents.first().copied();
        let Some(parent) = parent else { break };
        // The policy is always that of the tip: a newer entry of its host supersedes no content.
        if footprints.at(parent)?.effective != footprints.at(id)?.effective {
            let older = approved.pr();
            let (newer, fix) = match candidates.brought_by(id, candidates.base) {
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
                Err(Stop::Failed(error)) => return Err(error),
            };
            return Ok(Some(Refusal::new(
                Code::Superseded,
                format!("a newer change of {} is on the base: {newer}", footprints.name()),
                fix,
            )));
        }
    }
    Ok(None)
}
