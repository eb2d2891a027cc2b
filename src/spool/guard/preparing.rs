//! The preparer's way past the guard, event by event.

use std::sync::atomic::Ordering;

use rusqlite::Connection;

use crate::spool::guard::notes::{ENDS_MAX, NONE, change_notes};
use crate::spool::queue::Spool;
use crate::threads::sync;

impl Spool {
    /// Preparing begins at the offset `from`. An earlier process had at most `in_flight` events from there on in its hands.
    pub(crate) fn begin_preparing(&self, from: u64, in_flight: u64) {
        let guard = &self.guard;
        if guard.suspected_to > from && guard.noted_to.load(Ordering::Relaxed) == 0 {
            let last = guard.ends.keys().next_back().map_or(0, |last| last + 1);
            let to = from.saturating_add(in_flight).max(last).min(guard.suspected_to);
            guard.noted_to.store(to, Ordering::Relaxed);
        }
    }

    /// The event at this offset is prepared next; true if it is to be set aside instead.
    pub(crate) fn is_suspect(&self, offset: u64) -> bool {
        let guard = &self.guard;
        guard.at.store(offset, Ordering::Relaxed);
        let is_ordinary = offset >= guard.noted_to.load(Ordering::Relaxed) && !guard.is_noted.load(Ordering::Relaxed);
        !is_ordinary && self.suspects(offset)
    }

    /// The events before are prepared.
    pub(crate) fn end_preparing(&self) {
        self.guard.at.store(NONE, Ordering::Relaxed);
        if self.guard.is_noted.load(Ordering::Relaxed) {
            self.note(None);
        }
    }

    fn suspects(&self, offset: u64) -> bool {
        let guard = &self.guard;
        let is_suspect = guard.ends.get(&offset).is_some_and(|&ends| ends >= ENDS_MAX);
        let is_noted = !is_suspect && offset < guard.noted_to.load(Ordering::Relaxed);
        self.note(is_noted.then_some(offset));
        is_suspect
    }

    /// Notes the event that is being prepared if it was at the last call too. For a thread of its own, every `WATCH_INTERVAL`.
    pub(in crate::spool) fn watch(&self) {
        let guard = &self.guard;
        let at = guard.at.load(Ordering::Relaxed);
        let is_slow = guard.watched.swap(at, Ordering::Relaxed) == at && at != NONE;
        if is_slow {
            self.note(Some(at));
        } else if at == NONE && guard.is_noted.load(Ordering::Relaxed) {
            self.note(None);
        }
    }

    /// Notes this event instead of the one before. Without a note the events go on all the same.
    fn note(&self, offset: Option<u64>) {
        let mut noted = sync::lock(&self.guard.noted);
        // The thread that watches may be late.
        let is_late = offset.is_some_and(|offset| self.guard.at.load(Ordering::Relaxed) != offset);
        if *noted == offset || is_late {
            return;
        }
        match self.write_note(&mut self.writer(), *noted, offset) {
            Ok(()) => {
                *noted = offset;
                self.guard.is_noted.store(offset.is_some(), Ordering::Relaxed);
            }
            Err(error) => log::debug!("{}", self.error("noting an event in", &error)),
        }
    }

    /// Not flushed: it is the process that may end.
    fn write_note(&self, writer: &mut Connection, old: Option<u64>, new: Option<u64>) -> rusqlite::Result<()> {
        if !self.is_flushed {
            return change_notes(writer, old, new);
        }
        writer.pragma_update(None, "synchronous", "NORMAL")?;
        let written = change_notes(writer, old, new);
        writer.pragma_update(None, "synchronous", "FULL").and(written)
    }

    /// The event that is noted. Before the writer is locked: a note locks both.
    pub(in crate::spool) fn noted_event(&self) -> Option<u64> {
        *sync::lock(&self.guard.noted)
    }

    /// The spool is closed, and no event is being prepared any more; unless a panic ended that, which counts as the end of a process.
    pub(in crate::spool) fn note_closed(&self, writer: &mut Connection, noted: Option<u64>) -> rusqlite::Result<()> {
        let at = self.guard.at.load(Ordering::Relaxed);
        if at != NONE {
            return if noted == Some(at) { Ok(()) } else { change_notes(writer, noted, Some(at)) };
        }
        change_notes(writer, noted, None)?;
        writer.execute("UPDATE spool SET is_open = FALSE", []).map(drop)
    }
}
