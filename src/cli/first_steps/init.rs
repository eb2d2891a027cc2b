//! `init`: writes a configuration file to start from.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::arguments::Init;
use crate::cli::print::print_out;
use crate::files::whole;
use crate::simulator::Profile;
use crate::{Error, ErrorKind, Result};

pub(in crate::cli) fn init(arguments: &Init) -> Result<ExitCode> {
    if arguments.list {
        for profile in Profile::ALL {
            print_out!("{:<13} {}: {}", profile.name(), profile.platform(), profile.about());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (path, profile) = (&arguments.path, arguments.profile);
    // Sooner or later it holds a secret.
    let write = if arguments.force { whole::replace } else { whole::create };
    write(path, profile.config_text()).map_err(|error| failed(path, &error))?;
    print_out!("{} is written, for {}", path.display(), profile.platform());
    print_out!("\nNext:\n{}", next_steps(path, profile));
    Ok(ExitCode::SUCCESS)
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::AlreadyExists => "name another file, or overwrite it with --force",
        io::ErrorKind::NotFound => "create the directory first",
        io::ErrorKind::IsADirectory => "name a file in it",
        _ => "name a file that this user may write",
    };
    Error::new(ErrorKind::InvalidArgument, format!("writing the configuration file {}: {error}", path.display()))
        .with_hint(hint)
}

fn next_steps(path: &Path, profile: Profile) -> String {
    let option = if path == Path::new("cxsink.toml") { String::new() } else { format!(" --config {}", path.display()) };
    format!(
        "  1. Read the file: its first lines name the variables for secrets, and what to correct.\n  \
         2. cxsink check{option}      tries each step, with a hint for each problem\n  \
         3. cxsink init-db{option}    creates the table\n  \
         4. cxsink run{option}\n\
         To try it without an account: cxsink simulate --profile {}",
        profile.name()
    )
}
