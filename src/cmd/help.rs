//! `help`: the help of a command, or a page of the manual.

use crate::{
    cli::{self, Help, topics},
    error::Failure,
    model::{near::nearest, text::shown},
    ui::{Render as _, Report},
    verb::manual::Page,
};

pub(super) fn run(args: &Help) -> Result<Report, Failure> {
    let topic = args.what.first().filter(|_| args.what.len() == 1).and_then(|name| topics::Topic::find(name));
    let text = topic.map(topics::Topic::text).or_else(|| cli::help(&args.what));
    let Some(text) = text else {
        let words = args.what.join(" ");
        let known = cli::commands().into_iter().chain(topics::ALL.iter().map(|topic| topic.name.to_owned()));
        let fact = format!("there is no command and no topic `{}`", shown(&words));
        let fix = match nearest(&words, known) {
            Some(name) => format!("platformctl help {name}"),
            None => "platformctl help lists commands and topics".to_owned(),
        };
        return Err(Failure::usage(fact, fix));
    };
    Ok(Page { text }.report())
}
