//! Entry of the command line: parses the arguments, runs the command, turns an error into a message and an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use super::arguments::{Arguments, Command};
use super::print::print_out;
use super::{check, dead_letters, demo, gaps, import, init_db, print, run, signals, simulate, validate};
use crate::{Config, Error, ErrorKind};

/// Runs the command line, with the program's name as first argument, and prints to the standard streams.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    signals::outlive_file_limit();
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too, with exit code 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            print::report(&error);
            ExitCode::from(match error.kind() {
                ErrorKind::Config | ErrorKind::InvalidArgument => 2,
                _ => 1,
            })
        }
    }
}

fn dispatch(arguments: &Arguments) -> Result<ExitCode, Error> {
    let settings = &arguments.settings;
    match &arguments.command {
        Command::Run(options) => run::run(&settings.load()?, options),
        Command::Check(options) => Ok(check::check(settings, options)),
        Command::InitDb { print } => init_db::init_db(&settings.load()?, *print),
        Command::Import { file } => import::import(&settings.load()?, file),
        Command::Validate { file } => validate::validate(&settings.load()?, file),
        Command::DeadLetters { action } => dead_letters::dead_letters(&settings.load()?, action),
        Command::RenewSpool => renew_spool(&settings.load()?),
        Command::Gaps { json } => gaps::gaps(&settings.load()?, *json),
        Command::Simulate(options) => simulate::simulate(options, settings),
        Command::Demo(options) => demo::demo(options, settings),
    }
}

fn renew_spool(config: &Config) -> Result<ExitCode, Error> {
    crate::renew_spool(config)?;
    print_out!(
        "the spool {} is one of its own: the next start writes every event in it to the table",
        config.spool.path.display()
    );
    Ok(ExitCode::SUCCESS)
}
