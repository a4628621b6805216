//! What the tests stand on.

pub(crate) mod cli;
pub(crate) mod faulty;
pub(crate) mod forge;
pub(crate) mod machine;
pub(crate) mod ntfy;
mod pulls;
pub(crate) mod registry;
pub(crate) mod repo;
pub(crate) mod site;
pub(crate) mod sshd;
pub(crate) mod stack;

/// A lock key of this text, as a reader of the record has it.
pub(crate) fn lock_key(text: &str) -> platformctl::model::lock::LockKey {
    serde_json::from_value(text.into()).unwrap()
}
