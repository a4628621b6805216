//! Places in the repository: the fixed paths, and the place of a key in a manifest.

use crate::{
    model::{ids::ModuleId, path::RepoPath, problem::Problem, refusal::Code},
    port::{Answer, PortError},
    tree::snapshot::Snapshot,
};

pub(crate) fn fixed(path: &str) -> Answer<RepoPath> {
    path.parse().map_err(|error| {
        PortError::new(Code::Bug, format!("the path {path} is not one"), "please report this").because(Box::new(error))
    })
}

/// The path of a module's manifest.
///
/// # Errors
/// Never: an id makes a path.
pub fn manifest_path(id: &ModuleId) -> Answer<RepoPath> {
    fixed(&format!("modules/{id}/module.yaml"))
}

pub(crate) fn problem(
    file: &str,
    at: (usize, usize),
    code: Code,
    message: impl Into<String>,
    fix: impl Into<String>,
) -> Problem {
    Problem { file: file.to_owned(), line: at.0, column: at.1, code, message: message.into(), fix: fix.into() }
}

/// The place of a key in a manifest. The file is read again, so that only problems pay for their places.
pub(crate) fn place(snapshot: &Snapshot<'_>, file: &RepoPath, path: &[&str]) -> Answer<(usize, usize)> {
    let Some((_, Ok(bytes))) = snapshot.text(file)? else {
        return Ok((0, 0));
    };
    Ok(crate::model::yaml::outline(&bytes).map_or((0, 0), |node| node.place(path)))
}
