//! Lint: what is wrong in workflow files.

use serde::Serialize;

use crate::model::workflow::{
    finding::{Finding, Level},
    rules,
};

/// A workflow file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name in findings.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What lint found.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Linted {
    /// The files that were read.
    pub files: Vec<String>,
    /// Everything that was found, by place.
    pub findings: Vec<Finding>,
}

impl Linted {
    /// Reads files; `base` is the base branch.
    pub fn of_files(files: &[File], base: &str) -> Self {
        let mut findings: Vec<Finding> =
            files.iter().flat_map(|file| rules::lint(&file.name, &file.bytes, base)).collect();
        findings.sort();
        findings.dedup();
        Self { files: files.iter().map(|file| file.name.clone()).collect(), findings }
    }

    /// Reads the folders in which a server looks, in its order: only the files of the first one run.
    pub fn of_folders(folders: Vec<(&str, Vec<File>)>, base: &str) -> Self {
        let mut folders = folders.into_iter();
        let Some((first, files)) = folders.next() else { return Self::default() };
        let mut linted = Self::of_files(&files, base);
        for file in folders.flat_map(|(_, files)| files) {
            linted.findings.push(rules::shadowed(&file.name, first));
            linted.files.push(file.name);
        }
        linted
    }

    /// The findings that must be cured.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.level == Level::Error)
    }
}
