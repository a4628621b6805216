//! Doors from a container to its host, as a compose file opens them.

use super::yaml::Node;

/// Doors to the host that need an `allow` entry.
pub(super) fn doors(node: &Node, found: &mut Vec<(String, (usize, usize))>) {
    let mut open = |door: String, node: &Node| found.push((door, (node.line, node.column)));
    for key in ["cap_add", "devices", "device_cgroup_rules", "gpus", "group_add", "sysctls", "volumes_from"] {
        if let Some(node) = node.get(key) {
            for item in one_or_many(node) {
                open(format!("{key}:{}", item.text().unwrap_or("*")), item);
            }
        }
    }
    for key in ["network_mode", "pid", "ipc", "uts", "userns_mode", "cgroup"] {
        if let Some(value) = node.get(key)
            && value.text().is_some_and(|text| text == "host" || text.starts_with("container:"))
        {
            open(format!("{key}:{}", value.text().unwrap_or_default()), value);
        }
    }
    for key in ["privileged", "runtime", "cgroup_parent"] {
        if let Some(value) = node.get(key).filter(|value| value.text() != Some("false")) {
            open(format!("{key}:{}", value.text().unwrap_or("*")), value);
        }
    }
    for option in node.get("security_opt").map(Node::items).unwrap_or_default() {
        let text = option.text().unwrap_or("*");
        if !matches!(text, "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true") {
            open(format!("security_opt:{text}"), option);
        }
    }
}

/// The items of a sequence, or the one value itself.
pub(super) fn one_or_many(node: &Node) -> Vec<&Node> {
    if node.items().is_empty() { vec![node] } else { node.items().iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::yaml;

    #[test]
    fn doors_are_named_as_an_allow_entry_names_them() {
        let text = "privileged: true\ncap_add: [NET_ADMIN]\nnetwork_mode: host\nsecurity_opt: [no-new-privileges:true, apparmor=unconfined]\n";
        let mut found = Vec::new();
        doors(&yaml::read_compose(text.as_bytes()).unwrap(), &mut found);
        let names: Vec<_> = found.iter().map(|(door, _)| door.as_str()).collect();
        assert_eq!(
            names,
            ["cap_add:NET_ADMIN", "network_mode:host", "privileged:true", "security_opt:apparmor=unconfined"]
        );
    }
}
