//! Reviews: which of them count. Pure: the forge's answers, the rules in force, and the merged head.

use std::collections::BTreeMap;

use crate::model::{
    forge::{Account, CountedReview, MergedAs, Pull, Review, Verdict},
    ids::Oid,
    policy::ApprovalPolicy,
    refusal::{Code, Refusal},
    text::shown,
};

/// Counts the approvals of a merged head. Of each reviewer the newest verdict alone counts, and only if it approves
/// exactly this head, was submitted before the merge, is official, neither stale nor dismissed, and by somebody whose
/// word the rules count.
///
/// # Errors
/// Every reason why they do not suffice.
pub fn count(
    rules: &ApprovalPolicy,
    pull: &Pull,
    (head, merged): (Oid, &MergedAs),
    reviews: &[Review],
) -> Result<Vec<CountedReview>, Vec<Refusal>> {
    let mut newest: BTreeMap<i64, (&Account, &Review)> = BTreeMap::new();
    let mut verdicts: Vec<&Review> = reviews.iter().filter(|review| review.verdict != Verdict::Other).collect();
    verdicts.sort_by_key(|review| (review.at, review.id));
    for review in verdicts {
        if let Some(user) = &review.user {
            newest.insert(user.id, (user, review));
        }
    }
    let (mut counted, mut others, mut objections) = (Vec::new(), Vec::new(), Vec::new());
    for (user, review) in newest.values() {
        let name = shown(&user.login);
        match review.verdict {
            // The branch's own rule counts these alone: else anybody who can read could stop everything.
            Verdict::ChangesRequested if review.official && !review.dismissed => objections.push(name),
            Verdict::ChangesRequested | Verdict::Other => {}
            Verdict::Approved => match unfit(rules, pull, (head, merged), user, review) {
                None => counted
                    .push((*user, CountedReview { user: user.login.clone(), id: review.id, at: review.at, pr: None })),
                Some(Unfit::OtherCommit) => {
                    let of = review.commit.map_or_else(|| "an unknown commit".to_owned(), |commit| commit.to_string());
                    others
                        .push(format!("{name}'s approval does not count: it is of {of}, which is not the merged head"));
                }
                Some(why) => others.push(format!("{name}'s approval does not count: {}", why.words())),
            },
        }
    }
    let merger = merged.by.as_ref().map(|by| by.id);
    if let [(only, _)] = counted.as_slice()
        && Some(only.id) == merger
        && !rules.merger_may_approve
    {
        let name = shown(&only.login);
        others.push(format!("{name}'s approval does not count: {}", Unfit::MergerAlone.words()));
        counted.clear();
    }
    let mut refusals = Vec::new();
    if !objections.is_empty() {
        refusals.push(Refusal::new(
            Code::ChangesRequested,
            format!("changes are requested for PR #{} by {}", pull.number, objections.join(", ")),
            "settle it with them: they approve or dismiss their review on the forge; then try again",
        ));
    }
    let required = rules.required_approvals as usize;
    if counted.len() < required {
        refusals.push(too_few(pull.number, (counted.len(), required), (head, merged.commit), &others));
    }
    if refusals.is_empty() { Ok(counted.into_iter().map(|(_, review)| review).collect()) } else { Err(refusals) }
}

/// Why an approval does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The author of the pull request approved.
    ByAuthor,
    /// An account that the policy excludes approved.
    Excluded,
    /// The policy lists whose approvals count, and the account is not among them.
    NotListed,
    /// Somebody dismissed it.
    Dismissed,
    /// The forge calls it stale.
    Stale,
    /// It is of another commit, or the forge does not say of which.
    OtherCommit,
    /// The branch's rule does not count its author, or a newer review of theirs took it back.
    Unofficial,
    /// It came after the merge.
    AfterMerge,
    /// Nobody but the person who merged approved.
    MergerAlone,
}

impl Unfit {
    /// Every reason, in the order in which they are asked.
    pub const ALL: [Self; 9] = [
        Self::ByAuthor,
        Self::Excluded,
        Self::NotListed,
        Self::Dismissed,
        Self::Stale,
        Self::OtherCommit,
        Self::Unofficial,
        Self::AfterMerge,
        Self::MergerAlone,
    ];

    /// The reason in words, after "does not count:".
    pub const fn words(self) -> &'static str {
        match self {
            Self::ByAuthor => "it is by the author of the pull request",
            Self::Excluded => "approval.not_counted lists the account",
            Self::NotListed => "approval.approvers does not list the account",
            Self::Dismissed => "it was dismissed",
            Self::Stale => "the content changed after it",
            Self::OtherCommit => "it is not of the merged head",
            Self::Unofficial => {
                "the forge does not count its author as an official reviewer of the branch, or there is a newer review"
            }
            Self::AfterMerge => "it was submitted after the merge",
            Self::MergerAlone => "the person who merged is the only one who approved (approval.merger_may_approve)",
        }
    }
}

/// Why an approval does not count by itself.
fn unfit(
    rules: &ApprovalPolicy,
    pull: &Pull,
    (head, merged): (Oid, &MergedAs),
    user: &Account,
    review: &Review,
) -> Option<Unfit> {
    let listed = |logins: &[String]| logins.iter().any(|login| login.eq_ignore_ascii_case(&user.login));
    let found = [
        (Unfit::ByAuthor, pull.author.as_ref().is_some_and(|author| author.id == user.id)),
        (Unfit::Excluded, listed(&rules.not_counted)),
        (Unfit::NotListed, !rules.approvers.is_empty() && !listed(&rules.approvers)),
        (Unfit::Dismissed, review.dismissed),
        (Unfit::Stale, review.stale),
        (Unfit::OtherCommit, review.commit != Some(head)),
        (Unfit::Unofficial, !review.official),
        (Unfit::AfterMerge, review.at > merged.at),
    ];
    found.into_iter().find(|(_, is_so)| *is_so).map(|(why, _)| why)
}

fn too_few(pr: u64, (counted, required): (usize, usize), (head, merge): (Oid, Oid), others: &[String]) -> Refusal {
    let plural = |n: usize| if n == 1 { "approval" } else { "approvals" };
    let mut fact = format!(
        "PR #{pr} was merged with {counted} counted {}, and approval.required_approvals is {required} (merged head {head})",
        plural(counted)
    );
    for other in others {
        fact += &format!("\n{other}");
    }
    Refusal::new(
        Code::NotReviewed,
        fact,
        format!(
            "review what was merged, then accept it by a reviewed pull request that lists it in platform.yaml: \
             approval.adopt: [{merge}]"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn account(id: i64, login: &str) -> Account {
        Account { id, login: login.to_owned() }
    }

    fn oid(digit: char) -> Oid {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn review(id: u64, user: Account) -> Review {
        Review {
            id,
            user: Some(user),
            verdict: Verdict::Approved,
            commit: Some(oid('a')),
            stale: false,
            official: true,
            dismissed: false,
            at: Timestamp::from_unix_s(100 + i64::try_from(id).unwrap()),
        }
    }

    fn bob() -> Account {
        account(3, "bob")
    }

    fn rules() -> ApprovalPolicy {
        ApprovalPolicy { required_approvals: 1, ..ApprovalPolicy::default() }
    }

    fn counted(rules: &ApprovalPolicy, reviews: impl AsRef<[Review]>) -> Result<String, String> {
        let merged = MergedAs { commit: oid('b'), at: Timestamp::from_unix_s(1_000), by: Some(account(4, "carol")) };
        let pull = Pull {
            number: 7,
            title: String::new(),
            open: false,
            author: Some(account(2, "alice")),
            base_branch: "main".to_owned(),
            base_repository: 6,
            merge_base: None,
            merged: Some(merged.clone()),
        };
        let words = |list: Vec<String>| list.join(" ");
        count(rules, &pull, (oid('a'), &merged), reviews.as_ref())
            .map(|counted| words(counted.into_iter().map(|review| review.user).collect()))
            .map_err(|refusals| words(refusals.iter().map(|refusal| refusal.code.slug().to_owned()).collect()))
    }

    /// Attack: a pull request is merged with an approval of an older commit, of its author, of a bot, after the merge,
    /// or with one that was dismissed or is not official.
    /// Defence: only an official, current approval of exactly the merged head, submitted before the merge, counts.
    #[test]
    fn only_current_official_approvals_of_the_merged_head_count() {
        let good = review(1, bob());
        assert_eq!(counted(&rules(), [good.clone()]), Ok("bob".to_owned()));
        let no = Err("not_reviewed".to_owned());
        for bad in [
            Review { commit: Some(oid('c')), ..good.clone() },
            Review { commit: None, ..good.clone() },
            Review { stale: true, ..good.clone() },
            Review { official: false, ..good.clone() },
            Review { dismissed: true, ..good.clone() },
            Review { at: Timestamp::from_unix_s(1_001), ..good.clone() },
            Review { user: Some(account(2, "alice")), ..good.clone() },
            Review { user: None, ..good.clone() },
            Review { verdict: Verdict::Other, ..good.clone() },
        ] {
            assert_eq!(counted(&rules(), [bad.clone()]), no, "{bad:?}");
        }
        assert_eq!(counted(&rules(), []), no);
        let listed = ApprovalPolicy { approvers: vec!["Dora".to_owned()], ..rules() };
        assert_eq!(counted(&listed, [good.clone()]), no);
        let bots = ApprovalPolicy { not_counted: vec!["BOB".to_owned()], ..rules() };
        assert_eq!(counted(&bots, [good]), no);
    }

    #[test]
    fn newest_verdict_of_each_reviewer_counts() {
        let (old, new) = (review(1, bob()), review(2, bob()));
        let rejected = Review { verdict: Verdict::ChangesRequested, ..new.clone() };
        assert_eq!(
            counted(&rules(), [old.clone(), rejected.clone()]),
            Err("changes_requested not_reviewed".to_owned())
        );
        // In whatever order the forge sends them.
        assert_eq!(
            counted(&rules(), [rejected.clone(), old.clone()]),
            Err("changes_requested not_reviewed".to_owned())
        );
        let comment = Review { verdict: Verdict::Other, ..new.clone() };
        assert_eq!(counted(&rules(), [old.clone(), comment]), Ok("bob".to_owned()));
        let settled = Review { id: 3, at: Timestamp::from_unix_s(103), ..old.clone() };
        assert_eq!(counted(&rules(), [old, rejected, settled]), Ok("bob".to_owned()));
    }

    #[test]
    fn open_request_for_changes_refuses_whoever_approved() {
        let objection = Review { verdict: Verdict::ChangesRequested, ..review(2, account(5, "dora")) };
        assert_eq!(counted(&rules(), [review(1, bob()), objection.clone()]), Err("changes_requested".to_owned()));
        // Even after the merge: nothing was applied yet.
        let late = Review { at: Timestamp::from_unix_s(2_000), ..objection.clone() };
        assert_eq!(counted(&rules(), [review(1, bob()), late]), Err("changes_requested".to_owned()));
        for settled in [Review { dismissed: true, ..objection.clone() }, Review { official: false, ..objection }] {
            assert_eq!(counted(&rules(), [review(1, bob()), settled]), Ok("bob".to_owned()));
        }
    }

    #[test]
    fn merger_alone_is_no_reviewer_unless_the_policy_says_so() {
        let own = review(1, account(4, "carol"));
        assert_eq!(counted(&rules(), [own.clone()]), Err("not_reviewed".to_owned()));
        assert_eq!(counted(&rules(), [own.clone(), review(2, bob())]), Ok("bob carol".to_owned()));
        let small = ApprovalPolicy { merger_may_approve: true, ..rules() };
        assert_eq!(counted(&small, [own]), Ok("carol".to_owned()));
    }

    #[test]
    fn approvals_are_counted_by_person() {
        let two = ApprovalPolicy { required_approvals: 2, ..rules() };
        assert_eq!(counted(&two, [review(1, bob()), review(2, bob())]), Err("not_reviewed".to_owned()));
        assert_eq!(counted(&two, [review(1, bob()), review(2, account(5, "dora"))]), Ok("bob dora".to_owned()));
    }
}
