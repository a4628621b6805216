//! Observe: what runs on the host now. Reads, and never writes.

use crate::{
    model::{ids::ModuleId, path::HostPath, refusal::Code},
    port::{Answer, Host, Input, PortError},
    runtime::files::{self, Observed},
};

/// Looks at a module of driver `files`.
///
/// # Errors
/// The host gave no answer, or one that its script cannot have given.
pub fn files(host: &dyn Host, root: &HostPath, module: &ModuleId) -> Answer<Observed> {
    let args = [root.to_string(), module.to_string()];
    let reply = host.run(&files::LOOK, &args, Input::Nothing).map_err(PortError::harmless)?;
    let unfit = |cause: Box<dyn std::error::Error + Send + Sync>| {
        PortError::new(
            Code::HostUnreachable,
            "the host's answer to files-look makes no sense",
            "look at the host by hand; nothing was changed",
        )
        .because(cause)
    };
    if reply.rc != 0 {
        return Err(unfit(format!("it ended with {}", reply.rc).into()));
    }
    files::parse_look(&reply.stdout).map_err(|error| unfit(error.into()))
}
