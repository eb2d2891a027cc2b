//! Dead letters back into the queue: as new events, marked in the same transaction.
//!
//! So at any moment, also after a kill, a dead letter is either still to be replayed or it is an event again, never both and
//! never neither.
//!
//! The process that has the file open is the only one that may append, because it numbers the events. Another one leaves a
//! request in the file and waits until that process has carried it out; to end a sink for the sake of a replay would cost
//! what the stream sends meanwhile.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::append::size_of;
use super::dead_letters::{COLUMNS, dead_letter};
use super::{Spool, file};
use crate::config::Config;
use crate::error::{Result, violations_json};
use crate::event::{BURST_BYTES_MAX, Burst};
use crate::report::dead_letter::DeadLetter;
use crate::report::dead_letter::Rejection;
use crate::report::replay::{Fate, Replayed, Selection};
use crate::spool::offline::Outside;
use crate::time::clock::{Clock, SystemClock};

/// So many are replayed in one transaction.
const PAGE: usize = 1000;

/// Some of the dead letters to replay, in the order of their offsets.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) letters: Vec<DeadLetter>,
    /// Offsets that were asked for and have nothing to replay.
    pub(crate) skipped: Vec<u64>,
    /// Where the next page begins; `None` after the last.
    pub(crate) next: Option<u64>,
}

/// A dead letter under today's schema and mapping: as it is to be kept if it is still bad, or `None` if it is good.
pub(crate) type Judged<'a> = (&'a DeadLetter, Option<DeadLetter>);

/// A replay that another process asks for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) selection: Selection,
    /// How far it has come.
    pub(crate) from: u64,
}

impl Spool {
    /// The dead letters of the selection from offset `from` on, below `to`: some of them, the oldest first.
    pub(crate) fn replayable(&self, selection: &Selection, from: u64, to: u64) -> Result<Page> {
        replayable(&self.reader(), selection, from, to).map_err(|error| self.error("reading dead letters from", &error))
    }

    /// In one transaction: the good ones become new events and are marked, the bad ones get their new reason, the progress of
    /// the request is noted. `None` if `spool.bytes_max` is reached: nothing was changed.
    ///
    /// Letters that were deleted or replayed since they were read are skipped, and all of them if the request was withdrawn.
    pub(crate) fn replay(
        &self,
        judged: &[Judged<'_>],
        now: i64,
        progress: Option<(&Request, &Page)>,
    ) -> Result<Option<Vec<(u64, Fate)>>> {
        let mut writer = self.intake()?;
        let replay = |writer: &mut Connection| -> rusqlite::Result<_> {
            let before = *self.state();
            let mut burst = Burst::default();
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut fates = Vec::with_capacity(judged.len());
            for (letter, still_bad) in judged {
                let fate = match still_bad {
                    None => {
                        let offset = before.next + burst.events() as u64;
                        let is_marked = mark(&transaction, letter.offset, now, offset)?;
                        if is_marked {
                            burst.push(&letter.event.0);
                        }
                        if is_marked { Fate::Replayed(Some(offset)) } else { Fate::Skipped }
                    }
                    Some(worse) if refresh(&transaction, worse)? => Fate::Rejected(Rejection::from(worse)),
                    Some(_) => Fate::Skipped,
                };
                fates.push((letter.offset, fate));
            }
            let is_full = before.bytes > 0 && before.bytes.saturating_add(size_of(&burst)) > self.bytes_max;
            if is_full && !burst.is_empty() {
                return Ok(None);
            }
            if let Some((request, page)) = progress
                && !advance(&transaction, request, page, &fates, now)?
            {
                let skipped = fates.into_iter().map(|(offset, _)| (offset, Fate::Skipped));
                return Ok(Some(skipped.collect()));
            }
            let outcome = self.append_rows(&transaction, &before, &burst, now)?;
            transaction.commit()?;
            self.note_appended(&before, &burst, &outcome);
            Ok(Some(fates))
        };
        self.beside_reserve(&mut writer, u64::MAX, replay)
            .map_err(|error| self.error("replaying dead letters in", &error))
    }

    /// The oldest request of another process that is not carried out yet.
    pub(crate) fn replay_request(&self) -> Result<Option<Request>> {
        let select = |reader: &Connection| {
            let mut select = reader.prepare_cached(
                "SELECT id, offsets, next_from FROM replay_requests WHERE done_at IS NULL ORDER BY id LIMIT 1",
            )?;
            let request = |row: &rusqlite::Row<'_>| {
                let offsets: Option<String> = row.get(1)?;
                let selection = offsets
                    .map_or(Selection::All, |json| Selection::Offsets(serde_json::from_str(&json).unwrap_or_default()));
                Ok(Request { id: row.get(0)?, selection, from: row.get(2)? })
            };
            select.query_row([], request).optional()
        };
        select(&self.reader()).map_err(|error| self.error("reading the requests in", &error))
    }

    /// The process that has the file open, if one has.
    pub(crate) fn holder(config: &Config) -> Option<String> {
        file::holder(&config.spool.path)
    }
}

/// One more event of a dead letter; false if it is gone or was replayed before.
fn mark(transaction: &Connection, offset: u64, now: i64, replayed_as: u64) -> rusqlite::Result<bool> {
    let update = "UPDATE dead_letters SET replayed_at = ?2, replayed_as = ?3 WHERE offset = ?1 AND replayed_at IS NULL";
    Ok(transaction.prepare_cached(update)?.execute(params![offset, now, replayed_as])? > 0)
}

/// Today's reason instead of the one it was set aside for; false if it is gone or was replayed.
fn refresh(transaction: &Connection, letter: &DeadLetter) -> rusqlite::Result<bool> {
    let mut update = transaction.prepare_cached(
        "UPDATE dead_letters SET stage = ?2, reason = ?3, violations = ?4, sqlstate = ?5, constraint_name = ?6,
         column_name = ?7 WHERE offset = ?1 AND replayed_at IS NULL",
    )?;
    let updated = update.execute(params![
        letter.offset,
        letter.stage.name(),
        letter.reason,
        violations_json(&letter.violations).to_string(),
        letter.sqlstate,
        letter.constraint,
        letter.column
    ])?;
    Ok(updated > 0)
}

/// Notes how far a request has come; false if it was withdrawn.
fn advance(
    transaction: &Connection,
    request: &Request,
    page: &Page,
    fates: &[(u64, Fate)],
    now: i64,
) -> rusqlite::Result<bool> {
    let count = |is_so: fn(&Fate) -> bool| fates.iter().filter(|(_, fate)| is_so(fate)).count();
    let mut update = transaction.prepare_cached(
        "UPDATE replay_requests SET next_from = ?2, done_at = ?3, replayed = replayed + ?4, rejected = rejected + ?5,
         skipped = skipped + ?6 WHERE id = ?1 AND done_at IS NULL",
    )?;
    let updated = update.execute(params![
        request.id,
        page.next.unwrap_or(request.from),
        page.next.is_none().then_some(now),
        count(|fate| matches!(fate, Fate::Replayed(_))),
        count(|fate| matches!(fate, Fate::Rejected(_))),
        count(|fate| matches!(fate, Fate::Skipped)) + page.skipped.len(),
    ])?;
    Ok(updated > 0)
}

pub(super) fn replayable(connection: &Connection, selection: &Selection, from: u64, to: u64) -> rusqlite::Result<Page> {
    let mut page = Page::default();
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM dead_letters WHERE offset >= ?1 AND offset < ?2 AND replayed_at IS NULL ORDER BY offset"
    ))?;
    let mut bytes = 0;
    // Adds those of a range; false when the page is full.
    let mut add = |page: &mut Page, from: u64, to: u64| -> rusqlite::Result<bool> {
        // SQLite's integers are signed: there is no offset above their range.
        let Ok(from) = i64::try_from(from) else { return Ok(true) };
        let mut rows = select.query([from, i64::try_from(to).unwrap_or(i64::MAX)])?;
        while let Some(row) = rows.next()? {
            if page.letters.len() + page.skipped.len() >= PAGE || bytes >= BURST_BYTES_MAX {
                page.next = Some(row.get(0)?);
                return Ok(false);
            }
            let letter = dead_letter(row)?;
            bytes += letter.event.0.len();
            page.letters.push(letter);
        }
        Ok(true)
    };
    match selection {
        Selection::All => {
            add(&mut page, from, to)?;
        }
        Selection::Offsets(offsets) => {
            let mut offsets: Vec<u64> = offsets.iter().copied().filter(|&offset| offset >= from).collect();
            offsets.sort_unstable();
            offsets.dedup();
            for offset in offsets {
                if page.skipped.len() >= PAGE {
                    page.next = Some(offset);
                    break;
                }
                let before = page.letters.len();
                if !add(&mut page, offset, to.min(offset.saturating_add(1)))? {
                    break;
                }
                if page.letters.len() == before {
                    page.skipped.push(offset);
                }
            }
        }
    }
    Ok(page)
}

/// Requests to the process that has a spool open.
#[derive(Debug)]
pub(crate) struct Requests(Outside);

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) from: u64,
    /// The counts; `None` before it is done.
    pub(crate) done: Option<Replayed>,
}

impl Requests {
    pub(crate) fn open(config: &Config) -> Result<Self> {
        Outside::open(config).map(Self)
    }

    /// Leaves a request; returns its number.
    pub(crate) fn place(&self, selection: &Selection) -> Result<u64> {
        let offsets = match selection {
            Selection::All => None,
            Selection::Offsets(offsets) => Some(serde_json::json!(offsets).to_string()),
        };
        let connection = &self.0.connection;
        let place = || -> rusqlite::Result<u64> {
            // What was done for processes that did not wait for it.
            connection.execute("DELETE FROM replay_requests WHERE done_at IS NOT NULL AND id < (SELECT max(id) - 100 FROM replay_requests)", [])?;
            let insert = "INSERT INTO replay_requests (offsets, requested_at) VALUES (?1, ?2) RETURNING id";
            connection.query_row(insert, params![offsets, SystemClock.unix_micros()], |row| row.get(0))
        };
        place().map_err(|error| self.0.error("leaving a request in", &error))
    }

    pub(crate) fn progress(&self, id: u64) -> Result<Progress> {
        let select = "SELECT next_from, done_at, replayed, rejected, skipped FROM replay_requests WHERE id = ?1";
        let progress = |row: &rusqlite::Row<'_>| {
            let is_done = row.get::<_, Option<i64>>(1)?.is_some();
            let counts =
                Replayed { replayed: row.get(2)?, rejected: row.get(3)?, skipped: row.get(4)?, ..Replayed::default() };
            Ok(Progress { from: row.get(0)?, done: is_done.then_some(counts) })
        };
        let connection = &self.0.connection;
        connection.query_row(select, [id], progress).map_err(|error| self.0.error("reading the request in", &error))
    }

    /// Takes the request back, whether it was carried out or not.
    pub(crate) fn withdraw(&self, id: u64) -> Result<()> {
        let delete = "DELETE FROM replay_requests WHERE id = ?1";
        self.0
            .connection
            .execute(delete, [id])
            .map(drop)
            .map_err(|error| self.0.error("taking back a request in", &error))
    }

    /// The dead letters of the selection, for a look.
    pub(crate) fn replayable(&self, selection: &Selection, from: u64) -> Result<Page> {
        replayable(&self.0.connection, selection, from, i64::MAX as u64)
            .map_err(|error| self.0.error("reading dead letters from", &error))
    }
}
