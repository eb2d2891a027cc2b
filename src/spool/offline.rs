//! The spool's file seen from outside: also while a sink has it open, and without one.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::report::dead_letter::DeadLetter;
use crate::report::stream_connection;
use crate::report::stream_connection::{Gap, StreamConnection};
use crate::spool::reserve::{Reserve, is_full};
use crate::spool::{BUSY_TIMEOUT, checkpoint_history, connections, dead_letters, file, spool_error};
use crate::time::clock::{Clock, SystemClock};

/// A connection to the file beside those of the sink that may have it open.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

/// How often a write on a full disk is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

impl Outside {
    pub(super) fn open(config: &Config) -> Result<Self> {
        let path = &config.spool.path;
        if !path.exists() {
            return Err(Error::spool(format!("opening the spool {}: there is no such file", path.display()))
                .with_hint("set spool.path to the spool of the sink that you want to look into"));
        }
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.query_row("SELECT count(*) FROM spool", [], |_| Ok(()))?;
            Ok(connection)
        };
        let connection = open().map_err(|error| {
            let error = spool_error(path, "opening", &error);
            if error.hint().is_none() {
                error.with_hint("the file is not a cxsink spool: check spool.path")
            } else {
                error
            }
        })?;
        Ok(Self { connection, path: path.clone() })
    }

    /// Runs a write in a transaction. On a full disk it may use the spool's reserve: it makes room, or lets the sink make some.
    pub(super) fn write<T>(&self, write: impl Fn(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let reserve = Reserve::beside(&self.path);
        let write = |may_use_reserve: bool| {
            let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            // Now a sink that has the file open cannot take it back in between.
            if may_use_reserve {
                reserve.release();
            }
            let outcome = write(&transaction)?;
            transaction.commit().map(|()| outcome)
        };
        let mut outcome = write(false);
        // From here on: the first try may have waited for the lock for as long.
        let until = Instant::now() + BUSY_TIMEOUT;
        // A sink that uses the reserve itself at this moment, to make room, is soon done.
        while outcome.as_ref().is_err_and(is_full) && Instant::now() < until {
            std::thread::sleep(RETRY_INTERVAL);
            outcome = write(true);
        }
        outcome
    }

    /// Says what was tried, and on which file.
    pub(super) fn error(&self, what: &str, error: &rusqlite::Error) -> Error {
        spool_error(&self.path, what, error)
    }
}

/// The dead letters of a spool file, seen from outside: also while a sink has it open, and without one.
///
/// ```no_run
/// # fn main() -> cxsink::Result<()> {
/// let letters = cxsink::DeadLetters::open(&cxsink::Config::load("cxsink.toml")?)?;
/// for letter in letters.list(0, 100)? {
///     println!("{}: {}", letter.offset, letter.reason);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DeadLetters(pub(super) Outside);

impl DeadLetters {
    /// Opens the file that `spool.path` names; it must exist.
    ///
    /// # Errors
    /// `SPOOL` if there is no such file or it is not a spool.
    pub fn open(config: &Config) -> Result<Self> {
        Outside::open(config).map(Self)
    }

    /// At most `count` dead letters from offset `from` on, the oldest first.
    ///
    /// # Errors
    /// `SPOOL` if the file cannot be read.
    pub fn list(&self, from: u64, count: usize) -> Result<Vec<DeadLetter>> {
        dead_letters::list(&self.0.connection, from, count)
            .map_err(|error| self.0.error("reading dead letters from", &error))
    }

    /// How many there are.
    ///
    /// # Errors
    /// `SPOOL` if the file cannot be read.
    pub fn count(&self) -> Result<u64> {
        self.0
            .connection
            .query_row("SELECT count(*) FROM dead_letters", [], |row| row.get(0))
            .map_err(|error| self.0.error("reading dead letters from", &error))
    }

    /// Notes that these offsets were exported: when `dead_letters.bytes_max` is reached, they may go.
    ///
    /// # Errors
    /// `SPOOL` if the file cannot be written.
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

/// The ledger of the stream's connections in a spool file, seen from outside: also while a sink has it open.
///
/// ```no_run
/// # fn main() -> cxsink::Result<()> {
/// let connections = cxsink::Connections::open(&cxsink::Config::load("cxsink.toml")?)?;
/// for gap in connections.gaps()? {
///     println!("from {} to {:?}: {}", gap.from, gap.to, gap.cause);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Connections(Outside);

impl Connections {
    /// Opens the file that `spool.path` names; it must exist.
    ///
    /// # Errors
    /// `SPOOL` if there is no such file or it is not a spool.
    pub fn open(config: &Config) -> Result<Self> {
        Outside::open(config).map(Self)
    }

    /// The last 10,000 connections, the oldest first.
    ///
    /// # Errors
    /// `SPOOL` if the file cannot be read.
    pub fn list(&self) -> Result<Vec<StreamConnection>> {
        let mut connections = connections::list(&self.0.connection)
            .map_err(|error| self.0.error("reading the connections from", &error))?;
        // Only a sink that runs can have one open.
        if file::holder(&self.0.path).is_none() {
            connections.iter_mut().for_each(StreamConnection::note_gone);
        }
        Ok(connections)
    }

    /// The times in which events may have been missed, the oldest first: between two connections, and since the last one if
    /// it has ended. A window ends only when the stream is open again, so those in which no process ran are among them.
    ///
    /// # Errors
    /// `SPOOL` if the file cannot be read.
    pub fn gaps(&self) -> Result<Vec<Gap>> {
        let forgotten = checkpoint_history::list(&self.0.connection);
        let forgotten = forgotten.map_err(|error| self.0.error("reading the gaps from", &error))?;
        self.list().map(|connections| stream_connection::gaps(&connections, forgotten))
    }
}
