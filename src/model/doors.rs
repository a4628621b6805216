//! Doors from a container to its host, named as an `allow` entry names them. One table for what is written and for what is rendered.

use serde_json::Value;

/// Keys of a service that open a door, and what each is, for the documentation.
pub const DOORS: &[(&str, &str)] = &[
    ("cap_add", "kernel capabilities beyond Docker's own"),
    ("cgroup", "the host's control groups"),
    ("cgroup_parent", "another control group"),
    ("deploy", "devices that `resources.reservations` asks for"),
    ("device_cgroup_rules", "rules for devices"),
    ("devices", "a device of the host"),
    ("gpus", "graphics processors"),
    ("group_add", "groups of the host"),
    ("ipc", "the host's or another container's shared memory"),
    ("logging", "a log driver that sends elsewhere than to files of the engine or the journal"),
    ("network_mode", "the host's, another container's or a network by its name"),
    ("pid", "the host's or another container's processes"),
    ("post_start", "a command inside the container with all privileges"),
    ("pre_stop", "a command inside the container with all privileges"),
    ("privileged", "everything"),
    ("runtime", "another runtime than Docker's own"),
    ("security_opt", "less confinement (no-new-privileges is more, and no door)"),
    ("sysctls", "kernel settings"),
    ("use_api_socket", "the engine itself"),
    ("userns_mode", "the host's users"),
    ("uts", "the host's name"),
    ("volumes_from", "another container's mounts"),
];

/// The doors that `key: value` of a service opens.
pub fn doors(key: &str, value: &Value) -> Vec<String> {
    let named = |names: Vec<String>| names.into_iter().map(|name| format!("{key}:{name}")).collect();
    match key {
        "cap_add" | "device_cgroup_rules" | "group_add" | "volumes_from" | "gpus" => named(texts(value)),
        "devices" => named(texts(value).into_iter().map(before_colon).collect()),
        "sysctls" => named(match value {
            Value::Object(map) => map.keys().cloned().collect(),
            Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
                texts(value).into_iter().map(|text| text.split('=').next().unwrap_or_default().to_owned()).collect()
            }
        }),
        // Any other word is the name of a network, whoever it belongs to.
        "network_mode" => {
            let own =
                |text: &String| matches!(text.as_str(), "none" | "bridge" | "default") || text.starts_with("service:");
            named(texts(value).into_iter().filter(|text| !own(text)).collect())
        }
        // Drivers that write elsewhere than into the engine's own folder or the host's journal.
        "logging" => {
            let driver = value.get("driver").and_then(Value::as_str).unwrap_or_default();
            let own = matches!(driver, "" | "json-file" | "local" | "journald" | "none");
            if own { Vec::new() } else { vec![format!("logging:{driver}")] }
        }
        "pid" | "ipc" | "uts" | "userns_mode" | "cgroup" => {
            let shared = |text: &String| text == "host" || text.starts_with("container:");
            named(texts(value).into_iter().filter(shared).collect())
        }
        "privileged" | "use_api_socket" => {
            let closed = value.is_null() || *value == Value::Bool(false) || value.as_str() == Some("false");
            if closed { Vec::new() } else { vec![format!("{key}:true")] }
        }
        "runtime" | "cgroup_parent" => named(texts(value)),
        "security_opt" => {
            const HARDENING: &[&str] = &["no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"];
            named(texts(value).into_iter().filter(|text| !HARDENING.contains(&text.as_str())).collect())
        }
        "deploy" => {
            let asked = value.pointer("/resources/reservations/devices").is_some_and(|asked| !asked.is_null());
            if asked { vec!["deploy:devices".to_owned()] } else { Vec::new() }
        }
        "post_start" | "pre_stop" => {
            let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
            let privileged = all.iter().any(|hook| !matches!(hook.get("privileged"), None | Some(Value::Bool(false))));
            if privileged { vec![format!("{key}:privileged")] } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

fn before_colon(text: String) -> String {
    text.split(':').next().unwrap_or_default().to_owned()
}

/// The texts in a value: itself, or its items; of an item that is a mapping its `source`, else `*`.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(map) => vec![map.get("source").and_then(Value::as_str).unwrap_or("*").to_owned()],
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_and_what_is_rendered_have_the_same_name() {
        for (key, value, names) in [
            ("privileged", json!(true), vec!["privileged:true"]),
            ("privileged", json!("false"), vec![]),
            ("cap_add", json!(["NET_ADMIN"]), vec!["cap_add:NET_ADMIN"]),
            ("network_mode", json!("host"), vec!["network_mode:host"]),
            ("network_mode", json!("service:a"), vec![]),
            ("network_mode", json!("proxy"), vec!["network_mode:proxy"]),
            ("logging", json!({"driver": "syslog"}), vec!["logging:syslog"]),
            ("logging", json!({"driver": "json-file", "options": {}}), vec![]),
            ("devices", json!(["/dev/kvm:/dev/kvm:rwm"]), vec!["devices:/dev/kvm"]),
            ("devices", json!([{"source": "/dev/kvm", "target": "/dev/kvm"}]), vec!["devices:/dev/kvm"]),
            ("sysctls", json!(["net.core.somaxconn=1"]), vec!["sysctls:net.core.somaxconn"]),
            ("sysctls", json!({"net.core.somaxconn": "1"}), vec!["sysctls:net.core.somaxconn"]),
            ("security_opt", json!(["no-new-privileges:true"]), vec![]),
            ("security_opt", json!(["apparmor=unconfined"]), vec!["security_opt:apparmor=unconfined"]),
            ("post_start", json!([{"command": ["x"], "privileged": true}]), vec!["post_start:privileged"]),
            ("deploy", json!({"resources": {"reservations": {"devices": [{}]}}}), vec!["deploy:devices"]),
            ("gpus", json!("all"), vec!["gpus:all"]),
        ] {
            assert_eq!(doors(key, &value), names, "{key} {value}");
        }
    }

    #[test]
    fn every_key_of_the_table_opens_something() {
        for (key, _) in DOORS {
            let wide = [
                json!("host"),
                json!(true),
                json!([{"source": "/x", "privileged": true}]),
                json!({"resources": {"reservations": {"devices": [{}]}}}),
                json!({"driver": "syslog"}),
            ];
            assert!(wide.iter().any(|value| !doors(key, value).is_empty()), "{key}");
        }
    }
}
