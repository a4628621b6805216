//! What the tests stand on.

pub(crate) mod cli;
pub(crate) mod faulty;
pub(crate) mod machine;
mod pulls;
pub(crate) mod registry;
pub(crate) mod repo;
pub(crate) mod site;
pub(crate) mod sshd;
pub(crate) mod stack;
