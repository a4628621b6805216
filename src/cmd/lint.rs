//! `lint`: the workflows of a repository, or files that are named. Only files are read, so it works anywhere.

use crate::{
    cli::{Globals, Lint},
    config::Config,
    error::Failure,
    io::{env::Env, git::Git, workflows},
    model::{workflow::rules::FOLDERS, yaml::BYTES_MAX},
    ui::{Render as _, Report},
    verb::lint::{File, Linted},
};

pub(super) fn run(globals: &Globals, env: &Env, args: &Lint) -> Result<Report, Failure> {
    let setting = |name: &str| Git::open(env.cwd(), "origin", env).ok().and_then(|git| git.setting(name));
    let base = Config::choose(None, globals.base.as_deref(), setting).base;
    let file = |workflows::File { name, bytes }| File { name, bytes };
    let linted = if args.files.is_empty() {
        let folders = workflows::found(env.cwd(), FOLDERS, BYTES_MAX as u64)?;
        let folders = folders.into_iter().map(|(folder, files)| (folder, files.into_iter().map(file).collect()));
        Linted::of_folders(folders.collect(), &base)
    } else {
        let files = workflows::named(env.cwd(), &args.files, BYTES_MAX as u64)?;
        Linted::of_files(&files.into_iter().map(file).collect::<Vec<_>>(), &base)
    };
    Ok(linted.report())
}
