//! The record as this clone has it: the view that `status`, `log` and `show` share. Reads git alone.

use crate::{
    flow::{Stage, Stop, refuse},
    ledger::state::State,
    model::{
        ids::ModuleId,
        near::did_you_mean,
        refusal::{Code, Refusal},
        text::shown,
    },
    port::{Answer, Ports},
    tree::{manifests, snapshot::Snapshot},
};

/// The record of this clone.
///
/// # Errors
/// There is none here.
pub fn local<'a>(ports: &Ports<'a>) -> Stage<State<'a>> {
    match ports.ledger.tip()? {
        Some(tip) => Ok(State::at(ports.source, tip)?),
        None => match ports.ledger.base()? {
            Some(_) => refuse(Code::NoState, "nothing was ever applied: there is no record yet", "platformctl pending"),
            None => refuse(Code::NoState, "this clone has not fetched the record yet", "platformctl state fetch"),
        },
    }
}

/// Why the record does not mention a module: it was never applied, or does not exist.
pub fn absent(ports: &Ports<'_>, state: &State<'_>, module: &ModuleId) -> Stop {
    let fix = "platformctl status shows what was applied, platformctl pending what was not";
    match known(ports, state) {
        Ok((_, there)) if there.contains(module) => {
            Refusal::new(Code::Usage, format!("the record does not mention {module}: it was never applied"), fix).into()
        }
        Ok((recorded, there)) => {
            let fix = did_you_mean(module.as_str(), recorded.iter().chain(&there).map(ModuleId::as_str), fix);
            let fact = format!("there is no module {module}, in the record or on {}", shown(ports.base));
            Refusal::new(Code::UnknownModule, fact, fix).into()
        }
        Err(error) => error.into(),
    }
}

/// The modules of the record, and those of the base as it was fetched last.
fn known(ports: &Ports<'_>, state: &State<'_>) -> Answer<(Vec<ModuleId>, Vec<ModuleId>)> {
    let recorded = state.modules()?.into_iter().map(|status| status.module).collect();
    let there = match ports.ledger.base()? {
        Some((base, _)) => manifests::module_ids(&Snapshot::lazy(ports.source, ports.source.commit(base)?.tree))?.0,
        None => Vec::new(),
    };
    Ok((recorded, there))
}
