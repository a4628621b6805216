//! JSON Schemas of what people write, for editors, and of what scripts read. Generated from the types; a test compares
//! them.

/// A published schema: the name of its file in `schema/`, and its text.
pub const ALL: &[(&str, &str)] = &[
    ("platform.json", include_str!("../../schema/platform.json")),
    ("module.json", include_str!("../../schema/module.json")),
    ("plan.json", include_str!("../../schema/plan.json")),
    ("notice.json", include_str!("../../schema/notice.json")),
    ("result.json", include_str!("../../schema/result.json")),
];

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "with UPDATE=1 the test rewrites the files")]
mod tests {
    use super::*;
    use crate::model::{message::Message, module::Manifest, plan::PlanFile, policy::Policy, yaml};

    fn text(schema: schemars::Schema, title: &str) -> String {
        let mut schema = schema.to_value();
        schema["title"] = title.into();
        serde_json::to_string_pretty(&schema).unwrap() + "\n"
    }

    /// Of what is written by us and read by others.
    fn read() -> schemars::SchemaGenerator {
        schemars::generate::SchemaSettings::draft2020_12().for_serialize().into_generator()
    }

    #[test]
    fn schemas_are_those_of_the_types() {
        let made = [
            text(schemars::schema_for!(Policy), "platform.yaml"),
            text(schemars::schema_for!(Manifest), "module.yaml"),
            text(read().into_root_schema_for::<PlanFile>(), "plan file"),
            text(read().into_root_schema_for::<Message>(), "notice"),
        ];
        for ((name, kept), made) in ALL.iter().zip(made) {
            if std::env::var_os("UPDATE").is_some() {
                let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
                std::fs::write(path, &made).unwrap();
                continue;
            }
            // As it is: a line break in a description is no path of Windows.
            snapbox::assert_data_eq!(*kept, snapbox::IntoData::raw(made));
        }
    }

    /// An editor with the schema and the reader of the tool accept the same shapes.
    #[test]
    fn schema_and_reader_agree() {
        let module = "schema: module/2\nid: a\ntitle: A\nowner: o\nhost: h\nruntime: {driver: files, tree: t}\n";
        let policy = "schema: platform/1\nhosts: {h: {transport: local, root: /r}}\n";
        let validator = |at: usize| {
            let schema: serde_json::Value = serde_json::from_str(ALL[at].1).unwrap();
            jsonschema::validator_for(&schema).unwrap()
        };
        let json = |text: &str| serde_yaml::from_str::<serde_json::Value>(text).unwrap();
        for (more, holds) in [
            ("", true),
            ("inputs: [a]\n", true),
            ("health: {settle_s: 3, probes: [{tcp: 'a:1'}]}\n", true),
            ("inputs: a\n", false),
            ("unknown: 1\n", false),
            ("health: {settle_s: -1}\n", false),
            ("health: {probes: [{udp: x}]}\n", false),
            ("on_failure: retry\n", false),
        ] {
            let text = format!("{module}{more}");
            assert_eq!(yaml::read::<Manifest>(text.as_bytes()).is_ok(), holds, "reader: {more}");
            assert_eq!(validator(1).is_valid(&json(&text)), holds, "schema: {more}");
        }
        for (more, holds) in [
            ("", true),
            ("approval: {styles: [merge], adopt: []}\n", true),
            ("approval: {styles: [octopus]}\n", false),
            ("state: {remote: none}\n", true),
            ("state: {remotes: none}\n", false),
        ] {
            let text = format!("{policy}{more}");
            assert_eq!(yaml::read::<Policy>(text.as_bytes()).is_ok(), holds, "reader: {more}");
            assert_eq!(validator(0).is_valid(&json(&text)), holds, "schema: {more}");
        }
    }
}
