//! Nouns: what the sentence is about. Nothing here touches the world, and nothing here knows a verb.

pub mod approval;
pub mod check;
pub mod check_policy;
pub mod claim;
pub mod closure;
pub mod compose;
pub mod digest;
pub mod doors;
pub mod frame;
pub mod ids;
pub mod json;
pub mod module;
pub mod path;
pub mod plan;
pub mod policy;
pub mod problem;
pub mod projection;
pub mod refusal;
pub mod result;
pub mod sacred;
pub mod schema;
pub mod status;
pub mod text;
pub mod time;
pub mod variable;
pub mod yaml;
