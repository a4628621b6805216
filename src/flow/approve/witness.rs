//! The forge as a witness: what its API says of pull requests, asked once each, by the rules in force where it counts.
//! It confirms what git proves and counts reviews; it never replaces a proof.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use crate::{
    flow::approve::{relation::Relation, reviews::count},
    model::{
        approval::Style,
        forge::{CountedReview, ForgeUrl, ForgeWord, MergedAs, Pull, Review, StatusState},
        ids::Oid,
        policy::{ApprovalPolicy, ServerSignature},
        refusal::{Code, Refusal},
        text::shown,
    },
    port::{Answer, Forge, ReachForge, Source},
};

/// Whom to ask, and by which rules.
#[derive(Clone, Copy)]
pub struct Witness<'a> {
    /// Reaches the forge.
    pub forge: ReachForge<'a>,
    /// The rules in force.
    pub rules: &'a ApprovalPolicy,
    /// The base branch.
    pub base: &'a str,
    /// What was heard in this run.
    pub heard: &'a Heard,
    /// Whether the API is not asked: then a signature of the server has to do.
    pub offline: bool,
}

/// What the forge answered in this run: nothing is asked twice.
#[derive(Default)]
pub struct Heard(RefCell<Answers>);

#[derive(Default)]
struct Answers {
    /// Of which forge.
    of: Option<ForgeUrl>,
    repository: Option<i64>,
    pulls: BTreeMap<u64, Option<Pull>>,
    reviews: BTreeMap<u64, Vec<Review>>,
}

/// The forge's word that a pull request was merged into our base as git proves it, with the reviews that count.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Word {
    forge: Option<ForgeWord>,
    reviews: Vec<CountedReview>,
    signed: bool,
}

impl Word {
    /// What was asked and answered; `None` where only the server's signature speaks.
    pub(crate) fn forge(&self) -> Option<&ForgeWord> {
        self.forge.as_ref()
    }

    /// Whether the server signed the merge result.
    pub(crate) fn is_signed(&self) -> bool {
        self.signed
    }

    /// The reviews that count.
    pub(crate) fn reviews(&self) -> &[CountedReview] {
        &self.reviews
    }
}

impl Witness<'_> {
    fn forge(&self) -> Answer<Rc<dyn Forge>> {
        let forge = (self.forge)(self.rules)?;
        let mut heard = self.heard.0.borrow_mut();
        if heard.of.as_ref() != Some(forge.url()) {
            *heard = Answers { of: Some(forge.url().clone()), ..Answers::default() };
        }
        Ok(forge)
    }

    /// The number of our repository: a name can be given to another one.
    fn repository(&self) -> Answer<i64> {
        let forge = self.forge()?;
        if let Some(id) = self.heard.0.borrow().repository {
            return Ok(id);
        }
        let id = forge.repository()?.id;
        self.heard.0.borrow_mut().repository = Some(id);
        Ok(id)
    }

    fn pull(&self, pr: u64) -> Answer<Option<Pull>> {
        let forge = self.forge()?;
        if let Some(pull) = self.heard.0.borrow().pulls.get(&pr) {
            return Ok(pull.clone());
        }
        let pull = forge.pull(pr)?;
        self.heard.0.borrow_mut().pulls.insert(pr, pull.clone());
        Ok(pull)
    }

    fn reviews(&self, pr: u64) -> Answer<Vec<Review>> {
        let forge = self.forge()?;
        if let Some(reviews) = self.heard.0.borrow().reviews.get(&pr) {
            return Ok(reviews.clone());
        }
        let reviews = forge.reviews(pr)?;
        self.heard.0.borrow_mut().reviews.insert(pr, reviews.clone());
        Ok(reviews)
    }

    /// The pull request that has this commit as its merge result, by the forge's index: a candidate, no proof.
    pub(crate) fn merged_as(&self, commit: Oid) -> Answer<Option<u64>> {
        if self.offline {
            return Ok(None);
        }
        let found = self.forge()?.merged_as(commit)?;
        Ok(found.map(|pull| {
            let number = pull.number;
            self.heard.0.borrow_mut().pulls.insert(number, Some(pull));
            number
        }))
    }

    /// Asks whether the forge merged the pull request into our base as git proves it.
    fn merged(&self, pr: u64, relation: &Relation) -> Answer<Result<(Pull, MergedAs), Refusal>> {
        let Some(pull) = self.pull(pr)? else {
            let fact = format!("the forge has no pull request {pr}, although refs/pull/{pr}/head exists");
            let fix = "see whether it was deleted on the forge; apply another pull request that contains it";
            return Ok(Err(Refusal::new(Code::ForgeDisagrees, fact, fix)));
        };
        let repository = self.repository()?;
        let Some(merged) = pull.merged.clone() else {
            let fact =
                format!("the forge says that PR #{pr} is not merged, although {} contains its changes", relation.merge);
            let fix = format!(
                "if somebody merged it by hand, accept that by a reviewed pull request that lists it in platform.yaml: \
                 approval.adopt: [{}]",
                relation.merge
            );
            return Ok(Err(Refusal::new(Code::HeadNotMerged, fact, fix)));
        };
        let base = shown(self.base);
        let fact = if pull.base_repository != repository {
            format!("the forge says that PR #{pr} belongs to another repository (number {})", pull.base_repository)
        } else if pull.base_branch != self.base {
            format!("the forge says that PR #{pr} was merged into `{}`, not into `{base}`", shown(&pull.base_branch))
        } else if merged.commit != relation.merge {
            format!("the forge says that PR #{pr} was merged as {}, and git proves {}", merged.commit, relation.merge)
        } else {
            return Ok(Ok((pull, merged)));
        };
        let fix =
            format!("open the pull request on the forge and compare; approve what it was merged as into `{base}`");
        Ok(Err(Refusal::new(Code::ForgeDisagrees, fact, fix)))
    }

    /// A fast-forward by the forge's word, which knows where it began.
    pub(crate) fn fast_forward(
        &self,
        source: &dyn Source,
        pr: u64,
        relation: &Relation,
    ) -> Answer<Result<Relation, Refusal>> {
        if self.offline {
            return Ok(Err(Refusal::new(
                Code::StyleNotAllowed,
                format!("PR #{pr} was merged by a fast-forward, which no server signs and git alone cannot prove"),
                "ask the forge: leave out --offline",
            )));
        }
        let (pull, _) = match self.merged(pr, relation)? {
            Ok(merged) => merged,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let below = source.first_parents(relation.merge, pull.merge_base)?;
        // The chain ends above its start only if that is on it.
        let began = pull.merge_base.filter(|base| {
            let last = below.last().copied();
            let parent = last.and_then(|last| source.commit(last).ok()).and_then(|last| last.parents.first().copied());
            parent == Some(*base)
        });
        Ok(match began {
            Some(base) => Ok(Relation { base, confirmed: true, ..relation.clone() }),
            None => Err(Refusal::new(
                Code::ForgeDisagrees,
                format!("the forge does not tell where the fast-forward to PR #{pr} ({}) began", relation.merge),
                format!(
                    "accept it by a reviewed pull request that lists it in platform.yaml: approval.adopt: [{}]",
                    relation.merge
                ),
            )),
        })
    }

    /// The forge's word on a pull request that git proves: merged as that, and reviewed. With `statuses`, its head has
    /// the required ones too.
    pub(crate) fn word(
        &self,
        source: &dyn Source,
        pr: u64,
        relation: &Relation,
        statuses: bool,
    ) -> Answer<Result<Word, Vec<Refusal>>> {
        let signed = self.is_signed(source, relation)?;
        if self.offline {
            return Ok(self.unasked(pr, relation, signed));
        }
        let (pull, merged) = match self.merged(pr, relation)? {
            Ok(merged) => merged,
            Err(refusal) => return Ok(Err(vec![refusal])),
        };
        let (reviews, mut refusals) = match count(self.rules, &pull, (relation.head, &merged), &self.reviews(pr)?) {
            Ok(counted) => (counted, Vec::new()),
            Err(refusals) => (Vec::new(), refusals),
        };
        let required = if statuses { self.rules.required_statuses.as_slice() } else { &[] };
        if !required.is_empty() {
            refusals.extend(self.missing(pr, relation.head)?);
        }
        if !refusals.is_empty() {
            return Ok(Err(refusals));
        }
        let forge = ForgeWord {
            url: self.forge()?.url().clone(),
            repository: self.repository()?,
            merged_by: merged.by.map(|by| by.login),
            merged_at: merged.at,
            required_approvals: self.rules.required_approvals,
            statuses: required.iter().map(|status| status.context.clone()).collect(),
        };
        Ok(Ok(Word { forge: Some(forge), reviews, signed }))
    }

    /// Whether the server signed the merge result. It never signs a rebase or a fast-forward: whoever signed such a
    /// commit, it was no merge that the server made.
    fn is_signed(&self, source: &dyn Source, relation: &Relation) -> Answer<bool> {
        let made = matches!(relation.style, Style::Merge | Style::Squash | Style::RebaseMerge);
        if !made || self.rules.server_key.is_empty() {
            return Ok(false);
        }
        source.signed_by(relation.merge, &self.rules.server_key)
    }

    /// What counts where the API is not asked: the server's signature, if the rules say that it proves a review.
    fn unasked(&self, pr: u64, relation: &Relation, signed: bool) -> Result<Word, Vec<Refusal>> {
        let rules = self.rules;
        // It proves that somebody official approved, and neither who nor how many.
        let anybody = rules.required_approvals <= 1 && rules.approvers.is_empty() && rules.not_counted.is_empty();
        let fact = match (rules.server_signature, signed) {
            (ServerSignature::Strict, true) if anybody && rules.required_statuses.is_empty() => {
                return Ok(Word { forge: None, reviews: Vec::new(), signed });
            }
            (ServerSignature::Strict, true) => {
                "the server's signature proves that somebody approved, and the policy asks for more than that"
            }
            (ServerSignature::Strict, false) => "its merge result has no signature of approval.server_key",
            (ServerSignature::Record, _) => {
                "approval.server_signature is not `strict`, so no signature counts as a review"
            }
        };
        Err(vec![Refusal::new(
            Code::NotReviewed,
            format!("with --offline the reviews of PR #{pr} ({}) cannot be counted: {fact}", relation.merge),
            "ask the forge: leave out --offline",
        )])
    }

    /// Required statuses that the head does not have from an account that the policy names.
    fn missing(&self, pr: u64, head: Oid) -> Answer<Vec<Refusal>> {
        let found = self.forge()?.statuses(head)?;
        let mut refusals = Vec::new();
        for required in &self.rules.required_statuses {
            let named = |login: &str| required.by.iter().any(|by| by.eq_ignore_ascii_case(login));
            let newest = found.iter().find(|status| status.context == required.context);
            let (context, by) = (shown(&required.context), required.by.join(", "));
            let why = match newest {
                None => "it is missing".to_owned(),
                Some(status) => match &status.creator {
                    Some(creator) if !named(&creator.login) => format!("it was set by {}", shown(&creator.login)),
                    None => "the forge does not say who set it".to_owned(),
                    Some(_) if status.state != StatusState::Success => format!("it is `{}`", status.state.as_str()),
                    Some(_) => continue,
                },
            };
            refusals.push(Refusal::new(
                Code::StatusMissing,
                format!("PR #{pr} needs the status `{context}` of {by} on its head {head}: {why}"),
                "let the check run again on that commit, or mend it in a new pull request",
            ));
        }
        Ok(refusals)
    }
}
