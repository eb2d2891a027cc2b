//! Whose checkpoint it is that the destination has, and what becomes of a spool whose checkpoint is another's.

use rusqlite::{Connection, OptionalExtension};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::spool::queue::Spool;
use crate::spool::statements::flushed;
use crate::time::clock::{Clock, SystemClock};

const CONFLICT_HINT: &str = "end the other sink that uses a copy of this spool file, if there is one; then run `cxsink renew-spool` \
    or call renew_spool, which makes this file a spool of its own: every event in it is applied, also those that the other one has applied. No event of \
    this spool was deleted";

/// The relation of a checkpoint's owner to this opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// This opening.
    Own,
    /// An earlier opening of this file, or a version without owners.
    Earlier,
    /// The same, but a later owner had taken the checkpoint over already: the destination lost that.
    TakenOver,
    /// A later opening of this file: another process has it.
    Later,
    /// No opening of this file.
    Foreign,
}

impl Spool {
    /// Makes the file a spool of its own, as if its events had been appended to a new one: no checkpoint knows it.
    pub(crate) fn renew(config: &Config) -> Result<()> {
        let spool = Self::open(config)?;
        let renew = |writer: &Connection| {
            writer.execute_batch(
                "BEGIN IMMEDIATE; UPDATE spool SET id = lower(hex(randomblob(16))), checkpoints = '', unchecked_from = NULL;
                 DELETE FROM owners; DELETE FROM conflict; COMMIT",
            )
        };
        flushed(&spool.writer(), renew).map_err(|error| spool.error("renewing", &error))?;
        let (path, events) = (spool.path().display(), spool.pending().events);
        log::info!("the spool {path} is one of its own now; the next start applies the {events} events in it");
        Ok(())
    }

    /// Whose checkpoint it is that has this owner; `None` in a row of a version without owners.
    pub(crate) fn ownership(&self, owner: Option<&str>) -> Result<Ownership> {
        if owner == Some(self.owner()) {
            return Ok(Ownership::Own);
        }
        let select = "SELECT (SELECT id FROM owners WHERE owner = ?1), (SELECT id FROM owners WHERE owner = ?2),
            (SELECT max(id) FROM owners WHERE is_confirmed)";
        let ids = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let ids: rusqlite::Result<(Option<i64>, Option<i64>, Option<i64>)> =
            self.writer().query_row(select, (owner, self.owner()), ids);
        let (found, own, confirmed) = ids.map_err(|error| self.error("reading the owners from", &error))?;
        Ok(match found {
            None if owner.is_some() => Ownership::Foreign,
            // Without an owner it is older than all that have one.
            found if found < confirmed => Ownership::TakenOver,
            found if found > own => Ownership::Later,
            _ => Ownership::Earlier,
        })
    }

    /// Notes a conflict over the checkpoint, and returns its error. Every start repeats the error until [`renew`](Self::renew) is called.
    pub(crate) fn note_conflict(&self, what: &str) -> Error {
        let message = format!("comparing the checkpoint of the spool {}: {what}", self.path().display());
        let note = |writer: &Connection| -> rusqlite::Result<()> {
            let insert = "INSERT INTO conflict SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM conflict)";
            writer.execute(insert, (&message, SystemClock.unix_micros())).map(drop)
        };
        if let Err(error) = self.with_reserve(&mut self.writer(), |writer| flushed(writer, note)) {
            log::error!("{}; the next start does not know of the conflict", self.error("noting a conflict in", &error));
        }
        conflict(message)
    }

    /// The conflict that an earlier process noted.
    pub(crate) fn conflict(&self) -> Result<Option<Error>> {
        let message = self.writer().query_row("SELECT message FROM conflict", [], |row| row.get(0)).optional();
        message.map(|message| message.map(conflict)).map_err(|error| self.error("reading from", &error))
    }
}

fn conflict(message: String) -> Error {
    Error::new(ErrorKind::Database, message).with_hint(CONFLICT_HINT)
}

#[cfg(test)]
#[path = "../tests/ownership.rs"]
mod tests;
