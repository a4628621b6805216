//! Batch: an apply of one module is one run; an apply of several modules is one command. It ends with the first that fails.

use crate::{
    flow::Stage,
    model::ids::ModuleId,
    port::{Ports, Step},
    verb::{
        apply::{Applied, Ask, candidates},
        asked::Asked,
        fetch::{newest_record, refresh},
        left::{Logs, Told},
        notices::{self, Notice, unpinned},
        targets,
        wait::patiently,
    },
};

/// What became of all that was asked for.
#[derive(Debug)]
pub struct Batch {
    /// The modules, in order.
    pub asked: Vec<ModuleId>,
    /// What became of each that was tried.
    pub targets: Vec<Target>,
}

/// One module that was asked for, and what became of it.
#[derive(Debug)]
pub struct Target {
    /// The module.
    pub module: ModuleId,
    /// What became of it.
    pub applied: Stage<Applied>,
    /// What the containers of a release said that is held.
    pub told: Option<Told>,
    /// What an operator should know.
    pub notices: Vec<Notice>,
    /// Milliseconds since the command began.
    pub took_ms: u64,
}

/// Applies what was asked for, each module after those that it comes after. `asks`: by name; none: what the pull request changed.
///
/// # Errors
/// The remote gave no answer, or it is not known which modules are asked for. That a module is not applied is data.
pub fn apply_all(ports: &Ports<'_>, asked: &Asked, asks: Vec<Ask>, wait_s: u64, logs: Logs) -> Stage<Batch> {
    let begun = ports.clock.ticks_ms();
    let mut fetched = refresh(ports, &asked.request)?;
    let mut asks = asks;
    if asks.is_empty() {
        let changed = targets::changed(&candidates(ports, &fetched), &asked.request)?;
        asks.extend(changed.into_iter().map(|module| asked.of(module)));
    }
    let names: Vec<ModuleId> = asks.iter().map(|ask| ask.module.clone()).collect();
    let order = targets::named(ports.source, fetched.p, &names)?;
    asks.sort_by_key(|ask| order.iter().position(|module| *module == ask.module));
    let mut targets: Vec<Target> = Vec::new();
    for (at, ask) in (1..).zip(&asks) {
        if asks.len() > 1 {
            (ports.tell)(Step::Target { name: ask.module.to_string(), at, of: asks.len() });
        }
        let first = fetched.checked.is_none();
        let applied = patiently(ports, &mut fetched, ask, wait_s);
        if let Ok(checked) = newest_record(ports) {
            fetched.checked = checked;
        }
        let run = match &applied {
            Ok(Applied::Run(run)) => Some(run),
            Ok(Applied::Noop(_)) | Err(_) => None,
        };
        let told = run.and_then(|run| run.left.as_ref()).and_then(|left| left.told(logs));
        let mut notices: Vec<Notice> =
            run.filter(|_| fetched.is_baseline()).map(|_| Notice::Baseline).into_iter().collect();
        // The advice to pin the record is given by the apply that began it.
        let genesis = fetched.checked.as_ref().filter(|_| first).map(|checked| checked.genesis);
        notices.extend(unpinned(&fetched, genesis));
        notices.extend(notices::all(ports, &fetched));
        let done = matches!(&applied, Ok(applied) if applied.is_done());
        let took_ms = ports.clock.ticks_ms().saturating_sub(begun);
        targets.push(Target { module: ask.module.clone(), applied, told, notices, took_ms });
        if !done {
            break;
        }
    }
    Ok(Batch { asked: asks.into_iter().map(|ask| ask.module).collect(), targets })
}
