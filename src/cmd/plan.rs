//! `plan`: what an apply would change, and every reason that speaks against it.

use super::{apply::asked, session::Session};
use crate::{
    cli::Plan,
    error::Failure,
    io::file,
    ui::{Render as _, Report, plan_file},
    verb::planned::{How, plan},
};

pub(super) fn run(session: &Session, args: &Plan) -> Result<Report, Failure> {
    session.without_forge(args.approving.offline);
    let ask = asked(args.host.as_ref(), &args.approving, &args.waive).of(args.module.clone());
    let at = args.at.as_ref().map(|rev| session.git.resolve(rev)).transpose();
    if args.at.is_none() {
        session.warm(&ask.module, ask.host.as_ref());
    }
    let file = args.output.as_ref().map(|path| path.display().to_string());
    let how = How { file, exit_code: args.exit_code, timings: args.timings };
    let plans = session.with(|ports| plan(ports, &ask, at, how));
    if let (Some(path), [only]) = (&args.output, plans.targets.as_slice()) {
        let mut text = serde_json::to_vec_pretty(&plan_file(only)).unwrap_or_default();
        text.push(b'\n');
        file::write(&session.env.cwd().join(path), &text)?;
    }
    Ok(plans.report())
}
