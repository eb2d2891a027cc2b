//! `validate`: events in a file, against the schema alone.

use std::io::BufRead;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::format::grouped;
use crate::{Config, Error, ErrorKind, Result, Validator};

pub(super) fn validate(config: &Config, file: &Path) -> Result<ExitCode> {
    let validator = Validator::new(config)?;
    let (mut valid, mut invalid) = (0_u64, 0_u64);
    for (number, line) in crate::cli::run::open_input(file)?.split(b'\n').enumerate() {
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
                    say!("line {}: {error}", number + 1);
                }
                for violation in error.violations() {
                    say!("line {}: {violation}", number + 1);
                }
            }
        }
    }
    say!("{} valid, {} invalid", grouped(valid), grouped(invalid));
    Ok(if invalid == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
