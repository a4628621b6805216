//! Rules of the record: what an event is, what it makes of message and tree, and when a chain of them holds. Pure.

pub mod event;
