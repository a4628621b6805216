//! `schema`: the JSON Schemas of what people write and scripts read.

use crate::{
    cli::Schema,
    error::Failure,
    model::schema,
    ui::{Render as _, Report},
    verb::manual::Schemas,
};

pub(super) fn run(args: &Schema) -> Result<Report, Failure> {
    let names: Vec<&str> = schema::ALL.iter().map(|(name, _)| name.trim_end_matches(".json")).collect();
    let Some(wanted) = &args.name else { return Ok(Schemas::Names { schemas: names }.report()) };
    let Some((_, text)) = schema::ALL.iter().find(|(name, _)| name.trim_end_matches(".json") == wanted) else {
        return Err(Failure::usage(format!("there is no schema `{wanted}`"), format!("one of: {}", names.join(", "))));
    };
    Ok(Schemas::One { json_schema: serde_json::from_str(text).unwrap_or_default(), text }.report())
}
