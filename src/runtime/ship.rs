//! What a host answers to a delivery.

use crate::{
    model::{path::HostPath, refusal::Code},
    port::{PortError, Reply},
};

/// Whether a delivery to a root arrived, and was verified there.
///
/// # Errors
/// Why not, as one of a fixed list of reasons.
pub fn arrived(reply: &Reply, root: &HostPath) -> Result<(), PortError> {
    match reply.stdout.trim_ascii() {
        b"shipped new" | b"shipped reused" if reply.rc == 0 => Ok(()),
        said => Err(failed(said, root)),
    }
}

/// Turns the reason that the script gave, one of a fixed list, into words.
fn failed(stdout: &[u8], root: &HostPath) -> PortError {
    let (why, fix) = match stdout {
        b"failed mkdir" => {
            ("the folders of the root could not be made", format!("give {root} on the host to the ssh user"))
        }
        b"failed tmp" => ("the temporary folder could not be made", format!("look at {root}/tmp on the host")),
        b"failed tar" | b"failed cut" => {
            ("the delivery did not arrive completely", "try again; look for a full disk".to_owned())
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
