//! The log of the stream's connections: a row when one opens, updated every few seconds and when it ends.

use rusqlite::{Connection, Row, params};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::report::stream_connection::{self, Gap, StreamConnection};
use crate::spool::checkpoint_history;
use crate::spool::identity::holder;
use crate::spool::offline::Offline;
use crate::spool::queue::Spool;
use crate::spool::statements::Transaction;
use crate::time::micros;

/// The connections that are kept.
const CONNECTIONS_MAX: u64 = 10_000;

/// The events of a connection so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) first_event_at: Option<i64>,
    pub(crate) last_event_at: Option<i64>,
    pub(crate) events: u64,
}

impl Spool {
    /// Notes an open connection, after this many failed tries, the last one for this reason. Returns its number.
    pub(crate) fn connection_opened(&self, at: i64, tries_failed: u64, try_error: Option<&str>) -> Result<u64> {
        let insert = |writer: &mut Connection| -> rusqlite::Result<u64> {
            let transaction = Transaction::begin(writer)?;
            let id = transaction
                .prepare_cached(
                    "INSERT INTO connections (opened_at, tries_failed, try_error) VALUES (?1, ?2, ?3) RETURNING id",
                )?
                .query_row(params![at, tries_failed, try_error], |row| row.get::<_, u64>(0))?;
            transaction
                .prepare_cached("DELETE FROM connections WHERE id <= ?1")?
                .execute([id.saturating_sub(CONNECTIONS_MAX)])?;
            transaction.commit()?;
            Ok(id)
        };
        insert(&mut self.writer()).map_err(|error| self.log_error(&error))
    }

    /// Notes the events of an open connection until now.
    pub(crate) fn connection_read(&self, id: u64, tally: &Tally) -> Result<()> {
        let update = "UPDATE connections SET first_event_at = ?2, last_event_at = ?3, events = ?4 WHERE id = ?1";
        self.update(update, params![id, tally.first_event_at, tally.last_event_at, tally.events])
    }

    /// Notes the end of a connection, with its reason and close code.
    pub(crate) fn connection_ended(
        &self,
        id: u64,
        tally: &Tally,
        at: i64,
        cause: &str,
        status: Option<u16>,
    ) -> Result<()> {
        let update =
            "UPDATE connections SET first_event_at = ?2, last_event_at = ?3, events = ?4, ended_at = ?5, cause = ?6,
             status = ?7 WHERE id = ?1";
        self.update(update, params![id, tally.first_event_at, tally.last_event_at, tally.events, at, cause, status])
    }

    /// The connections that are kept, the oldest first.
    pub(crate) fn connections(&self) -> Result<Vec<StreamConnection>> {
        list(&self.reader()).map_err(|error| self.error("reading the connections from", &error))
    }

    fn update(&self, sql: &str, params: impl rusqlite::Params) -> Result<()> {
        let update = |writer: &Connection| writer.prepare_cached(sql)?.execute(params);
        update(&self.writer()).map(drop).map_err(|error| self.log_error(&error))
    }

    fn log_error(&self, error: &rusqlite::Error) -> Error {
        self.error("noting a connection in", error)
    }
}

fn list(connection: &Connection) -> rusqlite::Result<Vec<StreamConnection>> {
    let mut select = connection.prepare_cached(
        "SELECT id, opened_at, first_event_at, last_event_at, events, ended_at, cause, status, tries_failed, try_error
         FROM connections ORDER BY id",
    )?;
    select.query_map([], stream_connection)?.collect()
}

fn stream_connection(row: &Row<'_>) -> rusqlite::Result<StreamConnection> {
    Ok(StreamConnection {
        id: row.get(0)?,
        opened_at: micros::to_time(row.get(1)?),
        first_event_at: row.get::<_, Option<i64>>(2)?.map(micros::to_time),
        last_event_at: row.get::<_, Option<i64>>(3)?.map(micros::to_time),
        events: row.get(4)?,
        ended_at: row.get::<_, Option<i64>>(5)?.map(micros::to_time),
        cause: row.get(6)?,
        close_code: row.get(7)?,
        tries_failed: row.get(8)?,
        try_error: row.get(9)?,
    })
}

/// The log of the stream's connections in a spool file, also while a sink has it open.
///
/// ```no_run
/// # fn main() -> cxsink::Result<()> {
/// let connections = cxsink::connections::Connections::open(&cxsink::Config::load("cxsink.toml")?)?;
/// for gap in connections.gaps()? {
///     println!("from {:?} to {:?}: {}", gap.from, gap.to, gap.cause);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Connections(Offline);

impl Connections {
    /// Opens the file that `spool.path` names; it must exist.
    ///
    /// # Errors
    /// [`Spool`](crate::ErrorKind::Spool) if there is no such file or it is not a spool.
    pub fn open(config: &Config) -> Result<Self> {
        Offline::open(config).map(Self)
    }

    /// The last 10,000 connections, the oldest first.
    ///
    /// # Errors
    /// [`Spool`](crate::ErrorKind::Spool) if the file cannot be read.
    pub fn list(&self) -> Result<Vec<StreamConnection>> {
        let mut connections =
            list(&self.0.connection).map_err(|error| self.0.error("reading the connections from", &error))?;
        // Only a sink that runs can have one open.
        if holder(&self.0.path).is_none() {
            connections.iter_mut().for_each(StreamConnection::note_gone);
        }
        Ok(connections)
    }

    /// The times in which events may have been missed, the oldest first: between two connections, and since the last one if
    /// it has ended. A gap ends only when the stream is open again, so it includes the time in which no process ran.
    ///
    /// # Errors
    /// [`Spool`](crate::ErrorKind::Spool) if the file cannot be read.
    pub fn gaps(&self) -> Result<Vec<Gap>> {
        let regressions = checkpoint_history::list(&self.0.connection);
        let regressions = regressions.map_err(|error| self.0.error("reading the gaps from", &error))?;
        self.list().map(|connections| stream_connection::gaps(&connections, regressions))
    }
}
