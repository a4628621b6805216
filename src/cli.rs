//! The command line. Only this module uses clap.

mod apply;
mod pages;
pub mod topics;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::model::{
    ids::{HostName, ModuleId, RunId},
    time,
};

pub use apply::Apply;
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
    /// Options of every command.
    #[command(flatten)]
    pub globals: Globals,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
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
    /// Print one JSON object on standard output; progress goes to standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// Log every call to git, the remote and hosts on standard error; -vv also logs commands [env:
    /// PLATFORMCTL_LOG=info|debug]
    #[arg(short = 'v', long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
}

/// `pending`.
#[derive(Debug, Args)]
pub struct Pending {
    /// Do not contact the remote: use what was fetched last
    #[arg(long)]
    pub offline: bool,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check that a host is ready for an apply, and print the fixes
    Doctor(Doctor),
    /// Check platform.yaml and the modules in the working tree
    Validate(Validate),
    /// Check the workflows of Forgejo Actions
    Lint(Lint),
    /// Show what an apply would change, and every reason to refuse it
    Plan(Plan),
    /// Check whether a pull request could be applied once it is merged; asks no host
    Check(Check),
    /// Apply merged pull requests to hosts, and record the outcome
    Apply(Apply),
    /// Ask the host how an open run ended, and record it; never changes a host
    Resume(Resume),
    /// End a run that cannot be resumed
    Abandon(Abandon),
    /// Show what is applied and how it ended; reads only the local git repository
    Status(Status),
    /// Show what is merged but not applied, and the command that applies it; contacts the remote, no host
    Pending(Pending),
    /// List the records, newest first
    Log(Log),
    /// Show one module, run or record in full
    Show(Show),
    /// Verify every record, and that the remote has the same records
    Verify(Verify),
    /// Fetch, push or repair the record
    #[command(subcommand)]
    State(State),
    /// Create a branch with a policy, an example module, the pre-push hook and, if you want, workflows
    Init(Init),
    /// Install or run the git hook
    #[command(subcommand)]
    Hook(Hook),
    /// Print a JSON Schema
    Schema(Schema),
    /// Run a demonstration in a temporary folder on this machine
    Demo(Demo),
    /// Print the help of a command or a page of the manual
    Help(Help),
}

impl Command {
    /// The command, as it is typed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Validate(_) => "validate",
            Self::Lint(_) => "lint",
            Self::Plan(_) => "plan",
            Self::Apply(_) => "apply",
            Self::Resume(_) => "resume",
            Self::Abandon(_) => "abandon",
            Self::Check(_) => "check",
            Self::Doctor(_) => "doctor",
            Self::Status(_) => "status",
            Self::Pending(_) => "pending",
            Self::Log(_) => "log",
            Self::Show(_) => "show",
            Self::Verify(_) => "verify",
            Self::State(_) => "state",
            Self::Init(_) => "init",
            Self::Hook(_) => "hook",
            Self::Schema(_) => "schema",
            Self::Demo(_) => "demo",
            Self::Help(_) => "help",
        }
    }
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// One host [default: every host of platform.yaml]
    #[arg(long, value_name = "HOST")]
    pub host: Option<HostName>,
    /// Check the forge instead: its version, the token, the base branch's protection, what the token may write
    #[arg(long, conflicts_with = "host")]
    pub forge: bool,
    /// Also try whether the server lets a ref like the record be rewritten: creates refs/platformctl-probe/… and removes
    /// it again
    #[arg(long, requires = "forge")]
    pub try_rewrite: bool,
}

/// `validate`.
#[derive(Debug, Args)]
pub struct Validate {
    /// Modules, as ids or folders [default: all modules, and conflicts between them]
    #[arg(value_name = "MODULE")]
    pub modules: Vec<String>,
    /// Check a commit instead of the working tree
    #[arg(long, value_name = "REV")]
    pub at: Option<String>,
    /// Accepted for older scripts: validate is always strict
    #[arg(long, hide = true)]
    pub strict_v2: bool,
}

/// `lint`.
#[derive(Debug, Args)]
pub struct Lint {
    /// Workflow files [default: those of .forgejo/workflows, else .gitea/workflows, else .github/workflows]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// The approval.
#[derive(Debug, Args)]
#[group(multiple = true)]
pub struct Approving {
    /// A full commit id: the head of a merged pull request, or its merge result
    #[arg(long, value_name = "SHA")]
    pub approved: Option<String>,
    /// The number of a pull request
    #[arg(long, value_name = "N", visible_alias = "approved-pr")]
    pub pr: Option<u64>,
    /// Do not ask the forge's API for reviews: a signature of the server on the merge counts instead, where the policy
    /// has approval.server_signature: strict
    #[arg(long)]
    pub offline: bool,
}

/// Checks that can be waived.
#[derive(Debug, Args)]
pub struct Waive {
    /// Apply although a newer merge also changed the module (recorded)
    #[arg(long)]
    pub allow_older: bool,
    /// Do not compare the checkout with the merged content (recorded)
    #[arg(long)]
    pub no_checkout_binding: bool,
    /// Retry a release that failed on this host (recorded)
    #[arg(long)]
    pub retry: bool,
}

/// `plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// The module [default, with --pr: every module that the pull request concerns, and the policy]
    #[arg(required_unless_present = "pr")]
    pub module: Option<ModuleId>,
    /// One of its hosts [default: each of them, in the order of its manifest]
    #[arg(long, value_name = "HOST")]
    pub host: Option<HostName>,
    /// The approval [default: the newest merge that changed the module]
    #[command(flatten)]
    pub approving: Approving,
    /// Preview a commit, merged or not
    #[arg(long, value_name = "REV", conflicts_with_all = ["approved", "pr"])]
    pub at: Option<String>,
    /// Also write the plan to a file for `apply`
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Exit with 4 if something would change
    #[arg(long)]
    pub exit_code: bool,
    /// Print the plan of the whole pull request as Markdown
    #[arg(long, requires = "pr", conflicts_with_all = ["module", "output"])]
    pub markdown: bool,
    /// Keep the plan in one comment under the pull request, and set the status platformctl/plan on its head
    #[arg(long, requires = "pr", conflicts_with_all = ["module", "output"])]
    pub comment: bool,
    /// Print where the time of this command went; --json always has it, as durations_ms
    #[arg(long)]
    pub timings: bool,
    /// Checks that can be waived.
    #[command(flatten)]
    pub waive: Waive,
}

/// `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The number of the pull request
    #[arg(long, value_name = "N")]
    pub pr: u64,
    /// Set the status platformctl/plan on its head
    #[arg(long)]
    pub status: bool,
}

/// A time in seconds: `600`, or with units as `10m` and `1h30m`.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let with_units = || time::duration_ms(text).map(|ms| ms.div_ceil(1_000));
    text.parse().ok().or_else(with_units).ok_or_else(|| "write seconds, as 600, or units, as 10m".to_owned())
}

/// `resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// The run [default: every open run]
    pub run: Option<RunId>,
    /// If a run still runs, or may still be watched by who began it, wait at most so long: seconds, or 10m
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = seconds)]
    pub wait: u64,
    /// If the release is held, print its containers' last log lines (default on a terminal); secret values are masked
    #[arg(long)]
    pub logs: bool,
}

/// `abandon`.
#[derive(Debug, Args)]
pub struct Abandon {
    /// The run
    pub run: RunId,
    /// The reason, for the record
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
    /// Only records of this module
    pub module: Option<ModuleId>,
    /// The number of records
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub count: usize,
}

/// `show`.
#[derive(Debug, Args)]
pub struct Show {
    /// A module, a run, or a record by its seq or full id [default: the newest record]
    #[arg(value_name = "WHAT")]
    pub what: Option<String>,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Do not contact the remote
    #[arg(long)]
    pub offline: bool,
}

/// `state`.
#[derive(Debug, Subcommand)]
pub enum State {
    /// Fetch and verify the record, and push outcomes that wait in this clone
    Fetch,
    /// Push verified records that the remote lacks; never forces
    Push,
    /// Continue from the last valid record after somebody pushed a commit that is not a record
    Recover(Recover),
}

/// `state recover`.
#[derive(Debug, Args)]
pub struct Recover {
    /// The reason, for readers of the record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
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
