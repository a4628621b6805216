//! The rendered compose model, as far as it is judged and planned with: by an allow-list, and without a value of any
//! variable.
//!
//! The form is that of `docker compose config --format json` (Compose Specification, normalised by Compose 2.20 and
//! newer).

mod read;

use std::collections::{BTreeMap, BTreeSet};

pub use self::read::{ProjectionError, read};
use super::{digest::Digest, path::HostPath, text::shown};

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

/// How a service depends on a container of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Follow {
    /// It shares a namespace of that container, as `network_mode: service:x`, and is recreated with it.
    Namespace,
    /// It is restarted with it: `depends_on` with `restart: true`.
    Restart,
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
    /// Services that it is recreated or restarted with.
    pub follows: BTreeMap<String, Follow>,
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
    /// Whether it has a health check.
    pub has_healthcheck: bool,
    /// How far its health checks are apart, in milliseconds; `None` where it has none, or this is not understood.
    pub interval_ms: Option<u64>,
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
    /// Whether it is external.
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
    /// Whether it is external.
    pub external: bool,
    /// Its driver; empty for the default.
    pub driver: String,
    /// Its driver's options.
    pub options: BTreeMap<String, String>,
    /// Whether it has no way out.
    pub internal: bool,
    /// Whether containers may join by hand.
    pub attachable: bool,
    /// Whether it has IPv6, if that is set.
    pub ipv6: Option<bool>,
    /// Its subnets, if they are set.
    pub subnets: Vec<String>,
    /// Whether its `ipam` sets more than that.
    pub is_planned: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// The rendered model. Definitions that none of its services uses are not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// The module's own services.
    pub services: BTreeMap<String, Service>,
    /// Names of the other services that were rendered along with them: those that they depend on.
    pub others: BTreeSet<String>,
    /// Its volumes.
    pub volumes: BTreeMap<String, Volume>,
    /// Its networks.
    pub networks: BTreeMap<String, Network>,
    /// The files of its configs and secrets, by kind and name; `None` if the content is in the model.
    pub files: BTreeMap<(&'static str, String), Option<String>>,
    /// Digests of contents that are in the model, by kind and name.
    pub contents: BTreeMap<(&'static str, String), Digest>,
    /// Keys that are not understood: where, as `services.web.foo`.
    pub unknown: Vec<String>,
    /// The digest of the model without the values of variables.
    pub digest: Digest,
}

/// Options of a network's driver that reach nothing of the host.
const NETWORK_OPTIONS: &[&str] = &[
    "com.docker.network.driver.mtu",
    "com.docker.network.bridge.enable_icc",
    "com.docker.network.bridge.enable_ip_masquerade",
];

impl Volume {
    /// The path of the host that it is, where it is a bind mount in disguise and nothing else: it is judged as one, by
    /// its place. A path that is not absolute is taken from wherever the engine was started.
    pub fn bound(&self) -> Option<&str> {
        let says = |key: &str| self.options.get(key).map(String::as_str);
        let known = self.options.keys().all(|key| matches!(key.as_str(), "type" | "o" | "device"));
        let plain = matches!(says("type"), None | Some("" | "none" | "bind"));
        const HARMLESS: &[&str] = &["bind", "rbind", "rw", "ro", "nosuid", "nodev", "noexec", "private", "rprivate"];
        let words: Vec<&str> = says("o").unwrap_or_default().split(',').map(str::trim).collect();
        let binds = words.contains(&"bind") || words.contains(&"rbind");
        let harmless = words.iter().all(|word| HARMLESS.contains(word));
        says("device").filter(|path| known && plain && binds && harmless && path.starts_with('/'))
    }
}

impl Projection {
    /// Every door that it opens on a host with this root, as an `allow` entry would name it, and who opens it.
    pub fn opened(&self, root: &HostPath) -> Vec<(String, String)> {
        let mut opened = Vec::new();
        // Own data may be labelled in any way, and what is delivered so that all containers may read it.
        let own = |door: &String| {
            let private = door.strip_prefix("selinux:Z:").map(|path| (path, true));
            let labelled = private.or_else(|| door.strip_prefix("selinux:z:").map(|path| (path, false)));
            labelled.is_some_and(|(path, private)| {
                let below = |folder: &str| path.starts_with(&format!("{root}/{folder}/"));
                below("data") || (!private && (below("files") || below("releases")))
            })
        };
        for (name, service) in &self.services {
            let doors = service.doors.iter().filter(|door| !own(door));
            opened.extend(doors.map(|door| (door.clone(), shown(name))));
        }
        for (name, volume) in &self.volumes {
            let mut open = |door: String| opened.push((door, format!("volume {}", shown(name))));
            if volume.external {
                open(format!("external_volume:{}", volume.name));
            }
            if !matches!(volume.driver.as_str(), "" | "local") {
                open(format!("volume_driver:{}", volume.driver));
            }
            if !volume.options.is_empty() && volume.bound().is_none() {
                open(format!("volume_options:{}", volume.name));
            }
        }
        for (name, network) in self.networks.iter().filter(|(_, network)| !network.external) {
            if !matches!(network.driver.as_str(), "" | "bridge") {
                opened.push((format!("network_driver:{}", network.driver), format!("network {}", shown(name))));
            }
            if network.is_planned {
                opened.push((format!("network_ipam:{}", network.name), format!("network {}", shown(name))));
            }
            // Others choose a bridge, an address or an interface of the host.
            if network.options.keys().any(|option| !NETWORK_OPTIONS.contains(&option.as_str())) {
                opened.push((format!("network_options:{}", network.name), format!("network {}", shown(name))));
            }
        }
        opened
    }
}
