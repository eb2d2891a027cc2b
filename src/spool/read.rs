//! Reading pending events, a batch at a time.

use std::ops::Range;

use crate::error::Result;
use crate::event::Event;
use crate::rows::Arrival;
use crate::spool::errors::damaged;
use crate::spool::queue::Spool;
use crate::spool::row::BurstRow;
use crate::spool::statements::READ_BURSTS;

/// Events read from the spool, in one buffer that is used again for the next batch.
#[derive(Debug, Default)]
pub(crate) struct SpooledEvents {
    bytes: Vec<u8>,
    events: Vec<Place>,
    events_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Clone)]
struct Place {
    offset: u64,
    received_at: i64,
    range: Range<usize>,
    is_message: bool,
}

/// An event of the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpooledEvent<'a> {
    pub(crate) offset: u64,
    /// In microseconds since 1970-01-01 UTC.
    pub(crate) received_at: i64,
    pub(crate) bytes: &'a [u8],
    /// A message that could not be unwrapped, whole.
    pub(crate) is_message: bool,
}

impl SpooledEvent<'_> {
    pub(crate) fn arrival(&self) -> Arrival {
        Arrival { offset: self.offset, received_at: self.received_at }
    }
}

impl SpooledEvents {
    /// The events in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = SpooledEvent<'_>> {
        self.events.iter().map(|place| SpooledEvent {
            offset: place.offset,
            received_at: place.received_at,
            bytes: &self.bytes[place.range.clone()],
            is_message: place.is_message,
        })
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

    /// Empties it. From here on it takes at most this many events and, beyond the first, at most this many bytes. The memory of an
    /// event far larger than that is given back.
    fn start(&mut self, events_max: usize, bytes_max: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(bytes_max.saturating_mul(4));
        self.events.clear();
        (self.events_max, self.bytes_max) = (events_max, bytes_max);
    }

    /// Appends the event; false if it is full.
    fn push(&mut self, offset: u64, received_at: i64, event: Event<'_>) -> bool {
        let is_full = self.events.len() == self.events_max || self.bytes.len() + event.bytes.len() > self.bytes_max;
        if is_full && !self.events.is_empty() {
            return false;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(event.bytes);
        let range = start..self.bytes.len();
        self.events.push(Place { offset, received_at, range, is_message: event.is_message });
        true
    }

    /// Appends the events of a row from `from` to below `end`; false if it is full.
    fn push_row(&mut self, row: &BurstRow<'_>, from: u64, end: u64) -> rusqlite::Result<bool> {
        for event in row.split()? {
            let (offset, event) = event?;
            if offset >= from && (offset >= end || !self.push(offset, row.received_at, event)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Spool {
    /// Reads events from `from` on: at most `events_max` of them and, beyond the first, at most `bytes_max` bytes.
    ///
    /// A burst can be seen in the file a moment before its append has returned. It is not read before that: otherwise it could
    /// be committed before it counts as received.
    pub(crate) fn read(&self, from: u64, events_max: usize, bytes_max: usize, into: &mut SpooledEvents) -> Result<()> {
        into.start(events_max, bytes_max);
        let end = self.end();
        if from >= end {
            return Ok(());
        }
        self.read_rows(from, end, into).map_err(|error| self.error("reading from", &error))
    }

    fn read_rows(&self, from: u64, end: u64, into: &mut SpooledEvents) -> rusqlite::Result<()> {
        let reader = self.reader();
        let mut select = reader.prepare_cached(READ_BURSTS)?;
        let mut rows = select.query([from, end])?;
        let mut expected = None;
        while let Some(row) = rows.next()? {
            let row = BurstRow::from_row(row)?;
            let follows = expected.map_or(row.position <= from, |expected| row.position == expected);
            if !follows {
                return Err(damaged("a burst is missing"));
            }
            expected = Some(row.end());
            if !into.push_row(&row, from, end)? {
                return Ok(());
            }
        }
        if into.events.is_empty() {
            return Err(damaged("pending bursts are missing"));
        }
        Ok(())
    }
}
