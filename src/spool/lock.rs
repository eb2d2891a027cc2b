//! The lock beside the file: one process at a time has a spool open. It ends with the process, however that ends.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process;

use crate::error::{Error, Result};
use crate::files::open;
use crate::time::clock::{Clock, SystemClock};
use crate::time::timestamp::format_micros;

const DIRECTORY_HINT: &str = "set spool.path to a file in a directory that this user may write to";

/// The lock of a spool, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    process: u32,
}

impl Drop for Lock {
    /// Closing the file is not enough: a program that another thread starts at this moment has a copy of the descriptor until its
    /// exec, and the lock lasts as long as the last copy. A forked child leaves it locked, because it shares the lock with its parent.
    fn drop(&mut self) {
        if self.process == process::id() {
            let _ = self.file.unlock();
        }
    }
}

/// Takes the lock. Its file stays and names the process that holds it.
pub(super) fn acquire(path: &Path) -> Result<Lock> {
    let lock_path = lock_path(path);
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        open::create_private_folder(directory).map_err(|error| {
            Error::spool(format!("creating the spool's directory {}: {error}", directory.display()))
                .with_hint(DIRECTORY_HINT)
        })?;
    }
    // The spool holds customers' events, so only this user may read it. SQLite gives the files beside it the same rights. If
    // this fails, SQLite reports why.
    let _ = private_options().open(path);
    let mut file = private_options().open(&lock_path).map_err(|error| {
        Error::spool(format!("opening the spool's lock {}: {error}", lock_path.display())).with_hint(DIRECTORY_HINT)
    })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use(path, &read_holder(&mut file))),
        Err(TryLockError::Error(error)) => {
            return Err(Error::spool(format!("locking {}: {error}", lock_path.display()))
                .with_hint("set spool.path to a local file system; some network file systems cannot lock"));
        }
    }
    let now = format_micros(SystemClock.unix_micros());
    let process = process::id();
    let holder = format!("process {process} (since {}Z)\n", &now[..19]);
    // Only for the error message of the next process: a failure must not stop the sink.
    let _ = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
    Ok(Lock { file, process })
}

/// The process that has the spool open, as its lock names it.
pub(super) fn holder(path: &Path) -> Option<String> {
    let mut file = File::open(lock_path(path)).ok()?;
    let Err(TryLockError::WouldBlock) = file.try_lock_shared() else {
        let _ = file.unlock();
        return None;
    };
    Some(read_holder(&mut file))
}

pub(super) fn in_use(path: &Path, holder: &str) -> Error {
    Error::spool(format!("opening the spool {}: it is in use by {holder}", path.display()))
        .with_hint("end the other sink, or give this one a spool.path of its own: one sink at a time uses a spool")
}

fn read_holder(file: &mut File) -> String {
    let mut holder = String::new();
    let _ = file.read_to_string(&mut holder);
    if holder.is_empty() { "another process".into() } else { holder.trim().into() }
}

fn lock_path(path: &Path) -> PathBuf {
    beside(path, "lock")
}

/// The file of this purpose beside the spool's own.
pub(super) fn beside(path: &Path, purpose: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(purpose);
    PathBuf::from(name)
}

/// Opens or creates a file that only this user may read.
pub(super) fn private_options() -> fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_lock_is_free_while_a_starting_program_has_the_descriptor() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool.db");
        let lock = acquire(&path).unwrap();
        // As between fork and exec in another thread.
        let _copy = lock.file.try_clone().unwrap();
        drop(lock);
        assert_eq!(holder(&path), None);
        acquire(&path).unwrap();
    }

    #[test]
    fn a_forked_child_leaves_the_lock_to_its_parent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool.db");
        let lock = acquire(&path).unwrap();
        drop(Lock { file: lock.file.try_clone().unwrap(), process: lock.process + 1 });
        assert!(acquire(&path).is_err());
    }
}
