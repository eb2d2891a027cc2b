//! The space that a row takes in the file. The limits of the configuration are the space that is taken: 200,000 times "ping" are less
//! than a MiB of events, and 20 MiB of dead letters.
//!
//! SQLite's file format, section 1.6, for pages of 4 KiB: a row is a cell of a leaf page, and what does not fit there fills pages of its
//! own. Rows are counted as if all were alike, so what is left at the end of a page counts too. The file keeps the space of each row
//! in a column that SQLite computes, so that no statement can forget it; this is the same sum for rows that are not written yet.

/// A leaf page with its cell in the page above and its entry in the page map.
const LEAF: u64 = 4096 + 20;
/// A page of one row alone, with its entry in the page map.
const OVERFLOW: u64 = 4096 + 5;
/// The room of a leaf page for cells and their places.
const LEAF_ROOM: u64 = 4088;
const OVERFLOW_ROOM: u64 = 4092;
/// A larger record does not fit into a leaf page whole.
const WHOLE_MAX: u64 = 4061;
/// The part of a larger record that is in the leaf page at least.
const PART_MIN: u64 = 489;
/// The rest of a cell: the length, the key, the place in the page.
const CELL: u64 = 8;
/// The number of the first page that holds the rest of the record.
const LINK: u64 = 4;

/// The space of a row with a record of this many bytes.
pub(in crate::spool) fn space(record: u64) -> u64 {
    if record <= WHOLE_MAX {
        return in_leaf(record + CELL);
    }
    let (pages, rest) = ((record - PART_MIN) / OVERFLOW_ROOM, (record - PART_MIN) % OVERFLOW_ROOM);
    if PART_MIN + rest <= WHOLE_MAX {
        pages * OVERFLOW + in_leaf(PART_MIN + rest + CELL + LINK)
    } else {
        (pages + 1) * OVERFLOW + in_leaf(PART_MIN + CELL + LINK)
    }
}

/// The share of a leaf page that a cell takes among others of its size.
fn in_leaf(cell: u64) -> u64 {
    LEAF.div_ceil(LEAF_ROOM / cell)
}

/// [`space`] as an SQL expression over the expression `$record`.
macro_rules! space_sql {
    ($record:literal) => {
        concat!(
            "CASE WHEN ",
            $record,
            " <= 4061 THEN (4115 + 4088 / (",
            $record,
            " + 8)) / (4088 / (",
            $record,
            " + 8)) WHEN (",
            $record,
            " - 489) % 4092 <= 3572 THEN (",
            $record,
            " - 489) / 4092 * 4101 + (4115 + 4088 / ((",
            $record,
            " - 489) % 4092 + 501)) / (4088 / ((",
            $record,
            " - 489) % 4092 + 501)) ELSE ((",
            $record,
            " - 489) / 4092 + 1) * 4101 + (4115 + 4088 / 501) / (4088 / 501) END"
        )
    };
}
pub(in crate::spool) use space_sql;

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn the_file_counts_as_this_does() {
        let connection = Connection::open_in_memory().unwrap();
        let mut select = connection.prepare(concat!("SELECT ", space_sql!("?1"))).unwrap();
        for record in (0..20_000).chain([1 << 20, 64 << 20, 1 << 30]) {
            let counted: u64 = select.query_row([record], |row| row.get(0)).unwrap();
            assert_eq!(counted, space(record), "{record} bytes");
        }
    }
}
