//! The command line. Only this room knows clap.

mod pages;
pub mod topics;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::model::ids::{HostName, ModuleId, RunId};

pub use pages::{Read, commands, help, read, reference};

/// Changes docker compose hosts only when a merged pull request says so, and records it in git.
#[derive(Debug, Parser)]
#[command(
    name = "platformctl",
    version,
    max_term_width = 100,
    propagate_version = false,
    disable_help_subcommand = true,
    after_help = topics::listing()
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub globals: Globals,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Debug, Clone, Args)]
pub struct Globals {
    /// Run as if started in this folder
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub dir: Option<PathBuf>,
    /// The git remote [default: git config platformctl.remote, else origin]
    #[arg(long, value_name = "NAME", global = true)]
    pub remote: Option<String>,
    /// The base branch [default: git config platformctl.base, else main]
    #[arg(long, value_name = "BRANCH", global = true)]
    pub base: Option<String>,
    /// Print one JSON object on standard output, and talk on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// Log every call to git, the remote and hosts on standard error; -vv also logs commands [env: PLATFORMCTL_LOG=info|debug]
    #[arg(short = 'v', long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
}

/// What is pending.
#[derive(Debug, Args)]
pub struct Pending {
    /// Ask nobody: show what was fetched last
    #[arg(long)]
    pub offline: bool,
}

/// A verb.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look whether a host has all that an apply needs, and say what cures what it has not
    Doctor(Doctor),
    /// Check platform.yaml and the modules, as they lie on disk
    Validate(Validate),
    /// Show what an apply would change, and every reason that speaks against it
    Plan(Plan),
    /// Carry out what merged pull requests say, and record it
    Apply(Apply),
    /// Ask the host what became of an open run, and record it; never changes a host
    Resume(Resume),
    /// End a run for good that nobody can resume
    Abandon(Abandon),
    /// What is applied, and how it ended; reads git alone
    Status(Status),
    /// What is merged but not applied, and which command applies it; asks the remote and no host
    Pending(Pending),
    /// The record, newest first
    Log(Log),
    /// One module, run or record in full
    Show(Show),
    /// Check the whole record, and that the remote has the same
    Verify(Verify),
    /// The record itself
    #[command(subcommand)]
    State(State),
    /// Begin: files for this repository, on a branch of their own
    Init(Init),
    /// git hooks
    #[command(subcommand)]
    Hook(Hook),
    /// Print a JSON Schema
    Schema(Schema),
    /// See it work, in a temporary folder on this machine
    Demo(Demo),
    /// Print the help of a command, or a page of the manual
    Help(Help),
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// One host [default: every host of platform.yaml]
    #[arg(long, value_name = "HOST")]
    pub host: Option<HostName>,
}

/// `validate`.
#[derive(Debug, Args)]
pub struct Validate {
    /// Modules, as ids or folders [default: all, and what they have to do with each other]
    #[arg(value_name = "MODULE")]
    pub modules: Vec<String>,
    /// A commit instead of the files on disk
    #[arg(long, value_name = "REV")]
    pub at: Option<String>,
    /// Accepted for older scripts: validate is always strict
    #[arg(long, hide = true)]
    pub strict_v2: bool,
}

/// Which version, for `plan`.
#[derive(Debug, Args)]
#[group(multiple = true)]
pub struct Approving {
    /// A full commit id: the head of a merged pull request, or its merge result
    #[arg(long, value_name = "SHA")]
    pub approved: Option<String>,
    /// A pull request
    #[arg(long, value_name = "N", visible_alias = "approved-pr")]
    pub pr: Option<u64>,
}

/// What may be waived.
#[derive(Debug, Args)]
pub struct Waive {
    /// Go on although a newer merge changed the module too (recorded)
    #[arg(long)]
    pub allow_older: bool,
    /// Do not compare the checkout with what was merged (recorded)
    #[arg(long)]
    pub no_checkout_binding: bool,
    /// Try a release again that failed here (recorded)
    #[arg(long)]
    pub retry: bool,
}

/// `plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// The module
    pub module: ModuleId,
    /// One of its hosts [default: each of them, in the order of its manifest]
    #[arg(long, value_name = "HOST")]
    pub host: Option<HostName>,
    /// By which approval [default: the newest merge that changed the module]
    #[command(flatten)]
    pub approving: Approving,
    /// Preview a commit that need not be merged
    #[arg(long, value_name = "REV", conflicts_with_all = ["approved", "pr"])]
    pub at: Option<String>,
    /// Also write the plan to a file that apply takes
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Exit with 4 if something would change
    #[arg(long)]
    pub exit_code: bool,
    /// Print where the time of this command went; --json always has it, as durations_ms
    #[arg(long)]
    pub timings: bool,
    /// What may be waived.
    #[command(flatten)]
    pub waive: Waive,
}

/// `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// Modules, or plan files (with `/` or ending in `.json`) [default: what the pull request changed]
    #[arg(value_name = "MODULE|PLAN")]
    pub targets: Vec<String>,
    /// One host of the modules [default: each of their hosts, in the order of the manifest; the first that fails ends it]
    #[arg(long, value_name = "HOST")]
    pub host: Option<HostName>,
    /// By which approval.
    #[command(flatten)]
    pub approving: Approving,
    /// What is applied, once more: a host was lost, a secret changed
    #[arg(long, conflicts_with_all = ["approved", "pr"], requires = "targets")]
    pub again: bool,
    /// Wait up to this many seconds while another run is open
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub wait: u64,
    /// Show the last lines of the containers of a release that is held, as on a terminal; values of secrets are masked
    #[arg(long)]
    pub logs: bool,
    /// Print where the time of this command went; --json always has it, as durations_ms
    #[arg(long)]
    pub timings: bool,
    /// What may be waived.
    #[command(flatten)]
    pub waive: Waive,
}

/// `resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// The run [default: every open run]
    pub run: Option<RunId>,
    /// Show the last lines of the containers of a release that is held, as on a terminal; values of secrets are masked
    #[arg(long)]
    pub logs: bool,
}

/// `abandon`.
#[derive(Debug, Args)]
pub struct Abandon {
    /// The run
    pub run: RunId,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// One module [default: all]
    pub module: Option<ModuleId>,
}

/// `log`.
#[derive(Debug, Args)]
pub struct Log {
    /// Only records about this module
    pub module: Option<ModuleId>,
    /// How many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub count: usize,
}

/// `show`.
#[derive(Debug, Args)]
pub struct Show {
    /// A module, a run, a seq or the full id of a record [default: the newest record]
    #[arg(value_name = "WHAT")]
    pub what: Option<String>,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Without asking the remote
    #[arg(long)]
    pub offline: bool,
}

/// `state`.
#[derive(Debug, Subcommand)]
pub enum State {
    /// Fetch and verify the record, and deliver what waits here
    Fetch,
    /// Push a verified record that the remote does not have yet; never forced
    Push,
    /// Go on from the last good record where somebody pushed something that is none
    Recover(Recover),
}

/// `state recover`.
#[derive(Debug, Args)]
pub struct Recover {
    /// Why, for whoever reads the record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The branch that the files go to
    #[arg(long, value_name = "NAME", default_value = "platformctl-init")]
    pub branch: String,
    /// The first host: its name
    #[arg(long, value_name = "NAME", default_value = "box")]
    pub host: String,
}

/// `hook`.
#[derive(Debug, Subcommand)]
pub enum Hook {
    /// Install the pre-push hook into this clone
    Install,
    /// What the hook calls: checks what is about to be pushed, read from standard input
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
    /// Which [default: their names]
    pub name: Option<String>,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Leave everything in this new folder, to try more
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// `help`.
#[derive(Debug, Args)]
pub struct Help {
    /// A command, or a topic [default: all commands, and the topics]
    #[arg(value_name = "COMMAND|TOPIC")]
    pub what: Vec<String>,
}
