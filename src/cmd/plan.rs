//! `plan`: what an apply would change, and every reason that speaks against it.

use super::{apply::asked, session::Session};
use crate::{
    cli::Plan,
    error::Failure,
    io::file,
    ui::{Render as _, Report, plan_file},
    verb::planned::{self, Planned},
};

pub(super) fn run(session: &Session, args: &Plan) -> Result<Report, Failure> {
    let ask = asked(&args.approving, &args.waive, false).of(args.module.clone());
    let at = args.at.as_ref().map(|rev| session.git.resolve(rev)).transpose();
    if args.at.is_none() {
        session.warm(&ask.module);
    }
    let planned = session.with(|ports| planned::plan(ports, &ask, at));
    let file = args.output.as_ref().map(|path| path.display().to_string());
    let planned = Planned { file, exit_code: args.exit_code, timings: args.timings, ..planned };
    if let Some(path) = &args.output {
        let mut text = serde_json::to_vec_pretty(&plan_file(&planned)).unwrap_or_default();
        text.push(b'\n');
        file::write(&session.env.cwd().join(path), &text)?;
    }
    Ok(planned.report())
}
