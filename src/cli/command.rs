//! Entry of the command line: parses the arguments, runs the command, turns an error into a message and an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use super::arguments::{Arguments, Command, completions, long_version, manual_pages};
use super::print::print_out;
use super::{
    check, dead_letters, first_steps, gaps, import, init_db, logging, peek_stream, print, run, signals, validate,
};
use crate::config::LogFormat;
use crate::files::core_file;
use crate::{Config, Error, ErrorKind};

/// Runs the command line, with the program's name as first argument, and prints to the standard streams.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    core_file::forbid();
    signals::outlive_file_limit();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    logging::set_format(wanted_format(&arguments));
    // The parser stops at --version.
    let wants_more = arguments.iter().any(|argument| argument == "--verbose" || argument == "-v");
    let outcome = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => dispatch(&arguments),
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayVersion && wants_more => {
            print_out!("{}", long_version());
            Ok(ExitCode::SUCCESS)
        }
        // Help and version come this way too.
        Err(error) if !error.use_stderr() => {
            print::note(error.print());
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if logging::is_json() => Err(Error::new(ErrorKind::InvalidArgument, error.to_string().trim_end())),
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(2);
        }
    };
    match outcome.and_then(|code| print::finish().map(|()| code)) {
        Ok(code) => code,
        Err(error) => print::report_with_code(&error),
    }
}

/// The format that the command line or the environment asks for, before either is parsed.
fn wanted_format(arguments: &[OsString]) -> LogFormat {
    let option = arguments.iter().enumerate().find_map(|(at, argument)| match argument.to_str()? {
        "--log-format" => arguments.get(at + 1)?.to_str(),
        argument => argument.strip_prefix("--log-format="),
    });
    let variable = std::env::var("CXSINK_LOG__FORMAT").ok();
    if option.or(variable.as_deref()) == Some("json") { LogFormat::Json } else { LogFormat::Text }
}

fn dispatch(arguments: &Arguments) -> Result<ExitCode, Error> {
    let settings = &arguments.settings;
    match &arguments.command {
        Command::Run(options) => run::run(settings, options),
        Command::Check(options) => Ok(check::check(settings, options)),
        Command::InitDb { print, partitioned } => init_db::init_db(settings, *print, *partitioned),
        Command::Status(options) => run::status(settings, options),
        Command::Top => run::top(settings),
        Command::Import { file, replay } => import::import(settings, file, *replay),
        Command::Validate { file, columns } => validate::validate(&settings.load_one()?, file, *columns),
        Command::DeadLetters { action } => dead_letters::dead_letters(&settings.load_one()?, action),
        Command::RenewSpool => renew_spool(&settings.load_one()?),
        Command::Gaps { json } => gaps::gaps(settings, *json),
        Command::Init(options) => first_steps::init(options),
        Command::PeekStream(options) => peek_stream::peek_stream(settings, options),
        Command::Simulate(options) => first_steps::simulate(options, settings),
        Command::Demo(options) => first_steps::demo(options, settings),
        Command::Completions { shell } => Ok(completions(*shell)),
        Command::ManualPages { folder } => manual_pages(folder),
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
