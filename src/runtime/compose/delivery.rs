//! What is delivered for a compose module: the files that rendering reads become the release; mounted files are stored
//! by content, and only what the host does not have is sent.

use std::collections::BTreeSet;

use crate::runtime::{
    compose::{
        self,
        content::{Listing, MountedContent, mode},
        seen::ComposeSeen,
    },
    driver::{Delivery, Order, Part, Target},
    files::FileState,
};

/// The delivery of a module. `nonce` names the temporary folder.
pub(super) fn delivery(target: Target<'_>, seen: &ComposeSeen, nonce: &str) -> Delivery {
    let mut blobs = Vec::new();
    let (mut sent, mut kept, mut kept_keys) = (Listing::default(), Listing::default(), Vec::new());
    for file in target.module.closure.files.iter().filter(|file| target.module.rendering.reads.contains(&file.path)) {
        let state = FileState { mode: mode(file).to_owned(), sha256: file.sha256 };
        blobs.push(Part::Blob { path: format!("r/{}", file.path), mode: state.bits(), id: file.blob });
        sent.add(format!("r/{}", file.path), state);
    }
    let (contents, have): (&[MountedContent], _) = match &seen.seen {
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
                None => blobs.push(Part::Blob { path: format!("f/{path}"), mode: state.bits(), id: *blob }),
            }
        }
        if here {
            kept_keys.push(content.key.clone());
        }
    }
    let [sums, modes] = sent.members("m/sums", "m/modes");
    let [kept_sums, kept_modes] = kept.members("m/kept-sums", "m/kept-modes");
    let data = format!("{}/data/", target.host.root);
    let folders = seen.binds.iter().filter_map(|bind| bind.strip_prefix(&data));
    let head = vec![
        sums,
        modes,
        kept_sums,
        kept_modes,
        compose::lines("m/kept", kept_keys),
        compose::lines("m/data", folders),
        compose::lines("m/copies", copies),
    ];
    let args = [
        target.host.root.to_string(),
        target.module.manifest.id.to_string(),
        target.module.closure.digest.hex(),
        nonce.to_owned(),
    ];
    let head = head.into_iter().map(Part::Member);
    let end = Part::Member(compose::text("m/end", ""));
    Delivery { order: Order::new(compose::SHIP, args).with(head.chain(blobs).chain([end])), files }
}
