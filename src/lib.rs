//! platformctl changes docker compose hosts only when a merged pull request says so, and records it in git.
//!
//! The map of the house (`docs/architecture.md` has the rules; `tests/it/layers.rs` holds them): `model` nouns · `port`
//! what may be asked of the world · `ledger` rules of the record · `tree` what a tree of the repository says ·
//! `runtime` drivers · `record` the writer of the record · `flow` the ten stages · `verb` what commands do with them ·
//! `io` effects · `error` classes and exit codes · `ui` the only printer · `cmd` commands.

pub mod cli;
pub mod cmd;
pub mod config;
pub mod error;
pub mod flow;
pub mod io;
#[cfg(any(test, feature = "fuzz"))]
pub mod laws;
pub mod ledger;
pub mod model;
pub mod port;
pub mod record;
pub mod runtime;
pub mod tree;
pub mod ui;
pub mod verb;
