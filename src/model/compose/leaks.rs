//! Values in a compose file that look like secrets.

use super::Reader;
use crate::model::{
    leaks::{is_literal, is_secret_name},
    path::RepoPath,
    yaml::Node,
};

/// What is in the repository and looks like a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exposed {
    /// A variable of `environment`, with its value.
    Variable(String),
    /// A secret of Compose whose content is in the file.
    Content(String),
    /// A secret of Compose that is a file of the repository.
    File(String, RepoPath),
}

/// The same, with its line and column.
pub type ExposedAt = (Exposed, (usize, usize));

/// Variables of a service.
pub(super) fn variables(service: &Node) -> Vec<ExposedAt> {
    let Some(environment) = service.get("environment") else { return Vec::new() };
    let entries = environment.entries().iter().filter_map(|(key, value)| {
        let given = is_secret_name(&key.name) && value.text().is_some_and(is_literal);
        given.then(|| (Exposed::Variable(key.name.clone()), (key.line, key.column)))
    });
    let items = environment.items().iter().filter_map(|item| {
        let (name, value) = item.text()?.split_once('=')?;
        let given = is_secret_name(name) && is_literal(value);
        given.then(|| (Exposed::Variable(name.to_owned()), (item.line, item.column)))
    });
    entries.chain(items).collect()
}

/// The fix for a file that is read from outside the repository: a file that may contain secrets must not be committed.
pub(super) fn cure(what: &str) -> &'static str {
    if ["the env_file", "the file of secrets"].iter().any(|begin| what.starts_with(begin)) {
        "put it on the host below secrets/ in its root, declare it under `secrets:` of the module, and begin its path with ${PLATFORM_SECRETS}/"
    } else {
        "commit the file and name it by a plain path below the project's folder"
    }
}

impl Reader<'_> {
    /// A secret of Compose, by its definition.
    pub(super) fn exposed_secret(&self, name: &str, definition: &Node) -> Option<ExposedAt> {
        let content = definition.get("content").filter(|content| content.text().is_some_and(is_literal));
        if let Some(content) = content {
            return Some((Exposed::Content(name.to_owned()), (content.line, content.column)));
        }
        let file = definition.get("file")?;
        let path = RepoPath::resolve(self.project, file.text().filter(|text| !text.contains('$'))?).ok()?;
        Some((Exposed::File(name.to_owned(), path), (file.line, file.column)))
    }
}
