//! Workflows of Forgejo Actions, as `platformctl lint` reads them: the file, its expressions, its scripts, and the rules
//! that it is held to.

pub mod document;
pub mod expression;
pub mod finding;
mod places;
pub mod rules;
pub mod script;
