//! `log`, rendered.

use serde::Serialize;

use super::{Last, Render, table};
use crate::verb::log::{Log, Logged};

impl Render for Log {
    const COMMAND: &'static str = "log";

    fn object(&self) -> impl Serialize {
        self
    }

    fn lines(&self) -> Vec<String> {
        let subject = |one: &Logged| match &one.event.actor.via {
            Some(via) => format!("{} (run {}, by the runner's word)", one.subject, via.run()),
            None => one.subject.clone(),
        };
        let row = |one: &Logged| [format!("{:>4}", one.event.seq), one.event.time.age(self.now), subject(one)];
        table(&self.events.iter().map(row).collect::<Vec<_>>())
    }

    fn last(&self) -> Last {
        Last::Next(match self.events.first() {
            Some(newest) => format!("platformctl show {}", newest.event.seq),
            None => "platformctl status".to_owned(),
        })
    }
}
