//! What commands do with the stages: one file for a verb, and what several verbs need.

pub mod apply;
pub mod busy;
pub mod doctor;
pub mod fetch;
pub mod host;
pub mod left;
pub mod pending;
pub mod plan;
pub mod prepush;
pub mod preview;
pub mod pull;
pub mod recover;
pub mod resume;
pub mod targets;
pub mod timings;
pub mod validate;
