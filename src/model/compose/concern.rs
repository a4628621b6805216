//! What of the listed compose files concerns some services: everything but what is known to concern others alone.
//!
//! Nothing is left out because it looks harmless. Three things are: keys that begin with `x-` (what they give to others
//! stands where it is merged), services that the module neither owns nor extends, and definitions that none of its
//! services names.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::refs::{KINDS, Kind, Refs, refs};
use crate::model::yaml::{self, Node};

/// What concerns a module's services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Concern {
    /// Its own services, and those that they extend.
    pub services: BTreeSet<String>,
    /// What they refer to.
    pub refs: Refs,
}

/// Follows what services refer to over all files: `own` (all services of the listed files, if `None`), and whatever the
/// files say that listed ones extend or include.
pub fn concern(listed: &[&Node], followed: &[&Node], own: Option<&[String]>) -> Concern {
    let files: Vec<&Node> = listed.iter().chain(followed).copied().collect();
    let mut found = Concern::default();
    for file in &files {
        let sections = KINDS.iter().chain(&["services"]).filter_map(|section| file.get(section));
        let mut all = sections.chain([*file]);
        found.refs.loose |= !all.all(|node| matches!(node.value, yaml::Value::Map(_) | yaml::Value::Null));
    }
    let names = |files: &[&Node]| -> Vec<String> {
        let services = files.iter().filter_map(|file| file.get("services")).flat_map(Node::entries);
        services.map(|(key, _)| key.name.clone()).collect()
    };
    let mut queue = own.map_or_else(|| names(listed), <[String]>::to_vec);
    queue.extend(names(followed));
    while let Some(name) = queue.pop() {
        if !found.services.insert(name.clone()) {
            continue;
        }
        for service in each(&files, "services", &name) {
            let more = refs(service);
            queue.extend(more.extends.iter().cloned());
            found.refs.take(more);
        }
    }
    found
}

/// The entries of a section in each file.
fn each<'n>(files: &[&'n Node], section: &str, name: &str) -> Vec<&'n Node> {
    files.iter().filter_map(|file| file.get(section)?.get(name)).collect()
}

/// How a service is written, to say in what it differs: `service` with its keys, `uses` with the definitions that it
/// names, and what it extends. Where several files say something of one key, mappings and lists are put together.
pub fn written(files: &[&Node], name: &str) -> Value {
    let concern = concern(files, &[], Some(&[name.to_owned()]));
    let together = |section: &str, name: &str| {
        let parts = each(files, section, name).into_iter().map(Node::to_json);
        parts.reduce(put_together).unwrap_or(Value::Null)
    };
    let uses = concern.refs.names.iter().map(|(kind, name)| (format!("{kind}/{name}"), together(kind, name)));
    let uses: Map<String, Value> = uses.filter(|(_, definition)| !definition.is_null()).collect();
    let mut written = json!({"service": together("services", name), "uses": uses});
    for base in concern.services.iter().filter(|base| *base != name) {
        written[format!("extends {base}")] = together("services", base);
    }
    written
}

fn put_together(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(mut one), Value::Object(other)) => {
            for (key, value) in other {
                let before = one.remove(&key);
                one.insert(key, before.map_or_else(|| value.clone(), |before| put_together(before, value.clone())));
            }
            Value::Object(one)
        }
        (Value::Array(mut one), Value::Array(other)) => {
            one.extend(other);
            Value::Array(one)
        }
        (_, other) => other,
    }
}

impl Concern {
    /// Whether a definition is used.
    pub fn uses(&self, kind: Kind, name: &str) -> bool {
        self.refs.loose || self.refs.names.iter().any(|(of, used)| *of == kind && used == name)
    }

    /// What of a file concerns the services.
    pub fn of(&self, file: &Node) -> Value {
        let mut kept = Map::new();
        for (key, value) in file.entries().iter().filter(|(key, _)| !key.name.starts_with("x-")) {
            let value = match KINDS.iter().find(|kind| **kind == key.name) {
                Some(kind) => some(value, |name| self.uses(kind, name)),
                None if key.name == "services" => some(value, |name| self.services.contains(name)),
                None => value.to_json(),
            };
            kept.insert(key.name.clone(), value);
        }
        let services = file.get("services");
        let beside = self.refs.beside.iter().filter_map(|name| {
            let service = services?.get(name)?;
            Some((name.clone(), json!([service.tag, service.get("profiles").map(Node::to_json)])))
        });
        let beside: Map<String, Value> = beside.collect();
        json!({"tag": file.tag, "kept": kept, "beside": beside})
    }
}

fn some(section: &Node, wanted: impl Fn(&str) -> bool) -> Value {
    let entries = section.entries().iter().filter(|(key, _)| wanted(&key.name));
    let of: Map<String, Value> = entries.map(|(key, value)| (key.name.clone(), value.to_json())).collect();
    json!({"tag": section.tag, "of": of})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Node {
        yaml::read_compose(text.as_bytes()).unwrap()
    }

    #[test]
    fn only_entries_of_other_modules_are_left_out() {
        let one = read(
            "\
x-base: {restart: always}
services:
  a: {image: x, extends: {service: base}, configs: [c], depends_on: [other]}
  base: {image: b, networks: [inner]}
  other: {image: z, profiles: [p], volumes: ['v:/v']}
  beside: {image: z}
volumes: {v: {}}
",
        );
        let two = read(
            "configs: {c: {content: x}, d: {content: y}}\nnetworks: {default: {}, inner: {}, outer: {}}\nname: named\n",
        );
        let found = concern(&[&one, &two], &[], Some(&["a".to_owned()]));
        assert_eq!(
            found.of(&one),
            json!({
                "tag": null,
                "beside": {"other": [null, ["p"]]},
                "kept": {
                    "services": {"tag": null, "of": {
                        "a": {"image": "x", "extends": {"service": "base"}, "configs": ["c"], "depends_on": ["other"]},
                        "base": {"image": "b", "networks": ["inner"]},
                    }},
                    "volumes": {"tag": null, "of": {}},
                },
            })
        );
        assert_eq!(
            found.of(&two),
            json!({
                "tag": null,
                "beside": {},
                "kept": {
                    "configs": {"tag": null, "of": {"c": {"content": "x"}}},
                    "networks": {"tag": null, "of": {"default": {}, "inner": {}}},
                    "name": "named",
                },
            })
        );
        let written = written(&[&one, &two], "a");
        assert_eq!(
            written["uses"],
            json!({"configs/c": {"content": "x"}, "networks/default": {}, "networks/inner": {}})
        );
        assert_eq!(written["extends base"]["image"], "b");
    }

    #[test]
    fn section_of_unexpected_type_counts_whole() {
        for text in
            ["services: {a: {image: x}}\nconfigs: [c]", "services: ['${S}']", "services: {a: '${A}'}", "[services]"]
        {
            assert!(concern(&[&read(text)], &[], Some(&["a".to_owned()])).refs.loose, "{text}");
        }
    }
}
