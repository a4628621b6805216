//! `demo`: the whole story in a temporary folder, by child processes of this very program.

use crate::{
    cli::Demo,
    error::Failure,
    io::{demo::Scratch, env::Env},
    ui::{Printer, Render as _, Report},
    verb::demo::demo,
};

pub(super) fn run(args: &Demo, env: &Env, printer: Printer) -> Result<Report, Failure> {
    let scratch = Scratch::make(args.keep.as_deref(), env)?;
    Ok(demo(&scratch, args.keep.is_some(), &|line| printer.say(line))?.report())
}
