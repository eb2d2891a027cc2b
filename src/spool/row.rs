//! A row of `bursts`: many events in one blob, the length of each as a 32-bit little-endian number, then the events. Bit 31 of a length
//! marks a message that could not be unwrapped ([`crate::event`]).

use rusqlite::{Connection, params};

use crate::event::{self, Burst, Event};
use crate::spool::checksum;
use crate::spool::disk::space;
use crate::spool::errors::damaged;

/// A row holds at most this much, unless one event alone is larger. Larger rows gain nothing, smaller ones cost CPU.
const ROW_BYTES_MAX: usize = 64 * 1024;

/// The bytes of a record beside `bytes`: its head and its numbers. As in [`TABLES`](super::statements::TABLES).
const RECORD_BYTES: usize = 22;

/// The space that the rows of a burst take in the file.
pub(super) fn space_of(burst: &Burst) -> u64 {
    let mut total = 0;
    let mut row = RowSize::default();
    for event in burst.iter() {
        if !row.has_room_for(event) {
            total += std::mem::take(&mut row).space();
        }
        row.add(event);
    }
    total + if row.events > 0 { row.space() } else { 0 }
}

/// The events of a row in numbers.
#[derive(Debug, Clone, Copy, Default)]
struct RowSize {
    events: usize,
    /// Of the events and their lengths.
    bytes: usize,
}

impl RowSize {
    /// Whether the event fits beside those that are there. An empty row takes any.
    fn has_room_for(self, event: &[u8]) -> bool {
        self.events == 0 || self.bytes + event.len() <= ROW_BYTES_MAX
    }

    fn add(&mut self, event: &[u8]) {
        self.events += 1;
        self.bytes += 4 + event.len();
    }

    fn space(self) -> u64 {
        space((self.bytes + RECORD_BYTES) as u64)
    }
}

/// A row that is being filled, with events of a burst.
#[derive(Default)]
pub(super) struct NewRow<'a> {
    size: RowSize,
    events: Vec<Event<'a>>,
    /// A buffer for its bytes. An event may be huge, so it is copied once.
    bytes: Vec<u8>,
}

impl<'a> NewRow<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether the event fits beside those that are there. An empty row takes any.
    pub(super) fn has_room_for(&self, event: &[u8]) -> bool {
        self.size.has_room_for(event)
    }

    pub(super) fn push(&mut self, event: Event<'a>) {
        self.size.add(event.bytes);
        self.events.push(event);
    }

    /// Inserts the row at `position`, which moves on, and empties it. Returns the space of the row.
    pub(super) fn insert(
        &mut self,
        insert: &mut rusqlite::CachedStatement<'_>,
        position: &mut u64,
        received_at: i64,
    ) -> rusqlite::Result<u64> {
        let size = std::mem::take(&mut self.size);
        self.bytes.clear();
        self.bytes.reserve(size.bytes);
        for event in &self.events {
            self.bytes.extend_from_slice(&event.marked_length().to_le_bytes());
        }
        for event in self.events.drain(..) {
            self.bytes.extend_from_slice(event.bytes);
        }
        let checksum = checksum::of_burst(*position, size.events as u64, received_at, &self.bytes);
        insert.execute(params![*position, size.events, received_at, self.bytes, checksum])?;
        *position += size.events as u64;
        Ok(size.space())
    }
}

/// Inserts the end row.
pub(super) fn insert_end(insert: &mut rusqlite::CachedStatement<'_>, end: u64) -> rusqlite::Result<()> {
    insert.execute(params![end, 0, 0, [0_u8; 0], checksum::of_burst(end, 0, 0, &[])]).map(drop)
}

/// A row as it was written: its checksum fits.
pub(super) struct BurstRow<'a> {
    pub(super) position: u64,
    pub(super) events: u64,
    pub(super) received_at: i64,
    bytes: &'a [u8],
}

impl<'a> BurstRow<'a> {
    /// From position, events, time of receipt, bytes and checksum.
    pub(super) fn from_row(row: &'a rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let burst = Self {
            position: row.get(0)?,
            events: row.get(1)?,
            received_at: row.get(2)?,
            bytes: row.get_ref(3)?.as_blob()?,
        };
        let Self { position, events, received_at, bytes } = burst;
        if row.get::<_, u32>(4)? != checksum::of_burst(position, events, received_at, bytes) {
            return Err(damaged("the checksum of a burst does not fit"));
        }
        Ok(burst)
    }

    /// The offset after the last event.
    pub(super) fn end(&self) -> u64 {
        self.position.saturating_add(self.events)
    }

    /// The events in order, with their offsets.
    pub(super) fn split(&self) -> rusqlite::Result<impl Iterator<Item = rusqlite::Result<(u64, Event<'a>)>>> {
        let lengths = usize::try_from(self.events).ok().and_then(|events| events.checked_mul(4));
        let (lengths, mut rest) =
            lengths.and_then(|lengths| self.bytes.split_at_checked(lengths)).ok_or_else(too_short)?;
        let event = move |(offset, length): (u64, &[u8; 4])| {
            let event = event::split_first(&mut rest, u32::from_le_bytes(*length)).ok_or_else(too_short)?;
            Ok((offset, event))
        };
        Ok((self.position..).zip(lengths.as_chunks().0).map(event))
    }
}

fn too_short() -> rusqlite::Error {
    damaged("a burst is shorter than its lengths say")
}

/// Offsets of pending events, evenly spread, with the time at which each was received.
pub(super) fn sample_receipts(connection: &Connection, from: u64, end: u64) -> rusqlite::Result<Vec<(u64, i64)>> {
    let mut select = connection.prepare(
        "SELECT position, received_at FROM bursts WHERE position <= ?1 AND events > 0 ORDER BY position DESC LIMIT 1",
    )?;
    let step = usize::try_from((end - from) / SAMPLES).unwrap_or(usize::MAX).max(1);
    let mut receipts: Vec<(u64, i64)> = Vec::new();
    for offset in (from..end).step_by(step) {
        let receipt = select.query_row([offset], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if receipts.last() != Some(&receipt) {
            receipts.push(receipt);
        }
    }
    Ok(receipts)
}

const SAMPLES: u64 = 64;
