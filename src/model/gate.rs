//! What the gate asked, and how the files of a clone were compared with what is applied.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a question of the gate was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// As an apply needs it.
    Pass,
    /// It is a reason against an apply.
    Fail,
    /// It could not be answered.
    Error,
    /// It would speak against an apply, and a person waived it.
    Waived,
}

impl CheckResult {
    /// Of a question that so many refusals answer.
    pub const fn of(refusals: usize) -> Self {
        if refusals == 0 { Self::Pass } else { Self::Fail }
    }
}

/// One line of the gate's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GateCheck {
    /// What was asked.
    pub id: &'static str,
    /// How it was answered.
    pub result: CheckResult,
    /// The evidence for the answer.
    pub evidence: Value,
}

/// How the files of a clone were compared with what is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Binding {
    /// They are the same.
    Bound,
    /// They were not compared, because a person waived that.
    Waived,
    /// The files of the clone are an older state of the base, as it was checked out; only a runner applies so.
    Base,
    /// There are none: the clone is bare.
    None,
}

impl Binding {
    /// The word of a record and a result.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Base => "base",
            Self::Waived => "waived",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_formats() {
        for binding in [Binding::Bound, Binding::Base, Binding::Waived, Binding::None] {
            assert_eq!(serde_json::to_value(binding).unwrap(), binding.as_str());
        }
        let all = [CheckResult::Pass, CheckResult::Fail, CheckResult::Error, CheckResult::Waived];
        let words: Vec<Value> = all.map(|result| serde_json::to_value(result).unwrap()).to_vec();
        assert_eq!(words, ["pass", "fail", "error", "waived"]);
    }
}
