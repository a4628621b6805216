//! Driver `files` behind the interface of all drivers.

use crate::{
    model::{
        closure::ClosureFile,
        ids::Oid,
        json::CanonicalError,
        module::Manifest,
        path::RepoPath,
        plan::Change,
        policy::HostPolicy,
        refusal::{Code, Refusal},
        shell,
        text::{shown, yaml_quoted},
    },
    port::{Member, PortError, Reply},
    runtime::{
        driver::{Answered, Delivery, Driver, Head, Look, Looking, Made, Order, Part, Seen, Target, Watch, Work},
        files::{self, FileState, Listing, Live, look, seen, watch::Watching},
    },
    tree::module::Module,
};

/// The driver.
#[derive(Debug)]
pub struct Files;

/// The files of a release, by their path below its `tree`; and the blob of each.
fn release(module: &Module) -> Vec<(RepoPath, FileState, Oid)> {
    let Some(tree) = &module.manifest.runtime.tree else { return Vec::new() };
    let below = |file: &ClosureFile| {
        let state = FileState { mode: file.mode.bits().to_owned(), sha256: file.sha256 };
        Some((file.path.below(tree)?, state, file.blob))
    };
    module.closure.files.iter().filter_map(below).collect()
}

/// The same as a listing, to compare with what a host shows.
fn listing(module: &Module) -> Listing {
    release(module).into_iter().map(|(path, state, _)| (path, state)).collect()
}

impl Driver for Files {
    fn needs_engine(&self) -> bool {
        false
    }

    fn lock(&self, manifest: &Manifest) -> String {
        manifest.id.to_string()
    }

    fn look<'a>(&self, target: Target<'a>, _salt: &dyn Fn() -> String) -> Looking<'a> {
        let then = |reply: &Reply| {
            let (machine, live) = seen(reply)?;
            Ok(Look::Seen(machine, Box::new(FilesSeen { live })))
        };
        Ok(Look::Ask(look(target), Box::new(then)))
    }

    fn preview(&self, wanted: &Module, applied: Option<&Module>) -> Result<Vec<Change>, CanonicalError> {
        let live = applied.map_or(Live::None, |applied| Live::Release {
            name: applied.closure.digest.hex(),
            files: listing(applied),
            odd: 0,
        });
        Ok(files::changes(&listing(wanted), &live))
    }

    fn pull(&self, _host: &HostPolicy, _images: &[String]) -> Option<Order> {
        None
    }

    fn logs(&self, _module: &Module, _host: &HostPolicy, _lines: u64) -> Option<Order> {
        None
    }
}

/// What is live.
#[derive(Debug)]
struct FilesSeen {
    live: Live,
}

impl Seen for FilesSeen {
    fn diff(self: Box<Self>, target: Target<'_>, _again: bool) -> Box<dyn Work> {
        let wanted = listing(target.module);
        let changes = files::changes(&wanted, &self.live);
        Box::new(Switch { live: self.live, wanted, changes })
    }

    fn watch<'a>(self: Box<Self>, target: Target<'a>) -> Result<Box<dyn Watch + 'a>, PortError> {
        Ok(Box::new(Watching::new(target, listing(target.module))))
    }
}

/// The switch to another release.
#[derive(Debug)]
struct Switch {
    live: Live,
    wanted: Listing,
    changes: Vec<Change>,
}

impl Work for Switch {
    fn changes(&self) -> &[Change] {
        &self.changes
    }

    fn is_by_service(&self) -> bool {
        false
    }

    fn made(&self) -> Made {
        Made::default()
    }

    fn exceptions(&self, _target: Target<'_>) -> Vec<String> {
        Vec::new()
    }

    fn is_known(&self) -> bool {
        true
    }

    fn is_foreign(&self) -> bool {
        matches!(self.live, Live::Foreign)
    }

    fn missing_images(&self) -> Vec<String> {
        Vec::new()
    }

    fn warnings(&self, _target: Target<'_>) -> Vec<String> {
        Vec::new()
    }

    fn judge(&self, target: Target<'_>) -> Vec<Answered> {
        let allowed = &target.host.activate;
        let wanted = &target.module.manifest.runtime.activate;
        let foreign = wanted.iter().find(|argv| !allowed.contains(argv));
        let refusal = foreign.map(|argv| {
            let argv = format!("[{}]", argv.iter().map(|arg| yaml_quoted(arg)).collect::<Vec<_>>().join(","));
            Refusal::new(
                Code::Capability,
                format!("the command {} is not among `activate:` of host {}", shown(&argv), target.name),
                format!("merge a pull request that adds `- {argv}` there"),
            )
        });
        vec![("activate", serde_json::json!({"commands": wanted.len()}), refusal.into_iter().collect())]
    }

    fn delivery(&self, target: Target<'_>, nonce: &str) -> Delivery {
        let release = release(target.module);
        let (sums, modes) = files::manifest(&self.wanted);
        let head = [("m/sums", sums), ("m/modes", modes)]
            .map(|(path, text)| Part::Member(Member { path: path.to_owned(), mode: 0o644, bytes: text.into_bytes() }));
        let blobs = release.iter().map(|(below, state, id)| Part::Blob {
            path: format!("t/{below}"),
            mode: state.bits(),
            id: *id,
        });
        let end = Part::Member(Member { path: "m/end".to_owned(), mode: 0o600, bytes: Vec::new() });
        let args = [
            target.host.root.to_string(),
            target.module.manifest.id.to_string(),
            target.module.closure.digest.hex(),
            nonce.to_owned(),
        ];
        let order = Order::new(files::SHIP, args).with(head.into_iter().chain(blobs).chain([end]));
        Delivery { order, files: release.len() as u64 }
    }

    fn orders(&self, target: Target<'_>, head: Head<'_>) -> Order {
        let expected = match &self.live {
            Live::Release { name, .. } => name.clone(),
            Live::None => "none".to_owned(),
            Live::Foreign => "foreign".to_owned(),
        };
        let mut args = head.args(target, None);
        args.push(expected);
        args.extend(target.module.manifest.runtime.activate.iter().map(|argv| shell::quoted(argv)));
        Order::new(files::RUN, args)
    }

    fn watch<'a>(&'a self, target: Target<'a>) -> Box<dyn Watch + 'a> {
        Box::new(Watching::new(target, self.wanted.clone()))
    }
}
