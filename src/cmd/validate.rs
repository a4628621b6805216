//! `validate`: everything that git alone can say about the description of what runs.

use super::session::Session;
use crate::{
    cli::Validate,
    error::Failure,
    model::{ids::ModuleId, text::shown},
    port::Source as _,
    tree::snapshot::Snapshot,
    ui::{Render as _, Report},
    verb::validate,
};

pub(super) fn run(session: &Session, args: &Validate) -> Result<Report, Failure> {
    let only = args.modules.iter().map(|text| module(text)).collect::<Result<Vec<_>, _>>()?;
    let tree = match &args.at {
        Some(rev) => session.git.commit(session.git.resolve(rev)?)?.tree,
        None => session.git.snapshot()?,
    };
    Ok(validate::named(&Snapshot::whole(&session.git, tree)?, &only)?.report())
}

/// A module as a person or an older script names it: an id, its folder, or its manifest.
fn module(text: &str) -> Result<ModuleId, Failure> {
    let name = text.strip_prefix("modules/").unwrap_or(text);
    let name = name.strip_suffix("/module.yaml").unwrap_or(name).trim_end_matches('/');
    name.parse().map_err(|_| {
        Failure::usage(format!("`{}` is not a module", shown(text)), "give an id or a folder: modules/<id>")
    })
}
