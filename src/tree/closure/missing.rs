//! What the files of a module need and do not define: values, images, declarations.

use std::collections::BTreeSet;

use crate::{
    model::{module::Manifest, path::RepoPath, problem::Problem, refusal::Code, text, variable},
    port::Answer,
    tree::{closure::Builder, place::problem},
};

/// The contents of a service or definition that concerns the module.
pub(crate) struct Said {
    pub(crate) file: RepoPath,
    /// `service web`, `configs.c`.
    pub(crate) what: String,
    /// Texts with a variable in them, and where.
    pub(crate) variables: Vec<(String, (usize, usize))>,
    /// Secret files that it names, and where.
    pub(crate) secrets: Vec<(RepoPath, (usize, usize))>,
}

impl Builder<'_> {
    /// Names that have a value when the module's files are rendered.
    pub(crate) fn known_variables(&mut self, manifest: &Manifest) -> Answer<BTreeSet<String>> {
        let own = ["PLATFORM_ROOT", "PLATFORM_SECRETS", "PLATFORM_DATA", "PLATFORM_HOST"].map(str::to_owned);
        let mut known: BTreeSet<String> = own.into_iter().chain(manifest.runtime.vars.keys().cloned()).collect();
        for path in &manifest.runtime.env_files {
            let text = match self.snapshot.text(path)? {
                Some((_, Ok(bytes))) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                Some((_, Err(error))) => {
                    self.problems.push(Problem::unreadable(path.as_str(), Code::ContentRefused, &error));
                    None
                }
                None => None,
            };
            let names = text.iter().flat_map(|text| text.lines()).filter_map(|line| line.split_once('='));
            known.extend(names.map(|(name, _)| name.trim().trim_start_matches("export ").trim().to_owned()));
        }
        Ok(known)
    }

    /// Variables without a value and without a default.
    pub(crate) fn unset(&mut self, said: &[Said], known: &BTreeSet<String>) {
        for Said { file, what, variables, .. } in said {
            for (text, at) in variables {
                for name in variable::missing(text, known) {
                    let message = format!("the variable {name} of {what} has no value");
                    let fix = format!("add it to runtime.vars of the module, or write a default: ${{{name}:-…}}");
                    self.problems.push(problem(file.as_str(), *at, Code::VariableUnset, message, fix));
                }
            }
        }
    }

    /// Services of the module that no file gives an image.
    pub(crate) fn imageless(&mut self) {
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

    /// Secret files that the manifest does not declare.
    pub(crate) fn undeclared(&mut self, manifest: &Manifest, said: &[Said]) {
        for Said { file, secrets, .. } in said {
            for (secret, at) in secrets {
                if !manifest.secrets.iter().any(|declared| declared.file == *secret) {
                    let message = format!("the secret file `{secret}` is not declared by {}", manifest.id);
                    let fix = format!("add to its module.yaml: secrets: [{{file: {secret}, keys: […]}}]");
                    self.problems.push(problem(file.as_str(), *at, Code::ManifestInvalid, message, fix));
                }
            }
        }
    }
}
