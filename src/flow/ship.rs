//! Ship: the release is delivered to the host and verified there, beside what is live and without touching it.

use std::collections::BTreeSet;

use crate::{
    flow::{
        bind::bound,
        observe::{self, Compose, Running},
        open::Intent,
        plan::Plan,
    },
    model::{ids::Oid, path::HostPath, refusal::Code},
    port::{Answer, Host, Input, Member, PortError, Source},
    runtime::{
        compose::{
            self,
            content::{Listing, MountedContent, mode},
        },
        files::{self, FileState},
    },
};

/// A release that lies on the host, checked there.
#[derive(Debug)]
#[must_use]
pub struct Shipped<'a> {
    pub(crate) intent: &'a Intent,
    /// How many files were verified.
    pub files: u64,
}

/// Delivers the release of an intent. Nothing live is touched, whatever happens here.
///
/// # Errors
/// The host gave no answer, or its own check failed.
pub fn ship<'a>(intent: &'a Intent, host: &dyn Host, source: &dyn Source) -> Answer<Shipped<'a>> {
    let plan = &intent.permit.plan;
    let delivery = match &plan.observed.running {
        Running::Files(_) => release(plan),
        Running::Compose(compose) => composed(plan, compose),
    };
    let args = [
        plan.bound.host.root.to_string(),
        plan.intention.module.to_string(),
        plan.intention.closure.hex(),
        intent.nonce.clone(),
    ];
    let blobs = delivery.blobs.iter().map(|(path, mode, blob)| {
        let mode = if mode == "755" { 0o755 } else { 0o644 };
        Ok(Member { path: path.clone(), mode, bytes: source.delivered(*blob)? })
    });
    let mut members = delivery.head.into_iter().map(Ok).chain(blobs).chain([Ok(delivery.tail)]);
    let reply = host.run(&delivery.script, &args, Input::Tar(&mut members)).map_err(PortError::harmless)?;
    if reply.rc == 0 && matches!(reply.stdout.trim_ascii(), b"shipped new" | b"shipped reused") {
        return Ok(Shipped { intent, files: delivery.files });
    }
    Err(failed(&reply.stdout, &plan.bound.host.root))
}

/// What is sent: small files first, then blobs by path and mode, then what says that it is whole.
struct Delivery {
    script: crate::port::Script,
    head: Vec<Member>,
    blobs: Vec<(String, String, Oid)>,
    tail: Member,
    /// How many files the host verifies.
    files: u64,
}

fn release(plan: &Plan) -> Delivery {
    let files = bound::release_files(&plan.bound.module.manifest, &plan.bound.module.closure);
    let (sums, modes) = files::manifest(&plan.wanted);
    let head = [("m/sums", sums), ("m/modes", modes)];
    let head = head.map(|(path, text)| Member { path: path.to_owned(), mode: 0o644, bytes: text.into_bytes() });
    let blobs: Vec<_> =
        files.iter().map(|(below, state, _, blob)| (format!("t/{below}"), state.mode.clone(), *blob)).collect();
    Delivery {
        script: files::SHIP,
        head: head.into(),
        files: blobs.len() as u64,
        blobs,
        tail: compose::text("m/end", ""),
    }
}

/// What rendering reads becomes the release; what is mounted lies by content, and only what is not there yet is sent.
fn composed(plan: &Plan, compose: &Compose) -> Delivery {
    let target = plan.bound.target();
    let mut blobs = Vec::new();
    let (mut sent, mut kept, mut kept_keys) = (Listing::default(), Listing::default(), Vec::new());
    for file in target.module.closure.files.iter().filter(|file| observe::is_read(target, &file.path)) {
        let state = FileState { mode: mode(file).to_owned(), sha256: file.sha256 };
        blobs.push((format!("r/{}", file.path), state.mode.clone(), file.blob));
        sent.add(format!("r/{}", file.path), state);
    }
    let (contents, have): (&[MountedContent], _) = match &compose.seen {
        Some((overlay, looked)) => (&overlay.contents, looked.have.clone()),
        None => (&[], BTreeSet::new()),
    };
    let mut files = blobs.len() as u64;
    let mut copies: Vec<String> = Vec::new();
    for content in contents {
        files += content.files.len() as u64;
        let here = have.contains(&content.key);
        let before = target.before.and_then(|before| content.before(&before.closure));
        let before = before.filter(|before| have.contains(&before.key));
        for (below, state, blob, _) in &content.files {
            let path = format!("{}/{below}", content.key);
            if here {
                kept.add(path, state.clone());
                continue;
            }
            sent.add(format!("f/{path}"), state.clone());
            // The same file in what stood there before is copied on the host, and checked like what is sent.
            match before.as_ref().and_then(|before| before.same(state)) {
                Some(same) => copies.extend([same, path]),
                None => blobs.push((format!("f/{path}"), state.mode.clone(), *blob)),
            }
        }
        if here {
            kept_keys.push(content.key.clone());
        }
    }
    let [sums, modes] = sent.members("m/sums", "m/modes");
    let [kept_sums, kept_modes] = kept.members("m/kept-sums", "m/kept-modes");
    let data = format!("{}/data/", plan.bound.host.root);
    let folders = compose.binds.iter().filter_map(|bind| bind.strip_prefix(&data));
    let head = vec![
        sums,
        modes,
        kept_sums,
        kept_modes,
        compose::lines("m/kept", kept_keys),
        compose::lines("m/data", folders),
        compose::lines("m/copies", copies),
    ];
    Delivery { script: compose::SHIP, head, blobs, tail: compose::text("m/end", ""), files }
}

/// Turns the reason that the script gave, one of a fixed list, into words.
fn failed(stdout: &[u8], root: &HostPath) -> PortError {
    let (why, fix) = match stdout.trim_ascii() {
        b"failed mkdir" => {
            ("the folders of the root could not be made", format!("give {root} on the host to the ssh user"))
        }
        b"failed tmp" => ("the temporary folder could not be made", format!("look at {root}/tmp on the host")),
        b"failed tar" | b"failed cut" => {
            ("the delivery did not arrive whole", "try again; look for a full disk".to_owned())
        }
        b"failed content" => {
            ("what arrived is not what was sent", "try again; if it stays so, check the host's disk".to_owned())
        }
        b"failed altered" => (
            "what was delivered before is there and was altered by someone",
            format!("look at {root}/releases/ and {root}/files/ on the host and move the altered folder away"),
        ),
        b"failed rename" => ("the release could not be put into its place", "look for a full disk".to_owned()),
        _ => ("the script ended without a reason", "look for a full disk, then try again".to_owned()),
    };
    PortError::new(Code::DeliveryFailed, format!("the delivery failed on the host: {why}"), fix)
}
