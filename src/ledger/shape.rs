//! What an event of each kind has, and what it means: one table, which docs/state-format.md prints.

use Field::{
    Approved, Changed, Changes, Checkout, Closure, Effective, Evidence, Host, Intent, Lock, Module, Plan, Policy,
    PolicyCommit, Reason, Result as Ended, Run, Signers, Voided, Voids, Waived,
};

use super::{
    event::{Event, Kind},
    fault::Wrong,
};
use crate::model::ending::Ending;

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
    Result "result" |event| event.result.is_some();
    Approved "approved" |event| event.approved.is_some();
    Closure "closure" |event| event.closure.is_some();
    Effective "effective" |event| event.effective.is_some();
    Plan "plan" |event| event.plan.is_some();
    Policy "policy" |event| event.policy.is_some();
    Signers "signers" |event| event.signers.is_some();
    PolicyCommit "policy_commit" |event| event.policy_commit.is_some();
    Changes "changes" |event| !event.changes.is_empty();
    Changed "changed" |event| event.changed.is_some();
    Lock "lock" |event| event.lock.is_some();
    Checkout "checkout" |event| event.checkout.is_some();
    Waived "waived" |event| !event.waived.is_empty();
    Reason "reason" |event| event.reason.is_some();
    Voids "voids" |event| !event.voids.is_empty();
    Voided "voided" |event| event.voided.is_some();
    Evidence "evidence" |event| event.evidence.is_some();
}

/// What holds for every event of a kind.
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
}

/// The table.
pub const SHAPES: &[Shape] = &[
    Shape {
        kind: Kind::Genesis,
        parents: 0,
        must: &[],
        may: &[],
        means: "It is the first record, and the only genesis.",
    },
    Shape {
        kind: Kind::Policy,
        parents: 1,
        must: &[Policy, PolicyCommit],
        may: &[Signers, Approved, Reason],
        means: "The tree of `policy_commit` has exactly the blob `policy` at platform.yaml, and `signers` at allowed_signers.",
    },
    Shape {
        kind: Kind::ApplyIntent,
        parents: 1,
        must: &[Run, Module, Host, Approved, Closure, Effective, Plan, Policy, Checkout, Lock],
        may: &[Changes, Changed, Waived],
        means: "No run of its scope is open; its run id is newer than every earlier one of the module; its policy is in force; \
                its scope is on its host.",
    },
    Shape {
        kind: Kind::ApplyOutcome,
        parents: 1,
        must: &[Run, Intent, Module, Host, Ended, Approved, Closure, Effective, Plan, Policy, Checkout, Evidence],
        may: &[Changes, Changed],
        means: "Its run is open; `intent` is the record that opened it; everything that both have is equal in both; \
                the result is `ok` exactly where the evidence names no failure.",
    },
    Shape {
        kind: Kind::ApplyNoop,
        parents: 1,
        must: &[Run, Module, Host, Approved, Closure, Effective, Plan, Policy, Checkout],
        may: &[Waived],
        means: "No run of the module is open; its run id is newer than every earlier one of the module; its policy is in force.",
    },
    Shape {
        kind: Kind::Takeover,
        parents: 1,
        must: &[Run, Intent, Module, Host, Reason],
        may: &[],
        means: "Its run is open, of this module and host; `intent` is the record that opened it.",
    },
    Shape {
        kind: Kind::LateOutcome,
        parents: 1,
        must: &[Run, Intent, Module, Host, Ended, Approved, Closure, Effective, Plan, Policy, Checkout, Evidence],
        may: &[Changes, Changed],
        means: "Its run was ended by another record; `intent` is the record of this chain that opened it, and they are equal as an \
                outcome is; no outcome of the run has this result yet.",
    },
    Shape {
        kind: Kind::BreakGlass,
        parents: 1,
        must: &[Reason],
        may: &[Run, Module, Host, Approved, Closure, Effective, Plan, Policy, Checkout, Waived],
        means: "It has a reason.",
    },
    Shape { kind: Kind::Annotate, parents: 1, must: &[Reason], may: &[Run, Module, Host], means: "It has a reason." },
    Shape {
        kind: Kind::Recover,
        parents: 2,
        must: &[Reason, Voids, Voided],
        may: &[],
        means: "The first parent is the last good record, the second is the displaced tip, which contains the first; `voids` and \
                `voided` name what is displaced; nothing that is displaced holds as a record.",
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
        let failed = event.evidence.as_ref().is_some_and(|evidence| evidence.failed.is_some());
        match event.result {
            Some(Ending::Ok) if failed => Some(Wrong::new("result", "no failure in the evidence of `ok`", "one")),
            Some(result) if result != Ending::Ok && !failed => {
                Some(Wrong::new("result", format!("the failure in the evidence of `{}`", result.as_str()), "none"))
            }
            Some(_) | None => None,
        }
    }
}

/// The table as docs/state-format.md prints it.
pub fn table() -> String {
    let list = |fields: &[Field]| match fields {
        [] => "–".to_owned(),
        fields => fields.iter().map(|field| format!("`{}`", field.name())).collect::<Vec<_>>().join(" "),
    };
    let head = "| kind | parents | has | may have | what is checked |\n| --- | --- | --- | --- | --- |\n".to_owned();
    SHAPES.iter().fold(head, |text, shape| {
        let Shape { kind, parents, must, may, means } = shape;
        text + &format!("| `{}` | {parents} | {} | {} | {means} |\n", kind.as_str(), list(must), list(may))
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
