//! What commands do with the stages: one file for a verb, and what several verbs need.

pub mod abandon;
pub mod apply;
pub mod demo;
pub mod doctor;
pub mod fetch;
pub mod history;
pub mod host;
pub mod init;
pub mod left;
pub mod log;
pub mod manual;
pub mod notices;
pub mod pending;
pub mod plan;
pub mod prepush;
pub mod preview;
pub mod pull;
pub mod recorded;
pub mod recover;
pub mod resume;
pub mod targets;
pub mod transfer;
pub mod validate;
pub mod verify;
