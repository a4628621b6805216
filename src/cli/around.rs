//! Arguments of the verbs that apply nothing: what a repository begins with, checks of its files, the manual.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `lint`.
#[derive(Debug, Args)]
pub struct Lint {
    /// Workflow files [default: those of .forgejo/workflows, else .gitea/workflows, else .github/workflows]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The name of the new branch
    #[arg(long, value_name = "NAME", default_value = "platformctl-init")]
    pub branch: String,
    /// The name of the first host; one that your ssh configuration knows is reached by ssh [default: box, this machine]
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Also add the workflows of Forgejo Actions
    #[arg(long)]
    pub forgejo: bool,
}

/// `hook`.
#[derive(Debug, Subcommand)]
pub enum Hook {
    /// Install the pre-push hook into this clone
    Install,
    /// Check what git is about to push (called by the hook; reads standard input)
    PrePush {
        // Of another name than --remote, for which clap would take it.
        /// The remote's name, or its URL if it has none
        #[arg(value_name = "REMOTE")]
        to: String,
        /// The remote's URL
        url: Option<String>,
    },
}

/// `schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// The schema [default: list the names]
    pub name: Option<String>,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Create this folder, work in it and keep it
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// `help`.
#[derive(Debug, Args)]
pub struct Help {
    /// A command or a topic [default: list all commands and topics]
    #[arg(value_name = "COMMAND|TOPIC")]
    pub what: Vec<String>,
}
