//! `abandon`, rendered.

use serde::Serialize;

use super::{Last, Render, notice};
use crate::{
    model::{
        ending::Outcome,
        refusal::{Code, Refusal},
    },
    verb::abandon::Abandoned,
};

impl Render for Abandoned {
    const COMMAND: &'static str = "abandon";

    fn object(&self) -> impl Serialize {
        self
    }

    fn outcome(&self) -> Outcome {
        if self.record.on_remote { Outcome::Ok } else { Outcome::Unrecorded }
    }

    fn refusals(&self) -> Vec<Refusal> {
        let unrecorded = (!self.record.on_remote).then(|| {
            let fact = "ended on its host, but the record is not on the remote yet";
            Refusal::new(Code::Unrecorded, fact, "platformctl state fetch delivers it")
        });
        unrecorded.into_iter().collect()
    }

    fn warnings(&self) -> Vec<String> {
        notice::warnings(&self.notices)
    }

    fn lines(&self) -> Vec<String> {
        vec![format!("✓ run {} of {} is ended", self.run, self.module)]
    }

    fn last(&self) -> Last {
        match self.record.on_remote {
            true => Last::Next(format!("platformctl status {}", self.module)),
            false => Last::Fix("platformctl state fetch".to_owned()),
        }
    }
}
