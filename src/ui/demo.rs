//! `demo`, rendered. The story itself was printed while it happened.

use serde::Serialize;

use super::{
    Last, Render, plural,
    report::{cure, failed},
};
use crate::{
    error::Failure,
    model::{
        ending::Outcome,
        refusal::{Code, Refusal},
    },
    verb::demo::Demo,
};

impl Render for Demo {
    const COMMAND: &'static str = "demo";

    fn object(&self) -> impl Serialize {
        self
    }

    fn outcome(&self) -> Outcome {
        if self.refusals().is_empty() { Outcome::Ok } else { Outcome::Error }
    }

    fn refusals(&self) -> Vec<Refusal> {
        let wrong = self.steps.iter().find_map(|step| Some((step, step.wrong.as_deref()?)));
        let refusal = wrong.map(|(step, why)| {
            let fact = format!("the demo's step `{}` failed: {why}", step.command);
            Refusal::new(Code::Bug, fact, "please report this with the output above")
        });
        refusal.into_iter().collect()
    }

    fn lines(&self) -> Vec<String> {
        let refusals = self.refusals();
        if !refusals.is_empty() {
            return failed(&Failure::refused(refusals));
        }
        let done = [String::new(), format!("✓ {}, each did what it announced", plural(self.steps.len(), "step"))];
        let more: &[&str] = match &self.kept {
            Some(_) => &[
                "try there, as the operator of a small machine:",
                "  platformctl pending",
                "  platformctl show edge-site",
                "  git log refs/platform/state",
                "  git show refs/platform/state:modules/edge-site.status.json",
                "  rm -r ../host/live && platformctl apply edge-site --again",
            ],
            None => &[],
        };
        done.into_iter().chain(more.iter().map(ToString::to_string)).collect()
    }

    fn last(&self) -> Last {
        match (self.refusals(), &self.kept) {
            (refusals, Some(work)) if refusals.is_empty() => Last::Next(format!("cd {work} && platformctl status")),
            (refusals, None) if refusals.is_empty() => {
                Last::Next("platformctl demo --keep DIR keeps all of it, to try more".to_owned())
            }
            (refusals, _) => cure(&Failure::refused(refusals)),
        }
    }
}
