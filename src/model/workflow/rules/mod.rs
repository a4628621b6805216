//! The rules of the linter, in one table. `docs/lint.md` is made of it.

mod applies;
mod checkout;
mod effect;
mod gates;
mod inject;
mod pins;
mod report;
mod secrets;
mod shape;
mod table;

pub use self::table::{FOLDERS, RULES, Rule, lint, page, shadowed};
