//! The rendered compose model, as far as it is judged and planned with: by an allow-list, and without a value of any variable.
//!
//! The form is that of `docker compose config --format json` (Compose Specification, normalised by Compose 2.20 and newer).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    compose::SERVICE_KEYS,
    digest::Digest,
    doors::doors,
    json::{self, CanonicalError},
    text::shown,
};

/// A bind mount: a path of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bind {
    /// The path on the host.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// Whether the container may write to it.
    pub writable: bool,
}

/// A named volume in a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mounted {
    /// The key of the volume in the model; empty for an anonymous one.
    pub volume: String,
    /// The path in the container.
    pub target: String,
}

/// A port of the host that leads into a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The address on the host; empty for all.
    pub address: String,
    /// The port on the host, or a range.
    pub published: String,
    /// `tcp` or `udp`.
    pub protocol: String,
}

/// A service as it is rendered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// The image as it is named.
    pub image: String,
    /// Its bind mounts, by target.
    pub binds: Vec<Bind>,
    /// Its named volumes.
    pub volumes: Vec<Mounted>,
    /// Its ports on the host.
    pub ports: Vec<Port>,
    /// Configs and secrets: kind (`configs`, `secrets`) and name.
    pub given: Vec<(&'static str, String)>,
    /// Networks it joins.
    pub networks: BTreeSet<String>,
    /// Names of its variables.
    pub environment: BTreeSet<String>,
    /// Doors to the host.
    pub doors: Vec<String>,
    /// How many containers.
    pub replicas: u64,
    /// Whether it says when it is healthy.
    pub has_healthcheck: bool,
    /// The name of its container, if the file gives one.
    pub container_name: Option<String>,
    /// Its restart policy; empty for none.
    pub restart: String,
}

/// A volume of the project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Volume {
    /// Its name on the host.
    pub name: String,
    /// Whether it belongs to somebody else.
    pub external: bool,
    /// Its driver; empty for the default.
    pub driver: String,
    /// Its driver's options.
    pub options: BTreeMap<String, String>,
}

/// A network of the project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// Its name on the host.
    pub name: String,
    /// Whether it belongs to somebody else.
    pub external: bool,
    /// Its driver; empty for the default.
    pub driver: String,
}

/// The rendered model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// Its services, of which the module's own are judged.
    pub services: BTreeMap<String, Service>,
    /// Its volumes.
    pub volumes: BTreeMap<String, Volume>,
    /// Its networks.
    pub networks: BTreeMap<String, Network>,
    /// The files of its configs and secrets, by kind and name; `None` where the content stands in the model.
    pub files: BTreeMap<(&'static str, String), Option<String>>,
    /// Keys that are not understood: where, as `services.web.foo`.
    pub unknown: Vec<String>,
    /// The digest of the model without the values of variables.
    pub digest: Digest,
}

impl Projection {
    /// Every door that it opens, as an `allow` entry would name it, and who opens it.
    pub fn opened(&self) -> Vec<(String, String)> {
        let mut opened = Vec::new();
        for (name, service) in &self.services {
            opened.extend(service.doors.iter().map(|door| (door.clone(), shown(name).to_string())));
        }
        for (name, volume) in &self.volumes {
            let mut open = |door: String| opened.push((door, format!("volume {}", shown(name))));
            if volume.external {
                open(format!("external_volume:{}", volume.name));
            }
            if !matches!(volume.driver.as_str(), "" | "local") {
                open(format!("volume_driver:{}", volume.driver));
            }
            // A bind is judged as one, by its place.
            let bound = volume.options.get("o").is_some_and(|o| o.split(',').any(|o| o == "bind" || o == "rbind"));
            if !volume.options.is_empty() && !bound {
                open(format!("volume_options:{}", volume.name));
            }
        }
        for (name, network) in self.networks.iter().filter(|(_, network)| !network.external) {
            if !matches!(network.driver.as_str(), "" | "bridge") {
                opened.push((format!("network_driver:{}", network.driver), format!("network {}", shown(name))));
            }
        }
        opened
    }
}

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
const PORT_KEYS: &[&str] = &["mode", "host_ip", "target", "published", "protocol", "name", "app_protocol"];
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
    if let Some(Value::Object(services)) = top.get_mut("services") {
        services.retain(|name, _| own.contains(name));
        services.values_mut().for_each(drop_values);
    }
    let digest = json::digest(&plain(model.clone()))?;
    let mut reader = Reader { unknown: Vec::new() };
    reader.keys("", &model, TOP_KEYS);
    let mut services = BTreeMap::new();
    for (name, service) in section(&model, "services") {
        services.insert(name.clone(), reader.service(name, service)?);
    }
    let volumes = section(&model, "volumes").map(|(name, value)| (name.clone(), reader.volume(name, value))).collect();
    let networks =
        section(&model, "networks").map(|(name, value)| (name.clone(), reader.network(name, value))).collect();
    let mut files = BTreeMap::new();
    for kind in ["configs", "secrets"] {
        for (name, value) in section(&model, kind) {
            reader.keys(&format!("{kind}.{name}"), value, FILE_KEYS);
            files.insert((kind, name.clone()), text(value, "file"));
        }
    }
    Ok(Projection { services, volumes, networks, files, unknown: reader.unknown, digest })
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

struct Reader {
    unknown: Vec<String>,
}

impl Reader {
    fn keys(&mut self, at: &str, value: &Value, known: &[&str]) {
        let found = value.as_object().into_iter().flat_map(Map::keys);
        let strange = found.filter(|key| !known.contains(&key.as_str()) && !key.starts_with("x-"));
        self.unknown.extend(strange.map(|key| shown(&format!("{at}.{key}"))));
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
        let keys = |key| value.get(key).and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned();
        service.networks = keys("networks").collect();
        service.environment = keys("environment").collect();
        let opened = value.as_object().into_iter().flatten().flat_map(|(key, value)| doors(key, value));
        service.doors.extend(opened);
        let scale = value.get("scale").or_else(|| value.pointer("/deploy/replicas"));
        service.replicas = scale.map_or(Some(1), Value::as_u64).ok_or_else(|| form("replicas"))?;
        service.has_healthcheck = value
            .get("healthcheck")
            .is_some_and(|check| !is_true(check, "disable") && check.get("test").is_some_and(|test| !test.is_null()));
        if value.get("deploy").is_some_and(|deploy| deploy.get("mode").and_then(Value::as_str) == Some("global")) {
            self.unknown.push(shown(&format!("{at}.deploy.mode: global")));
        }
        Ok(service)
    }

    fn mount(&mut self, at: &str, mount: &Value, service: &mut Service) -> Option<()> {
        let at = format!("{at}.volumes");
        self.keys(&at, mount, MOUNT_KEYS);
        let target = text(mount, "target")?;
        match mount.get("type").and_then(Value::as_str)? {
            "bind" => {
                if let Some(options) = mount.get("bind") {
                    self.keys(&format!("{at}.bind"), options, BIND_KEYS);
                }
                let writable = !is_true(mount, "read_only");
                service.binds.push(Bind { source: text(mount, "source")?, target, writable });
            }
            "volume" => service.volumes.push(Mounted { volume: text(mount, "source").unwrap_or_default(), target }),
            "tmpfs" => {}
            other => self.unknown.push(shown(&format!("{at}.type: {other}"))),
        }
        Some(())
    }

    fn volume(&mut self, name: &str, value: &Value) -> Volume {
        self.keys(&format!("volumes.{name}"), value, VOLUME_KEYS);
        let options = value.get("driver_opts").and_then(Value::as_object).into_iter().flatten();
        Volume {
            name: text(value, "name").unwrap_or_else(|| name.to_owned()),
            external: is_true(value, "external"),
            driver: text(value, "driver").unwrap_or_default(),
            options: options.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect(),
        }
    }

    fn network(&mut self, name: &str, value: &Value) -> Network {
        self.keys(&format!("networks.{name}"), value, NETWORK_KEYS);
        Network {
            name: text(value, "name").unwrap_or_else(|| name.to_owned()),
            external: is_true(value, "external"),
            driver: text(value, "driver").unwrap_or_default(),
        }
    }
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
        json!({"name": "apps", "services": {"web": service, "other": {"strange": 1}}, "x-a": 1.5})
    }

    fn projected(web: &Value) -> Projection {
        read(model(web).to_string().as_bytes(), &own()).unwrap()
    }

    #[test]
    fn what_a_model_holds_is_read() {
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
        assert_eq!(web.ports[0].published, "8080");
        assert_eq!(web.given, [("configs", "c".to_owned())]);
    }

    #[test]
    fn values_of_variables_are_in_no_digest() {
        let one = projected(&json!({"environment": {"A": "canary"}}));
        assert_eq!(one.digest, projected(&json!({"environment": {"A": "other"}})).digest);
        assert_ne!(one.digest, projected(&json!({"environment": {"B": "canary"}})).digest);
        assert!(!format!("{one:?}").contains("canary"));
    }

    #[test]
    fn what_is_not_understood_is_named() {
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
        ] {
            assert_eq!(projected(&web).unknown, [at]);
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,a-z0-9]{0,60}") {
            drop(read(&bytes, &own()));
            drop(read(text.as_bytes(), &own()));
            drop(read(format!("{{\"services\": {{\"web\": {text}}}}}").as_bytes(), &own()));
        }
    }
}
