//! What the second script answers: what runs, the final model, and what lies where it reaches.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{
    container::Container,
    render::{hex64, split},
};
use crate::{
    model::projection::{self, Projection},
    runtime::ground::LookError,
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
    /// Where the engine keeps everything.
    pub engine_root: String,
    /// Keys of contents that are there.
    pub have: BTreeSet<String>,
    /// Volumes that are there.
    pub volumes: Vec<ThereVolume>,
    /// Networks that are there.
    pub networks: BTreeSet<String>,
    /// TCP ports that something listens on, and whether on a loopback address alone.
    pub listening: BTreeSet<u16>,
    /// The final model without values.
    pub model: Option<Projection>,
}

/// Reads the answer. Everything in it is hostile.
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
    Ok(looked)
}

impl Looked {
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
            "engine" => self.engine_root = serde_json::from_str(value).ok()?,
            "network" => drop(self.networks.insert(serde_json::from_str(value).ok()?)),
            "bind" => numbered(value, &mut self.reals)?,
            "sacred" => numbered(value, &mut self.sacred)?,
            "have" => drop(self.have.insert(hex64(value)?)),
            "listen" => {
                let (_, port) = value.rsplit_once(':')?;
                self.listening.insert(u16::from_str_radix(port, 16).ok()?);
            }
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
    use proptest::prelude::*;

    use super::*;

    fn own() -> BTreeSet<String> {
        BTreeSet::from(["web".to_owned()])
    }

    #[test]
    fn an_answer_is_read_or_refused() {
        let hex = "a".repeat(64);
        let head = format!(
            "hash web {hex}\nfinal {hex}\nbind 0 /srv/a\nbind 1 -\nsacred 0 /etc\nlisten 0100007F:1F90\nnetwork \"proxy\"\n"
        );
        let model = "model\n{\"services\": {\"web\": {\"image\": \"x\"}}}";
        let looked = parse(format!("{head}{model}").as_bytes(), &own()).unwrap();
        assert_eq!(looked.reals, [Some("/srv/a".to_owned()), None]);
        assert!(looked.listening.contains(&8080) && looked.networks.contains("proxy"));
        for bad in
            ["bind 5 /x\n", "final x\n", "container {}\n", "have ../x\n", "listen x\n", "\u{1b}[2J\n", "hash web\n"]
        {
            assert!(parse(format!("{head}{bad}{model}").as_bytes(), &own()).is_err(), "{bad:?}");
        }
        assert!(parse(head.as_bytes(), &own()).is_err(), "half an answer is none");
        assert_eq!(parse(b"failed final\n", &own()).unwrap().failed.as_deref(), Some("final"));
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(parse(&bytes, &own()));
        }
    }
}
