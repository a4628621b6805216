//! What an event of each kind has, and what it means: one table, which docs/state-format.md prints.

use super::{
    event::{Event, FINDINGS_MAX, Kind},
    fault::Wrong,
};
use crate::model::{
    alarm::{AlarmStep, Telling},
    ending::Ending,
    status::Finding,
};

/// Declares the fields that a kind may need.
macro_rules! fields {
    ($($variant:ident $name:literal $present:expr;)*) => {
        /// A field of an event that depends on its kind.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Field {
            $(#[doc = $name] $variant,)*
        }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in `event.json`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether an event has it.
            pub fn is_in(self, event: &Event) -> bool {
                let present: fn(&Event) -> bool = match self { $(Self::$variant => $present,)* };
                present(event)
            }
        }
    };
}

fields! {
    Run "run" |event| event.run.is_some();
    Intent "intent" |event| event.intent.is_some();
    Module "module" |event| event.module.is_some();
    Host "host" |event| event.host.is_some();
    From "from" |event| event.from.is_some();
    Result "result" |event| event.result.is_some();
    Approved "approved" |event| event.approved.is_some();
    Closure "closure" |event| event.closure.is_some();
    Effective "effective" |event| event.effective.is_some();
    Plan "plan" |event| event.plan.is_some();
    ReturnsTo "returns_to" |event| event.returns_to.is_some();
    Retry "retry" |event| event.retry;
    Policy "policy" |event| event.policy.is_some();
    Signers "signers" |event| event.signers.is_some();
    PolicyCommit "policy_commit" |event| event.policy_commit.is_some();
    Changes "changes" |event| !event.changes.is_empty();
    Changed "changed" |event| event.changed.is_some();
    Lock "lock" |event| event.lock.is_some();
    Checkout "checkout" |event| event.checkout.is_some();
    Waived "waived" |event| !event.waived.is_empty();
    Until "until" |event| event.until.is_some();
    Glass "glass" |event| event.glass.is_some();
    Reason "reason" |event| event.reason.is_some();
    Voids "voids" |event| !event.voids.is_empty();
    Voided "voided" |event| event.voided.is_some();
    Pruned "pruned" |event| event.pruned.is_some();
    Findings "findings" |event| event.findings.is_some();
    Alarm "alarm" |event| event.alarm.is_some();
    Evidence "evidence" |event| event.evidence.is_some();
}

/// What is valid for every event of a kind.
#[derive(Debug)]
pub struct Shape {
    /// The kind.
    pub kind: Kind,
    /// How many parents its commit has.
    pub parents: usize,
    /// Fields that it has.
    pub must: &'static [Field],
    /// Fields that it may have; all others are refused.
    pub may: &'static [Field],
    /// What else is checked, in words.
    pub means: &'static str,
    /// What it changes in the tree beside `event.json`, in words.
    pub does: &'static str,
}

use Field::{
    Alarm, Approved, Changed, Changes, Checkout, Closure, Effective, Evidence, Findings, From, Glass, Host, Intent,
    Lock, Module, Plan, Policy, PolicyCommit, Pruned, Reason, Result as Ended, Retry, ReturnsTo, Run, Signers, Until,
    Voided, Voids, Waived,
};

const OPENS: &str = "The run is open and locks its scope; `newest_run` is its run.";

/// The table.
pub const SHAPES: &[Shape] = &[
    Shape {
        kind: Kind::Genesis,
        parents: 0,
        must: &[],
        may: &[],
        means: "It is the first record, and the only genesis.",
        does: "`FORMAT` is written.",
    },
    Shape {
        kind: Kind::Policy,
        parents: 1,
        must: &[Policy, PolicyCommit],
        may: &[Signers, Approved, Reason],
        means: "The tree of `policy_commit` has exactly the blob `policy` at platform.yaml, and `signers` at allowed_signers.",
        does: "`policy/` holds these two files.",
    },
    Shape {
        kind: Kind::ApplyIntent,
        parents: 1,
        must: &[Run, Module, Host, Approved, Closure, Effective, Plan, Policy, Checkout, Lock],
        may: &[Retry, Changes, Changed, Waived, Until, Glass, Reason],
        means: "No run of the deployment or of its scope is open; its run id is newer than every earlier one of the deployment; its \
                policy is in force; its scope is on its host. `waived` names `checkout`, `freeze` (with a reason), `held` and \
                `superseded` alone; with `glass` also the gates of that record of kind `break-glass`, which is of this chain, of the \
                same run and about the same, and whose `until` is not over.",
        does: "The run is open and locks its scope; `newest_run` is its run; with `glass` the deployment's `glass` has an entry.",
    },
    Shape {
        kind: Kind::ApplyOutcome,
        parents: 1,
        must: &[Run, Intent, Module, Host, Ended, Approved, Closure, Effective, Plan, Policy, Checkout, Evidence],
        may: &[Retry, Changes, Changed],
        means: "Its run is open by `apply.intent`; `intent` is the record that opened it; everything that both have is equal in both; \
                the result is `ok` exactly where the evidence names no failure.",
        does: "The run is closed. `ok`: the release is `running`, its merge result is `newest`, `removed`, `moved_to` and `observed` \
               are null, the first level has it; with `retry` the effective digest leaves `failed`; `glass` is empty, or has only \
               the entry of this run. `failed`, `rolled-back`: the effective digest enters `failed`. `aborted`: an entry of this \
               run leaves `glass`.",
    },
    Shape {
        kind: Kind::ApplyNoop,
        parents: 1,
        must: &[Run, Module, Host, Approved, Closure, Effective, Plan, Policy, Checkout],
        may: &[Waived],
        means: "No run of the deployment is open; its run id is newer than every earlier one of the deployment; its policy is in force.",
        does: "As `apply.outcome` with `ok`; services and images stay.",
    },
    Shape {
        kind: Kind::RollbackIntent,
        parents: 1,
        must: &[Run, Module, Host, Approved, Closure, Effective, Plan, ReturnsTo, Policy, Lock],
        may: &[Changes, Changed, Waived, Reason],
        means: "As `apply.intent`; `returns_to` is an `apply.outcome`, `apply.noop`, `rollback.outcome` or `adopt` of this chain and \
                deployment that ended well, with the same `approved`, `closure` and `effective`.",
        does: OPENS,
    },
    Shape {
        kind: Kind::RollbackOutcome,
        parents: 1,
        must: &[Run, Intent, Module, Host, Ended, Approved, Closure, Effective, Plan, ReturnsTo, Policy, Evidence],
        may: &[Changes, Changed],
        means: "As `apply.outcome`, of a run that is open by `rollback.intent`; never `rolled-back`.",
        does: "The run is closed. `ok`: the older release is `running`, the one that ran enters `failed`, `newest` stays. `failed`: \
               the effective digest enters `failed`.",
    },
    Shape {
        kind: Kind::RemoveIntent,
        parents: 1,
        must: &[Run, Module, Host, Approved, Plan, Policy, Lock],
        may: &[Changes, Changed, Waived, Reason],
        means: "As `apply.intent`; the record knows the deployment, and it is not removed.",
        does: OPENS,
    },
    Shape {
        kind: Kind::RemoveOutcome,
        parents: 1,
        must: &[Run, Intent, Module, Host, Ended, Approved, Plan, Policy, Evidence],
        may: &[Changes, Changed],
        means: "As `apply.outcome`, of a run that is open by `remove.intent`; never `rolled-back`.",
        does: "The run is closed. `ok`: `running` and `observed` are null, `services` is empty, `removed` says when and by which pull \
               request; `newest` and `failed` stay.",
    },
    Shape {
        kind: Kind::Adopt,
        parents: 1,
        must: &[Run, Module, Host, Approved, Closure, Effective, Plan, Policy, Checkout, Evidence],
        may: &[Waived, Reason],
        means: "As `apply.noop`; nothing is `running` there; the evidence names no failure.",
        does: "As `apply.outcome` with `ok`.",
    },
    Shape {
        kind: Kind::Move,
        parents: 1,
        must: &[Run, Module, Host, From, Approved, Policy],
        may: &[Reason],
        means: "As `apply.noop`, for both deployments; `from` was applied and did not move before; module and host name another \
                deployment, which was never applied.",
        does: "`from` has `moved_to`; the other one gets its `newest`, and on the same host also `running`, `services`, `failed` and \
               `observed`, which leave `from`.",
    },
    Shape {
        kind: Kind::Prune,
        parents: 1,
        must: &[Run, Host, Pruned],
        may: &[Reason],
        means: "Its run is not open.",
        does: "`hosts/<host>.json` has `pruned`.",
    },
    Shape {
        kind: Kind::Observe,
        parents: 1,
        must: &[Module, Host],
        may: &[Run, Findings, Alarm],
        means: "It has one of `findings` and `alarm`. `findings` is sorted, has none twice and at most 200, each with a `subject` of one \
                line and at most 255 characters. `alarm.after` is the event of the alarm of this condition in the tree before; only \
                `telling` may have none. Otherwise `about`, `since` and `pr` are those of that alarm. `told` follows `telling`; `ending` \
                needs an alarm that was delivered. A `telling` of `held`, `rolled-back`, `drift` or `unfinished` is about what the tree \
                before shows. `nonce` has 32 hexadecimal digits. `delivered` is sorted, has none twice, and stands with `told` and `ended` alone.",
        does: "With `findings` the deployment has `observed`. With `alarm` the alarm of its condition is replaced, or removed by `ended`.",
    },
    Shape {
        kind: Kind::Takeover,
        parents: 1,
        must: &[Run, Intent, Module, Host, Reason],
        may: &[],
        means: "Its run is open, of this module and host; `intent` is the record that opened it.",
        does: "The run is closed.",
    },
    Shape {
        kind: Kind::LateOutcome,
        parents: 1,
        must: &[Run, Intent, Module, Host, Ended, Approved, Plan, Policy, Evidence],
        may: &[Closure, Effective, ReturnsTo, Checkout, Retry, Changes, Changed],
        means: "Its run was ended by another record; `intent` is the record of this chain that opened it, and they are equal as an \
                outcome is; no outcome of the run has this result yet.",
        does: "`failed`, `rolled-back`: the effective digest enters `failed`. Nothing else: what runs now is for a person to find out.",
    },
    Shape {
        kind: Kind::BreakGlass,
        parents: 1,
        must: &[Run, Module, Host, Approved, Closure, Effective, Plan, Policy, Checkout, Waived, Until, Reason],
        may: &[],
        means: "`waived` names gates that break-glass may pass, sorted, and no others; `until` is later than its time and at most 24 h \
                later; its policy is in force; its run, which is not open, is newer than every earlier one of the deployment.",
        does: "–",
    },
    Shape {
        kind: Kind::Annotate,
        parents: 1,
        must: &[Reason],
        may: &[Run, Module, Host],
        means: "It has a reason.",
        does: "–",
    },
    Shape {
        kind: Kind::Recover,
        parents: 2,
        must: &[Reason, Voids, Voided],
        may: &[],
        means: "The first parent is the last good record, the second is the displaced tip, which contains the first; `voids` and \
                `voided` name what is displaced; nothing that is displaced is a valid record.",
        does: "Nothing of what is displaced counts.",
    },
    Shape {
        kind: Kind::Heartbeat,
        parents: 1,
        must: &[],
        may: &[Host],
        means: "–",
        does: "With a host: `hosts/<host>.json` has `heartbeat`.",
    },
];

/// The row of a kind.
pub fn shape(kind: Kind) -> &'static Shape {
    // Every kind has its row, by a test.
    SHAPES.iter().find(|shape| shape.kind == kind).unwrap_or(&SHAPES[0])
}

impl Shape {
    /// Which of the fields are wrong, if any.
    pub(super) fn judge(&self, event: &Event) -> Option<Wrong> {
        let names = |fields: Vec<Field>| fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ");
        let absent: Vec<Field> = self.must.iter().copied().filter(|field| !field.is_in(event)).collect();
        if !absent.is_empty() {
            let expected = format!("{} on an event of kind {}", names(absent), self.kind.as_str());
            return Some(Wrong::new("fields", expected, "none"));
        }
        let known = |field: &Field| self.must.contains(field) || self.may.contains(field);
        let more: Vec<Field> = Field::ALL.iter().copied().filter(|field| field.is_in(event) && !known(field)).collect();
        if !more.is_empty() {
            let expected = format!("nothing that an event of kind {} has no use for", self.kind.as_str());
            return Some(Wrong::new("fields", expected, names(more)));
        }
        if event.reason.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
            return Some(Wrong::new("fields", "a reason with words in it", "an empty one"));
        }
        if self.kind == Kind::Observe && event.findings.is_some() == event.alarm.is_some() {
            return Some(Wrong::new("fields", "one of findings and alarm", "both or neither"));
        }
        let wrong = event.findings.as_deref().and_then(findings);
        if let Some(wrong) = wrong.or_else(|| event.alarm.as_ref().and_then(|alarm| self::alarm(event, alarm))) {
            return Some(wrong);
        }
        let failed = event.evidence.as_ref().is_some_and(|evidence| evidence.failed.is_some());
        match event.result {
            Some(Ending::RolledBack) if [Kind::RollbackOutcome, Kind::RemoveOutcome].contains(&self.kind) => {
                let expected = format!("ok, failed or aborted on an event of kind {}", self.kind.as_str());
                Some(Wrong::new("result", expected, "rolled-back"))
            }
            Some(Ending::Ok) if failed => Some(Wrong::new("result", "no failure in the evidence of `ok`", "one")),
            Some(result) if result != Ending::Ok && !failed => {
                Some(Wrong::new("result", format!("the failure in the evidence of `{}`", result.as_str()), "none"))
            }
            None if failed => Some(Wrong::new("evidence", "no failure in the evidence", "one")),
            Some(_) | None => None,
        }
    }
}

/// Longest subject of a finding, in characters.
const SUBJECT_MAX: usize = 255;

fn findings(found: &[Finding]) -> Option<Wrong> {
    if found.len() > FINDINGS_MAX {
        return Some(Wrong::new("findings", format!("at most {FINDINGS_MAX} findings"), found.len().to_string()));
    }
    if !found.is_sorted_by(|a, b| a < b) {
        return Some(Wrong::new("findings", "sorted findings, none twice", "another order"));
    }
    let fits = |subject: &str| {
        (1..=SUBJECT_MAX).contains(&subject.chars().count()) && !subject.chars().any(crate::model::text::is_harmful)
    };
    let unfit = found.iter().find(|finding| !fits(&finding.subject))?;
    let expected = format!("a subject of one line and at most {SUBJECT_MAX} characters");
    Some(Wrong::new("findings", expected, crate::model::text::shown(&unfit.subject)))
}

/// What a step of an alarm must be, whatever was before it.
fn alarm(event: &Event, alarm: &Telling) -> Option<Wrong> {
    let Telling { condition, step, delivered, nonce, .. } = alarm;
    if nonce.len() != 32 || !nonce.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Some(Wrong::new("alarm", "a nonce of 32 hexadecimal digits", crate::model::text::shown(nonce)));
    }
    if !condition.is_recorded() {
        return Some(Wrong::new("alarm", "a condition that a record can have", condition.as_str()));
    }
    if !delivered.is_sorted_by(|a, b| a < b) {
        return Some(Wrong::new("alarm", "sorted channels, none twice", "another order"));
    }
    if !delivered.is_empty() && !matches!(step, AlarmStep::Told | AlarmStep::Ended) {
        return Some(Wrong::new("alarm", format!("nothing delivered yet by `{}`", step.as_str()), "something"));
    }
    if alarm.since > event.time {
        let expected = format!("a time until {}, that of the event", event.time);
        return Some(Wrong::new("alarm", expected, alarm.since.to_string()));
    }
    (alarm.after.is_none() && step.answers())
        .then(|| Wrong::new("alarm", format!("the event that `{}` follows", step.as_str()), "none"))
}

/// The table as docs/state-format.md prints it.
pub fn table() -> String {
    let list = |fields: &[Field]| match fields {
        [] => "–".to_owned(),
        fields => fields.iter().map(|field| format!("`{}`", field.name())).collect::<Vec<_>>().join(" "),
    };
    let head = "| kind | parents | written by | has | may have | what is checked | what it changes in the tree |\n\
                | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    SHAPES.iter().fold(head, |text, shape| {
        let Shape { kind, parents, must, may, means, does } = shape;
        let by = if kind.needs_person() { "a person" } else { "a person or a runner" };
        let (kind, must, may) = (kind.as_str(), list(must), list(may));
        text + &format!("| `{kind}` | {parents} | {by} | {must} | {may} | {means} | {does} |\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_row() {
        let kinds: Vec<Kind> = SHAPES.iter().map(|shape| shape.kind).collect();
        let mut sorted = kinds.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), kinds.len());
        assert_eq!(sorted, Kind::ALL);
        for shape in SHAPES {
            assert!(shape.must.iter().all(|field| !shape.may.contains(field)));
        }
    }
}
