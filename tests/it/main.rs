//! One binary of integration tests: real git, real programs, real files.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "tests are their own world"
)]

mod apply;
mod approve;
mod around;
mod auto;
mod break_glass;
mod cli;
mod compose;
mod contributing;
mod credentials;
mod deployments;
mod digest;
mod docs;
mod doctor;
mod faults;
mod forge_double;
mod gate;
mod generated;
mod git;
mod held;
mod host;
mod kinds;
mod lab;
mod layers;
mod ledger;
mod lineage;
mod lint;
mod log;
mod modules;
mod on_the_pr;
mod output;
mod policy;
mod protocol;
mod record;
mod repository;
mod results;
mod reviews;
mod runs;
mod sealed;
mod ssh;
mod support;
mod sweep;
mod timings;
mod told;
mod trust;
mod witness;
mod words;
mod workflows;
