//! `init`, rendered.

use serde::Serialize;

use super::{Last, Render, wrapped};
use crate::{
    model::ending::Outcome,
    verb::init::{Init, To},
};

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

    fn warnings(&self) -> Vec<String> {
        let Self::Made(made) = self else { return Vec::new() };
        let hides = |folder: &&str| {
            format!("the server looks at .forgejo/workflows alone now: move the workflows of {folder} there")
        };
        made.hidden.iter().map(hides).collect()
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
        if let Some(host) = &made.taken_for_here {
            let words = format!(
                "ssh does not know {host}, so it is taken for this machine (`transport: local`); if it is another one, \
                 write `transport: ssh` and its `destination` in platform.yaml before you push"
            );
            lines.extend(wrapped(&words, ""));
        }
        let To { remote, base, based } = &made.to;
        if *based {
            lines.push("then push it, open a pull request, and merge it".to_owned());
        } else {
            let words = format!("{remote} has no branch {base} yet: push that first, because a pull request needs it");
            lines.extend(wrapped(&words, ""));
            lines.push(format!("then: git push {remote} {branch}, open a pull request, and merge it"));
        }
        lines
    }

    fn last(&self) -> Last {
        Last::Next(match self {
            Self::Made(made) => match &made.to {
                To { remote, based: true, .. } => format!("git push {remote} {}", made.branch),
                To { remote, base, based: false } => format!("git push {remote} HEAD:refs/heads/{base}"),
            },
            Self::Nothing {} => "platformctl validate".to_owned(),
        })
    }
}
