//! Printing to the standard streams. A reader that has gone away, as in `cxsink dead-letters list | head`, is not an error.

use std::io::Write;

use crate::Error;

/// Prints a line to the standard output.
macro_rules! print_out {
    ($($argument:tt)*) => { $crate::cli::print::line(&mut std::io::stdout().lock(), format_args!($($argument)*)) };
}

/// Prints a line to the standard error stream.
macro_rules! print_err {
    ($($argument:tt)*) => { $crate::cli::print::line(&mut std::io::stderr().lock(), format_args!($($argument)*)) };
}

pub(super) use {print_err, print_out};

pub(super) fn line(out: &mut impl Write, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{text}");
}

/// Prints an error and its hint.
pub(super) fn report(error: &Error) {
    print_err!("cxsink: {error}");
    if let Some(hint) = error.hint() {
        print_err!("        {hint}");
    }
}
