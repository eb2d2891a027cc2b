//! The public handle on the dead letters of a spool file.

use rusqlite::{Connection, params};

use crate::config::Config;
use crate::error::Result;
use crate::report::dead_letter::DeadLetter;
use crate::spool::dead_letters::rows::list;
use crate::spool::offline::Offline;
use crate::time::clock::{Clock, SystemClock};

/// The dead letters of a spool file, also while a sink has it open.
///
/// ```no_run
/// # fn main() -> cxsink::Result<()> {
/// let letters = cxsink::dead_letters::DeadLetters::open(&cxsink::Config::load("cxsink.toml")?)?;
/// for letter in letters.list(0, 100)? {
///     println!("{}: {}", letter.offset, letter.reason);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DeadLetters(pub(super) Offline);

impl DeadLetters {
    /// Opens the file that `spool.path` names; it must exist.
    ///
    /// # Errors
    /// [`Spool`](crate::ErrorKind::Spool) if there is no such file or it is not a spool.
    pub fn open(config: &Config) -> Result<Self> {
        Offline::open(config).map(Self)
    }

    /// At most `count` dead letters from offset `from` on, the oldest first.
    ///
    /// # Errors
    /// [`Spool`](crate::ErrorKind::Spool) if the file cannot be read.
    pub fn list(&self, from: u64, count: usize) -> Result<Vec<DeadLetter>> {
        list(&self.0.connection, from, count).map_err(|error| self.0.error("reading dead letters from", &error))
    }

    /// The number of dead letters.
    ///
    /// # Errors
    /// [`Spool`](crate::ErrorKind::Spool) if the file cannot be read.
    pub fn count(&self) -> Result<u64> {
        self.0
            .connection
            .query_row("SELECT count(*) FROM dead_letters", [], |row| row.get(0))
            .map_err(|error| self.0.error("reading dead letters from", &error))
    }

    /// Notes that these offsets were exported: when `dead_letters.bytes_max` is reached, they may be deleted.
    ///
    /// # Errors
    /// [`Spool`](crate::ErrorKind::Spool) if the file cannot be written.
    pub fn mark_exported(&self, offsets: &[u64]) -> Result<()> {
        let mark = |connection: &Connection| -> rusqlite::Result<()> {
            let now = SystemClock.unix_micros();
            let mut update = connection
                .prepare_cached("UPDATE dead_letters SET exported_at = ?1 WHERE offset = ?2 AND exported_at IS NULL")?;
            // None is above the range of SQLite's signed integers.
            let mut offsets = offsets.iter().filter(|offset| i64::try_from(**offset).is_ok());
            offsets.try_for_each(|offset| update.execute(params![now, offset]).map(drop))
        };
        self.0.write(mark).map_err(|error| self.0.error("marking dead letters in", &error))
    }
}
