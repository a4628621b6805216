//! A compose file as it is written: what it names, what it follows, what reaches outside. Rendering comes later and
//! elsewhere.
//!
//! Words and forms are those of the Compose Specification; paths are taken relative to the project's folder, as compose
//! does.

mod concern;
mod drops;
mod forms;
mod leaks;
mod refs;
mod said;
mod words;

use std::collections::BTreeSet;

use serde_json::json;

use self::forms::{below_secrets, inherit, one_or_many, short, variables, words};
pub use self::{
    concern::{Concern, concern, written},
    drops::dropped,
    leaks::{Exposed, ExposedAt},
    refs::{KINDS, Kind, Refs, refs},
    said::{Definition, Follow, Named, Scan, Service, Use},
};
use super::{
    doors::doors,
    path::RepoPath,
    problem::Problem,
    refusal::Code,
    text::shown,
    yaml::{Key, Node},
};

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
            let text = format!("`{}` is not a supported key of a compose file", shown(&key.name));
            reader.problem(Code::UnknownComposeKey, place(key), text, "remove it, or begin it with x-");
        }
    }
    reader.include(node);
    reader.definition_names(node);
    let mut services = Vec::new();
    for (key, service) in node.get("services").map(Node::entries).unwrap_or_default() {
        services.extend(reader.service(key, service, node));
    }
    inherit(&mut services);
    for kind in KINDS {
        for (key, definition) in node.get(kind).map(Node::entries).unwrap_or_default() {
            let definition = reader.definition(kind, key, definition);
            reader.scan.definitions.insert((kind, key.name.clone()), definition);
        }
    }
    let mut scan = reader.scan;
    services.iter().for_each(|service| scan.refs.take(service.refs.clone()));
    scan.services = services;
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
                format!("{what} `{}` {why}: its content was not reviewed", shown(text)),
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

    /// What is extended takes its relative paths from its own folder; what is included beside others, from the first
    /// one's.
    fn follow(&mut self, node: &Node, what: &str, first: Option<&RepoPath>, includes: bool) -> Option<RepoPath> {
        let path = self.tracked(node, what)?;
        let project = first.unwrap_or(&path).parent();
        self.scan.follows.insert(Follow { path: path.clone(), project, includes });
        Some(path)
    }

    fn include(&mut self, top: &Node) {
        for item in top.get("include").map(Node::items).unwrap_or_default() {
            let paths = item.get("path").unwrap_or(item);
            let mut first = None;
            for one in one_or_many(paths) {
                let path = self.follow(one, "the included file", first.as_ref(), true);
                first = first.or(path);
            }
            for key in ["env_file", "project_directory"] {
                if let Some(node) = item.get(key) {
                    let text = format!("`{key}` of an include is not supported");
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
            refs: refs(node),
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
                    format!("service {name} is run by an external program (provider)"),
                    "use an image",
                );
            } else if !SERVICE_KEYS.split(' ').any(|known| known == key.name) && !key.name.starts_with("x-") {
                let text = format!("`{}` of service {name} is not a supported key", shown(&key.name));
                self.problem(Code::UnknownComposeKey, place(key), text, "remove it");
            }
        }
        self.joins(node, top, &mut service);
        let extends = node.get("extends");
        match extends.and_then(|extends| extends.get("file")) {
            Some(file) => drop(self.follow(file, "the extended file", None, false)),
            None => service.extends = extends.and_then(|extends| words(extends.get("service").unwrap_or(extends))),
        }
        for key in ["env_file", "label_file"] {
            for item in node.get(key).map(one_or_many).unwrap_or_default() {
                let file = item.get("path").unwrap_or(item);
                if let Some(secret) = self.secret(file) {
                    service.env_secrets.insert(secret.clone());
                    service.secrets.push((secret, (file.line, file.column)));
                } else if let Some(path) = self.tracked(file, &format!("the {key} of service {name}")) {
                    let optional = key == "env_file" && item.get("required").is_some_and(|node| is(node, "false"));
                    let as_ = if optional { Use::Optional } else { Use::Rendered };
                    service.files.insert(Named { path, as_, at: (file.line, file.column) });
                }
            }
        }
        self.volumes(node, &mut service);
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
                    (source.to_owned(), target.to_owned(), !item.get("read_only").is_some_and(|node| is(node, "true")))
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
                        self.problem(Code::ComposeInvalid, at, text, "remove trailing and double slashes");
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
            let text = format!("the bind `{}` depends on a variable that is not reviewed", shown(source));
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

    fn definition(&mut self, kind: Kind, key: &Key, node: &Node) -> Definition {
        let before = self.scan.problems.len();
        let exposed = if kind == "secrets" { self.exposed_secret(&key.name, node) } else { None };
        let mut found = Definition { file: None, secret: None, exposed, variables: Vec::new(), problems: Vec::new() };
        variables(node, &mut found.variables);
        if let Some(file) = node.get("file").filter(|_| matches!(kind, "configs" | "secrets")) {
            let at = (file.line, file.column);
            if let Some(secret) = self.secret(file) {
                found.secret = Some((secret, at));
            } else if let Some(path) = self.tracked(file, &format!("the file of {kind}.{}", shown(&key.name))) {
                found.file = Some(Named { path, as_: Use::Read, at });
            }
        }
        found.problems = self.scan.problems.split_off(before);
        found
    }
}

/// Whether a value is that word, in any case: Compose reads it as a boolean.
fn is(node: &Node, word: &str) -> bool {
    node.text().is_some_and(|text| text.eq_ignore_ascii_case(word))
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
    fn files_of_a_service_are_found_in_every_syntax() {
        let scan = scanned(
            "services:\n  a:\n    image: x\n    env_file: [./a.env, {path: b.env, required: false}]\n    volumes:\n      - ./conf:/etc/x:ro\n      - data:/data\n      - {type: bind, source: ./w, target: /w}\n      - /srv/a:/a\n      - ${PLATFORM_SECRETS}/s:/s:ro\n    configs: [c]\n    networks: {proxy: {}}\nvolumes: {data: {}, other: {}}\nconfigs: {c: {file: ./c.json}}\nnetworks: {proxy: {external: true}}\n",
        );
        assert_eq!(scan.problems, []);
        let service = &scan.services[0];
        assert_eq!(
            scan.definitions[&("configs", "c".to_owned())].file.as_ref().unwrap().path.as_str(),
            "compose/apps/c.json"
        );
        let files: Vec<_> = service.files.iter().map(|named| (named.path.as_str(), named.as_)).collect();
        assert_eq!(
            files,
            [
                ("compose/apps/a.env", Use::Rendered),
                ("compose/apps/b.env", Use::Optional),
                ("compose/apps/conf", Use::Mounted),
                ("compose/apps/w", Use::Written),
            ]
        );
        let secrets: Vec<_> = service.secrets.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(secrets, ["s"]);
        assert_eq!(service.variables.len(), 1);
        assert_eq!(service.binds, [("/srv/a".to_owned(), true, (9, 9))]);
    }

    #[test]
    fn paths_outside_the_repository_are_found() {
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
            let mut all = scan.problems.iter().chain(scan.definitions.values().flat_map(|one| &one.problems));
            let found = all.next().unwrap_or_else(|| panic!("{text}"));
            assert_eq!(found.code, code, "{text}");
            assert!(found.line >= line, "{text}");
        }
    }

    #[test]
    fn include_list_resolves_paths_against_its_first_file() {
        let scan =
            scanned("include: [{path: [sub/one.yaml, two.yaml]}, other/three.yaml]\nservices: {a: {image: x}}\n");
        let follows: Vec<_> =
            scan.follows.iter().map(|one| format!("{} {}", one.path, one.project.as_ref().unwrap())).collect();
        assert_eq!(
            follows,
            [
                "compose/apps/other/three.yaml compose/apps/other",
                "compose/apps/sub/one.yaml compose/apps/sub",
                "compose/apps/two.yaml compose/apps/sub",
            ]
        );
    }

    #[test]
    fn service_extended_in_the_same_file_counts() {
        let scan = scanned(
            "services:\n  a: {extends: {service: b}}\n  b: {image: x, extends: c, environment: {B: 1}}\n  c: {extends: a, env_file: '${PLATFORM_SECRETS}/s', privileged: true}\n  d: {build: .}\n",
        );
        let [a, _, _, d] = scan.services.as_slice() else { panic!() };
        assert!(a.env_secrets.len() == 1 && a.doors.len() == 1);
        assert!(a.has_image && !d.has_image);
    }
}
