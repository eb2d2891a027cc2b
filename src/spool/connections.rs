//! The ledger of connections in the spool's file: a row when one opens, the rest when it ends, and now and then in between.

use rusqlite::{Connection, Row, params};

use super::Spool;
use super::transaction::Transaction;
use crate::error::{Error, Result};
use crate::report::stream_connection::{PROCESS_GONE, StreamConnection};

/// How many connections are kept.
const CONNECTIONS_MAX: u64 = 10_000;

/// What was read over a connection so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) first_event_at: Option<i64>,
    pub(crate) last_event_at: Option<i64>,
    pub(crate) events: u64,
}

impl Spool {
    /// A connection is open, after this many tries that failed, the last one for this reason. Returns its number.
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
        insert(&mut self.writer()).map_err(|error| self.ledger_error(&error))
    }

    /// What was read over it until now.
    pub(crate) fn connection_read(&self, id: u64, tally: &Tally) -> Result<()> {
        let update = "UPDATE connections SET first_event_at = ?2, last_event_at = ?3, events = ?4 WHERE id = ?1";
        self.update(update, params![id, tally.first_event_at, tally.last_event_at, tally.events])
    }

    /// It ended, for this reason, with this close code.
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
        update(&self.writer()).map(drop).map_err(|error| self.ledger_error(&error))
    }

    fn ledger_error(&self, error: &rusqlite::Error) -> Error {
        self.error("noting a connection in", error)
    }
}

/// Nobody has the file open but the caller: what is still noted as open ended with its process.
pub(super) fn note_gone(connection: &Connection) -> rusqlite::Result<()> {
    let update = "UPDATE connections SET cause = ?1 WHERE ended_at IS NULL AND cause IS NULL";
    connection.execute(update, [PROCESS_GONE]).map(drop)
}

pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<StreamConnection>> {
    let mut select = connection.prepare_cached(
        "SELECT id, opened_at, first_event_at, last_event_at, events, ended_at, cause, status, tries_failed, try_error
         FROM connections ORDER BY id",
    )?;
    select.query_map([], stream_connection)?.collect()
}

fn stream_connection(row: &Row<'_>) -> rusqlite::Result<StreamConnection> {
    Ok(StreamConnection {
        id: row.get(0)?,
        opened_at: row.get(1)?,
        first_event_at: row.get(2)?,
        last_event_at: row.get(3)?,
        events: row.get(4)?,
        ended_at: row.get(5)?,
        cause: row.get(6)?,
        status: row.get(7)?,
        tries_failed: row.get(8)?,
        try_error: row.get(9)?,
    })
}
