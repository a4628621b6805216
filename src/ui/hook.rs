//! `hook`, rendered.

use serde::Serialize;

use super::{Last, Render};
use crate::{
    model::text::shown,
    verb::prepush::{Installed, MayPush},
};

impl Render for Installed {
    const COMMAND: &'static str = "hook";

    fn object(&self) -> impl Serialize {
        self
    }

    fn lines(&self) -> Vec<String> {
        vec![format!("✓ {}: every push is checked", shown(&self.path))]
    }

    fn last(&self) -> Last {
        Last::Undo(format!("rm {}", shown(&self.path)))
    }
}

impl Render for MayPush {
    const COMMAND: &'static str = "hook";

    fn object(&self) -> impl Serialize {
        self
    }

    fn lines(&self) -> Vec<String> {
        self.checked.iter().map(|looked| format!("✓ {looked}")).collect()
    }

    fn last(&self) -> Last {
        Last::Next(format!("git pushes to {}", self.to))
    }
}
