//! `init`, rendered.

use serde::Serialize;

use super::{Last, Render};
use crate::{model::ending::Outcome, verb::init::Init};

impl Render for Init {
    const COMMAND: &'static str = "init";

    fn object(&self) -> impl Serialize {
        self
    }

    fn outcome(&self) -> Outcome {
        match self {
            Self::Made(_) => Outcome::Ok,
            Self::Nothing {} => Outcome::Noop,
        }
    }

    fn lines(&self) -> Vec<String> {
        let Self::Made(made) = self else {
            return vec!["✓ everything is there already; nothing was changed".to_owned()];
        };
        let branch = &made.branch;
        let mut lines = vec![format!("✓ branch {branch}; your files are as they were")];
        lines.extend(made.added.iter().map(|path| format!("  adds  {path}")));
        lines.extend(made.kept.iter().map(|path| format!("  keeps {path}, which is there already")));
        lines.push(format!("look at it: git show {branch}"));
        lines.push(format!("check it:   platformctl validate --at {branch}"));
        lines.push("then push it, open a pull request, and merge it".to_owned());
        lines
    }

    fn last(&self) -> Last {
        Last::Next(match self {
            Self::Made(made) => format!("git push {} {}", made.remote, made.branch),
            Self::Nothing {} => "platformctl validate".to_owned(),
        })
    }
}
