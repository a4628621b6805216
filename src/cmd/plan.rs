//! `plan`: what an apply would change, and every reason that speaks against it; of one module, or of a whole pull
//! request.

use super::{apply::asked, session::Session};
use crate::{
    cli::Plan,
    error::Failure,
    io::file,
    model::forge::StatusState,
    ui::{Render as _, Report, WholeAsked, WholePlan, markdown, plan_file},
    verb::{
        comment::{self, Comment, Notes},
        planned::{How, plan},
        proposed::{Proposed, proposed},
    },
};

pub(super) fn run(session: &Session, args: &Plan) -> Result<Report, Failure> {
    session.without_forge(args.approving.offline);
    let asked = asked(args.host.as_ref(), &args.approving, &args.waive);
    let Some(module) = &args.module else {
        let pr = args.approving.pr.unwrap_or_default();
        let found = session.with(|ports| proposed(ports, pr, &asked));
        let unseen = if args.comment { shown(session, &found, Shown::Comment) } else { Vec::new() };
        let text = args.markdown.then(|| markdown::plan(&found));
        let how =
            WholeAsked { exit_code: args.exit_code, timings: args.timings, markdown: text.as_deref(), unseen: &unseen };
        return Ok(WholePlan(&found, how).report());
    };
    let ask = asked.of(module.clone());
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

/// What of a plan is shown on the forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// The status of the head.
    Status,
    /// The status, and the plan in a comment.
    Comment,
}

/// Shows a plan on the forge; what cannot be shown is a warning.
pub(super) fn shown(session: &Session, found: &Proposed, what: Shown) -> Vec<String> {
    let refused = !found.all_refusals().is_empty();
    let state = if refused { StatusState::Failure } else { StatusState::Success };
    let status = comment::status("platformctl/plan", state, &markdown::headline(found));
    let head = found.version.as_ref().ok().map(|version| version.head);
    let comment =
        (what == Shown::Comment).then(|| Comment { text: markdown::plan(found), begins: refused || found.changes() });
    let notes = Notes { pr: found.pr, comment, statuses: head.map(|head| (head, status)).into_iter().collect() };
    session.with(|ports| comment::show(ports, &found.rules, &notes))
}
