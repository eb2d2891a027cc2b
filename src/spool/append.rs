//! Appending bursts.
//!
//! One transaction appends the burst and the end row behind it; see [`TABLES`](super::statements::TABLES). Once some events are
//! committed, it deletes their rows as well: a delete costs little there, and a transaction of its own elsewhere.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::error::Result;
use crate::event::Burst;
use crate::spool::checkpoint_history;
use crate::spool::checksum;
use crate::spool::late::{self, LateRange};
use crate::spool::queue::{QueueState, Spool};
use crate::spool::row::{NewRow, insert_end, space_of};
use crate::spool::statements::{DELETE_BURSTS, INSERT_BURST, NOTE_DELETED, SPACE_OF_BURSTS, Transaction};
use crate::threads::sync;

/// An append deletes committed events from this many on. A delete changes pages that a lone event does not: one with each
/// append would be a tenth of what an event costs under light load (measured).
const DELETE_EVENTS_MIN: u64 = 16;

/// How an append ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    /// The burst is in the file; its first event has this offset.
    At(u64),
    /// `spool.bytes_max` is reached; nothing was appended. See [`Spool::wait_for_room`].
    Full,
}

/// The changes of a transaction, for the offsets in memory after its commit.
#[derive(Debug)]
pub(super) struct Change {
    /// The offset of the first event that was appended.
    position: u64,
    events: u64,
    space_taken: u64,
    received_at: i64,
    deleted: u64,
    space_freed: u64,
    /// The time of the mark, if there is a new one.
    marked_at: Option<i64>,
}

impl Spool {
    /// Appends the burst in one transaction, unless that would exceed `spool.bytes_max`. `received_at`: microseconds since
    /// 1970-01-01 UTC.
    ///
    /// # Errors
    /// Class `Transient` where waiting may help, a full disk for example; [`State`](crate::ErrorKind::State) after the intake has ended.
    /// No event of the burst is in the file then.
    pub(crate) fn append(&self, burst: &Burst, received_at: i64) -> Result<Appended> {
        self.append_as(burst, received_at, false)
    }

    /// The same for late events.
    pub(crate) fn append_late(&self, burst: &Burst, received_at: i64) -> Result<Appended> {
        self.append_as(burst, received_at, true)
    }

    fn append_as(&self, burst: &Burst, received_at: i64, is_late: bool) -> Result<Appended> {
        let mut writer = self.intake()?;
        if !self.has_room(burst) {
            // Rows of committed events do not count.
            self.delete_with(&mut writer)?;
            if !self.has_room(burst) {
                self.state().refused_space = Some(space_of(burst));
                return Ok(Appended::Full);
            }
        }
        let at = self
            .beside_reserve(&mut writer, space_of(burst), |writer| self.append_to(writer, burst, received_at, is_late));
        at.map(Appended::At).map_err(|error| self.error("appending to", &error))
    }

    /// The same without a limit, on a full disk and after the intake has ended too: for the last burst before the end, which has been
    /// read and must not be lost. What comes after the preparer has finished is left to the next process.
    ///
    /// # Errors
    /// [`State`](crate::ErrorKind::State) once another process may open the file.
    pub(crate) fn append_last(&self, burst: &Burst, received_at: i64, is_late: bool) -> Result<()> {
        let mut writer = self.last_intake()?;
        let at =
            self.with_loan(&mut writer, space_of(burst), |writer| self.append_to(writer, burst, received_at, is_late));
        at.map(drop).map_err(|error| self.error("appending to", &error))
    }

    /// Whether the burst fits into `spool.bytes_max`. An empty spool takes any.
    pub(super) fn has_room(&self, burst: &Burst) -> bool {
        let state = self.state();
        state.space == 0 || self.fits(&state, space_of(burst))
    }

    fn fits(&self, state: &QueueState, space: u64) -> bool {
        state.space == 0 || state.space.saturating_add(space) <= self.bytes_max
    }

    /// Whether the last burst was refused, and would be again.
    #[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "only the command line asks"))]
    pub(crate) fn is_full(&self) -> bool {
        let state = self.state();
        state.refused_space.is_some_and(|space| !self.fits(&state, space))
    }

    /// Waits until the burst fits, the intake ends, or `timeout` has passed; true if it fits.
    pub(crate) fn wait_for_room(&self, burst: &Burst, timeout: Duration) -> bool {
        self.wait_for_space(space_of(burst), timeout)
    }

    /// The same for rows that take this much.
    pub(crate) fn wait_for_space(&self, space: u64, timeout: Duration) -> bool {
        self.wait_until(timeout, |state| self.fits(state, space))
    }

    fn append_to(
        &self,
        writer: &mut Connection,
        burst: &Burst,
        received_at: i64,
        is_late: bool,
    ) -> rusqlite::Result<u64> {
        let transaction = Transaction::begin(writer)?;
        let change = self.append_rows(&transaction, burst, received_at, self.delete_due())?;
        let late = LateRange { end: change.position + change.events, origin: None };
        if is_late {
            late::note(&transaction, change.position, late)?;
        }
        transaction.commit()?;
        if is_late {
            self.add_late(change.position, late);
        }
        self.note_change(&change);
        Ok(change.position)
    }

    /// Up to where an append deletes.
    fn delete_due(&self) -> u64 {
        let offsets = &self.state().offsets;
        let is_due = offsets.committed() - offsets.deleted() >= DELETE_EVENTS_MIN;
        if is_due { offsets.committed() } else { offsets.deleted() }
    }

    /// Within the caller's transaction: deletes the rows of events below `delete_to`, and appends the burst.
    pub(super) fn append_rows(
        &self,
        transaction: &Connection,
        burst: &Burst,
        received_at: i64,
        delete_to: u64,
    ) -> rusqlite::Result<Change> {
        let (position, marked_at) = {
            let state = self.state();
            (state.offsets.end(), state.marked_at)
        };
        let is_marked = checkpoint_history::mark(transaction, position, received_at, marked_at)?;
        Ok(Change {
            position,
            events: burst.events() as u64,
            space_taken: insert_rows(transaction, position, burst, received_at)?,
            received_at,
            deleted: delete_to,
            space_freed: self.delete_below(transaction, delete_to)?,
            marked_at: is_marked.then_some(received_at),
        })
    }

    /// Within the caller's transaction: deletes the rows of all committed events.
    pub(super) fn delete_rows(&self, transaction: &Connection) -> rusqlite::Result<Change> {
        let (position, deleted) = {
            let offsets = &self.state().offsets;
            (offsets.end(), offsets.committed())
        };
        let space_freed = self.delete_below(transaction, deleted)?;
        Ok(Change { position, events: 0, space_taken: 0, received_at: 0, deleted, space_freed, marked_at: None })
    }

    /// Deletes the rows of events below `offset`, and notes it. Returns the space of the rows.
    fn delete_below(&self, transaction: &Connection, offset: u64) -> rusqlite::Result<u64> {
        if offset == self.state().offsets.deleted() {
            return Ok(0);
        }
        let checkpoints = sync::lock(&self.checkpoints).to_text();
        let note = params![offset, checksum::of_deleted(offset), checkpoints];
        transaction.prepare_cached(NOTE_DELETED)?.execute(note)?;
        let space = transaction.prepare_cached(SPACE_OF_BURSTS)?.query_row([offset], |row| row.get(0))?;
        transaction.prepare_cached(DELETE_BURSTS)?.execute([offset])?;
        self.delete_late(transaction, offset)?;
        Ok(space)
    }

    /// After the commit of these changes, with the writer still locked.
    pub(super) fn note_change(&self, change: &Change) {
        let mut state = self.state();
        state.offsets.append(change.events);
        if change.events > 0 {
            state.ages.append(change.position, change.received_at);
            state.refused_space = None;
        }
        state.offsets.delete(change.deleted);
        state.space = state.space + change.space_taken - change.space_freed;
        state.marked_at = change.marked_at.or(state.marked_at);
        drop(state);
        self.forget_late(change.deleted);
        if change.events > 0 {
            self.work.notify_all();
        }
        if change.space_freed > 0 {
            self.progress.notify_all();
        }
    }
}

/// Inserts the rows of the burst and the end row. Returns their space.
fn insert_rows(transaction: &Connection, mut position: u64, burst: &Burst, received_at: i64) -> rusqlite::Result<u64> {
    let mut insert = transaction.prepare_cached(INSERT_BURST)?;
    let mut space = 0;
    let mut row = NewRow::default();
    for event in burst.marked() {
        if !row.has_room_for(event.bytes) {
            space += row.insert(&mut insert, &mut position, received_at)?;
        }
        row.push(event);
    }
    if !row.is_empty() {
        space += row.insert(&mut insert, &mut position, received_at)?;
    }
    insert_end(&mut insert, position)?;
    Ok(space)
}
