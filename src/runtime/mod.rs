//! Drivers: host scripts as files, argv out, captured answers in. Pure.

pub mod compose;
pub mod doctor;
pub mod files;
pub mod ground;
pub mod probe;
pub mod result;
pub mod shell;
