//! `validate`, rendered.

use serde::Serialize;

use super::{Last, Render, plural, wrapped};
use crate::{
    error::Class,
    model::{problem::Problem, refusal::Refusal},
    verb::validate::Validated,
};

impl Render for Validated {
    const COMMAND: &'static str = "validate";

    fn object(&self) -> impl Serialize {
        self
    }

    fn refusals(&self) -> Vec<Refusal> {
        self.problems.iter().cloned().map(Problem::into_refusal).collect()
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    fn lines(&self) -> Vec<String> {
        let problems = &self.problems;
        if problems.is_empty() {
            return vec![format!("✓ platform.yaml and {} are valid", plural(self.modules.len(), "module"))];
        }
        let class = self.class();
        let word = if class == Class::Invalid { "INVALID" } else { "REFUSED" };
        let head = format!("{word} ({}): {}. Nothing was changed.", class.exit(), plural(problems.len(), "problem"));
        let several = problems.len() > 1;
        let each = problems.iter().flat_map(|problem| {
            let mut lines = vec![format!("✗ {}  {}", problem.place(), problem.code.slug())];
            lines.extend(wrapped(&problem.message, "  "));
            lines.extend(several.then(|| wrapped(&format!("→ {}", problem.fix), "  ")).into_iter().flatten());
            lines
        });
        [head].into_iter().chain(each).collect()
    }

    fn last(&self) -> Last {
        match (self.problems.as_slice(), self.modules.first()) {
            ([], Some(id)) => Last::Next(format!("platformctl plan {id}")),
            ([], None) => Last::Next("add a module: modules/<id>/module.yaml".to_owned()),
            ([only], _) => Last::Fix(only.fix.clone()),
            ([_, ..], _) => Last::Fix("fix each, then validate again".to_owned()),
        }
    }
}
