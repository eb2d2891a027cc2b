//! Reading what is pending, a batch at a time.

use std::ops::Range;

use super::Spool;
use crate::error::Result;

/// Events read from the spool, in one buffer that is used again for the next batch.
#[derive(Debug, Default)]
pub(crate) struct SpooledEvents {
    bytes: Vec<u8>,
    events: Vec<SpooledEvent>,
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

    /// The offset after the last event.
    pub(crate) fn end(&self) -> Option<u64> {
        self.events.last().map(|event| event.offset + 1)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.events.clear();
    }
}

impl Spool {
    /// Reads events from `from` on: at most `events_max` of them and, beyond the first, at most `bytes_max` bytes.
    ///
    /// A burst can be seen in the file a moment before its append has returned. It is not read before that: otherwise it could
    /// be applied before it counts as received.
    pub(crate) fn read(&self, from: u64, events_max: usize, bytes_max: usize, into: &mut SpooledEvents) -> Result<()> {
        into.clear();
        let next = self.next();
        let read = |into: &mut SpooledEvents| -> rusqlite::Result<()> {
            let reader = self.reader();
            let mut select = reader.prepare_cached(
                "SELECT position, events, received_at, bytes FROM bursts
                 WHERE position >= coalesce((SELECT max(position) FROM bursts WHERE position <= ?1), ?1)
                 ORDER BY position",
            )?;
            let mut rows = select.query([from])?;
            while let Some(row) = rows.next()? {
                let (position, events, received_at) = (row.get::<_, u64>(0)?, row.get::<_, usize>(1)?, row.get(2)?);
                let blob = row.get_ref(3)?.as_blob()?;
                let mut rest = blob.get(events * 4..).ok_or_else(damaged)?;
                for (index, length) in blob[..events * 4].chunks_exact(4).enumerate() {
                    let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
                    let (event, tail) = rest.split_at_checked(length).ok_or_else(damaged)?;
                    rest = tail;
                    let offset = position + index as u64;
                    if offset < from {
                        continue;
                    }
                    if offset >= next {
                        return Ok(());
                    }
                    let is_full = into.events.len() == events_max || into.bytes.len() + length > bytes_max;
                    if is_full && !into.events.is_empty() {
                        return Ok(());
                    }
                    let start = into.bytes.len();
                    into.bytes.extend_from_slice(event);
                    into.events.push(SpooledEvent { offset, received_at, range: start..start + length });
                }
            }
            Ok(())
        };
        read(into).map_err(|error| self.error("reading from", &error))
    }
}

/// A row that contradicts itself: reported as SQLite reports a damaged file.
fn damaged() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
        Some("a burst is shorter than it says".into()),
    )
}
