//! What the second script answers: what runs, the final model, and what the mounted paths are.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use serde::Deserialize;

use super::{
    container::Container,
    render::{hex64, split},
};
use crate::{
    model::projection::{self, Network, Projection},
    runtime::machine::LookError,
};

/// A volume that is there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ThereVolume {
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Its driver's options.
    pub options: Option<BTreeMap<String, String>>,
    /// Its labels.
    pub labels: Option<BTreeMap<String, String>>,
}

impl ThereVolume {
    /// The compose project that it belongs to; empty for none.
    pub fn project(&self) -> &str {
        project(self.labels.as_ref())
    }

    /// The path of the host that it is, if it is one.
    pub fn device(&self) -> Option<&str> {
        let device = self.options.as_ref()?.get("device")?;
        device.starts_with('/').then_some(device)
    }
}

fn project(labels: Option<&BTreeMap<String, String>>) -> &str {
    labels.and_then(|labels| labels.get("com.docker.compose.project")).map(String::as_str).unwrap_or_default()
}

/// A part of a network's address plan.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Subnet {
    /// For instance `172.20.0.0/16`.
    #[serde(default)]
    pub subnet: String,
}

/// A network that is there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ThereNetwork {
    /// Its id: another one when it was made again under the same name.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Its driver's options.
    pub options: Option<BTreeMap<String, String>>,
    /// Whether it has no way out.
    pub internal: bool,
    /// Whether containers may join by hand.
    pub attachable: bool,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// Its subnets.
    pub ipam: Option<Vec<Subnet>>,
    /// Its labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// The containers that run on it, by id.
    attached: Option<BTreeMap<String, serde_json::Value>>,
}

impl ThereNetwork {
    /// The compose project that it belongs to; empty for none.
    pub fn project(&self) -> &str {
        project(self.labels.as_ref())
    }

    /// Ids of the containers that run on it.
    pub fn attached(&self) -> impl Iterator<Item = &String> {
        self.attached.iter().flat_map(BTreeMap::keys)
    }

    /// Whether a definition asks for another network than this: Compose would take it away and make it anew. What the
    /// definition leaves to the engine is not compared.
    pub fn differs(&self, wanted: &Network) -> bool {
        let none = BTreeMap::new();
        let has = |there: Option<&BTreeMap<String, String>>, wanted: &BTreeMap<String, String>| {
            wanted.iter().all(|(key, value)| there.unwrap_or(&none).get(key) == Some(value))
        };
        let subnet = |wanted: &String| self.ipam.iter().flatten().any(|there| there.subnet == *wanted);
        let driver = if wanted.driver.is_empty() { "bridge" } else { &wanted.driver };
        self.driver != driver
            || self.internal != wanted.internal
            || self.attachable != wanted.attachable
            || wanted.ipv6.is_some_and(|ipv6| ipv6 != self.ipv6)
            || !has(self.options.as_ref(), &wanted.options)
            || !has(self.labels.as_ref(), &wanted.labels)
            // The engine may spell an IPv6 subnet otherwise.
            || !wanted.subnets.iter().filter(|subnet| !subnet.contains(':')).all(subnet)
    }
}

/// Where something listens on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listens {
    /// The address, as far as it is one of IPv4; `None` for one of IPv6.
    pub address: Option<Ipv4Addr>,
    /// Whether it is every address.
    pub all: bool,
    /// The port.
    pub port: u16,
}

impl Listens {
    /// Reads what `/proc/net/tcp` has: hexadecimal digits, the address in the machine's own order of bytes.
    fn parse(text: &str) -> Option<Self> {
        let (address, port) = text.rsplit_once(':')?;
        let all = address.bytes().all(|b| b == b'0');
        let v4 = u32::from_str_radix(address, 16).ok().filter(|_| address.len() == 8);
        let address = v4.map(|number| Ipv4Addr::from(number.to_le_bytes()));
        Some(Self { address, all, port: u16::from_str_radix(port, 16).ok()? })
    }

    /// Whether this is the engine itself, which listens for a container at that address (empty: all of them).
    pub fn is_at(&self, port: u16, address: &str) -> bool {
        let any = matches!(address, "" | "0.0.0.0" | "::");
        let same = address.parse::<Ipv4Addr>().is_ok_and(|address| self.address == Some(address));
        self.port == port && ((any && self.all) || same || (self.address.is_none() && address.contains(':')))
    }

    /// Whether a container could not have that port at an address (empty: all of them).
    pub fn clashes(&self, port: u16, address: &str) -> bool {
        let any = matches!(address, "" | "0.0.0.0" | "::");
        let same = address.parse::<Ipv4Addr>().is_ok_and(|address| self.address == Some(address));
        self.port == port && (self.all || any || same || (self.address.is_none() && address.contains(':')))
    }
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Looked {
    /// Why the final model could not be made, if it could not: `final`, `shown`, `containers`, `tmp`, `tar`.
    pub failed: Option<String>,
    /// The digest of the final model with a salt: what a run must find again.
    pub final_: String,
    /// Compose's hashes of the services' configurations.
    pub hashes: BTreeMap<String, String>,
    /// Every container of the host.
    pub containers: Vec<Container>,
    /// Where binds really lie, in the order asked; `None` where nothing is.
    pub reals: Vec<Option<String>>,
    /// Where sacred paths really lie, in the order asked.
    pub sacred: Vec<Option<String>>,
    /// Keys of contents that are there.
    pub have: BTreeSet<String>,
    /// Volumes that are there.
    pub volumes: Vec<ThereVolume>,
    /// Networks that are there.
    pub networks: Vec<ThereNetwork>,
    /// Where something listens for TCP.
    pub listening: Vec<Listens>,
    /// Paths of the host that are mounted somewhere, each once.
    pub sources: Vec<String>,
    /// Where these really lie, in the same order.
    pub leads: Vec<String>,
    /// The final model without values.
    pub model: Option<Projection>,
}

/// Reads the answer. All of it is untrusted.
///
/// # Errors
/// A line that the script cannot have printed, or one that is missing.
pub fn parse(stdout: &[u8], own: &BTreeSet<String>) -> Result<Looked, LookError> {
    let (head, model) = split(stdout);
    let mut looked = Looked::default();
    for line in head.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let wrong = || LookError::Line(String::from_utf8_lossy(line).into_owned());
        let text = std::str::from_utf8(line).map_err(|_| wrong())?;
        let (key, value) = text.split_once(' ').ok_or_else(wrong)?;
        looked.line(key, value).ok_or_else(wrong)?;
    }
    if let Some(model) = model {
        let projected = projection::read(model, own);
        looked.model = Some(projected.map_err(|error| LookError::Line(error.to_string()))?);
    }
    if looked.failed.is_none() && (looked.model.is_none() || looked.final_.is_empty()) {
        return Err(LookError::Absent("model"));
    }
    if looked.sources.len() != looked.leads.len() {
        return Err(LookError::Absent("path"));
    }
    Ok(looked)
}

impl Looked {
    /// The real path of a path that is mounted somewhere.
    pub fn leads_to<'p>(&'p self, path: &'p str) -> &'p str {
        let at = self.sources.iter().position(|source| source == path);
        at.and_then(|at| self.leads.get(at)).map_or(path, String::as_str)
    }

    /// The network of a name.
    pub fn network(&self, name: &str) -> Option<&ThereNetwork> {
        self.networks.iter().find(|network| network.name == name)
    }

    fn line(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "failed" => drop(self.failed.get_or_insert_with(|| value.to_owned())),
            "final" => self.final_ = hex64(value)?,
            "hash" => {
                let (service, hash) = value.split_once(' ')?;
                self.hashes.insert(service.to_owned(), hex64(hash)?);
            }
            "container" => self.containers.push(Container::parse(value)?),
            "volume" => self.volumes.push(serde_json::from_str(value).ok()?),
            "network" => self.networks.push(serde_json::from_str(value).ok()?),
            "source" => self.sources.push(value.to_owned()),
            "leads" => self.leads.push(value.to_owned()),
            "bind" => numbered(value, &mut self.reals)?,
            "sacred" => numbered(value, &mut self.sacred)?,
            "have" => drop(self.have.insert(hex64(value)?)),
            "listen" => self.listening.push(Listens::parse(value)?),
            _ => return None,
        }
        Some(())
    }
}

/// The answers of a list come in its order, one line each: a path with a newline in it breaks the count and is refused.
fn numbered(value: &str, list: &mut Vec<Option<String>>) -> Option<()> {
    let (number, path) = value.split_once(' ')?;
    if number.parse::<usize>().ok()? != list.len() {
        return None;
    }
    list.push((path != "-").then(|| path.to_owned()));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> BTreeSet<String> {
        BTreeSet::from(["web".to_owned()])
    }

    #[test]
    fn answers_are_parsed_strictly() {
        let hex = "a".repeat(64);
        let head = format!(
            "hash web {hex}\nfinal {hex}\nbind 0 /srv/a\nbind 1 -\nsacred 0 /etc\nlisten 0100007F:1F90\nsource /srv/l\nleads /srv/real\n"
        );
        let model = "model\n{\"services\": {\"web\": {\"image\": \"x\"}}}";
        let looked = parse(format!("{head}{model}").as_bytes(), &own()).unwrap();
        assert_eq!(looked.reals, [Some("/srv/a".to_owned()), None]);
        assert!(looked.listening[0].clashes(8080, "127.0.0.1") && looked.listening[0].clashes(8080, ""));
        assert!(!looked.listening[0].clashes(8080, "127.0.0.2") && !looked.listening[0].clashes(8081, ""));
        assert_eq!((looked.leads_to("/srv/l"), looked.leads_to("/srv/m")), ("/srv/real", "/srv/m"));
        for bad in
            ["bind 5 /x\n", "final x\n", "container {}\n", "have ../x\n", "listen x\n", "\u{1b}[2J\n", "hash web\n"]
        {
            assert!(parse(format!("{head}{bad}{model}").as_bytes(), &own()).is_err(), "{bad:?}");
        }
        assert!(parse(head.as_bytes(), &own()).is_err(), "half an answer is none");
        assert_eq!(parse(b"failed final\n", &own()).unwrap().failed.as_deref(), Some("final"));
    }
}
