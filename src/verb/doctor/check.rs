//! One line of the doctor's list: what was asked, how it is, and what cures it.

use serde::Serialize;

use crate::{
    model::refusal::{Code, Refusal},
    port::PortError,
    runtime::doctor::Account,
};

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// As an apply needs it.
    Pass,
    /// An apply would succeed, but a person should know.
    Warn,
    /// An apply would be refused or fail.
    Fail,
}

/// Where a cure is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A command on the host, by the account that ssh enters.
    Host,
    /// A command on the host, by root: the account has no sudo.
    HostRoot,
    /// A command on this machine.
    Here,
    /// Lines of the host's entry in platform.yaml, by a merged pull request.
    Policy,
    /// Words for a person.
    Words,
}

/// What cures it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// The command, the lines, or the words.
    pub text: String,
    /// Where.
    pub place: Place,
}

impl Fix {
    /// A command on the host.
    pub fn host(command: impl Into<String>) -> Self {
        Self { text: command.into(), place: Place::Host }
    }

    /// A command on this machine.
    pub fn here(command: impl Into<String>) -> Self {
        Self { text: command.into(), place: Place::Here }
    }

    /// A line of the host's entry in platform.yaml.
    pub fn policy(line: impl Into<String>) -> Self {
        Self { text: line.into(), place: Place::Policy }
    }

    /// Words.
    pub fn words(text: impl Into<String>) -> Self {
        Self { text: text.into(), place: Place::Words }
    }

    /// Commands on the host that take root, one after the other.
    pub fn root(account: &Account, sudo: bool, commands: &[&str]) -> Self {
        let (prefix, place) = match (account.uid, sudo) {
            (0, _) => ("", Place::Host),
            (_, true) => ("sudo ", Place::Host),
            (_, false) => ("", Place::HostRoot),
        };
        let commands: Vec<String> = commands.iter().map(|command| format!("{prefix}{command}")).collect();
        Self { text: commands.join(" && "), place }
    }
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Check {
    /// What was asked; several lines may answer one question.
    pub id: &'static str,
    /// How it is.
    pub result: Standing,
    /// The stable code, if it fails.
    pub code: Option<Code>,
    /// What is the case; foreign text in it is escaped.
    pub fact: String,
    /// What cures it, to be used as it is.
    pub fix: Option<String>,
    /// Where.
    #[serde(rename = "where")]
    pub place: Option<Place>,
}

impl Check {
    /// As it must be.
    pub fn pass(id: &'static str, fact: impl Into<String>) -> Self {
        Self { id, result: Standing::Pass, code: None, fact: fact.into(), fix: None, place: None }
    }

    /// Something that a person should know.
    pub fn warn(id: &'static str, fact: impl Into<String>, fix: Fix) -> Self {
        Self { result: Standing::Warn, fix: Some(fix.text), place: Some(fix.place), ..Self::pass(id, fact) }
    }

    /// Something that an apply cannot do without.
    pub fn fail(id: &'static str, code: Code, fact: impl Into<String>, fix: Fix) -> Self {
        Self { result: Standing::Fail, code: Some(code), ..Self::warn(id, fact, fix) }
    }

    /// No answer. What led somewhere else than to the doctor is not sent back to it.
    pub fn lost(id: &'static str, error: PortError) -> Self {
        let error = error.harmless();
        let fix = if error.fix.contains("platformctl doctor") {
            "look at the account's shell on the host: it must run `sh -c` and pass on what that prints".to_owned()
        } else {
            error.fix.clone()
        };
        Self::fail(id, error.code, error.what, Fix::words(fix))
    }

    /// The same as a refusal, if it fails.
    pub fn refusal(&self) -> Option<Refusal> {
        let code = self.code?;
        Some(Refusal::new(code, self.fact.clone(), self.fix.clone().unwrap_or_default()))
    }
}
