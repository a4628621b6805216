//! Rules of the record: what an event is, which message and tree follow from it, and when a chain of them is valid.

pub mod alarm;
pub mod chain;
pub mod event;
pub mod fault;
pub mod fold;
mod form;
pub mod kind;
mod meaning;
pub mod message;
pub mod recover;
pub mod shape;
pub mod state;
pub mod transition;
pub mod tree;
