//! The time of receipt of the oldest pending event, without a look into the spool's file: a metric must not wait for a disk.

use std::collections::VecDeque;

/// Offsets with the time at which their event was received, in microseconds since 1970-01-01 UTC.
#[derive(Debug, Default)]
pub(crate) struct Ages {
    /// In the order of the offsets. The first one is at or below the committed offset.
    marks: VecDeque<(u64, i64)>,
    /// Of so many appends, one is marked; one more than this.
    unmarked: u64,
    /// Appends since the last mark.
    since_mark: u64,
}

/// Beyond this, every second mark is dropped, and every second append is marked from then on. Then an age is too high by the time
/// between two marks.
const MARKS_MAX: usize = 1024;

impl Ages {
    /// With marks of events that are in the spool already.
    pub(crate) fn new(marks: Vec<(u64, i64)>) -> Self {
        Self { marks: marks.into(), ..Self::default() }
    }

    /// Events from this offset on were received at this time.
    pub(crate) fn append(&mut self, offset: u64, received_at: i64) {
        if self.since_mark < self.unmarked && !self.marks.is_empty() {
            self.since_mark += 1;
            return;
        }
        self.since_mark = 0;
        if self.marks.len() >= MARKS_MAX {
            self.unmarked = self.unmarked * 2 + 1;
            let mut is_kept = false;
            self.marks.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
        }
        self.marks.push_back((offset, received_at));
    }

    /// Every event below this offset is committed.
    pub(crate) fn commit(&mut self, offset: u64) {
        while self.marks.get(1).is_some_and(|(next, _)| *next <= offset) {
            self.marks.pop_front();
        }
        if self.marks.len() < MARKS_MAX / 4 {
            self.unmarked = 0;
        }
    }

    /// When the oldest event that is not committed was received: never later than it was.
    pub(crate) fn oldest(&self) -> Option<i64> {
        self.marks.front().map(|(_, received_at)| *received_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_pending_event_is_that_of_the_last_mark_at_or_below_the_committed_offset() {
        let mut ages = Ages::new(vec![(3, 100)]);
        ages.append(10, 200);
        ages.append(20, 300);
        for (committed, oldest) in [(0, 100), (9, 100), (10, 200), (19, 200), (25, 300)] {
            ages.commit(committed);
            assert_eq!(ages.oldest(), Some(oldest), "{committed}");
        }
        assert_eq!(Ages::default().oldest(), None);
    }

    #[test]
    fn marks_stay_bounded_and_no_event_looks_younger_than_it_is() {
        let mut ages = Ages::default();
        for offset in 0..100_000_u32 {
            ages.append(offset.into(), offset.into());
            assert!(ages.marks.len() <= MARKS_MAX);
        }
        for committed in (0..100_000_u32).step_by(100) {
            ages.commit(committed.into());
            let oldest = ages.oldest().unwrap();
            // 100,000 appends, thinned seven times.
            assert!((i64::from(committed) - 256..=committed.into()).contains(&oldest), "{committed}: {oldest}");
        }
    }
}
