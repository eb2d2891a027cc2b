//! SQLite files: the spool and the embedded destination open theirs here.

use std::path::{self, Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::files::open::create_private;

/// The path of a database that keeps nothing, for tests.
pub(crate) const IN_MEMORY: &str = ":memory:";

pub(crate) fn is_in_memory(path: &Path) -> bool {
    path.as_os_str() == IN_MEMORY
}

/// Opens the file at this path. Creates it if there is none, for this user only: it holds customers' events. SQLite gives the files beside
/// it the same rights.
///
/// # Errors
///
/// As SQLite reports them.
pub(crate) fn open_or_create(path: &Path) -> rusqlite::Result<Connection> {
    if !is_in_memory(path) {
        // If this fails, SQLite reports why.
        let _ = create_private(&plain(path));
    }
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
}

/// Opens the file at this path with these flags, without SQLite's own lock: a connection is used by one thread at a time.
///
/// # Errors
///
/// As SQLite reports them.
pub(crate) fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    super::fork::prepare();
    Connection::open_with_flags(plain(path), flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// SQLite is built to read `file:x?mode=memory` as a URI, whatever the flags say: it would keep nothing. An absolute path is never one.
fn plain(path: &Path) -> PathBuf {
    if is_in_memory(path) {
        return path.to_owned();
    }
    path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_looks_like_a_uri_is_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file:x?mode=memory");
        open_or_create(&path).unwrap().execute_batch("CREATE TABLE kept (row)").unwrap();
        assert!(path.exists());
        assert!(plain(Path::new("file:x?mode=memory")).is_absolute());
    }
}
