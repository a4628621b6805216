//! What the tests stand on.

pub(crate) mod cli;
mod pulls;
pub(crate) mod repo;
pub(crate) mod site;
