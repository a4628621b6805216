//! Effects: the only rooms where processes start, files are opened and clocks are read. They decide nothing.

pub mod archive;
pub mod clock;
pub mod configured;
pub mod demo;
pub mod env;
mod faults;
pub mod file;
pub mod forgejo;
pub mod forges;
mod framed;
pub mod git;
mod git_messages;
mod git_ssh;
mod handover;
pub mod hosts;
mod http;
pub mod local;
pub mod log;
pub mod logged;
pub mod notify;
pub mod process;
pub mod remote;
mod runner;
mod secrets;
mod socket;
pub mod ssh;
mod token;
