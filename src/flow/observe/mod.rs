//! Observe: what runs on the host now, and for driver compose what its files become there. Reads, and never writes.

pub mod clocks;

use std::collections::BTreeSet;

use crate::{
    flow::{bind::bound::Target, observe::clocks::Clocks},
    model::{
        module::Driver,
        names::ComposeName,
        path::RepoPath,
        refusal::{Code, Refusal},
        sacred,
        text::hex,
    },
    port::{Answer, Clock, Host, Input, Member, PortError, Reply, Script, Source},
    runtime::{
        compose::{
            self,
            look::{self, Looked},
            overlay::{Overlaid, Overlay},
            render::{self, Rendered},
        },
        files::{self, Live},
        machine::{LookError, Machine},
    },
    tree::snapshot::FILE_BYTES_MAX,
};

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The host itself.
    pub machine: Machine,
    /// Its clock beside ours.
    pub clocks: Clocks,
    /// What runs.
    pub running: Running,
}

/// What runs, by driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Running {
    /// Driver files: what is live.
    Files(Live),
    /// Driver compose.
    Compose(Box<Compose>),
}

/// What was seen of a compose module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compose {
    /// What was rendered.
    pub rendered: Rendered,
    /// The override and what was seen with it; `None` if nothing could be rendered.
    pub seen: Option<(Overlay, Looked)>,
    /// Hides what the final model's digest says; it is never recorded.
    pub salt: String,
    /// Paths of the host that were asked for.
    pub binds: Vec<String>,
    /// Sacred paths that were asked for.
    pub sacred: Vec<String>,
}

/// Looks at a module. The clock's chance makes the salt.
///
/// # Errors
/// The host gave no answer, or one that its script cannot have given.
pub fn observe(host: &dyn Host, target: Target<'_>, source: &dyn Source, clock: &dyn Clock) -> Answer<Observed> {
    match target.module.manifest.runtime.driver {
        Driver::Files => {
            let ((machine, live), asked) = Clocks::around(clock, || files(host, target))?;
            let clocks = asked.compared(clock, &machine);
            Ok(Observed { machine, clocks, running: Running::Files(live) })
        }
        Driver::Compose => composed(host, target, source, clock),
    }
}

/// Looks at what is live of a module with driver files.
///
/// # Errors
/// As [`observe`].
pub(crate) fn files(host: &dyn Host, target: Target<'_>) -> Answer<(Machine, Live)> {
    let args = [target.host.root.to_string(), target.module.manifest.id.to_string()];
    let reply = asked(host, &files::LOOK, &args, Input::Nothing)?;
    files::parse_look(&reply.stdout).map_err(|error| unfit(&files::LOOK, error))
}

fn asked(host: &dyn Host, script: &Script, args: &[String], input: Input<'_>) -> Answer<Reply> {
    let reply = host.run(script, args, input).map_err(PortError::harmless)?;
    if reply.rc == 0 { Ok(reply) } else { Err(unfit(script, format!("it ended with {}", reply.rc))) }
}

fn unfit(script: &Script, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    let what = format!("the host's answer to {} makes no sense", script.name);
    PortError::new(Code::HostUnreachable, what, "look at the host by hand; nothing was changed").because(cause)
}

/// Refuses a root that could not stand in a path as it is.
pub(crate) fn plain_root(target: Target<'_>) -> Option<Refusal> {
    (!target.host.root.is_plain()).then(|| {
        Refusal::new(
            Code::PolicyInvalid,
            format!("the root {} has characters that compose modules cannot have in it", target.host.root),
            "use letters, digits and /._-+@ in the root of a host with compose modules",
        )
    })
}

fn composed(host: &dyn Host, target: Target<'_>, source: &dyn Source, clock: &dyn Clock) -> Answer<Observed> {
    let salt = hex(&clock.chance());
    if let Some(refusal) = plain_root(target) {
        return Err(PortError::new(refusal.code, refusal.fact, refusal.fix));
    }
    let (manifest, closure) = (&target.module.manifest, &target.module.closure);
    let own: BTreeSet<String> = target.module.rendering.services.iter().map(ToString::to_string).collect();
    let args = compose::args(manifest, target.host, &closure.digest.hex());
    let mut members = to_render(target, source, Vec::new());
    let ask = || asked(host, &compose::RENDER, &args, Input::Tar(&mut members));
    let (reply, when) = Clocks::around(clock, ask)?;
    let refuse = |error: LookError| unfit(&compose::RENDER, error);
    let (machine, rendered) = render::parse(&reply.stdout, &own).map_err(refuse)?;
    let clocks = when.compared(clock, &machine);
    let mut compose = Compose { rendered, seen: None, salt, binds: Vec::new(), sacred: Vec::new() };
    // Without an engine there is nothing to compare with; the gate says so.
    if let Some(model) = compose.rendered.model.as_ref().filter(|_| compose.rendered.engine.is_some()) {
        let overlaid = Overlaid {
            module: &manifest.id,
            root: &target.host.root,
            closure,
            model,
            images: &compose.rendered.images,
        };
        let overlay = overlaid.make().map_err(|error| {
            PortError::new(Code::Bug, "the override has no canonical form", "please report this").because(error)
        })?;
        let release = format!("{}/releases/", target.host.root);
        let devices = model.volumes.values().filter_map(|volume| volume.options.get("device")).cloned();
        let binds = model.services.values().flat_map(|service| service.binds.iter().map(|bind| bind.source.clone()));
        let outside: BTreeSet<String> = binds.filter(|path| !path.starts_with(&release)).chain(devices).collect();
        compose.binds = outside.into_iter().filter(|path| !path.contains('\n')).collect();
        let listed = target.sacred.paths.iter().map(|path| path.strip_suffix("/**").unwrap_or(path).to_owned());
        let socket = target.host.docker_host.strip_prefix("unix://").map(str::to_owned);
        let root = socket.into_iter().chain([target.host.root.to_string()]);
        compose.sacred = sacred::SACRED.iter().map(|(path, _)| (*path).to_owned()).chain(listed).chain(root).collect();
        let networks = model.networks.values().filter_map(|network| network.name.parse::<ComposeName>().ok());
        let more = vec![
            Member { path: "p/override.json".to_owned(), mode: 0o600, bytes: overlay.bytes.clone() },
            compose::text("p/salt", format!("{}\n", compose.salt)),
            compose::lines("p/binds", &compose.binds),
            compose::lines("p/sacred", &compose.sacred),
            compose::lines("p/contents", asked_contents(target, &overlay)),
            compose::lines("p/networks", networks),
        ];
        let mut members = to_render(target, source, more);
        let reply = asked(host, &compose::LOOK, &args, Input::Tar(&mut members))?;
        let looked = look::parse(&reply.stdout, &own).map_err(|error| unfit(&compose::LOOK, error))?;
        let complete = looked.reals.len() == compose.binds.len() && looked.sacred.len() == compose.sacred.len();
        if looked.failed.is_none() && !complete {
            return Err(unfit(&compose::LOOK, LookError::Absent("path")));
        }
        compose.seen = Some((overlay, looked));
    }
    Ok(Observed { machine, clocks, running: Running::Compose(Box::new(compose)) })
}

/// Keys of the contents that are mounted, and of what stood at their paths before.
fn asked_contents(target: Target<'_>, overlay: &Overlay) -> BTreeSet<String> {
    let before = overlay.contents.iter().filter_map(|content| content.before(&target.before?.closure));
    before.chain(overlay.contents.iter().cloned()).map(|content| content.key).collect()
}

/// What rendering needs, as a delivery: the tracked files that it reads, and how. The last member says that it is whole.
fn to_render<'a>(
    target: Target<'a>,
    source: &'a dyn Source,
    more: Vec<Member>,
) -> impl Iterator<Item = Answer<Member>> + use<'a> {
    let reads = target.module.closure.files.iter().filter(move |file| is_read(target, &file.path));
    let files = reads.map(move |file| {
        Ok(Member { path: format!("t/{}", file.path), mode: 0o644, bytes: source.blob(file.blob, FILE_BYTES_MAX)? })
    });
    let how = orders(target).into_iter().chain(more).chain([compose::text("p/end", "")]);
    files.chain(how.map(Ok))
}

/// How the module is rendered.
pub(crate) fn orders(target: Target<'_>) -> Vec<Member> {
    let rendering = &target.module.rendering;
    let stand_ins: Vec<RepoPath> = rendering.stand_ins.iter().cloned().collect();
    let manifest = &target.module.manifest;
    let mut members = compose::how(manifest, &rendering.services, &stand_ins, manifest.host.as_str());
    members.push(compose::lines("p/env_secrets", &rendering.env_secrets));
    members
}

/// Whether rendering reads a file of the closure.
pub(crate) fn is_read(target: Target<'_>, path: &RepoPath) -> bool {
    target.module.rendering.reads.contains(path)
}
