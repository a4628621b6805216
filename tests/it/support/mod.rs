//! What the tests stand on.

pub(crate) mod cli;
pub(crate) mod faulty;
mod pulls;
pub(crate) mod repo;
pub(crate) mod site;
pub(crate) mod stack;
