//! Commands: one thin file a verb. They read the command line, call a verb of `flow`, and put what it gave into a
//! report.

mod abandon;
mod apply;
mod bug;
mod check;
mod demo;
mod doctor;
mod help;
mod hook;
mod init;
mod lint;
mod log;
mod pending;
mod plan;
mod resume;
mod schema;
mod session;
mod show;
mod state;
mod status;
mod validate;
mod verify;

use std::{panic, process::ExitCode};

use session::Session;

use crate::{
    cli::{self, Cli, Command},
    error::Failure,
    io::{
        clock::SystemClock,
        env::Env,
        log::{self as logging, Detail},
    },
    port::{Answer, Clock as _},
    ui::{Printer, Report},
};

/// The whole program.
pub fn main() -> ExitCode {
    let env = Env::read();
    let plain = env.get("NO_COLOR").is_some() || env.get("TERM") == Some("dumb");
    let cli = match cli::read() {
        cli::Read::Run(cli) => cli,
        cli::Read::Help(text) => {
            let printer = Printer::new(false, plain);
            printer.raw(&text);
            return ExitCode::from(printer.ended(0));
        }
        cli::Read::Usage(text) => {
            Printer::new(true, plain).say(text.trim_end());
            return ExitCode::from(2);
        }
    };
    let env = cli.globals.dir.as_deref().map_or(env.clone(), |dir| env.within(dir));
    let printer = Printer::new(cli.globals.json, plain);
    let name = cli.command.name();
    bug::watch();
    let ended = panic::catch_unwind(|| {
        start_log(&cli, &env, name)?;
        bug::planted(&env);
        run(&cli, &env, printer)
    });
    let report = match ended {
        Ok(Ok(report)) => report,
        Ok(Err(failure)) => Report::failed(name, &failure),
        Err(_) => {
            let panic = bug::Panic::last();
            if let Some(backtrace) = &panic.backtrace {
                printer.beside(backtrace);
            }
            Report::failed(name, &panic.failure(name))
        }
    };
    ExitCode::from(printer.finish(&report))
}

fn start_log(cli: &Cli, env: &Env, command: &'static str) -> Answer<()> {
    let detail = Detail::chosen(cli.globals.verbose, env)?;
    logging::start(detail, env, command, SystemClock::new(env).now());
    Ok(())
}

fn run(cli: &Cli, env: &Env, printer: Printer) -> Result<Report, Failure> {
    let session = || Session::open(&cli.globals, env, printer);
    match &cli.command {
        Command::Validate(args) => validate::run(&session()?, args),
        Command::Lint(args) => lint::run(&cli.globals, env, args),
        Command::Plan(args) => plan::run(&session()?, args),
        Command::Check(args) => check::run(&session()?, args),
        Command::Apply(args) => apply::run(&session()?, args),
        Command::Resume(args) => resume::run(&session()?, args),
        Command::Abandon(args) => abandon::run(&session()?, args),
        Command::Doctor(args) => doctor::run(&session()?, args),
        Command::Status(args) => status::run(&session()?, args),
        Command::Pending(args) => pending::run(&session()?, args),
        Command::Log(args) => log::run(&session()?, args),
        Command::Show(args) => show::run(&session()?, args),
        Command::Verify(args) => verify::run(&session()?, args),
        Command::State(args) => state::run(&session()?, args),
        Command::Init(args) => init::run(&session()?, args),
        Command::Demo(args) => demo::run(args, env, printer),
        Command::Help(args) => help::run(args),
        Command::Hook(args) => hook::run(&session()?, args),
        Command::Schema(args) => schema::run(args),
    }
}
