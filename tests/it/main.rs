//! One binary of integration tests: real git, real programs, real files.

mod generated;
mod host;
mod support;
