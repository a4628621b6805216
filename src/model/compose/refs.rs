//! What a service refers to by name, in any of the forms that Compose allows.

use std::collections::BTreeSet;

use super::forms::{one_or_many, short};
use crate::model::yaml::{Node, Value};

/// A section of definitions at the top of a compose file.
pub type Kind = &'static str;

/// The sections whose entries are used by name.
pub const KINDS: [Kind; 4] = ["volumes", "networks", "configs", "secrets"];

/// What one definition of a service refers to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refs {
    /// Volumes, networks, configs and secrets.
    pub names: BTreeSet<(Kind, String)>,
    /// Services of the same file that it extends.
    pub extends: BTreeSet<String>,
    /// Services that it depends on or shares something with: whether they are there changes how it is rendered.
    pub beside: BTreeSet<String>,
    /// Whether a reference is not literal, or has a form that is not understood: it may mean anything.
    pub loose: bool,
}

/// Everything that a service refers to.
pub fn refs(service: &Node) -> Refs {
    let loose = !matches!(service.value, Value::Map(_) | Value::Null);
    let mut refs = Refs { loose, ..Refs::default() };
    for kind in ["networks", "configs", "secrets"] {
        for name in refs.listed(service.get(kind), "source") {
            refs.names.insert((kind, name));
        }
    }
    // Who names no network is on this one, and which networks are named may change in another file.
    refs.names.insert(("networks", "default".to_owned()));
    refs.volumes(service.get("volumes"));
    let depends = refs.listed(service.get("depends_on"), "");
    refs.beside.extend(depends);
    let links = refs.listed(service.get("links"), "");
    refs.beside.extend(links.iter().map(|link| before_colon(link)));
    let from = refs.listed(service.get("volumes_from"), "");
    refs.beside.extend(from.iter().map(|from| before_colon(from)));
    for key in ["network_mode", "ipc", "pid"] {
        if let Some(mode) = service.get(key).and_then(|node| refs.literal(node)) {
            refs.beside.extend(mode.strip_prefix("service:").map(str::to_owned));
        }
    }
    if let Some(extends) = service.get("extends") {
        let name = refs.literal(extends.get("service").unwrap_or(extends));
        refs.extends.extend(name);
    }
    refs
}

fn before_colon(text: &str) -> String {
    text.split(':').next().unwrap_or_default().to_owned()
}

impl Refs {
    /// Takes those of another service as well.
    pub(super) fn take(&mut self, more: Self) {
        self.names.extend(more.names);
        self.extends.extend(more.extends);
        self.beside.extend(more.beside);
        self.loose |= more.loose;
    }

    /// A text without a variable in it.
    fn literal(&mut self, node: &Node) -> Option<String> {
        let text = node.text().filter(|text| !text.contains('$'));
        self.loose |= text.is_none();
        text.map(str::to_owned)
    }

    /// Names in a list of texts or of mappings, or as keys.
    fn listed(&mut self, node: Option<&Node>, source: &str) -> Vec<String> {
        let Some(node) = node else { return Vec::new() };
        match &node.value {
            Value::Null => Vec::new(),
            Value::Map(entries) => entries.iter().map(|(key, _)| key.name.clone()).collect(),
            Value::List(items) => {
                items.iter().filter_map(|item| self.literal(item.get(source).unwrap_or(item))).collect()
            }
            Value::Text(_) | Value::Plain(_) => {
                self.loose = true;
                Vec::new()
            }
        }
    }

    fn volumes(&mut self, node: Option<&Node>) {
        let Some(node) = node else { return };
        self.loose |= !matches!(node.value, Value::List(_) | Value::Null);
        for item in one_or_many(node) {
            match &item.value {
                Value::Text(text) | Value::Plain(text) if short(text).is_some() => {
                    // A bind; one whose source is no plain path is refused where it is read.
                }
                Value::Text(text) | Value::Plain(text) => match text.split_once(':') {
                    Some((source, _)) if !source.contains('$') => {
                        self.names.insert(("volumes", source.to_owned()));
                    }
                    None if !text.contains('$') => {}
                    Some(_) | None => self.loose = true,
                },
                Value::Map(_) => match item.get("type").and_then(Node::text) {
                    Some("volume") => {
                        if let Some(name) = item.get("source").and_then(|source| self.literal(source)) {
                            self.names.insert(("volumes", name));
                        }
                    }
                    Some("bind" | "tmpfs") => {}
                    Some(_) | None => self.loose = true,
                },
                Value::Null | Value::List(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::yaml;

    fn of(text: &str) -> Refs {
        refs(&yaml::read_compose(text.as_bytes()).unwrap())
    }

    #[test]
    fn references_are_found_in_every_syntax() {
        let found = of("\
networks: {n: {}, m: }
configs: [c, {source: d, target: /d}]
secrets: [s]
volumes: ['v:/v', './bind:/b:ro', /anonymous, {type: volume, source: w, target: /w}, {type: tmpfs, target: /t}]
depends_on: {a: {condition: service_started}}
links: ['b:alias']
network_mode: service:e
extends: {service: f}
");
        let names: Vec<String> = found.names.iter().map(|(kind, name)| format!("{kind}/{name}")).collect();
        assert_eq!(
            names,
            [
                "configs/c",
                "configs/d",
                "networks/default",
                "networks/m",
                "networks/n",
                "secrets/s",
                "volumes/v",
                "volumes/w"
            ]
        );
        assert_eq!(found.beside.iter().collect::<Vec<_>>(), ["a", "b", "e"]);
        assert_eq!(found.extends.iter().collect::<Vec<_>>(), ["f"]);
        assert!(!found.loose);
    }

    #[test]
    fn reference_through_a_variable_is_unresolved() {
        for text in [
            "configs: ['${C}']",
            "configs: [{source: '${C}'}]",
            "configs: ${C}",
            "networks: ['${N}']",
            "secrets: [{target: /x}]",
            "volumes: ['${V}']",
            "volumes: ['v${V}:/v']",
            "volumes: [{type: volume, source: '${V}', target: /v}]",
            "volumes: [{type: '${T}', source: ./v, target: /v}]",
            "volumes: [{type: image, source: v, target: /v}]",
            "volumes: {v: /v}",
            "depends_on: ['${S}']",
            "network_mode: service:${S}",
            "extends: {service: '${S}'}",
            "[a]",
        ] {
            assert!(of(text).loose, "{text}");
        }
        assert!(!of("image: 'x:${TAG}'\nenvironment: {A: '${A}'}").loose);
    }
}
