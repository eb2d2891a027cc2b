//! A connection to the spool's file beside a sink that may have it open.

use std::fs::File;
use std::path::PathBuf;
#[cfg(feature = "cli")]
use std::time::SystemTime;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::files::sqlite;
use crate::spool::disk::{Reserve, is_full};
use crate::spool::errors::spool_error;
use crate::spool::file::BUSY_TIMEOUT;
use crate::spool::identity::{Inode, check_name, check_place, resolve};
#[cfg(feature = "cli")]
use crate::time::micros;

/// See the [module documentation](self).
#[derive(Debug)]
pub(crate) struct Offline {
    pub(super) connection: Connection,
    /// Its real one: a name beside it that is not would have another log.
    pub(super) path: PathBuf,
    /// Dropped after the connection.
    _inode: Option<Inode>,
}

/// What the file says from outside. While a sink runs, committed events may still be in it.
#[cfg(feature = "cli")]
#[derive(Debug, serde::Serialize)]
pub(crate) struct Look {
    /// The process that has it open.
    pub(crate) holder: Option<String>,
    pub(crate) pending: u64,
    /// When the oldest of them was received, in microseconds since 1970-01-01 UTC.
    pub(crate) oldest_at: Option<i64>,
    pub(crate) dead_letters: u64,
}

#[cfg(feature = "cli")]
impl Look {
    /// How long ago the oldest pending event was received; `None` if none is pending.
    pub(crate) fn oldest_age(&self) -> Option<Duration> {
        let at = micros::to_time(self.oldest_at.filter(|_| self.pending > 0)?);
        Some(SystemTime::now().duration_since(at).unwrap_or_default())
    }
}

/// Looks into the spool that the configuration names.
#[cfg(feature = "cli")]
pub(crate) fn look(config: &Config) -> Result<Look> {
    let offline = Offline::open(config)?;
    let holder = crate::spool::identity::holder(&offline.path);
    let select = "SELECT (SELECT max(position) FROM bursts) - deleted_offset,
                         (SELECT received_at FROM bursts WHERE events > 0 ORDER BY position LIMIT 1),
                         (SELECT count(*) FROM dead_letters)
                  FROM spool";
    let read = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Look> {
        Ok(Look {
            holder,
            pending: row.get::<_, Option<u64>>(0)?.unwrap_or(0),
            oldest_at: row.get(1)?,
            dead_letters: row.get(2)?,
        })
    };
    offline.connection.query_row(select, [], read).map_err(|error| offline.error("reading", &error))
}

/// How often a write on a full disk is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

impl Offline {
    pub(super) fn open(config: &Config) -> Result<Self> {
        let path = &resolve(&config.of_one_stream()?.spool.path);
        if !path.exists() {
            return Err(Error::spool(format!("opening the spool {}: there is no such file", path.display()))
                .with_hint("set spool.path to the spool of the sink that you want to look into"));
        }
        let inode = Inode::open(path, File::options().read(true)).ok();
        check_name(path)?;
        if let Some(inode) = &inode {
            check_place(path, inode)?;
        }
        let open = || {
            let connection = sqlite::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.query_row("SELECT count(*) FROM spool", [], |_| Ok(()))?;
            Ok(connection)
        };
        let connection = open().map_err(|error| {
            let error = spool_error(path, "opening", &error);
            if error.hint().is_none() {
                error.with_hint("check spool.path: this file is not a cxsink spool")
            } else {
                error
            }
        })?;
        Ok(Self { connection, path: path.clone(), _inode: inode })
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

    pub(super) fn error(&self, what: &str, error: &rusqlite::Error) -> Error {
        spool_error(&self.path, what, error)
    }
}
