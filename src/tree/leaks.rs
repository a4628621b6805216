//! Secrets in the repository, and the commands that move each to the host. Only names and places are shown, never a
//! value.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::{
        compose::Exposed,
        leaks::{in_env_file, is_literal, is_secret_file, is_secret_name},
        module::{Driver, Secret},
        names::KeyName,
        path::RepoPath,
        shell::word,
        text::{shown, yaml_scalar},
    },
    port::Answer,
    tree::{module::Module, place, snapshot::Snapshot},
};

/// What begins the path of a secret file in a compose file.
const SECRETS: &str = "${PLATFORM_SECRETS}";

/// The warnings about a module's secrets in the repository, one for each file. `root` is that of its host, as far as it
/// is known.
///
/// # Errors
/// Objects that cannot be read.
pub fn warnings(content: &Snapshot<'_>, module: &Module, root: &str) -> Answer<Vec<String>> {
    if module.manifest.runtime.driver != Driver::Compose {
        return Ok(Vec::new());
    }
    let mut warnings = Vec::new();
    let lines = Lines { module, root };
    let manifest = place::manifest_path(&module.manifest.id)?;
    let vars = &module.manifest.runtime.vars;
    let named: Vec<&String> =
        vars.iter().filter(|(name, value)| is_secret_name(name) && is_literal(value)).map(|(name, _)| name).collect();
    if let Some(first) = named.first() {
        let (line, column) = place::place(content, &manifest, &["runtime", "vars", first])?;
        let keys = named.iter().map(|name| (*name).clone()).collect();
        warnings.push(lines.keys(
            &format!("{manifest}:{line}:{column}"),
            &keys,
            "under `vars`",
            "the service's `env_file`",
        ));
    }
    let mut variables: BTreeMap<&RepoPath, (BTreeSet<String>, (usize, usize))> = BTreeMap::new();
    let own = module.services.iter().flat_map(|(file, service)| service.exposed.iter().map(move |one| (file, one)));
    let given = module.exposed.iter().map(|(file, one)| (file, one));
    for (file, (exposed, at)) in own.chain(given) {
        let place = format!("{file}:{}:{}", at.0, at.1);
        match exposed {
            Exposed::Variable(name) => {
                variables.entry(file).or_insert_with(|| (BTreeSet::new(), *at)).0.insert(name.clone());
            }
            Exposed::Content(name) => warnings.push(lines.secret(&place, name, name)),
            Exposed::File(name, path) => warnings.push(lines.secret(&place, name, path.name())),
        }
    }
    for (file, (names, at)) in variables {
        let place = format!("{file}:{}:{}", at.0, at.1);
        warnings.push(lines.keys(&place, &names, "under `environment`", "the service's `env_file`"));
    }
    for path in env_files(content, module)? {
        // One that is too large to read is that file's own problem.
        let Some((_, Ok(bytes))) = content.text(&path)? else { continue };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let found = in_env_file(&text);
        let keys: BTreeSet<String> = found.iter().map(|(name, _)| name.clone()).collect();
        match found.first() {
            Some((_, line)) => {
                warnings.push(lines.keys(&format!("{path}:{line}"), &keys, "in it", "`env_file` in its place"));
            }
            None if is_secret_file(path.name()) => warnings.push(lines.file(&path)),
            None => {}
        }
    }
    warnings.sort();
    warnings.dedup();
    Ok(warnings)
}

/// Tracked files that are read as environment, and every `.env` beside a compose file.
fn env_files(content: &Snapshot<'_>, module: &Module) -> Answer<BTreeSet<RepoPath>> {
    let runtime = &module.manifest.runtime;
    let named = |path: &RepoPath| is_secret_file(path.name()) || path.as_str().ends_with(".env");
    let closure = module.closure.files.iter().map(|file| &file.path).filter(|path| named(path));
    let mut files: BTreeSet<RepoPath> = closure.chain(&runtime.env_files).cloned().collect();
    for file in &runtime.compose_files {
        let beside = file.parent().map_or_else(|| ".env".to_owned(), |folder| format!("{folder}/.env"));
        if let Ok(beside) = beside.parse::<RepoPath>()
            && content.text(&beside)?.is_some()
        {
            files.insert(beside);
        }
    }
    Ok(files)
}

struct Lines<'a> {
    module: &'a Module,
    root: &'a str,
}

impl Lines<'_> {
    /// For names with values.
    fn keys(&self, place: &str, names: &BTreeSet<String>, stand: &str, instead: &str) -> String {
        let file = format!("{}.env", self.module.manifest.id);
        let shown: Vec<String> = names.iter().map(|name| shown(name)).collect();
        let typed: String = shown.iter().map(|name| format!("  {name}='…'\n")).collect();
        format!(
            "{place}: {} {} a value {stand}: whoever reads the repository has it. Move it to the host:\n\
             {}{typed}{}\nin the compose file, in {instead}:\n  env_file: [\"{SECRETS}/{file}\"]\n{RENEW}",
            shown.join(", "),
            if shown.len() == 1 { "has" } else { "have" },
            self.install(&file),
            self.declare(&file, names),
        )
    }

    /// For an env file that names no secret that is known as one.
    fn file(&self, path: &RepoPath) -> String {
        let file = format!("{}.env", self.module.manifest.id);
        format!(
            "{path} is in the repository: if it holds secrets, move them to the host:\n{}  NAME='…'\n{}\n\
             in the compose file, in its place:\n  env_file: [\"{SECRETS}/{file}\"]\n{RENEW}",
            self.install(&file),
            self.declare(&file, &BTreeSet::new()),
        )
    }

    /// For a secret of Compose.
    fn secret(&self, place: &str, name: &str, file: &str) -> String {
        format!(
            "{place}: the secret {0} is in the repository: whoever reads that has it. Move it to the host:\n{1}  …\n{2}\n\
             in the compose file:\n  secrets: {{{3}: {{file: \"{SECRETS}/{4}\"}}}}\n{RENEW}",
            shown(name),
            self.install(file),
            self.declare(file, &BTreeSet::new()),
            yaml_scalar(name),
            shown(file),
        )
    }

    /// How a file comes to the host, and what is typed there: into a new one, or into the one that is declared already.
    fn install(&self, file: &str) -> String {
        let path = word(&format!("{}/secrets/{file}", self.root));
        if self.declared(file).is_some() {
            format!("  ${{EDITOR:-vi}} {path}\nand add to it:\n")
        } else {
            format!("  (umask 077 && install -D -m 600 /dev/stdin {path})\nand type there, with Ctrl-D at the end:\n")
        }
    }

    fn declared(&self, file: &str) -> Option<&Secret> {
        self.module.manifest.secrets.iter().find(|secret| secret.file.as_str() == file)
    }

    /// The entry of `secrets:`, with what is declared there already.
    fn declare(&self, file: &str, names: &BTreeSet<String>) -> String {
        let before = self.declared(file).into_iter().flat_map(|secret| &secret.keys).map(KeyName::to_string);
        let keys: BTreeSet<String> =
            before.chain(names.iter().filter(|name| name.parse::<KeyName>().is_ok()).cloned()).collect();
        let keys = keys.into_iter().collect::<Vec<_>>().join(", ");
        let keys = if keys.is_empty() { String::new() } else { format!(", keys: [{keys}]") };
        format!("in its module.yaml, under secrets:\n  - {{file: {}{keys}}}", yaml_scalar(file))
    }
}

/// What moving it alone does not cure.
const RENEW: &str = "and give it a new value: git keeps the old one";
