//! Reading a rendered model.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use serde_json::{Map, Value};

use super::{Bind, Follow, Mounted, Network, Port, Projection, Service, Volume};
use crate::model::{
    compose::SERVICE_KEYS,
    digest::Digest,
    doors::{doors, is_beyond_subnet, is_own, joined},
    json::{self, CanonicalError},
    names::{ComposeName, ImageName},
    text::shown,
};

/// Why a rendered model cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// Not JSON.
    #[error("the rendered model is not JSON")]
    Json(#[from] serde_json::Error),
    /// Not the form of a model.
    #[error("the rendered model has no form that is understood: `{}`", shown(.0))]
    Form(String),
    /// Not canonical, for instance a fraction where none belongs.
    #[error("the rendered model has no canonical form")]
    Canonical(#[from] CanonicalError),
}

const TOP_KEYS: &[&str] = &["name", "services", "networks", "volumes", "configs", "secrets"];
const VOLUME_KEYS: &[&str] = &["name", "driver", "driver_opts", "external", "labels"];
const NETWORK_KEYS: &[&str] = &[
    "name",
    "driver",
    "driver_opts",
    "external",
    "internal",
    "labels",
    "attachable",
    "enable_ipv4",
    "enable_ipv6",
    "ipam",
];
const FILE_KEYS: &[&str] = &["name", "file", "content", "labels"];
const MOUNT_KEYS: &[&str] = &["type", "source", "target", "read_only", "bind", "volume", "tmpfs", "consistency"];
const BIND_KEYS: &[&str] = &["create_host_path", "selinux"];
const VOLUME_MOUNT_KEYS: &[&str] = &["nocopy", "subpath", "labels"];
const TMPFS_KEYS: &[&str] = &["size", "mode"];
const JOIN_KEYS: &[&str] = &[
    "aliases",
    "driver_opts",
    "gw_priority",
    "interface_name",
    "ipv4_address",
    "ipv6_address",
    "link_local_ips",
    "mac_address",
    "priority",
];
const PORT_KEYS: &[&str] = &["mode", "host_ip", "target", "published", "protocol", "name", "app_protocol"];
/// The default interval of health checks, in milliseconds: Docker's own.
const INTERVAL_MS: u64 = 30_000;
/// Keys of a service that must not be left once it is rendered.
const NEVER_KEYS: &[&str] = &["extends", "env_file", "label_file", "provider"];

/// Reads a rendered model, of which the services in `own` are looked at.
///
/// # Errors
/// It is not a model. What is in a model and not understood is in [`Projection::unknown`].
pub fn read(bytes: &[u8], own: &BTreeSet<String>) -> Result<Projection, ProjectionError> {
    let mut model: Value = serde_json::from_slice(bytes)?;
    let top = model.as_object_mut().ok_or_else(|| ProjectionError::Form("no mapping".to_owned()))?;
    top.retain(|key, _| !key.starts_with("x-"));
    let mut others = BTreeSet::new();
    if let Some(Value::Object(services)) = top.get_mut("services") {
        others.extend(services.keys().filter(|name| !own.contains(*name)).cloned());
        services.retain(|name, _| own.contains(name));
        services.values_mut().for_each(drop_values);
    }
    // What only other services use is theirs to answer for.
    for kind in ["volumes", "networks", "configs", "secrets"] {
        let used = used(&model, kind);
        if let Some(Value::Object(section)) = model.get_mut(kind) {
            section.retain(|name, _| used.contains(name));
        }
    }
    let digest = json::digest(&plain(model.clone()))?;
    let networks: BTreeMap<String, (String, bool)> = section(&model, "networks")
        .map(|(key, value)| {
            let name = text(value, "name").unwrap_or_else(|| key.clone());
            (key.clone(), (name, is_true(value, "external")))
        })
        .collect();
    let mut reader = Reader { unknown: Vec::new(), own, networks };
    reader.keys("", &model, TOP_KEYS);
    for kind in ["services", "volumes", "networks", "configs", "secrets"] {
        for (name, value) in section(&model, kind) {
            reader.name::<ComposeName>(kind, Some(name));
            reader.name::<ComposeName>(&format!("{kind}.{name}.name"), value.get("name").and_then(Value::as_str));
        }
    }
    let mut services = BTreeMap::new();
    for (name, service) in section(&model, "services") {
        services.insert(name.clone(), reader.service(name, service)?);
    }
    let volumes = section(&model, "volumes").map(|(name, value)| (name.clone(), reader.volume(name, value))).collect();
    let networks =
        section(&model, "networks").map(|(name, value)| (name.clone(), reader.network(name, value))).collect();
    let (mut files, mut contents) = (BTreeMap::new(), BTreeMap::new());
    for kind in ["configs", "secrets"] {
        for (name, value) in section(&model, kind) {
            reader.keys(&format!("{kind}.{name}"), value, FILE_KEYS);
            files.insert((kind, name.clone()), text(value, "file"));
            if let Some(content) = text(value, "content") {
                contents.insert((kind, name.clone()), Digest::of(content.as_bytes()));
            }
        }
    }
    Ok(Projection { services, others, volumes, networks, files, contents, unknown: reader.unknown, digest })
}

/// The definitions of a kind that the services use.
fn used(model: &Value, kind: &str) -> BTreeSet<String> {
    let of = |service: &Value| -> Vec<String> {
        let keys = service.get(kind).and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned();
        keys.chain(items(service, kind).iter().filter_map(|item| text(item, "source"))).collect()
    };
    section(model, "services").flat_map(|(_, service)| of(service)).collect()
}

/// A path as the engine shows it: no slash twice, none at the end.
fn cleaned(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

fn texts(value: &Value, key: &str) -> BTreeMap<String, String> {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let entries = value.get(key).and_then(Value::as_object).into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), plain(value))).collect()
}

/// The same with fractions (`cpus: 0.5`) as texts: what is hashed has none.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) if !number.is_u64() && !number.is_i64() => Value::String(number.to_string()),
        Value::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, plain(value))).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// Variables lose their values; their names stay.
fn drop_values(service: &mut Value) {
    if let Some(Value::Object(environment)) = service.get_mut("environment") {
        environment.values_mut().for_each(|value| *value = Value::Null);
    }
}

fn section<'v>(model: &'v Value, name: &str) -> impl Iterator<Item = (&'v String, &'v Value)> + use<'v> {
    model.get(name).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn items<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn is_true(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool) == Some(true)
}

struct Reader<'a> {
    unknown: Vec<String>,
    own: &'a BTreeSet<String>,
    /// Names on the host by key, and whether they are external.
    networks: BTreeMap<String, (String, bool)>,
}

impl Reader<'_> {
    fn keys(&mut self, at: &str, value: &Value, known: &[&str]) {
        let found = value.as_object().into_iter().flat_map(Map::keys);
        let strange = found.filter(|key| !known.contains(&key.as_str()) && !key.starts_with("x-"));
        self.unknown.extend(strange.map(|key| shown(&format!("{at}.{key}"))));
    }

    /// Notes a name that could be more than a word to a program that it is handed to.
    fn name<T: FromStr>(&mut self, at: &str, name: Option<&str>) {
        if let Some(name) = name.filter(|name| name.parse::<T>().is_err()) {
            self.unknown.push(shown(&format!("{at}: {name}")));
        }
    }

    fn service(&mut self, name: &str, value: &Value) -> Result<Service, ProjectionError> {
        let at = format!("services.{name}");
        let known: Vec<&str> = SERVICE_KEYS.split_whitespace().filter(|key| !NEVER_KEYS.contains(key)).collect();
        self.keys(&at, value, &known);
        let form = |what: &str| ProjectionError::Form(format!("{at}: {what}"));
        let mut service = Service {
            image: text(value, "image").ok_or_else(|| form("no image"))?,
            container_name: text(value, "container_name"),
            restart: text(value, "restart").unwrap_or_default(),
            ..Service::default()
        };
        self.name::<ImageName>(&format!("{at}.image"), Some(&service.image));
        self.name::<ComposeName>(&format!("{at}.container_name"), service.container_name.as_deref());
        for mount in items(value, "volumes") {
            self.mount(&at, mount, &mut service).ok_or_else(|| form("a mount"))?;
        }
        for port in items(value, "ports") {
            self.keys(&format!("{at}.ports"), port, PORT_KEYS);
            if let Some(published) = text(port, "published") {
                let address = text(port, "host_ip").unwrap_or_default();
                let protocol = text(port, "protocol").unwrap_or_else(|| "tcp".to_owned());
                service.ports.push(Port { address, published, protocol });
            }
        }
        for kind in ["configs", "secrets"] {
            let sources = items(value, kind).iter().filter_map(|item| text(item, "source"));
            service.given.extend(sources.map(|source| (kind, source)));
        }
        service.follows = follows(value);
        if items(value, "volumes_from").iter().any(|item| !item.as_str().unwrap_or_default().starts_with("container:"))
        {
            self.unknown.push(shown(&format!("{at}.volumes_from: of a service")));
        }
        let keys = |key| value.get(key).and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned();
        service.networks = keys("networks").collect();
        service.environment = keys("environment").collect();
        let opened = value.as_object().into_iter().flatten().flat_map(|(key, value)| doors(key, value));
        service.doors.extend(opened.filter(|door| !is_own(door, |name| self.own.contains(name))));
        for (network, options) in section(value, "networks") {
            self.keys(&format!("{at}.networks.{network}"), options, JOIN_KEYS);
        }
        let networks = value.get("networks").unwrap_or(&Value::Null);
        let mac = value.get("mac_address").and_then(Value::as_str).filter(|mac| !mac.is_empty());
        service.doors.extend(joined(networks, mac, |key| self.networks.get(key).cloned()));
        let scale = value.get("scale").or_else(|| value.pointer("/deploy/replicas"));
        service.replicas = scale.map_or(Some(1), Value::as_u64).ok_or_else(|| form("replicas"))?;
        service.has_healthcheck = value
            .get("healthcheck")
            .is_some_and(|check| !is_true(check, "disable") && check.get("test").is_some_and(|test| !test.is_null()));
        let interval = value.pointer("/healthcheck/interval").map_or(Some(INTERVAL_MS), |interval| {
            crate::model::time::duration_ms(interval.as_str()?).map(|ms| if ms == 0 { INTERVAL_MS } else { ms })
        });
        service.interval_ms = interval.filter(|_| service.has_healthcheck);
        if value.get("deploy").is_some_and(|deploy| deploy.get("mode").and_then(Value::as_str) == Some("global")) {
            self.unknown.push(shown(&format!("{at}.deploy.mode: global")));
        }
        Ok(service)
    }

    fn mount(&mut self, at: &str, mount: &Value, service: &mut Service) -> Option<()> {
        let at = format!("{at}.volumes");
        self.keys(&at, mount, MOUNT_KEYS);
        let target = cleaned(&text(mount, "target")?);
        for (kind, known) in [("volume", VOLUME_MOUNT_KEYS), ("tmpfs", TMPFS_KEYS)] {
            if let Some(options) = mount.get(kind) {
                self.keys(&format!("{at}.{kind}"), options, known);
            }
        }
        match mount.get("type").and_then(Value::as_str)? {
            "bind" => {
                let source = cleaned(&text(mount, "source")?);
                if let Some(options) = mount.get("bind") {
                    self.keys(&format!("{at}.bind"), options, BIND_KEYS);
                    service.doors.extend(text(options, "selinux").map(|label| format!("selinux:{label}:{source}")));
                }
                let writable = !is_true(mount, "read_only");
                service.binds.push(Bind { source, target, writable });
            }
            "volume" => service.volumes.push(Mounted { volume: text(mount, "source").unwrap_or_default(), target }),
            "tmpfs" => {}
            other => self.unknown.push(shown(&format!("{at}.type: {other}"))),
        }
        Some(())
    }

    fn volume(&mut self, name: &str, value: &Value) -> Volume {
        self.keys(&format!("volumes.{name}"), value, VOLUME_KEYS);
        Volume {
            name: text(value, "name").unwrap_or_else(|| name.to_owned()),
            external: is_true(value, "external"),
            driver: text(value, "driver").unwrap_or_default(),
            options: texts(value, "driver_opts"),
        }
    }

    fn network(&mut self, name: &str, value: &Value) -> Network {
        self.keys(&format!("networks.{name}"), value, NETWORK_KEYS);
        Network {
            name: text(value, "name").unwrap_or_else(|| name.to_owned()),
            external: is_true(value, "external"),
            driver: text(value, "driver").unwrap_or_default(),
            options: texts(value, "driver_opts"),
            internal: is_true(value, "internal"),
            attachable: is_true(value, "attachable"),
            ipv6: value.get("enable_ipv6").and_then(Value::as_bool),
            subnets: value
                .get("ipam")
                .map(|ipam| items(ipam, "config"))
                .unwrap_or_default()
                .iter()
                .filter_map(|config| text(config, "subnet"))
                .collect(),
            is_planned: value.get("ipam").is_some_and(is_beyond_subnet),
            labels: texts(value, "labels"),
        }
    }
}

/// The services that a service is recreated or restarted with.
fn follows(service: &Value) -> BTreeMap<String, Follow> {
    let depends = service.get("depends_on").and_then(Value::as_object).into_iter().flatten();
    let restarted = depends.filter(|(_, how)| is_true(how, "restart")).map(|(name, _)| (name.clone(), Follow::Restart));
    let shared = ["network_mode", "ipc", "pid"].into_iter().filter_map(|key| text(service, key));
    let shared = shared.filter_map(|mode| Some((mode.strip_prefix("service:")?.to_owned(), Follow::Namespace)));
    restarted.chain(shared).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn own() -> BTreeSet<String> {
        BTreeSet::from(["web".to_owned()])
    }

    fn model(web: &Value) -> Value {
        let mut service = json!({"image": "x", "command": null, "entrypoint": null});
        service.as_object_mut().unwrap().extend(web.as_object().unwrap().clone());
        let networks = json!({"-n": {"name": "n"}, "named": {"name": "-x"}, "plain": {"name": "p"}});
        json!({"name": "apps", "services": {"web": service, "other": {"strange": 1}}, "networks": networks, "x-a": 1.5})
    }

    fn projected(web: &Value) -> Projection {
        read(model(web).to_string().as_bytes(), &own()).unwrap()
    }

    #[test]
    fn rendered_model_is_parsed() {
        let projection = projected(&json!({
            "environment": {"A": "canary"}, "restart": "always", "deploy": {"replicas": 3},
            "volumes": [
                {"type": "bind", "source": "/srv/a", "target": "/a", "bind": {"create_host_path": true}},
                {"type": "bind", "source": "/srv/b", "target": "/b", "read_only": true},
                {"type": "volume", "source": "data", "target": "/data", "volume": {}},
            ],
            "ports": [{"mode": "ingress", "host_ip": "127.0.0.1", "target": 80, "published": "8080", "protocol": "tcp"}],
            "configs": [{"source": "c", "target": "/c"}],
            "networks": {"proxy": null}, "privileged": true, "cpus": 0.5,
            "healthcheck": {"test": ["CMD", "true"]},
        }));
        let web = &projection.services["web"];
        assert_eq!(projection.unknown, [] as [String; 0], "what is not ours is not looked at");
        assert_eq!(web.binds.iter().map(|bind| bind.writable).collect::<Vec<_>>(), [true, false]);
        assert_eq!(web.volumes[0].volume, "data");
        assert_eq!((web.replicas, web.has_healthcheck, web.doors.len()), (3, true, 1));
        assert_eq!(web.interval_ms, Some(30_000));
        let checked = |check: Value| projected(&json!({"healthcheck": check})).services["web"].interval_ms;
        assert_eq!(checked(json!({"test": ["CMD", "true"], "interval": "1m30s"})), Some(90_000));
        assert_eq!(checked(json!({"test": ["CMD", "true"], "interval": "0s"})), Some(30_000));
        assert_eq!(checked(json!({"test": ["CMD", "true"], "interval": "soon"})), None);
        assert_eq!(checked(json!({"test": ["CMD", "true"], "disable": true})), None);
        assert_eq!(web.ports[0].published, "8080");
        assert_eq!(web.given, [("configs", "c".to_owned())]);
    }

    #[test]
    fn variable_values_do_not_affect_the_digest() {
        let one = projected(&json!({"environment": {"A": "canary"}}));
        assert_eq!(one.digest, projected(&json!({"environment": {"A": "other"}})).digest);
        assert_ne!(one.digest, projected(&json!({"environment": {"B": "canary"}})).digest);
        assert!(!format!("{one:?}").contains("canary"));
    }

    #[test]
    fn unknown_keys_are_reported() {
        for (web, at) in [
            (json!({"credential_spec": {}}), "services.web.credential_spec"),
            (json!({"env_file": ["x"]}), "services.web.env_file"),
            (json!({"provider": {}}), "services.web.provider"),
            (
                json!({"volumes": [{"type": "npipe", "source": "x", "target": "/x"}]}),
                "services.web.volumes.type: npipe",
            ),
            (
                json!({"volumes": [{"type": "bind", "source": "/x", "target": "/x", "bind": {"propagation": "rshared"}}]}),
                "services.web.volumes.bind.propagation",
            ),
            (json!({"deploy": {"mode": "global"}}), "services.web.deploy.mode: global"),
            (json!({"image": "--help"}), "services.web.image: --help"),
            (json!({"container_name": "-x"}), "services.web.container_name: -x"),
            (json!({"networks": {"-n": null}}), "networks: -n"),
            (json!({"networks": {"named": null}}), "networks.named.name: -x"),
            (json!({"networks": {"plain": {"strange": 1}}}), "services.web.networks.plain.strange"),
            (
                json!({"volumes": [{"type": "tmpfs", "target": "/x", "tmpfs": {"strange": 1}}]}),
                "services.web.volumes.tmpfs.strange",
            ),
        ] {
            assert_eq!(projected(&web).unknown, [at]);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_answers_do_not_panic(text in "[\\[\\]{}\":,a-z0-9]{0,60}") {
            crate::laws::projection_model(text.as_bytes());
        }
    }
}
