//! The published schema of results (`schema/result.json`), made of the types that are rendered, and compared with them.

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "with UPDATE=1 the test rewrites the file")]
mod tests {
    use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
    use serde_json::{Value, json};

    use super::super::{apply, due, pending, plan, proposed, resume};
    use crate::{
        cli,
        model::result::{Envelope, Failed},
        verb::{
            abandon::Abandoned,
            demo::Demo,
            doctor::diagnosis::Diagnosis,
            init::Init,
            lint::Linted,
            log::Log,
            manual::{Page, Schemas},
            prepush::{Installed, MayPush},
            recover::Recovered,
            show::InFull,
            status::Status,
            transfer::{FetchedRecord, PushedRecord},
            validate::Validated,
            verify::Verified,
        },
    };

    /// What each command adds to a result.
    fn added(schemas: &mut SchemaGenerator) -> Vec<(&'static str, Vec<Schema>)> {
        fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
            schemas.subschema_for::<T>()
        }
        vec![
            ("abandon", vec![of::<Abandoned>(schemas)]),
            ("apply", vec![of::<apply::One>(schemas), of::<apply::Several>(schemas), of::<due::Swept>(schemas)]),
            ("check", vec![of::<proposed::Whole>(schemas)]),
            ("demo", vec![of::<Demo>(schemas)]),
            ("doctor", vec![of::<Diagnosis>(schemas)]),
            ("help", vec![of::<Page>(schemas)]),
            ("hook", vec![of::<Installed>(schemas), of::<MayPush>(schemas)]),
            ("init", vec![of::<Init>(schemas)]),
            ("lint", vec![of::<Linted>(schemas)]),
            ("log", vec![of::<Log>(schemas)]),
            ("pending", vec![of::<pending::Listing>(schemas)]),
            ("plan", vec![of::<plan::Shown>(schemas), of::<plan::Several>(schemas), of::<proposed::Whole>(schemas)]),
            ("resume", vec![of::<resume::Runs>(schemas)]),
            ("schema", vec![of::<Schemas>(schemas)]),
            ("show", vec![of::<InFull>(schemas)]),
            ("state", vec![of::<FetchedRecord>(schemas), of::<PushedRecord>(schemas), of::<Recovered>(schemas)]),
            ("status", vec![of::<Status>(schemas)]),
            ("validate", vec![of::<Validated>(schemas)]),
            ("verify", vec![of::<Verified>(schemas)]),
        ]
    }

    /// What every result has, and by its command what is beside that: what the command adds, or why it was refused or
    /// failed.
    fn result() -> Value {
        let mut schemas = SchemaSettings::draft2020_12().for_serialize().into_generator();
        let added = added(&mut schemas);
        let failed = json!({
            "allOf": [schemas.subschema_for::<Failed>(), {"properties": {"outcome": {"enum": ["refused", "error"]}}}],
        });
        let mut schema = schemas.root_schema_for::<Envelope<'_>>().to_value();
        let names: Vec<&str> = added.iter().map(|(command, _)| *command).collect();
        schema["properties"]["command"]["enum"] = json!(names);
        let by_command = added.into_iter().map(|(command, shapes)| {
            let shapes: Vec<Value> = shapes.into_iter().map(Schema::to_value).chain([failed.clone()]).collect();
            json!({"if": {"properties": {"command": {"const": command}}}, "then": {"anyOf": shapes}})
        });
        schema["allOf"] = by_command.collect();
        schema["title"] = "result".into();
        schema
    }

    #[test]
    fn the_schema_of_results_is_that_of_the_types() {
        let made = serde_json::to_string_pretty(&result()).unwrap() + "\n";
        let (_, kept) = crate::model::schema::ALL.iter().find(|(name, _)| *name == "result.json").unwrap();
        if std::env::var_os("UPDATE").is_some() {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/result.json");
            std::fs::write(path, &made).unwrap();
            return;
        }
        snapbox::assert_data_eq!(*kept, snapbox::IntoData::raw(made));
    }

    /// A command whose result has no schema would print what no script can rely on.
    #[test]
    fn every_command_has_a_schema() {
        let mut schemas = SchemaSettings::draft2020_12().for_serialize().into_generator();
        let mut names: Vec<String> = added(&mut schemas).iter().map(|(command, _)| (*command).to_owned()).collect();
        let mut commands = cli::commands();
        commands.sort();
        names.sort();
        assert_eq!(names, commands);
    }
}
