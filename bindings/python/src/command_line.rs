//! The command line, the same as that of the Rust binary.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use pyo3::prelude::*;

/// Runs the command line, with the name of the program as first argument; returns its exit code.
///
/// It takes over SIGINT and SIGTERM, and prints to the standard streams of the process.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| {
        let code = cxsink::cli::main(arguments);
        // Rust's own runtime does this when its `main` returns; here there is none.
        let _ = std::io::stdout().flush();
        // The number within is for the operating system only.
        (0..=u8::MAX).find(|number| ExitCode::from(*number) == code).unwrap_or(1)
    })
}
