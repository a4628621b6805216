//! Driver `compose`: rendered on the host, planned by what Compose itself would compare, changed by one `up` of named
//! services.

pub mod change;
pub mod container;
pub mod content;
mod delivery;
pub mod driver;
mod gate;
pub mod look;
pub mod overlay;
mod preview;
pub mod render;
mod seen;
mod settle;
pub mod watch;
mod work;

use crate::{
    model::{module::Manifest, policy::HostPolicy},
    port::{Member, Script},
    runtime::{
        driver::Target,
        engine,
        script::{run_script, scripts},
    },
};

/// Renders the model without a value of any secret.
pub const RENDER: Script = Script {
    name: "compose-render",
    text: scripts!("root", "machine", "compose-lib", "secrets", "compose-render"),
    mutates: false,
    deadline_s: 120,
};
/// Looks at what runs, and at the final model.
pub const LOOK: Script = Script {
    name: "compose-look",
    text: scripts!("root", "compose-lib", "compose-look"),
    mutates: false,
    deadline_s: 180,
};
/// Brings images that are not there.
pub const PULL: Script =
    Script { name: "compose-pull", text: scripts!("compose-pull"), mutates: false, deadline_s: 1_800 };
/// Delivers a release and the contents that it mounts.
pub const SHIP: Script = Script {
    name: "compose-ship",
    text: scripts!("hashes", "delivery", "compose-ship"),
    mutates: false,
    deadline_s: 1_800,
};
/// Lets Compose change the named services.
pub const RUN: Script =
    Script { name: "compose-run", text: run_script!("compose-lib", "compose-step"), mutates: true, deadline_s: 900 };
/// Waits for another state of the containers than the one that was seen.
pub const WATCH: Script = Script {
    name: "compose-watch",
    text: scripts!("root", "compose-lib", "probe", "compose-watch"),
    mutates: false,
    deadline_s: 180,
};
/// Prints how containers ended, and their output, without the values of secrets.
pub const LOGS: Script = Script {
    name: "compose-logs",
    text: scripts!("root", "compose-lib", "compose-logs"),
    mutates: false,
    deadline_s: 60,
};

/// Labels that our containers carry.
pub const LABEL_MODULE: &str = "dev.platformctl.module";
/// The root of the platformctl that put it there: another repository's has a root of its own.
pub const LABEL_ROOT: &str = "dev.platformctl.root";
/// The image as it was named.
pub const LABEL_IMAGE: &str = "dev.platformctl.image";
/// The digest of the configs and secrets that are given to it: Compose's own hash does not look into them.
pub const LABEL_INPUTS: &str = "dev.platformctl.inputs";

/// The first arguments of the scripts that render: ROOT MODULE RELEASE PROJECT FOLDER ENGINE.
pub fn args(manifest: &Manifest, host: &HostPolicy, release: &str) -> Vec<String> {
    vec![
        host.root.to_string(),
        manifest.id.to_string(),
        release.to_owned(),
        manifest.runtime.project.as_ref().map(ToString::to_string).unwrap_or_default(),
        folder(manifest),
        engine::address(host),
    ]
}

/// The folder that relative paths of the compose files are taken from.
fn folder(manifest: &Manifest) -> String {
    let first = manifest.runtime.compose_files.first();
    first
        .and_then(super::super::model::path::RepoPath::parent)
        .map_or_else(|| ".".to_owned(), |folder| folder.to_string())
}

/// The name of the lock that all modules of a project on a host share.
pub fn lock(project: &str) -> String {
    format!("compose.{project}")
}

/// A small text file of a delivery.
pub fn text(path: impl Into<String>, lines: impl Into<String>) -> Member {
    Member { path: path.into(), mode: 0o600, bytes: lines.into().into_bytes() }
}

/// A file of lines.
pub fn lines<T: ToString>(path: &str, items: impl IntoIterator<Item = T>) -> Member {
    let text: String = items.into_iter().map(|item| item.to_string() + "\n").collect();
    self::text(path, text)
}

/// A value for an env file as Compose reads it back unchanged.
fn env_quoted(value: &str) -> String {
    if value.contains('\'') {
        let mut out = String::from("\"");
        for c in value.chars() {
            if matches!(c, '"' | '\\' | '$') {
                out.push('\\');
            }
            out.push(c);
        }
        out + "\""
    } else {
        format!("'{value}'")
    }
}

/// How the module is rendered, as files: what does not depend on what was seen.
pub fn how(target: Target<'_>) -> Vec<Member> {
    let (manifest, rendering) = (&target.module.manifest, &target.module.rendering);
    let runtime = &manifest.runtime;
    let vars: String = runtime.vars.iter().map(|(key, value)| format!("{key}={}\n", env_quoted(value))).collect();
    let keys =
        manifest.secrets.iter().flat_map(|secret| secret.keys.iter().map(|key| format!("{key} {}", secret.file)));
    let mut members = vec![
        lines("p/files", &runtime.compose_files),
        lines("p/env_files", &runtime.env_files),
        lines("p/profiles", &runtime.profiles),
        lines("p/services", &rendering.services),
        lines("p/secrets", manifest.secrets.iter().map(|secret| &secret.file)),
        lines("p/keys", keys),
        text("p/vars", format!("{vars}PLATFORM_HOST='{}'\n", target.name)),
    ];
    // A file of the right name with the declared keys and no value: what is rendered with it may leave the host.
    for file in &rendering.stand_ins {
        let declared = manifest.secrets.iter().find(|secret| secret.file == *file);
        let keys = declared.into_iter().flat_map(|secret| secret.keys.iter().map(|key| format!("{key}=")));
        members.push(lines(&format!("p/stand-in/{file}"), keys));
    }
    members.push(lines("p/env_secrets", &rendering.env_secrets));
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_an_env_file_is_quoted() {
        assert_eq!(env_quoted("7.2"), "'7.2'");
        assert_eq!(env_quoted("a$b \"c\""), "'a$b \"c\"'");
        assert_eq!(env_quoted("it's $5"), "\"it's \\$5\"");
    }
}
