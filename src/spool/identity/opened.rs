//! A spool's files as SQLite has just opened them. They are noted at once: later, others may have their names.

use std::fs;
use std::path::{Path, PathBuf};

use crate::spool::identity::inode::FileId;
use crate::spool::identity::own_file::with_end;

/// The log, and the index of it that the processes share.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// See the [module documentation](self).
#[derive(Debug)]
pub(in crate::spool) struct Opened {
    pub(super) companions: Vec<(PathBuf, FileId)>,
    pub(super) size: u64,
}

impl Opened {
    pub(in crate::spool) fn at(path: &Path) -> Self {
        let companion = |end: &&str| {
            let path = with_end(path, end);
            fs::metadata(&path).ok().map(|found| (path, FileId::of(&found)))
        };
        Self {
            companions: COMPANIONS.iter().filter_map(companion).collect(),
            size: fs::metadata(path).map_or(0, |found| found.len()),
        }
    }
}
