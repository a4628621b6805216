//! Verbs: the stages of the sentence, in the order of `apply`. They ask the world through `port` alone.

pub mod append;
pub mod content;
pub mod record;
pub mod repository;
pub mod validate;
