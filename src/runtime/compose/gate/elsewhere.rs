//! Conflicts with what others run: the same name, the same port, or a folder that both would write.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    model::{
        plan::{Action, Change},
        projection::{Bind, Port, Service},
        refusal::{Code, Refusal},
        shell::word,
        text::shown,
    },
    runtime::compose::{container::Container, look::Listens},
    runtime::{compose::gate::Judge, driver::Answered},
};

impl Judge<'_> {
    /// Conflicts with what others run.
    pub(crate) fn elsewhere(&self) -> Answered {
        let mut refusals = Vec::new();
        let own = self.project();
        let module = self.target.module.manifest.id.as_str();
        let root = self.target.host.root.as_str();
        for (name, service) in self.services() {
            let others: Vec<&Container> = self
                .looked
                .containers
                .iter()
                .filter(|container| !container.is_of(own, name) && !self.goes(container))
                .collect();
            let refuse = |what: String, container: &Container| {
                let other = shown(container.name.trim_start_matches('/'));
                Refusal::new(
                    Code::AlreadyRunningElsewhere,
                    format!("{}: {what} is the container {other}'s", shown(name)),
                    format!("if it should go, on the host: docker rm -f -- {}; else change the service", word(&other)),
                )
            };
            for other in &others {
                let same_name = service.container_name.as_deref() == Some(other.name.trim_start_matches('/'));
                if same_name {
                    refusals.push(refuse("its container_name".to_owned(), other));
                }
                if matches!(other.status.as_str(), "running" | "restarting" | "paused")
                    && !self.gives_up(other)
                    && let Some(port) = service.ports.iter().find(|port| clashes(port, other))
                {
                    refusals.push(refuse(format!("the port {}", shown(&port.published)), other));
                }
                let shared = |bind: &&Bind| {
                    bind.writable
                        && other.project != own
                        && other.mounted().iter().any(|mount| mount.writable && mount.source == bind.source)
                };
                if let Some(bind) = service.binds.iter().find(shared) {
                    refusals.push(refuse(format!("{}, which both could write,", shown(&bind.source)), other));
                }
            }
            let foreign = self.looked.containers.iter().find(|container| {
                container.is_of(own, name)
                    && !container.module.is_empty()
                    && (container.module != module || container.root != root)
            });
            if let Some(other) = foreign {
                let from =
                    if other.root == root { String::new() } else { format!(" of the root {}", shown(&other.root)) };
                let fact =
                    format!("{} of project {own} is run by the module {}{from}", shown(name), shown(&other.module));
                refusals.push(Refusal::new(Code::AlreadyRunningElsewhere, fact, "let one of the two modules name it"));
            }
            refusals.extend(self.within(name, service));
            refusals.extend(self.ports(name, service));
        }
        let elsewhere =
            |container: &&Container| container.module == module && container.root == root && container.project != own;
        let moved = self.looked.containers.iter().find(elsewhere);
        if let Some(other) = moved {
            let project = shown(&other.project);
            refusals.push(Refusal::new(
                Code::AlreadyRunningElsewhere,
                format!("{module} runs in the compose project {project} and would run a second time in {own}, without its data"),
                format!(
                    "keep the project's name, or end the old one on the host: docker compose --project-name={} down",
                    word(&project)
                ),
            ));
        }
        ("elsewhere", json!({"containers": self.looked.containers.len()}), refusals)
    }

    /// Whether a container goes away before anything is made.
    fn goes(&self, container: &Container) -> bool {
        self.changes.remove.contains(&container.id)
    }

    /// Whether a container of the module's own is replaced by this very plan: Compose takes it away before it starts
    /// anything, and what the new one publishes is looked at by itself.
    fn gives_up(&self, container: &Container) -> bool {
        let replaced = |change: &&Change| matches!(change.action, Action::Adopt | Action::Recreate);
        let mut replaced = self.changes.changes.iter().filter(replaced);
        replaced.any(|change| container.is_of(self.project(), &change.service))
    }

    /// Ports that two services of the module would share.
    fn within(&self, name: &str, service: &Service) -> Option<Refusal> {
        let any = |address: &str| matches!(address, "" | "0.0.0.0" | "::");
        let same = |a: &Port, b: &Port| {
            let (one, other): (BTreeSet<u16>, BTreeSet<u16>) =
                (range(&a.published).collect(), range(&b.published).collect());
            a.protocol == b.protocol
                && !one.is_disjoint(&other)
                && (any(&a.address) || any(&b.address) || a.address == b.address)
        };
        let earlier = self.services().take_while(|(other, _)| *other != name);
        let clash = |(other, them): (&String, &Service)| {
            let port = service.ports.iter().find(|port| them.ports.iter().any(|theirs| same(port, theirs)))?;
            Some((other.clone(), port.published.clone()))
        };
        let (other, port) = earlier.into_iter().find_map(clash)?;
        Some(Refusal::new(
            Code::AlreadyRunningElsewhere,
            format!("{} and {} both publish the port {}", shown(name), shown(&other), shown(&port)),
            "give one of them another port",
        ))
    }

    /// Ports that a program of the host listens on, beside the engine's own.
    fn ports(&self, name: &str, service: &Service) -> Vec<Refusal> {
        let published = || self.looked.containers.iter().flat_map(Container::published);
        let of_docker =
            |one: &Listens| published().any(|(protocol, address, port)| protocol == "tcp" && one.is_at(port, address));
        let programs = || self.looked.listening.iter().filter(|one| !of_docker(one));
        let wanted = service.ports.iter().filter(|port| port.protocol == "tcp");
        let wanted = wanted.flat_map(|port| range(&port.published).map(|number| (number, port.address.as_str())));
        let taken = wanted.filter(|(port, address)| programs().any(|one| one.clashes(*port, address)));
        taken
            .map(|(port, _)| {
                let fact = format!("{}: the port {port} is taken by a program of the host", shown(name));
                Refusal::new(Code::AlreadyRunningElsewhere, fact, format!("on the host: ss -ltnp 'sport = :{port}'"))
            })
            .collect()
    }
}

/// Whether a container uses a wanted port.
fn clashes(port: &Port, container: &Container) -> bool {
    let wanted: BTreeSet<u16> = range(&port.published).collect();
    let any = |address: &str| matches!(address, "" | "0.0.0.0" | "::");
    container.published().any(|(protocol, address, taken)| {
        protocol == port.protocol
            && wanted.contains(&taken)
            && (any(address) || any(&port.address) || address == port.address)
    })
}

/// A port, or a range of them.
fn range(published: &str) -> impl Iterator<Item = u16> + use<> {
    let (first, last) = published.split_once('-').unwrap_or((published, published));
    let ends = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
    ends.into_iter().flat_map(|(first, last)| first..=last)
}
