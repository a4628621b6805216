//! What the first script answers: the model without values, and whether everything is there that a run needs.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::{
        projection::{self, Projection},
        text::shown,
    },
    runtime::{
        machine::{LookError, Machine, Seen},
        secrets::SecretTrouble,
    },
};

/// What was rendered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// The version of Compose; `None` if it gave no answer.
    pub compose: Option<String>,
    /// The version of the engine; `None` if it gave no answer.
    pub engine: Option<String>,
    /// Where the engine keeps everything.
    pub engine_root: String,
    /// Image ids by the names in the model; `None` where the host has no such image.
    pub images: BTreeMap<String, Option<String>>,
    /// What is wrong with secrets.
    pub secrets: Vec<SecretTrouble>,
    /// The model; `None` if it could not be rendered.
    pub model: Option<Projection>,
    /// Why not, in Compose's words.
    pub error: Option<String>,
}

/// Reads the answer. All of it is untrusted.
///
/// # Errors
/// A line that the script cannot have printed, or one that is missing.
pub fn parse(stdout: &[u8], own: &BTreeSet<String>) -> Result<(Machine, Rendered), LookError> {
    let (head, model) = split(stdout);
    let mut machine = Seen::default();
    let mut rendered = Rendered::default();
    for line in head.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let wrong = || LookError::Line(String::from_utf8_lossy(line).into_owned());
        let text = std::str::from_utf8(line).map_err(|_| wrong())?;
        if text == "end" {
            break;
        }
        let (key, value) = text.split_once(' ').ok_or_else(wrong)?;
        match machine.line(key, value) {
            Some(true) => {}
            Some(false) => return Err(wrong()),
            None => rendered.line(key, value).ok_or_else(wrong)?,
        }
    }
    if let Some(model) = model {
        let projected = projection::read(model, own);
        rendered.model = Some(projected.map_err(|error| LookError::Line(error.to_string()))?);
    }
    if rendered.engine.is_some() && !rendered.engine_root.starts_with('/') {
        return Err(LookError::Absent("data_root"));
    }
    Ok((machine.finish()?, rendered))
}

/// The lines before the line `model`, and what follows it.
pub(super) fn split(stdout: &[u8]) -> (&[u8], Option<&[u8]>) {
    const MARK: &[u8] = b"\nmodel\n";
    match stdout.windows(MARK.len()).position(|window| window == MARK) {
        Some(at) => (&stdout[..=at], Some(&stdout[at + MARK.len()..])),
        None => (stdout, None),
    }
}

/// Sixty-four hexadecimal digits.
pub(super) fn hex64(text: &str) -> Option<String> {
    (text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.to_owned())
}

/// An image id as the engine prints it.
pub(super) fn image_id(text: &str) -> Option<String> {
    text.strip_prefix("sha256:").and_then(hex64).map(|_| text.to_owned())
}

impl Rendered {
    /// Images of the module's own services that the host does not have.
    pub fn missing_images(&self) -> Vec<String> {
        // An engine that does not answer tells nothing about its images.
        if self.engine.is_none() {
            return Vec::new();
        }
        let services = self.model.iter().flat_map(|model| model.services.values());
        let missing = services.filter(|service| self.images.get(&service.image).cloned().flatten().is_none());
        let names: BTreeSet<String> = missing.map(|service| service.image.clone()).collect();
        names.into_iter().collect()
    }

    fn line(&mut self, key: &str, value: &str) -> Option<()> {
        let said = |value: &str| (value != "-" && !value.is_empty()).then(|| shown(value));
        match key {
            "compose" => self.compose = said(value),
            "engine" => self.engine = said(value),
            "data_root" => self.engine_root = serde_json::from_str(value).ok()?,
            "error" => self.error = said(value),
            "failed" => self.error = Some(format!("the script could not work: {}", shown(value))),
            "image" => {
                let (id, name) = value.split_once(' ')?;
                let id = if id == "-" { None } else { Some(image_id(id)?) };
                self.images.insert(name.to_owned(), id);
            }
            "secret" => self.secrets.push(SecretTrouble::read(value)?),
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> BTreeSet<String> {
        BTreeSet::from(["web".to_owned()])
    }

    const HEAD: &str = "time 1790000000\nmachine \nroot ok\nfree_kb 7\nwritable yes\n";

    #[test]
    fn answers_are_parsed_strictly() {
        let id = format!("sha256:{}", "a".repeat(64));
        let text = format!(
            "{HEAD}secret key PASSWORD a.env\nsecret dollar a.env\nengine 20.10\ndata_root \"/d\"\nimage {id} web:1\nimage - gone:2\ncompose 2.40.3\n\
             model\n{{\"services\": {{\"web\": {{\"image\": \"web:1\"}}}}}}"
        );
        let (_, rendered) = parse(text.as_bytes(), &own()).unwrap();
        assert_eq!(rendered.images["web:1"], Some(id));
        assert_eq!(rendered.images["gone:2"], None);
        assert_eq!(rendered.secrets.len(), 2);
        assert_eq!(rendered.compose.as_deref(), Some("2.40.3"));
        assert!(rendered.model.unwrap().services.contains_key("web"));
        let (_, failed) = parse(format!("{HEAD}error \u{1b}[2Jbad\nend\n").as_bytes(), &own()).unwrap();
        assert!(failed.model.is_none() && !failed.error.unwrap().contains('\u{1b}'));
        assert!(parse(format!("{HEAD}engine 20.10\nend\n").as_bytes(), &own()).is_err(), "half an engine");
        for bad in ["", "x\n", "image sha256:short web\n", "secret odd x\n", "model\n{", "model\n[]", "\u{1b}[2J\n"] {
            assert!(parse(format!("{HEAD}{bad}").as_bytes(), &own()).is_err() || bad.is_empty(), "{bad:?}");
        }
    }
}
