//! The lock of a spool: one process at a time has it open. It ends with the process, however that ends.
//!
//! One lock is on the inode of the spool's file, so every name of the file meets it: a symbolic link to it or to its directory, a hard
//! link, the bind mount of another path. On Linux `flock(2)` does not touch SQLite's own locks, which are `fcntl(2)`'s. Elsewhere the
//! two exclude each other, and network file systems make one of the other; there the second lock must do.
//!
//! The second one is on `PATH.lock`, beside the file's real name. SQLite's log belongs to that name: as long as a sink has a file open,
//! another file that was put in its place must not be opened, with the first one's log.

use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Read, Write};
use std::path::{self, Path, PathBuf};
use std::process;

use crate::error::{Class, Error, Result};
use crate::files::open;
use crate::spool::identity::inode::{FileId, Inode};
use crate::spool::identity::own_file::{beside, open_own, read_own, with_end};
use crate::time::clock::{Clock, SystemClock};
use crate::time::timestamp::format_micros;

const DIRECTORY_HINT: &str = "set spool.path to a file in a directory that this user may write to";
const OWN_FILE_HINT: &str = "move it away if you do not know it: cxsink writes only files of its own user";
/// Tries to lock a file that is replaced at the same time.
const TRIES: usize = 3;
/// The part of a lock file's text that is shown.
const HOLDER_CHARS_MAX: usize = 100;
/// File systems on which locks and SQLite's log are not safe: the magic numbers of statfs(2) and of linux/magic.h.
pub(in crate::spool) const NETWORK_FILE_SYSTEMS: [(u32, &str); 7] = [
    (0x6969, "NFS, a network file system, where locks and SQLite's log are not safe"),
    (0x517b, "SMB, a network file system, where locks and SQLite's log are not safe"),
    (0xff53_4d42, "SMB, a network file system, where locks and SQLite's log are not safe"),
    (0xfe53_4d42, "SMB, a network file system, where locks and SQLite's log are not safe"),
    (0x0102_1997, "9P, a shared folder, where locks and SQLite's log are not safe"),
    (0x00c3_6400, "CephFS, a network file system, where locks and SQLite's log are not safe"),
    (0x0bd0_0bd0, "Lustre, a network file system, where locks and SQLite's log are not safe"),
];

/// The lock of a spool, held until it is released. Its descriptor stays open until it is dropped, which must be after SQLite's
/// connections: see [`Inode`].
#[derive(Debug)]
pub(in crate::spool) struct Lock {
    inode: Inode,
    /// `PATH.lock`, which names the holder. `None` while it is taken.
    file: Option<File>,
    is_on_inode: bool,
    hold: Hold,
    process: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// Its spool is written.
    InUse,
    /// Its spool is written no more.
    Idle,
    Released,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.release();
    }
}

impl Lock {
    /// Locks the file; `None` if it is locked already.
    fn take(inode: Inode, path: &Path) -> Result<Option<Self>> {
        let fail = |error: &io::Error| {
            Error::spool(format!("locking the spool {}: {error}", path.display()))
                .with_hint("set spool.path to a local file system; some network file systems cannot lock")
        };
        let is_on_inode = carries_lock(&inode);
        if is_on_inode && !inode.try_lock().map_err(|error| fail(&error))? {
            return Ok(None);
        }
        // Dropped on each way out, it unlocks the inode.
        let mut lock = Self { inode, file: None, is_on_inode, hold: Hold::InUse, process: process::id() };
        let lock_path = beside(path, "lock");
        let mut file = open_own(&lock_path).map_err(|error| {
            let hint = if error.raw_os_error().is_some() { DIRECTORY_HINT } else { OWN_FILE_HINT };
            Error::spool(format!("opening the spool's lock {}: {error}", lock_path.display())).with_hint(hint)
        })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(fail(&error)),
        }
        name_holder(&mut file);
        lock.file = Some(file);
        Ok(Some(lock))
    }

    /// Nothing is written under this lock any more, though it may be held for longer. False if this was said before.
    pub(in crate::spool) fn end_use(&mut self) -> bool {
        let was_in_use = self.hold == Hold::InUse;
        if was_in_use {
            self.hold = Hold::Idle;
        }
        was_in_use
    }

    pub(super) fn inode(&self) -> &Inode {
        &self.inode
    }

    /// Holds `PATH.lock`, also if that was removed; false if it is another process's now.
    pub(super) fn hold_name(&mut self, path: &Path) -> bool {
        let lock_path = beside(path, "lock");
        let is_there = |file: &File| {
            let (Ok(own), Ok(found)) = (file.metadata(), fs::symlink_metadata(&lock_path)) else { return false };
            FileId::of(&own) == FileId::of(&found)
        };
        if self.file.as_ref().is_some_and(is_there) {
            return true;
        }
        let Ok(mut file) = open_own(&lock_path) else { return false };
        let is_free = file.try_lock().is_ok();
        if is_free {
            name_holder(&mut file);
            self.file = Some(file);
        }
        is_free
    }

    /// Lets another process lock it.
    pub(in crate::spool) fn release(&mut self) {
        let hold = std::mem::replace(&mut self.hold, Hold::Released);
        if hold == Hold::Released || self.process != process::id() {
            return;
        }
        // Not by closing it: see `Inode::unlock`. Before the inode: see `check_place`.
        if let Some(file) = &self.file {
            let _ = file.unlock();
        }
        if self.is_on_inode {
            self.inode.unlock();
        }
    }

    /// Whether the name still means the file that is locked.
    pub(in crate::spool) fn is_at(&self, path: &Path) -> bool {
        self.inode.is_at(path)
    }
}

/// Locks the spool at this path, and creates its file if there is none. Returns the file's real path too.
pub(in crate::spool) fn acquire(path: &Path) -> Result<(PathBuf, Lock)> {
    let named = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if let Some(directory) = named.parent() {
        open::create_private_folder(directory).map_err(|error| {
            Error::spool(format!("creating the spool's directory {}: {error}", directory.display()))
                .with_hint(DIRECTORY_HINT)
        })?;
    }
    for _ in 0..TRIES {
        // The spool holds customers' events, so only this user may read it. SQLite gives the files beside it the same rights.
        let inode = Inode::open(&named, &open::private_options()).map_err(|error| not_opened(&named, &error))?;
        let path = resolve(&named);
        let metadata = inode.metadata().map_err(|error| not_opened(&path, &error))?;
        if !metadata.is_file() {
            return Err(not_opened(&path, &io::Error::other("it is not a regular file")));
        }
        let is_ours = inode.is_locked_here();
        let Some(lock) = Lock::take(inode, &path)? else {
            return Err(in_use(&named, &holder_of(&path, is_ours)));
        };
        if lock.is_at(&path) {
            check_name(&path)?;
            check_owner(&path, &metadata)?;
            return Ok((path, lock));
        }
    }
    Err(Error::spool(format!(
        "opening the spool {}: another program replaces the file again and again",
        named.display()
    ))
    .with_class(Class::Transient)
    .with_hint("find out which program writes to this path, and give the spool one of its own"))
}

/// The file's own path, without symbolic links.
pub(in crate::spool) fn resolve(path: &Path) -> PathBuf {
    fs::canonicalize(path).or_else(|_| path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

/// The process that has the spool open.
pub(in crate::spool) fn holder(path: &Path) -> Option<String> {
    let path = resolve(path);
    let inode = Inode::open(&path, File::options().read(true)).ok()?;
    let is_ours = inode.is_locked_here();
    let is_held = is_ours || (carries_lock(&inode) && inode.is_locked().ok()?) || is_name_locked(&path);
    is_held.then(|| holder_of(&path, is_ours))
}

fn holder_of(path: &Path, is_ours: bool) -> String {
    let unnamed = || if is_ours { this_process() } else { "another process".into() };
    read_holder(path).unwrap_or_else(unnamed)
}

fn is_name_locked(path: &Path) -> bool {
    let Ok(file) = read_own(&beside(path, "lock")) else { return false };
    let is_locked = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    let _ = file.unlock();
    is_locked
}

/// For a connection beside a sink: the log beside the file must be the file's own. While a sink still has the file that was here
/// before, it is that one's.
pub(in crate::spool) fn check_place(path: &Path, inode: &Inode) -> Result<()> {
    if carries_lock(inode) && inode.is_locked().is_ok_and(|is_locked| !is_locked) && is_name_locked(path) {
        let holder = holder_of(path, false);
        let message = format!("opening the spool {}: {holder} still has the file that was here before", path.display());
        return Err(Error::spool(message).with_hint("wait until that sink has ended"));
    }
    Ok(())
}

pub(in crate::spool) fn in_use(path: &Path, holder: &str) -> Error {
    Error::spool(format!("opening the spool {}: it is in use by {holder}", path.display()))
        .with_hint("end the other sink, or give this one a spool.path of its own: one sink at a time uses a spool")
}

/// Only for the error message of the next process: a failure must not stop the sink.
fn name_holder(file: &mut File) {
    let now = format_micros(SystemClock.unix_micros());
    let holder = format!("{} (since {}Z)\n", this_process(), &now[..19]);
    let _ = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
}

fn this_process() -> String {
    format!("process {}", process::id())
}

/// Another user may have written the lock file: only what is surely text is shown, and not all of it.
fn read_holder(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    if let Ok(file) = read_own(&beside(path, "lock")) {
        let _ = file.take(HOLDER_CHARS_MAX as u64).read_to_end(&mut bytes);
    }
    let holder: String = bytes.iter().map(|&byte| char::from(byte)).filter(|char| matches!(char, ' '..='~')).collect();
    Some(holder.trim().to_owned()).filter(|holder| !holder.is_empty())
}

/// SQLite names the log after the name by which it opens the file. By another name it would not find the log, and the events in it.
pub(in crate::spool) fn check_name(path: &Path) -> Result<()> {
    let refuse = |why: &str, hint: &str| {
        Err(Error::spool(format!("opening the spool {}: {why}", path.display())).with_hint(hint))
    };
    #[cfg(unix)]
    if fs::metadata(path).is_ok_and(|found| std::os::unix::fs::MetadataExt::nlink(&found) > 1) {
        return refuse(
            "the file has another name, a hard link, under which its log is not found",
            "remove the other name (`find -samefile` shows it); copy a spool only while no sink has it open",
        );
    }
    if is_mount(path) {
        return refuse(
            "the file is a mount by itself, and its log stays outside of it",
            "mount the spool's directory instead of the file",
        );
    }
    Ok(())
}

/// The events in a spool go to the table, and are customers' data.
fn check_owner(path: &Path, metadata: &Metadata) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};

        if !open::is_of_this_user(metadata) {
            let message =
                format!("opening the spool {}: it belongs to another user ({})", path.display(), metadata.uid());
            return Err(Error::spool(message).with_hint("run the sink as that user, or make its own user the owner"));
        }
        let mode = metadata.mode() & 0o777;
        if mode & 0o007 != 0 {
            let could = if mode & 0o002 != 0 { "write" } else { "read" };
            log::warn!(
                "every user could {could} the spool {} (mode {mode:03o}): taking that right away",
                path.display()
            );
            for end in ["", "-wal", "-shm"] {
                // Another process may hold it; then this user is not its owner, and the warning is all there is.
                let _ = fs::set_permissions(with_end(path, end), fs::Permissions::from_mode(mode & 0o770));
            }
        }
    }
    Ok(())
}

fn not_opened(path: &Path, error: &io::Error) -> Error {
    let failed = Error::spool(format!("opening the spool {}: {error}", path.display())).caused_by_io(error);
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            failed.with_class(Class::Transient).with_hint("free some room: the disk is full")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            failed.with_hint("make the file and its directory writable for this user")
        }
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => failed.with_hint(DIRECTORY_HINT),
        _ => failed.with_hint("set spool.path to a file that cxsink may create"),
    }
}

/// Whether a lock on the inode leaves SQLite's own locks alone.
#[cfg(target_os = "linux")]
fn carries_lock(inode: &Inode) -> bool {
    let kind = inode.file().and_then(|file| rustix::fs::fstatfs(file).map_err(Into::into));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a magic number has 32 bits")]
    kind.is_ok_and(|kind| NETWORK_FILE_SYSTEMS.iter().all(|(magic, _)| *magic != kind.f_type as u32))
}

#[cfg(not(target_os = "linux"))]
fn carries_lock(_: &Inode) -> bool {
    false
}

/// Whether a file system, or a part of one, is mounted at exactly this path. Linux tells since 5.8.
#[cfg(target_os = "linux")]
fn is_mount(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS);
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(target_os = "linux"))]
fn is_mount(_: &Path) -> bool {
    false
}

#[cfg(test)]
#[path = "../tests/lock.rs"]
mod tests;
