//! Doors from a container to its host, named as an `allow` entry names them. One table for what is written and for what
//! is rendered.

use serde_json::Value;

/// Keys of a service that open a door, and what each is, for the documentation.
pub const DOORS: &[(&str, &str)] = &[
    ("aliases", "a name on an external network, which may belong to another service: `aliases:<network>:<name>`"),
    ("annotations", "settings of the container runtime"),
    ("cap_add", "kernel capabilities beyond Docker's defaults"),
    ("cgroup", "the host's control groups"),
    ("cgroup_parent", "a different parent control group"),
    ("deploy", "devices in `resources.reservations`"),
    ("device_cgroup_rules", "rules for devices"),
    ("devices", "a device of the host"),
    ("driver_opts", "driver options of a service's network connection: `driver_opts:<network>:<option>`"),
    ("external_links", "any container by its name, whichever project it belongs to"),
    ("gpus", "GPUs"),
    ("group_add", "groups of the host"),
    ("ipc", "the shared memory of the host, another container or another module"),
    ("ipv4_address", "an address on an external network: `ipv4_address:<network>:<address>`"),
    ("ipv6_address", "the same"),
    ("link_local_ips", "the same"),
    ("logging", "a log driver other than the engine's files and the journal"),
    ("mac_address", "a MAC address on an external network: `mac_address:<network>:<MAC>`"),
    ("network_mode", "the network of the host, another container or another module, or any network by its name"),
    ("oom_kill_disable", "memory that the kernel cannot reclaim by killing the container"),
    ("oom_score_adj", "below 0: other processes are killed first when memory runs out"),
    ("pid", "the processes of the host, another container or another module"),
    ("post_start", "a command inside the container with all privileges"),
    ("pre_stop", "a command inside the container with all privileges"),
    ("privileged", "everything"),
    ("runtime", "a container runtime other than Docker's default"),
    ("security_opt", "weaker confinement (`no-new-privileges` is stronger and needs no entry)"),
    ("selinux", "`:z` or `:Z` on a bind mount, which relabels files of the host: `selinux:<z or Z>:<path>`"),
    ("sysctls", "kernel settings"),
    ("use_api_socket", "the Docker engine"),
    ("userns_mode", "the user namespace of the host"),
    ("uts", "the host name"),
    ("volumes_from", "another container's mounts"),
];

/// A value as it is written, with numbers and booleans as the texts that they are.
fn unmarked(value: &Value) -> Value {
    match value {
        Value::Object(map) if map.len() == 1 && map.get("!").is_some_and(Value::is_string) => map["!"].clone(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), unmarked(value))).collect(),
        Value::Array(items) => items.iter().map(unmarked).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Whether a door leads to a service that is the module's own, as `pid:service:x` does: then it is none.
pub fn is_own(door: &str, own: impl Fn(&str) -> bool) -> bool {
    let shared = ["network_mode:", "pid:", "ipc:"].iter().find_map(|key| door.strip_prefix(key));
    shared.and_then(|shared| shared.strip_prefix("service:")).is_some_and(own)
}

/// The doors that a service opens where it joins networks, with a MAC of its own if it has one. `network` knows the
/// name of a network on the host by its key, and whether it is external; what it does not know is judged once it is
/// rendered.
pub fn joined(networks: &Value, mac: Option<&str>, network: impl Fn(&str) -> Option<(String, bool)>) -> Vec<String> {
    let networks = unmarked(networks);
    let mut doors = Vec::new();
    let keys = texts(&networks).into_iter().map(|key| (key, Value::Null));
    let entries: Vec<(String, Value)> = match &networks {
        Value::Object(map) => map.clone().into_iter().collect(),
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => keys.collect(),
    };
    for (key, options) in entries {
        let Some((name, external)) = network(&key) else { continue };
        let opted = options.get("driver_opts").and_then(Value::as_object);
        doors.extend(opted.into_iter().flatten().map(|(option, _)| format!("driver_opts:{name}:{option}")));
        if !external {
            continue;
        }
        for key in ["aliases", "ipv4_address", "ipv6_address", "link_local_ips", "mac_address"] {
            let values = options.get(key).map(texts).unwrap_or_default();
            doors.extend(values.into_iter().map(|value| format!("{key}:{name}:{value}")));
        }
        doors.extend(mac.map(|mac| format!("mac_address:{name}:{mac}")));
    }
    doors.retain(|door| !door.contains('$'));
    doors
}

/// Whether the `ipam` of a network sets more than a subnet.
pub fn is_beyond_subnet(ipam: &Value) -> bool {
    let driver = ipam.get("driver").and_then(Value::as_str).unwrap_or_default();
    let more =
        ipam.as_object().into_iter().flatten().any(|(key, value)| {
            !matches!(key.as_str(), "driver" | "config") && !value.is_null() && !key.starts_with("x-")
        });
    let ranges = ipam.get("config").and_then(Value::as_array).into_iter().flatten();
    let plain = |range: &Value| range.as_object().is_some_and(|range| range.keys().all(|key| key == "subnet"));
    !matches!(driver, "" | "default") || more || !ranges.into_iter().all(plain)
}

/// The doors that `key: value` of a service opens.
pub fn doors(key: &str, value: &Value) -> Vec<String> {
    let value = &unmarked(value);
    let named = |names: Vec<String>| names.into_iter().map(|name| format!("{key}:{name}")).collect();
    match key {
        "cap_add" | "device_cgroup_rules" | "group_add" | "volumes_from" | "gpus" => named(texts(value)),
        "devices" | "external_links" => named(texts(value).into_iter().map(before_colon).collect()),
        "sysctls" | "annotations" => named(match value {
            Value::Object(map) => map.keys().cloned().collect(),
            Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
                texts(value).into_iter().map(|text| text.split('=').next().unwrap_or_default().to_owned()).collect()
            }
        }),
        // Any other word is the name of a network, no matter whose.
        "network_mode" => {
            let own = |text: &String| matches!(text.as_str(), "none" | "bridge" | "default");
            named(texts(value).into_iter().filter(|text| !own(text)).collect())
        }
        // Drivers that write elsewhere than into the engine's own folder or the host's journal.
        "logging" => {
            let driver = value.get("driver").and_then(Value::as_str).unwrap_or_default();
            let own = matches!(driver, "" | "json-file" | "local" | "journald" | "none");
            if own { Vec::new() } else { vec![format!("logging:{driver}")] }
        }
        "pid" | "ipc" | "uts" | "userns_mode" | "cgroup" => {
            let shared =
                |text: &String| text == "host" || text.starts_with("container:") || text.starts_with("service:");
            named(texts(value).into_iter().filter(shared).collect())
        }
        // A value with a variable is judged once it is rendered.
        "oom_score_adj" => {
            let lowered = |text: &String| !text.contains('$') && text.parse::<i64>().is_ok_and(|score| score >= 0);
            named(texts(value).into_iter().filter(|text| !text.contains('$') && !lowered(text)).collect())
        }
        "privileged" | "use_api_socket" | "oom_kill_disable" => {
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
    fn source_and_rendered_model_give_the_same_capability() {
        for (key, value, names) in [
            ("privileged", json!(true), vec!["privileged:true"]),
            ("privileged", json!("false"), vec![]),
            ("cap_add", json!(["NET_ADMIN"]), vec!["cap_add:NET_ADMIN"]),
            ("network_mode", json!("host"), vec!["network_mode:host"]),
            ("network_mode", json!("service:a"), vec!["network_mode:service:a"]),
            ("pid", json!("service:a"), vec!["pid:service:a"]),
            ("privileged", json!({"!": "false"}), vec![]),
            ("privileged", json!({"!": "true"}), vec!["privileged:true"]),
            ("oom_score_adj", json!(-5), vec!["oom_score_adj:-5"]),
            ("oom_score_adj", json!({"!": "-5"}), vec!["oom_score_adj:-5"]),
            ("oom_score_adj", json!(5), vec![]),
            ("oom_kill_disable", json!(true), vec!["oom_kill_disable:true"]),
            ("annotations", json!({"run.oci.x": "1"}), vec!["annotations:run.oci.x"]),
            ("annotations", json!(["run.oci.x=1"]), vec!["annotations:run.oci.x"]),
            ("external_links", json!(["db:x"]), vec!["external_links:db"]),
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
    fn every_key_in_the_table_needs_an_allow_entry() {
        let all = json!({"n": {"aliases": ["a"], "ipv4_address": "a", "ipv6_address": "a", "link_local_ips": ["a"],
            "mac_address": "a", "driver_opts": {"a": 1}}});
        let elsewhere: Vec<String> = joined(&all, None, |key| Some((key.to_owned(), true)));
        for (key, _) in DOORS.iter().filter(|(key, _)| *key != "selinux") {
            if elsewhere.iter().any(|door| door.starts_with(&format!("{key}:n:a"))) {
                continue;
            }
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

    #[test]
    fn settings_on_external_networks_need_an_allow_entry() {
        let networks = json!({"proxy": {"aliases": ["db"], "priority": {"!": "5"}}, "own": {"aliases": ["x"], "driver_opts": {"o": "1"}}});
        let known = |key: &str| Some((format!("{key}_1"), key == "proxy"));
        assert_eq!(joined(&networks, None, known), ["driver_opts:own_1:o", "aliases:proxy_1:db"]);
        assert_eq!(joined(&json!(["proxy"]), Some("02:x"), known), ["mac_address:proxy_1:02:x"]);
        assert_eq!(joined(&networks, None, |_| None), [] as [String; 0]);
        assert!(is_own("pid:service:a", |name| name == "a") && !is_own("pid:service:a", |name| name == "b"));
        assert!(!is_own("pid:host", |_| true) && !is_own("cap_add:service:a", |_| true));
    }

    #[test]
    fn plain_subnet_needs_no_allow_entry() {
        for plain in
            [json!({}), json!({"driver": "default", "config": [{"subnet": "10.2.0.0/16"}]}), json!({"config": null})]
        {
            assert!(!is_beyond_subnet(&plain), "{plain}");
        }
        for more in [
            json!({"driver": "dhcp"}),
            json!({"options": {"a": "b"}}),
            json!({"config": [{"subnet": "10.2.0.0/16", "gateway": "10.2.0.1"}]}),
            json!({"config": [{"aux_addresses": {}}]}),
            json!({"config": [3]}),
        ] {
            assert!(is_beyond_subnet(&more), "{more}");
        }
    }
}
