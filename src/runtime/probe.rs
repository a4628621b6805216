//! Probes: questions asked on the host until they are answered as expected.

use crate::{model::module::Probe, port::Script, runtime::script::scripts};

/// Asks one question once.
pub const PROBE: Script =
    Script { name: "probe", text: scripts!("probe", "probe-once"), mutates: false, deadline_s: 20 };

/// The arguments of [`PROBE`] for a probe; `None` for one that runs in a service.
pub fn args(probe: &Probe) -> Option<Vec<String>> {
    if let Some(target) = &probe.tcp {
        return Some(vec!["tcp".to_owned(), target.clone()]);
    }
    let target = probe.http.as_ref()?;
    Some(vec!["http".to_owned(), target.clone(), probe.status.unwrap_or(200).to_string()])
}

/// What a probe answered: `Ok`, or why not in our own words.
///
/// # Errors
/// One of a fixed list of reasons; no other output of a host is repeated.
pub fn verdict(stdout: &[u8]) -> Result<(), &'static str> {
    match stdout.trim_ascii() {
        b"pass" => Ok(()),
        b"fail refused" => Err("no connection"),
        b"fail status" => Err("another status than expected"),
        b"fail tool" => Err("the host has no program to ask with (bash or nc for tcp, curl or python3 for http)"),
        _ => Err("no answer that can be parsed"),
    }
}
