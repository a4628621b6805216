//! Signatures of commits by an ssh key, checked by `ssh-keygen -Y verify`: git's own way (gpg.format=ssh).
#![expect(clippy::disallowed_methods, reason = "files for the check are written here")]

use std::fs;

use super::{Git, failed};
use crate::{
    io::process,
    model::refusal::Code,
    port::{Answer, Commit, PortError},
};

/// The bytes that were signed: the commit without its signature.
fn payload(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let (mut in_header, mut in_signature) = (true, false);
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        in_header &= line != b"\n";
        if in_header {
            in_signature = line.starts_with(b"gpgsig ") || in_signature && line.starts_with(b" ");
            if in_signature {
                continue;
            }
        }
        out.extend_from_slice(line);
    }
    out
}

impl Git {
    /// Whether this key signed a commit. A signature of another kind, or by another key, is none of this key's.
    pub(super) fn is_signed_by(&self, commit: &Commit, key: &str) -> Answer<bool> {
        let Some(signature) = commit.signature.as_ref().filter(|pem| pem.starts_with(b"-----BEGIN SSH SIGNATURE"))
        else {
            return Ok(false);
        };
        let scratch = tempfile::tempdir().map_err(failed("could not make a temporary folder"))?;
        let (allowed, file) = (scratch.path().join("allowed"), scratch.path().join("signature"));
        let mut pem = signature.clone();
        pem.push(b'\n');
        fs::write(&allowed, format!("server namespaces=\"git\" {key}\n")).map_err(failed("could not write the key"))?;
        fs::write(&file, pem).map_err(failed("could not write the signature"))?;
        let mut command = self.env.computing("ssh-keygen", scratch.path());
        command.args(["-Y", "verify", "-n", "git", "-I", "server", "-f"]).arg(&allowed).arg("-s").arg(&file);
        let done = process::run_with(command, payload(&commit.raw), &process::Limits::default())?;
        match done.rc {
            Some(0) => Ok(true),
            Some(_) => Ok(false),
            None => Err(PortError::new(Code::Io, "ssh-keygen was killed while it checked a signature", "try again")),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn signature_is_no_part_of_what_is_signed() {
        let raw = b"tree x\ngpgsig -----BEGIN\n line\n -----END\nencoding y\n\ngpgsig not a header\n line\n";
        assert_eq!(super::payload(raw), b"tree x\nencoding y\n\ngpgsig not a header\n line\n");
        assert_eq!(super::payload(b"tree x\n\nbody"), b"tree x\n\nbody");
    }
}
