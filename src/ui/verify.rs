//! `verify`, rendered.

use serde::Serialize;

use super::{Last, Render, notice, plural};
use crate::verb::verify::{RemoteHas, Verified};

impl Render for Verified {
    const COMMAND: &'static str = "verify";

    fn object(&self) -> impl Serialize {
        self
    }

    fn warnings(&self) -> Vec<String> {
        let Self::Record(whole) = self else { return Vec::new() };
        let twice = whole
            .twice
            .iter()
            .map(|run| format!("more than one module used the run id {run}: platformctl never does that"));
        let unchecked = whole.unchecked_signatures.then(|| "signatures are not checked by this version".to_owned());
        twice.chain(unchecked).chain(notice::warnings(&whole.notices)).collect()
    }

    fn lines(&self) -> Vec<String> {
        let Self::Record(whole) = self else {
            return vec!["✓ there is no record yet, here or on the remote".to_owned()];
        };
        let count = plural(usize::try_from(whole.records).unwrap_or(0), "record");
        let mut lines = vec![
            format!("✓ {count} are valid, each by its own bytes"),
            format!("  first   {}", whole.genesis),
            format!("  newest  {}", whole.tip),
        ];
        lines.extend(whole.remote.as_ref().map(|remote| match remote {
            RemoteHas::Nothing => "  kept on this machine alone, by policy".to_owned(),
            RemoteHas::Same(name) => format!("✓ {name} has the same"),
        }));
        lines
    }

    fn last(&self) -> Last {
        Last::Next(match self {
            Self::Nothing { .. } => "platformctl pending".to_owned(),
            Self::Record(_) => "platformctl log".to_owned(),
        })
    }
}
