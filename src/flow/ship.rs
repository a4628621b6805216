//! Ship: the release is delivered to the host and verified there, beside what is live and without touching it.

use crate::{
    flow::{bound, content::FILE_BYTES_MAX, open::Intent},
    model::refusal::Code,
    port::{Answer, Host, Input, Member, PortError, Source},
    runtime::files,
};

/// A release that lies on the host, checked there.
#[derive(Debug)]
#[must_use]
pub struct Shipped<'a> {
    pub(super) intent: &'a Intent,
    /// How many files were verified.
    pub files: u64,
}

/// Delivers the release of an intent. Nothing live is touched, whatever happens here.
///
/// # Errors
/// The host gave no answer, or its own check failed.
pub fn ship<'a>(intent: &'a Intent, host: &dyn Host, source: &dyn Source) -> Answer<Shipped<'a>> {
    let plan = &intent.permit.plan;
    let files = bound::release_files(&plan.bound.manifest, &plan.bound.closure);
    let (sums, modes) = files::manifest(&plan.wanted);
    let args = [
        plan.bound.host.root.to_string(),
        plan.intention.module.to_string(),
        plan.intention.closure.hex(),
        intent.nonce.clone(),
    ];
    let head = [("m/sums", sums), ("m/modes", modes)];
    let mut members = head
        .into_iter()
        .map(|(path, text)| Ok(Member { path: path.to_owned(), mode: 0o644, bytes: text.into_bytes() }))
        .chain(files.iter().map(|(below, state, _, blob)| {
            let mode = if state.mode == "755" { 0o755 } else { 0o644 };
            Ok(Member { path: format!("t/{below}"), mode, bytes: source.blob(*blob, FILE_BYTES_MAX)? })
        }));
    let reply = host.run(&files::SHIP, &args, Input::Tar(&mut members)).map_err(PortError::harmless)?;
    if reply.rc == 0 && matches!(reply.stdout.trim_ascii(), b"shipped new" | b"shipped reused") {
        return Ok(Shipped { intent, files: files.len() as u64 });
    }
    Err(failed(&reply.stdout))
}

/// Turns the reason that the script gave, one of a fixed list, into words.
fn failed(stdout: &[u8]) -> PortError {
    let (why, fix) = match stdout.trim_ascii() {
        b"failed mkdir" => ("the folders of the root could not be made", "give the ssh user the root folder"),
        b"failed tmp" => ("the temporary folder could not be made", "look at <root>/tmp on the host"),
        b"failed tar" | b"failed cut" => ("the delivery did not arrive whole", "try again; look for a full disk"),
        b"failed content" => ("what arrived is not what was sent", "try again; if it stays so, check the host's disk"),
        b"failed altered" => (
            "the release is already there and was altered by someone",
            "look at <root>/releases/<module>/ on the host and move the altered folder away",
        ),
        b"failed rename" => ("the release could not be put into its place", "look for a full disk"),
        _ => ("the script ended without a reason", "look for a full disk, then try again"),
    };
    PortError::new(Code::DeliveryFailed, format!("the delivery failed on the host: {why}"), fix)
}
