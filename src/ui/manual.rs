//! `help` and `schema`, rendered: what they print is a text as it is.

use serde::Serialize;

use super::{Last, Render};
use crate::verb::manual::{Page, Schemas};

impl Render for Page {
    const COMMAND: &'static str = "help";

    fn object(&self) -> impl Serialize {
        self
    }

    fn text(&self) -> Option<&str> {
        Some(&self.text)
    }

    fn lines(&self) -> Vec<String> {
        Vec::new()
    }

    fn last(&self) -> Last {
        Last::Next("platformctl help".to_owned())
    }
}

impl Render for Schemas {
    const COMMAND: &'static str = "schema";

    fn object(&self) -> impl Serialize {
        self
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Names { .. } => None,
            Self::One { text, .. } => Some(text),
        }
    }

    fn lines(&self) -> Vec<String> {
        match self {
            Self::Names { schemas } => schemas.iter().map(ToString::to_string).collect(),
            Self::One { .. } => Vec::new(),
        }
    }

    fn last(&self) -> Last {
        Last::Next("platformctl schema platform > platform.schema.json".to_owned())
    }
}
