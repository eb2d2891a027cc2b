//! Which rows of a batch are tried as fresh.

use crate::config::DestinationConfig;
use crate::destination::{Applied, Write};
use crate::rows::coalesce::Coalesced;
use crate::rows::partition::key_hash;

use super::brake::Brake;
use super::filter::RecentKeys;

/// The fewest fresh rows for which two kinds of rows in a statement pay: below, the statement's own costs outweigh them.
const ROWS_MIN: usize = 100;

/// The size of the filters of all connections together. One connection remembers at least the last 419,430 keys.
const FILTER_BYTES: usize = 1 << 20;

/// What a connection knows of the keys in its table. It needs nothing from earlier processes and is never wrong about the table: an
/// unknown key is tried, and the database decides.
pub(in super::super) struct FreshKeys {
    filter: RecentKeys,
    brake: Brake,
    rows_min: usize,
    #[cfg(any(test, feature = "_bench"))]
    probe: crate::config::SplitProbe,
}

/// The rows of a batch, each part sorted by key as the batch is.
pub(in super::super) struct Split {
    pub(in super::super) fresh: Vec<Coalesced>,
    pub(in super::super) known: Vec<Coalesced>,
}

impl FreshKeys {
    pub(in super::super) fn new(config: &DestinationConfig) -> Self {
        let bytes = FILTER_BYTES / (config.connections.max(1) as usize);
        Self {
            filter: RecentKeys::new(bytes),
            brake: Brake::default(),
            #[cfg(any(test, feature = "_bench"))]
            rows_min: config.split_probe.rows_min.unwrap_or(ROWS_MIN),
            #[cfg(not(any(test, feature = "_bench")))]
            rows_min: ROWS_MIN,
            #[cfg(any(test, feature = "_bench"))]
            probe: config.split_probe.clone(),
        }
    }

    /// Divides the rows, and remembers their keys at once: whatever becomes of the batch, no key of it is tried as fresh again.
    pub(super) fn split(&mut self, write: &Write<'_>) -> Split {
        let (mut fresh, mut known) = (Vec::with_capacity(write.coalesced.len()), Vec::new());
        for row in write.coalesced {
            let hash = key_hash(write.rows, row.first);
            if self.filter.contains(hash) {
                known.push(*row);
            } else {
                fresh.push(*row);
            }
            self.filter.add(hash);
        }
        Split { fresh, known }
    }

    /// Whether the fresh rows are worth a try.
    pub(super) fn lets_try(&self, split: &Split) -> bool {
        !self.brake.is_on() && self.is_enough(split)
    }

    fn is_enough(&self, split: &Split) -> bool {
        !split.fresh.is_empty() && split.fresh.len() >= self.rows_min
    }

    pub(super) fn note_success(&mut self) {
        self.brake.note_success();
        #[cfg(any(test, feature = "_bench"))]
        self.probe.count(true);
    }

    pub(super) fn note_failure(&mut self) {
        self.brake.note_failure();
        #[cfg(any(test, feature = "_bench"))]
        self.probe.count(false);
    }

    /// The upsert alone has written the batch. If it inserted fewer rows than there are fresh ones, one of them was in the table.
    pub(super) fn note_upserted(&mut self, split: &Split, applied: &Applied) {
        if let Applied::Committed { inserted, .. } = applied
            && self.brake.is_on()
            && self.is_enough(split)
        {
            self.brake.note_pause(*inserted < split.fresh.len() as u64);
        }
    }
}
