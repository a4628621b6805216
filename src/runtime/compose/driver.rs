//! Driver `compose` behind the interface of all drivers.

use std::collections::BTreeSet;

use crate::{
    model::{
        json::CanonicalError, module::Manifest, names::ComposeName, plan::Change, policy::HostPolicy, refusal::Code,
        sacred,
    },
    port::{Answer, Member, PortError, Reply, Script},
    runtime::{
        compose::{
            self,
            look::{self, Looked},
            overlay::{Overlaid, Overlay},
            preview, render,
            seen::ComposeSeen,
        },
        driver::{Driver, Look, Looking, Order, Part, Target, nonsense},
        engine,
        machine::{LookError, Machine},
    },
    tree::module::Module,
};

/// The driver.
#[derive(Debug)]
pub struct Compose;

impl Driver for Compose {
    fn needs_engine(&self) -> bool {
        true
    }

    /// All modules of a compose project share one.
    fn lock(&self, manifest: &Manifest) -> String {
        match &manifest.runtime.project {
            Some(project) => compose::lock(project),
            None => manifest.id.to_string(),
        }
    }

    fn look<'a>(&self, target: Target<'a>, salt: &dyn Fn() -> String) -> Looking<'a> {
        plain_root(target)?;
        let salt = salt();
        let order = Order::new(compose::RENDER, args(target)).with(to_render(target, Vec::new()));
        Ok(Look::Ask(order, Box::new(move |reply| rendered(target, salt, reply))))
    }

    fn preview(&self, wanted: &Module, applied: Option<&Module>) -> Result<Vec<Change>, CanonicalError> {
        preview::preview(wanted, applied)
    }

    fn pull(&self, host: &HostPolicy, images: &[String]) -> Option<Order> {
        let head = [host.root.to_string(), engine::address(host)];
        Some(Order::new(compose::PULL, head.into_iter().chain(images.iter().cloned()).collect::<Vec<_>>()))
    }

    fn logs(&self, module: &Module, host: &HostPolicy, lines: u64) -> Option<Order> {
        let services = &module.rendering.services;
        let list = |items: Vec<&str>| items.join("\n");
        let args = [
            host.root.to_string(),
            module.manifest.runtime.project.as_ref().map(ToString::to_string).unwrap_or_default(),
            engine::address(host),
            lines.to_string(),
            list(services.iter().map(ComposeName::as_str).collect()),
            list(module.manifest.secrets.iter().map(|secret| secret.file.as_str()).collect()),
        ];
        (!services.is_empty()).then(|| Order::new(compose::LOGS, args))
    }
}

/// Refuses a root that would have to be quoted in a path.
fn plain_root(target: Target<'_>) -> Answer<()> {
    if target.host.root.is_plain() {
        return Ok(());
    }
    Err(PortError::new(
        Code::PolicyInvalid,
        format!("the root {} has characters that compose modules cannot have in it", target.host.root),
        "use letters, digits and /._-+@ in the root of a host with compose modules",
    ))
}

fn args(target: Target<'_>) -> Vec<String> {
    compose::args(&target.module.manifest, target.host, &target.module.closure.digest.hex())
}

fn own(target: Target<'_>) -> BTreeSet<String> {
    target.module.rendering.services.iter().map(ToString::to_string).collect()
}

/// The output of a script that ended with 0.
fn output<'r>(script: &Script, reply: &'r Reply) -> Answer<&'r [u8]> {
    if reply.rc == 0 { Ok(&reply.stdout) } else { Err(nonsense(script, format!("it ended with {}", reply.rc))) }
}

/// Reads the rendered model. Without an engine there is nothing to compare it with; the gate reports that.
fn rendered<'a>(target: Target<'a>, salt: String, reply: &Reply) -> Looking<'a> {
    let stdout = output(&compose::RENDER, reply)?;
    let (machine, rendered) = render::parse(stdout, &own(target)).map_err(|error| nonsense(&compose::RENDER, error))?;
    let seen = ComposeSeen { rendered, seen: None, salt, binds: Vec::new(), sacred: Vec::new() };
    match seen.rendered.model.is_some() && seen.rendered.engine.is_some() {
        true => overlaid(target, machine, seen),
        false => Ok(Look::Seen(machine, Box::new(seen))),
    }
}

/// The override is made: what runs is compared with the final model.
fn overlaid<'a>(target: Target<'a>, machine: Machine, mut seen: ComposeSeen) -> Looking<'a> {
    let Some(model) = &seen.rendered.model else { return Ok(Look::Seen(machine, Box::new(seen))) };
    let overlaid = Overlaid {
        module: &target.module.manifest.id,
        root: &target.host.root,
        closure: &target.module.closure,
        model,
        images: &seen.rendered.images,
    };
    let overlay = overlaid.make().map_err(|error| {
        PortError::new(Code::Bug, "the override has no canonical form", "please report this").because(error)
    })?;
    let release = format!("{}/releases/", target.host.root);
    let devices = model.volumes.values().filter_map(|volume| volume.options.get("device")).cloned();
    let binds = model.services.values().flat_map(|service| service.binds.iter().map(|bind| bind.source.clone()));
    let outside: BTreeSet<String> = binds.filter(|path| !path.starts_with(&release)).chain(devices).collect();
    let listed = target.sacred.paths.iter().map(|path| path.strip_suffix("/**").unwrap_or(path).to_owned());
    let socket = target.host.docker_host.strip_prefix("unix://").map(str::to_owned);
    let root = socket.into_iter().chain([target.host.root.to_string()]);
    let networks: Vec<_> =
        model.networks.values().filter_map(|network| network.name.parse::<ComposeName>().ok()).collect();
    seen.binds = outside.into_iter().filter(|path| !path.contains('\n')).collect();
    seen.sacred = sacred::SACRED.iter().map(|(path, _)| (*path).to_owned()).chain(listed).chain(root).collect();
    let more = vec![
        Member { path: "p/override.json".to_owned(), mode: 0o600, bytes: overlay.bytes.clone() },
        compose::text("p/salt", format!("{}\n", seen.salt)),
        compose::lines("p/binds", &seen.binds),
        compose::lines("p/sacred", &seen.sacred),
        compose::lines("p/contents", asked_contents(target, &overlay)),
        compose::lines("p/networks", networks),
    ];
    let order = Order::new(compose::LOOK, args(target)).with(to_render(target, more));
    Ok(Look::Ask(order, Box::new(move |reply| looked(target, machine, seen, overlay, reply))))
}

fn looked<'a>(
    target: Target<'a>,
    machine: Machine,
    mut seen: ComposeSeen,
    overlay: Overlay,
    reply: &Reply,
) -> Looking<'a> {
    let stdout = output(&compose::LOOK, reply)?;
    let looked: Looked = look::parse(stdout, &own(target)).map_err(|error| nonsense(&compose::LOOK, error))?;
    let complete = looked.reals.len() == seen.binds.len() && looked.sacred.len() == seen.sacred.len();
    if looked.failed.is_none() && !complete {
        return Err(nonsense(&compose::LOOK, LookError::Absent("path")));
    }
    seen.seen = Some((overlay, looked));
    Ok(Look::Seen(machine, Box::new(seen)))
}

/// Keys of the contents that are mounted, and of what was at their paths before.
fn asked_contents(target: Target<'_>, overlay: &Overlay) -> BTreeSet<String> {
    let before = overlay.contents.iter().filter_map(|content| content.before(&target.before?.closure));
    before.chain(overlay.contents.iter().cloned()).map(|content| content.key).collect()
}

/// What rendering needs, as a delivery: the tracked files that it reads, and how. The last part marks it as complete.
fn to_render(target: Target<'_>, more: Vec<Member>) -> Vec<Part> {
    let reads = target.module.closure.files.iter().filter(|file| target.module.rendering.reads.contains(&file.path));
    let files = reads.map(|file| Part::Blob { path: format!("t/{}", file.path), mode: 0o644, id: file.blob });
    let how = compose::how(target).into_iter().chain(more).chain([compose::text("p/end", "")]);
    files.chain(how.map(Part::Member)).collect()
}
