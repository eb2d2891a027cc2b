//! `validate`: events from a file against the schema, and with `--columns` against the columns of the table.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::format::count;
use super::input;
use super::print::print_out;
use crate::sink::{Lines, Next};
use crate::{Config, Error, ErrorKind, Result, Validator};

pub(super) fn validate(config: &Config, file: &Path, columns: bool) -> Result<ExitCode> {
    let validator = if columns { Validator::for_table(config)? } else { Validator::new(config)? };
    let (mut valid, mut invalid) = (0_u64, 0_u64);
    // A signal ends the process: there is nothing to keep.
    let mut lines = Lines::new(input::open(file, Arc::new(AtomicBool::new(false)))?);
    loop {
        let next = lines
            .next()
            .map_err(|error| Error::new(ErrorKind::InvalidArgument, format!("reading {}: {error}", file.display())))?;
        let outcome = match next {
            Next::Line([]) | Next::Drained => continue,
            Next::Line(event) => validator.validate(event),
            Next::End => break,
        };
        match outcome {
            Ok(()) => valid += 1,
            Err(error) => {
                invalid += 1;
                show(lines.number(), &error);
            }
        }
    }
    print_out!("{} valid, {} invalid", count(valid), count(invalid));
    Ok(if invalid == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Every reason of an invalid line.
fn show(line: u64, error: &Error) {
    if error.violations().is_empty() {
        print_out!("line {line}: {error}");
    }
    for violation in error.violations() {
        print_out!("line {line}: {violation}");
    }
}
