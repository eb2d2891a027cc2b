//! The files beside the spool's own: opened only if they are ours.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use crate::files::open::is_of_this_user;
use crate::files::open::{private_options, with_owners_rights};

/// The file of this purpose beside the spool's own: `PATH.lock`.
pub(in crate::spool) fn beside(path: &Path, purpose: &str) -> PathBuf {
    with_end(path, &format!(".{purpose}"))
}

/// The file whose name has this end: `PATH-wal`.
pub(in crate::spool) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Opens or creates a file beside the spool that will be written. What another user has put there, a link for example, is refused:
/// it would be that file which is overwritten.
pub(in crate::spool) fn open_own(path: &Path) -> io::Result<File> {
    open_by(private_options(), path)
}

/// Opens a file beside the spool that is only read, and must exist.
pub(super) fn read_own(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    open_by(options, path)
}

fn open_by(mut options: fs::OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // NONBLOCK: a named pipe has no end to wait for.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path).map_err(|error| {
        let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        if is_link { io::Error::new(error.kind(), "it is a symbolic link") } else { error }
    })?;
    match stranger(&file.metadata()?) {
        Some(why) => Err(io::Error::new(io::ErrorKind::PermissionDenied, why)),
        None => Ok(with_owners_rights(file)),
    }
}

/// Why this file is not ours to write; `None` if it is.
fn stranger(metadata: &fs::Metadata) -> Option<&'static str> {
    if !metadata.is_file() {
        return Some("it is not a regular file");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if metadata.nlink() > 1 {
            return Some("it has another name: a hard link");
        }
        if !is_of_this_user(metadata) {
            return Some("it belongs to another user");
        }
    }
    None
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn a_link_a_pipe_and_a_second_name_are_refused_and_their_targets_unchanged() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        let path = directory.path().join("spool.db.lock");
        fs::write(&victim, "precious").unwrap();
        let refused = |why: &str| {
            let error = open_own(&path).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            fs::remove_file(&path).unwrap();
        };
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        refused("symbolic link");
        fs::hard_link(&victim, &path).unwrap();
        refused("hard link");
        std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        refused("regular file");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        open_own(&path).unwrap();
        open_own(&path).unwrap();
    }
}
