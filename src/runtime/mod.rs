//! Drivers: host scripts as files, argv out, captured answers in. Pure.

pub mod files;
pub mod probe;
pub mod result;
pub mod shell;
