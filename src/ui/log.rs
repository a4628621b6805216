//! `log`, rendered.

use serde::Serialize;

use super::{Last, Render, table};
use crate::verb::log::Log;

impl Render for Log {
    const COMMAND: &'static str = "log";

    fn object(&self) -> impl Serialize {
        self
    }

    fn lines(&self) -> Vec<String> {
        let rows: Vec<[String; 3]> = self
            .events
            .iter()
            .map(|one| [format!("{:>4}", one.event.seq), one.event.time.age(self.now), one.subject.clone()])
            .collect();
        table(&rows)
    }

    fn last(&self) -> Last {
        Last::Next(match self.events.first() {
            Some(newest) => format!("platformctl show {}", newest.event.seq),
            None => "platformctl status".to_owned(),
        })
    }
}
