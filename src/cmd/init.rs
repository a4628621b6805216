//! `init`: the files to begin with, on a branch of their own. Nothing that exists is changed.

use super::{hook::PRE_PUSH, session::Session};
use crate::{
    cli::Init,
    error::Failure,
    io::git::branch::NewFile,
    model::{ids::HostName, text::shown},
    port::{Clock as _, Source as _},
    tree::snapshot::Snapshot,
    ui::{Last, Report},
};

const MESSAGE: &str = "platformctl: a policy, an example module and the hook\n\n\
Nothing is applied by merging this: the host's `mutations` are disabled until a\n\
reviewed change enables them.\n";

pub(super) fn run(session: &Session, args: &Init) -> Result<Report, Failure> {
    let host: HostName = args.host.parse().map_err(|_| {
        Failure::usage(format!("`{}` is no name of a host", shown(&args.host)), "use letters, digits, - and .")
    })?;
    let config = &session.config;
    let mut files = vec![
        file(
            "platform.yaml",
            include_str!("init/platform.yaml").replace("@HOST@", host.as_str()).replace("@BASE@", &config.base),
        ),
        file("allowed_signers", include_str!("init/allowed_signers").to_owned()),
        NewFile { executable: true, ..file("hooks/pre-push", PRE_PUSH.to_owned()) },
    ];
    if !has_modules(session)? {
        let manifest = include_str!("init/module.yaml").replace("@HOST@", host.as_str());
        files.push(file("modules/hello/module.yaml", manifest));
        files.push(file("modules/hello/public/index.html", include_str!("init/index.html").to_owned()));
    }
    let Some(made) = session.git.new_branch(&args.branch, &files, MESSAGE, session.clock.now())? else {
        return Ok(Report::done("init", "noop", Last::Next("platformctl validate".to_owned()))
            .lines(["✓ everything is there already; nothing was changed".to_owned()]));
    };
    let branch = &args.branch;
    let mut lines = vec![format!("✓ branch {branch}; your files are as they were")];
    lines.extend(made.added.iter().map(|path| format!("  adds  {path}")));
    lines.extend(made.kept.iter().map(|path| format!("  keeps {path}, which is there already")));
    lines.push(format!("look at it: git show {branch}"));
    lines.push(format!("check it:   platformctl validate --at {branch}"));
    lines.push("then push it, open a pull request, and merge it".to_owned());
    Ok(Report::done("init", "ok", Last::Next(format!("git push {} {branch}", config.remote)))
        .lines(lines)
        .with("branch", branch)
        .with("commit", made.commit)
        .with("added", made.added)
        .with("kept", made.kept))
}

fn file(path: &'static str, text: String) -> NewFile {
    NewFile { path, text, executable: false }
}

/// Whether HEAD has modules: an example beside them would only be in the way.
fn has_modules(session: &Session) -> Result<bool, Failure> {
    let Some(head) = session.git.head_commit()? else { return Ok(false) };
    let snapshot = Snapshot::lazy(&session.git, session.git.commit(head)?.tree);
    let (ids, problems) = crate::tree::manifests::module_ids(&snapshot)?;
    Ok(!ids.is_empty() || !problems.is_empty())
}
