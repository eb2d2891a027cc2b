//! The spool files that this process has open, by inode, with one descriptor for each.
//!
//! A process that closes any descriptor of a file loses its POSIX locks on that file, those of SQLite too (SQLite, "How To Corrupt An
//! SQLite Database File", section 2.2). So our own descriptor stays open until its last user has gone, and everything that opens a
//! spool by SQLite holds an [`Inode`] for longer than its connection.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex};

use crate::files::open::with_owners_rights;
use crate::files::without_fork;
use crate::threads::sync;

static OPEN: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Entry {
    id: FileId,
    /// A forked child has its parent's entries, and makes its own.
    process: u32,
    /// The first one carries the lock. Others were opened by a name that had just come to mean this file.
    files: Vec<Arc<File>>,
    users: usize,
    is_locked: bool,
}

/// A use of an inode: its descriptor stays open.
#[derive(Debug)]
pub(in crate::spool) struct Inode {
    id: FileId,
    process: u32,
    /// `None` while it is dropped.
    file: Option<Arc<File>>,
}

impl Inode {
    /// Opens the file, or finds the descriptor that is open already.
    pub(in crate::spool) fn open(path: &Path, options: &OpenOptions) -> io::Result<Self> {
        let process = process::id();
        with_open(|open| {
            let known = fs::metadata(path).ok().and_then(|found| entry(open, FileId::of(&found), process));
            if let Some(known) = known {
                return Ok(known.use_once());
            }
            let file = Arc::new(with_owners_rights(options.open(path)?));
            let id = FileId::of(&file.metadata()?);
            if let Some(known) = entry(open, id, process) {
                known.files.push(file);
                return Ok(known.use_once());
            }
            let mut new = Entry { id, process, files: vec![file], users: 0, is_locked: false };
            let used = new.use_once();
            open.push(new);
            Ok(used)
        })
    }

    /// As the descriptor has it (fstat), whatever its names mean now.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file()?.metadata()
    }

    /// Whether the name means this file.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| FileId::of(&found) == self.id)
    }

    pub(super) fn id(&self) -> FileId {
        self.id
    }

    /// Whether no name is left for it.
    pub(super) fn is_removed(&self) -> bool {
        #[cfg(unix)]
        return self.metadata().is_ok_and(|found| std::os::unix::fs::MetadataExt::nlink(&found) == 0);
        #[cfg(not(unix))]
        false
    }

    /// The name that it has now, where the system tells.
    pub(super) fn place(&self) -> Option<PathBuf> {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            let descriptor = self.file().ok()?.as_raw_fd();
            let place = fs::read_link(format!("/proc/self/fd/{descriptor}")).ok()?;
            self.is_at(&place).then_some(place)
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// The first bytes of the file; zeros where it is shorter. `None` if it cannot be read.
    pub(super) fn header(&self) -> Option<[u8; 100]> {
        let mut header = [0; 100];
        #[cfg(unix)]
        std::os::unix::fs::FileExt::read_at(self.file().ok()?, &mut header, 0).ok()?;
        #[cfg(not(unix))]
        return None;
        #[cfg(unix)]
        Some(header)
    }

    /// Locks the inode; false if it is locked already, by this process or another one.
    pub(super) fn try_lock(&self) -> io::Result<bool> {
        self.with_entry(|entry, file| {
            if entry.is_locked {
                return Ok(false);
            }
            entry.is_locked = is_taken(file.try_lock())?;
            Ok(entry.is_locked)
        })
    }

    /// Closing the descriptor would not be enough: a program that another thread starts at this moment has a copy of it until its
    /// exec, and the lock lasts as long as the last copy. In a forked child this does nothing, because it shares the lock with
    /// its parent.
    pub(super) fn unlock(&self) {
        let unlocked = self.with_entry(|entry, file| {
            entry.is_locked = false;
            file.unlock()
        });
        if let Err(error) = unlocked {
            log::debug!("unlocking the spool: {error}");
        }
    }

    /// Whether it is locked, by this process or another one.
    pub(super) fn is_locked(&self) -> io::Result<bool> {
        self.with_entry(|entry, file| {
            if entry.is_locked {
                return Ok(true);
            }
            let is_free = is_taken(file.try_lock_shared())?;
            if is_free {
                file.unlock()?;
            }
            Ok(!is_free)
        })
    }

    /// Whether this process has locked it.
    pub(super) fn is_locked_here(&self) -> bool {
        self.with_entry(|entry, _| Ok(entry.is_locked)).unwrap_or(false)
    }

    pub(super) fn file(&self) -> io::Result<&File> {
        self.file.as_deref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn with_entry<T>(&self, work: impl FnOnce(&mut Entry, &File) -> io::Result<T>) -> io::Result<T> {
        if self.process != process::id() {
            return Err(io::Error::other("it belongs to the parent process"));
        }
        with_open(|open| {
            let entry = entry(open, self.id, self.process).ok_or(io::ErrorKind::NotFound)?;
            let file = Arc::clone(&entry.files[0]);
            work(entry, &file)
        })
    }
}

impl Drop for Inode {
    fn drop(&mut self) {
        if self.process != process::id() {
            // The child has no locks of its own on it.
            return;
        }
        // Closed under this lock: a connection that another thread opens at this moment gets its POSIX locks afterwards.
        with_open(|open| {
            self.file = None;
            if let Some(entry) = entry(open, self.id, self.process) {
                entry.users -= 1;
            }
            open.retain(|entry| entry.users > 0 || entry.process != self.process);
        });
    }
}

impl Entry {
    fn use_once(&mut self) -> Inode {
        self.users += 1;
        Inode { id: self.id, process: self.process, file: Some(Arc::clone(&self.files[0])) }
    }
}

/// A forked child must not find the list locked for ever.
fn with_open<T>(work: impl FnOnce(&mut Vec<Entry>) -> T) -> T {
    without_fork(|| work(&mut sync::lock(&OPEN)))
}

fn entry(open: &mut [Entry], id: FileId, process: u32) -> Option<&mut Entry> {
    open.iter_mut().find(|entry| entry.id == id && entry.process == process)
}

fn is_taken(outcome: Result<(), TryLockError>) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    #[cfg(unix)]
    pub(super) fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(metadata.dev(), metadata.ino())
    }

    /// Without inodes: the time at which the file was made is the best that the standard library has.
    #[cfg(not(unix))]
    pub(super) fn of(metadata: &Metadata) -> Self {
        let created = metadata.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        Self(0, created.map_or(0, |since| since.as_nanos() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> OpenOptions {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        options
    }

    #[test]
    fn each_file_has_one_descriptor_until_its_last_user_has_gone() {
        let directory = tempfile::tempdir().unwrap();
        let (path, alias) = (directory.path().join("a"), directory.path().join("b"));
        let first = Inode::open(&path, &options()).unwrap();
        fs::hard_link(&path, &alias).unwrap();
        let second = Inode::open(&alias, &options()).unwrap();
        let descriptors = || sync::lock(&OPEN).iter().filter(|entry| entry.id == first.id).count();
        assert!(Arc::ptr_eq(first.file.as_ref().unwrap(), second.file.as_ref().unwrap()));
        assert!(first.try_lock().unwrap() && !second.try_lock().unwrap() && second.is_locked().unwrap());
        drop(second);
        assert_eq!(descriptors(), 1);
        assert!(first.is_locked().unwrap(), "closing another use leaves the lock");
        let id = first.id;
        drop(first);
        assert!(sync::lock(&OPEN).iter().all(|entry| entry.id != id));
    }

    /// The trap that this module is there for: the first connection's shared lock is gone as soon as any descriptor is closed.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_second_opening_leaves_the_locks_of_sqlite() {
        use rusqlite::Connection;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool.db");
        let is_locked = || {
            use std::os::unix::fs::MetadataExt;
            let inode = format!(":{} ", fs::metadata(&path).unwrap().ino());
            // The kernel may leave a line out while other locks come and go, but not each time.
            (0..100).any(|_| {
                let all = fs::read_to_string("/proc/locks").unwrap();
                all.lines().any(|line| line.contains(&inode) && line.contains("POSIX"))
            })
        };
        let inode = Inode::open(&path, &options()).unwrap();
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
        connection.execute_batch("CREATE TABLE t (a)").unwrap();
        assert!(is_locked(), "SQLite's shared lock");
        drop(Inode::open(&path, &options()).unwrap());
        assert!(is_locked());
        drop((connection, inode));
    }
}
