//! Drivers: host scripts as files, argv out, captured answers in. Pure.

pub mod compose;
pub mod doctor;
pub mod files;
pub mod machine;
pub mod probe;
pub mod result;
mod script;
