//! Workflow files on disk: those that a person names, or those of the repository around here.
#![expect(clippy::disallowed_methods, reason = "files are read in src/io/")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{io::file, model::text::escaped_line, port::Answer};

/// A workflow file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// As it was named, or from the root of the repository.
    pub name: String,
    /// Its beginning: at most one byte more than was asked for.
    pub bytes: Vec<u8>,
}

/// Reads the files that are named, from `dir`; at most one byte more than `limit_bytes` of each.
///
/// # Errors
/// One cannot be read.
pub fn named(dir: &Path, paths: &[PathBuf], limit_bytes: u64) -> Answer<Vec<File>> {
    let read = |path: &PathBuf| {
        let bytes = file::beginning(&dir.join(path), limit_bytes + 1)?;
        Ok(File { name: escaped_line(&path.to_string_lossy()), bytes })
    };
    paths.iter().map(read).collect()
}

/// The workflow files in each of `folders` below the root of the repository around `dir`, or below `dir` itself if there
/// is none; a folder that is empty or does not exist has no entry.
///
/// # Errors
/// One cannot be read.
pub fn found<'f>(dir: &Path, folders: &[&'f str], limit_bytes: u64) -> Answer<Vec<(&'f str, Vec<File>)>> {
    let root = dir.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(dir);
    let mut all = Vec::new();
    for folder in folders {
        let Ok(entries) = fs::read_dir(root.join(folder)) else { continue };
        let mut paths: Vec<PathBuf> =
            entries.filter_map(Result::ok).map(|entry| Path::new(folder).join(entry.file_name())).collect();
        if paths.is_empty() {
            continue;
        }
        paths.retain(|path| path.extension().is_some_and(|end| end == "yml" || end == "yaml"));
        paths.sort();
        all.push((*folder, named(root, &paths, limit_bytes)?));
    }
    Ok(all)
}
