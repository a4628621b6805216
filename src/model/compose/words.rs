//! Names in a compose file that become words of command lines on a host. What is written with a variable is judged once
//! it is rendered.

use super::{Reader, Service};
use crate::model::{
    doors::joined,
    names::{ComposeName, ImageName, NameError},
    refusal::Code,
    yaml::{Key, Node},
};

/// The label that a bind asks SELinux to put on its source: `z` or `Z`.
pub(super) fn relabels(item: &Node) -> Option<String> {
    let options = match item.text() {
        Some(text) => text[text.rfind('}').map_or(0, |at| at + 1)..].splitn(3, ':').nth(2)?.to_owned(),
        None => item.get("bind")?.get("selinux")?.text()?.to_owned(),
    };
    options.split(',').find(|option| matches!(*option, "z" | "Z")).map(str::to_owned)
}

impl Reader<'_> {
    /// The name of a service; a key that is not a name is reported with its place.
    pub(super) fn service_name(&mut self, key: &Key) -> Option<ComposeName> {
        self.named_by(&key.name, (key.line, key.column))
    }

    /// The keys of the file's definitions, and the names on the host that these are given.
    pub(super) fn definition_names(&mut self, top: &Node) {
        for kind in ["networks", "volumes", "configs", "secrets"] {
            for (key, definition) in top.get(kind).map(Node::entries).unwrap_or_default() {
                self.named_by::<ComposeName>(&key.name, (key.line, key.column));
                self.literal::<ComposeName>(definition.get("name"));
                // The form of older files: `external: {name: x}`.
                self.literal::<ComposeName>(definition.get("external").and_then(|external| external.get("name")));
            }
        }
    }

    /// The other names of a service.
    pub(super) fn service_names(&mut self, service: &Node) {
        self.literal::<ComposeName>(service.get("container_name"));
        self.literal::<ImageName>(service.get("image"));
        // The profile of all profiles.
        let profiles = service.get("profiles").map(Node::items).unwrap_or_default();
        for profile in profiles.iter().filter(|profile| profile.text() != Some("*")) {
            self.literal::<ComposeName>(Some(profile));
        }
    }

    /// Doors to networks of others that are external as they are written.
    pub(super) fn joins(&mut self, node: &Node, top: &Node, service: &mut Service) {
        let Some(networks) = node.get("networks") else { return };
        let external = |key: &str| {
            let definition = top.get("networks")?.get(key)?;
            let external = definition.get("external").filter(|external| external.text() != Some("false"))?;
            let name = definition.get("name").or_else(|| external.get("name"));
            Some((name.and_then(Node::text).unwrap_or(key).to_owned(), true))
        };
        let mac = node.get("mac_address").and_then(Node::text);
        let at = (networks.line, networks.column);
        service.doors.extend(joined(&networks.to_json(), mac, external).into_iter().map(|door| (door, at)));
    }

    fn literal<T: std::str::FromStr<Err = NameError>>(&mut self, node: Option<&Node>) {
        if let Some((node, text)) =
            node.and_then(|node| Some((node, node.text()?))).filter(|(_, text)| !text.contains('$'))
        {
            self.named_by::<T>(text, (node.line, node.column));
        }
    }

    fn named_by<T: std::str::FromStr<Err = NameError>>(&mut self, text: &str, at: (usize, usize)) -> Option<T> {
        let name = text.parse::<T>();
        name.map_err(|error| self.problem(Code::ComposeInvalid, at, error.to_string(), "give it another name")).ok()
    }
}
