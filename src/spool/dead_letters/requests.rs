//! Requests to replay dead letters, left in the file for the process that has it open.
//!
//! Only that process may append, because it assigns the offsets. Ending a sink for the sake of a replay would cost the events
//! that the stream sends until the next start.

use rusqlite::{Connection, OptionalExtension, params};

use crate::config::Config;
use crate::error::Result;
use crate::report::replay::{ReplayReport, Selection};
use crate::spool::dead_letters::keys::is_followed;
use crate::spool::dead_letters::pages::{Page, replayable};
use crate::spool::offline::Offline;
use crate::spool::queue::Spool;
use crate::time::clock::{Clock, SystemClock};

const DELETE_FINISHED: &str = "DELETE FROM replay_requests
     WHERE done_at IS NOT NULL AND id < (SELECT max(id) - 100 FROM replay_requests)";

/// A replay that another process requests.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) selection: Selection,
    pub(crate) is_forced: bool,
    /// Where its next page begins.
    pub(crate) from: u64,
}

impl Spool {
    /// The oldest request of another process that is not finished.
    pub(crate) fn replay_request(&self) -> Result<Option<Request>> {
        let select = |reader: &Connection| {
            let mut select = reader.prepare_cached(
                "SELECT id, offsets, next_from, is_forced FROM replay_requests WHERE done_at IS NULL ORDER BY id LIMIT 1",
            )?;
            let request = |row: &rusqlite::Row<'_>| {
                let offsets: Option<String> = row.get(1)?;
                let selection = offsets
                    .map_or(Selection::All, |json| Selection::Offsets(serde_json::from_str(&json).unwrap_or_default()));
                Ok(Request { id: row.get(0)?, selection, from: row.get(2)?, is_forced: row.get(3)? })
            };
            select.query_row([], request).optional()
        };
        select(&self.reader()).map_err(|error| self.error("reading replay requests from", &error))
    }
}

/// Replay requests to the process that has the spool open.
#[derive(Debug)]
pub(crate) struct Requests(Offline);

/// The progress of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) from: u64,
    /// The counts; `None` before it is done.
    pub(crate) done: Option<ReplayReport>,
}

impl Requests {
    pub(crate) fn open(config: &Config) -> Result<Self> {
        Offline::open(config).map(Self)
    }

    /// Leaves a request; returns its number.
    pub(crate) fn place(&self, selection: &Selection, is_forced: bool) -> Result<u64> {
        let offsets = match selection {
            Selection::All => None,
            Selection::Offsets(offsets) => Some(serde_json::json!(offsets).to_string()),
        };
        let connection = &self.0.connection;
        let place = || -> rusqlite::Result<u64> {
            // Finished requests of processes that did not wait for the answer.
            connection.execute(DELETE_FINISHED, [])?;
            let insert =
                "INSERT INTO replay_requests (offsets, is_forced, requested_at) VALUES (?1, ?2, ?3) RETURNING id";
            connection.query_row(insert, params![offsets, is_forced, SystemClock.unix_micros()], |row| row.get(0))
        };
        place().map_err(|error| self.0.error("leaving a replay request in", &error))
    }

    pub(crate) fn progress(&self, id: u64) -> Result<Progress> {
        let select = "SELECT next_from, done_at, replayed, rejected, skipped FROM replay_requests WHERE id = ?1";
        let progress = |row: &rusqlite::Row<'_>| {
            let is_done = row.get::<_, Option<i64>>(1)?.is_some();
            let counts = ReplayReport {
                replayed: row.get(2)?,
                rejected: row.get(3)?,
                skipped: row.get(4)?,
                ..ReplayReport::default()
            };
            Ok(Progress { from: row.get(0)?, done: is_done.then_some(counts) })
        };
        let connection = &self.0.connection;
        connection
            .query_row(select, [id], progress)
            .map_err(|error| self.0.error("reading a replay request from", &error))
    }

    /// Takes the request back, whether it was carried out or not.
    pub(crate) fn withdraw(&self, id: u64) -> Result<()> {
        let delete = "DELETE FROM replay_requests WHERE id = ?1";
        self.0
            .connection
            .execute(delete, [id])
            .map(drop)
            .map_err(|error| self.0.error("withdrawing a replay request from", &error))
    }

    /// Whether a later event of the dead letter's key may have been written since.
    pub(crate) fn is_overtaken(&self, offset: u64) -> Result<bool> {
        let connection = &self.0.connection;
        // A sink of an earlier version noted nothing.
        let is_noted = connection.table_exists(None, "dead_letter_keys");
        let overtaken = is_noted.and_then(|is_noted| Ok(!is_noted || is_followed(connection, offset)?));
        overtaken.map_err(|error| self.0.error("reading dead letters from", &error))
    }

    /// The dead letters of the selection, for a look.
    pub(crate) fn replayable(&self, selection: &Selection, from: u64) -> Result<Page> {
        replayable(&self.0.connection, selection, from..i64::MAX as u64, false)
            .map_err(|error| self.0.error("reading dead letters from", &error))
    }
}
