//! Reading what is pending, a batch at a time.

use std::ops::Range;

use super::{Spool, checksum, damaged};
use crate::error::Result;

/// Events read from the spool, in one buffer that is used again for the next batch.
#[derive(Debug, Default)]
pub(crate) struct SpooledEvents {
    bytes: Vec<u8>,
    events: Vec<SpooledEvent>,
    events_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Clone)]
struct SpooledEvent {
    offset: u64,
    received_at: i64,
    range: Range<usize>,
}

impl SpooledEvents {
    /// Offset, time of receipt in microseconds since 1970-01-01 UTC, and bytes of each event, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, i64, &[u8])> {
        self.events.iter().map(|event| (event.offset, event.received_at, &self.bytes[event.range.clone()]))
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// The size of all of them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The offset after the last event.
    pub(crate) fn end(&self) -> Option<u64> {
        self.events.last().map(|event| event.offset + 1)
    }

    /// Empties it. From here on it takes at most so many events and, beyond the first, at most so many bytes.
    pub(super) fn start(&mut self, events_max: usize, bytes_max: usize) {
        self.bytes.clear();
        self.events.clear();
        (self.events_max, self.bytes_max) = (events_max, bytes_max);
    }

    /// Appends the event; false if it is full.
    pub(super) fn push(&mut self, offset: u64, received_at: i64, event: &[u8]) -> bool {
        let is_full = self.events.len() == self.events_max || self.bytes.len() + event.len() > self.bytes_max;
        if is_full && !self.events.is_empty() {
            return false;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(event);
        self.events.push(SpooledEvent { offset, received_at, range: start..self.bytes.len() });
        true
    }
}

/// From the burst on that holds the offset ?1.
pub(super) const READ: &str = "SELECT position, events, received_at, bytes, checksum FROM bursts
     WHERE position >= coalesce((SELECT max(position) FROM bursts WHERE position <= ?1), ?1) ORDER BY position";

impl Spool {
    /// Reads events from `from` on: at most `events_max` of them and, beyond the first, at most `bytes_max` bytes.
    ///
    /// A burst can be seen in the file a moment before its append has returned. It is not read before that: otherwise it could
    /// be applied before it counts as received.
    pub(crate) fn read(&self, from: u64, events_max: usize, bytes_max: usize, into: &mut SpooledEvents) -> Result<()> {
        into.start(events_max, bytes_max);
        let next = self.next();
        if from >= next {
            return Ok(());
        }
        let read = |into: &mut SpooledEvents| -> rusqlite::Result<()> {
            let reader = self.reader();
            let mut select = reader.prepare_cached(READ)?;
            let mut rows = select.query([from])?;
            let mut expected = None;
            while let Some(row) = rows.next()? {
                let burst = SpooledBurst::from_row(row)?;
                let position = burst.position;
                let follows = expected.map_or(position <= from, |expected| position == expected);
                if !follows && position < next {
                    return Err(damaged("a burst is missing"));
                }
                expected = Some(position + burst.events);
                let (lengths, mut rest) = burst.split()?;
                for (offset, length) in (position..).zip(lengths) {
                    let length = u32::from_le_bytes(*length) as usize;
                    let (event, tail) = rest.split_at_checked(length).ok_or_else(too_short)?;
                    rest = tail;
                    if offset < from {
                        continue;
                    }
                    if offset >= next || !into.push(offset, burst.received_at, event) {
                        return Ok(());
                    }
                }
            }
            if into.events.is_empty() && from < next {
                return Err(damaged("the bursts that are to come are missing"));
            }
            Ok(())
        };
        read(into).map_err(|error| self.error("reading from", &error))
    }
}

/// A row of `bursts`, as it was written: its checksum fits.
pub(super) struct SpooledBurst<'a> {
    pub(super) position: u64,
    pub(super) events: u64,
    received_at: i64,
    bytes: &'a [u8],
}

impl<'a> SpooledBurst<'a> {
    /// From position, events, time of receipt, bytes and checksum.
    pub(super) fn from_row(row: &'a rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let burst = Self {
            position: row.get(0)?,
            events: row.get(1)?,
            received_at: row.get(2)?,
            bytes: row.get_ref(3)?.as_blob()?,
        };
        let Self { position, events, received_at, bytes } = burst;
        if row.get::<_, i64>(4)? != checksum::of_burst(position, events, received_at, bytes) {
            return Err(damaged("a burst is not as it was written"));
        }
        Ok(burst)
    }

    /// The lengths of the events, and the events.
    fn split(&self) -> rusqlite::Result<(&'a [[u8; 4]], &'a [u8])> {
        let lengths = usize::try_from(self.events).ok().and_then(|events| events.checked_mul(4));
        let split = lengths.and_then(|lengths| self.bytes.split_at_checked(lengths));
        split.map(|(lengths, events)| (lengths.as_chunks().0, events)).ok_or_else(too_short)
    }
}

fn too_short() -> rusqlite::Error {
    damaged("a burst is shorter than it says")
}
