//! Completions and manual pages, made from the definitions of the arguments.

use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::commands::Arguments;
use crate::cli::print::print_out;
use crate::{Error, ErrorKind, Result};

const NAME: &str = "cxsink";

pub(in crate::cli) fn completions(shell: Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut text);
    print_out!("{}", String::from_utf8_lossy(&text).trim_end());
    ExitCode::SUCCESS
}

/// # Errors
/// `InvalidArgument`: the folder cannot be written.
pub(in crate::cli) fn manual_pages(folder: &Path) -> Result<ExitCode> {
    // It holds no page of its own: `man cxsink-help` would repeat the others.
    let command = Arguments::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, folder).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("writing manual pages to {}: {error}", folder.display()))
            .with_hint("name an existing folder that this user may write")
    })?;
    Ok(ExitCode::SUCCESS)
}
