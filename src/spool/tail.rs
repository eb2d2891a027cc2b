//! The events that were appended last, kept in memory too.
//!
//! As long as the writer keeps up, what it takes next was appended a moment ago. Reading that from the file costs a dozen system
//! calls for each event under light load; here it is a copy. Only what is in the file already comes here, so nothing rests on it.

use super::read::SpooledEvents;
use crate::event::Burst;

/// So much is kept at most. Where more is waiting, it is read from the file in large batches, which costs little.
const BYTES_MAX: usize = 64 * 1024;

/// See the [module documentation](self).
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The offset of the first event in `bursts`.
    first: u64,
    bursts: Vec<Received>,
    events: Burst,
}

/// How many events came at that time.
#[derive(Debug)]
struct Received {
    at: i64,
    events: usize,
}

impl Tail {
    /// After the burst was appended at `position`. What is below `applied` is not needed any more.
    pub(super) fn note(&mut self, position: u64, burst: &Burst, received_at: i64, applied: u64) {
        let fits = self.events.bytes() + burst.bytes() <= BYTES_MAX;
        if position != self.end() || self.end() <= applied || !fits {
            self.bursts.clear();
            self.events.clear();
            self.first = position;
        }
        if burst.bytes() <= BYTES_MAX {
            self.bursts.push(Received { at: received_at, events: burst.events() });
            self.events.extend(burst);
        }
    }

    #[cfg(test)]
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn end(&self) -> u64 {
        self.first + self.events.events() as u64
    }

    /// Reads the events from `from` to below `next`, as [`Spool::read`](super::Spool::read) does; false if they are not here.
    pub(super) fn read(&self, from: u64, next: u64, into: &mut SpooledEvents) -> bool {
        if from < self.first || self.end() < next {
            return false;
        }
        let times = self.bursts.iter().flat_map(|burst| std::iter::repeat_n(burst.at, burst.events));
        for ((offset, received_at), event) in (self.first..next).zip(times).zip(self.events.iter()) {
            if offset >= from && !into.push(offset, received_at, event) {
                break;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::tests::burst;

    fn read(tail: &Tail, from: u64, next: u64) -> Option<Vec<(u64, i64, Vec<u8>)>> {
        let mut events = SpooledEvents::default();
        events.start(usize::MAX, usize::MAX);
        let is_here = tail.read(from, next, &mut events);
        is_here.then(|| events.iter().map(|(offset, at, event)| (offset, at, event.to_vec())).collect())
    }

    #[test]
    fn the_latest_events_are_here_with_their_times_until_they_are_applied() {
        let mut tail = Tail::default();
        tail.note(7, &burst(&[b"a", b"b"]), 100, 7);
        tail.note(9, &burst(&[b"c"]), 200, 7);
        assert_eq!(read(&tail, 8, 10), Some(vec![(8, 100, b"b".to_vec()), (9, 200, b"c".to_vec())]));
        assert_eq!(read(&tail, 6, 10), None, "it begins later");
        assert_eq!(read(&tail, 8, 11), None, "something is missing at the end");
        tail.note(10, &burst(&[b"d"]), 300, 10);
        assert_eq!(read(&tail, 9, 11), None, "nobody needs what is applied");
        assert_eq!(read(&tail, 10, 11), Some(vec![(10, 300, b"d".to_vec())]));
    }

    #[test]
    fn it_never_takes_more_than_its_share_of_memory() {
        let mut tail = Tail::default();
        let large = vec![b'x'; BYTES_MAX / 2 + 1];
        tail.note(0, &burst(&[&large]), 1, 0);
        tail.note(1, &burst(&[&large]), 2, 0);
        assert_eq!(read(&tail, 0, 2), None);
        assert_eq!(read(&tail, 1, 2).unwrap().len(), 1);
        tail.note(2, &burst(&[&large, &large]), 3, 0);
        assert_eq!(read(&tail, 2, 4), None);
        tail.note(4, &burst(&[b"small"]), 4, 0);
        assert_eq!(read(&tail, 2, 5), None, "what was too large is not taken for the next one");
        assert_eq!(read(&tail, 4, 5), Some(vec![(4, 4, b"small".to_vec())]));
    }
}
