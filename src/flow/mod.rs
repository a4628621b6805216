//! Verbs: the stages of the sentence, in the order of `apply`. They ask the world through `port` alone.

pub mod append;
pub mod approve;
pub mod bind;
pub mod bound;
pub mod content;
pub mod gate;
pub mod gather;
pub mod observe;
pub mod plan;
pub mod record;
pub mod relation;
pub mod repository;
pub mod request;
pub mod scope;
pub mod stage;
pub mod validate;
