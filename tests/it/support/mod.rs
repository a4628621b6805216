//! What the tests stand on.

mod pulls;
pub(crate) mod repo;
pub(crate) mod site;
