//! What the files of a module name and nobody gives: values, images, declarations.

use std::collections::BTreeSet;

use super::Gathering;
use crate::{
    flow::repository::problem,
    model::{module::Manifest, path::RepoPath, problem::Problem, refusal::Code, text, variable},
    port::Answer,
};

impl Gathering<'_> {
    /// Names that have a value when the module's files are rendered.
    pub(super) fn known_variables(&self, manifest: &Manifest) -> Answer<BTreeSet<String>> {
        let own = ["PLATFORM_ROOT", "PLATFORM_SECRETS", "PLATFORM_DATA", "PLATFORM_HOST"].map(str::to_owned);
        let mut known: BTreeSet<String> = own.into_iter().chain(manifest.runtime.vars.keys().cloned()).collect();
        for path in &manifest.runtime.env_files {
            let text = self.content.text(path)?.map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned());
            let names = text.iter().flat_map(|text| text.lines()).filter_map(|line| line.split_once('='));
            known.extend(names.map(|(name, _)| name.trim().trim_start_matches("export ").trim().to_owned()));
        }
        Ok(known)
    }

    /// Variables of the module's services without a value and without a default.
    pub(super) fn unset(&mut self, file: &RepoPath, known: &BTreeSet<String>) {
        for (in_file, service) in &self.services {
            for (text, at) in service.variables.iter().filter(|_| in_file == file) {
                for name in variable::missing(text, known) {
                    let message = format!("the variable {name} of service {} has no value", text::shown(&service.name));
                    let fix = format!("add it to runtime.vars of the module, or write a default: ${{{name}:-…}}");
                    self.problems.push(problem(file.as_str(), *at, Code::VariableUnset, message, fix));
                }
            }
        }
    }

    /// Services of the module that no file gives an image.
    pub(super) fn imageless(&mut self) {
        let named: BTreeSet<&str> = self
            .services
            .iter()
            .filter(|(_, service)| service.has_image)
            .map(|(_, service)| service.name.as_str())
            .collect();
        let lacking = self.services.iter().filter(|(_, service)| !named.contains(service.name.as_str()));
        let problems: Vec<Problem> = lacking
            .map(|(file, service)| {
                let message =
                    format!("service {} has no `image`: nothing is built on a host", text::shown(&service.name));
                let fix = "build and push the image elsewhere, and name it";
                problem(file.as_str(), service.at, Code::ComposeInvalid, message, fix)
            })
            .collect();
        self.problems.extend(problems);
    }

    /// Secret files of the module's services that its manifest does not declare.
    pub(super) fn undeclared(&mut self, manifest: &Manifest) {
        for (file, service) in &self.services {
            for (secret, at) in &service.secrets {
                if !manifest.secrets.iter().any(|declared| declared.file == *secret) {
                    let message = format!("the secret file `{secret}` is not declared by {}", manifest.id);
                    let fix = format!("add to its module.yaml: secrets: [{{file: {secret}, keys: […]}}]");
                    self.problems.push(problem(file.as_str(), *at, Code::ManifestInvalid, message, fix));
                }
            }
        }
    }
}
