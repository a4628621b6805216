//! `state`, rendered.

use serde::Serialize;

use super::{Last, Render, notice, plural, wrapped};
use crate::verb::{
    recover::Recovered,
    transfer::{FetchedRecord, PushedRecord},
};

/// Ids that are shown of what is displaced.
const SHOWN: usize = 5;

impl Render for FetchedRecord {
    const COMMAND: &'static str = "state";

    fn object(&self) -> impl Serialize {
        self
    }

    fn warnings(&self) -> Vec<String> {
        notice::warnings(&self.notices)
    }

    fn lines(&self) -> Vec<String> {
        vec![match &self.record {
            Some(newest) => format!("✓ the record is valid, newest is seq {}", newest.seq),
            None => "✓ there is no record yet".to_owned(),
        }]
    }

    fn last(&self) -> Last {
        Last::Next("platformctl status".to_owned())
    }
}

impl Render for PushedRecord {
    const COMMAND: &'static str = "state";

    fn object(&self) -> impl Serialize {
        self
    }

    fn lines(&self) -> Vec<String> {
        vec![match self.was_there {
            true => format!("✓ the remote has it already, seq {}", self.seq),
            false => format!("✓ pushed, newest is seq {}", self.seq),
        }]
    }

    fn last(&self) -> Last {
        Last::Next("platformctl status".to_owned())
    }
}

impl Render for Recovered {
    const COMMAND: &'static str = "state";

    fn object(&self) -> impl Serialize {
        self
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("✓ recovered, newest is seq {}", self.seq),
            format!("  last good  {}", self.good),
            format!("  displaced  {}", self.displaced),
        ];
        lines.extend(wrapped(&format!("{} was not valid: {}", self.wrong, self.fault), "  "));
        lines.push(format!("{} voided, kept as evidence:", plural(self.voided_count, "commit")));
        lines.extend(self.voided.iter().take(SHOWN).map(|id| format!("  {id}")));
        if self.voided_count > SHOWN {
            lines.push(format!("  and {} more", self.voided_count - SHOWN));
        }
        lines
    }

    fn last(&self) -> Last {
        Last::Next("platformctl verify".to_owned())
    }
}
