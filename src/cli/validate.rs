//! `validate`: events from a file against the schema, without any connection.

use std::io::BufRead;
use std::path::Path;
use std::process::ExitCode;

use super::format::count;
use super::input;
use super::print::print_out;
use crate::{Config, Error, ErrorKind, Result, Validator};

pub(super) fn validate(config: &Config, file: &Path) -> Result<ExitCode> {
    let validator = Validator::new(config)?;
    let (mut valid, mut invalid) = (0_u64, 0_u64);
    for (number, line) in input::open(file)?.split(b'\n').enumerate() {
        let line = line
            .map_err(|error| Error::new(ErrorKind::InvalidArgument, format!("reading {}: {error}", file.display())))?;
        let event = line.trim_ascii();
        if event.is_empty() {
            continue;
        }
        match validator.validate(event) {
            Ok(()) => valid += 1,
            Err(error) => {
                invalid += 1;
                if error.violations().is_empty() {
                    print_out!("line {}: {error}", number + 1);
                }
                for violation in error.violations() {
                    print_out!("line {}: {violation}", number + 1);
                }
            }
        }
    }
    print_out!("{} valid, {} invalid", count(valid), count(invalid));
    Ok(if invalid == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
