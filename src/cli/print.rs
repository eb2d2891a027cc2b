//! Printing to the standard streams. A reader that has gone away, as in `cxsink dead-letters list | head`, is not an error. Any other
//! failure of the standard output, a full disk for example, is one: the command reports it at its end.

use std::io::{self, ErrorKind as IoErrorKind, Write};
use std::process::ExitCode;
use std::sync::Mutex;

use super::format::{Tone, shows_colours, toned};
use super::logging;
use crate::threads::sync;
use crate::{Error, ErrorKind, Result};

/// Prints a line to the standard output.
macro_rules! print_out {
    ($($argument:tt)*) => { $crate::cli::print::out(format_args!($($argument)*)) };
}

/// Prints a line to the standard error stream.
macro_rules! print_err {
    ($($argument:tt)*) => { $crate::cli::print::err(format_args!($($argument)*)) };
}

pub(super) use {print_err, print_out};

/// The first failure of the standard output.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

pub(super) fn out(text: std::fmt::Arguments<'_>) {
    note(writeln!(io::stdout().lock(), "{text}"));
}

/// There is no other place to report that this stream cannot be written.
pub(super) fn err(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Notes a failure of the standard output.
pub(super) fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != IoErrorKind::BrokenPipe
    {
        sync::lock(&FAILURE).get_or_insert(error);
    }
}

/// Whether everything that was printed to the standard output was written.
pub(super) fn finish() -> Result<()> {
    note(io::stdout().lock().flush());
    match sync::lock(&FAILURE).take() {
        None => Ok(()),
        Some(error) => Err(Error::new(ErrorKind::Internal, format!("writing the standard output: {error}"))
            .with_hint("make room where it is written to, and run the command again")),
    }
}

/// Prints a remark to the standard error stream, as JSON where the log is JSON too.
pub(super) fn say(text: &str) {
    if logging::is_json() {
        print_err!("{}", logging::json_line(log::Level::Info, "cxsink", text));
    } else {
        print_err!("{text}");
    }
}

/// Prints an error and its hint: lines for people, or one JSON object where the log is JSON too.
pub(super) fn report(error: &Error) {
    if logging::is_json() {
        let mut line = logging::json_line(log::Level::Error, "cxsink", error.message());
        line["error"] = serde_json::to_value(error).unwrap_or_default();
        print_err!("{line}");
        return;
    }
    let name = toned("cxsink:", Some(Tone::Bad), shows_colours(&io::stderr()));
    print_err!("{name} {}{error}", logging::prefix());
    if let Some(hint) = error.hint() {
        print_err!("        {hint}");
    }
}

/// Prints an error, and returns the exit code of a command that it ends.
pub(super) fn report_with_code(error: &Error) -> ExitCode {
    report(error);
    ExitCode::from(match error.kind() {
        ErrorKind::Config | ErrorKind::InvalidArgument => 2,
        _ => 1,
    })
}
