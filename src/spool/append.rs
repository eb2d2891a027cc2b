//! Appending bursts, and deleting what is applied.
//!
//! Deletes ride on an append: they cost next to nothing there, and a transaction of their own elsewhere. When nothing
//! is appended, or much has piled up, threads delete that nobody waits for.
//!
//! Where the rows begin and end is noted in the same transaction, so that a row that goes missing is missed.

use std::sync::MutexGuard;

use rusqlite::{Connection, params};

use super::reserve::is_full;
use super::transaction::Transaction;
use super::{Spool, State, checksum};
use crate::error::{Error, Result};
use crate::event::Burst;
use crate::spool::checkpoint_history;
use crate::spool::wal::Checkpointer;
use crate::threads::sync;

/// A row holds at most this much, unless one event alone is larger. Larger rows gain nothing, smaller ones cost CPU.
const ROW_BYTES_MAX: usize = 64 * 1024;
/// So much that is applied may stay in the file before it is deleted without waiting for an append.
pub(super) const DELETE_EVENTS_MAX: u64 = 20_000;
/// How many free pages go back to the file system at a time.
const SHRINK_PAGES: u32 = 1024;
/// Free pages below this are kept for what comes next.
const FREE_PAGES_KEPT: u32 = 256;

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    /// The burst is in the file; its first event has this offset.
    At(u64),
    /// `spool.bytes_max` is reached; nothing was appended. See [`Spool::wait_for_room`].
    Full,
}

impl Spool {
    /// Appends the burst in one transaction, unless that would exceed `spool.bytes_max`. `received_at`: microseconds since
    /// 1970-01-01 UTC.
    ///
    /// # Errors
    /// Class `Transient` where waiting may help, a full disk for example; `STATE` after the intake has ended. Nothing of the burst
    /// is in the file then.
    pub(crate) fn append(&self, burst: &Burst, received_at: i64) -> Result<Appended> {
        let mut writer = self.intake()?;
        let is_full = || {
            let bytes = self.state().bytes;
            bytes > 0 && bytes.saturating_add(size_of(burst)) > self.bytes_max
        };
        if is_full() {
            // What is applied does not count.
            self.delete_with(&mut writer)?;
            if is_full() {
                return Ok(Appended::Full);
            }
        }
        let at = self.beside_reserve(&mut writer, size_of(burst), |writer| self.append_to(writer, burst, received_at));
        at.map(Appended::At).map_err(|error| self.error("appending to", &error))
    }

    /// The same without a limit, also on a full disk: for the last burst before the end, which has been read and must not be lost.
    pub(crate) fn append_last(&self, burst: &Burst, received_at: i64) -> Result<()> {
        let mut writer = self.intake()?;
        let at = self.with_loan(&mut writer, size_of(burst), |writer| self.append_to(writer, burst, received_at));
        at.map(drop).map_err(|error| self.error("appending to", &error))
    }

    /// The writer, unless the intake has ended.
    pub(super) fn intake(&self) -> Result<MutexGuard<'_, Connection>> {
        let writer = self.writer();
        if self.state().intake_ended { Err(Error::stopped()) } else { Ok(writer) }
    }

    fn append_to(&self, writer: &mut Connection, burst: &Burst, received_at: i64) -> rusqlite::Result<u64> {
        let before = *self.state();
        let transaction = Transaction::begin(writer)?;
        let outcome = self.append_rows(&transaction, &before, burst, received_at)?;
        transaction.commit()?;
        self.note_appended(&before, burst, &outcome);
        Ok(before.next)
    }

    /// Within the caller's transaction: deletes what is applied, appends the burst, and notes the places.
    pub(super) fn append_rows(
        &self,
        transaction: &Connection,
        before: &State,
        burst: &Burst,
        received_at: i64,
    ) -> rusqlite::Result<Outcome> {
        let bytes_deleted = self.note_rows(transaction, before, before.next + burst.events() as u64)?;
        let is_marked = checkpoint_history::mark(transaction, before.next, received_at, before.marked_at)?;
        let bytes_appended = insert_rows(transaction, before.next, burst, received_at)?;
        Ok(Outcome { bytes_appended, bytes_deleted, marked_at: is_marked.then_some(received_at) })
    }

    /// Deletes what is applied and notes where the rows begin and end; returns the size of what is deleted.
    fn note_rows(&self, transaction: &Connection, before: &State, next: u64) -> rusqlite::Result<u64> {
        note_places(transaction, before.applied, next)?;
        if before.deleted == before.applied {
            return Ok(0);
        }
        self.keep_confirmed(transaction)?;
        delete_rows(transaction, before.applied)
    }

    /// After the commit of what [`append_rows`](Self::append_rows) did, with the writer still locked.
    pub(super) fn note_appended(&self, before: &State, burst: &Burst, outcome: &Outcome) {
        let mut state = self.state();
        state.next = before.next + burst.events() as u64;
        state.bytes = state.bytes + outcome.bytes_appended - outcome.bytes_deleted;
        state.deleted = before.applied;
        state.marked_at = outcome.marked_at.or(state.marked_at);
        let is_time = state.is_time_to_prepare();
        drop(state);
        if is_time {
            self.wanted.notify_all();
        }
        if outcome.bytes_deleted > 0 {
            self.changed.notify_all();
        }
    }

    /// Waits until the burst would fit, the intake ends, or `timeout` has passed; true if they fit.
    pub(crate) fn wait_for_room(&self, burst: &Burst, timeout: std::time::Duration) -> bool {
        self.wait_until(&self.changed, timeout, |state| {
            state.bytes == 0 || state.bytes.saturating_add(size_of(burst)) <= self.bytes_max
        })
    }

    /// From here on there are this many lanes, and none is ahead of the others.
    pub(crate) fn set_lanes(&self, lanes: usize) {
        *sync::lock(&self.lanes) = vec![self.applied(); lanes];
    }

    /// The lane has settled its events below `offset`, these many more: applied, or kept as dead letters. What every lane has
    /// settled is deleted in due course.
    pub(crate) fn settle(&self, lane: usize, offset: u64, events: u64) -> Result<()> {
        let mut lanes = sync::lock(&self.lanes);
        if let Some(settled) = lanes.get_mut(lane) {
            *settled = offset.max(*settled);
        }
        self.state().ahead += events;
        let applied = lanes.iter().min().copied().unwrap_or(0);
        drop(lanes);
        self.mark_applied(applied)
    }

    /// Every event below `offset` is applied; its row is deleted in due course.
    pub(crate) fn mark_applied(&self, offset: u64) -> Result<()> {
        let mut state = self.state();
        let before = state.applied;
        state.applied = before.max(offset);
        state.ahead = state.ahead.saturating_sub(state.applied - before);
        let is_much = state.applied - state.deleted >= DELETE_EVENTS_MAX || state.bytes >= self.bytes_max / 2;
        let is_time = state.is_time_to_prepare();
        drop(state);
        self.changed.notify_all();
        if is_time {
            self.wanted.notify_all();
        }
        let is_asked = || self.checkpointer.as_ref().is_some_and(Checkpointer::ask_to_delete);
        if is_much && !is_asked() { self.delete_applied() } else { Ok(()) }
    }

    /// Deletes what is applied, then gives some free space back to the file system. Called when nothing else is to do; in
    /// small steps, because appending waits meanwhile.
    pub(crate) fn tidy(&self) -> Result<()> {
        self.delete_applied()?;
        let mut writer = self.writer();
        let tidy = |writer: &mut Connection| -> rusqlite::Result<()> {
            if self.reserve.is_out() {
                return self.make_room(writer).map(drop);
            }
            let is_last = free_pages(writer)? <= FREE_PAGES_KEPT + SHRINK_PAGES;
            if shrink(writer, FREE_PAGES_KEPT, SHRINK_PAGES)? && is_last {
                // Only a checkpoint shortens the file itself.
                empty_log(writer)?;
            }
            Ok(())
        };
        match tidy(&mut writer) {
            Err(error) if is_full(&error) => self.make_room(&mut writer).map(drop),
            outcome => outcome,
        }
        .map_err(|error| self.error("shrinking", &error))
    }

    /// Deletes what is applied and notes how far that is.
    pub(crate) fn delete_applied(&self) -> Result<()> {
        self.delete_with(&mut self.writer())
    }

    pub(super) fn delete_with(&self, writer: &mut Connection) -> Result<()> {
        let deleted = self.with_reserve(writer, |writer| self.delete_from(writer));
        deleted.map_err(|error| self.error("deleting from", &error))
    }

    pub(super) fn delete_from(&self, writer: &mut Connection) -> rusqlite::Result<()> {
        let before = *self.state();
        if before.deleted == before.applied {
            return Ok(());
        }
        let transaction = Transaction::begin(writer)?;
        let bytes = self.note_rows(&transaction, &before, before.next)?;
        transaction.commit()?;
        let mut state = self.state();
        state.bytes -= bytes;
        state.deleted = before.applied;
        drop(state);
        self.changed.notify_all();
        Ok(())
    }
}

pub(super) fn free_pages(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))
}

/// Frees some pages of the file if more than `kept` are free; whether there were.
pub(super) fn shrink(connection: &Connection, kept: u32, pages: u32) -> rusqlite::Result<bool> {
    if free_pages(connection)? <= kept {
        return Ok(false);
    }
    let mut vacuum = connection.prepare_cached(&format!("PRAGMA incremental_vacuum({pages})"))?;
    // Each step of the statement frees one page.
    let mut steps = vacuum.query([])?;
    while steps.next()?.is_some() {}
    Ok(true)
}

/// Writes what is in the write-ahead log to the file and gives the log's room back; false if a reader is in the way.
pub(super) fn empty_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

/// What [`Spool::append_rows`] did.
pub(super) struct Outcome {
    bytes_appended: u64,
    bytes_deleted: u64,
    /// The time of the mark, if there is a new one.
    marked_at: Option<i64>,
}

/// Returns the size of the rows.
fn insert_rows(transaction: &Connection, mut position: u64, burst: &Burst, received_at: i64) -> rusqlite::Result<u64> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO bursts (position, events, received_at, bytes, checksum) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut size = 0;
    let mut row = Row::default();
    for event in burst.iter() {
        if row.events > 0 && row.events * 4 + row.bytes.len() + event.len() > ROW_BYTES_MAX {
            size += row.insert(&mut insert, &mut position, received_at)?;
        }
        row.push(event);
    }
    if row.events > 0 {
        size += row.insert(&mut insert, &mut position, received_at)?;
    }
    Ok(size)
}

/// What the burst takes in its rows: its bytes, and the length of each event.
pub(super) fn size_of(burst: &Burst) -> u64 {
    (burst.bytes() + 4 * burst.events()) as u64
}

/// A row in the making.
#[derive(Default)]
struct Row {
    events: usize,
    lengths: Vec<u8>,
    bytes: Vec<u8>,
}

impl Row {
    fn push(&mut self, event: &[u8]) {
        self.events += 1;
        #[expect(clippy::cast_possible_truncation, reason = "bounded far below by whoever reads events")]
        self.lengths.extend_from_slice(&(event.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(event);
    }

    /// Inserts the row at `position`, which moves on, and starts a new one. Returns the size of the row.
    fn insert(
        &mut self,
        insert: &mut rusqlite::CachedStatement<'_>,
        position: &mut u64,
        received_at: i64,
    ) -> rusqlite::Result<u64> {
        self.lengths.append(&mut self.bytes);
        let checksum = checksum::of_burst(*position, self.events as u64, received_at, &self.lengths);
        insert.execute(params![*position, self.events, received_at, self.lengths, checksum])?;
        let size = self.lengths.len() as u64;
        *position += self.events as u64;
        self.events = 0;
        self.lengths.clear();
        Ok(size)
    }
}

pub(super) const DELETE: &str =
    "DELETE FROM bursts WHERE position < ?1 AND position + events <= ?1 RETURNING length(bytes)";

/// Deletes the rows whose last event is applied; returns their size. [`note_places`] belongs to it.
fn delete_rows(connection: &Connection, applied: u64) -> rusqlite::Result<u64> {
    let mut delete = connection.prepare_cached(DELETE)?;
    let sizes = delete.query_map([applied], |row| row.get::<_, u64>(0))?;
    sizes.sum()
}

/// Notes what is applied, no row of which is left, and where the rows end.
fn note_places(connection: &Connection, applied: u64, next: u64) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached("UPDATE spool SET applied = ?1, next = ?2, checksum = ?3")?;
    update.execute(params![applied, next, checksum::of_places(applied, next)]).map(drop)
}
