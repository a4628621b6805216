//! Docker: the client, the engine for this account, Compose, and the networks that modules may join.

use crate::{
    model::{refusal::Code, shell},
    runtime::{
        doctor::{Engine, Seen, Socket},
        engine,
    },
    verb::doctor::{Case, Check, Fix, machine::by_root, named},
};

/// Docker's installation guide, for hosts whose apt does not have it.
const MANUAL: &str = "https://docs.docker.com/engine/install/";
/// Packages of Compose, the best first.
const COMPOSE: &[&str] = &["docker-compose-plugin", "docker-compose-v2", "docker-compose"];
/// Packages of Docker, the best first.
const DOCKER: &[&str] = &["docker-ce", "docker.io"];

pub(crate) fn judge(case: &Case<'_>, seen: &Seen) -> Vec<Check> {
    if !case.needs_engine() {
        return vec![Check::pass("docker", "not needed by the modules here")];
    }
    if seen.failed {
        let fact = "there is no room for a temporary folder, so nothing could be asked of Docker";
        return vec![Check::fail("docker", Code::HostUnfit, fact, Fix::host("df -h /tmp; df -i /tmp"))];
    }
    if !seen.docker {
        return vec![client(seen)];
    }
    let mut checks = vec![engine(case, seen), plugin(seen)];
    if matches!(seen.engine, Engine::Runs(_)) {
        checks.extend(networks(case, seen));
    }
    checks
}

/// The first of these that apt would install.
fn offered<'a>(seen: &Seen, packages: &[&'a str]) -> Option<&'a str> {
    packages.iter().copied().find(|package| seen.offers.iter().any(|offer| offer == package))
}

fn client(seen: &Seen) -> Check {
    let fix = match (offered(seen, DOCKER), offered(seen, COMPOSE)) {
        (Some(docker), Some(compose)) => by_root(seen, &[&format!("apt-get install -y {docker} {compose}")]),
        (Some(docker), None) => by_root(seen, &[&format!("apt-get install -y {docker}")]),
        (None, _) => Fix::words(format!("install Docker with its Compose plugin: {MANUAL}")),
    };
    Check::fail("docker", Code::EngineUnreachable, "there is no `docker` on the account's PATH", fix)
}

fn engine(case: &Case<'_>, seen: &Seen) -> Check {
    let address = engine::address(case.policy);
    let at = named(&address);
    let account = &seen.account.name;
    let fail = |fact: String, fix: Fix| Check::fail("docker", Code::EngineUnreachable, fact, fix);
    match &seen.engine {
        Engine::Runs(version) => Check::pass("docker", format!("engine {version}")),
        Engine::Denied => {
            let fact = format!("the engine at {at} does not let {account} in (a new login is needed after the cure)");
            fail(fact, admitted(seen, &address))
        }
        Engine::Hangs => {
            fail(format!("the engine at {at} did not answer within 20 s"), by_root(seen, &["systemctl restart docker"]))
        }
        Engine::Off | Engine::Unasked if !case.policy.docker_host.is_empty() && seen.has.contains("standard") => fail(
            format!("no engine answers at {at}, and there is one at the standard socket"),
            Fix::policy("docker_host: unix:///var/run/docker.sock"),
        ),
        Engine::Off | Engine::Unasked => {
            let start =
                if seen.has.contains("systemctl") { "systemctl enable --now docker" } else { "service docker start" };
            fail(format!("no engine answers at {at}: it does not run"), by_root(seen, &[start]))
        }
    }
}

/// Lets the account use the engine: by the group that has its socket.
fn admitted(seen: &Seen, address: &str) -> Fix {
    let join = |group: &str| format!("usermod -aG {group} {}", seen.account.name);
    match &seen.socket {
        Socket::There(group) if !["", "root"].contains(&group.as_str()) => by_root(seen, &[&join(group)]),
        Socket::There(_) => {
            // An engine that was started before the group was there gave its socket to root alone.
            let socket = shell::word(address.trim_start_matches("unix://"));
            by_root(seen, &["groupadd -f docker", &format!("chgrp docker {socket}"), &join("docker")])
        }
        Socket::Absent | Socket::Unknown => by_root(seen, &[&join("docker")]),
    }
}

fn plugin(seen: &Seen) -> Check {
    let fix = match offered(seen, COMPOSE) {
        Some(package) => by_root(seen, &[&format!("apt-get install -y {package}")]),
        None => Fix::words(format!("install the Compose plugin, 2.20 or newer: {MANUAL}")),
    };
    match seen.compose.as_deref() {
        Some(text) if engine::version(text).is_some_and(|version| version >= engine::OLDEST) => {
            Check::pass("compose", text)
        }
        Some(text) => Check::fail(
            "compose",
            Code::ComposeTooOld,
            format!("docker compose is {text}, 2.20 or newer is needed"),
            fix,
        ),
        None => Check::fail(
            "compose",
            Code::EngineUnreachable,
            "`docker compose version` failed: the plugin is missing",
            fix,
        ),
    }
}

fn networks(case: &Case<'_>, seen: &Seen) -> Vec<Check> {
    let missing = seen.networks.iter().map(|name| {
        let engine = match case.policy.docker_host.as_str() {
            "" => String::new(),
            address => format!("-H {} ", shell::word(address)),
        };
        let fact = format!("the external network {name} is not there");
        let create = format!("docker {engine}network create {name}");
        Check::fail("network", Code::HostUnfit, fact, Fix::host(create))
    });
    let mut checks: Vec<Check> = missing.collect();
    let names: Vec<&str> = case.policy.networks.iter().map(|name| name.as_str()).collect();
    if checks.is_empty() && !names.is_empty() {
        checks.push(Check::pass("network", format!("{} there", names.join(", "))));
    }
    checks
}
