//! A compose file as it is written: what it names, what it follows, what reaches outside. Rendering comes later and elsewhere.
//!
//! Words and forms are those of the Compose Specification; paths are taken relative to the project's folder, as compose does.

mod forms;
mod leaks;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use self::forms::{below_secrets, inherit, names, one_or_many, short, variables, words};
pub use self::leaks::{Exposed, ExposedAt};
use super::{
    doors::doors,
    names::ComposeName,
    path::RepoPath,
    problem::Problem,
    refusal::Code,
    text::shown,
    yaml::{Key, Node},
};

/// Why a tracked file belongs to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// Read while the file is rendered: other compose files, env and label files.
    Rendered,
    /// Given to a container: config and secret files.
    Read,
    /// Mounted read-only.
    Mounted,
    /// Mounted for reading and writing.
    Written,
}

/// A path in the repository that a compose file names, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// The path.
    pub path: RepoPath,
    /// As what.
    pub as_: Use,
    /// Where it is named: line and column.
    pub at: (usize, usize),
}

/// One service as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: ComposeName,
    /// Where it is written: line and column.
    pub at: (usize, usize),
    /// Whether it names an image, or what it extends may.
    pub has_image: bool,
    /// The profiles that it belongs to.
    pub profiles: Vec<String>,
    /// The service of the same file that it extends. What that one says is said here as well.
    pub extends: Option<String>,
    /// Its definition and the top-level definitions it names, for digests.
    pub written: Value,
    /// The files it names.
    pub files: BTreeSet<Named>,
    /// Binds of absolute paths on the host: path, writable, place.
    pub binds: Vec<(String, bool, (usize, usize))>,
    /// Doors to the host, as an `allow` entry would name them: `cap_add:NET_ADMIN`.
    pub doors: Vec<(String, (usize, usize))>,
    /// Files below `${PLATFORM_SECRETS}/` that it names, and where.
    pub secrets: Vec<(RepoPath, (usize, usize))>,
    /// Those of them that Compose reads as environment.
    pub env_secrets: BTreeSet<RepoPath>,
    /// What it has of secrets that stand in the repository.
    pub exposed: Vec<ExposedAt>,
    /// Its texts that hold a variable, and where.
    pub variables: Vec<(String, (usize, usize))>,
}

/// What one compose file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan {
    /// Its services.
    pub services: Vec<Service>,
    /// Compose files that it extends or includes. Where there are any, the file counts whole.
    pub follows: BTreeSet<Named>,
    /// Those of them that it includes: their services are services of the project.
    pub includes: BTreeSet<RepoPath>,
    /// The whole file, for digests, where it follows others.
    pub whole: Option<Value>,
    /// What does not hold.
    pub problems: Vec<Problem>,
}

/// Keys of a service that are understood. A key beyond these is refused: what is not understood cannot be judged.
pub(super) const SERVICE_KEYS: &str = "\
    annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs container_name \
    cpu_count cpu_percent cpu_period cpu_quota cpu_shares cpus cpuset depends_on deploy device_cgroup_rules \
    devices dns dns_opt dns_search domainname entrypoint env_file environment expose extends external_links \
    extra_hosts gpus group_add healthcheck hostname image init ipc isolation label_file labels links logging \
    mac_address mem_limit mem_reservation mem_swappiness memswap_limit network_mode networks oom_kill_disable \
    oom_score_adj pid pids_limit platform ports post_start pre_stop privileged profiles pull_policy read_only \
    restart runtime scale secrets security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt \
    sysctls tmpfs tty ulimits user use_api_socket userns_mode uts volumes volumes_from working_dir";
const TOP_KEYS: &[&str] = &["version", "name", "services", "volumes", "networks", "configs", "secrets", "include"];

/// Scans a compose file. `project` is the folder that relative paths are taken from (`None`: the repository's root).
pub fn scan(file: &RepoPath, project: Option<&RepoPath>, node: &Node) -> Scan {
    let mut reader = Reader { file, project, scan: Scan::default() };
    for (key, _) in node.entries() {
        if !TOP_KEYS.contains(&key.name.as_str()) && !key.name.starts_with("x-") {
            let text = format!("`{}` is not a key of a compose file that is understood", shown(&key.name));
            reader.problem(Code::UnknownComposeKey, place(key), text, "remove it, or begin it with x-");
        }
    }
    reader.include(node);
    reader.definition_names(node);
    let mut services = Vec::new();
    for (key, service) in node.get("services").map(Node::entries).unwrap_or_default() {
        services.extend(reader.service(key, service, node));
    }
    if node.get("services").is_none_or(|services| services.entries().is_empty()) {
        reader.problem(Code::ComposeInvalid, (node.line, node.column), "no services are defined", "define `services:`");
    }
    inherit(&mut services);
    let mut scan = reader.scan;
    scan.services = services;
    scan.whole = (!scan.follows.is_empty()).then(|| node.to_json());
    scan
}

fn place(key: &Key) -> (usize, usize) {
    (key.line, key.column)
}

struct Reader<'a> {
    file: &'a RepoPath,
    project: Option<&'a RepoPath>,
    scan: Scan,
}

/// A path as compose would take it.
enum Path {
    /// In the repository.
    Repo(RepoPath),
    /// On the host.
    Host(String),
}

impl Reader<'_> {
    fn problem(&mut self, code: Code, at: (usize, usize), message: impl Into<String>, fix: impl Into<String>) {
        self.scan.problems.push(Problem {
            file: self.file.to_string(),
            line: at.0,
            column: at.1,
            code,
            message: message.into(),
            fix: fix.into(),
        });
    }

    /// A file that compose reads: it must be a plain path inside the repository.
    fn tracked(&mut self, node: &Node, what: &str) -> Option<RepoPath> {
        let at = (node.line, node.column);
        let Some(text) = node.text() else {
            self.problem(
                Code::ComposeInvalid,
                at,
                format!("{what} is not a path"),
                "write a path inside the repository",
            );
            return None;
        };
        let remote = text.contains("://") || text.starts_with("git@") || text.starts_with("oci:");
        let outside = text.starts_with(['/', '~']) || text.split('/').any(|part| part == "..");
        if remote || outside || text.contains('$') {
            let why = if remote {
                "is remote"
            } else if outside {
                "leaves the repository"
            } else {
                "depends on a variable"
            };
            self.problem(
                Code::ClosureIncomplete,
                at,
                format!("{what} `{}` {why}: what it holds is not what was reviewed", shown(text)),
                leaks::cure(what),
            );
            return None;
        }
        match RepoPath::resolve(self.project, text) {
            Ok(path) => Some(path),
            Err(error) => {
                self.problem(Code::ComposeInvalid, at, error.to_string(), "write a path inside the repository");
                None
            }
        }
    }

    /// The file below `${PLATFORM_SECRETS}/` that is meant, if one is.
    fn secret(&self, node: &Node) -> Option<RepoPath> {
        below_secrets(node.text()?)
    }

    fn follow(&mut self, node: &Node, what: &str, includes: bool) {
        if let Some(path) = self.tracked(node, what) {
            if includes {
                self.scan.includes.insert(path.clone());
            }
            self.scan.follows.insert(Named { path, as_: Use::Rendered, at: (node.line, node.column) });
        }
    }

    fn include(&mut self, top: &Node) {
        for item in top.get("include").map(Node::items).unwrap_or_default() {
            let paths = item.get("path").unwrap_or(item);
            for one in one_or_many(paths) {
                self.follow(one, "the included file", true);
            }
            for key in ["env_file", "project_directory"] {
                if let Some(node) = item.get(key) {
                    let text = format!("`{key}` of an include is not understood here");
                    self.problem(Code::UnknownComposeKey, (node.line, node.column), text, "remove it");
                }
            }
        }
    }

    fn service(&mut self, key: &Key, node: &Node, top: &Node) -> Option<Service> {
        let name = self.service_name(key)?;
        self.service_names(node);
        let mut service = Service {
            name,
            at: place(key),
            has_image: node.get("image").is_some() || node.get("extends").is_some(),
            profiles: node.get("profiles").map(Node::items).unwrap_or_default().iter().filter_map(words).collect(),
            extends: None,
            written: Value::Null,
            files: BTreeSet::new(),
            binds: Vec::new(),
            doors: Vec::new(),
            secrets: Vec::new(),
            env_secrets: BTreeSet::new(),
            exposed: leaks::variables(node),
            variables: Vec::new(),
        };
        let name = service.name.clone();
        variables(node, &mut service.variables);
        for (key, value) in node.entries() {
            for one in one_or_many(value) {
                let opened =
                    doors(&key.name, &if value.items().is_empty() { one.to_json() } else { json!([one.to_json()]) });
                service.doors.extend(opened.into_iter().map(|door| (door, (one.line, one.column))));
            }
            if key.name == "provider" {
                self.problem(
                    Code::UnknownComposeKey,
                    place(key),
                    format!("service {name} is carried out by a foreign program (provider)"),
                    "use an image",
                );
            } else if !SERVICE_KEYS.split(' ').any(|known| known == key.name) && !key.name.starts_with("x-") {
                let text = format!("`{}` of service {name} is not a key that is understood", shown(&key.name));
                self.problem(Code::UnknownComposeKey, place(key), text, "remove it");
            }
        }
        self.joins(node, top, &mut service);
        let extends = node.get("extends");
        match extends.and_then(|extends| extends.get("file")) {
            Some(file) => self.follow(file, "the extended file", false),
            None => service.extends = extends.and_then(|extends| words(extends.get("service").unwrap_or(extends))),
        }
        for key in ["env_file", "label_file"] {
            for item in node.get(key).map(one_or_many).unwrap_or_default() {
                let file = item.get("path").unwrap_or(item);
                if let Some(secret) = self.secret(file) {
                    service.env_secrets.insert(secret.clone());
                    service.secrets.push((secret, (file.line, file.column)));
                } else if let Some(path) = self.tracked(file, &format!("the {key} of service {name}")) {
                    service.files.insert(Named { path, as_: Use::Rendered, at: (file.line, file.column) });
                }
            }
        }
        self.volumes(node, &mut service);
        let uses = self.named(node, top, &mut service);
        service.written = json!({"service": node.to_json(), "uses": uses});
        Some(service)
    }

    fn volumes(&mut self, node: &Node, service: &mut Service) {
        for item in node.get("volumes").map(Node::items).unwrap_or_default() {
            let at = (item.line, item.column);
            let (source, target, writable) = match item.text() {
                Some(text) => match short(text) {
                    Some(short) => short,
                    None => continue,
                },
                None => {
                    let bind = item.get("type").and_then(Node::text) == Some("bind");
                    let Some(source) = item.get("source").and_then(Node::text).filter(|_| bind) else {
                        continue;
                    };
                    let target = item.get("target").and_then(Node::text).unwrap_or_default();
                    (source.to_owned(), target.to_owned(), item.get("read_only").and_then(Node::text) != Some("true"))
                }
            };
            if let Some(secret) = below_secrets(&source) {
                service.secrets.push((secret, at));
                continue;
            }
            match self.mounted(&source, at) {
                Some(Path::Repo(path)) => {
                    // Compose puts what we mount in its place beside it: the two targets must be the same text.
                    if target.len() > 1 && (target.ends_with('/') || target.contains("//")) {
                        let text = format!("the target `{}` is not written as the container has it", shown(&target));
                        self.problem(Code::ComposeInvalid, at, text, "leave out slashes at its end and double ones");
                    }
                    let as_ = if writable { Use::Written } else { Use::Mounted };
                    service.files.insert(Named { path, as_, at });
                }
                Some(Path::Host(path)) => {
                    service
                        .doors
                        .extend(words::relabels(item).into_iter().map(|label| (format!("selinux:{label}:{path}"), at)));
                    service.binds.push((path, writable, at));
                }
                None => {}
            }
        }
    }

    /// What a bind's source means. `${PLATFORM_…}` folders are known to lie on the host.
    fn mounted(&mut self, source: &str, at: (usize, usize)) -> Option<Path> {
        if let Some(rest) = source.strip_prefix("${PLATFORM_DATA}/")
            && !rest.contains('$')
            && rest.parse::<RepoPath>().is_ok()
        {
            return None;
        }
        if source.contains('$') || source.starts_with('~') {
            let text = format!("the bind `{}` depends on a variable that nobody reviews", shown(source));
            self.problem(
                Code::ClosureIncomplete,
                at,
                text,
                "write the path out, or begin it with ${PLATFORM_DATA}/ or ${PLATFORM_SECRETS}/",
            );
            return None;
        }
        if source.starts_with('/') {
            return Some(Path::Host(source.to_owned()));
        }
        match RepoPath::resolve(self.project, source) {
            Ok(path) => Some(Path::Repo(path)),
            Err(_) => {
                let text = format!("the bind `{}` leaves the repository", shown(source));
                self.problem(
                    Code::ClosureIncomplete,
                    at,
                    text,
                    "write an absolute path, or one below the project's folder",
                );
                None
            }
        }
    }

    /// The top-level definitions that a service names, for the digest; their files become the service's.
    fn named(&mut self, node: &Node, top: &Node, service: &mut Service) -> BTreeMap<String, Value> {
        let mut uses = BTreeMap::new();
        for kind in ["volumes", "networks", "configs", "secrets"] {
            let mut used = names(node.get(kind), kind);
            // Who names no network is on this one.
            if kind == "networks" && used.is_empty() && node.get("network_mode").is_none() {
                used.insert("default".to_owned());
            }
            for name in used {
                let Some(definition) = top.get(kind).and_then(|all| all.get(&name)) else {
                    continue;
                };
                uses.insert(format!("{kind}/{name}"), definition.to_json());
                variables(definition, &mut service.variables);
                if kind == "secrets" {
                    service.exposed.extend(self.exposed_secret(&name, definition));
                }
                let file = definition.get("file").filter(|_| matches!(kind, "configs" | "secrets"));
                let Some(file) = file else { continue };
                if let Some(secret) = self.secret(file) {
                    service.secrets.push((secret, (file.line, file.column)));
                } else if let Some(path) = self.tracked(file, &format!("the file of {kind}.{}", shown(&name))) {
                    service.files.insert(Named { path, as_: Use::Read, at: (file.line, file.column) });
                }
            }
        }
        uses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::yaml;

    fn scanned(text: &str) -> Scan {
        let file: RepoPath = "compose/apps/compose.yaml".parse().unwrap();
        scan(&file, file.parent().as_ref(), &yaml::read_compose(text.as_bytes()).unwrap())
    }

    #[test]
    fn what_a_service_names_is_found_in_every_form() {
        let scan = scanned(
            "services:\n  a:\n    image: x\n    env_file: [./a.env, {path: b.env, required: false}]\n    volumes:\n      - ./conf:/etc/x:ro\n      - data:/data\n      - {type: bind, source: ./w, target: /w}\n      - /srv/a:/a\n      - ${PLATFORM_SECRETS}/s:/s:ro\n    configs: [c]\n    networks: {proxy: {}}\nvolumes: {data: {}, other: {}}\nconfigs: {c: {file: ./c.json}}\nnetworks: {proxy: {external: true}}\n",
        );
        assert_eq!(scan.problems, []);
        let service = &scan.services[0];
        let files: Vec<_> = service.files.iter().map(|named| (named.path.as_str(), named.as_)).collect();
        assert_eq!(
            files,
            [
                ("compose/apps/a.env", Use::Rendered),
                ("compose/apps/b.env", Use::Rendered),
                ("compose/apps/c.json", Use::Read),
                ("compose/apps/conf", Use::Mounted),
                ("compose/apps/w", Use::Written),
            ]
        );
        let secrets: Vec<_> = service.secrets.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(secrets, ["s"]);
        assert_eq!(service.variables.len(), 1);
        assert_eq!(service.binds, [("/srv/a".to_owned(), true, (9, 9))]);
        let uses = service.written["uses"].as_object().unwrap();
        assert_eq!(uses.keys().collect::<Vec<_>>(), ["configs/c", "networks/proxy", "volumes/data"]);
    }

    #[test]
    fn what_reaches_outside_is_found() {
        for (line, code, text) in [
            (3, Code::ClosureIncomplete, "    env_file: /etc/passwd\n"),
            (3, Code::ClosureIncomplete, "    env_file: ../../../x\n"),
            (3, Code::ClosureIncomplete, "    extends: {file: 'https://x/y.yaml', service: a}\n"),
            (3, Code::ClosureIncomplete, "    volumes: ['${HOME}/x:/x']\n"),
            (3, Code::ClosureIncomplete, "    volumes: ['../../../x:/x']\n"),
            (3, Code::ClosureIncomplete, "    volumes: ['${PLATFORM_DATA}/../../x:/x']\n"),
            (3, Code::ClosureIncomplete, "    volumes: ['${PLATFORM_DATA}/${X}/x:/x']\n"),
            (3, Code::ClosureIncomplete, "    env_file: '${PLATFORM_SECRETS}/${X}'\n"),
            (3, Code::UnknownComposeKey, "    provider: {type: x}\n"),
            (3, Code::UnknownComposeKey, "    imgae: x\n"),
            (3, Code::UnknownComposeKey, "include: [{path: a.yaml, env_file: b}]\n"),
            (3, Code::ClosureIncomplete, "include: ['oci://x']\n"),
            (3, Code::ClosureIncomplete, "    secrets: [s]\nsecrets: {s: {file: /etc/shadow}}\n"),
        ] {
            let scan = scanned(
                &format!("services:\n  a: &a\n{text}")
                    .replace("&a\n    ", "\n    image: x\n    ")
                    .replace("&a\ninclude", "{image: x}\ninclude"),
            );
            let found = scan.problems.first().unwrap_or_else(|| panic!("{text}"));
            assert_eq!(found.code, code, "{text}");
            assert!(found.line >= line, "{text}");
        }
    }

    #[test]
    fn what_is_extended_in_the_same_file_counts() {
        let scan = scanned(
            "services:\n  a: {extends: {service: b}}\n  b: {image: x, extends: c, environment: {B: 1}}\n  c: {extends: a, env_file: '${PLATFORM_SECRETS}/s', privileged: true}\n  d: {build: .}\n",
        );
        let [a, _, _, d] = scan.services.as_slice() else { panic!() };
        assert!(a.written["extends b"].to_string().contains("environment"));
        assert!(a.written["extends c"].is_object() && a.env_secrets.len() == 1 && a.doors.len() == 1);
        assert!(a.has_image && !d.has_image);
        let scan = scanned("services:\n  a: {image: x}\nnetworks: {default: {internal: true}}\n");
        assert!(scan.services[0].written["uses"]["networks/default"].is_object());
    }
}
