//! `schema`: the JSON Schemas of what people write.

use crate::{
    cli::Schema,
    error::Failure,
    model::schema,
    ui::{Last, Printer, Report},
};

pub(super) fn run(args: &Schema, printer: Printer) -> Result<Report, Failure> {
    let names: Vec<&str> = schema::ALL.iter().map(|(name, _)| name.trim_end_matches(".json")).collect();
    let Some(wanted) = &args.name else {
        let report =
            Report::done("schema", "ok", Last::Next("platformctl schema platform > platform.schema.json".into()));
        return Ok(report.lines(names.iter().map(ToString::to_string)).with("schemas", names));
    };
    let Some((_, text)) = schema::ALL.iter().find(|(name, _)| name.trim_end_matches(".json") == wanted) else {
        return Err(Failure::usage(format!("there is no schema `{wanted}`"), format!("one of: {}", names.join(", "))));
    };
    let parsed: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    Ok(Report::text("schema", printer, text).with("json_schema", parsed))
}
