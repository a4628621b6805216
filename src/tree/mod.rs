//! The contents of one tree of the repository: its policy, its modules, every file that decides what they run, and
//! their digests.

pub mod closure;
pub mod doors;
pub mod footprint;
pub mod leaks;
pub mod manifests;
pub mod module;
pub mod place;
pub mod snapshot;
