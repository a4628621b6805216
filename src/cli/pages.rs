//! Reading the command line, and the pages about it.

use clap::{CommandFactory as _, Parser as _};

use super::Cli;

/// How reading the command line ended.
#[derive(Debug)]
pub enum Read {
    /// A command.
    Run(Box<Cli>),
    /// Help or a version was asked for, and is this.
    Help(String),
    /// It cannot be read; why, as clap says it.
    Usage(String),
}

/// Reads the command line.
pub fn read() -> Read {
    match Cli::try_parse() {
        Ok(cli) => Read::Run(Box::new(cli)),
        Err(error) if error.use_stderr() => Read::Usage(error.render().to_string()),
        Err(error) => Read::Help(error.render().to_string()),
    }
}

/// The help of a command, which is named by its words (none: of all commands). `None`: there is no such command.
pub fn help(words: &[String]) -> Option<String> {
    let mut root = Cli::command();
    root.build();
    let mut command = &mut root;
    for word in words {
        command = command.find_subcommand_mut(word)?;
    }
    Some(command.render_long_help().to_string())
}

/// The names of all commands.
pub fn commands() -> Vec<String> {
    Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// The reference of all commands (docs/cli.md), from their help texts.
pub fn reference() -> String {
    let mut page = "# Commands\n\nGenerated from `src/cli.rs`; a test compares it.\n".to_owned();
    let mut root = Cli::command().term_width(100).max_term_width(100);
    root.build();
    section(&mut page, &mut root, "platformctl");
    page
}

fn section(page: &mut String, command: &mut clap::Command, path: &str) {
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    *page += &format!("\n## `{path}`\n\n```text\n{}\n```\n", help.join("\n").trim_end());
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help" || path == "platformctl") {
        let name = format!("{path} {}", sub.get_name());
        section(page, sub, &name);
    }
}
