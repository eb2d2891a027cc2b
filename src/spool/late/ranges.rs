//! The ranges of late events, in the file and in memory.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

/// Ranges of offsets; `origin` is the offset of the dead letter that the events of a range were: one, or those of a message.
pub(in crate::spool) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS late_events (
        position INTEGER PRIMARY KEY,
        end INTEGER NOT NULL,
        origin INTEGER
    );";

/// A range of late events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::spool) struct LateRange {
    pub(in crate::spool) end: u64,
    pub(in crate::spool) origin: Option<u64>,
}

/// The ranges by the offset at which they begin.
pub(in crate::spool) type LateRanges = BTreeMap<u64, LateRange>;

pub(in crate::spool) fn read(connection: &Connection) -> rusqlite::Result<LateRanges> {
    let mut select = connection.prepare("SELECT position, end, origin FROM late_events")?;
    let ranges = select.query_map([], |row| Ok((row.get(0)?, LateRange { end: row.get(1)?, origin: row.get(2)? })))?;
    ranges.collect()
}

/// Within the caller's transaction: notes the events from `position` on as late.
pub(in crate::spool) fn note(transaction: &Connection, position: u64, range: LateRange) -> rusqlite::Result<()> {
    let insert = "INSERT INTO late_events (position, end, origin) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(insert)?.execute(params![position, range.end, range.origin]).map(drop)
}

/// The range with the event at this offset, and the offset at which it begins.
pub(super) fn range_of(ranges: &LateRanges, offset: u64) -> Option<(u64, LateRange)> {
    let (begin, range) = ranges.range(..=offset).next_back()?;
    (offset < range.end).then_some((*begin, *range))
}

/// Whether the event at this offset is late, and up to where the events after it are alike.
pub(super) fn lateness(ranges: &LateRanges, offset: u64) -> (bool, u64) {
    let Some(mut end) = range_of(ranges, offset).map(|(_, range)| range.end) else {
        return (false, ranges.range(offset..).next().map_or(u64::MAX, |(position, _)| *position));
    };
    while let Some(next) = ranges.get(&end) {
        end = next.end;
    }
    (true, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_follow_each_other_are_alike() {
        let range = |(position, end)| (position, LateRange { end, origin: None });
        let ranges: LateRanges = [(3, 4), (4, 6), (8, 9)].map(range).into();
        let found = [0, 2, 3, 4, 5, 6, 7, 8, 9].map(|offset| lateness(&ranges, offset));
        let expected = [
            (false, 3),
            (false, 3),
            (true, 6),
            (true, 6),
            (true, 6),
            (false, 8),
            (false, 8),
            (true, 9),
            (false, u64::MAX),
        ];
        assert_eq!(found, expected);
        assert_eq!(lateness(&LateRanges::new(), 7), (false, u64::MAX));
    }

    #[test]
    fn every_event_of_a_range_has_its_origin() {
        let range = |(position, end, origin)| (position, LateRange { end, origin });
        let ranges: LateRanges = [(3, 6, Some(1)), (6, 7, None), (9, 10, Some(2))].map(range).into();
        let found = [2, 3, 4, 5, 6, 7, 9, 10].map(|offset| range_of(&ranges, offset).map(|(_, range)| range.origin));
        let expected = [None, Some(Some(1)), Some(Some(1)), Some(Some(1)), Some(None), None, Some(Some(2)), None];
        assert_eq!(found, expected);
    }
}
