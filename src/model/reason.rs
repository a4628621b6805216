//! A reason that a person gives for the record.

use super::refusal::{Code, Refusal};

/// Longest reason that is recorded, in bytes.
const BYTES_MAX: usize = 2_000;

/// Why a person did something, for readers of the record: neither empty nor too long to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Takes a reason from the command line.
    ///
    /// # Errors
    /// It is empty, or longer than 2000 bytes.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let fix = "say why, on one line, for whoever reads the record: --reason \"…\"";
        if text.trim().is_empty() {
            return Err(Refusal::new(Code::Usage, "the reason is empty", fix));
        }
        if text.len() > BYTES_MAX {
            let fact = format!("the reason is too long to be recorded: {} of {BYTES_MAX} characters", text.len());
            return Err(Refusal::new(Code::Usage, fact, fix));
        }
        Ok(Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_neither_empty_nor_too_long() {
        assert_eq!(Reason::parse("its machine is gone").unwrap().as_str(), "its machine is gone");
        assert!(Reason::parse(" \n").is_err());
        assert!(Reason::parse(&"x".repeat(BYTES_MAX)).is_ok() && Reason::parse(&"x".repeat(BYTES_MAX + 1)).is_err());
    }
}
