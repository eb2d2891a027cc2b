//! Counting inserted and updated rows. SQLite reports each row as it changes it, which costs less than to look for each key before.
//!
//! The reports have no author: they include the rows that a trigger changes, and those of a table `WITHOUT ROWID` are missing. So they
//! count only if there are as many as the statements themselves have changed, which SQLite counts too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::Action;

/// Rows of the table that changed over a connection since they were last taken.
#[derive(Default)]
pub(super) struct Changes {
    inserted: AtomicU64,
    others: AtomicU64,
}

impl Changes {
    /// Counts from now on.
    pub(super) fn watch(connection: &mut Connection, table: &str) -> rusqlite::Result<Arc<Self>> {
        let changes = Arc::new(Self::default());
        let (counts, table) = (Arc::clone(&changes), table.to_owned());
        connection.update_hook(Some(move |action, _: &str, changed: &str, _| {
            // Names are compared as SQLite compares them.
            if changed.eq_ignore_ascii_case(&table) {
                let count = if action == Action::SQLITE_INSERT { &counts.inserted } else { &counts.others };
                count.fetch_add(1, Ordering::Relaxed);
            }
        }))?;
        Ok(changes)
    }

    /// The number of inserted rows, if `changed` is the number of all.
    pub(super) fn take_inserted(&self, changed: u64) -> Option<u64> {
        let inserted = self.inserted.swap(0, Ordering::Relaxed);
        let others = self.others.swap(0, Ordering::Relaxed);
        (inserted + others == changed).then_some(inserted)
    }
}
