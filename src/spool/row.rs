//! A row of `bursts`: many events in one blob, the length of each as a 32-bit little-endian number, then the events.

use rusqlite::params;

use crate::event::Burst;
use crate::spool::checksum;
use crate::spool::errors::damaged;

/// A row holds at most this much, unless one event alone is larger. Larger rows gain nothing, smaller ones cost CPU.
const ROW_BYTES_MAX: usize = 64 * 1024;

/// The bytes that the rows of a burst take: its events, and their lengths.
pub(super) fn size_of(burst: &Burst) -> u64 {
    (burst.bytes() + 4 * burst.events()) as u64
}

/// A row that is being filled.
#[derive(Default)]
pub(super) struct NewRow {
    events: usize,
    lengths: Vec<u8>,
    bytes: Vec<u8>,
}

impl NewRow {
    pub(super) fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Whether the event fits beside those that are there. An empty row takes any.
    pub(super) fn has_room_for(&self, event: &[u8]) -> bool {
        self.is_empty() || self.events * 4 + self.bytes.len() + event.len() <= ROW_BYTES_MAX
    }

    pub(super) fn push(&mut self, event: &[u8]) {
        self.events += 1;
        #[expect(clippy::cast_possible_truncation, reason = "bounded far below by the source")]
        self.lengths.extend_from_slice(&(event.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(event);
    }

    /// Inserts the row at `position`, which moves on, and empties it. Returns the size of the row.
    pub(super) fn insert(
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
    pub(super) fn split(&self) -> rusqlite::Result<impl Iterator<Item = rusqlite::Result<(u64, &'a [u8])>>> {
        let lengths = usize::try_from(self.events).ok().and_then(|events| events.checked_mul(4));
        let (lengths, mut rest) =
            lengths.and_then(|lengths| self.bytes.split_at_checked(lengths)).ok_or_else(too_short)?;
        let event = move |(offset, length): (u64, &[u8; 4])| {
            let length = u32::from_le_bytes(*length) as usize;
            let (event, tail) = rest.split_at_checked(length).ok_or_else(too_short)?;
            rest = tail;
            Ok((offset, event))
        };
        Ok((self.position..).zip(lengths.as_chunks().0).map(event))
    }
}

fn too_short() -> rusqlite::Error {
    damaged("a burst is shorter than its lengths say")
}
