//! A container as `docker inspect` shows it: allow-listed fields, none of which contains a variable or an argument.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::render::hex64;

/// Something that is mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The volume's name.
    #[serde(default)]
    pub name: String,
    /// The path on the host.
    #[serde(default)]
    pub source: String,
    /// The path in the container.
    pub destination: String,
    /// Whether the container may write to it.
    #[serde(rename = "RW")]
    pub writable: bool,
}

/// An address and port of the host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Published {
    /// The address; empty for all.
    #[serde(default)]
    pub host_ip: String,
    /// The port.
    #[serde(default)]
    pub host_port: String,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name, with a slash in front.
    pub name: String,
    /// The id of its image.
    pub image: String,
    /// The image as the container names it.
    pub image_name: String,
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited`, `dead`.
    pub status: String,
    /// Its exit code, where it ended.
    pub exit: i64,
    /// When it was started last.
    pub started: String,
    /// `starting`, `healthy`, `unhealthy`; `None` without a healthcheck.
    pub health: Option<String>,
    /// How often the engine restarted it.
    pub restarts: u64,
    /// Its restart policy.
    pub restart: String,
    /// Its compose project; empty without one.
    #[serde(deserialize_with = "or_empty")]
    pub project: String,
    /// Its compose service.
    #[serde(deserialize_with = "or_empty")]
    pub service: String,
    /// Compose's hash of its configuration.
    #[serde(deserialize_with = "or_empty")]
    pub hash: String,
    /// `True` for one that `compose run` made.
    #[serde(deserialize_with = "or_empty")]
    pub oneoff: String,
    /// The module that put it there; empty if it was not us.
    #[serde(deserialize_with = "or_empty")]
    pub module: String,
    /// The root of the platformctl that put it there.
    #[serde(deserialize_with = "or_empty")]
    pub root: String,
    /// The image as our release names it.
    #[serde(deserialize_with = "or_empty")]
    pub named: String,
    /// What is mounted.
    pub mounts: Option<Vec<Mount>>,
    /// Ports, as `6379/tcp` to those of the host.
    pub ports: Option<BTreeMap<String, Option<Vec<Published>>>>,
    /// Ids of the networks that it is made for, and null at the end; empty for one that was never started.
    #[serde(default)]
    pub on: Vec<Option<String>>,
}

/// A label that is not there is null or an empty text, as the version of Docker's client has it.
fn or_empty<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(from).map(Option::unwrap_or_default)
}

impl Container {
    /// Reads a line; `None` if it is none that the script prints. Its id becomes a word of docker's command line.
    pub fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok().filter(|container: &Self| hex64(&container.id).is_some())
    }

    /// Whether it belongs to a service of a project, and is not a one-off container.
    pub fn is_of(&self, project: &str, service: &str) -> bool {
        self.project == project && self.service == service && self.oneoff != "True"
    }

    /// What is mounted.
    pub fn mounted(&self) -> &[Mount] {
        self.mounts.as_deref().unwrap_or_default()
    }

    /// Ports of the host that lead into it: protocol, address, port.
    pub fn published(&self) -> impl Iterator<Item = (&str, &str, u16)> {
        self.ports.iter().flatten().flat_map(|(inner, outer)| {
            let protocol = inner.split_once('/').map_or("tcp", |(_, protocol)| protocol);
            let port = |p: &'_ Published| p.host_port.parse().ok();
            outer.iter().flatten().filter_map(move |p| Some((protocol, p.host_ip.as_str(), port(p)?)))
        })
    }

    /// Whether it cannot be started as it is, because it is made for other networks than one with this id (`None`: one
    /// that is not there).
    pub fn misses(&self, network: Option<&str>) -> bool {
        let mut made_for = self.on.iter().flatten().peekable();
        // It looks for its networks by name as long as it has no ids.
        made_for.peek().is_some() && made_for.all(|id| !id.is_empty() && Some(id.as_str()) != network)
    }

    /// Whether it ended and will not be started again by the engine.
    pub fn has_ended(&self) -> bool {
        // With `on-failure` it is `restarting` as long as there are tries left.
        let again = matches!(self.restart.as_str(), "always" | "unless-stopped");
        matches!(self.status.as_str(), "exited" | "dead") && !again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: a host reports a container with the id `-f` or `--volumes`, which the next run passes to `docker rm`.
    /// Defence: an answer with an id that is not 64 hexadecimal digits is refused.
    #[test]
    fn container_id_cannot_be_an_option() {
        let line = |id: &str| {
            format!(
                r#"{{"id":"{id}","name":"/a","image":"i","image_name":"x","status":"running","exit":0,"started":"t","health":null,"restarts":0,
                "restart":"","project":null,"service":null,"hash":null,"oneoff":null,"module":null,"root":null,"named":null,"mounts":null,"ports":null}}"#
            )
        };
        assert!(Container::parse(&line(&"a".repeat(64))).is_some());
        for bad in ["", "-f", "--volumes", "abc", &"g".repeat(64)] {
            assert!(Container::parse(&line(bad)).is_none(), "{bad}");
        }
    }
}
