//! One binary of integration tests: real git, real programs, real files.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests are their own world"
)]

mod apply;
mod approve;
mod generated;
mod git;
mod host;
mod ledger;
mod repository;
mod support;
