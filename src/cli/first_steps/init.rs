//! `init`: writes a configuration file to start from.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::arguments::Init;
use crate::cli::print::print_out;
use crate::files::open;
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
    write(path, profile.config_text(), arguments.force).map_err(|error| failed(path, &error))?;
    print_out!("{} is written, for {}", path.display(), profile.platform());
    print_out!("\nNext:\n{}", next_steps(path, profile));
    Ok(ExitCode::SUCCESS)
}

/// Writes the file for this user only: sooner or later it holds a secret.
fn write(path: &Path, text: &str, force: bool) -> io::Result<()> {
    if !force {
        let written = open::create_private(path)
            .map(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))?;
        // Half a file would be in the way of the next attempt.
        return written.inspect_err(|_| drop(std::fs::remove_file(path)));
    }
    if path.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    // Beside it and renamed, so that a link is replaced and not followed, and a failure leaves the old file.
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{:08x}", fastrand::u32(..)));
    let beside = PathBuf::from(beside);
    write(&beside, text, false)?;
    std::fs::rename(&beside, path).inspect_err(|_| drop(std::fs::remove_file(&beside)))
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
