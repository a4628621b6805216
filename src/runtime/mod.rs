//! Drivers: host scripts as files, orders out, captured answers in. Pure.

pub mod compose;
pub mod doctor;
pub mod driver;
pub mod engine;
pub mod files;
pub mod logs;
pub mod machine;
pub mod probe;
pub mod pull;
pub mod result;
mod script;
pub mod secrets;
pub mod ship;

use crate::model::module;

/// The drivers, by their name in a manifest. A new one is a module of this room and a line here.
pub fn driver(of: module::Driver) -> &'static dyn driver::Driver {
    match of {
        module::Driver::Files => &files::driver::Files,
        module::Driver::Compose => &compose::driver::Compose,
    }
}
