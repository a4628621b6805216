//! What a command prints as it is: a page of the manual, or a schema.

use serde::Serialize;
use serde_json::Value;

/// A page of the manual.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Page {
    /// Its text.
    pub text: String,
}

/// A published JSON Schema, or the names of all of them.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Schemas {
    /// All names.
    Names {
        /// The names.
        schemas: Vec<&'static str>,
    },
    /// One schema.
    One {
        /// The schema.
        json_schema: Value,
        /// The same as it was published.
        #[serde(skip)]
        text: &'static str,
    },
}
