//! The command line: a thin edge over the public API, for Rust's binary and the Python package alike.
//!
//! Exit codes: 0 ok, 1 ended by an error, 2 bad usage or configuration.
#![expect(clippy::print_stderr, reason = "a command line prints; the library does not")]

/// Prints a line. A reader that has gone away, as in `cxsink dead-letters list | head`, is no error.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout().lock(), $($argument)*);
    }};
}

mod arguments;
mod check;
mod dead_letters;
mod demo;
mod format;
mod gaps;
mod live;
mod logging;
mod replay;
mod run;
mod simulate;
mod validate;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::{Error, ErrorKind};
use arguments::{Arguments, Command};

/// Runs the command line, with the program's name as first argument, and prints to the standard streams.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
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
            report(&error);
            ExitCode::from(match error.kind() {
                ErrorKind::Config | ErrorKind::InvalidArgument => 2,
                _ => 1,
            })
        }
    }
}

fn report(error: &Error) {
    eprintln!("cxsink: {error}");
    if let Some(hint) = error.hint() {
        eprintln!("        {hint}");
    }
}

fn dispatch(arguments: &Arguments) -> Result<ExitCode, Error> {
    let settings = &arguments.settings;
    match &arguments.command {
        Command::Run(options) => run::run(&settings.load()?, options),
        Command::Check(options) => Ok(check::check(settings, options)),
        Command::InitDb { print } => init_db(&settings.load()?, *print),
        Command::Import { file } => run::import(&settings.load()?, file),
        Command::Validate { file } => validate::validate(&settings.load()?, file),
        Command::DeadLetters { action } => dead_letters::dead_letters(&settings.load()?, action),
        Command::Gaps { json } => gaps::gaps(&settings.load()?, *json),
        Command::Simulate(options) => simulate::simulate(options, settings),
        Command::Demo(options) => demo::demo(options, settings),
    }
}

fn init_db(config: &crate::Config, print: bool) -> Result<ExitCode, Error> {
    if print {
        say!("{}", crate::init_db_sql(config)?.trim_end());
    } else {
        crate::init_db(config)?;
        say!("the tables {} and cxsink_checkpoint are there", config.destination.table);
    }
    Ok(ExitCode::SUCCESS)
}
