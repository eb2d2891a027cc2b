//! Late events: replayed ones, and those of an imported export. They never overwrite what a later event of their key has written.
//!
//! The writer knows the order in which it writes the events of a key. So it notes in the spool which dead letters are followed by a
//! later event, before it writes that one, and writes a replayed event like any other if nothing followed it. Otherwise the statement
//! for late events decides by the row: see `rows::late`.

use std::collections::HashSet;
use std::ops::Range;

use crate::error::Result;
use crate::pipeline::writer::run::Writer;
use crate::pipeline::writer::sub_batch::SubBatch;
use crate::rows::partition::key_hash;
use crate::spool::Follower;

impl Writer {
    /// The events of the sub-batch whose key an open dead letter has.
    pub(super) fn followers(&self, sub_batch: SubBatch<'_>) -> Vec<Follower> {
        let rows = &sub_batch.batch.rows;
        if rows.plan.has_loose_key || !self.spool.has_open_keys() {
            return Vec::new();
        }
        let event = |(place, &row): (usize, &u32)| (key_hash(rows, row), self.spool.origin(sub_batch.offset(place)));
        self.spool.followers(sub_batch.rows.iter().enumerate().map(event))
    }

    /// Ranges of a sub-batch, as long as possible, whose events must not overwrite their rows (true), or may. None if no event is late.
    pub(super) fn by_lateness(&self, sub_batch: SubBatch<'_>) -> Result<Vec<(Range<usize>, bool)>> {
        let mut ranges: Vec<(Range<usize>, bool)> = Vec::new();
        if !sub_batch.batch.is_late {
            return Ok(ranges);
        }
        let offsets: Vec<u64> = (0..sub_batch.rows.len()).map(|place| sub_batch.offset(place)).collect();
        let rows = &sub_batch.batch.rows;
        for (place, is_overtaken) in self.spool.are_overtaken(&offsets)?.into_iter().enumerate() {
            let is_next = |origin| self.late_keys.is_followed_by(key_hash(rows, sub_batch.rows[place]), origin);
            let is_overtaken = is_overtaken
                && (self.late_keys.is_empty() || !self.spool.replayed_from(offsets[place]).is_some_and(is_next));
            match ranges.last_mut() {
                Some((range, last)) if *last == is_overtaken => range.end += 1,
                _ => ranges.push((place..place + 1, is_overtaken)),
            }
        }
        Ok(ranges)
    }

    /// After the commit of a sub-batch; `superseded`: its late events that left their rows as they were, `None` if its events are not late.
    /// Where the row's timestamp follows each update, it decides alone; and the order of imported events is not known.
    pub(super) fn note_late_keys(&mut self, sub_batch: SubBatch<'_>, superseded: Option<&[u32]>) {
        let rows = &sub_batch.batch.rows;
        match superseded {
            Some(superseded) if rows.plan.last_written().is_none() => {
                let superseded: HashSet<u32> = superseded.iter().copied().collect();
                for (place, &row) in sub_batch.rows.iter().enumerate().filter(|(_, row)| !superseded.contains(row)) {
                    if let Some(origin) = self.spool.replayed_from(sub_batch.offset(place)) {
                        self.late_keys.insert(key_hash(rows, row), origin);
                    }
                }
            }
            None if !self.late_keys.is_empty() => {
                for (place, &row) in sub_batch.rows.iter().enumerate() {
                    let (offset, hash) = (sub_batch.offset(place), key_hash(rows, row));
                    if self.spool.lateness(offset).0 {
                        self.late_keys.advance(hash, self.spool.origin(offset));
                    } else {
                        self.late_keys.remove(hash);
                    }
                }
            }
            _ => {}
        }
    }

    /// Notes with their dead letters, and logs, that events were not applied. `rows`: those that the table superseded just before the
    /// statement. If another program has written in between, it is not known which they are, and only their number is logged.
    pub(super) fn note_superseded(&self, sub_batch: SubBatch<'_>, superseded: u64, rows: &[u32]) {
        if rows.len() as u64 == superseded {
            let offsets = rows.iter().map(|&row| sub_batch.batch.rows.offsets[row as usize]);
            if let Err(error) = self.spool.note_superseded(offsets, self.status.clock.unix_micros()) {
                self.status.report(&error);
            }
        }
        let first = sub_batch.rows.first().map_or(0, |_| self.spool.origin(sub_batch.offset(0)));
        log::warn!(
            "{superseded} of {} replayed events from dead letter {first} on are superseded: a later event of their key is in the table",
            sub_batch.rows.len()
        );
    }
}
