//! `validate`: everything that git alone can say about the description of what runs.

use super::session::Session;
use crate::{
    cli::Validate,
    error::Failure,
    model::{ids::ModuleId, problem::Problem, refusal::Refusal, text::shown},
    port::Source as _,
    tree::{manifests, snapshot::Snapshot},
    ui::{Last, Report, plural, wrapped},
    verb::validate,
};

pub(super) fn run(session: &Session, args: &Validate) -> Result<Report, Failure> {
    let only = args.modules.iter().map(|text| module(text)).collect::<Result<Vec<_>, _>>()?;
    let tree = match &args.at {
        Some(rev) => session.git.commit(session.git.resolve(rev)?)?.tree,
        None => session.git.snapshot()?,
    };
    let snapshot = Snapshot::whole(&session.git, tree)?;
    let found = validate::validate(&snapshot, &only)?;
    if let Some(missing) = only.iter().find(|id| !found.modules.contains(id)) {
        let fact = format!("there is no module `{missing}` (no modules/{missing}/module.yaml)");
        let fix = "the modules are the folders below modules/";
        return Err(Failure::refused(vec![manifests::unknown(&snapshot, missing, fact, fix)?]));
    }
    Ok(report(&found))
}

/// A module as a person or an older script names it: an id, its folder, or its manifest.
fn module(text: &str) -> Result<ModuleId, Failure> {
    let name = text.strip_prefix("modules/").unwrap_or(text);
    let name = name.strip_suffix("/module.yaml").unwrap_or(name).trim_end_matches('/');
    name.parse().map_err(|_| {
        Failure::usage(format!("`{}` is not a module", shown(text)), "give an id or a folder: modules/<id>")
    })
}

/// What was found, as a report.
pub(super) fn report(found: &validate::Report) -> Report {
    let mut report = judged(found);
    for warning in &found.warnings {
        report.warn(warning);
    }
    report
}

fn judged(found: &validate::Report) -> Report {
    let problems = &found.problems;
    if problems.is_empty() {
        let next = match found.modules.first() {
            Some(id) => format!("platformctl plan {id}"),
            None => "add a module: modules/<id>/module.yaml".to_owned(),
        };
        let modules = plural(found.modules.len(), "module");
        return Report::done("validate", "ok", Last::Next(next))
            .lines([format!("✓ platform.yaml and {modules} hold")])
            .with("modules", &found.modules)
            .with("problems", problems);
    }
    let refusals: Vec<Refusal> = problems.iter().cloned().map(Problem::into_refusal).collect();
    let failure = Failure::refused(refusals);
    let fix = match problems.as_slice() {
        [only] => only.fix.clone(),
        [] | [_, ..] => "do what each says, then validate again".to_owned(),
    };
    let word = if failure.class == crate::error::Class::Invalid { "INVALID" } else { "REFUSED" };
    let head =
        format!("{word} ({}): {}. Nothing was changed.", failure.class.exit(), plural(problems.len(), "problem"));
    let several = problems.len() > 1;
    let lines = problems.iter().flat_map(|problem| {
        let mut lines = vec![format!("✗ {}  {}", problem.place(), problem.code.slug())];
        lines.extend(wrapped(&problem.message, "  "));
        lines.extend(several.then(|| wrapped(&format!("→ {}", problem.fix), "  ")).into_iter().flatten());
        lines
    });
    Report::done("validate", "refused", Last::Fix(fix))
        .lines([head])
        .lines(lines)
        .with("modules", &found.modules)
        .with("problems", problems)
        .ends_in(failure.class)
        .refused(failure.refusals)
}
