//! Verbs: the stages of the sentence, in the order of `apply`. They ask the world through `port` alone.

pub mod append;
pub mod apply;
pub mod approve;
pub mod bind;
pub mod bound;
pub mod close;
pub mod content;
pub mod gate;
pub mod gather;
pub mod observe;
pub mod open;
pub mod pending;
pub mod plan;
pub mod preview;
pub mod record;
pub mod relation;
pub mod repository;
pub mod request;
pub mod resume;
pub mod run;
pub mod scope;
pub mod ship;
pub mod stage;
pub mod validate;
pub mod verify;
