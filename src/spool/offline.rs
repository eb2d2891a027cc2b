//! A connection to the spool's file beside a sink that may have it open.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::files::sqlite;
use crate::spool::disk::{Reserve, is_full};
use crate::spool::errors::spool_error;
use crate::spool::file::BUSY_TIMEOUT;
use crate::spool::identity::{Inode, check_name, check_place, resolve};

/// See the [module documentation](self).
#[derive(Debug)]
pub(crate) struct Offline {
    pub(super) connection: Connection,
    /// Its real one: a name beside it that is not would have another log.
    pub(super) path: PathBuf,
    /// Dropped after the connection.
    _inode: Option<Inode>,
}

/// How often a write on a full disk is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

impl Offline {
    pub(super) fn open(config: &Config) -> Result<Self> {
        let path = &resolve(&config.spool.path);
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
