//! What a manifest must satisfy beyond its shape: the only way from bytes to a manifest.

use std::collections::BTreeSet;

use super::{
    ids::ModuleId,
    module::{Driver, Health, Manifest, OnFailure, Probe, Runtime},
    names::{ComposeName, VarName},
    problem::{Collector, Problem},
    refusal::Code,
    text::shown,
    yaml::{self, Node},
};

impl Manifest {
    /// Reads `modules/<id>/module.yaml`; `file` is its path and `folder` the name of its folder.
    ///
    /// # Errors
    /// Everything that is not valid, with its place.
    pub fn parse(file: &str, folder: &ModuleId, bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let (manifest, outline): (Self, Node) = shape(file, Code::ManifestInvalid, bytes)?;
        let mut c = Collector::new(file, Code::ManifestInvalid, &outline);
        let id = &manifest.id;
        c.must(
            id == folder,
            &["id"],
            format!("the id is `{id}` and the folder is `{folder}`"),
            "give both the same name",
        );
        for (key, text) in [("title", &manifest.title), ("owner", &manifest.owner)] {
            one_line(text, &[key], &mut c);
        }
        hosts(&manifest, &mut c);
        c.must(!manifest.after.contains(id), &["after"], "a module cannot come after itself", "remove it");
        c.must(
            manifest.on_failure == OnFailure::Hold,
            &["on_failure"],
            "automatic rollback does not exist yet",
            "write `on_failure: hold`, or leave it out",
        );
        match manifest.runtime.driver {
            Driver::Compose => compose(&manifest.runtime, &mut c),
            Driver::Files => files(&manifest, &mut c),
        }
        health(&manifest.health, manifest.runtime.driver, &mut c);
        lists(&manifest, &mut c);
        done(manifest, c)
    }
}

fn hosts(manifest: &Manifest, c: &mut Collector<'_>) {
    let (one, list) = (&manifest.host, &manifest.hosts);
    c.must(
        one.is_some() || list.is_some(),
        &[],
        "the manifest names no host",
        "add `host: <name>`, or for several `hosts: [<name>, <name>]`",
    );
    c.must(
        one.is_none() || list.is_none(),
        &["hosts"],
        "the manifest has both `host` and `hosts`",
        "keep one of them: `hosts` lists every host",
    );
    c.must(
        list.as_ref().is_none_or(|list| !list.is_empty()),
        &["hosts"],
        "`hosts` is empty",
        "list at least one host of platform.yaml",
    );
}

pub(super) fn shape<T: serde::de::DeserializeOwned + serde::Serialize>(
    file: &str,
    code: Code,
    bytes: &[u8],
) -> Result<(T, Node), Vec<Problem>> {
    let unreadable = |error| vec![Problem::unreadable(file, code, &error)];
    let value = yaml::read(bytes).map_err(unreadable)?;
    let outline = yaml::outline(bytes).map_err(unreadable)?;
    Ok((value, outline))
}

pub(super) fn done<T>(value: T, c: Collector<'_>) -> Result<T, Vec<Problem>> {
    if c.problems.is_empty() { Ok(value) } else { Err(c.problems) }
}

pub(super) fn one_line(text: &str, path: &[&str], c: &mut Collector<'_>) {
    let fits = !text.trim().is_empty() && text.len() <= 200 && !text.contains('\n');
    c.must(fits, path, "is empty, has more than 200 bytes, or more than one line", "write one short line");
}

pub(super) fn argv_entry(argv: &[String], path: &[&str], c: &mut Collector<'_>) {
    let fits = argv.first().is_some_and(|program| !program.is_empty() && !program.starts_with('-'))
        && argv.iter().all(|arg| !arg.contains(['\n', '\0']));
    c.must(
        fits,
        path,
        "is not a command: a program and its arguments, each on one line",
        "write for instance [systemctl, reload, caddy]",
    );
}

fn compose(runtime: &Runtime, c: &mut Collector<'_>) {
    c.must(
        runtime.project.is_some(),
        &["runtime", "project"],
        "driver compose needs `project`: lower-case letters, digits, - and _",
        "add for instance `project: apps`",
    );
    c.must(
        !runtime.compose_files.is_empty(),
        &["runtime", "compose_files"],
        "driver compose needs `compose_files`",
        "list the compose files by their paths from the repository's root",
    );
    for (key, there) in [("tree", runtime.tree.is_some()), ("activate", !runtime.activate.is_empty())] {
        c.must(!there, &["runtime", key], format!("`{key}` belongs to driver files"), "remove it");
    }
    for (name, value) in &runtime.vars {
        // Compose's reader of env files takes a backslash for an escape, also of the quote that ends a value.
        c.must(
            !value.contains('\\') && !value.contains(char::is_control),
            &["runtime", "vars", name],
            "contains a backslash, a line break or another control character",
            "write it into the compose file, or deliver it as a file",
        );
        let fits = name.parse::<VarName>().is_ok()
            && !["PLATFORM_", "COMPOSE_", "DOCKER_"].iter().any(|begin| name.starts_with(begin));
        c.must(
            fits,
            &["runtime", "vars", name],
            "is not a name that may be set here",
            "letters, digits and _; not PLATFORM_, COMPOSE_ or DOCKER_",
        );
    }
}

fn files(manifest: &Manifest, c: &mut Collector<'_>) {
    let runtime = &manifest.runtime;
    c.must(
        runtime.tree.is_some(),
        &["runtime"],
        "driver files needs `tree`, the folder that is the release",
        format!("add for instance `tree: modules/{}/public`", manifest.id),
    );
    let foreign = [
        ("project", runtime.project.is_some()),
        ("compose_files", !runtime.compose_files.is_empty()),
        ("services", !runtime.services.is_empty()),
        ("profiles", !runtime.profiles.is_empty()),
        ("env_files", !runtime.env_files.is_empty()),
        ("vars", !runtime.vars.is_empty()),
    ];
    for (key, there) in foreign {
        c.must(!there, &["runtime", key], format!("`{key}` belongs to driver compose"), "remove it");
    }
    for (key, there) in [("jobs", !manifest.jobs.is_empty()), ("secrets", !manifest.secrets.is_empty())] {
        c.must(!there, &[key], format!("`{key}` belongs to driver compose"), "remove it");
    }
    for (at, argv) in runtime.activate.iter().enumerate() {
        argv_entry(argv, &["runtime", "activate", &at.to_string()], c);
    }
}

/// Longest time that a deadline may be, in seconds.
const DEADLINE_MAX_S: u64 = 3_600;

fn health(health: &Health, driver: Driver, c: &mut Collector<'_>) {
    c.must(
        (1..=DEADLINE_MAX_S).contains(&health.deadline_s),
        &["health", "deadline_s"],
        format!("`deadline_s` is not between 1 and {DEADLINE_MAX_S}"),
        "write the longest time that it may take, in seconds",
    );
    c.must(
        health.settle_s.unwrap_or(0) < health.deadline_s,
        &["health", "settle_s"],
        "`settle_s` is not below `deadline_s`: it could never be healthy in time",
        "lower `settle_s` or raise `deadline_s`",
    );
    for (at, one) in health.probes.iter().enumerate() {
        probe(&at.to_string(), one, driver, c);
    }
}

fn probe(at: &str, probe: &Probe, driver: Driver, c: &mut Collector<'_>) {
    let path = ["health", "probes", at];
    let kinds = [probe.tcp.is_some(), probe.http.is_some(), probe.exec.is_some()];
    c.must(
        kinds.iter().filter(|there| **there).count() == 1,
        &path,
        "a probe is exactly one of tcp, http and exec",
        "split it into several",
    );
    c.must(
        probe.status.is_none_or(|status| probe.http.is_some() && (100..=599).contains(&status)),
        &path,
        "`status` goes with http and is between 100 and 599",
        "remove it for 200",
    );
    c.must(
        probe.exec.is_some() == probe.service.is_some(),
        &path,
        "`exec` and `service` go together: the command runs in that service",
        "name the service",
    );
    c.must(
        probe.exec.is_none() || driver == Driver::Compose,
        &path,
        "driver files has no service to run a command in",
        "use tcp or http",
    );
    if let Some(argv) = &probe.exec {
        argv_entry(argv, &path, c);
    }
    let port = |target: &str| {
        let (host, port) = target.rsplit_once(':')?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b".-[]:".contains(&b);
        (!host.is_empty() && !host.starts_with('-') && host.bytes().all(plain)).then(|| port.parse::<u16>().ok())?
    };
    c.must(
        probe.tcp.as_deref().is_none_or(|target| port(target).is_some_and(|port| port > 0)),
        &path,
        "`tcp` is not address:port",
        "write for instance 127.0.0.1:6379",
    );
    let is_url = |url: &str| {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()) && !rest.contains('@'))
    };
    c.must(
        probe.http.as_deref().is_none_or(is_url),
        &path,
        "`http` is not an http or https URL without credentials",
        "write for instance http://127.0.0.1:8080/healthz",
    );
}

fn lists(manifest: &Manifest, c: &mut Collector<'_>) {
    let runtime = &manifest.runtime;
    let text = |items: &[super::path::RepoPath]| items.iter().map(ToString::to_string).collect();
    let names = |items: &[ComposeName]| items.iter().map(ToString::to_string).collect();
    let hosts = manifest.hosts.iter().flatten().map(ToString::to_string);
    let lists: [(&[&str], Vec<String>); 8] = [
        (&["hosts"], hosts.collect()),
        (&["after"], manifest.after.iter().map(ToString::to_string).collect()),
        (&["inputs"], text(&manifest.inputs)),
        (&["jobs"], names(&manifest.jobs)),
        (&["runtime", "services"], names(&runtime.services)),
        (&["runtime", "profiles"], names(&runtime.profiles)),
        (&["runtime", "compose_files"], text(&runtime.compose_files)),
        (&["runtime", "env_files"], text(&runtime.env_files)),
    ];
    for (path, items) in lists {
        let mut seen = BTreeSet::new();
        for (at, item) in items.iter().enumerate() {
            let at = at.to_string();
            let place: Vec<&str> = path.iter().copied().chain([at.as_str()]).collect();
            c.must(seen.insert(item), &place, format!("`{}` is listed twice", shown(item)), "remove one");
            c.must(!item.is_empty(), &place, "is empty", "remove it");
        }
    }
    for (at, job) in manifest.jobs.iter().enumerate() {
        let listed = runtime.services.is_empty() || runtime.services.contains(job);
        c.must(
            listed,
            &["jobs", &at.to_string()],
            format!("`{}` is not among the module's services", shown(job)),
            "add it to runtime.services",
        );
    }
    for (at, entry) in manifest.acknowledge.iter().enumerate() {
        one_line(&entry.reason, &["acknowledge", &at.to_string(), "reason"], c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "schema: module/2\nid: site\ntitle: Site\nowner: ola\nhost: box\nruntime: {driver: files, tree: modules/site/public}\n";

    fn places(problems: Vec<Problem>) -> Vec<(usize, usize)> {
        problems.iter().map(|p| (p.line, p.column)).collect()
    }

    fn manifest(text: &str) -> Vec<(usize, usize)> {
        let folder = "site".parse().unwrap();
        Manifest::parse("modules/site/module.yaml", &folder, text.as_bytes()).map_or_else(places, |_| Vec::new())
    }

    #[test]
    fn manifest_reports_all_problems_with_their_lines() {
        assert_eq!(manifest(MANIFEST), []);
        let bad = "schema: module/2\nid: other\ntitle: ''\nowner: ola\nhost: box\nafter: [a, a]\nruntime:\n  driver: files\n  project: x\nhealth:\n  deadline_s: 0\n  probes:\n    - {tcp: nowhere}\n    - {http: 'http://u@h/', tcp: 'a:1'}\non_failure: rollback\n";
        assert_eq!(
            manifest(bad),
            [(2, 1), (3, 1), (15, 1), (7, 1), (9, 3), (11, 3), (11, 3), (13, 7), (14, 7), (14, 7), (6, 12)]
        );
        for (line, text) in [
            (7, "tilte: x\n"),
            (7, "inputs: [../x]\n"),
            (7, "inputs: ['.git/config']\n"),
            (7, "jobs: [x]\n"),
            (7, "health: {settle_s: -1}\n"),
            (7, "secrets: [{file: a.env}]\n"),
        ] {
            let found = manifest(&format!("{MANIFEST}{text}"));
            assert!(found.first().is_some_and(|place| place.0 == line), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_manifest_names_its_hosts_once() {
        let parsed = |hosts: &str| {
            let text = MANIFEST.replace("host: box\n", hosts);
            Manifest::parse("modules/site/module.yaml", &"site".parse().unwrap(), text.as_bytes())
        };
        let hosts = |text: &str| {
            let manifest = parsed(text).unwrap();
            manifest.hosts().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(hosts("host: box\n"), "box");
        assert_eq!(hosts("hosts: [b, a]\n"), "b a", "in the order in which they are written");
        let wrong = |text: &str| {
            let problems = parsed(text).unwrap_err();
            let [problem] = problems.as_slice() else { panic!("{problems:?}") };
            format!("{} {}; {}", problem.place(), problem.message, problem.fix)
        };
        let file = "modules/site/module.yaml";
        assert_eq!(
            wrong(""),
            format!(
                "{file}:1:1 the manifest names no host; \
                 add `host: <name>`, or for several `hosts: [<name>, <name>]`"
            )
        );
        assert_eq!(
            wrong("host: box\nhosts: [box]\n"),
            format!("{file}:6:1 the manifest has both `host` and `hosts`; keep one of them: `hosts` lists every host")
        );
        let empty = format!("{file}:5:1 `hosts` is empty; list at least one host of platform.yaml");
        assert_eq!(wrong("hosts: []\n"), empty);
        assert_eq!(wrong("hosts: [a, b, a]\n"), format!("{file}:5:15 `a` is listed twice; remove one"));
        assert!(wrong("hosts: [a, B]\n").contains("`B` is not a name"));
    }

    #[test]
    fn compose_driver_keys_are_checked() {
        let base = "schema: module/2\nid: site\ntitle: Site\nowner: ola\nhost: box\nruntime:\n  driver: compose\n";
        let good = format!("{base}  project: apps\n  compose_files: [compose/a.yaml]\n  vars: {{TAG: '7'}}\n");
        assert_eq!(manifest(&good), []);
        assert_eq!(manifest(base), [(7, 3), (7, 3)]);
        assert_eq!(manifest(&good.replace("TAG", "COMPOSE_FILE")), [(10, 10)]);
        assert_eq!(manifest(&format!("{good}  tree: x\n")), [(11, 3)]);
    }
}
